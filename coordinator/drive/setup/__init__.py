# SPDX-License-Identifier: Apache-2.0
"""What is asked of a cluster before there is a run: what it offers, and whether one would work.

Nothing here starts anything, and nothing is written but the probe of the diagnosis.
"""
