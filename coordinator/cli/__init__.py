# SPDX-License-Identifier: Apache-2.0
"""The command line: its options, its inputs and its output; the verbs are in `verbs`.

Only this package reads argv and writes to stdout. What a run does belongs to the packages below.
"""
