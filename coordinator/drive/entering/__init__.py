# SPDX-License-Identifier: Apache-2.0
"""Checks the target and the folders, chooses the mode, and begins or continues the run.

Refuses a run that another coordinator drives, and one that could do harm, before anything starts.
"""
