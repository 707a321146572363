# SPDX-License-Identifier: Apache-2.0
"""The small runs that are searched."""

from __future__ import annotations

from .world import Case

ONE = ((1, 1, (1,)),)
PAIR = ((1, 1, (1, 2)),)
LANES = ((1, 1, (1,)), (2, 1, (2,)))
THREE = ((1, 1, (1,)), (1, 2, (2,)), (2, 1, (3, 4)))
FETCH, KILL, EVICT, BAD = {1: "fetch"}, {1: "kill"}, {1: "evict"}, {1: "bad"}
KILLERS = {1: "kill", 2: "kill"}


def _kinds(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Every state of these is visited.
SMALL = [
    Case("two processes of one payload", ONE, (1, 1), faults=1, kinds=_kinds("vanish")),
    Case("the storage is away", ONE, (1, 1), faults=2, kinds=_kinds("vanish gap")),
    Case("an item that kills", PAIR, (1,), KILL),
    Case("two items that kill", PAIR, (1,), KILLERS),
    Case("a coordinator alone", ONE, (), BAD, coordinators=1, retries=1, slots=1),
]

# These are searched breadth first up to a number of states, and at random.
LARGE = [
    Case("an item that ends its pod", ONE, (1, 1, 1), EVICT),
    Case("two processes", PAIR, (1, 1), faults=4, kinds=_kinds("kill vanish pause lost")),
    Case("two lanes", LANES, (1, 2), faults=2, kinds=_kinds("kill vanish pause lost gap")),
    Case("three chunks", THREE, (1, 2, 2), faults=3, kinds=_kinds("kill vanish pause lost")),
    Case("kills among faults", PAIR, (1, 1), KILL, 3, _kinds("vanish lost pause kill")),
    Case("an input that ends its pod", PAIR, (1,), FETCH, coordinators=1, retries=2, slots=1),
    Case("pods that vanish", PAIR, (1,), EVICT, 1, _kinds("crash"), 2, slots=1, retries=2),
    Case("a killed coordinator", ONE, (), BAD, 1, _kinds("crash"), 2, slots=1, retries=1),
    Case("two coordinators", PAIR, (1,), BAD, 3, _kinds("crash sleep kill"), 2, 1, retries=1),
    Case("lost answers of OSCAR", ONE, (), {}, 3, _kinds("lost-post crash vanish sleep"), 2, 2),
    Case("named jobs", ONE, (), {}, 3, _kinds("lost-post crash vanish"), 2, 2, named=True),
    Case("a stop", PAIR, (1,), BAD, 3, _kinds("stop sleep kill pause"), 2, 1, retries=1),
    Case("chunks given up", PAIR, (1,), BAD, 3, _kinds("pause mark late kill sleep"), 2, 2, 1),
    Case("a wake", LANES, (1, 2), BAD, 2, _kinds("wake crash vanish sleep gap"), 2, 2, 1),
]
