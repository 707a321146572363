# SPDX-License-Identifier: Apache-2.0
"""Service definitions as OSCAR stores and answers them, and the requests that make jobs of them.

It creates buckets and triggers through `storage`. It knows neither HTTP nor processes.
"""
