# SPDX-License-Identifier: Apache-2.0
"""Surveys a cluster before there is a run, and diagnoses whether a run would work.

Nothing here starts anything, and only the diagnosis writes an object, the probe.
"""
