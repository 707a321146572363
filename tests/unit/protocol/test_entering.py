# SPDX-License-Identifier: Apache-2.0
"""Three drops of one config in every order of their calls, on the real choice of the run.

`BatchRuns.enter` is run again and again: the answers that a drop has got are played back to it, and
its next call goes to the shared storage. So a state is the storage and the answers of each drop.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from coordinator.drive.entering import entry
from coordinator.drive.entering.entry import BatchRuns, Entry
from coordinator.model.errors import AlreadyEnded, Conflict, HeldByOther
from coordinator.model.object_columns import ObjectColumns
from coordinator.model.service import Folder, Locations
from coordinator.run.layout import RunLayout

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DATA = Folder("data", "runs/")
LAYOUTS = [RunLayout(Locations(DATA, DATA, DATA), name) for name in ("r1", "r2", "r3")]
STALE_MINUTES = 2
Objects = tuple[tuple[str, tuple[bytes, int]], ...]


class State(NamedTuple):
    """The objects with their ages in minutes; each drop's answers; what became of it; minutes."""

    objects: Objects
    logs: tuple[tuple[Any, ...], ...]
    fates: tuple[str, ...]
    minutes: int = 0


class Paused(BaseException):
    """The next call is not made yet."""


class Playback:
    """A storage that plays answers back, and makes one more call."""

    def __init__(self, objects: dict[str, tuple[bytes, int]], log: list[Any]) -> None:
        self.objects, self.log, self._at, self._calls = objects, log, 0, 1

    def _call(self, made: Any) -> Any:
        if self._at == len(self.log):
            if not self._calls:
                raise Paused
            self._calls -= 1
            self.log.append(made())
        self._at += 1
        return self.log[self._at - 1]

    def exists(self, key: str) -> bool:
        return bool(self._call(lambda: key in self.objects))

    def read_small(self, key: str, limit_bytes: int) -> bytes | None:
        found: bytes | None = self._call(lambda: self.objects.get(key, (None, 0))[0])
        return found

    def read_clock(self, key: str) -> datetime:
        return NOW  # ages are relative to it

    def honours_condition(self, key: str) -> bool:
        return True

    def put_new(self, key: str, content: bytes, content_type: str) -> None:
        def put() -> bool:
            new = key not in self.objects
            if new:
                self.objects[key] = (content, 0)
            return new

        if not self._call(put):
            raise Conflict(key)

    def list_objects(self, query: Any) -> Iterator[ObjectColumns]:
        def find() -> tuple[tuple[str, str], ...]:
            return tuple(
                (key, (NOW - timedelta(minutes=age)).isoformat())
                for key, (_, age) in sorted(self.objects.items())
                if key.startswith(query.prefix)
            )

        found = self._call(find)
        yield ObjectColumns([key.encode() for key, _ in found], None, [time for _, time in found])


def step(state: State, at: int, monkeypatch: pytest.MonkeyPatch) -> State:
    """One more call of a drop."""
    monkeypatch.setattr(secrets, "token_hex", lambda size: f"drop-{at}")
    objects, log = dict(state.objects), list(state.logs[at])
    storage: Any = Playback(objects, log)
    fate = "enters"
    try:
        entered = BatchRuns(storage, "batch", 90.0, lambda: NOW).enter(LAYOUTS[at])
        layout = entered.layout
        assert layout.end not in objects, f"run {layout.run_id} has ended, and is entered"
        fate = f"drives {layout.run_id} {layout.epoch}"
    except Paused:
        pass
    except (HeldByOther, AlreadyEnded):
        fate = "leaves"
    done = fate != "enters"
    return State(
        tuple(sorted(objects.items())),
        replace_at(state.logs, at, () if done else tuple(log)),
        replace_at(state.fates, at, fate),
        state.minutes,
    )


def replace_at(values: tuple[Any, ...], at: int, value: Any) -> tuple[Any, ...]:
    return (*values[:at], value, *values[at + 1 :])


def list_next(state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    for at, fate in enumerate(state.fates):
        if fate == "enters":
            yield step(state, at, monkeypatch)
        if fate.startswith("drives"):
            run, epoch = fate.split()[1:]
            yield state._replace(fates=replace_at(state.fates, at, "dead"))
            leases = [key for key, _ in state.objects if f"/{run}/lease/" in key]
            if max(int(key.rpartition("/")[2]) for key in leases) == int(epoch):
                key = LAYOUTS[0].with_run(run).end
                ended = tuple(sorted({**dict(state.objects), key: (b"", 0)}.items()))
                yield state._replace(objects=ended, fates=replace_at(state.fates, at, "ended"))
    if state.minutes < STALE_MINUTES:
        held = {f"/{fate.split()[1]}/lease/" for fate in state.fates if fate[:6] == "drives"}
        older = tuple(
            (key, (content, age if any(part in key for part in held) else age + 1))
            for key, (content, age) in state.objects
        )
        yield state._replace(objects=older, minutes=state.minutes + 1)


def explore(monkeypatch: pytest.MonkeyPatch, drops: int, most: int) -> tuple[int, bool]:
    """The number of states, and whether that is all; in each at most one run is driven.

    Two drops may drive the same run for a moment, under two epochs: the one that was slow finds out
    before its next effect.
    """
    first = State((), ((),) * drops, ("enters",) * drops)
    seen, queue = {hash(first)}, deque([first])
    while queue:
        if len(seen) > most:
            return len(seen), False
        for after in list_next(queue.popleft(), monkeypatch):
            if hash(after) in seen:
                continue
            seen.add(hash(after))
            queue.append(after)
            driven = [fate for fate in after.fates if fate[:6] == "drives"]
            assert len({fate.split()[1] for fate in driven}) < 2, driven
            assert len(set(driven)) == len(driven), driven
    return len(seen), True


def test_one_run_is_driven_in_every_order_of_two_drops(monkeypatch: pytest.MonkeyPatch) -> None:
    states, whole = explore(monkeypatch, 2, 100_000)
    assert whole
    assert states > 1_000


def test_one_run_is_driven_by_three_drops(monkeypatch: pytest.MonkeyPatch) -> None:
    states, _ = explore(monkeypatch, 3, 20_000)
    assert states > 20_000


def test_a_run_that_ends_while_its_lease_is_taken_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def look_once(self: BatchRuns, layout: RunLayout) -> Entry:
        self._refuse_ended(layout)
        return self._take(layout, None)

    monkeypatch.setattr(BatchRuns, "_continue", look_once)
    with pytest.raises(AssertionError, match="has ended, and is entered"):
        explore(monkeypatch, 2, 100_000)


def test_a_number_of_the_batch_that_is_not_written_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(entry, "register_run", lambda *rest: None)
    with pytest.raises(AssertionError, match="drives"):
        explore(monkeypatch, 2, 100_000)
