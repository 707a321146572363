# SPDX-License-Identifier: Apache-2.0
"""The verbs for runs that were started: to look at them, to end them, to remove them."""
