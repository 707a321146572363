# SPDX-License-Identifier: Apache-2.0
"""`doctor`: checks everything that a run needs, and advises. It starts nothing."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from .... import __version__
from ....config.load import Config, decode_config, load_config
from ....drive.bodies.template import find_template_problems
from ....drive.progress import make_run_id, read_utc_clock
from ....drive.setup.diagnosis import Reach, diagnose
from ....drive.setup.findings import Finding, Findings, State
from ....model.errors import BatchError
from ....run.layout import RunLayout
from ....storage.bucket import Bucket
from ...inputs import find_cluster, read_bytes, read_platform
from ...output import hide_in_log, print_document, print_result

_MARKS = {State.GOOD: "✓", State.WARNING: "!", State.BAD: "✗", State.UNKNOWN: "-"}
_SECRETS = (
    ("MinIO", "secret_key"),
    ("oscar_cluster", "auth_basic"),
    ("oscar_cluster", "auth_token"),
)


def execute(arguments: argparse.Namespace) -> int:
    """Prints each finding at once; the exit code is 1 if a run would not work."""
    found: list[Finding] = []
    for finding in examine(arguments):
        found.append(finding)
        if not arguments.json:
            print_result(render_finding(finding))
    if arguments.json:
        print_document([asdict(each) for each in found])
    return int(any(each.state is State.BAD for each in found))


def render_finding(finding: Finding) -> str:
    """A finding on one line, and on a second one what to do."""
    advice = f"\n    → {finding.advice}" if finding.advice else ""
    return f"{_MARKS[finding.state]} {finding.name}: {finding.said}{advice}"


def examine(arguments: argparse.Namespace) -> Iterator[Finding]:
    """All findings. If the config cannot be used, nothing after it is checked."""
    findings = Findings()
    with findings.judge("config"):
        if (prepared := _prepare(arguments, findings)) is None:
            yield from findings.take()
            return
        config, reach = prepared
        yield from findings.take()
        layout = RunLayout(config.locations, make_run_id(read_utc_clock()))
        for step in diagnose(config, reach, layout, arguments.service):
            yield from step
    yield from findings.take()


def _prepare(arguments: argparse.Namespace, findings: Findings) -> tuple[Config, Reach] | None:
    """The config and clients of its servers, as for `submit`; None if a server cannot be reached.

    Raises BatchError if the config cannot be used.
    """
    content = read_bytes(arguments.config)
    raw, platform = decode_config(content), read_platform()
    oscar, platform = find_cluster(raw, platform)
    if not platform.storages and not _has(raw, "MinIO", "secret_key"):
        try:
            platform = replace(platform, storages=(oscar.read_storage(),))
        except BatchError as error:
            findings.bad("credentials", f"there are none for MinIO: {error}")
            return None
    hide_in_log(platform.secrets)
    config = load_config(content, platform, find_template_problems)
    hide_in_log(config.secrets)
    findings.good("config", f"{arguments.config} is valid")
    findings.good("credentials", f"for {config.cluster.url} and {config.storage.url}")
    if any(_has(raw, *path) for path in _SECRETS):
        findings.warn(
            "credentials",
            "the config holds credentials, and whoever may read the bucket may read them",
            "leave them to the coordinator's service, or to OSCAR_BATCH_… variables",
        )
    open_bucket = partial(Bucket, config.storage)
    return config, Reach(
        oscar,
        open_bucket(config.locations.data.bucket),
        open_bucket(config.locations.state.bucket),
        Bucket,
        read_utc_clock,
        __version__,
    )


def _has(raw: Mapping[str, Any], section: str, name: str) -> bool:
    """Whether the config itself has this credential."""
    value = (raw.get(section) or {}).get(name)
    return any(value.values()) if isinstance(value, dict) else bool(value)
