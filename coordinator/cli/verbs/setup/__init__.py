# SPDX-License-Identifier: Apache-2.0
"""The verbs before a run: write a config, check it, print a schema or a completion script.

They start nothing and write nothing into a bucket, except for the probe of `doctor`.
"""
