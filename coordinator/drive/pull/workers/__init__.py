# SPDX-License-Identifier: Apache-2.0
"""The workers of a pull run: their invocations, what is known of each, and who is invoked next.

The decisions are pure. What became of chunks and items belongs to the package above.
"""
