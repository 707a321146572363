# SPDX-License-Identifier: Apache-2.0
"""Benchmarks, runnable by anyone: each module is one `make bench-…` target."""
