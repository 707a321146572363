# SPDX-License-Identifier: Apache-2.0
"""Range mode: an invocation for each chunk of a round. Jobs are followed if outputs prove items.

round 1   the chunks of the plan
round r   the items without an output after round r - 1, in an index and chunks of their own
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import compress, islice

from ...index.builder import IndexBuilder
from ...model.errors import Conflict, Ending, StopRequested, StorageError
from ...model.object_columns import ObjectColumns
from ...model.planning import ChunkRules, Cost
from ...model.pull.lanes import Lanes, Table
from ...model.pull.rounds import IndexObject, Round
from ...model.run import Invocation, Sent
from ...plan.choose import choose_chunks
from ...run.chunk_table import measure_table, write_table
from ...run.lines import split_lines
from ...run.store import read_round
from ..endings import end_with_sent, is_under_way
from ..payload import make_range_invocations
from ..post_notes import describe_post, must_send_again
from ..progress import Progress
from .accounting import account_run, settle_items, stop_run
from .job_run import Invoke, JobRun
from .judge import LineState
from .ledger import ItemLedger
from .order import Entry
from .view import JobView
from .window import Ports

_INDEX_TYPE = "text/plain; charset=utf-8"
_MOST_TABLE_BYTES = 512 * 1024 * 1024
_BATCH = 10_000


def name_range_post(invocation: Invocation) -> str:
    """The name of a chunk's note: its round and its number are the end of the job's name."""
    chunk, _, number = invocation.job.rpartition("-")
    return f"chunk-{int(number):03}-{int(chunk.rpartition('-')[2]):07}"


def drive_ranges(
    run: JobRun, invoke: Invoke, progress: Progress, *, follow: bool
) -> tuple[Ending, str]:
    """Drives range mode to its end. After Ctrl-C the jobs go on. Raises BatchError."""
    round_, ledger = _find_round(run), ItemLedger(run.plan.index.items)
    try:
        with progress.stage("invoke"):
            sent = _send_round(run, invoke, progress, round_)
    except StopRequested as error:
        return stop_run(run, ledger, progress, error)
    if not follow or not is_under_way(sent):
        # Nobody will follow these jobs, so nothing more happens in this run.
        progress.over = is_under_way(sent)
        return end_with_sent(run.plan, sent)

    view = JobView(run, ledger, progress)

    def work() -> str:
        current, answers = round_, sent
        while True:
            obstacle = _watch_round(run, current, answers, ledger, view)
            settle_items(run, ledger, progress)
            missing = run.plan.index.items - ledger.count()[LineState.DONE]
            if obstacle or not run.proof or not missing or current.number > run.rules.retries:
                return obstacle
            lines = (n for n, state in enumerate(ledger.states) if state != LineState.DONE)
            view.begin_round(current.number + 1, array("Q", lines))
            current = _open_retries(run, ledger, current.number + 1)
            answers = _send_round(run, invoke, progress, current)

    with progress.stage("watch"):
        return account_run(run, ledger, progress, work)


def _send_round(run: JobRun, invoke: Invoke, progress: Progress, round_: Round) -> Sequence[Sent]:
    """Sends the invocations of a round; the state of each, with those of earlier coordinators."""
    index = round_.index.key.partition("/")[2]
    made = make_range_invocations(
        run.plan, round_.number, run.payload, chunks=round_.chunks, index_key=index
    )
    progress.invocations = made
    noted = set(run.posts.list_names()) if run.continued else set()
    names = {each.number: name_range_post(each) for each in made}
    posts = {n: run.posts.read(name) for n, name in names.items() if name in noted}
    again = [each for each in made if must_send_again(posts.get(each.number), named=run.named)]
    known = {n: describe_post(post, made[n - 1]) for n, post in posts.items()}
    for each in known.values():
        progress.record_sent(each)
    answers = {each.invocation.number: each for each in invoke(round_.number, again)}
    return [answers.get(each.number) or known[each.number] for each in made]


class _ChunkLedger(ItemLedger):
    """The states of the chunks of a round; those of the plan's chunks are also their items'."""

    def __init__(self, round_: Round, items: ItemLedger) -> None:
        super().__init__(len(round_.chunks))
        self._round, self._items = round_, items

    def record(self, line: int, state: LineState, reason: str = "") -> None:
        super().record(line, state, reason)
        if self._round.number == 1:
            chunk = self._round.chunks[line]
            self._items.fill(chunk.start, chunk.stop, state)


def _watch_round(
    run: JobRun, round_: Round, sent: Sequence[Sent], ledger: ItemLedger, view: JobView
) -> str:
    """Follows the jobs of a round to their end. Returns why the run cannot go on, or empty."""
    chunks, answers = round_.chunks, {each.invocation.number: each for each in sent}
    number, jobs = round_.number, _ChunkLedger(round_, ledger)
    ports = Ports(
        make=lambda entry: answers[chunks[entry.line].number].invocation,
        send=lambda invocations: [answers[each.number] for each in invocations],
        find_stamp=None,
        list_jobs=lambda: run.oscar.list_jobs(run.plan.service),
        now_s=run.clock.now_s,
        wait=run.wait,
        note_end=lambda flight, *found: view.note_chunk(number, flight, chunks[flight.entry.line]),
        show=partial(view.show_outputs, number),
    )
    # Outputs of a failed job count, too: with a mount, OSCAR 4 shows Failed after full success.
    window = run.make_window(len(chunks), ports, jobs, mount=True)
    window.run(Entry(line, "") for line in range(len(chunks)))
    return window.find_obstacle()


def _find_round(run: JobRun) -> Round:
    """The newest round that was cut; the first is the plan's."""
    plan, number = run.plan, 1
    while run.continued and run.state.exists(run.layout.table(number + 1)):
        number += 1
    if number > 1:
        return _read_round(run, number)
    index = IndexObject(
        f"{plan.index_bucket}/{plan.index_key}", plan.index.text_bytes, plan.index.sha256
    )
    return Round(1, index, Lanes((len(plan.chunks),), Table(0, 0)), plan.chunks)


def _open_retries(run: JobRun, ledger: ItemLedger, number: int) -> Round:
    """Writes the index and the chunks of the items that have no output yet."""
    builder = IndexBuilder()
    written = run.state.write_lines(
        run.layout.round_index(number), builder.build_lines(_list_missing(run, ledger)), _INDEX_TYPE
    )
    index = builder.index(sha256=written.sha256)
    cost = run.plan.choice.cost if run.plan.choice else Cost()
    chunks, _ = choose_chunks(index, run.plan.capacity.slots, ChunkRules(), cost)
    key = f"{run.state.name}/{run.layout.round_index(number)}"
    stored, counts = IndexObject(key, index.text_bytes, index.sha256), (len(chunks),)
    lanes = Lanes(counts, measure_table(stored, counts, chunks))
    run.lease.check()
    with suppress(Conflict):  # another coordinator cut the round: its table counts
        content = write_table(stored, lanes, chunks)
        run.state.put_new(run.layout.table(number), content, "application/jsonl")
    return _read_round(run, number)


def _list_missing(run: JobRun, ledger: ItemLedger) -> Iterator[ObjectColumns]:
    lines = split_lines(run.state.read_pieces(run.plan.index_key))
    missing = compress(lines, (state != LineState.DONE for state in ledger.states))
    while batch := list(islice(missing, _BATCH)):
        yield ObjectColumns(batch, None)


def _read_round(run: JobRun, number: int) -> Round:
    found = read_round(run.state, run.layout, number)
    if found is None:
        raise StorageError(f"{run.state.name}/{run.layout.table(number)} is gone")
    table, index, counts, chunks = found
    return Round(number, index, Lanes(counts, table), chunks)
