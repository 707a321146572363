# SPDX-License-Identifier: Apache-2.0
"""Checks a config against its target service, and enters its run."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ...config.load import Config
from ...index.skip_done import locate_outputs
from ...model.errors import ClusterError, ConfigError
from ...model.service import Mode, Service
from ...run.active import find_newest_run
from ...run.layout import RunLayout, make_batch_key
from ...run.store import load_plan
from ...storage.bucket import Bucket
from ..clients import Clients
from ..planning.redrive import refuse_unsuited
from ..progress import Progress
from ..runs.removing import remove_earlier
from . import preflight
from .entry import BatchRuns, Entry
from .modes import choose_mode


def adopt_plan(config: Config, clients: Clients) -> tuple[Config, Clients]:
    """Completes a config that names only a run and its state folder with the run's plan.

    Workers drop such a config if no coordinator is alive. Raises ConfigError.
    """
    if config.service:
        return config, clients
    layout = RunLayout(config.locations, config.run_id)
    plan = load_plan(clients.state, layout.plan)
    if plan is None:
        raise ConfigError([f"run.id: run {config.run_id} has no plan: drop its whole config"])
    locations = replace(config.locations, data=plan.data)
    data: Bucket = clients.state.beside(plan.data.bucket)
    config = replace(config, service=plan.service, locations=locations, mode=plan.mode)
    return config, replace(clients, data=data)


def read_target(config: Config, clients: Clients, progress: Progress) -> Service:
    """Reads the target service and notes it for the report. Raises ClusterError."""
    service = clients.oscar.read_service(config.service)
    progress.secrets += (service.token,)
    progress.setting["outputs"] = ", ".join(map(str, service.outputs)) or "none"
    return service


def find_outputs(config: Config, service: Service) -> Config:
    """Completes the output folders of the config with the output path of the service."""
    data, done = config.locations.data, config.selection.skip_done
    done = locate_outputs(done, service, data, "bucket.skip_done")
    verify = locate_outputs(config.verify, service, data, "run.verify")
    return replace(config, selection=replace(config.selection, skip_done=done), verify=verify)


def check_target(
    config: Config, clients: Clients, service: Service, progress: Progress
) -> Mode | None:
    """Checks the target and chooses the mode. Raises ConfigError before anything is written."""
    places = config.locations
    preflight.refuse_coordinator(places, service)
    outputs = {"bucket.skip_done": config.selection.skip_done, "run.verify": config.verify}
    preflight.refuse_buckets(places, outputs, service, config.allowed_buckets)
    try:
        triggers = clients.oscar.read_triggers()
    except ClusterError as error:
        triggers = ()
        known = "the input folders of the target and of this coordinator are checked"
        unknown = "if the run writes into the input folder of another service, it starts jobs there"
        progress.warn(f"{error}; only {known}: {unknown}")
    preflight.refuse_triggers(places, service, triggers, progress.run_id)
    return decide_mode(config, service, progress)


def decide_mode(config: Config, service: Service, progress: Progress) -> Mode | None:
    """The mode of the run; None for a dry run that could not start. Raises ConfigError."""
    choice = choose_mode(config.mode, service, config.locations.data)
    if choice.mode:
        progress.setting["mode"] = f"{choice.mode}, because {choice.reason}"
    elif config.dry_run:
        progress.warn(f"a run would be refused: {choice.reason}")
    else:
        raise ConfigError([choice.reason])
    if config.must_prove and choice.mode is not Mode.PULL and config.verify is None:
        raise ConfigError([preflight.NO_PROOF])
    payload, watch = bool(config.payload), config.rules.watch
    preflight.refuse_unsuited_keys(choice.mode, payload=payload, watch=watch)
    return choice.mode


def make_batch(config: Config, service: Service) -> str:
    """The key of the batch: the same for configs that ask for the same work."""
    state = (config.storage.url, config.locations.state)
    work = (config.cluster.url, config.service, config.locations.data, config.selection)
    return make_batch_key(*work, service.outputs, *state)


def has_unfinished(config: Config, clients: Clients) -> bool:
    """Whether the config is for a run that has begun. Raises BatchError."""
    named = RunLayout(config.locations, config.run_id)
    if config.run_id and any(map(clients.state.exists, (named.start, named.end))):
        return True
    if config.second:
        return False
    service = clients.oscar.read_service(config.service)
    batch = make_batch(find_outputs(config, service), service)
    _, newest = find_newest_run(clients.state, named, batch)
    return bool(newest) and not clients.state.exists(named.with_run(newest).end)


def enter_run(
    config: Config, clients: Clients, service: Service, progress: Progress
) -> Entry | None:
    """Begins a run, or continues one; None for a dry run. Raises BatchError."""
    if config.dry_run:
        return None
    if config.redrive:
        refuse_unsuited(clients.state, RunLayout(config.locations, config.run_id))
    batch, timing = make_batch(config, service), clients.timing
    runs = BatchRuns(
        state=clients.state,
        batch=batch,
        ttl_s=timing.lease_ttl_s,
        read_clock=progress.clock,
        second=config.second or config.redrive,
        about={"service": config.service, "data": str(config.locations.data)},
        canary=config.canary_run,
    )
    entry = runs.enter(RunLayout(config.locations, progress.run_id))
    progress.enter(entry.layout.run_id, entry.lease)
    keep, places = config.rules.keep, (clients.state, entry.layout, batch)
    if keep is not None:
        progress.remove_earlier = partial(remove_earlier, *places, keep, timing.lost_after_s)
    if clients.renewer:
        clients.renewer.start(entry.lease)
    if entry.plan is None:
        entry.lease.check()  # before its items are listed: a run that has a `stop` is not planned
    else:
        progress.plan, progress.capacity = entry.plan, entry.plan.capacity
        progress.setting["continued"] = f"under epoch {entry.layout.epoch}"
        progress.warn(
            f"run {entry.layout.run_id} is continued: its items, its service and its chunks are "
            "those of its plan; files that came later, and other selections, are not in it"
        )
    return entry
