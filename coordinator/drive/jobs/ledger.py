# SPDX-License-Identifier: Apache-2.0
"""What is known of every item of a run: two bytes for each line of the index."""

from __future__ import annotations

from collections import Counter

from .judge import LineState

# Different reasons that are kept; texts of OSCAR are among them.
_MOST_REASONS = 255
_OTHER = "see the log of its job"
# For each state: what every byte of a ledger becomes when it is recorded.
_TABLES = {
    state: bytes(old if old == LineState.DONE else state for old in range(256))
    for state in LineState
}


class ItemLedger:
    """The state of each item by line, and why it failed. An item that is done stays done."""

    def __init__(self, items: int) -> None:
        self.states = bytearray(items)
        self._reasons: dict[str, int] = {"": 0}
        self._reason_of = bytearray(items)

    def record(self, line: int, state: LineState, reason: str = "") -> None:
        """Records what became of an item."""
        if self.states[line] != LineState.DONE:
            self.states[line] = state
            self._reason_of[line] = self._number_reason(reason)

    def fill(self, start: int, stop: int, state: LineState) -> None:
        """Records the same of several lines; those that are done stay done."""
        self.states[start:stop] = self.states[start:stop].translate(_TABLES[state])

    def read(self, line: int) -> LineState:
        return LineState(self.states[line])

    def read_reason(self, line: int) -> str:
        return list(self._reasons)[self._reason_of[line]]

    def count(self, start: int = 0, stop: int | None = None) -> Counter[LineState]:
        """Items by state, of all lines or of a part of them."""
        part = self.states[start:stop]
        return Counter({state: part.count(state) for state in LineState})

    def _number_reason(self, reason: str) -> int:
        if len(self._reasons) >= _MOST_REASONS:
            reason = reason if reason in self._reasons else _OTHER
        return self._reasons.setdefault(reason, len(self._reasons))
