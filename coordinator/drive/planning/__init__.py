# SPDX-License-Identifier: Apache-2.0
"""From the data folder and the cluster to the plan of a run: the index, the capacity, the draft.

How chunks are cut belongs to `plan`.
"""
