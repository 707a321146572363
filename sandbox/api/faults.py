# SPDX-License-Identifier: Apache-2.0
"""Turns a request into the fault that was asked for it: refused, cut, delayed, or doubled.

Pure but for its counters. Faults are set through chaos; api asks for one before it does anything.
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
    """With `*` for anything."""
    times: int = 1
    delay_s: float = 0.0
    """Before anything is done."""
    answer_delay_s: float = 0.0
    """After what was asked is done, before the answer."""
    status: int = 0
    """Answer this, with ``body``, and do nothing; 0: do what was asked."""
    body: str = ""
    doubled: bool = False
    """Do what was asked and answer ``body`` followed by the real body, under ``status``."""
    cut: str = ""
    """Close the connection without an answer, `before` or `after` doing what was asked."""

    def matches(self, method: str, path: str) -> bool:
        return fnmatchcase(method, self.method) and fnmatchcase(path, self.path)


def parse_fault(raw: Any) -> Fault:
    """Raises ValueError that says what is wrong."""
    if not isinstance(raw, Mapping) or not raw:
        raise ValueError("a fault is a JSON object")
    known = asdict(Fault())
    for key, value in raw.items():
        if key not in known:
            raise ValueError(f"a fault has no {key!r}, but {', '.join(known)}")
        wanted = (int, float) if isinstance(known[key], float) else type(known[key])
        if not isinstance(value, wanted):
            raise ValueError(f"{key} of a fault is no {type(value).__name__}")
    fault = Fault(**raw)
    if fault.cut not in CUTS or fault.times < 1 or min(fault.delay_s, fault.answer_delay_s) < 0:
        raise ValueError("cut is before or after, times at least 1, delays not negative")
    if fault.status and not 100 <= fault.status <= 599:
        raise ValueError(f"no HTTP status: {fault.status}")
    if not re.fullmatch(r"[A-Z*]+", fault.method):
        raise ValueError(f"no HTTP method: {fault.method!r}")
    return fault


class Faults:
    """Those still to come, in the order in which they were asked for."""

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
