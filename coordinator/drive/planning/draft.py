# SPDX-License-Identifier: Apache-2.0
"""Drafts the plan of a new run: lists the index, waits for capacity, adds lanes or chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from threading import Event

from ...config.load import Config
from ...model.cluster import Capacity
from ...model.items import Index
from ...model.object_columns import ObjectColumns
from ...model.pull.lanes import Lanes
from ...model.run import Plan
from ...model.service import Mode, Service
from ...model.units import format_duration, format_rate
from ...plan.capacity import find_capacity
from ...plan.choose import make_plan
from ...plan.timing import merge_costs
from ...run.copies import find_copies
from ...run.folder import read_json
from ...run.layout import RunLayout, find_run_files
from ...run.store import load_last_cost
from ..clients import Clients
from ..entering.entry import Entry
from ..entering.preflight import warn_control_characters
from ..progress import Progress
from .canary import read_canary
from .indexing import build_index, count_only, refuse_empty_folder
from .lanes import (
    KEEPS_LANE,
    WITHOUT_STEALING,
    draft_lanes,
    make_wake_key,
    measure_lanes,
    refuse_other_store,
)
from .redrive import build_redrive

INDEX_TYPE = "text/plain; charset=utf-8"
# How long to wait before the capacity of a full cluster is read again.
_ASK_S = 60.0
# A listing has some hundred pages a second, and nobody reads as many lines.
_SHOW_S = 0.1


def write_index(
    config: Config, clients: Clients, layout: RunLayout, service: Service, progress: Progress
) -> Index:
    """Lists the data folder into the index of the run; a dry run only counts."""

    def write(lines: Iterable[bytes]) -> str:
        return clients.state.write_lines(layout.index, lines, INDEX_TYPE).sha256

    target = count_only if config.dry_run else write
    if config.redrive:
        source = layout.with_run(config.run_id)
        return build_redrive(clients.state, source, config.chunk_rules, target)
    copies, warnings = find_copies(clients.state, clients.data, layout)
    progress.warn(*warnings)
    files = (*find_run_files(config.locations), *copies)
    known = read_canary(clients.state, layout.with_run(_name_canary(config, clients, layout)))
    rules = config.chunk_rules
    counter = KeyCounter(progress, clients.clock.now_s)
    index = build_index(clients.data, config.selection, files, rules, target, known, counter.count)
    refuse_empty_folder(clients.data, config.locations.data, config.selection, index)
    progress.warn(*warn_control_characters(index.control_keys, service))
    return index


def _name_canary(config: Config, clients: Clients, layout: RunLayout) -> str:
    """The run of the canary; that of a run whose coordinator died before it had a plan, too."""
    begun = not config.dry_run or config.run_id
    if config.canary_run or not begun:
        return config.canary_run
    return str(read_json(clients.state, layout.start).get("canary") or "")


class KeyCounter:
    """Shows how many keys were listed, so far and in a second."""

    def __init__(self, progress: Progress, now_s: Callable[[], float]) -> None:
        self._progress, self._now_s = progress, now_s
        self._keys, self._began_s, self._next_s = 0, now_s(), 0.0

    def count(self, batches: Iterable[ObjectColumns]) -> Iterator[ObjectColumns]:
        """The same batches."""
        for batch in batches:
            self._keys += len(batch)
            now_s = self._now_s()
            if now_s >= self._next_s:
                self._next_s = now_s + _SHOW_S
                per_s = self._keys / max(0.001, now_s - self._began_s)
                self._progress.show(f"{self._keys:,} keys, {format_rate(per_s)} keys/s")
            yield batch


def wait_for_capacity(
    config: Config, clients: Clients, service: Service, progress: Progress
) -> Capacity:
    """Reads the capacity; if the cluster is full, waits as long as the config allows."""
    began_s = clients.clock.now_s()
    while True:
        if progress.lease:
            progress.lease.check()
        oscar, rules = clients.oscar, config.capacity_rules
        capacity = find_capacity(service, rules, oscar.read_cluster, oscar.read_quota)
        left_s = config.rules.wait_for_room_s - (clients.clock.now_s() - began_s)
        if capacity.slots or left_s <= 0 or config.dry_run:
            progress.warn(*capacity.warnings)
            return capacity
        progress.capacity = capacity
        progress.show(f"{capacity.explanation}; it waits for at most {format_duration(left_s)}")
        clients.clock.wait(Event(), min(_ASK_S, left_s))


def draft_workers(
    config: Config,
    clients: Clients,
    service: Service,
    entry: Entry | None,
    progress: Progress,
) -> Lanes:
    """The lanes of a run in pull mode, still empty. Raises ConfigError."""
    exclusive = not service.keeps_lane
    progress.warn(*([] if exclusive else [KEEPS_LANE]))
    wake = ""
    if entry:
        refuse_other_store(clients.oscar, clients.open_bucket, clients.state, entry.layout.start)
        wake = make_wake_key(config, entry.layout)
        if exclusive and not entry.exclusive:
            exclusive = False
            progress.warn(WITHOUT_STEALING)
    proof = config.verify or config.selection.skip_done
    lanes = draft_lanes(config.rules, proof, clients.timing, exclusive=exclusive)
    return replace(lanes, wake=wake)


def complete_plan(
    config: Config, clients: Clients, service: Service, layout: RunLayout, draft: Plan
) -> Plan:
    """Adds the chunks to the draft, cut with the known times."""
    last = load_last_cost(clients.state, layout.cost(config.service))
    plan = make_plan(draft, service, config.chunk_rules, merge_costs(config.cost, last))
    return measure_lanes(plan)


def draft_plan(config: Config, layout: RunLayout, mode: Mode, index: Index) -> Plan:
    """The part of the plan that does not depend on the capacity."""
    return Plan(
        run_id=layout.run_id,
        service=config.service,
        data=config.locations.data,
        index_bucket=config.locations.state.bucket,
        index_key=layout.index,
        index=index,
        capacity=Capacity(0, "", ""),
        chunks=(),
        mode=mode,
        redrive_of=config.run_id if config.redrive else "",
    )
