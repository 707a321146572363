# SPDX-License-Identifier: Apache-2.0
"""Notifications of a bucket as MinIO answers them."""

from __future__ import annotations

from xml.etree.ElementTree import ParseError

import pytest

from coordinator.storage.notifications import parse_notifications

ANSWER = b"""<?xml version="1.0" encoding="UTF-8"?>
<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><QueueConfiguration>
<Id>x</Id><Filter><S3Key><FilterRule><Name>suffix</Name><Value>.json</Value></FilterRule>
<FilterRule><Name>prefix</Name><Value>in/</Value></FilterRule></S3Key></Filter>
<Event>s3:ObjectCreated:*</Event><Queue>arn:minio:sqs::oscar-batch:webhook</Queue>
</QueueConfiguration><QueueConfiguration><Queue>arn:minio:sqs::all:webhook</Queue>
</QueueConfiguration></NotificationConfiguration>"""


def test_every_queue_with_its_prefix() -> None:
    assert parse_notifications(ANSWER) == [
        ("arn:minio:sqs::oscar-batch:webhook", "in/"),
        ("arn:minio:sqs::all:webhook", ""),
    ]


@pytest.mark.parametrize("answer", [b"", b"<a>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'])
def test_another_answer_is_an_error(answer: bytes) -> None:
    with pytest.raises(ParseError):
        parse_notifications(answer)
