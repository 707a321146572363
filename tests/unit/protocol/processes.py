# SPDX-License-Identifier: Apache-2.0
"""What a process of a worker may do next. What it decides, the worker's own functions decide."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from worker import oscar_batch_worker as kit

from .world import TICK_S, Case, Coord, Look, Outcome, Proc, Scene, Violation, World

Step = tuple[str, World]
TIMING = kit.Timing()
MARKS_FIRST = True
"""Whether a cautious attempt says which item is next before its input is fetched."""


def list_steps(case: Case, world: World, at: int) -> Iterator[Step]:
    """The steps of one process without faults, and the answers that get lost."""
    proc = world.procs[at]
    if proc.paused or proc.pc in {"wait", "dead", "over"}:
        return
    if proc.pc in {"claim", "result"} and world.faults and "lost" in case.kinds:
        for written in (True, False):
            scene = Scene(case, world)
            scene.faults -= 1
            if written:
                _put(scene, at)
            looks = tuple(look._replace(spoiled=True) for look in proc.looks)
            scene.procs[at] = proc._replace(repeated=True, shaky=True, looks=looks)
            yield f"answer {'written' if written else 'not written'} {at}", scene.freeze()
    if proc.pc == "judge" and len(proc.buffer) > 1:  # in any order
        for chosen in range(len(proc.buffer)):
            rest = proc.buffer[:chosen] + proc.buffer[chosen + 1 :]
            scene = Scene(case, world)
            scene.procs[at] = proc._replace(buffer=(proc.buffer[chosen], *rest))
            _STEPS[proc.pc](scene, at)
            yield f"judge {at}", scene.freeze()
        return
    if proc.pc == "item" and proc.job[2] == 1 and proc.outcomes and "mark" in case.kinds:
        scene = Scene(case, world)
        _write_mark(scene, at, 0)
        yield f"mark {at}", scene.freeze()
    scene = Scene(case, world)
    _STEPS[proc.pc](scene, at)
    yield f"{proc.pc} {at}", scene.freeze()


def end_process(scene: Scene, at: int, *, seen: bool) -> None:
    """A process dies: by a signal, and its shell starts another one, or with its pod."""
    proc = scene.procs[at]
    scene.hurt(at, 2 if seen else 1)
    scene.procs[at] = Proc(proc.worker, proc.lane, proc.round, "dead")
    if seen:
        scene.procs.append(Proc(proc.worker, proc.lane, proc.round, buries=at))


def _start(scene: Scene, at: int) -> None:
    proc = scene.procs[at]
    if proc.buries >= 0 and scene.store.get(("beat", proc.buries), ("",))[0] != "ended":
        scene.write_beat(proc.buries, "ended", 9)
        return
    scene.write_beat(at, "working")
    scene.procs[at] = scene.procs[at]._replace(pc="list", buries=-1)


def _end(scene: Scene, at: int) -> None:
    _wake(scene)
    scene.write_beat(at, "ended")
    proc = scene.procs[at]
    scene.procs[at] = Proc(proc.worker, proc.lane, proc.round, "over")


def _wake(scene: Scene) -> None:
    """Who ends wakes a coordinator, if none lives."""
    found = {key[1]: value[2] for key, value in scene.find("lease").items()}
    age_s = found[max(found)] * TICK_S if found else None
    wakes = {key[1]: value * TICK_S for key, value in scene.find("wake").items()}
    over = ("end",) in scene.store
    number = kit.should_wake(age_s, wakes, over=over, timing=TIMING)
    if "wake" not in scene.case.kinds or ("stop",) in scene.store or number is None:
        return
    if scene.put_new(("wake", number), 0):
        if over or found[max(found)] < 2:
            raise Violation("a coordinator is woken, and none is needed")
        if len(scene.coords) < scene.case.coordinators:
            scene.coords.append(Coord())


def _change(scene: Scene, at: int, **values: Any) -> None:
    """The process goes on: with its next claim, or the end if there is a `stop`."""
    if values.get("pc") == "claim" and ("stop",) in scene.store:
        values["pc"] = "end"
    scene.procs[at] = scene.procs[at]._replace(**values)


def _view(scene: Scene, proc: Proc, results: Any = None) -> dict[int, kit.LaneView]:
    lanes = _count(scene, proc)
    found = scene.find("result", proc.round) if results is None else results
    claims = scene.find("claim", proc.round)
    views = {}
    for lane in range(1, len(lanes) + 1):
        newest: dict[int, int] = {}
        for key in sorted(key for key in claims if key[2] == lane):
            newest[key[3]] = max(newest.get(key[3], 0), key[4])
        views[lane] = kit.LaneView(newest, {key[3] for key in found if key[2] == lane})
    return views


def _count(scene: Scene, proc: Proc) -> list[int]:
    chunks = scene.store["table", proc.round]
    return [
        sum(chunk[0] == lane for chunk in chunks)
        for lane in range(1, max(chunk[0] for chunk in chunks) + 1)
    ]


def _list(scene: Scene, at: int) -> None:
    """Looks for chunks, as the worker does: its own, those of others, those to repair."""
    proc, lanes = scene.procs[at], _count(scene, scene.procs[at])
    if proc.phase == "own":
        own = kit.choose_own(lanes[proc.lane - 1], _view(scene, proc)[proc.lane].claims)
        todo = tuple((proc.lane, chunk, 1) for chunk in own)
        if todo:
            _change(scene, at, pc="claim", todo=todo)
        else:
            _change(scene, at, phase="steal" if len(lanes) > 1 else "repair")
    elif proc.phase == "steal":
        stolen = kit.choose_theft(lanes, _view(scene, proc))[:1]
        if stolen:
            _change(scene, at, pc="claim", todo=((*stolen[0], 1),))
        else:
            _change(scene, at, phase="repair")
    elif proc.buffer == ():  # the first of two lists
        _change(scene, at, buffer=("results", *sorted(scene.find("result", proc.round))))
    else:
        views = _view(scene, proc, proc.buffer[1:])
        unclaimed = [
            (lane, chunk, 1)
            for lane, view in views.items()
            for chunk in kit.choose_own(lanes[lane - 1], view.claims)
        ]
        waiting = tuple((*chunk, newest) for chunk, newest in kit.find_open(views))
        if unclaimed:
            _change(scene, at, pc="claim", todo=tuple(unclaimed[:1]), buffer=())
        elif waiting:
            _change(scene, at, pc="judge", buffer=waiting)
        else:
            _change(scene, at, pc="end", buffer=())


def _is_gone(scene: Scene, at: int, other: int) -> bool:
    """The real judge, with the looks that this process remembers."""
    folder: Any = _Folder(scene)
    proc, judge = scene.procs[at], kit.Judge(folder, TIMING, lambda: 0.0)
    known = {look.process: look for look in proc.looks}
    age = scene.store.get(("beat", other), ("", None, 3))[2]
    failed_at = 0.0 if proc.shaky else None
    if look := known.get(other):
        modified = -age * TICK_S if look.same else -1e6
        first = judge._first[str(other)] = kit.Look(-look.since * TICK_S, modified, 0.0)
        failed_at = first.at if look.spoiled and failed_at is None else failed_at
    folder.s3.failed_at = failed_at
    gone = judge.is_gone(str(other), "")
    first = judge._first[str(other)]
    if first.at == 0.0 and not (look and look.same and look.since == 0):
        known[other] = Look(other, 0, True, proc.shaky)
    looks = tuple(sorted(known.values()))
    scene.procs[at] = proc._replace(looks=looks)
    return gone


class _Folder:
    """What a judge reads of the run folder."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.s3 = SimpleNamespace(failed_at=None)

    def read(self, name: str) -> Any:
        process = name.removeprefix("beats/").removesuffix(".json")
        found = self._scene.store.get(("beat", int(process))) if process else None
        if found is None:
            return None
        state, signal, age = found
        document = {"state": state, "signal": signal}
        return SimpleNamespace(document=document, modified=-age * TICK_S, server_time=0.0)


def _judge(scene: Scene, at: int) -> None:
    proc = scene.procs[at]
    lane, chunk, newest = proc.buffer[0]
    claimant = scene.store["claim", proc.round, lane, chunk, newest]
    if not _is_gone(scene, at, claimant):
        if rest := proc.buffer[1:]:
            _change(scene, at, buffer=rest)
        else:
            _change(scene, at, pc="watch", buffer=())
    else:
        _change(scene, at, pc="exists")


def _exists(scene: Scene, at: int) -> None:
    """After the beat, the result: a process that has just ended has left its result."""
    proc = scene.procs[at]
    lane, chunk, newest = proc.buffer[0]
    if ("result", proc.round, lane, chunk) in scene.store:
        rest = proc.buffer[1:]
        _change(scene, at, pc="judge" if rest else "watch", buffer=rest)
    else:
        _change(scene, at, pc="claim", todo=((lane, chunk, newest + 1),), buffer=())


def _watch(scene: Scene, at: int) -> None:
    proc = scene.procs[at]
    watchers = {key[2]: value for key, value in scene.find("watcher", proc.round).items()}
    living = {}
    for number in sorted(watchers, reverse=True)[:2]:
        state, _, age = scene.store["beat", watchers[number]]
        living[number] = watchers[number] == at or (state != "ended" and age < 2)
    choice = kit.may_watch(proc.watcher or None, living)
    if choice == "leave" or ("stop",) in scene.store:
        _change(scene, at, pc="end")
    elif choice == "join":
        number = max(watchers, default=0) + 1
        scene.put_new(("watcher", proc.round, number), at)
        _change(scene, at, watcher=number, pc="list")
    else:
        _change(scene, at, pc="wait")


def _lines(scene: Scene, proc: Proc) -> dict[int, int]:
    """The lines of the chunk in hand → those of the whole run."""
    start = 1
    for lane, chunk, lines in scene.store["table", proc.round]:
        if (lane, chunk) == proc.job[:2]:
            return {start + at: line for at, line in enumerate(lines)}
        start += len(lines)
    raise KeyError(proc.job)


def _put(scene: Scene, at: int) -> tuple[int, Any]:
    """The PUT of a new object: its status, and what is stored then."""
    proc = scene.procs[at]
    if proc.pc == "claim":
        key: tuple[Any, ...] = ("claim", proc.round, *proc.todo[0])
        status = 200 if scene.put_new(key, at) else 412
        return status, {"process": str(scene.store[key]), "attempt": proc.todo[0][2]}
    key = ("result", proc.round, *proc.job[:2])
    status = 200 if scene.put_new(key, (at, proc.job[2], proc.outcomes)) else 412
    stored = scene.store[key]
    return status, {"process": str(stored[0]), "attempt": stored[1]}


def _claim(scene: Scene, at: int) -> None:
    proc = scene.procs[at]
    status, stored = _put(scene, at)
    attempt = proc.todo[0][2]
    won = kit.judge_new_put(
        status, repeated=proc.repeated, stored=stored, process=str(at), attempt=attempt
    )
    if won:
        pc = "item" if attempt == 1 else "check"
        _change(scene, at, pc=pc, job=proc.todo[0], todo=proc.todo[1:], repeated=False)
    else:
        rest = proc.todo[1:]
        _change(scene, at, pc="claim" if rest else "list", todo=rest, repeated=False)


def _check(scene: Scene, at: int) -> None:
    proc = scene.procs[at]
    if ("result", proc.round, *proc.job[:2]) in scene.store:
        _leave_chunk(scene, at)
    else:
        _change(scene, at, pc="inherit")


def _inherit(scene: Scene, at: int) -> None:
    """Reads the marks of the earlier attempts, one each step, each before its process's beat."""
    proc, number = scene.procs[at], len(scene.procs[at].buffer) + 1
    lane, chunk, attempt = proc.job
    mark = scene.store.get(("mark", proc.round, lane, chunk, number))
    beat = scene.store.get(("beat", mark[0]), ("", None))[:2] if mark else None
    buffer = (*proc.buffer, (mark, beat))
    if number + 1 < attempt:
        _change(scene, at, buffer=buffer)
        return
    lines = _lines(scene, proc)
    outcomes = kit.Outcomes(min(lines), max(lines))
    marks: dict[int, Any] = {}
    looks: dict[str, kit.Look] = {}
    for number, (mark, beat) in enumerate(buffer, 1):
        if mark:
            outcomes.inherit(_expand(mark[2]))
            marks[number] = {"process": str(mark[0]), "item": mark[1] or None}
            looks[str(mark[0])] = kit.Look(0.0, 0.0, 0.0, beat[0] == "ended", beat[1])
    outcomes.inherit(kit.convict(kit.count_blame(marks, looks), dict.fromkeys(lines, "key")))
    found = tuple((each["line"], each["state"], each.get("kind", "")) for each in outcomes)
    pc = "finish" if len(found) == len(lines) else "item"
    _change(scene, at, pc=pc, outcomes=found, buffer=())


def _expand(outcomes: tuple[Outcome, ...]) -> Iterator[dict[str, Any]]:
    for line, state, kind in outcomes:
        failure = kit.Failure(kind, kind) if state == "failed" else None
        yield kit.make_outcome(line, 0.0, 1, failure)


def _find_line(scene: Scene, proc: Proc) -> tuple[int, int]:
    settled = {each[0] for each in proc.outcomes}
    return next(pair for pair in _lines(scene, proc).items() if pair[0] not in settled)


def _write_mark(scene: Scene, at: int, line: int) -> None:
    proc = scene.procs[at]
    scene.store["mark", proc.round, *proc.job] = (at, line, proc.outcomes)


def _item(scene: Scene, at: int) -> None:
    """The next item; a cautious attempt first says which."""
    proc = scene.procs[at]
    if ("stop",) in scene.store:
        _write_mark(scene, at, 0)
        _change(scene, at, pc="end", job=(0, 0, 0), outcomes=())
    elif proc.job[2] == 1:
        _work(scene, at)
    elif not MARKS_FIRST and scene.case.harm.get(_find_line(scene, proc)[1]) == "fetch":
        _die_of(scene, at, "fetch")
    else:
        _write_mark(scene, at, _find_line(scene, proc)[0])
        _change(scene, at, pc="work")


def _work(scene: Scene, at: int) -> None:
    proc = scene.procs[at]
    line, item = _find_line(scene, proc)
    harm = scene.case.harm.get(item, "")
    if harm in {"kill", "evict", "fetch"}:
        _die_of(scene, at, harm)
        return
    if not harm:
        scene.store["output", item] = 1
    outcome = (line, "failed", "exit") if harm == "bad" else (line, "done", "")
    outcomes = tuple(sorted((*proc.outcomes, outcome)))
    whole = len(outcomes) == len(_lines(scene, proc))
    pc = ("finish" if proc.job[2] > 1 else "result") if whole else "item"
    _change(scene, at, pc=pc, outcomes=outcomes)


def _die_of(scene: Scene, at: int, harm: str) -> None:
    key = ("~deaths", scene.procs[at].round, _find_line(scene, scene.procs[at])[1], harm)
    scene.store[key] = scene.store.get(key, 0) + 1
    end_process(scene, at, seen=harm == "kill")


def _finish(scene: Scene, at: int) -> None:
    _write_mark(scene, at, 0)
    _change(scene, at, pc="result")


def _result(scene: Scene, at: int) -> None:
    _put(scene, at)  # whoever was first
    _leave_chunk(scene, at)


def _leave_chunk(scene: Scene, at: int) -> None:
    pc = "claim" if scene.procs[at].todo else "list"
    _change(scene, at, pc=pc, job=(0, 0, 0), outcomes=(), buffer=(), repeated=False)


_STEPS = {
    "start": _start,
    "list": _list,
    "judge": _judge,
    "exists": _exists,
    "watch": _watch,
    "claim": _claim,
    "check": _check,
    "inherit": _inherit,
    "item": _item,
    "work": _work,
    "finish": _finish,
    "result": _result,
    "end": _end,
}
