# SPDX-License-Identifier: Apache-2.0
"""Checks before a run starts: refuses what must not start, and warns of what may be wrong.

OSCAR starts a job for every object that lands below a service's input folder. A run that writes
its index or its reports there would start jobs on them, so it is refused before anything is
written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from ...model.access import ClusterAccess, StorageAccess
from ...model.errors import ConfigError, clean_text
from ...model.items import Item
from ...model.selection import Outputs
from ...model.service import Folder, Locations, Mode, Service, Trigger
from ...model.units import format_bytes
from ...plan.simulate import POSTS_PER_S, predict_submission_s
from ...run.layout import list_written

# A submission that takes longer than this is worth a warning.
_LONG_S = 1800.0


NO_PROOF = (
    "run.canary: a canary must tell which of its items are done, and here nothing can: give the "
    "service the kit, say in run.verify where its outputs are, or leave run.canary out"
)


def refuse_coordinator(locations: Locations, service: Service) -> None:
    """Raises ConfigError if the target starts runs itself: they would start each other forever."""
    if service.is_coordinator or set(service.inputs) & set(locations.own_inputs):
        raise ConfigError(
            [
                f"service.name: {service.name} is a coordinator, and a run of it would start "
                "further runs; name the service that processes the files"
            ]
        )


def refuse_triggers(
    locations: Locations, service: Service, others: Sequence[Trigger], run_id: str
) -> None:
    """Raises ConfigError if something that this run writes would start jobs of any service.

    What the jobs of the target write may start other services: their owners want it so.
    """
    own = [Trigger(folder, f"service {service.name}") for folder in service.inputs]
    own += [Trigger(folder, "this coordinator") for folder in locations.own_inputs]
    known = {trigger.folder for trigger in own}
    foreign = [trigger for trigger in others if trigger.folder not in known]
    problems = tuple(
        f"{each.setting}: writing {each.bucket}/{each.key} would start jobs, because "
        f"{trigger.folder} is an input folder of {trigger.owner}; {each.advice}"
        for each in list_written(locations, service, run_id)
        for trigger in ([*own, *foreign] if each.of_run else own)
        if each.may_land_in(trigger.folder)
    )
    if problems:
        raise ConfigError(problems)


def refuse_buckets(
    locations: Locations,
    outputs: Mapping[str, Outputs | None],
    service: Service,
    allowed: Sequence[str] | None,
) -> None:
    """Raises ConfigError if the service's own credentials would be used for another's bucket.

    `outputs` are output mappings by the config key that has them. `allowed` are the globs of the
    deployer; None for credentials that the config gives: these may do what their owner may.
    """
    if allowed is None:
        return
    folders = [*service.inputs, *service.outputs, *locations.own_inputs, *locations.own_outputs]
    folders += [service.mount] if service.mount else []
    named = {*service.data_buckets, *(folder.bucket for folder in folders)}
    used = {"bucket.name": locations.data.bucket, "state.bucket": locations.state.bucket}
    used |= {"report.bucket": locations.report.bucket} if locations.report else {}
    used |= {
        f"{name}.bucket": each.bucket for name, each in outputs.items() if each and each.bucket
    }
    problems = [
        f"{setting}: {bucket} is no bucket of service {service.name} (input, output, mount or its "
        "variable OSCAR_BATCH_DATA), so the service's own credentials are not used for it: give "
        "MinIO.url, access_key and secret_key of your own, or ask whoever deployed this to add it "
        "to OSCAR_BATCH_BUCKETS"
        for setting, bucket in used.items()
        if bucket not in named and not any(fnmatchcase(bucket, glob) for glob in allowed)
    ]
    if problems:
        raise ConfigError(problems)


def refuse_unsuited_keys(mode: Mode | None, *, payload: bool, watch: bool) -> None:
    """Raises ConfigError for keys that the mode of the run cannot follow."""
    problems = []
    if payload and mode not in {Mode.RANGE, None}:
        problems.append(
            f"service.payload: is for range mode, and this run has the mode {mode}; leave it out, "
            "or set service.mode: range"
        )
    if not watch and mode is Mode.EVENT:
        problems.append(
            "run.watch: event mode never has more jobs in flight than fit, so it must watch them; "
            "leave it out"
        )
    if problems:
        raise ConfigError(problems)


def find_warnings(data: Folder, service: Service) -> tuple[str, ...]:
    """Warnings of what is allowed but probably not intended."""
    found = [
        f"{service.name} writes its outputs to {output}, inside the data folder {data}: "
        "a later run will list them as items"
        for output in service.outputs
        if data.holds(output.bucket, output.prefix)
    ]
    if service.mount and not service.mount.holds(data.bucket, data.prefix):
        found.append(
            f"{service.name} mounts {service.mount}, which does not hold the data folder "
            f"{data}: its script may not find the files"
        )
    if service.hides_output and service.mount and not service.has_kit:
        found.append(
            f"{service.name} has a log_level above DEBUG: the log of a job shows nothing that its "
            "script prints until it ends, and nothing at all for a range with outputs; set "
            "log_level: DEBUG in its definition to see how far a job is and why it fails"
        )
    if not service.outputs and not service.mount and not service.has_kit:
        found.append(
            f"{service.name} has neither an output folder nor a mount: nothing that it leaves can "
            "confirm which items are done"
        )
    return tuple(found)


def warn_unverified(storage: StorageAccess, cluster: ClusterAccess) -> tuple[str, ...]:
    """A warning for each server whose TLS certificate the config says not to verify."""
    accesses: Iterable[tuple[str, StorageAccess | ClusterAccess]] = (
        ("MinIO", storage),
        ("OSCAR", cluster),
    )
    found = [
        f"the TLS certificate of {name} is not verified, as the config says"
        for name, access in accesses
        if access.url.startswith("https://") and not access.verify
    ]
    if cluster.oidc and cluster.oidc.token_endpoint.startswith("http://"):
        found.append(f"the refresh token goes to {cluster.oidc.token_endpoint} without TLS")
    return tuple(found)


def warn_oversized(items: tuple[Item, ...], service: Service) -> tuple[str, ...]:
    """A warning that names the oversized items; none if there are none."""
    if not items:
        return ()
    names = ", ".join(
        f"{clean_text(item.key, 80)} ({format_bytes(item.size_bytes)})" for item in items[:3]
    )
    more = f" and {len(items) - 3} more, listed in the plan" if len(items) > 3 else ""
    disk = service.scratch_bytes and not service.mount
    bound = f"{format_bytes(service.needs.memory_bytes)} of memory"
    bound += f" or {format_bytes(service.scratch_bytes)} of disk" if disk else ""
    return (
        f"larger than the {bound} that an invocation of {service.name} has: {names}{more}; unless "
        "its script streams its input, these will fail",
    )


def warn_control_characters(keys: int, service: Service) -> tuple[str, ...]:
    """A warning if a mount shows items under names that are not their keys."""
    if not keys or not service.mount:
        return ()
    return (
        f"{keys} of the keys contain control characters: OSCAR's mount shows these as symbols (a "
        f"tab as \u2409), and the script of {service.name} must open the names with the symbols",
    )


def warn_slow_submission(chunks: int) -> tuple[str, ...]:
    """A warning if OSCAR takes long to accept so many invocations."""
    seconds = predict_submission_s(chunks)
    if seconds < _LONG_S:
        return ()
    return (
        f"OSCAR accepts about {POSTS_PER_S:g} invocations a second: {chunks} of them take "
        f"{seconds / 3600:.1f} h to submit",
    )
