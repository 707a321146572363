# SPDX-License-Identifier: Apache-2.0
"""Range and event mode: sends one invocation per chunk or per item, and follows the jobs.

In event mode the window limits the invocations in flight, and the largest items are sent first.
`judge` decides the outcome of an item and is pure. Jobs and outputs are read through functions that
are passed in; the list of jobs is read rarely.
"""
