# SPDX-License-Identifier: Apache-2.0
"""The command line, a file per verb: reads argv, prints results, returns the exit code.

What a verb does is not decided here: a verb loads the config, makes the clients and calls the
packages below. Only this package reads argv and writes to stdout.
"""
