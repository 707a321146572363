# SPDX-License-Identifier: Apache-2.0
"""The S3 servers (SeaweedFS, MinIO, or one that is given) and the events of their objects.

The only package that talks S3. It does not know what a service is.
"""
