# SPDX-License-Identifier: Apache-2.0
"""Event mode: an invocation for each item, at most as many in flight as there are slots.

round 1   every item
round r   the items without an output after round r - 1; only `run.verify` finds these
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from ...model.errors import Ending
from ...model.items import Chunk
from ...model.run import Invocation, Plan
from ...model.service import Service
from ..bodies.event import write_event_body
from ..payload import make_job_name
from ..post_notes import describe_post, must_send_again
from ..progress import Progress
from .accounting import account_run, settle_items
from .job_run import Invoke, JobRun
from .judge import LineState
from .ledger import ItemLedger
from .order import Entry, order_items
from .view import JobView
from .window import Ports, Window

# One more invocation for each of this many slots, so that a free slot gets work at once.
_LOOK_AHEAD = 4
# One byte for each item: the last round in which it was sent.
MOST_ROUNDS = 255


def name_item_post(invocation: Invocation) -> str:
    """The name of an item's note: its round and its line are the end of the job's name."""
    line, _, number = invocation.job.rpartition("-")
    return _name_post(int(line.rpartition("-")[2]), int(number))


def drive_items(run: JobRun, invoke: Invoke, progress: Progress) -> tuple[Ending, str]:
    """Drives event mode to its end. After Ctrl-C the jobs go on. Raises BatchError."""
    ledger = ItemLedger(run.plan.index.items)
    view = JobView(run, ledger, progress)
    rounds = _read_rounds(run)
    if run.continued:
        settle_items(run, ledger, progress)

    def work() -> str:
        number = max(rounds, default=1) or 1
        while True:
            obstacle = _drive_round(run, invoke, view, ledger, rounds, number)
            settle_items(run, ledger, progress)
            missing = run.plan.index.items - ledger.count()[LineState.DONE]
            if obstacle or not run.proof or not missing or number > run.rules.retries:
                return obstacle
            number += 1

    return account_run(run, ledger, progress, work)


def make_item_invocation(
    plan: Plan, service: Service, entry: Entry, number: int, moment: datetime
) -> Invocation:
    """The storage event of one item in a round. Raises ValueError for a key that no object has."""
    line = entry.line + 1
    body = write_event_body(plan.data.bucket, entry.key, service.owner, moment)
    return Invocation(line, f"item {line}", make_job_name(plan, f"{line}-{number}"), body)


def _drive_round(
    run: JobRun,
    invoke: Invoke,
    view: JobView,
    ledger: ItemLedger,
    rounds: bytearray,
    number: int,
) -> str:
    """Sends and follows the items of a round. Returns why the run cannot go on, or empty."""
    plan, slots = run.plan, run.plan.capacity.slots

    def make(entry: Entry) -> Invocation:
        return make_item_invocation(plan, run.service, entry, number, view.started_at)

    ports = Ports(
        make=make,
        send=lambda invocations: invoke(number, invocations),
        find_stamp=run.proof.find_stamp if run.proof else None,
        list_jobs=lambda: run.oscar.list_jobs(plan.service),
        now_s=run.clock.now_s,
        wait=run.wait,
        note_end=partial(view.note_item, number),
        show=partial(view.show, number),
    )
    size = slots + max(1, slots // _LOOK_AHEAD)
    window = run.make_window(size, ports, ledger, mount=run.service.mount is not None)

    def read_part(part: Chunk) -> bytes:
        return run.state.read_range(plan.index_key, part.offset, part.length_bytes)

    window.run(_list_entries(run, window, ledger, rounds, number, make, read_part))
    return window.find_obstacle()


def _list_entries(
    run: JobRun,
    window: Window,
    ledger: ItemLedger,
    rounds: bytearray,
    number: int,
    make: Callable[[Entry], Invocation],
    read_part: Callable[[Chunk], bytes],
) -> Iterator[Entry]:
    """The items of a round to send; the window adopts those that were sent before."""
    for entry in order_items(run.plan.chunks, read_part):
        if ledger.read(entry.line) is LineState.DONE:
            continue
        if rounds[entry.line] == number:  # an earlier coordinator noted it
            post = run.posts.read(_name_post(entry.line + 1, number))
            if not must_send_again(post, named=run.named):
                window.adopt(entry, describe_post(post, make(entry)))
                continue
        rounds[entry.line] = number
        yield entry


def _read_rounds(run: JobRun) -> bytearray:
    """The last round of every line in which an earlier coordinator noted its invocation."""
    rounds = bytearray(run.plan.index.items)
    for name in run.posts.list_names() if run.continued else ():
        kind, _, rest = name.partition("-")
        number, _, line = rest.partition("-")
        known = kind == "item" and number.isdecimal() and line.isdecimal()
        if known and int(number) <= MOST_ROUNDS and 1 <= int(line) <= len(rounds):
            rounds[int(line) - 1] = max(rounds[int(line) - 1], int(number))
    return rounds


def _name_post(line: int, number: int) -> str:
    return f"item-{number:03}-{line:08}"
