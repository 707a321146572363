# SPDX-License-Identifier: Apache-2.0
"""`plan`: shows what a run would do, or how a saved index would be cut into chunks."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from ...config.load import read_planning
from ...drive.planning.indexing import count_only
from ...index.builder import IndexBuilder
from ...model.errors import ConfigError
from ...model.items import Index
from ...model.object_columns import ObjectColumns
from ...model.planning import ChunkRules, Cost
from ...model.units import format_bytes
from ...plan.choose import choose_chunks
from ...report.text import render_choice, render_chunks, render_summary
from ...run.plan_document import write_cut, write_plan
from ..inputs import check_plan_options
from ..output import print_document, print_error, print_result
from .run import run_config, run_with_canary

# Lines of a saved index that are counted together.
_BATCH = 10_000
# A key has at most 1,024 bytes, so a file with longer lines is not an index.
_LONGEST_LINE = 8192
_MOST_SLOTS, _MOST_DIGITS = 1_000_000, 18
# The options that say with --index what a config says in its section plan.
_OF_INDEX = (
    "strategy",
    "chunk_items",
    "chunk_bytes",
    "min_chunk_items",
    "startup",
    "seconds_per_item",
    "seconds_per_mb",
    "speeds",
)


def execute(arguments: argparse.Namespace) -> int:
    """Prints a plan and starts nothing."""
    return _cut_index(arguments) if arguments.index else _plan_run(arguments)


def _plan_run(arguments: argparse.Namespace) -> int:
    given = [name for name in _OF_INDEX if getattr(arguments, name) is not None]
    if given and arguments.config:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ConfigError([f"plan: {names} only for --index; a config has these under plan"])
    slots = _check_slots(arguments.slots)
    if arguments.canary:
        report = run_with_canary(arguments.config, dry_run=True, canary=arguments.canary)
    else:
        report = run_config(arguments.config, dry_run=True, slots=slots)
    if report.plan is None:
        for line in render_summary(report).split("\n"):
            print_error(line)
    elif arguments.json:
        print_document(write_plan(report.plan))
    else:
        print_result(f"{render_summary(report)}\n{render_chunks(report.plan.chunks)}")
    return report.ending.exit_code


def _check_slots(slots: int | None) -> int | None:
    if slots is not None and not 1 <= slots <= _MOST_SLOTS:
        raise ConfigError([f"plan: --slots must be a number from 1 to {_MOST_SLOTS}"])
    return slots


def _cut_index(arguments: argparse.Namespace) -> int:
    if arguments.config:
        raise ConfigError(["plan: name a config or --index FILE, not both"])
    slots = _check_slots(arguments.slots)
    if slots is None:
        raise ConfigError(["plan --index: also needs --slots, a number of at least 1"])
    rules, cost = _read_rules(arguments)
    index = _read_index(arguments.index, rules)
    chunks, choice = choose_chunks(index, slots, rules, cost)
    if arguments.json:
        print_document(write_cut(index, chunks, choice))
    else:
        print_result(f"{index.items} items, {format_bytes(index.size_bytes)}")
        print_result(render_choice(choice, len(chunks)))
        print_result(render_chunks(chunks))
    return 0


def _read_rules(arguments: argparse.Namespace) -> tuple[ChunkRules, Cost]:
    values = check_plan_options(
        strategy=arguments.strategy,
        chunk_items=arguments.chunk_items,
        chunk_bytes=arguments.chunk_bytes,
        min_chunk_items=arguments.min_chunk_items,
        startup_s=arguments.startup,
        seconds_per_item=arguments.seconds_per_item,
        seconds_per_mb=arguments.seconds_per_mb,
        speeds=arguments.speeds,
    )
    rules, cost, problems = read_planning(values, source="the arguments")
    if problems:
        raise ConfigError(problems)
    return rules, cost


def _read_index(path: Path, rules: ChunkRules) -> Index:
    builder = IndexBuilder(rules)
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            pieces = iter(lambda: lines.readline(_LONGEST_LINE), "")
            count_only(builder.build_lines(_read_batches(path, pieces)))
    except OSError as error:
        raise ConfigError([f"cannot read {path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"cannot read {path}: it is not UTF-8 text"]) from error
    return builder.index()


def _read_batches(path: Path, lines: Iterable[str]) -> Iterator[ObjectColumns]:
    rows = _read_rows(path, lines)
    while batch := list(islice(rows, _BATCH)):
        yield ObjectColumns([key for key, _ in batch], [size for _, size in batch])


def _read_rows(path: Path, lines: Iterable[str]) -> Iterator[tuple[bytes, int]]:
    for number, line in enumerate(lines, start=1):
        key, tab, size = line.rstrip("\n").rpartition("\t")
        if not tab or not size.isdecimal() or not size.isascii() or len(size) > _MOST_DIGITS:
            raise ConfigError([f"{path}: line {number} is not a key, a tab and a size in bytes"])
        yield key.encode(), int(size)
