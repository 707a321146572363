# SPDX-License-Identifier: Apache-2.0
"""A thread that works ahead: same values, same order, errors in their place, bounded."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from coordinator.storage.prefetch import Prefetch


def test_the_values_come_in_their_order() -> None:
    assert list(Prefetch(iter(range(1000)), most_weight=7)) == list(range(1000))


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


class Counted(Iterator[str]):
    """Values of one weight, and an event at each one that is made."""

    def __init__(self) -> None:
        self.made = [threading.Event() for _ in range(9)]
        self.count = 0

    def __next__(self) -> str:
        self.made[self.count].set()
        self.count += 1
        return "xxx"


def test_it_works_ahead_as_far_as_there_is_room() -> None:
    source = Counted()
    found = Prefetch(source, most_weight=7, weigh=len)
    assert source.made[2].wait(10)  # two of weight 3 wait, the third is held until there is room
    assert not source.made[3].is_set()
    next(found)
    assert source.made[3].wait(10)
    found.close()


def test_one_value_may_always_wait() -> None:
    assert list(Prefetch(iter(["x" * 9] * 3), most_weight=1, weigh=len)) == ["x" * 9] * 3


def test_what_is_left_lets_its_thread_end() -> None:
    before = set(threading.enumerate())
    found = Prefetch(iter(range(1000)))
    next(found)
    (thread,) = set(threading.enumerate()) - before
    found.close()
    thread.join(10)
    assert not thread.is_alive()
