# SPDX-License-Identifier: Apache-2.0
"""The table of all config keys: the check and the default of each.

`ConfigReader` compares a decoded config with the table and collects values and problems. It does
not know what the values are for.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from ..model.errors import clean_text
from ..model.planning import MOST_SPEEDS, Strategy
from ..model.selection import compile_glob, parse_time
from ..model.units import parse_bytes
from .credentials import normalize_address

# No request may take longer; a socket could not wait for the largest numbers.
_DAY_S = 86_400
_RUN_ID = re.compile("[0-9]{8}t[0-9]{6}z-[0-9a-f]{6}")


class ConfigReader:
    """Compares a raw config with the table of known keys; collects values and problems."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.problems: list[str] = []
        given = dict(self._find_leaves(raw, ""))
        self.values: dict[str, Any] = {}
        for path, known in KEYS.items():
            self.values[path] = known.default
            if given.get(path) is not None:
                try:
                    self.values[path] = known.check(given[path])
                except ValueError as error:
                    self.problems.append(f"{path}: {error}")
            if known.required and not self.values[path] and path not in self._reported():
                self.problems.append(f"{path}: is missing ({known.required})")

    def _reported(self) -> set[str]:
        return {problem.partition(":")[0] for problem in self.problems}

    def _find_leaves(self, raw: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        for key, value in raw.items():
            here = f"{path}{key}"
            if here in KEYS:
                yield here, value
            elif here not in _SECTIONS:
                self.problems.append(_describe_unknown(path, str(key)))
            elif isinstance(value, dict):
                yield from self._find_leaves(value, f"{here}.")
            elif value is not None:
                self.problems.append(
                    f"{here}: must be an object with keys, not {describe_kind(value)}"
                )


def _describe_unknown(path: str, key: str) -> str:
    siblings = {known[len(path) :].partition(".")[0] for known in KEYS if known.startswith(path)}
    lowered = {name.lower(): name for name in sorted(siblings)}
    near = difflib.get_close_matches(key.lower(), lowered, n=1)
    advice = (
        f"did you mean {lowered[near[0]]}?" if near else f"known: {', '.join(sorted(siblings))}"
    )
    return f"{clean_text(path + key, 80)}: is not a known key; {advice}"


def describe_kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}
    return kinds.get(type(value), "null" if value is None else "a number")


def _check_string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not {describe_kind(value)}")
    if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in value):
        raise ValueError("must not contain control characters or incomplete characters")
    return value


def _check_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {describe_kind(value)}")
    return value


def _make_number_check(
    *, above: float = -math.inf, least: float = -math.inf, below: float = math.inf
) -> Any:
    bounds = [f"above {above:g}"] if above > -math.inf else []
    bounds += [f"at least {least:g}"] if least > -math.inf else []
    bounds += [f"below {below:g}"] if below < math.inf else []

    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"must be a number {' and '.join(bounds)}, not {describe_kind(value)}")
        if not (above < value and least <= value < below):
            got = clean_text(str(value), 20)
            raise ValueError(f"must be a number {' and '.join(bounds)}, got {got}")
        return float(value)

    return check


def _check_count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        got = str(value)[:20] if isinstance(value, int | float) else describe_kind(value)
        raise ValueError(f"must be a whole number of at least 1, got {got}")
    return value


def _check_run_id(value: object) -> str:
    if not isinstance(value, str) or not _RUN_ID.fullmatch(value):
        raise ValueError("must be an id as runs have it, such as 20261122t101500z-3f9a1c")
    return value


def _check_extra_slots(value: object) -> int:
    return 0 if value == 0 and not isinstance(value, bool) else _check_count(value)


def _check_strategy(value: object) -> Strategy:
    text = _check_string(value)
    # Pulling is a mode of the service's workers, not a way to cut ranges for invocations.
    known = [str(strategy) for strategy in Strategy if strategy is not Strategy.PULL]
    if text not in known:
        raise ValueError(f"must be one of {', '.join(known)}, got {clean_text(text, 20)!r}")
    return Strategy(text)


def _check_speeds(value: object) -> tuple[float, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_SPEEDS:
        raise ValueError(f"must be a list of 1 to {MOST_SPEEDS} numbers, such as [0.5, 1, 1]")
    check = _make_number_check(least=0.01, below=100)
    return tuple(sorted(check(each) for each in value))


def _check_bucket(value: object) -> str:
    text = _check_string(value)
    if text and ("/" in text or not 3 <= len(text) <= 63):
        raise ValueError(f"must be a bucket's name without folders, got {clean_text(text, 80)!r}")
    return text


def _check_file(value: object) -> str:
    text = _check_string(value)
    if text.startswith("/") or text.endswith("/"):
        raise ValueError("must be a file name below bucket.folder_prefix, such as index.txt")
    return text


def _check_url(value: object) -> str:
    text = _check_string(value)
    return normalize_address(text) if text.strip() else ""


def _check_storage_url(value: object) -> str:
    url = _check_url(value)
    if url.count("/") > 2:
        raise ValueError("must be the address of the server alone, without a path")
    return url


def _check_region(value: object) -> str:
    text = _check_string(value)
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise ValueError("must be a region's name, such as us-east-1")
    return text


def _check_globs(value: object) -> tuple[str, ...]:
    texts = [_check_string(each) for each in (value if isinstance(value, list) else [value])]
    for text in texts:
        compile_glob(text)
    return tuple(texts)


def _check_bytes(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(
            f"must be a number of bytes, or a string such as 10Mi, not {describe_kind(value)}"
        )
    found = parse_bytes(str(value))
    if found < 0:
        raise ValueError("must not be negative")
    return found


def _check_time(value: object) -> datetime:
    # YAML reads an unquoted date or time as such.
    text = value.isoformat() if isinstance(value, date) else _check_string(value)
    try:
        return parse_time(text)
    except ValueError as error:
        raise ValueError(f"must be a time such as 2026-11-22T10:15:00Z, got {text!r}") from error


@dataclass(frozen=True, slots=True)
class _Key:
    """A config key: its check, its default, and what is missing without it."""

    check: Callable[[Any], Any] = _check_string
    default: Any = ""
    required: str = ""


KEYS: Mapping[str, _Key] = {
    "MinIO.url": _Key(_check_storage_url),
    "MinIO.access_key": _Key(),
    "MinIO.secret_key": _Key(),
    "MinIO.region": _Key(_check_region),
    "MinIO.verify": _Key(_check_flag, None),
    "MinIO.ca_file": _Key(),
    "bucket.name": _Key(_check_bucket, required="the bucket with the files to process"),
    "bucket.folder_prefix": _Key(),
    "bucket.recursive": _Key(_check_flag, True),
    "bucket.include": _Key(_check_globs, ()),
    "bucket.exclude": _Key(_check_globs, ()),
    "bucket.min_size": _Key(_check_bytes, None),
    "bucket.max_size": _Key(_check_bytes, None),
    "bucket.modified_after": _Key(_check_time, None),
    "bucket.modified_before": _Key(_check_time, None),
    "bucket.manifest": _Key(),
    "bucket.manifest_column": _Key(default="key"),
    "bucket.skip_done.prefix": _Key(),
    "bucket.skip_done.strip": _Key(),
    "bucket.skip_done.suffix": _Key(),
    "output.file": _Key(_check_file),
    "oscar_cluster.url": _Key(_check_url),
    "oscar_cluster.auth_basic.username": _Key(),
    "oscar_cluster.auth_basic.password": _Key(),
    "oscar_cluster.auth_token.token": _Key(),
    "oscar_cluster.verify": _Key(_check_flag, None),
    "oscar_cluster.ca_file": _Key(),
    "oscar_cluster.timeout_s": _Key(_make_number_check(above=0, below=_DAY_S), 30.0),
    "service.name": _Key(required="the OSCAR service that processes the files"),
    "plan.headroom": _Key(_make_number_check(least=0, below=1), 0.2),
    "plan.max_parallel": _Key(_check_count, None),
    "plan.strategy": _Key(_check_strategy, Strategy.AUTO),
    "plan.chunk_items": _Key(_check_count, None),
    "plan.chunk_bytes": _Key(_check_count, None),
    "plan.min_chunk_items": _Key(_check_count, 1),
    "plan.startup_s": _Key(_make_number_check(least=0, below=_DAY_S), None),
    "plan.seconds_per_item": _Key(_make_number_check(least=0, below=_DAY_S), None),
    "plan.seconds_per_mb": _Key(_make_number_check(least=0, below=_DAY_S), None),
    "plan.speeds": _Key(_check_speeds, ()),
    "plan.extra_slots": _Key(_check_extra_slots, 0),
    "run.dry_run": _Key(_check_flag, False),
    "run.id": _Key(_check_run_id),
    "state.bucket": _Key(_check_bucket),
    "state.prefix": _Key(default=".oscar-batch/"),
    "report.bucket": _Key(_check_bucket),
    "report.prefix": _Key(),
}
_SECTIONS = {path[:i] for path in KEYS for i, letter in enumerate(path) if letter == "."}
