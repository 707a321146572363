# SPDX-License-Identifier: Apache-2.0
"""`plan`: shows what a run would do, or how a saved index would be cut into chunks."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from ..config.load import read_planning
from ..drive.indexing import count_only
from ..index.builder import IndexBuilder
from ..model.errors import ConfigError
from ..model.items import Index
from ..model.object_columns import ObjectColumns
from ..model.planning import ChunkRules, Cost, Strategy
from ..model.units import format_bytes
from ..plan.choose import choose_chunks
from ..report.text import render_choice, render_chunks, render_summary
from ..run.plan_document import write_cut, write_plan
from .inputs import check_plan_options
from .run import run_config

# Lines of a saved index that are counted together.
_BATCH = 10_000


def execute(arguments: argparse.Namespace) -> int:
    """Prints a plan and starts nothing."""
    return _cut_index(arguments) if arguments.index else _plan_run(arguments)


def _plan_run(arguments: argparse.Namespace) -> int:
    report, _ = run_config(arguments.config, dry_run=True)
    if report.plan is None:
        print(render_summary(report), file=sys.stderr)
    elif arguments.json:
        print(json.dumps(write_plan(report.plan), indent=2))
    else:
        print(render_summary(report))
        print(render_chunks(report.plan.chunks))
    return report.ending.exit_code


def _cut_index(arguments: argparse.Namespace) -> int:
    if arguments.slots is None or arguments.slots < 1:
        raise ConfigError(["plan --index: also needs --slots, a number of at least 1"])
    rules, cost = _read_rules(arguments)
    index = _read_index(arguments.index, rules)
    chunks, choice = choose_chunks(index, arguments.slots, rules, cost)
    if arguments.json:
        print(json.dumps(write_cut(index, chunks, choice), indent=2))
    else:
        print(f"{index.items} items, {format_bytes(index.size_bytes)}")
        print(render_choice(choice, len(chunks)))
        print(render_chunks(chunks))
    return 0


def _read_rules(arguments: argparse.Namespace) -> tuple[ChunkRules, Cost]:
    pulls = arguments.strategy == Strategy.PULL
    values = check_plan_options(
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
    rules, cost, problems = read_planning(values, source="the arguments")
    if problems:
        raise ConfigError(problems)
    return rules, cost


def _read_index(path: Path, rules: ChunkRules) -> Index:
    builder = IndexBuilder(rules)
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            count_only(builder.build_lines(_read_batches(path, lines)))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"cannot read {path}: {error}"]) from error
    return builder.index()


def _read_batches(path: Path, lines: Iterable[str]) -> Iterator[ObjectColumns]:
    rows = _read_rows(path, lines)
    while batch := list(islice(rows, _BATCH)):
        yield ObjectColumns([key for key, _ in batch], [size for _, size in batch])


def _read_rows(path: Path, lines: Iterable[str]) -> Iterator[tuple[bytes, int]]:
    for number, line in enumerate(lines, start=1):
        key, tab, size = line.rstrip("\n").rpartition("\t")
        if not tab or not size.isdecimal() or not size.isascii():
            raise ConfigError([f"{path}: line {number} is not a key, a tab and a size in bytes"])
        yield key.encode(), int(size)
