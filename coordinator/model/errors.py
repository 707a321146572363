# SPDX-License-Identifier: Apache-2.0
"""The endings of a run with their exit codes, and the errors that lead to them.

    BatchError              ends a run; every class below says with which ending
    ├── ConfigError         the config is wrong: all its problems at once
    ├── ClusterError        OSCAR is unreachable, or refused, or its answer cannot be read
    │   └── NoStatus        the status endpoint does not work; a fixed parallelism may replace it
    ├── AlreadyStarted      an earlier drop of the same config started this run
    └── StorageError        the object storage is unreachable, or refused
        └── Conflict        a conditional write found that the object exists already

A class exists only where somebody handles it differently. A cluster that is full is an ending
(`Ending.NO_CAPACITY`), not an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar

# Surrogates are included: they cannot be written to a file or a terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


class Ending(StrEnum):
    """How a run ended, with its exit code."""

    exit_code: int

    SUBMITTED = "submitted", 0
    NOTHING_TO_DO = "nothing to do", 0
    PLANNED = "planned", 0
    PARTLY_SUBMITTED = "partly submitted", 1
    BAD_CONFIG = "bad config", 2
    UNAVAILABLE = "unavailable", 3
    BROKEN = "internal error", 3
    """A defect of OSCAR-Batch; the exit code is that of an unavailable cluster."""
    UNPROVEN = "unproven", 3
    """Invocations were sent, and no answer proves that any job exists."""
    NO_CAPACITY = "no capacity", 4
    INTERRUPTED = "interrupted", 130

    def __new__(cls, text: str, exit_code: int) -> Ending:
        member = str.__new__(cls, text)
        member._value_ = text
        member.exit_code = exit_code
        return member


class BatchError(Exception):
    """Ends a run; the message says what was attempted, on what, what came back, what to do."""

    ending: ClassVar[Ending]

    @property
    def problems(self) -> tuple[str, ...]:
        """The error as separate messages, one for each thing to correct."""
        return (str(self),)


class ConfigError(BatchError):
    """The config cannot be used; each problem names the key and what is wrong with its value."""

    ending = Ending.BAD_CONFIG

    def __init__(self, problems: Iterable[str]) -> None:
        self._problems = tuple(problems)
        super().__init__("; ".join(self._problems))

    @property
    def problems(self) -> tuple[str, ...]:
        return self._problems


class ClusterError(BatchError):
    """The OSCAR API could not be used."""

    ending = Ending.UNAVAILABLE


class NoStatus(ClusterError):
    """`/system/status` gives nothing usable (on many installations it never does)."""


class StorageError(BatchError):
    """The object storage could not be used."""

    ending = Ending.UNAVAILABLE


class AlreadyStarted(BatchError):
    """Another process has begun this run: this one must leave everything as it is."""

    ending = Ending.NOTHING_TO_DO


class Conflict(StorageError):
    """An object that must be new exists already, with another content."""


def clean_text(text: str, limit: int = 256) -> str:
    """Foreign text on one line, without control or bidi characters, at most `limit` long."""
    clean = _CONTROL.sub(" ", text).strip()
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
