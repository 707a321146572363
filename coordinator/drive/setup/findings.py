# SPDX-License-Identifier: Apache-2.0
"""The findings of a diagnosis: the state of each point, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from ...model.errors import BatchError


class State(StrEnum):
    """How one point affects a run."""

    GOOD = "good"
    WARNING = "warning"
    """A run works, but something may not be as intended."""
    BAD = "bad"
    """A run would be refused or fail."""
    UNKNOWN = "unknown"
    """Not checked, because something else is bad."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One point of a diagnosis."""

    name: str
    state: State
    said: str
    advice: str = ""


class Findings:
    """Collects findings in their order; an error inside `judge` becomes one."""

    def __init__(self) -> None:
        self._found: list[Finding] = []

    def good(self, name: str, said: str) -> None:
        self._found.append(Finding(name, State.GOOD, said))

    def warn(self, name: str, said: str, advice: str = "") -> None:
        self._found.append(Finding(name, State.WARNING, said, advice))

    def bad(self, name: str, said: str, advice: str = "") -> None:
        self._found.append(Finding(name, State.BAD, said, advice))

    def skip(self, name: str, said: str) -> None:
        self._found.append(Finding(name, State.UNKNOWN, said))

    @contextmanager
    def judge(self, name: str, advice: str = "") -> Iterator[None]:
        """Turns an error of the block into a bad finding. The message says what to do."""
        try:
            yield
        except BatchError as error:
            for problem in error.problems:
                self.bad(name, problem, advice)

    def take(self) -> list[Finding]:
        """What was found since the last time."""
        found, self._found = self._found, []
        return found
