# SPDX-License-Identifier: Apache-2.0
"""The nouns of pull mode: lanes and names, and what coordinator and workers tell each other.

docs/protocol.md says what each of these means. Their JSON belongs to `run`.
"""
