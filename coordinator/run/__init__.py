# SPDX-License-Identifier: Apache-2.0
"""The objects of a run in the bucket: their keys, and the writer and reader of each document.

Reads and writes through a `Bucket` that is passed in. How a report looks belongs to `report`.
"""
