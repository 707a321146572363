# SPDX-License-Identifier: Apache-2.0
"""Capacity with its reasons, and the chunks of an index with the strategy that cut them.

Pure: no network, no files, no clock; the same values always give the same plan.
"""
