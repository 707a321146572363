# SPDX-License-Identifier: Apache-2.0
"""Executes a run: checks before the start, request bodies, submission, progress.

`pull` drives workers that have the kit; `jobs` drives range and event mode.
Clients, clock and pace are passed in; nothing here opens a connection or knows a wire format.
What can be decided without the cluster's answers belongs to `plan`.
"""
