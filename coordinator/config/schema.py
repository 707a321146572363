# SPDX-License-Identifier: Apache-2.0
"""Compares a decoded config with the table of keys; collects values and problems.

It does not know what the values are for.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..model.errors import MAX_PROBLEMS, hide_secrets
from ..model.run import Setting
from .checks import describe_kind
from .document import is_secret_key, show_key
from .keys import KEYS, SECTIONS

# Longer keys are no spelling mistakes.
_LONGEST_KEY = 80
# A longer value, such as a list of globs, is cut.
_LONGEST_VALUE = 2_000


class ConfigReader:
    """Compares a raw config with the table of known keys; collects values and problems."""

    def __init__(self, raw: Mapping[str, Any], *, required: bool = True) -> None:
        """With `required=False` no key is required."""
        self.problems: list[str] = []
        self._given = given = dict(self._find_leaves(raw, ""))
        self.values: dict[str, Any] = {}
        for path, known in KEYS.items():
            self.values[path] = known.default
            if given.get(path) is not None:
                try:
                    self.values[path] = known.check(given[path])
                except ValueError as error:
                    self.problems.append(f"{path}: {error}")
            if (
                required
                and known.required
                and not self.values[path]
                and path not in self._find_reported()
            ):
                self.problems.append(f"{path}: is missing ({known.required})")
        self.secrets = _find_secrets(raw)
        """The values that no message may show."""
        self.problems = [hide_secrets(each, self.secrets) for each in self.problems]

    def list_settings(self) -> tuple[Setting, ...]:
        """Every key with the value that is in force; values of secrets are left out."""
        return tuple(
            Setting(path, self._show_value(path), self._given.get(path) is not None)
            for path in KEYS
        )

    def _show_value(self, path: str) -> str:
        value = self._given.get(path)
        if value is not None and is_secret_key(path.rpartition(".")[2]):
            return '"…"'
        text = json.dumps(
            KEYS[path].default if value is None else value, ensure_ascii=False, default=str
        )
        return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"

    def _find_reported(self) -> set[str]:
        return {problem.partition(":")[0] for problem in self.problems}

    def _find_leaves(self, raw: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        for key, value in raw.items():
            here = path + (key if "." not in key else show_key(key))
            if here in SECTIONS and isinstance(value, dict):
                yield here, True
                yield from self._find_leaves(value, f"{here}.")
            elif here in KEYS:
                yield here, value
            elif here not in SECTIONS:
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
