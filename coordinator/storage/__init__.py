# SPDX-License-Identifier: Apache-2.0
"""The S3 client: listing, verified and conditional writes. The only package that uses minio.

It raises `StorageError` for every error of minio. It does not know what the objects mean.
"""
