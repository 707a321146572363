# SPDX-License-Identifier: Apache-2.0
"""What is known of every item, also from outputs → the accounts and outcomes of a report. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ...index.skip_done import KeySet
from ...model.items import Chunk
from ...model.object_columns import ObjectColumns
from ...model.pull.findings import Accounts, ItemFailure
from ...model.run import Outcome, Plan, State
from ...model.selection import Outputs
from ...run.lines import split_lines
from ..payload import make_job_name
from .judge import NO_OUTPUT, LineState
from .ledger import ItemLedger

_SETTLED = (LineState.DONE, LineState.FAILED)
_JOB_ENDED = (*_SETTLED, LineState.UNCONFIRMED)


def account_items(
    plan: Plan, ledger: ItemLedger, failures: tuple[ItemFailure, ...] = ()
) -> Accounts:
    """The accounts; `failures` are the first failed items."""
    found = ledger.count()
    parts = (ledger.count(part.start, part.stop) for part in plan.chunks)
    return Accounts(
        done=found[LineState.DONE],
        failed=found[LineState.FAILED],
        unconfirmed=found[LineState.UNCONFIRMED],
        open_chunks=sum(count.total() > sum(count[each] for each in _JOB_ENDED) for count in parts),
        failures=failures,
    )


def list_outcomes(plan: Plan, ledger: ItemLedger) -> dict[int, Outcome]:
    """The outcome of every chunk, by its number."""
    return {chunk.number: _judge_chunk(plan, chunk, ledger) for chunk in plan.chunks}


def _judge_chunk(plan: Plan, chunk: Chunk, ledger: ItemLedger) -> Outcome:
    found = ledger.count(chunk.start, chunk.stop)
    detail = ledger.read_reason(chunk.start) if chunk.items == 1 else ""
    job = make_job_name(plan, f"{chunk.number}-1") if found[LineState.PENDING] < chunk.items else ""
    if sum(found[each] for each in _SETTLED) == chunk.items:
        state = State.SETTLED
    elif found[LineState.UNPROVEN]:
        state = State.UNCERTAIN
    elif found[LineState.PENDING]:
        state = State.PENDING
    else:
        state = State.INVOKED
    return Outcome(chunk, state, int(bool(job)), job, detail)


def settle_by_outputs(
    ledger: ItemLedger,
    index: Iterable[bytes],
    outputs: Outputs,
    existing: Iterable[ObjectColumns],
    *,
    final: bool = True,
) -> None:
    """Items whose output exists are done; others whose job has ended failed, if it is `final`.

    One listing of the outputs beside one reading of the index.

    `index` is the text of the index in pieces. Of every output 76 bits are kept.
    """
    found = KeySet(existing)
    for line, key in enumerate(split_lines(index)):
        if outputs.key(key) in found:
            ledger.record(line, LineState.DONE)
        elif final and ledger.read(line) is LineState.UNCONFIRMED:
            ledger.record(line, LineState.FAILED, NO_OUTPUT)
