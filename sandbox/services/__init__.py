# SPDX-License-Identifier: Apache-2.0
"""Service definitions as OSCAR stores and returns them, and the requests that start jobs.

It creates buckets and triggers through `storage`. It knows neither HTTP nor processes.
"""
