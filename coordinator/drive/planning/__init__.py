# SPDX-License-Identifier: Apache-2.0
"""Makes the plan of a run: writes the index, waits for capacity, and cuts the chunks.

The strategies that cut chunks belong to `plan`.
"""
