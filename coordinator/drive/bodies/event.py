# SPDX-License-Identifier: Apache-2.0
"""Makes the event that MinIO would send for an item, so that any service for uploads takes it.

The form is that of MinIO's webhook: the key in the record is query-escaped (`/` is `%2F`, a blank
is `+`), the one at the top is not. What MinIO knows and the index does not is left out: size,
ETag, content type and user metadata.

Whose storage secret the job mounts depends on the user that the event names:

owner of the service                the event names    OSCAR 3.5            OSCAR 3.6 and newer
the cluster's administrator, none   `minio`            MinIO's root keys    the same
a user                              that user          the user's keys      the user's or the root's

Any other user has no such secret, and the job would stay Pending forever.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote_plus

from .encoding import encode_body

# The longest key that S3 has, in bytes.
MOST_KEY_BYTES = 1024
# The owner that OSCAR writes into services of the administrator, and MinIO's root user, whose name
# is also that of the secret with the root's keys, in every release.
_ADMINISTRATOR, _ROOT = "cluster_admin", "minio"
_NAME, _REGION = "s3:ObjectCreated:Put", "us-east-1"
# A principal counts only beside an address.
_ADDRESS = "127.0.0.1"


def write_event_body(bucket: str, key: str, owner: str, moment: datetime) -> bytes:
    """The body for one item of a bucket. Raises ValueError for a key that no object can have.

    `owner` is that of the service; `moment` (UTC) is when the event says the object was written.
    """
    if len(key.encode()) > MOST_KEY_BYTES:
        raise ValueError(f"the key is longer than {MOST_KEY_BYTES} bytes, so no object has it")
    user = owner if owner not in {"", _ADMINISTRATOR} else _ROOT
    parameters = {"principalId": user, "region": _REGION, "sourceIPAddress": _ADDRESS}
    record = {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "awsRegion": _REGION,
        "eventTime": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z",
        "eventName": _NAME,
        "userIdentity": {"principalId": user},
        "requestParameters": parameters,
        "responseElements": {},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "Config",
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": user},
                "arn": f"arn:aws:s3:::{bucket}",
            },
            "object": {"key": quote_plus(key)},
        },
        "source": {"host": _ADDRESS, "port": "", "userAgent": "oscar-batch"},
    }
    return encode_body({"EventName": _NAME, "Key": f"{bucket}/{key}", "Records": [record]})
