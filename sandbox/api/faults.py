# SPDX-License-Identifier: Apache-2.0
"""Finds the fault that is set for a request: an error, a cut connection, a delay, two answers.

Pure except for its counters. `chaos` sets faults; `routes` looks for one before it handles a
request.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

CUTS = ("", "before", "after")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the next ``times`` requests that match."""

    method: str = "*"
    path: str = "*"
    """`*` stands for any characters."""
    times: int = 1
    delay_s: float = 0.0
    """The wait before the request is handled."""
    answer_delay_s: float = 0.0
    """The wait after the request is handled, before the answer is sent."""
    status: int = 0
    """Answered with ``body`` instead of handling the request; 0: the request is handled."""
    body: str = ""
    doubled: bool = False
    """Handle the request, then answer ``status`` with ``body`` followed by the real body."""
    cut: str = ""
    """Close the connection without an answer, `before` or `after` the request is handled."""

    def matches(self, method: str, path: str) -> bool:
        return fnmatchcase(method, self.method) and fnmatchcase(path, self.path)


def parse_fault(raw: Any) -> Fault:
    """Raises ValueError that says what is wrong."""
    if not isinstance(raw, Mapping) or not raw:
        raise ValueError("a fault is a JSON object")
    known = asdict(Fault())
    for key, value in raw.items():
        if key not in known:
            raise ValueError(f"a fault has no key {key!r}; its keys are {', '.join(known)}")
        wanted = (int, float) if isinstance(known[key], float) else type(known[key])
        if not isinstance(value, wanted):
            raise ValueError(f"{key} of a fault cannot be {value!r}")
    fault = Fault(**raw)
    if fault.cut not in CUTS or fault.times < 1 or min(fault.delay_s, fault.answer_delay_s) < 0:
        raise ValueError(
            "of a fault, cut is before or after, times at least 1, and delays are not negative"
        )
    if fault.status and not 100 <= fault.status <= 599:
        raise ValueError(f"status of a fault must be 100 to 599, got {fault.status}")
    if not re.fullmatch(r"[A-Z*]+", fault.method):
        raise ValueError(f"method of a fault must be like GET or *, got {fault.method!r}")
    return fault


class Faults:
    """The faults that have not happened yet, in the order in which they were set."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)

    def clear(self) -> None:
        self._faults.clear()

    def list_left(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self._faults]

    def take(self, method: str, path: str) -> Fault | None:
        for place, fault in enumerate(self._faults):
            if fault.matches(method, path):
                self._faults[place] = replace(fault, times=fault.times - 1)
                if fault.times == 1:
                    del self._faults[place]
                return fault
        return None
