# SPDX-License-Identifier: Apache-2.0
"""What the protocol promises, as checks of a state and of a step. They use no decision function."""

from __future__ import annotations

from typing import Any

from .world import OLDEST, Case, Key, Violation, World

_FIXED = {"result", "table", "end", "claim", "output"}
MOST_SEEN, MOST_DEATHS = 3, 5


def check_step(case: Case, before: World, after: World) -> None:
    """What is written once stays: results, rounds, claims, the last word."""
    for coord, later in zip(before.coords, after.coords, strict=False):
        if (coord.pc, later.pc) == ("enter", "take"):
            _check_lease(dict(before.store))
        if (coord.pc, later.pc) == ("marks", "seal"):
            _check_seal(before, coord.round, later.todo[1])
    for proc, next_ in zip(before.procs, after.procs, strict=False):
        if (proc.pc, next_.pc) == ("judge", "exists"):
            _check_verdict(dict(before.store), proc.round, next_.buffer[0])
    if before.store == after.store:
        return
    now = dict(after.store)
    if len(now) > len(before.store):
        _check_new(dict(before.store), before, now)
    for key, value in before.store:
        if key[0] in _FIXED and now.get(key) != value:
            raise Violation(f"{key} was {value} and is {now.get(key)}")


def _check_lease(store: dict[Key, Any]) -> None:
    """Nobody takes a run whose coordinator lives."""
    found = {key[1]: value for key, value in store.items() if key[0] == "lease"}
    if found and not found[max(found)][1] and found[max(found)][2] < 2:
        raise Violation("a coordinator takes the lease of one that lives")


def _check_verdict(store: dict[Key, Any], number: int, job: tuple[int, ...]) -> None:
    """Nobody is judged gone whose beat is young."""
    owner = store["claim", number, *job]
    state, _, age = store["beat", owner]
    if state != "ended" and age < OLDEST:
        raise Violation(f"process {owner} is judged gone, and its beat is {age} minutes old")


def _check_seal(before: World, number: int, sealed: tuple[Any, Any]) -> None:
    """What the marks of dead processes say is settled stays so."""
    chunk, outcomes = sealed
    pending = {each[0] for each in outcomes if each[1] == "pending"}
    if lost := pending & find_settled(dict(before.store), before, (number, *chunk), 1_000):
        raise Violation(f"lines {lost} are pending, and marks say that they are settled")


def _check_new(store: dict[Key, Any], before: World, now: dict[Key, Any]) -> None:
    """Nobody takes the chunk of a process that lives and was never paused."""
    for key in now.keys() - store.keys():
        if key[0] == "claim" and key[4] > 1:
            owner = store["claim", *key[1:4], key[4] - 1]
            if before.procs[owner].lives and ("~paused", owner) not in store:
                raise Violation(f"chunk {key[2:4]} of process {owner}, which lives, is taken")


def find_settled(
    store: dict[Key, Any], world: World, chunk: tuple[Any, ...], attempt: int
) -> set[int]:
    """What the marks of earlier attempts say, of processes that died and were never paused."""
    return {
        outcome[0]
        for key, (writer, _, outcomes) in (
            each for each in store.items() if each[0][0] == "mark" and each[0][1:4] == chunk
        )
        if key[4] < attempt and world.procs[writer].pc == "dead"
        if ("~paused", writer) not in store
        for outcome in outcomes
    }


def check_state(case: Case, world: World) -> None:
    """What must hold at any moment."""
    store = dict(world.store)
    jobs = [(each.round, *each.job) for each in world.procs if each.lives and each.job[2]]
    if len(set(jobs)) < len(jobs):
        raise Violation(f"two processes make one attempt: {jobs}")
    for proc in world.procs:
        if proc.pc == "work":
            settled = {each[0] for each in proc.outcomes}
            known = find_settled(store, world, (proc.round, *proc.job[:2]), proc.job[2])
            if known - settled:
                raise Violation(f"lines {known - settled} are settled, and are processed again")
    for key, value in world.store:
        if key[0] == "result":
            _check_result(case, store, key, value)
        elif key[0] == "~deaths":
            deaths = sum(value for each, value in world.store if each[:3] == key[:3])
            most = MOST_SEEN if key[3] == "kill" and not _may_hide(case) else MOST_DEATHS
            if deaths > most:
                raise Violation(f"item {key[2]} has ended {deaths} processes in round {key[1]}")
        elif key[0] == "table" and key[1] > 1:
            _check_table(store, key)
        elif key[0] == "end":
            _check_end(store, value)


def _may_hide(case: Case) -> bool:
    """Whether a fault may make a death by a signal look like one that nobody saw."""
    return case.faults > 0


def _check_result(case: Case, store: dict[Key, Any], key: Key, value: Any) -> None:
    lines = find_lines(store, key[1], key[2:4])
    writer, _, outcomes = value
    if [each[0] for each in outcomes] != sorted(lines):
        raise Violation(f"{key} has other lines than its chunk: {outcomes}")
    for line, state, kind in outcomes:
        item = lines[line]
        if state == "done" and ("output", item) not in store:
            raise Violation(f"item {item} is done without its output")
        if state == "pending" and writer >= 0:
            raise Violation(f"item {item} is pending in the result of a worker")
        if state == "done" and case.harm.get(item) in {"bad", "kill", "evict", "fetch"}:
            raise Violation(f"item {item} cannot be done")
        if state == "failed" and not kind:
            raise Violation(f"item {item} failed without a reason")
        if kind in {"killed its worker", "vanished"}:
            _check_blame(store, key, line, item)


def _check_blame(store: dict[Key, Any], key: Key, line: int, item: int) -> None:
    """Whoever is failed for deaths was in hand in that many."""
    points: dict[int, int] = {}
    for each, value in store.items():
        if each[0] == "~fate" and each[1:4] == key[1:4] and each[5] in {0, line}:
            points[each[4]] = max(points.get(each[4], 0), value)
    if sum(points.values()) < 4:
        raise Violation(f"item {item} failed because of others' deaths: {points}")


def _check_table(store: dict[Key, Any], key: Key) -> None:
    """A round has what was not done, and may be done: never a killer, and once who vanished."""
    chosen = sorted(line for chunk in store[key] for line in chunk[2])
    wanted = []
    for item, history in find_histories(store, key[1] - 1).items():
        last = history[-1]
        again = last in {"pending", "exit"} or (last == "vanished" and history.count(last) == 1)
        wanted += [item] if again and len(history) == key[1] - 1 else []
    if chosen != sorted(wanted):
        raise Violation(f"round {key[1]} has {chosen}, and its results say {sorted(wanted)}")


def _check_end(store: dict[Key, Any], value: Any) -> None:
    """The last word is what the results say, and they say it of every item."""
    word, rounds = value
    newest = max(key[1] for key in store if key[0] == "table")
    if newest > rounds:
        raise Violation(f"the last word is of round {rounds}, and there is a round {newest}")
    last = {item: history[-1] for item, history in find_histories(store, rounds).items()}
    said = {"done": 1, "pending": 0}
    for item, found in last.items():
        if word[item - 1] != said.get(found, 2):
            raise Violation(f"the last word says {word[item - 1]} of item {item}: {found}")
    for number in range(1, rounds + 1):
        for chunk in store["table", number]:
            if ("result", number, *chunk[:2]) not in store:
                raise Violation(f"the run has ended without a result of chunk {chunk[:2]}")


def find_lines(store: dict[Key, Any], number: int, chunk: tuple[int, int]) -> dict[int, int]:
    start = 1
    for lane, name, lines in store["table", number]:
        if (lane, name) == chunk:
            return {start + at: line for at, line in enumerate(lines)}
        start += len(lines)
    raise Violation(f"there is no chunk {chunk}")


def find_histories(store: dict[Key, Any], rounds: int) -> dict[int, list[str]]:
    """What each round says of each item: done, pending, or the kind of its failure."""
    histories: dict[int, list[str]] = {}
    for number in range(1, rounds + 1):
        for lane, chunk, lines in store["table", number]:
            result = store.get(("result", number, lane, chunk))
            for at, item in enumerate(lines):
                found = result[2][at] if result else (0, "nothing", "")
                histories.setdefault(item, []).append(found[2] or found[1])
    return histories


def check_ended(case: Case, world: World) -> None:
    """At the end of a run that nobody ended early, every chunk has a result."""
    store = dict(world.store)
    if case.coordinators or ("stop",) in store:
        return
    for lane, chunk, _ in store["table", 1]:
        if ("result", 1, lane, chunk) not in store and any(
            proc.pc == "over" for proc in world.procs
        ):
            raise Violation(f"all workers have ended, and chunk {(lane, chunk)} has no result")
