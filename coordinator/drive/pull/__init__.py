# SPDX-License-Identifier: Apache-2.0
"""Pull mode: the start of the workers, the ledger of their results, the watch to their end.

Decisions about workers are pure and are in `workers`. Objects are read and written through a
`Bucket` that is passed in; `run` has their keys and documents.
"""
