# SPDX-License-Identifier: Apache-2.0
"""The verbs for runs that were started: show, list, cancel and remove them."""
