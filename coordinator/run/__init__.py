# SPDX-License-Identifier: Apache-2.0
"""What a run is in the bucket: the key of every object and the documents, each with its reader.

Reads and writes through a `Bucket` that is passed in. How a report looks belongs to `report`.
"""
