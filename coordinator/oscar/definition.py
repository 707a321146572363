# SPDX-License-Identifier: Apache-2.0
"""Reads service definitions and quotas, in the form of OSCAR's API.

Values are Kubernetes quantities as their author typed them; what a definition leaves out has
OSCAR's own default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ..config.addresses import PRINTABLE, normalize_address
from ..config.offers import parse_folders
from ..model.access import StorageAccess
from ..model.cluster import Allowance, Quota, Resources
from ..model.errors import ClusterError, clean_text, hide_secrets
from ..model.service import Folder, Service, Trigger
from ..model.units import parse_amount, parse_bytes, parse_millicores

# OSCAR's own defaults (its pkg/types/service.go), for definitions that leave them out.
_DEFAULT_CPU, _DEFAULT_MEMORY = "0.2", "256Mi"
# What a script with the worker kit has in a line of its own.
_KIT = re.compile(r"^[ \t]*# oscar-batch worker 1[ \t\r]*$", re.MULTILINE)
_WRITTEN_BY = re.compile(r"^[ \t]*# Written by oscar-batch (\d[\w.+-]{0,30}):", re.MULTILINE)
# What the worker in sh has in addition.
_KEEPS_LANE = re.compile(r"^[ \t]*# oscar-batch worker keeps to its lane[ \t\r]*$", re.MULTILINE)
# What starts a run, in a line that is no comment.
_RUNS = re.compile(r"^[^#\n]*(?:-m (?:coordinator|oscar_batch)|oscar-batch) run\b", re.MULTILINE)
_DATA_VARIABLE = "OSCAR_BATCH_DATA"
# A million cores, an exbibyte.
_MOST_MILLICORES, _MOST_BYTES = 10**9, 2**60


def parse_service(raw: Mapping[str, Any]) -> Service:
    """The service of a definition. Raises ClusterError if its resources are unusable."""
    name, token = str(raw.get("name") or ""), str(raw.get("token") or "")
    try:
        needs = Resources(
            cpu_millicores=parse_millicores(raw.get("cpu") or _DEFAULT_CPU),
            memory_bytes=parse_bytes(raw.get("memory") or _DEFAULT_MEMORY),
            gpus=1 if raw.get("enable_gpu") else 0,
        )
        total = _read_total(raw.get("total_cpu"), raw.get("total_memory"))
        scratch_bytes = parse_bytes(raw.get("ephemeral_storage_request") or "0")
        _check_needs(needs)
    except (TypeError, ValueError) as error:
        # Any text of the definition may contain its token.
        detail = hide_secrets(f"service {name} has an unusable cpu or memory: {error}", [token])
        raise ClusterError(detail) from error
    script = str(raw.get("script") or "")
    return Service(
        name=name,
        needs=needs,
        token=_check_token(name, token),
        inputs=parse_folders(raw.get("input")),
        outputs=parse_folders(raw.get("output")),
        mount=_parse_mount(raw.get("mount")),
        has_kit=_KIT.search(script) is not None,
        kit_release=_read_kit_release(script),
        keeps_lane=_KEEPS_LANE.search(script) is not None,
        # The worker itself names the command in a message.
        is_coordinator=_KIT.search(script) is None and _RUNS.search(script) is not None,
        data_buckets=_read_data_buckets(raw.get("environment")),
        hides_output=str(raw.get("log_level") or "INFO") != "DEBUG",
        owner=str(raw.get("owner") or ""),
        interlink_node=str(raw.get("interlink_node_name") or ""),
        sgx=bool(raw.get("enable_sgx")),
        scratch_bytes=scratch_bytes,
        total=total,
    )


def _read_total(cpu: Any, memory: Any) -> Allowance:
    return Allowance(
        cpu_millicores=parse_millicores(cpu) if cpu else None,
        memory_bytes=parse_bytes(memory) if memory else None,
    )


def _parse_mount(mount: Any) -> Folder | None:
    path = mount.get("path") if isinstance(mount, dict) else None
    return Folder.parse(str(path)) if path else None


def _read_kit_release(script: str) -> str:
    found = _WRITTEN_BY.search(script)
    return found[1] if found else ""


def parse_services(raw: Sequence[Any]) -> tuple[Service, ...]:
    """The services of a list; skips invalid definitions and impossible amounts."""
    found = []
    for each in raw:
        if isinstance(each, dict) and each.get("name"):
            with suppress(ClusterError):
                found.append(parse_service(each))
    return tuple(found)


def parse_triggers(raw: Sequence[Any]) -> tuple[Trigger, ...]:
    """The input folders of all services of a list; what is no definition has none."""
    return tuple(
        Trigger(folder, f"service {clean_text(str(each.get('name') or ''), 64)}")
        for each in raw
        if isinstance(each, dict)
        for folder in parse_folders(each.get("input"))
    )


def _read_data_buckets(environment: Any) -> tuple[str, ...]:
    found = environment if isinstance(environment, dict) else {}
    # Releases up to 3.3.3 spell the key with a capital letter.
    variables = found.get("variables") or found.get("Variables")
    text = variables.get(_DATA_VARIABLE) if isinstance(variables, dict) else None
    return tuple(name for each in str(text or "").split(",") if (name := each.strip()))


def _check_token(name: str, token: str) -> str:
    if not PRINTABLE.fullmatch(token):
        raise ClusterError(f"service {name} has a token that no request can carry")
    return token


def _check_needs(needs: Resources) -> None:
    """Raises ValueError for amounts that no node can have; OSCAR stores them unchecked."""
    if not 0 <= needs.cpu_millicores <= _MOST_MILLICORES:
        raise ValueError(f"{needs.cpu_millicores / 1000:g} CPU is not a possible amount")
    if not 0 <= needs.memory_bytes <= _MOST_BYTES:
        raise ValueError(f"{needs.memory_bytes} bytes of memory is not a possible amount")


def parse_storage(raw: Mapping[str, Any]) -> StorageAccess:
    """The MinIO of an answer to `/system/config`. Raises ClusterError if it names none."""
    provider = raw.get("minio_provider") or {}
    try:
        access = StorageAccess(
            normalize_address(str(provider["endpoint"])),
            str(provider["access_key"]),
            str(provider["secret_key"]),
            region=str(provider.get("region") or ""),
            verify=bool(provider.get("verify", True)),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ClusterError(
            "OSCAR does not tell how to reach its MinIO: set OSCAR_BATCH_MINIO_URL, "
            "OSCAR_BATCH_MINIO_ACCESS_KEY and OSCAR_BATCH_MINIO_SECRET_KEY"
        ) from error
    return access


def parse_quota(raw: Mapping[str, Any]) -> Quota:
    """The quota of an answer; what its queue does not cover is not bounded.

    A cluster that has volumes and no Kueue answers without `resources`. Raises ClusterError if
    the answer is none of OSCAR's.
    """
    try:
        resources = raw.get("resources") or {}
        left = {
            name: max(0, parse_amount(values.get("max", 0)) - parse_amount(values.get("used", 0)))
            for name, values in resources.items()
        }
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise ClusterError(f"the quota has an unreadable value: {error!r}") from error
    return Quota(
        user=str(raw.get("user_id") or ""),
        left=Allowance(
            cpu_millicores=left.get("cpu"),
            memory_bytes=left.get("memory"),
            gpus=left.get("gpu"),
            scratch_bytes=left.get("ephemeral-storage"),
        ),
    )
