"""Config + service → what must not be started, and what the user should know first.

OSCAR starts a job for every object that lands below a service's input folder. A run that writes
its index or its reports there would start jobs on them, so it is refused before anything is
written. Called by `batch`. Next: `capacity`.
"""

from __future__ import annotations

from collections.abc import Iterator

from coordinator.config import Config
from coordinator.errors import ConfigError
from coordinator.model import Place, Service


def refuse_triggers(config: Config, service: Service) -> None:
    """Raises ConfigError if something that this run writes would start jobs."""
    watched = [(place, f"service {service.name}") for place in service.inputs]
    watched += [(place, "this coordinator") for place in config.own_inputs]
    problems = tuple(
        f"{setting}: writing {bucket}/{key} would start jobs, because {place} is an input "
        f"folder of {whom}; {advice}"
        for setting, bucket, key, advice in _written(config)
        for place, whom in watched
        if place.holds(bucket, key)
    )
    if problems:
        raise ConfigError(problems)


def warnings(config: Config, service: Service) -> tuple[str, ...]:
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
    found += [
        f"the TLS certificate of {what} is not verified, as the config says"
        for what, access in (("MinIO", config.storage), ("OSCAR", config.cluster))
        if access.url.startswith("https://") and not access.verify
    ]
    return tuple(found)


def _written(config: Config) -> Iterator[tuple[str, str, str, str]]:
    """Setting, bucket, key and advice for each kind of object that a run writes."""
    elsewhere = "name another folder or bucket"
    yield "state", config.state.bucket, f"{config.state.prefix}index.txt", elsewhere
    if config.report:
        yield "report", config.report.bucket, f"{config.report.prefix}report.json", elsewhere
    if config.index_copy:
        advice = "leave output.file out: the index is kept in the run's own folder in any case"
        yield "output.file", config.data.bucket, config.index_copy, advice


def _within(inner: Place, outer: Place) -> bool:
    return outer.holds(inner.bucket, inner.prefix)
