# SPDX-License-Identifier: Apache-2.0
"""Saved answers of OSCAR's API → capacity, a saved index → chunks: planning without a cluster.

`capacity --status FILE --service FILE` and `plan --index FILE --slots N` let anybody check the
numbers that a run would act on, with the very code of a run. Reads files, contacts nothing.
Called by `__main__`. Next: `capacity`, `plan`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ..config.load import read_planning
from ..config.schema import ConfigReader
from ..drive.preflight import explain_misfit, without_room
from ..index.builder import IndexBuilder
from ..model.cluster import Capacity
from ..model.errors import ConfigError, clean_text
from ..model.items import Chunk, Index, Item
from ..model.object_columns import ObjectColumns
from ..model.planning import Choice, Strategy
from ..model.service import Service
from ..oscar import definition, status
from ..plan.capacity import apply_caps, compute_capacity
from ..plan.choose import choose_chunks

# Lines of a saved index that are counted in one go.
_BATCH = 10_000


def capacity_options(parser: argparse.ArgumentParser) -> None:
    """The arguments of the offline form of `capacity`."""
    saved = parser.add_argument_group("from saved answers, without a cluster")
    saved.add_argument("--status", type=Path, metavar="FILE", help="of GET /system/status")
    saved.add_argument("--service", type=Path, metavar="FILE", help="of GET /system/services/NAME")
    saved.add_argument("--quota", type=Path, metavar="FILE", help="of GET /system/quotas/user")
    saved.add_argument(
        "--headroom", type=float, metavar="X", help="share of the free room left (default: 0.2)"
    )


def plan_options(parser: argparse.ArgumentParser) -> None:
    """The arguments of the offline form of `plan`."""
    saved = parser.add_argument_group("from a saved index, without a cluster")
    saved.add_argument("--index", type=Path, metavar="FILE", help="lines of key, tab, bytes")
    saved.add_argument("--slots", type=int, metavar="N", help="invocations at a time")
    saved.add_argument("--strategy", choices=[str(s) for s in Strategy], default="auto")
    saved.add_argument("--chunk-items", type=int, metavar="N", help="for the strategy fixed")
    saved.add_argument("--chunk-bytes", type=int, metavar="N", help="for the strategy fixed")
    saved.add_argument("--min-chunk-items", type=int, metavar="N")
    saved.add_argument("--startup", type=float, metavar="S", help="seconds of an invocation alone")
    saved.add_argument("--seconds-per-item", type=float, metavar="S")
    saved.add_argument("--seconds-per-mb", type=float, metavar="S", help="per 10^6 bytes")
    saved.add_argument(
        "--speeds", type=float, nargs="+", metavar="X", help="of the slots: 1 if all are alike"
    )


def capacity(arguments: argparse.Namespace) -> Capacity:
    """The capacity of saved answers. Raises ConfigError if one is not usable."""
    if not (arguments.status and arguments.service):
        raise ConfigError(["capacity: --status and --service belong together"])
    asked = _asked(headroom=arguments.headroom)
    cluster = status.parse_status(_decoded(arguments.status))
    service = _service(arguments.service)
    if problem := explain_misfit(cluster, service):
        return without_room(cluster, service, asked["plan.headroom"], problem)
    fits = compute_capacity(cluster, service.needs, headroom=asked["plan.headroom"])
    quota = definition.parse_quota(_object(arguments.quota)) if arguments.quota else None
    return apply_caps(fits, service, quota, None)


def cut(arguments: argparse.Namespace) -> tuple[Index, tuple[Chunk, ...], Choice]:
    """How the index of a file is cut. Raises ConfigError if a line or an argument is no good."""
    if arguments.slots is None or arguments.slots < 1:
        raise ConfigError(["plan --index: also needs --slots, a number of at least 1"])
    pulls = arguments.strategy == Strategy.PULL
    values = _asked(
        strategy=None if pulls else arguments.strategy,
        chunk_items=arguments.chunk_items,
        chunk_bytes=arguments.chunk_bytes,
        min_chunk_items=arguments.min_chunk_items,
        startup_s=arguments.startup,
        seconds_per_item=arguments.seconds_per_item,
        seconds_per_mb=arguments.seconds_per_mb,
        speeds=arguments.speeds,
    )
    if pulls:
        values["plan.strategy"] = Strategy.PULL
    cutting, cost, problems = read_planning(values, source="the arguments")
    if problems:
        raise ConfigError(problems)
    try:
        with arguments.index.open(encoding="utf-8", newline="\n") as lines:
            index = indexed(_items(arguments.index, lines))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"cannot read {arguments.index}: {error}"]) from error
    chunks, choice = choose_chunks(index, min(arguments.slots, max(1, index.items)), cutting, cost)
    return index, chunks, choice


def indexed(items: Iterable[Item]) -> Index:
    """The index of items that are at hand."""
    builder = IndexBuilder()
    for _ in builder.build_lines(_batches(items)):
        continue
    return builder.index()


def _batches(items: Iterable[Item]) -> Iterator[ObjectColumns]:
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        keys = [item.key.encode() for item in batch]
        yield ObjectColumns(keys, [item.size_bytes for item in batch])


def _items(path: Path, lines: Iterable[str]) -> Iterator[Item]:
    for number, line in enumerate(lines, start=1):
        key, tab, size = line.rstrip("\n").rpartition("\t")
        if not tab or not size.isdecimal() or not size.isascii():
            raise ConfigError([f"{path}: line {number} is not a key, a tab and a size in bytes"])
        yield Item(key, int(size))


def _asked(**values: object) -> dict[str, Any]:
    """Arguments checked as the config keys of the same name are."""
    given = {name: value for name, value in values.items() if value is not None}
    reading = ConfigReader({"plan": given})
    problems = [problem for problem in reading.problems if problem.startswith("plan.")]
    if problems:
        raise ConfigError(problems)
    return reading.values


def _service(path: Path) -> Service:
    return definition.parse_service(_object(path))


def _object(path: Path) -> dict[str, Any]:
    raw = _decoded(path)
    if not isinstance(raw, dict):
        raise ConfigError([f"{path}: is not a JSON object as OSCAR answers it"])
    return raw


def _decoded(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError([f"cannot read {path}: {error.strerror}"]) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{path}: is not JSON: {clean_text(str(error))}"]) from error
