# SPDX-License-Identifier: Apache-2.0
"""S3 ⇄ model values: listing, verified and conditional writes. The only package that uses minio.

Errors of the vendor end here as `StorageError`. What the objects mean is not known here.
"""
