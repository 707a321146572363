# SPDX-License-Identifier: Apache-2.0
"""The verbs before a run: to write a config, to check it, and what editors and shells need.

None of them starts anything or writes into a bucket, but for the probe of `doctor`.
"""
