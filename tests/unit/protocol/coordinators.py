# SPDX-License-Identifier: Apache-2.0
"""What a coordinator may do next. What it decides, the coordinator's own functions decide.

The order of its calls is that of drive/pull/watch.py and follow.py, one call to the storage or to
OSCAR a step: so it may die, or be paused, before and after each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from coordinator.drive import post_notes
from coordinator.drive.pull import ledger as ledgers
from coordinator.drive.pull import sealing
from coordinator.drive.pull.workers import judge
from coordinator.model.items import Chunk
from coordinator.model.pull.documents import (
    Beat,
    BeatState,
    ChunkResult,
    ItemOutcome,
    ItemState,
    Mark,
    Post,
)
from coordinator.model.pull.findings import WorkerState
from coordinator.model.pull.lanes import Lanes, Table, Timing
from coordinator.model.pull.rounds import IndexObject, Round
from coordinator.model.run import State, Verdict
from coordinator.report.values import BadDocument
from coordinator.run import lease as leases
from coordinator.run.layout import ResultKey

from .world import TICK_S, Case, Coord, Key, Look, Proc, Scene, Violation, World

Step = tuple[str, World]
TIMING = Timing()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PENDING_S = 120.0
_VERDICTS = {"accepted": State.INVOKED, "uncertain": State.UNCERTAIN, "": State.UNCERTAIN}


def list_steps(case: Case, world: World, at: int) -> Iterator[Step]:
    """The steps of one coordinator, and the answers of OSCAR that get lost."""
    coord = world.coords[at]
    if coord.paused or coord.pc in {"wait", "dead", "over"}:
        return
    if coord.pc == "post" and world.faults and "lost-post" in case.kinds:
        for created in (True, False):
            scene = Scene(case, world)
            scene.faults -= 1
            _post(scene, at, created=created, verdict="uncertain")
            yield f"lost-post {created} c{at}", scene.freeze()
    if coord.pc == "decide" and world.faults and "late" in case.kinds:  # chunk_timeout_s
        for key in _find_open(world, coord):
            scene = Scene(case, world)
            scene.faults -= 1
            scene.coords[at] = coord._replace(pc="hold", todo=("seal", key))
            yield f"gives up {key} c{at}", scene.freeze()
    scene = Scene(case, world)
    _STEPS[coord.pc](scene, at)
    yield f"{coord.pc} c{at}", scene.freeze()


def _change(scene: Scene, at: int, **values: Any) -> None:
    scene.coords[at] = scene.coords[at]._replace(**values)


def _enter(scene: Scene, at: int) -> None:
    """As take_lease: reads the leases, decides."""
    found = {key[1]: value for key, value in scene.find("lease").items()}
    ages = {epoch: value[2] * TICK_S for epoch, value in found.items()}
    left = bool(found) and found[max(found)][1]
    epoch = leases.choose_epoch(ages, TIMING.lease_ttl_s, left=left)
    if ("end",) in scene.store or epoch is None:
        scene.coords[at] = Coord("over")
    else:
        _change(scene, at, pc="take", todo=(epoch,))


def _take(scene: Scene, at: int) -> None:
    epoch = scene.coords[at].todo[0]
    if scene.put_new(("lease", epoch), (at, False, 0)):
        _change(scene, at, pc="entered", epoch=epoch, todo=())
    else:
        _change(scene, at, pc="enter", todo=())


def _find_entered(scene: Scene, at: int) -> None:
    """The run may have ended before the lease was taken."""
    if ("end",) in scene.store:
        scene.coords[at] = Coord("over")
    else:
        _change(scene, at, pc="resume")


def _resume(scene: Scene, at: int) -> None:
    """Takes over the workers that earlier coordinators invoked; asks again where it must."""
    coord, again = scene.coords[at], []
    for key, (number, lane, verdict) in scene.find("post").items():
        said = {"accepted": Verdict.ACCEPTED, "uncertain": Verdict.UNCERTAIN, "": ""}[verdict]
        post = Post(str(key[1:]), number, lane, "job", "", str(said))
        lacks = number == coord.round and not verdict
        if lacks and post_notes.must_send_again(post, named=scene.case.named):
            again.append((lane, key[1:]))
    _change(scene, at, pc="hold" if again else "look", todo=("post", *again) if again else ())


def _is_mine(scene: Scene, at: int) -> bool:
    """The look before each effect; the loser ends."""
    if max(key[1] for key in scene.find("lease")) > scene.coords[at].epoch:
        scene.coords[at] = Coord("over")
        return False
    return True


def _look(scene: Scene, at: int) -> None:
    """Reads the beats, and judges every worker of the round."""
    coord = scene.coords[at]
    known = {look.process: look for look in coord.looks}
    sightings: dict[tuple[int, int], list[judge.Sighting]] = {}
    for (_, process), (state, signal, age) in scene.find("beat").items():
        look = known.get(process)
        if look is None or not look.same:
            look = known[process] = Look(process, 0, True)
        beat = Beat(str(process), BeatState(state), signal=signal)
        first = NOW - timedelta(seconds=look.since * TICK_S)
        modified = NOW - timedelta(seconds=age * TICK_S)
        worker = scene.procs[process].worker
        sightings.setdefault(worker, []).append(judge.Sighting(beat, modified, first))
    waits, states = dict(coord.waits), []
    for key, (number, lane, verdict) in sorted(scene.find("post").items()):
        if number != coord.round:
            continue
        posted = NOW - timedelta(seconds=waits.setdefault(key[1:], 0) * TICK_S)
        seen = sightings.get(key[1:], [])
        state = judge.judge_worker(seen, posted, NOW, TIMING, PENDING_S)
        states.append((lane, verdict, state))
    _change(
        scene,
        at,
        pc="results",
        looks=tuple(sorted(known.values())),
        waits=tuple(sorted(waits.items())),
        states=tuple(states),
    )


def _read_results(scene: Scene, at: int) -> None:
    coord = scene.coords[at]
    found = tuple(sorted(key for key in scene.find("result") if key[1] <= coord.round))
    here = sum(key[1] == coord.round for key in found)
    idle = 0 if here > coord.results else coord.idle
    _change(scene, at, pc="decide", seen=found, results=here, idle=idle)


class Account:
    """What the ledger says of some results."""

    def __init__(self, ledger: ledgers.Ledger) -> None:
        self.open = ledger.count_open()
        self.open_chunks = ledger.open_chunks
        self.chunks = [(key.lane, key.chunk) for key, _ in ledger.list_open()]
        self.word = bytes(
            2 * failed + done
            for done, failed in zip(
                *map(ledger.match_lines, (ledgers.DONE, ledgers.FAILED)), strict=True
            )
        )
        self.has_retries = ledger.has_retries()
        self.chosen: tuple[int, ...] = ()
        if not self.open_chunks and self.has_retries:
            ledger.choose_retries()
            lines = enumerate(ledger.list_chosen(), start=1)
            self.chosen = tuple(line for line, chosen in lines if chosen)


@lru_cache(maxsize=100_000)
def account(tables: tuple[Any, ...], results: tuple[Any, ...]) -> Account:
    """The real ledger, from the results of some rounds."""
    ledger = ledgers.Ledger(sum(len(chunk[2]) for chunk in tables[0]))
    for number, table in enumerate(tables, start=1):
        if number > 1:
            ledger.choose_retries()
        try:
            ledger.begin_round(make_round(number, table))
        except BadDocument as error:
            raise Violation(f"round {number} has other items than its results say") from error
        for key, (writer, attempt, outcomes) in results:
            if key[1] == number:
                items = tuple(
                    ItemOutcome(line, ItemState(state), kind=kind) for line, state, kind in outcomes
                )
                result = ChunkResult(
                    str(writer), number, key[2], key[3], attempt, "", "", attempt == 0, items
                )
                ledger.add(ResultKey(key[2], key[3]), result)
    return Account(ledger)


def make_round(number: int, table: tuple[Any, ...]) -> Round:
    chunks, start = [], 0
    for at, (_, _, lines) in enumerate(table, start=1):
        chunks.append(Chunk(at, start, start + len(lines), 0, 0, 0))
        start += len(lines)
    lanes = max(chunk[0] for chunk in table)
    counts = tuple(sum(chunk[0] == lane for chunk in table) for lane in range(1, lanes + 1))
    return Round(number, IndexObject("", 0, ""), Lanes(counts, Table(0, 0)), tuple(chunks))


def _account(store: dict[Key, Any], coord: Coord) -> Account:
    tables = tuple(store["table", number] for number in range(1, coord.round + 1))
    return account(tables, tuple((key, store[key]) for key in coord.seen))


def _find_open(world: World, coord: Coord) -> list[tuple[int, int]]:
    return _account(dict(world.store), coord).chunks


def _decide(scene: Scene, at: int) -> None:
    """As Follower._find_end and _invoke_more, and watch._drive after it."""
    coord, store = scene.coords[at], scene.store
    known = _account(store, coord)
    if not known.open_chunks:
        next_table = ("table", coord.round + 1) in store
        again = known.has_retries and (coord.round <= scene.case.retries or next_table)
        ends = coord.why in {"hopeless", "stopped"}
        _change(scene, at, pc="hold", todo=("cut",) if again and not ends else ("end",))
        return
    if ("stop",) in store or coord.why == "stopped":
        working = any(state is WorkerState.WORKING for _, _, state in coord.states)
        todo = ("seal", *known.chunks)
        _change(scene, at, why="stopped")
        _change(scene, at, pc="wait") if working else _change(scene, at, pc="hold", todo=todo)
        return
    workers = [judge.Seen(lane, _VERDICTS[verdict], state) for lane, verdict, state in coord.states]
    claimed = {key[2:4] for key in scene.find("claim", coord.round)}
    unclaimed = len(store["table", coord.round]) - len(
        claimed | {key[2:4] for key in coord.seen if key[1] == coord.round}
    )
    situation = judge.Situation(workers, known.open, True, coord.idle, unclaimed if claimed else 0)
    if situation.is_hopeless:
        _change(scene, at, why="hopeless", pc="hold", todo=("seal", *known.chunks))
        return
    free = max(0, scene.case.slots - scene.count_running()) if situation.wants_slots() else 0
    lanes = judge.choose_lanes(situation, free)
    if not lanes:
        _change(scene, at, pc="wait")
        return
    if coord.states:
        _change(scene, at, idle=coord.idle + len(lanes))
    _change(scene, at, pc="hold", todo=("post", *((lane, None) for lane in lanes)))


def _hold(scene: Scene, at: int) -> None:
    """The look at the lease, and for a new worker at `stop`, before an effect."""
    if not _is_mine(scene, at):
        return
    kind = scene.coords[at].todo[0]
    if kind == "post" and ("stop",) in scene.store:
        _change(scene, at, pc="look", todo=())
    else:
        _change(scene, at, pc={"post": "note", "seal": "marks"}.get(kind, kind))


def _note(scene: Scene, at: int) -> None:
    """Notes an invocation before its request."""
    coord = scene.coords[at]
    lane, worker = coord.todo[1]
    number = coord.posted + (worker is None)
    worker = worker or (coord.epoch, number)
    scene.put_new(("post", *worker), (coord.round, lane, ""))
    _change(scene, at, pc="post", posted=number, todo=("post", (lane, worker), *coord.todo[2:]))


def _post(scene: Scene, at: int, *, created: bool = True, verdict: str = "accepted") -> None:
    """OSCAR starts the job, if the cluster has room; a job of that name it does not start twice."""
    coord = scene.coords[at]
    lane, worker = coord.todo[1]
    twin = scene.case.named and ("~job", *worker) in scene.store
    if created and not twin and scene.count_running() < scene.case.slots:
        scene.procs.append(Proc(worker, lane, coord.round))
        if scene.case.named:
            scene.store["~job", *worker] = 1
    _change(scene, at, pc="answered", why=coord.why)
    scene.coords[at] = scene.coords[at]._replace(
        todo=("post", (lane, worker, verdict), *coord.todo[2:])
    )


def _answered(scene: Scene, at: int) -> None:
    coord = scene.coords[at]
    lane, worker, verdict = coord.todo[1]
    scene.store["post", *worker] = (coord.round, lane, verdict)
    rest = coord.todo[2:]
    _change(scene, at, pc="hold" if rest else "wait", todo=("post", *rest) if rest else ())


def _read_marks(scene: Scene, at: int) -> None:
    coord = scene.coords[at]
    key = coord.todo[1]
    marks = {each[4]: value for each, value in scene.find("mark", coord.round, *key).items()}
    table = make_round(coord.round, scene.store["table", coord.round])
    chunk = table.chunks[table.lanes.find(*key) - 1]
    settled = sealing.merge_marks(
        [
            Mark(
                str(marks[attempt][0]),
                attempt,
                items=tuple(
                    ItemOutcome(line, ItemState(state), kind=kind)
                    for line, state, kind in marks[attempt][2]
                ),
            )
            for attempt in sorted(marks)
        ],
        chunk,
    )
    outcomes = tuple(
        (line, str(settled[line].state), settled[line].kind)
        if line in settled
        else (line, "pending", "")
        for line in range(chunk.first_line, chunk.last_line + 1)
    )
    _change(scene, at, pc="seal", todo=("seal", (key, outcomes), *coord.todo[2:]))


def _seal(scene: Scene, at: int) -> None:
    coord = scene.coords[at]
    key, outcomes = coord.todo[1]
    scene.put_new(("result", coord.round, *key), (-1 - at, 0, outcomes))
    rest = coord.todo[2:]
    _change(scene, at, pc="hold" if rest else "look", todo=("seal", *rest) if rest else ())


def _cut(scene: Scene, at: int) -> None:
    """Writes the next round; the table of another coordinator must be the same."""
    coord = scene.coords[at]
    chosen = _account(scene.store, coord).chosen
    table = tuple((1, number, (line,)) for number, line in enumerate(chosen, start=1))
    key = ("table", coord.round + 1)
    if not scene.put_new(key, table) and scene.store[key] != table:
        raise Violation(f"two tables of round {key[1]}: {scene.store[key]} and {table}")
    _change(
        scene, at, pc="look", round=key[1], seen=(), results=0, idle=0, states=(), waits=(), todo=()
    )


def _end(scene: Scene, at: int) -> None:
    coord = scene.coords[at]
    word = (_account(scene.store, coord).word, coord.round)
    if not scene.put_new(("end",), word) and scene.store["end",] != word:
        raise Violation(f"two last words: {scene.store['end',]} and {word}")
    scene.coords[at] = Coord("over")


_STEPS = {
    "enter": _enter,
    "take": _take,
    "entered": _find_entered,
    "resume": _resume,
    "look": _look,
    "results": _read_results,
    "decide": _decide,
    "hold": _hold,
    "note": _note,
    "post": _post,
    "answered": _answered,
    "marks": _read_marks,
    "seal": _seal,
    "cut": _cut,
    "end": _end,
}
