# SPDX-License-Identifier: Apache-2.0
"""Walks through the states of a case: all of them, or at random; and every run has to end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from . import coordinators, processes
from .invariants import check_ended, check_state, check_step
from .world import OLDEST, Case, Coord, Scene, Violation, World, begin, tick

MOST_STEPS = 500
Step = tuple[str, World]


class Found(NamedTuple):
    """What a search has seen."""

    states: int
    whole: bool
    """Whether there are no other states."""
    violation: str = ""
    trace: tuple[str, ...] = ()


def list_steps(case: Case, world: World) -> Iterator[Step]:
    """All that may happen next."""
    for at, proc in enumerate(world.procs):
        yield from processes.list_steps(case, world, at)
        if proc.paused:
            yield f"goes on {at}", _pause_process(case, world, at, paused=False)
    for at, coord in enumerate(world.coords):
        yield from coordinators.list_steps(case, world, at)
        if coord.paused:
            yield f"goes on c{at}", _pause_coordinator(case, world, at, paused=False)
    if len(world.coords) < case.coordinators and not any(
        each.pc in {"enter", "take"} for each in world.coords
    ):
        yield "drop", world._replace(coords=(*world.coords, Coord()))
    yield "tick", tick(case, world)
    if world.faults:
        yield from _list_faults(case, world)


def _list_faults(case: Case, world: World) -> Iterator[Step]:
    kinds = case.kinds
    for at, proc in enumerate(world.procs):
        if not proc.lives:
            continue
        for kind in sorted(kinds & {"kill", "vanish"}):
            scene = Scene(case, world)
            scene.faults -= 1
            processes.end_process(scene, at, seen=kind == "kill")
            yield f"{kind} {at}", scene.freeze()
        if "pause" in kinds and not proc.paused and proc.pc not in {"start", "wait"}:
            yield f"pause {at}", _pause_process(case, world, at, paused=True)
    for at, coord in enumerate(world.coords):
        if not coord.lives:
            continue
        if "crash" in kinds:
            coords = (*world.coords[:at], Coord("dead"), *world.coords[at + 1 :])
            yield f"crash c{at}", world._replace(coords=coords, faults=world.faults - 1)
        if "sleep" in kinds and not coord.paused and coord.epoch and coord.pc != "wait":
            yield f"pause c{at}", _pause_coordinator(case, world, at, paused=True)
    if "gap" in kinds:
        yield "gap", _cut_off(case, world)
    if "stop" in kinds:
        scene = Scene(case, world)
        if scene.put_new(("stop",), 1):
            scene.faults -= 1
            yield "stop", scene.freeze()


def _cut_off(case: Case, world: World) -> World:
    """The storage answers nobody for minutes: nobody beats, and every call fails."""
    scene = Scene(case, world)
    scene.faults -= 1
    for at, proc in enumerate(scene.procs):
        if proc.lives:
            looks = tuple(look._replace(spoiled=True, since=2) for look in proc.looks)
            scene.procs[at] = proc._replace(shaky=True, looks=looks)
    for at, coord in enumerate(scene.coords):  # as Looks: what it saw before proves nothing
        looks = tuple(look._replace(same=False) for look in coord.looks)
        scene.coords[at] = coord._replace(looks=looks)
    for key, value in world.store:
        if key[0] in {"beat", "lease"}:
            scene.store[key] = (*value[:2], OLDEST)
    return scene.freeze()


def _pause_process(case: Case, world: World, at: int, *, paused: bool) -> World:
    scene = Scene(case, world)
    if paused:
        scene.faults -= 1
        scene.hurt(at, 0)
        scene.store["~paused", at] = 1
    scene.procs[at] = scene.procs[at]._replace(paused=paused)
    return scene.freeze()


def _pause_coordinator(case: Case, world: World, at: int, *, paused: bool) -> World:
    coord = world.coords[at]._replace(paused=paused)
    faults = world.faults - paused
    return world._replace(
        coords=(*world.coords[:at], coord, *world.coords[at + 1 :]), faults=faults
    )


def explore(case: Case, settle_every: int = 20) -> Found:
    """Every state of a case, breadth first, up to its limit. States are known by their hashes."""
    coordinators.account.cache_clear()
    first = begin(case)
    visited: dict[int, tuple[int, str]] = {hash(first): (0, "")}
    ending: set[int] = set()
    queue, world, label, popped = deque([first]), first, "", -1
    try:
        while queue:
            if len(visited) > case.most_states:
                return Found(len(visited), False)
            world, label = queue.popleft(), "runs on"
            before = hash(world)
            popped += 1
            if popped % settle_every == 0:
                settle(case, world, ending)
            label = "steps"
            for label, after in list_steps(case, world):
                check_step(case, world, after)
                if (number := hash(after)) not in visited:
                    check_state(case, after)
                    visited[number] = (before, label)
                    queue.append(after)
    except Violation as error:
        trace, number = [label], hash(world)
        while visited[number][0]:
            number, step = visited[number]
            trace.append(step)
        return Found(len(visited), False, str(error), tuple(reversed(trace)))
    return Found(len(visited), True)


def walk(case: Case, seed: int, walks: int, steps: int = 150) -> Found:
    """Random walks; each of them is driven to its end."""
    coordinators.account.cache_clear()
    dice, states, ending = Random(seed), set[int](), set[int]()
    for _ in range(walks):
        world, trace = begin(case), list[str]()
        try:
            for _ in range(steps):
                ways = list(list_steps(case, world))
                label, after = _choose(dice, ways)
                trace.append(label)
                check_step(case, world, after)
                check_state(case, after)
                world = after
                states.add(hash(world))
            trace.append("runs on")
            settle(case, world, ending)
        except Violation as error:
            return Found(len(states), False, str(error), tuple(trace))
    return Found(len(states), False)


def _choose(dice: Random, ways: list[Step]) -> Step:
    """Work is more frequent than faults and minutes."""
    weights = [1 if label.split()[0] in _RARE else 6 for label, _ in ways]
    return dice.choices(ways, weights)[0]


_RARE = {
    "goes",
    "tick",
    "kill",
    "vanish",
    "pause",
    "crash",
    "stop",
    "answer",
    "lost-post",
    "gap",
    "gives",
    "drop",
}


def settle(case: Case, world: World, ending: set[int]) -> None:
    """Without any more faults the run ends: everybody goes on, the config is dropped again."""
    passed: list[int] = []
    coordinated = case.coordinators > 0
    world = world._replace(
        faults=0,
        procs=tuple(each._replace(paused=False) for each in world.procs),
        coords=tuple(each._replace(paused=False) for each in world.coords),
    )
    for _ in range(MOST_STEPS):
        known = hash(world) in ending
        if known or _has_ended(case, world):
            if not known:
                check_ended(case, world)
            ending.update(passed)
            return
        passed.append(hash(world))
        before = world
        for at in range(len(world.procs)):
            for _, after in list(processes.list_steps(case, world, at))[-1:]:
                check_step(case, world, after)
                world = after
        for at in range(len(world.coords)):
            for _, after in list(coordinators.list_steps(case, world, at))[-1:]:
                check_step(case, world, after)
                world = after
        check_state(case, world)
        if coordinated and not any(each.lives for each in world.coords):
            for _ in range(OLDEST):  # until the last lease counts no more
                world = tick(case, world)
            world = world._replace(coords=(*world.coords, Coord()))
        if world == before:
            world = tick(case, world)
            if world == before:
                raise Violation(f"the run does not end: nothing happens any more; {world}")
    raise Violation(f"the run does not end within {MOST_STEPS} steps: {world}")


def _has_ended(case: Case, world: World) -> bool:
    if case.coordinators:
        return (("end",) in dict(world.store)) and not any(each.lives for each in world.procs)
    return not any(each.lives for each in world.procs)
