# SPDX-License-Identifier: Apache-2.0
"""`try`: runs a few items on the cluster, and shows what became of each, with logs of failures."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace

from ...config.load import Config
from ...drive.clients import Clients
from ...model.errors import BatchError, ClusterError, Ending, clean_text
from ...model.planning import ChunkRules, Strategy
from ...model.run import Report
from ...oscar.client import OscarClient
from ...report.text import render_summary
from ...run.layout import RunLayout
from ..output import print_document, print_result
from .run import make_clients, run_config

# Lines of a log that are shown, and their length.
_LINES, _WIDTH = 15, 200
# A list of so many items, or the log of a job, is not read.
_MOST_BYTES = 1024 * 1024
# A trial asks OSCAR for its jobs more often than a run: twice this.
_POLL_S = 5.0
# Logs that are read where the names of the jobs are not known.
_MOST_LOGS = 10
# What a list of pending items may say instead of a reason.
_STATES = frozenset(("sent", "unconfirmed", "unproven", "pending"))


@dataclass(frozen=True, slots=True)
class Tried:
    """An item and what became of it."""

    key: str
    state: str
    reason: str = ""
    job: str = ""
    log: tuple[str, ...] = ()
    """The last lines of the log of its job; of items that are done none."""


@dataclass(slots=True)
class _Trial:
    """The run of a trial, seen from outside."""

    count: int
    config: Config | None = None
    clients: Clients | None = None
    earlier: frozenset[str] = field(default_factory=frozenset)
    """The jobs that were there before, where jobs do not have the names that are asked for."""

    def adapt(self, config: Config) -> Config:
        """The config with so many items, an invocation for each, followed to the end."""
        poll_s = min(_POLL_S, config.rules.poll_s)
        return replace(
            config,
            run_id="",
            redrive=False,
            second=True,
            dry_run=False,
            selection=replace(config.selection, sample=self.count),
            chunk_rules=ChunkRules(Strategy.FIXED, chunk_items=1),
            rules=replace(config.rules, watch=True, poll_s=poll_s, retries=0),
        )

    def connect(self, config: Config) -> Clients:
        self.config, self.clients = config, make_clients(config)
        if not self.clients.oscar.names_jobs():
            self.earlier = frozenset(self.clients.oscar.list_jobs(config.service).phases)
        return self.clients


def execute(arguments: argparse.Namespace) -> int:
    """Runs the items and prints what became of them; 0 only if every one is proven done."""
    trial = _Trial(arguments.count)
    report = run_config(arguments.config, dry_run=False, adapt=trial.adapt, connect=trial.connect)
    tried = list(_list_tried(trial, report))
    if arguments.json:
        items = [asdict(each) for each in tried]
        members = {"ending": str(report.ending), "message": report.message, "items": items}
        print_document(members)
    else:
        print_result("\n".join(_render(report, tried)))
    unproven = report.ending is Ending.SUBMITTED
    return 1 if unproven else report.ending.exit_code


def _render(report: Report, tried: list[Tried]) -> Iterator[str]:
    if not tried:
        yield render_summary(report)
        return
    yield f"mode: {report.setting.get('mode', 'none')}"
    for each in tried:
        yield f"{clean_text(each.key, _WIDTH)}: {each.state}" + (
            f": {clean_text(each.reason, _WIDTH)}" if each.reason else ""
        )
        yield from (f"    | {line}" for line in each.log)
    yield f"{report.ending}: {report.message}"
    yield from (f"  warning: {warning}" for warning in report.warnings)


def _list_tried(trial: _Trial, report: Report) -> Iterator[Tried]:
    """Every item of the trial, in the order of the index; none if the run did not start."""
    clients = trial.clients
    if trial.config is None or clients is None or not report.plan or not report.plan.chunks:
        return
    layout = RunLayout(trial.config.locations, report.run_id)
    keys = (_read(clients, report.plan.index_key) or "").split("\n")[:-1]
    done = set((_read(clients, layout.done) or "").split("\n"))
    rows = _read_rows(clients, layout.pending, "pending") | _read_rows(
        clients, layout.failed, "failed"
    )
    for line, key in enumerate(keys):
        if key in done:
            yield Tried(key, "done")
            continue
        found = rows.get(key, Tried(key, "pending", "the run ended before it was known"))
        job = _find_job(report, line) if clients.oscar.names_jobs() else ""
        job, log = _find_log(clients.oscar, trial.config.service, job, trial, key)
        yield replace(found, job=job, log=found.log or _shorten(log))


def _find_log(
    oscar: OscarClient, service: str, job: str, trial: _Trial, key: str
) -> tuple[str, list[str]]:
    """The job of an item, where it is not known, and the lines of its log."""
    try:
        if job:
            return job, oscar.read_log(service, job).splitlines()
        new = sorted(set(oscar.list_jobs(service).phases) - trial.earlier)
        for each in new[:_MOST_LOGS]:
            text = oscar.read_log(service, each)
            if f"'{key}'" in text:  # the supervisor says which object it fetches
                return each, text.splitlines()
    except ClusterError as error:
        return job, [str(error)]
    return "", [f"which of these jobs had it is not known: {', '.join(new)}"] if new else []


def _find_job(report: Report, line: int) -> str:
    """The job that had an item: in pull mode that of the worker which wrote its result."""
    outcome = next(each for each in report.outcomes if each.chunk.start <= line < each.chunk.stop)
    workers = {worker.name: worker.job for worker in report.workers}
    return workers.get(outcome.job.rpartition("-")[0], outcome.job)


def _shorten(lines: list[str]) -> tuple[str, ...]:
    return tuple(clean_text(line, _WIDTH) for line in lines[-_LINES:])


def _read(clients: Clients, key: str) -> str | None:
    try:
        content = clients.state.read_small(key, _MOST_BYTES)
    except BatchError:
        return None
    return content.decode() if content is not None else None


def _read_rows(clients: Clients, key: str, state: str) -> dict[str, Tried]:
    """The items that a list of the run names, by their keys."""
    found = {}
    for line in (_read(clients, key) or "").splitlines():
        row = json.loads(line)
        reason = str(row.get("reason") or "")
        known = Tried(
            str(row["key"]), state, reason, log=_shorten(row.get("stderr", "").splitlines())
        )
        found[known.key] = replace(known, state=reason, reason="") if reason in _STATES else known
    return found
