# SPDX-License-Identifier: Apache-2.0
"""Reads how many more workers fit into the cluster, at most once a minute."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from ....model.cluster import Capacity
from ....model.errors import ClusterError

log = logging.getLogger(__name__)

# Not urgent while workers are alive. With a quota it takes two calls.
_URGENT_S, _RELAXED_S = 60.0, 90.0


@dataclass(slots=True)
class FreeSlots:
    """Asks OSCAR for its free capacity, and not again too soon."""

    read_capacity: Callable[[], Capacity]
    now_s: Callable[[], float]
    max_parallel: int | None = None
    """The most workers in flight."""
    _next_s: float = field(default=0.0)

    def may_ask(self) -> bool:
        """Whether OSCAR may be asked now."""
        return self.now_s() >= self._next_s

    def defer(self) -> None:
        """Waits before the next question: OSCAR's status shows new workers only after a while."""
        self._next_s = max(self._next_s, self.now_s() + _URGENT_S)

    def count(self, living: int) -> int:
        """How many more workers may start now; 0 if OSCAR does not say."""
        self._next_s = self.now_s() + (_RELAXED_S if living else _URGENT_S)
        try:
            slots = self.read_capacity().slots
        except ClusterError as error:
            log.warning("the capacity is not known now: %s", error)
            return 0
        if self.max_parallel is not None:
            slots = min(slots, self.max_parallel - living)
        return max(0, slots)
