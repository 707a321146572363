# SPDX-License-Identifier: Apache-2.0
"""Values that a thread fetches: the same ones, in their order, errors in their place."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from coordinator.storage.prefetch import Prefetch


def test_the_values_come_in_their_order() -> None:
    assert list(Prefetch(iter(range(1000)))) == list(range(1000))


def test_no_values_are_no_error() -> None:
    assert list(Prefetch(iter(()))) == []


def test_an_error_arrives_after_what_came_before() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise KeyError("gone")

    found = Prefetch(broken())
    assert next(found) == 1
    with pytest.raises(KeyError, match="gone"):
        next(found)
    assert list(found) == []


class Counted(Iterator[int]):
    """Numbers, and an event at each one that is made."""

    def __init__(self) -> None:
        self.made = [threading.Event() for _ in range(9)]
        self.count = 0

    def __next__(self) -> int:
        self.made[self.count].set()
        self.count += 1
        return self.count


def test_one_value_waits_and_the_next_one_is_held() -> None:
    source = Counted()
    found = Prefetch(source)
    assert source.made[1].wait(10)
    assert not source.made[2].is_set()
    assert next(found) == 1
    assert source.made[2].wait(10)
    found.close()


def test_a_prefetch_that_is_closed_lets_its_thread_end() -> None:
    before = set(threading.enumerate())
    found = Prefetch(iter(range(1000)))
    next(found)
    (thread,) = set(threading.enumerate()) - before
    found.close()
    thread.join(10)
    assert not thread.is_alive()
