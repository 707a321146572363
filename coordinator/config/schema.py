# SPDX-License-Identifier: Apache-2.0
"""The table of all config keys: the check and the default of each.

`ConfigReader` compares a decoded config with the table and collects values and problems. It does
not know what the values are for.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..model.errors import MAX_PROBLEMS, hide_secrets
from ..model.planning import Strategy
from ..model.service import Mode
from . import checks
from .checks import describe_kind, make_choice_check, make_number_check
from .document import is_secret_key, show_key

# Longer keys are no spelling mistakes.
_LONGEST_KEY = 80


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
            if known.required and not self.values[path] and path not in self._find_reported():
                self.problems.append(f"{path}: is missing ({known.required})")
        self.secrets = _find_secrets(raw)
        """The values that no message may show."""
        self.problems = [hide_secrets(each, self.secrets) for each in self.problems]

    def _find_reported(self) -> set[str]:
        return {problem.partition(":")[0] for problem in self.problems}

    def _find_leaves(self, raw: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        for key, value in raw.items():
            here = path + (key if "." not in key else show_key(key))
            if here in _SECTIONS and isinstance(value, dict):
                yield here, True
                yield from self._find_leaves(value, f"{here}.")
            elif here in KEYS:
                yield here, value
            elif here not in _SECTIONS:
                self.problems.append(self._describe_unknown(path, key))
            elif value is not None:
                self.problems.append(
                    f"{here}: must be an object with keys, not {describe_kind(value)}"
                )

    def _describe_unknown(self, path: str, key: str) -> str:
        problem = f"{path}{show_key(key)}: is not a known key"
        if len(self.problems) >= MAX_PROBLEMS:  # only counted
            return problem
        siblings = {
            known[len(path) :].partition(".")[0] for known in KEYS if known.startswith(path)
        }
        lowered = {name.lower(): name for name in sorted(siblings)}
        near = difflib.get_close_matches(key[:_LONGEST_KEY].lower(), lowered, n=1)
        known = f"known: {', '.join(sorted(siblings))}"
        return f"{problem}; {f'did you mean {lowered[near[0]]}?' if near else known}"


def _find_secrets(raw: Mapping[str, Any]) -> set[str]:
    """The values of keys that are named like secrets, but for those that key names contain."""
    found, level = set(), [raw]
    while level:
        members = [member for each in level for member in each.items()]
        found |= {value for key, value in members if isinstance(value, str) and is_secret_key(key)}
        level = [value for _, value in members if isinstance(value, dict)]
    names = " ".join(KEYS)
    return {secret for secret in found if secret not in names}


@dataclass(frozen=True, slots=True)
class _Key:
    """A config key: its check, its default, and what is missing without it."""

    check: Callable[[Any], Any] = checks.check_string
    default: Any = ""
    required: str = ""


# Pulling is a mode of the service's workers, not a way to cut ranges for invocations.
_check_strategy = make_choice_check(Strategy, without=frozenset({Strategy.PULL, Strategy.EVENT}))

KEYS: Mapping[str, _Key] = {
    "MinIO.url": _Key(checks.check_storage_url),
    "MinIO.access_key": _Key(checks.check_printable),
    "MinIO.secret_key": _Key(),
    "MinIO.region": _Key(checks.check_region),
    "MinIO.verify": _Key(checks.check_flag, None),
    "MinIO.ca_file": _Key(),
    "bucket.name": _Key(checks.check_bucket, required="the bucket with the files to process"),
    "bucket.folder_prefix": _Key(checks.check_key),
    "bucket.recursive": _Key(checks.check_flag, True),
    "bucket.include": _Key(checks.check_globs, ()),
    "bucket.exclude": _Key(checks.check_globs, ()),
    "bucket.min_size": _Key(checks.check_bytes, None),
    "bucket.max_size": _Key(checks.check_bytes, None),
    "bucket.modified_after": _Key(checks.check_time, None),
    "bucket.modified_before": _Key(checks.check_time, None),
    "bucket.manifest": _Key(checks.check_key),
    "bucket.manifest_column": _Key(default="key"),
    "bucket.skip_done": _Key(checks.check_done, False),
    "bucket.skip_done.bucket": _Key(checks.check_bucket),
    "bucket.skip_done.prefix": _Key(checks.check_key),
    "bucket.skip_done.strip": _Key(checks.check_key),
    "bucket.skip_done.suffix": _Key(checks.check_key),
    "output.file": _Key(checks.check_file),
    "oscar_cluster.url": _Key(checks.check_url),
    "oscar_cluster.auth_basic.username": _Key(),
    "oscar_cluster.auth_basic.password": _Key(),
    "oscar_cluster.auth_token.token": _Key(checks.check_printable),
    "oscar_cluster.auth_token.refresh_token": _Key(checks.check_printable),
    "oscar_cluster.auth_token.token_endpoint": _Key(checks.check_endpoint),
    "oscar_cluster.auth_token.client_id": _Key(),
    "oscar_cluster.verify": _Key(checks.check_flag, None),
    "oscar_cluster.ca_file": _Key(),
    "oscar_cluster.timeout_s": _Key(make_number_check(above=0, below=checks.DAY_S), 30.0),
    "service.mode": _Key(make_choice_check(Mode), Mode.AUTO),
    "service.name": _Key(
        checks.check_service, required="the OSCAR service that processes the files"
    ),
    "service.payload": _Key(checks.check_template),
    "plan.headroom": _Key(make_number_check(least=0, below=1), 0.2),
    "plan.max_parallel": _Key(checks.check_count, None),
    "plan.strategy": _Key(_check_strategy, Strategy.AUTO),
    "plan.chunk_items": _Key(checks.check_count, None),
    "plan.chunk_bytes": _Key(checks.check_chunk_bytes, None),
    "plan.min_chunk_items": _Key(checks.check_count, 1),
    "plan.startup_s": _Key(make_number_check(least=0, below=checks.DAY_S), None),
    "plan.seconds_per_item": _Key(make_number_check(least=0, below=checks.DAY_S), None),
    "plan.seconds_per_mb": _Key(make_number_check(least=0, below=checks.DAY_S), None),
    "plan.speeds": _Key(checks.check_speeds, ()),
    "plan.extra_slots": _Key(checks.check_extra_slots, 0),
    "run.verify": _Key(checks.check_done, False),
    "run.verify.bucket": _Key(checks.check_bucket),
    "run.verify.prefix": _Key(checks.check_key),
    "run.verify.strip": _Key(checks.check_key),
    "run.verify.suffix": _Key(checks.check_key),
    "run.dry_run": _Key(checks.check_flag, False),
    "run.watch": _Key(checks.check_flag, True),
    "run.poll_s": _Key(make_number_check(least=1, below=checks.DAY_S), 15.0),
    "run.pending_timeout_s": _Key(make_number_check(least=1, below=7 * checks.DAY_S), 900.0),
    "run.item_timeout_s": _Key(make_number_check(least=1, below=30 * checks.DAY_S), 86_400.0),
    "run.id": _Key(checks.check_run_id),
    "state.bucket": _Key(checks.check_bucket),
    "state.prefix": _Key(checks.check_key, ".oscar-batch/"),
    "report.bucket": _Key(checks.check_bucket),
    "report.prefix": _Key(checks.check_key),
}
_SECTIONS = {path[:i] for path in KEYS for i, letter in enumerate(path) if letter == "."}
