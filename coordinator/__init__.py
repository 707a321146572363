# SPDX-License-Identifier: Apache-2.0
"""OSCAR-Batch: process a huge backlog of files on OSCAR, as an OSCAR service.

Start reading in `batch`, which calls the stages in the order of the data. A package imports only
packages below it: `cli`, `batch`, `drive`, `run`, `report`, `plan`, `index`, `oscar`, `storage`,
`config`, `model`.
"""

__version__ = "0.2.0"
