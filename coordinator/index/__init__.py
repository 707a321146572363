# SPDX-License-Identifier: Apache-2.0
"""Selects items from listed objects and builds the index: manifest, filters, skip_done.

It works on iterators in bounded memory, and contacts nothing: `storage` lists and writes.
"""
