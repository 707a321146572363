# SPDX-License-Identifier: Apache-2.0
"""Pull mode: the start of the workers, the ledger of their results, the watch to their end.

What is decided of workers is pure and stands in `judge`. Objects are read and written through a
`Bucket` that is passed in, and `run` knows their keys and documents.
"""
