# SPDX-License-Identifier: Apache-2.0
"""Containers made by bwrap, and the end of jobs that a killed sandbox left running.

It knows no OSCAR and no S3.
"""
