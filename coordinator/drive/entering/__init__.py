# SPDX-License-Identifier: Apache-2.0
"""Before a run works: checks of the target and of the folders, the mode, and which run it is.

A run that another coordinator drives, or that could hurt, is refused here, before anything starts.
"""
