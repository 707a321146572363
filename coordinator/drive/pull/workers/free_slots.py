# SPDX-License-Identifier: Apache-2.0
"""How many more workers fit into the cluster now. OSCAR is asked at most once a minute."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from ....model.cluster import Capacity
from ....model.errors import ClusterError

log = logging.getLogger(__name__)

# While workers live the question is not urgent. With a quota it costs two calls.
_URGENT_S, _RELAXED_S = 60.0, 90.0


@dataclass(slots=True)
class FreeSlots:
    """Asks OSCAR for its free capacity, and remembers when it did."""

    read_capacity: Callable[[], Capacity]
    now_s: Callable[[], float]
    max_parallel: int | None = None
    """As many workers may be in flight."""
    _next_s: float = field(default=0.0)

    def may_ask(self) -> bool:
        """Whether OSCAR may be asked now."""
        return self.now_s() >= self._next_s

    def defer(self) -> None:
        """Workers were invoked: OSCAR's status takes a while to show them."""
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
