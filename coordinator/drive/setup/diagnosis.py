# SPDX-License-Identifier: Apache-2.0
"""Checks whether a run of a config would work, in the order of a run, and advises what to do.

The checks are those of a run. Nothing is started. Only the probe is written, an object in the
folder for runs, and it is removed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from ...config.load import Config
from ...index.skip_done import locate_outputs
from ...model.cluster import Cluster
from ...model.errors import BatchError, ClusterError, NoStatus
from ...model.items import Index
from ...model.service import Folder, Mode, Service
from ...model.units import format_bytes, format_cores
from ...oscar import release
from ...oscar.client import OscarClient
from ...plan.capacity import find_capacity
from ...run.layout import RunLayout
from ...storage.bucket import Bucket
from ...storage.pages import ListQuery
from ..entering import preflight
from ..entering.modes import choose_mode
from ..planning.indexing import refuse_empty_folder
from ..planning.lanes import KEEPS_LANE, WITHOUT_STEALING, OpenBucket, refuse_other_store
from .findings import Finding, Findings

# S3 refuses requests at a difference of 15 minutes.
_NOTABLE_S = 30.0
_EMPTY = Index(items=0, size_bytes=0)
_STATUS_ADVICE = "set plan.max_parallel, or ask for an account that may read /system/status"
_DEPLOY_ADVICE = "deploy it with fdl/coordinator.yaml; `oscar-batch run` works without it"


@dataclass(frozen=True, slots=True)
class Reach:
    """The servers that a run would use, and this machine's clock."""

    oscar: OscarClient
    data: Bucket
    state: Bucket
    open_bucket: OpenBucket
    read_clock: Callable[[], datetime]
    release: str
    """The release of this program."""


def diagnose(
    config: Config, reach: Reach, layout: RunLayout, coordinator: str
) -> Iterator[list[Finding]]:
    """The findings, step by step."""
    findings = Findings()
    _judge_tls(findings, config)
    yield findings.take()
    service = _judge_service(findings, config, reach)
    yield findings.take()
    mode = _judge_mode(findings, config, service, reach.release) if service else None
    yield findings.take()
    safe = _judge_triggers(findings, config, reach, layout, service) if service else False
    yield findings.take()
    if service:
        _judge_capacity(findings, config, reach.oscar, service)
        yield findings.take()
    _judge_data(findings, config, reach.data)
    yield findings.take()
    if safe:
        _judge_state(findings, reach, layout, mode)
    else:
        findings.skip("run folder", "not probed, because it is not known what writing would start")
    yield findings.take()
    _judge_coordinator(findings, config, reach, coordinator)
    yield findings.take()


def _judge_tls(findings: Findings, config: Config) -> None:
    warnings = preflight.warn_unverified(config.storage, config.cluster)
    for warning in warnings:
        findings.warn("TLS", warning, "name the certificates of your site in ca_file instead")
    plain = [url for url in (config.storage.url, config.cluster.url) if url.startswith("http://")]
    if plain:
        findings.warn("TLS", f"credentials and data go to {' and '.join(plain)} without TLS")
    if not warnings and not plain:
        findings.good("TLS", "certificates are verified")


def _judge_service(findings: Findings, config: Config, reach: Reach) -> Service | None:
    """The target; None if it cannot be used."""
    with findings.judge("OSCAR"):
        service = reach.oscar.read_service(config.service)
        known = reach.oscar.read_release()
        if known is None:
            findings.warn("OSCAR", f"{config.cluster.url} answers, but not with its release")
        else:
            named = "can" if release.names_jobs(known) else "cannot"
            findings.good(
                "OSCAR",
                f"{config.cluster.url} answers, release {known[0]}.{known[1]}: an invocation whose "
                f"answer is lost {named} be repeated safely",
            )
        with findings.judge("service"):
            preflight.refuse_coordinator(config.locations, service)
            data, done = config.locations.data, config.selection.skip_done
            asked = {"bucket.skip_done": done, "run.verify": config.verify}
            outputs = {name: locate_outputs(asked[name], service, data, name) for name in asked}
            preflight.refuse_buckets(config.locations, outputs, service, config.allowed_buckets)
            cpu, memory = service.needs.cpu_millicores, service.needs.memory_bytes
            gpu = " and a GPU" if service.needs.gpus else ""
            findings.good(
                "service", f"{service.name}: {format_cores(cpu)}, {format_bytes(memory)}{gpu}"
            )
            return service
    return None


def _judge_mode(findings: Findings, config: Config, service: Service, own: str) -> Mode | None:
    choice = choose_mode(config.mode, service, config.locations.data)
    with findings.judge("mode"):
        preflight.refuse_unsuited_keys(
            choice.mode, payload=bool(config.payload), watch=config.rules.watch
        )
        if choice.mode:
            findings.good("mode", f"{choice.mode}, because {choice.reason}")
        else:
            findings.bad("mode", choice.reason)
    if service.has_kit:
        if service.kit_release in {"", own}:
            findings.good("worker kit", "its marker is that of version 1")
        else:
            findings.warn(
                "worker kit",
                f"the script was written by oscar-batch {service.kit_release}, and this is {own}",
                "write it again with `oscar-batch kit` and update the service",
            )
        if service.keeps_lane:
            findings.warn("worker kit", KEEPS_LANE)
    for warning in preflight.find_warnings(config.locations.data, service):
        findings.warn("mount and outputs", warning)
    return choice.mode


def _judge_triggers(
    findings: Findings, config: Config, reach: Reach, layout: RunLayout, service: Service
) -> bool:
    """Whether it is known that what a run writes starts no jobs."""
    name = "run folder"
    try:
        triggers = reach.oscar.read_triggers()
    except ClusterError as error:
        triggers = ()
        findings.warn(name, f"{error}; so some input folders are not known")
    try:
        preflight.refuse_triggers(config.locations, service, triggers, layout.run_id)
    except BatchError as error:
        for problem in error.problems:
            findings.bad(name, problem)
        return False
    findings.good(name, f"writing to {config.locations.state} starts no jobs")
    return True


def _judge_capacity(
    findings: Findings, config: Config, oscar: OscarClient, service: Service
) -> None:
    rules = config.capacity_rules
    try:
        cluster = oscar.read_cluster()
    except NoStatus as error:
        judge = findings.warn if rules.max_parallel else findings.bad
        judge("status", str(error), "" if rules.max_parallel else _STATUS_ADVICE)
        return
    except BatchError as error:
        findings.bad("status", str(error), _STATUS_ADVICE)
        return
    findings.good("status", f"OSCAR shows the free resources of {_count_nodes(cluster)}")
    with findings.judge("capacity"):
        found = find_capacity(service, rules, lambda: cluster, oscar.read_quota)
        said = f"{found.slots} at a time: {found.explanation}"
        if found.slots:
            findings.good("capacity", said)
        else:
            findings.bad("capacity", said, "wait for running jobs, or see `oscar-batch capacity`")
        for warning in found.warnings:
            findings.warn("capacity", warning)


def _count_nodes(cluster: Cluster) -> str:
    return f"{len(cluster.nodes)} node{'' if len(cluster.nodes) == 1 else 's'}"


def _judge_data(findings: Findings, config: Config, data: Bucket) -> None:
    folder, selection = config.locations.data, config.selection
    with findings.judge("data"):
        if selection.manifest:
            if data.exists(selection.manifest.key):
                findings.good("data", f"the manifest {selection.manifest.key} exists")
            else:
                findings.bad("data", f"bucket.manifest: {data.name} has no such object")
            return
        query = ListQuery(folder.prefix, recursive=selection.recursive)
        if not any(map(len, data.list_objects(query))):
            refuse_empty_folder(data, folder, selection, _EMPTY)
        findings.good("data", f"{folder} can be listed")


def _judge_state(findings: Findings, reach: Reach, layout: RunLayout, mode: Mode | None) -> None:
    """Writes, reads and removes the probe."""
    state = reach.state
    with findings.judge("storage"):
        state.write(layout.probe, layout.run_id.encode(), "text/plain")
        findings.good("storage", f"{state.name} can be written")
        try:
            _judge_clock(findings, reach, layout)
            if mode is Mode.PULL:
                with findings.judge("storage of the workers"):
                    refuse_other_store(reach.oscar, reach.open_bucket, state, layout.probe)
        finally:
            if state.honours_condition(layout.probe):  # removes it
                findings.good("conditional writes", "the storage refuses to create an object twice")
            elif mode is Mode.PULL:
                findings.warn("conditional writes", WITHOUT_STEALING)


def _judge_clock(findings: Findings, reach: Reach, layout: RunLayout) -> None:
    with findings.judge("clock"):
        ahead_s = (reach.read_clock() - reach.state.read_clock(layout.probe)).total_seconds()
        said = f"the clocks of this machine and the storage differ by {abs(ahead_s):.0f} s"
        if abs(ahead_s) < _NOTABLE_S:
            findings.good("clock", said)
        else:
            findings.warn(
                "clock", said, "correct it: S3 refuses requests if they differ by 15 minutes"
            )


def _judge_coordinator(findings: Findings, config: Config, reach: Reach, coordinator: str) -> None:
    """Whether a config that is dropped starts the coordinator's service."""
    name = "notifications"
    try:
        service = reach.oscar.read_service(coordinator)
    except ClusterError as error:
        findings.warn(name, f"no config can be dropped: {error}", _DEPLOY_ADVICE)
        return
    if not service.inputs:
        findings.bad(name, f"{coordinator} has no input folder, so nothing starts it")
    for folder in service.inputs:
        _judge_notification(findings, reach, folder, coordinator)


def _judge_notification(findings: Findings, reach: Reach, folder: Folder, coordinator: str) -> None:
    name = "notifications"
    try:
        targets = reach.state.beside(folder.bucket).read_notifications()
    except BatchError as error:
        findings.warn(name, f"not known for {folder}: {error}")
        return
    if targets is None:
        findings.skip(name, f"not known for {folder}: only MinIO lists them")
    elif any(
        f":{coordinator}:" in target and folder.prefix.startswith(prefix)
        for target, prefix in targets
    ):
        findings.good(name, f"a config that is dropped into {folder} starts {coordinator}")
    else:
        findings.bad(
            name,
            f"bucket {folder.bucket} has no notification for {folder.prefix}, so nothing starts "
            f"{coordinator}",
            "delete the service and deploy it again",
        )
