# SPDX-License-Identifier: Apache-2.0
"""Each rule of the protocol is put out of force once, and the search finds what goes wrong then."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from coordinator.drive.pull import ledger as ledgers
from coordinator.drive.pull import sealing
from coordinator.drive.pull.workers import judge
from coordinator.model.pull.findings import WorkerState
from coordinator.run import lease
from worker import oscar_batch_worker as kit

from . import processes
from .cases import EVICT, FETCH, KILL, ONE, PAIR
from .search import explore
from .world import Case, Scene

LIMIT = 60_000
_count_blame, _judge_worker = kit.count_blame, judge.judge_worker


def case(
    chunks: Any, lanes: Any, harm: Mapping[int, str] | None = None, *, kinds: str = "", **more: Any
) -> Case:
    faults = frozenset(kinds.split(",")) - {""}
    return Case("rule", chunks, lanes, harm or {}, kinds=faults, **more)


def blame_neighbours(marks: Any, looks: Any) -> Any:
    """Every item that is not settled is blamed, not the one in hand alone."""
    blame = _count_blame(marks, looks)
    worst = max(blame.values(), default=None)
    return dict.fromkeys((1, 2), worst) if worst else {}


def blame_twice(marks: Any, looks: Any) -> Any:
    return {line: (4, dead, seen) for line, (_, dead, seen) in _count_blame(marks, looks).items()}


def gone_at_once(first: Any, now: Any, failed_at: Any, timing: Any) -> bool:
    """One look at an old beat is enough."""
    return bool(now.ended or now.server_time - now.modified > timing.lost_after_s)


def keep_first_look(self: Any, process: str, claim: str) -> bool:
    """A call that failed once spoils a look for ever."""
    now = self.look(process, claim)
    first = self._first.get(process)
    if first is None or first.modified != now.modified:
        first = self._first[process] = now
    return kit.is_gone(first, now, self._folder.s3.failed_at, self._timing)


def gone_if_quiet(first: Any, now: Any, failed_at: Any, timing: Any) -> bool:
    """Two looks are enough, however young the beat is."""
    return bool(now.ended or now.at - first.at >= timing.look_gap_s)


def wrong_put(won_repeated: bool) -> Callable[..., bool]:
    def judge_put(status: int, *, repeated: bool, **rest: Any) -> bool:
        return 200 <= status < 300 or (won_repeated and repeated)

    return judge_put


def wake_always(age: Any, ages: Mapping[int, float], *, over: bool, timing: Any) -> int | None:
    newest = max(ages, default=0)
    return newest + 1 if newest < 3 else None


def overwrite(scene: Scene, key: Any, value: Any) -> bool:
    """A storage that ignores If-None-Match."""
    scene.store[key] = value
    return True


def never_gone(sighting: Any, now: Any, timing: Any) -> WorkerState:
    return WorkerState.WORKING


def wait_for_ever(*rest: Any) -> WorkerState:
    found = _judge_worker(*rest)
    return WorkerState.WAITING if found is WorkerState.NEVER_SEEN else found


def inherit_nothing(self: Any, items: Any) -> None:
    for item in items:
        if item.get("kind"):
            self.add(item)


def post_once(situation: Any, free_slots: int) -> list[int]:
    return [] if situation.workers else [1]


FAULTS = "kill,vanish,pause,lost"
DEAD = case(ONE, (1, 1), faults=1, kinds="vanish")
LOST = case(ONE, (1, 1), faults=1, kinds="lost")
AWAY = case(ONE, (1, 1), faults=1, kinds="gap")
RETRY = case(PAIR, (), {1: "bad", 2: "kill"}, coordinators=1, retries=1, slots=1)
MARKED = case(PAIR, (1,), faults=2, kinds="mark,vanish,late", coordinators=1, slots=1)
DROPS = case(ONE, (1,), coordinators=2, slots=1)

RULES: list[tuple[str, Any, str, Any, Case, str]] = [
    ("a result is never overwritten", Scene, "put_new", overwrite,
     case(ONE, (1, 1), {1: "bad"}, faults=1, kinds="pause"), "was .* and is"),
    ("a claimed chunk is not taken as unclaimed", kit, "choose_own",
     lambda count, claimed: list(range(1, count + 1)), DEAD, "does not end"),
    ("a chunk without a result is found", kit, "find_open", lambda views: [],
     DEAD, "has no result"),
    ("a chunk with a result is not repaired", kit, "find_open",
     lambda views: [((1, 1), view.claims[1]) for view in views.values() if view.claims],
     DEAD, "does not end"),
    ("somebody waits for the last chunks", kit, "may_watch", lambda mine, living: "leave",
     DEAD, "has no result"),
    ("a lost answer is judged by the object: it may be mine", kit, "judge_new_put",
     wrong_put(False), LOST, "does not end"),
    ("a lost answer is judged by the object: it may be another's", kit, "judge_new_put",
     wrong_put(True), LOST, "two processes make one attempt"),
    ("two looks, not one", kit, "is_gone", gone_at_once, AWAY, "which lives, is taken"),
    ("no failed call of the judge between the looks", kit, "may_prove",
     lambda first, now, failed_at, timing: first.modified == now.modified,
     AWAY, "which lives, is taken"),
    ("a beat younger than lost_after_s", kit, "is_gone", gone_if_quiet,
     case(ONE, (1, 1), faults=1, kinds="pause"), "is judged gone"),
    ("a new first look after a failed call", kit.Judge, "is_gone", keep_first_look,
     case(ONE, (1, 1), faults=2, kinds="vanish,gap"), "does not end"),
    ("a death blames the item in hand alone", kit, "count_blame", blame_neighbours,
     case(PAIR, (1,), KILL), "because of others' deaths"),
    ("one death is not enough", kit, "count_blame", blame_twice,
     case(ONE, (1,), faults=2, kinds="kill"), "because of others' deaths"),
    ("a death is blamed", kit, "count_blame", lambda marks, looks: {},
     case(ONE, (1,), KILL), "has ended [46] processes"),
    ("four points are enough", kit, "convict", lambda blame, keys: [],
     case(ONE, (1,), KILL), "has ended"),
    ("marks are merged", kit.Outcomes, "inherit", inherit_nothing,
     case(PAIR, (1,), {2: "kill"}), "are processed again"),
    ("the mark is written before the input is fetched", processes, "MARKS_FIRST", False,
     case(PAIR, (), FETCH, coordinators=1, slots=1), "has ended 6 processes"),
    ("a coordinator is woken if none lives", kit, "should_wake", wake_always,
     case(ONE, (1,), kinds="wake", coordinators=1, slots=1), "is woken"),
    ("a lease that is renewed is left alone", lease, "choose_epoch",
     lambda ages, ttl, *, left: max(ages, default=0) + 1, DROPS, "of one that lives"),
    ("a stale lease is taken", lease, "choose_epoch",
     lambda ages, ttl, *, left: None, DROPS, "does not end"),
    ("a lease has a new epoch", lease, "choose_epoch",
     lambda ages, ttl, *, left: max(ages, default=1), DROPS, "does not end"),
    ("a worker whose beats stopped is lost", judge, "judge_process", never_gone,
     case(ONE, (1,), faults=1, kinds="vanish", coordinators=1, slots=1), "does not end"),
    ("a worker that was never seen is lost", judge, "judge_worker", wait_for_ever,
     case(ONE, (), faults=1, kinds="lost-post", coordinators=1, slots=1), "does not end"),
    ("lost workers are replaced", judge, "choose_lanes", post_once,
     case(ONE, (1,), faults=1, kinds="vanish", coordinators=1, slots=1), "does not end"),
    ("killers are not retried", ledgers, "_FATES", {}, RETRY, "round 2 has"),
    ("who vanished is retried once", ledgers, "_take_state", lambda before, state: state,
     case(ONE, (), EVICT, coordinators=1, retries=3, slots=1), "round 3 has"),
    ("a round has its chunks' results first", ledgers.Ledger, "open_chunks", 0, DROPS,
     "without a result|last word says"),
    ("sealed results keep what marks say", sealing, "merge_marks", lambda marks, chunk: {},
     MARKED, "marks say that they are settled"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("owner", "name", "wrong", "case", "found"),
    [pytest.param(*rest, id=rule) for rule, *rest in RULES],
)
def test_a_rule_out_of_force_is_found(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, wrong: Any, case: Case, found: str
) -> None:
    right = explore(case._replace(most_states=3_000), settle_every=5)
    assert right.violation == ""
    monkeypatch.setattr(owner, name, wrong)
    broken = explore(case._replace(most_states=LIMIT), settle_every=5)
    assert broken.violation, f"{broken.states} states without a violation"
    assert re.search(found, broken.violation)
