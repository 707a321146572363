# SPDX-License-Identifier: Apache-2.0
"""Processes of the sandbox: what a container sees, and the end of what a killed sandbox left.

It knows no OSCAR and no S3.
"""
