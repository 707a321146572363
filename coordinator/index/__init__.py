# SPDX-License-Identifier: Apache-2.0
"""Listed objects → items → index lines: manifest, filters, skip_done, checkpoints.

Pure over iterators, in bounded memory. It neither lists nor writes: `storage` does.
"""
