# SPDX-License-Identifier: Apache-2.0
"""Reads the status of runs, cancels them, and removes their folders, without driving them."""
