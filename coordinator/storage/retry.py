# SPDX-License-Identifier: Apache-2.0
"""Repeats an action that failed: the only loop of this kind."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

Sleep = Callable[[float], object]
SLEEP: Sleep = time.sleep
"""The usual one; tests pass another."""


def retry(
    action: Callable[[int], T],
    *,
    delays_s: Sequence[float],
    repeatable: Callable[[Exception], bool],
    sleep: Sleep,
) -> T:
    """Returns the result of the action; repeats it after each delay while its error allows that.

    The action is given the number of the attempt, from 1. The last error is raised as it is.
    """
    for attempt, delay_s in enumerate(delays_s, start=1):
        try:
            return action(attempt)
        except Exception as error:
            if not repeatable(error):
                raise
        sleep(delay_s)
    return action(len(delays_s) + 1)
