# SPDX-License-Identifier: Apache-2.0
"""`submit`: drops a config into the trigger folder of the coordinator's service, and follows it.

It reads from OSCAR where that folder and the cluster's MinIO are, checks the config as the
coordinator will, gives the run its id, and drops the config again if its run does not begin.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ...config.credentials import Platform
from ...config.load import Config, decode_config, load_config
from ...drive.bodies.template import find_template_problems
from ...drive.dropping import Drop, drop_until_begun, follow_run
from ...drive.planning.canary import name_canary
from ...drive.progress import make_run_id, read_utc_clock
from ...model.access import StorageAccess
from ...model.errors import ConfigError, StorageError
from ...model.service import Service
from ...report.document import write_report
from ...report.text import render_summary
from ...run.layout import RunLayout
from ...storage.bucket import Bucket
from ..inputs import find_cluster, read_bytes
from ..output import (
    end_progress,
    hide_in_log,
    name_run,
    print_document,
    print_progress,
    print_result,
)

log = logging.getLogger(__name__)


def execute(arguments: argparse.Namespace) -> int:
    """Submits a config; the exit code is that of its run."""
    drop = prepare_drop(arguments.config, arguments.service, os.environ)
    name_run(drop.layout.run_id)
    try:
        drop = drop_until_begun(drop, arguments.patience, time.sleep)
        name_run(drop.layout.run_id)
    except StorageError as error:
        raise StorageError(
            f"{error}; if that address is one inside the cluster, set OSCAR_BATCH_MINIO_URL, "
            "OSCAR_BATCH_MINIO_ACCESS_KEY and OSCAR_BATCH_MINIO_SECRET_KEY"
        ) from error
    if arguments.no_follow:
        print_result(drop.layout.run_id)
        return 0
    report = follow_run(drop, log.info, print_progress, time.sleep)
    end_progress()
    if arguments.json:
        print_document(write_report(report))
    else:
        print_result(render_summary(report))
    return report.ending.exit_code


def prepare_drop(path: Path, name: str, environ: Mapping[str, str]) -> Drop:
    """What `submit` drops for the coordinator's service `name`. Raises BatchError."""
    raw = dict(decode_config(read_bytes(path)))
    if not isinstance(raw.get("run") or {}, dict):
        raise ConfigError(["run: must be an object with keys"])
    run_id = str((raw.get("run") or {}).get("id") or make_run_id(read_utc_clock()))
    raw["run"] = {**(raw.get("run") or {}), "id": run_id}
    content = json.dumps(raw, indent=2).encode()
    oscar, platform = find_cluster(raw, Platform.from_environment(environ))
    coordinator = oscar.read_service(name)
    if not coordinator.inputs:
        raise ConfigError([f"--service: {name} has no input folder; is it the coordinator?"])
    storage = platform.storages[0] if platform.storages else oscar.read_storage()
    config = load_config(content, _offer(platform, storage, coordinator), find_template_problems)
    hide_in_log((*config.secrets, storage.secret_key))
    return _make_drop(config, content, storage, coordinator)


def _offer(platform: Platform, storage: StorageAccess, coordinator: Service) -> Platform:
    """What the coordinator's job will find, so that the config is checked as it will be there."""
    return replace(
        platform,
        storages=(storage,),
        own_inputs=coordinator.inputs,
        own_outputs=coordinator.outputs,
    )


def _make_drop(
    config: Config, content: bytes, storage: StorageAccess, coordinator: Service
) -> Drop:
    trigger, state = coordinator.inputs[0], config.locations.state
    own = Bucket(config.storage, state.bucket)
    name = make_run_id(read_utc_clock()) if config.redrive else config.run_id
    layout = RunLayout(config.locations, config.run_id)
    tried = config.canary and not config.redrive and not config.dry_run
    outputs = [(Bucket(storage, folder.bucket), folder) for folder in coordinator.outputs]
    return Drop(
        content=content,
        trigger=Bucket(storage, trigger.bucket),
        key=f"{trigger.prefix}{name}.json",
        state=own,
        layout=layout,
        reports=((own, state), *outputs),
        canary=layout.with_run(name_canary(config.run_id)) if tried else None,
        redrive=config.redrive,
    )
