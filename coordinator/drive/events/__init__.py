# SPDX-License-Identifier: Apache-2.0
"""Event mode: an invocation per item, never more in flight than a window, the largest items first.

What became of an item is decided in `judge`, which is pure. Jobs and outputs are looked at through
functions that are passed in; the list of jobs is read sparingly.
"""
