# SPDX-License-Identifier: Apache-2.0
"""The table of all config keys: the check, the default and the meaning of each.

The checks of a config and its JSON Schema are both made from this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..model.planning import Strategy
from ..model.service import Mode
from . import checks
from .checks import ChoiceCheck, NumberCheck


@dataclass(frozen=True, slots=True)
class Key:
    """A config key: its meaning, its check, its default; `required` names what a config lacks."""

    about: str
    check: Callable[[Any], Any] = checks.check_string
    default: Any = ""
    required: str = ""


# The pull and event modes choose these strategies themselves; a config cannot.
_check_strategy = ChoiceCheck(names=Strategy, without=frozenset({Strategy.PULL, Strategy.EVENT}))
_check_seconds = NumberCheck(least=0, below=checks.DAY_S)


def _describe_outputs(section: str, about: str) -> dict[str, Key]:
    """The keys that say where the output of an item is."""
    return {
        section: Key(
            f"{about}: true for the service's own output path, or an object",
            checks.check_done,
            False,
        ),
        f"{section}.bucket": Key("the bucket of the outputs", checks.check_bucket),
        f"{section}.prefix": Key("the folder of the outputs", checks.check_key),
        f"{section}.strip": Key(
            "the ending of an item's name that its output does not have, such as .jpg",
            checks.check_key,
        ),
        f"{section}.suffix": Key("the ending of an output's name, such as .json", checks.check_key),
    }


KEYS: Mapping[str, Key] = {
    "$schema": Key("the address of this schema, for editors"),
    "MinIO.url": Key(
        "the storage with the data; http:// means without TLS, no scheme means https; left "
        "out: the cluster's own MinIO",
        checks.check_storage_url,
    ),
    "MinIO.access_key": Key(
        "better in OSCAR_BATCH_MINIO_ACCESS_KEY of the environment", checks.check_printable
    ),
    "MinIO.secret_key": Key("better in OSCAR_BATCH_MINIO_SECRET_KEY of the environment"),
    "MinIO.region": Key(
        "the region of the bucket, where the server has regions", checks.check_region
    ),
    "MinIO.verify": Key("false: do not verify the TLS certificate", checks.check_flag, None),
    "MinIO.ca_file": Key("a file of CA certificates (PEM) to verify with"),
    "bucket.name": Key(
        "the bucket with the files to process",
        checks.check_bucket,
        required="the bucket with the files to process",
    ),
    "bucket.folder_prefix": Key(
        "the folder of the files; left out: the whole bucket", checks.check_key
    ),
    "bucket.recursive": Key("false: leave out the folders below", checks.check_flag, True),
    "bucket.include": Key("only keys that match one of these globs", checks.check_globs, ()),
    "bucket.exclude": Key("no keys that match one of these globs", checks.check_globs, ()),
    "bucket.min_size": Key("only objects of at least so many bytes", checks.check_bytes, None),
    "bucket.max_size": Key("only objects of at most so many bytes", checks.check_bytes, None),
    "bucket.modified_after": Key("only objects modified after this time", checks.check_time, None),
    "bucket.modified_before": Key(
        "only objects modified before this time", checks.check_time, None
    ),
    "bucket.manifest": Key(
        "the key of a text, CSV or JSONL object that names the items, instead of a listing",
        checks.check_key,
    ),
    "bucket.manifest_column": Key(
        "the column or member of the manifest with the key", default="key"
    ),
    **_describe_outputs("bucket.skip_done", "leave out items that have their output already"),
    "output.file": Key(
        "also write the index under this name in the data folder", checks.check_file
    ),
    "oscar_cluster.url": Key(
        "the OSCAR cluster; left out: the one that the coordinator was deployed to",
        checks.check_url,
    ),
    "oscar_cluster.auth_basic.username": Key(
        "better in OSCAR_BATCH_OSCAR_USERNAME of the environment"
    ),
    "oscar_cluster.auth_basic.password": Key(
        "better in OSCAR_BATCH_OSCAR_PASSWORD of the environment"
    ),
    "oscar_cluster.auth_token.token": Key(
        "an access token; better in OSCAR_BATCH_OSCAR_TOKEN of the environment",
        checks.check_printable,
    ),
    "oscar_cluster.auth_token.refresh_token": Key(
        "for OpenID Connect; better in OSCAR_BATCH_OSCAR_REFRESH_TOKEN of the environment",
        checks.check_printable,
    ),
    "oscar_cluster.auth_token.token_endpoint": Key(
        "where access tokens are fetched", checks.check_endpoint
    ),
    "oscar_cluster.auth_token.client_id": Key("the client that the refresh token is for"),
    "oscar_cluster.verify": Key(
        "false: do not verify the TLS certificate", checks.check_flag, None
    ),
    "oscar_cluster.ca_file": Key("a file of CA certificates (PEM) to verify with"),
    "oscar_cluster.timeout_s": Key(
        "seconds for one request", NumberCheck(above=0, below=checks.DAY_S), 30.0
    ),
    "service.mode": Key(
        "how the service gets its items: pull by workers with the kit, range of index lines, event "
        "per item",
        ChoiceCheck(names=Mode),
        Mode.AUTO,
    ),
    "service.name": Key(
        "the OSCAR service that processes the files",
        checks.check_service,
        required="the OSCAR service that processes the files",
    ),
    "service.payload": Key(
        "a Jinja2 template for the bodies of invocations, in range mode", checks.check_template
    ),
    "plan.headroom": Key(
        "share of every node's free resources that is left to others",
        NumberCheck(least=0, below=1),
        0.2,
    ),
    "plan.max_parallel": Key("the most invocations at a time", checks.check_count, None),
    "plan.strategy": Key("how the listing is cut into chunks", _check_strategy, Strategy.AUTO),
    "plan.chunk_items": Key("items of a chunk, with the strategy fixed", checks.check_count, None),
    "plan.chunk_bytes": Key(
        "bytes of a chunk, with the strategy fixed", checks.check_chunk_bytes, None
    ),
    "plan.min_chunk_items": Key("the fewest items of a chunk", checks.check_count, 1),
    "plan.startup_s": Key("seconds that an invocation needs to start up", _check_seconds, None),
    "plan.seconds_per_item": Key("seconds per item, if known", _check_seconds, None),
    "plan.seconds_per_mb": Key("seconds per 10^6 bytes, if known", _check_seconds, None),
    "plan.speeds": Key(
        "relative speeds of the nodes; [1] if all are alike", checks.check_speeds, ()
    ),
    "plan.extra_slots": Key(
        "invocations beyond what fits now, for clusters that grow while pods are pending",
        checks.check_extra_slots,
        0,
    ),
    **_describe_outputs("run.verify", "what proves that an item is done"),
    "run.dry_run": Key("plan and report only", checks.check_flag, False),
    "run.watch": Key("false: end when everything is submitted", checks.check_flag, True),
    "run.poll_s": Key(
        "seconds between two looks at the run", NumberCheck(least=1, below=checks.DAY_S), 10.0
    ),
    "run.pending_timeout_s": Key(
        "seconds after which a worker without a sign of life counts as never started",
        NumberCheck(least=1, below=7 * checks.DAY_S),
        900.0,
    ),
    "run.item_timeout_s": Key(
        "seconds after which an item has failed, in pull mode",
        NumberCheck(least=1, below=30 * checks.DAY_S),
        86_400.0,
    ),
    "run.chunk_timeout_s": Key(
        "seconds after which a chunk is given up and its open items are retried, in pull mode",
        NumberCheck(least=1, below=30 * checks.DAY_S),
        None,
    ),
    "run.run_timeout_s": Key(
        "seconds after which the run is stopped",
        NumberCheck(least=1, below=365 * checks.DAY_S),
        None,
    ),
    "run.wait_for_room_s": Key(
        "seconds to wait for free capacity when the cluster is full",
        NumberCheck(least=0, below=365 * checks.DAY_S),
        0.0,
    ),
    "run.retries": Key("more rounds for items that failed", checks.check_retries, 2),
    "run.tolerated_failures": Key(
        "a number of items, or a percentage such as 5%; if more fail, the run is stopped",
        checks.check_tolerance,
        None,
    ),
    "run.keep": Key(
        "days for which folders of ended runs of the same config are kept, or forever; older ones "
        "are removed when a run ends",
        checks.check_keep,
        None,
    ),
    "run.id": Key(
        "the run to continue; if there is none, the id of the new run", checks.check_run_id
    ),
    "run.canary": Key(
        "first run so many items, spread over the listing; use their times to plan the rest",
        checks.check_extra_slots,
        0,
    ),
    "run.redrive": Key("process the failed and pending items of run.id", checks.check_flag, False),
    "run.new": Key(
        "start a run beside an unfinished one of the same config", checks.check_flag, False
    ),
    "state.bucket": Key(
        "the bucket for index, plan and report; left out: the data bucket", checks.check_bucket
    ),
    "state.prefix": Key("the folder of all runs", checks.check_key, ".oscar-batch/"),
    "report.bucket": Key("a bucket for a copy of the report", checks.check_bucket),
    "report.prefix": Key("a folder for a copy of the report", checks.check_key),
}
SECTIONS: Mapping[str, str] = {
    "MinIO": "the storage with the data",
    "bucket": "which files are processed",
    "bucket.skip_done": KEYS["bucket.skip_done"].about,
    "output": "files that a run writes into the data folder",
    "oscar_cluster": "the OSCAR cluster and its credentials",
    "oscar_cluster.auth_basic": "username and password",
    "oscar_cluster.auth_token": "a token, or what OpenID Connect needs to fetch tokens",
    "service": "the service that processes the files",
    "plan": "how many invocations, and how the listing is cut into chunks",
    "run": "how the run is carried out",
    "run.verify": KEYS["run.verify"].about,
    "state": "where a run keeps its index, plan and report",
    "report": "where a copy of the report goes",
}
