# SPDX-License-Identifier: Apache-2.0
"""The errors of a run: one small tree, a class only where somebody handles it differently.

    BatchError            anything that ends a run; carries the exit code
    ├── ConfigError       the config is wrong: all its problems at once (exit 2)
    ├── ClusterError      OSCAR is unreachable, or refused, or answered nonsense (exit 3)
    │   └── NoStatus      the status endpoint does not work; a fixed parallelism may replace it
    └── StorageError      MinIO is unreachable, or refused (exit 3)

A cluster without room is an outcome (`model.Ending.NO_CAPACITY`), not an error. `trimmed` makes
foreign text (error bodies, object keys) fit for a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

# Surrogates are no characters either: no file and no terminal takes them.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


class Ending(StrEnum):
    """How a run ended, with its exit code."""

    SUBMITTED = "submitted"
    NOTHING_TO_DO = "nothing to do"
    PLANNED = "planned"
    PARTLY_SUBMITTED = "partly submitted"
    BAD_CONFIG = "bad config"
    UNAVAILABLE = "unavailable"
    NO_CAPACITY = "no capacity"
    INTERRUPTED = "interrupted"
    BROKEN = "internal error"

    @property
    def exit_code(self) -> int:
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Ending.SUBMITTED: 0,
    Ending.NOTHING_TO_DO: 0,
    Ending.PLANNED: 0,
    Ending.PARTLY_SUBMITTED: 1,
    Ending.BAD_CONFIG: 2,
    Ending.UNAVAILABLE: 3,
    Ending.NO_CAPACITY: 4,
    Ending.INTERRUPTED: 130,
    # A defect of ours: as little is known as when the cluster cannot be reached.
    Ending.BROKEN: 3,
}


class BatchError(Exception):
    """Ends a run; the message says what was attempted, on what, what came back, what to do."""

    exit_code = 3


class ConfigError(BatchError):
    """The config file cannot be used; `problems` names each place and what is wrong there."""

    exit_code = 2

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class ClusterError(BatchError):
    """The OSCAR API could not be used."""


class NoStatus(ClusterError):
    """`/system/status` gives nothing usable (on many installations it never does)."""


class StorageError(BatchError):
    """The object storage could not be used."""


def clean_text(text: str, limit: int = 256) -> str:
    """Foreign text on one line, without control or bidi characters, at most `limit` long."""
    clean = _CONTROL.sub(" ", text).strip()
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
