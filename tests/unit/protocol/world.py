# SPDX-License-Identifier: Apache-2.0
"""One state of a small run: the storage, the processes, the coordinators, the faults that are left.

All of it is hashable. Time is counted in ticks of a minute, and only as far as the decisions look:
after three ticks a beat is older than `lost_after_s`, after two a lease than `lease_ttl_s`, and two
looks with a tick between them are far enough apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

TICK_S = 60.0
OLDEST = 3

Key = tuple[Any, ...]
Lines = tuple[int, ...]
Outcome = tuple[int, str, str]
"""Line of the round, state, kind of failure."""


class Violation(AssertionError):
    """The protocol promised something else."""


class Case(NamedTuple):
    """What is searched: the chunks of round 1, the items that do harm, and what may go wrong."""

    name: str
    chunks: tuple[tuple[int, int, Lines], ...]
    """Lane, number within the lane, lines; all from 1."""
    lanes: tuple[int, ...]
    """The lane of each worker that runs from the beginning; twice for two processes of one."""
    harm: Mapping[int, str] = {}
    """`bad` fails, `kill` ends its process by a signal, `evict` its pod, `fetch` while it comes."""
    faults: int = 0
    kinds: frozenset[str] = frozenset()
    coordinators: int = 0
    slots: int = 3
    retries: int = 0
    named: bool = False
    most_states: int = 1_000_000


class Look(NamedTuple):
    """What a judge remembers of another process: its first look at the newest beat it has seen."""

    process: int
    since: int
    same: bool
    """Whether the beat still shows the same time."""
    spoiled: bool = False
    """Whether a call of the judge failed around that look or after it."""


class Proc(NamedTuple):
    """A process of a worker, and all that it knows."""

    worker: tuple[int, int]
    lane: int
    round: int
    pc: str = "start"
    phase: str = "own"
    todo: tuple[tuple[int, int, int], ...] = ()
    job: tuple[int, int, int] = (0, 0, 0)
    outcomes: tuple[Outcome, ...] = ()
    buffer: tuple[Any, ...] = ()
    repeated: bool = False
    paused: bool = False
    looks: tuple[Look, ...] = ()
    shaky: bool = False
    """Whether a call failed since the last tick."""
    buries: int = -1
    watcher: int = 0

    @property
    def lives(self) -> bool:
        return self.pc not in {"dead", "over"}


class Coord(NamedTuple):
    """A coordinator, and all that it knows."""

    pc: str = "enter"
    epoch: int = 0
    round: int = 1
    seen: tuple[Key, ...] = ()
    looks: tuple[Look, ...] = ()
    waits: tuple[tuple[tuple[int, int], int], ...] = ()
    """Ticks since each worker was first looked for."""
    states: tuple[Any, ...] = ()
    todo: tuple[Any, ...] = ()
    posted: int = 0
    idle: int = 0
    results: int = 0
    paused: bool = False
    why: str = ""

    @property
    def lives(self) -> bool:
        return self.pc not in {"dead", "over"}


class World(NamedTuple):
    """A state."""

    store: tuple[tuple[Key, Any], ...]
    procs: tuple[Proc, ...]
    coords: tuple[Coord, ...]
    faults: int


class Scene:
    """A state in the making."""

    def __init__(self, case: Case, world: World) -> None:
        self.case = case
        self.store = dict(world.store)
        self.procs, self.coords = list(world.procs), list(world.coords)
        self.faults = world.faults

    def freeze(self) -> World:
        # Keys of one kind have the same form.
        store = tuple(sorted(self.store.items(), key=lambda each: each[0]))
        return World(store, tuple(self.procs), tuple(self.coords), self.faults)

    def find(self, *prefix: Any) -> dict[Key, Any]:
        """The objects below a prefix."""
        size = len(prefix)
        return {key: value for key, value in self.store.items() if key[:size] == prefix}

    def put_new(self, key: Key, value: Any) -> bool:
        if key in self.store:
            return False
        self.store[key] = value
        return True

    def write_beat(self, process: int, state: str, signal: int | None = None) -> None:
        """A beat with a new time: who looked before has to look again."""
        self.store["beat", process] = (state, signal, 0)
        self.procs = [each._replace(looks=_outdate(each.looks, process)) for each in self.procs]
        self.coords = [each._replace(looks=_outdate(each.looks, process)) for each in self.coords]

    def count_running(self) -> int:
        return sum(each.lives for each in self.procs)

    def hurt(self, at: int, points: int) -> None:
        """Notes, for the invariants alone, what happened to the attempt in hand of a process."""
        proc = self.procs[at]
        if proc.job[2] < 2:
            return
        mark = self.store.get(("mark", proc.round, *proc.job))
        # A pause may be judged while any item of the attempt is in hand.
        line = (mark[1] if mark else 0) if points else 0
        if line or not points:
            key = ("~fate", proc.round, *proc.job, line)
            self.store[key] = max(points or 1, self.store.get(key, 0))


def _outdate(looks: tuple[Look, ...], process: int) -> tuple[Look, ...]:
    return tuple(
        each._replace(same=False, since=0, spoiled=False) if each.process == process else each
        for each in looks
    )


def begin(case: Case) -> World:
    """The first state: round 1 is cut, its first workers are invoked."""
    store: dict[Key, Any] = {("table", 1): case.chunks}
    workers: dict[int, tuple[int, int]] = {}
    procs = []
    for lane in case.lanes:
        worker = workers.setdefault(lane, (1, len(workers) + 1))
        store["post", *worker] = (1, lane, "accepted")
        procs.append(Proc(worker, lane, 1))
    if case.lanes:
        store["lease", 1] = (-1, False, OLDEST)
    scene = Scene(case, World((), tuple(procs), (), case.faults))
    scene.store = store
    return scene.freeze()


def tick(case: Case, world: World) -> World:
    """A minute later: who lives and is not paused has beaten; all else is older."""
    scene = Scene(case, world)
    for key, value in world.store:
        if key[0] == "beat":
            state, signal, age = value
            scene.store[key] = (state, signal, min(age + 1, OLDEST))
        elif key[0] == "lease":
            scene.store[key] = (*value[:2], min(value[2] + 1, OLDEST))
        elif key[0] == "wake":
            scene.store[key] = min(value + 1, OLDEST)
    scene.procs = [
        each._replace(
            looks=tuple(look._replace(since=min(look.since + 1, 2)) for look in each.looks),
            shaky=False,
            pc="list" if each.pc == "wait" and not each.paused else each.pc,
        )
        if each.lives
        else each
        for each in scene.procs
    ]
    newest = max((key[1] for key in scene.find("lease")), default=0)
    for at, coord in enumerate(scene.coords):
        if not coord.lives:
            continue
        looks = tuple(look._replace(since=min(look.since + 1, 2)) for look in coord.looks)
        waits = tuple((worker, min(ticks + 1, OLDEST)) for worker, ticks in coord.waits)
        coord = coord._replace(looks=looks, waits=waits)
        if not coord.paused and coord.epoch:  # renews its lease, unless there is a newer one
            if newest > coord.epoch:
                coord = Coord("over")
            else:
                scene.store["lease", coord.epoch] = (at, False, 0)
        if coord.pc == "wait" and not coord.paused:
            coord = coord._replace(pc="look")
        scene.coords[at] = coord
    for at, proc in enumerate(world.procs):
        if proc.lives and not proc.paused and proc.pc != "start":
            scene.write_beat(at, *scene.store["beat", at][:2])
    return scene.freeze()
