# SPDX-License-Identifier: Apache-2.0
"""Config + service → what must not be started, and what the user should know first.

OSCAR starts a job for every object that lands below a service's input folder. A run that writes
its index or its reports there would start jobs on them, so it is refused before anything is
written. Called by `batch`. Next: `capacity`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..config.load import Config
from ..model.cluster import Capacity, Cluster
from ..model.errors import ConfigError, clean_text
from ..model.items import Index, Item
from ..model.service import Folder, Service
from ..plan.capacity import compute_capacity
from ..plan.explain import find_lacking, find_nearest, format_needs, memory
from ..plan.simulate import POSTS_PER_S, predict_submission_s

# A plan whose submission alone takes longer than this deserves a word.
_LONG_S = 1800.0


def refuse_triggers(config: Config, service: Service) -> None:
    """Raises ConfigError if something that this run writes would start jobs."""
    watched = [(place, f"service {service.name}") for place in service.inputs]
    watched += [(place, "this coordinator") for place in config.own_inputs]
    problems = tuple(
        f"{setting}: writing {bucket}/{key} would start jobs, because {place} is an input "
        f"folder of {whom}; {advice}"
        for setting, bucket, key, advice in _written(config, service)
        for place, whom in watched
        if place.holds(bucket, key)
    )
    if problems:
        raise ConfigError(problems)


def find_warnings(config: Config, service: Service) -> tuple[str, ...]:
    """What is allowed and probably not meant."""
    found = [
        f"{service.name} writes its outputs to {output}, inside the data folder {config.data}: "
        "a later run will list them as items"
        for output in service.outputs
        if _within(output, config.data)
    ]
    if service.mount and not _within(config.data, service.mount):
        found.append(
            f"{service.name} mounts {service.mount}, which does not hold the data folder "
            f"{config.data}: its script may not find the files"
        )
    if not service.outputs and not service.mount:
        found.append(
            f"{service.name} has neither an output folder nor a mount: nothing that it leaves can "
            "confirm which items are done"
        )
    found += [
        f"the TLS certificate of {what} is not verified, as the config says"
        for what, access in (("MinIO", config.storage), ("OSCAR", config.cluster))
        if access.url.startswith("https://") and not access.verify
    ]
    return tuple(found)


def explain_misfit(cluster: Cluster, service: Service) -> str:
    """Why no node could hold one invocation even when empty; empty text if one could."""
    needs = service.needs
    sizes = [(n.name, n.size) for n in cluster.nodes if n.size and not n.virtual]
    if not sizes or (needs.gpus and not cluster.gpus_known):
        return ""
    if not all(find_lacking(size, needs) for _, size in sizes):
        return ""
    name, size = find_nearest(sizes, needs)
    return (
        f"{service.name} needs {format_needs(needs)} and fits on no node even when empty; {name} comes "
        f"nearest and lacks {' and '.join(find_lacking(size, needs))}: let the service ask for less"
    )


def without_room(cluster: Cluster, service: Service, headroom: float, problem: str) -> Capacity:
    """The capacity of a service that fits on no node, ever; with the nodes as they are."""
    now = compute_capacity(cluster, service.needs, headroom=headroom)
    return replace(now, slots=0, limited_by="node size", explanation=problem)


def find_oversized(index: Index, service: Service) -> tuple[Item, ...]:
    """The items that are larger than an invocation's memory, or than the disk it requests.

    A script that reads a whole file into memory, or OSCAR's own download onto the node's disk,
    is then likely to be killed. A mounted bucket needs no disk. Whether the script streams its
    input nobody can see from here, so such items are listed and not refused.
    """
    bounds = [service.needs.memory_bytes]
    bounds += [service.scratch_bytes] if service.scratch_bytes and not service.mount else []
    return tuple(item for item in index.largest if item.size_bytes > min(bounds) > 0)


def warn_oversized(items: tuple[Item, ...], service: Service) -> tuple[str, ...]:
    """The oversized items in one sentence; none if there are none."""
    if not items:
        return ()
    names = ", ".join(
        f"{clean_text(item.key, 80)} ({memory(item.size_bytes)})" for item in items[:3]
    )
    more = f" and {len(items) - 3} more, listed in the plan" if len(items) > 3 else ""
    disk = service.scratch_bytes and not service.mount
    bound = f"{memory(service.needs.memory_bytes)} of memory"
    bound += f" or {memory(service.scratch_bytes)} of disk" if disk else ""
    return (
        f"larger than the {bound} that an invocation of {service.name} has: {names}{more}; unless "
        "its script streams its input, these will fail",
    )


def warn_slow_submission(chunks: int) -> tuple[str, ...]:
    """A word on the time that OSCAR takes to accept very many invocations."""
    seconds = predict_submission_s(chunks)
    if seconds < _LONG_S:
        return ()
    return (
        f"OSCAR accepts about {POSTS_PER_S:g} invocations a second: {chunks} of them take "
        f"{seconds / 3600:.1f} h to submit",
    )


def _written(config: Config, service: Service) -> Iterator[tuple[str, str, str, str]]:
    """Setting, bucket, key and advice for each kind of object that a run brings about."""
    elsewhere = "name another folder or bucket"
    yield "state", config.state.bucket, f"{config.state.prefix}index.txt", elsewhere
    if config.report:
        yield "report", config.report.bucket, f"{config.report.prefix}report.json", elsewhere
    if config.index_copy:
        advice = "leave output.file out: the index is kept in the run's own folder in any case"
        yield "output.file", config.data.bucket, config.index_copy, advice
    for output in service.outputs:
        own = "give the service another output folder"
        yield "service.name", output.bucket, f"{output.prefix}<output>", own
    for output in config.own_outputs:
        own = "give the coordinator's service another output folder"
        yield "service.name", output.bucket, f"{output.prefix}report.json", own


def _within(inner: Folder, outer: Folder) -> bool:
    return outer.holds(inner.bucket, inner.prefix)
