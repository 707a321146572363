# SPDX-License-Identifier: Apache-2.0
"""Races for new objects on real servers: one winner each, and lost answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from coordinator.model.errors import Conflict
from coordinator.storage.bucket import Bucket
from tests.functional.relay import relay
from tests.functional.servers import Server

RACES, WRITERS = 1_000, 4


def test_of_several_writers_of_a_new_object_exactly_one_wins(
    server: Server, bucket: Bucket
) -> None:
    buckets = [Bucket(server.access, bucket.name) for _ in range(WRITERS)]

    def write(task: tuple[int, int]) -> bool:
        race, writer = task
        try:
            buckets[writer].put_new(f"races/{race:04d}", f"writer {writer}".encode(), "text/plain")
        except Conflict:
            return False
        return True

    races = range(RACES)
    tasks = [(race, writer) for race in races for writer in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as pool:
        won = dict(zip(tasks, pool.map(write, tasks), strict=True))
    for race in races:
        (winner,) = [writer for writer in range(WRITERS) if won[race, writer]]
        assert bucket.read_small(f"races/{race:04d}", 100) == f"writer {winner}".encode()


def test_an_answer_that_is_lost_is_judged_by_what_is_stored(server: Server, bucket: Bucket) -> None:
    with relay(server.access.url) as s3:
        s3.lose = lambda request: request.startswith("PUT") and not s3.lost
        Bucket(replace(server.access, url=s3.url), bucket.name).put_new(
            "key", b"mine", "text/plain"
        )
    assert (len(s3.lost), bucket.read_small("key", 100)) == (1, b"mine")


def test_a_second_writer_is_refused_also_if_an_answer_is_lost(
    server: Server, bucket: Bucket
) -> None:
    bucket.put_new("key", b"first", "text/plain")
    with relay(server.access.url) as s3:
        s3.lose = lambda request: request.startswith("PUT") and not s3.lost
        second = Bucket(replace(server.access, url=s3.url), bucket.name)
        with pytest.raises(Conflict, match="exists already"):
            second.put_new("key", b"second", "text/plain")
    assert bucket.read_small("key", 100) == b"first"


def test_both_servers_honour_the_condition(server: Server, bucket: Bucket) -> None:
    assert bucket.honours_condition("state/probe")
    assert bucket.read_small("state/probe", 100) is None


def test_an_empty_object_is_read_as_empty(server: Server, bucket: Bucket) -> None:
    bucket.write("empty", b"", "text/plain")
    assert bucket.read_small("empty", 100) == b""
