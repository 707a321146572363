# SPDX-License-Identifier: Apache-2.0
"""Nodes, their resources, the jobs on them, and what each OSCAR release does (`profiles`).

Values and decisions. It starts nothing and contacts nothing.
"""
