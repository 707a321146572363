# SPDX-License-Identifier: Apache-2.0
"""The peers that are Python libraries, as commands: `python -m bench.peers minio-py|boto3 …`."""

from __future__ import annotations

import os
import sys

import boto3
from minio import Minio

PREFIX = "input/"


def main(lister: str, url: str, bucket: str) -> int:
    """How many objects the lister finds, listing as its documentation shows."""
    if lister == "minio-py":
        client = Minio(
            url.partition("://")[2],
            os.environ["AWS_ACCESS_KEY_ID"],
            os.environ["AWS_SECRET_ACCESS_KEY"],
            secure=False,
            region="us-east-1",
        )
        return sum(1 for _ in client.list_objects(bucket, PREFIX, recursive=True))
    lists = boto3.client("s3", endpoint_url=url).get_paginator("list_objects_v2")
    return sum(
        len(page.get("Contents", ())) for page in lists.paginate(Bucket=bucket, Prefix=PREFIX)
    )


if __name__ == "__main__":
    print(main(*sys.argv[1:4]))
