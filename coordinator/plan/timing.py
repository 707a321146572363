# SPDX-License-Identifier: Apache-2.0
"""The time of an invocation, from the config and from the last run of the service.

A run that measures leaves a small object in the state folder, and the next run of the same
service reads it:

    {"schema": "oscar-batch/cost/1", "service": "fish-detector", "run": "20261122t101500z-3f9a1c",
     "startup_s": 31.5, "seconds_per_item": 0.2, "seconds_per_byte": 4.1e-07,
     "speeds": [0.6, 0.9, 1.0, 1.1, 1.4]}

Times are of a slot of mean speed; `speeds` are those of the slots over their mean, slowest first,
at evenly spaced ranks (all of them, or a few quantiles).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..model.planning import MOST_SPEEDS, Cost

SCHEMA = "oscar-batch/cost/1"
# A cost is a few hundred bytes; more is none.
MAX_BYTES = 65_536
# A damaged object must not lead to an absurd plan.
_LARGEST, _LARGEST_RATIO = 1e9, 1e3


def read_cost(content: bytes) -> Cost | None:
    """The cost that a run left behind; None if it is unreadable, as if there were none."""
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        return None
    startup_s = _read_number(raw, "startup_s")
    cost = Cost(
        startup_s=startup_s,
        seconds_per_item=_read_number(raw, "seconds_per_item") or 0.0,
        seconds_per_byte=_read_number(raw, "seconds_per_byte") or 0.0,
        speeds=_read_speeds(raw.get("speeds")),
        source=f"run {str(raw.get('run', 'of an unknown name'))[:40]}",
    )
    return cost if cost.timed or startup_s is not None else None


def write_cost(cost: Cost, service: str, run_id: str) -> bytes:
    """Encodes what a run measured of a service; `read_cost` reads it."""
    members = {
        "schema": SCHEMA,
        "service": service,
        "run": run_id,
        "startup_s": cost.startup_s,
        "seconds_per_item": cost.seconds_per_item,
        "seconds_per_byte": cost.seconds_per_byte,
        "speeds": [round(speed, 4) for speed in cost.speeds],
    }
    return json.dumps(members).encode()


def merge_costs(asked: Cost, last: Cost | None) -> Cost:
    """The times of the config; those that it does not give are taken from the last run.

    Rates belong together: one rate of the config replaces both of the last run.
    """
    if last is None:
        return asked
    return replace(
        asked if asked.timed else last,
        startup_s=last.startup_s if asked.startup_s is None else asked.startup_s,
        speeds=asked.speeds or last.speeds,
        source=last.source if asked == Cost() else f"{asked.source} and {last.source}",
    )


def _read_speeds(raw: object) -> tuple[float, ...]:
    """Speeds that can be used, at most so many, in rising order; else none."""
    values = raw if isinstance(raw, list) else []
    found = sorted(_read_number({"speed": value}, "speed") or 0.0 for value in values)
    if not found or found[0] <= 0 or found[-1] > _LARGEST_RATIO * found[0]:
        return ()
    return tuple(found[:: -(-len(found) // MOST_SPEEDS)])


def _read_number(raw: Mapping[str, Any], name: str) -> float | None:
    value = raw.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= _LARGEST else None
