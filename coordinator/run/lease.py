# SPDX-License-Identifier: Apache-2.0
"""Who drives a run: the writer of its newest lease.

A coordinator that wants to drive a run creates lease/<epoch>, one above the highest number. Only
its writer, the holder, overwrites it, to renew it. So its `Last-Modified` is the holder's last sign
of life. Before each effect outside its own process the holder looks for a newer lease and for a
`stop`. The look and the effect are two steps: a holder that loses the lease between them still has
that effect, so every such effect must be harmless.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime

from ..model.errors import Conflict, HeldByOther, StopRequested
from ..model.pull.documents import LeaseDocument
from ..model.selection import parse_time
from ..model.units import format_duration
from ..report.values import BadDocument
from ..storage.bucket import Bucket
from ..storage.pages import ListQuery
from .layout import RunLayout
from .pull_documents import decode_document, encode_document

log = logging.getLogger(__name__)

WEAK_TTL_S = 600.0
"""Without conditional writes two holders are possible, so a lease counts for longer."""
_MAX_BYTES = 4096
_JSON = "application/json"


def choose_epoch(ages_s: Mapping[int, float], ttl_s: float, *, left: bool) -> int | None:
    """The epoch to take; None while the holder of the newest lease may be alive.

    `ages_s` are those of all leases, by epoch; `left` says that the newest holder left the run.
    """
    newest = max(ages_s, default=0)
    if newest and not left and ages_s[newest] <= ttl_s:
        return None
    return newest + 1


@dataclass(frozen=True, slots=True)
class LeaseState:
    """The leases of a run: their ages, and whether the newest holder left."""

    ages_s: Mapping[int, float]
    """By epoch: how long ago each lease was written last."""
    left: bool = False
    """Whether the newest holder left the run."""

    @property
    def epoch(self) -> int:
        """The newest one; 0 if there is none."""
        return max(self.ages_s, default=0)

    @property
    def age_s(self) -> float:
        """Of the newest lease."""
        return self.ages_s.get(self.epoch, 0.0)

    def is_held(self, ttl_s: float) -> bool:
        """Whether the newest holder may be alive."""
        return choose_epoch(self.ages_s, ttl_s, left=self.left) is None


class Lease:
    """The lease of this coordinator on one run."""

    def __init__(self, state: Bucket, layout: RunLayout, process: str, since: str) -> None:
        self._state, self.layout = state, layout
        self._document = LeaseDocument(layout.run_id, process, since)
        self.lost, self._left = False, False
        self.writing: AbstractContextManager[object] = nullcontext()
        """Held while the lease is written, where several threads do it: a renewal that is under way
        must not undo the word that the holder leaves."""

    def renew(self) -> None:
        """Says that the holder is alive. Raises HeldByOther if there is a newer lease."""
        with self.writing:
            if not self._left:
                self._look_for_newer()
                self._write(self._document)

    def check(self) -> None:
        """Must be called before every outside effect. Raises HeldByOther and StopRequested."""
        self._look_for_newer()
        if self._state.exists(self.layout.stop):
            raise StopRequested(f"run {self.layout.run_id} has a stop: it is brought to its end")

    def check_holder(self) -> None:
        """Like `check`, but ignores a `stop`. Raises HeldByOther."""
        self._look_for_newer()

    def leave(self) -> None:
        """Says that the holder leaves the run, so that another may continue it at once."""
        if self.lost:
            return
        with self.writing:
            self._left = True
            self._write(replace(self._document, left=True))

    def _write(self, document: LeaseDocument) -> None:
        self._state.write(self.layout.lease(self.layout.epoch), encode_document(document), _JSON)

    def _look_for_newer(self) -> None:
        newest = max(_list_leases(self._state, self.layout), default=0)
        if self.lost or newest > self.layout.epoch:
            self.lost = True
            raise HeldByOther(
                f"run {self.layout.run_id} was taken over by another coordinator (epoch {newest}), "
                "because this one did not renew its lease in time; this one ends and changes "
                "nothing more"
            )


def compute_ttl_s(ttl_s: float, *, exclusive: bool) -> float:
    """How long a lease counts; `exclusive`: the storage honours conditional writes."""
    return ttl_s if exclusive else max(ttl_s, WEAK_TTL_S)


def take_lease(
    state: Bucket, layout: RunLayout, ttl_s: float, read_clock: Callable[[], datetime]
) -> Lease:
    """Takes the lease on a run under its next epoch. Raises HeldByOther while it is held."""
    while True:
        found = read_lease(state, layout)
        epoch = choose_epoch(found.ages_s, ttl_s, left=found.left)
        if epoch is None:
            raise HeldByOther(
                f"run {layout.run_id} is at work: its coordinator was alive "
                f"{format_duration(found.age_s)} ago; this drop changes nothing. Drop the "
                "config again when it has ended, or set run.new: true for a second run of the same"
            )
        lease = Lease(
            state, layout.with_epoch(epoch), secrets.token_hex(8), read_clock().isoformat()
        )
        try:
            state.put_new(lease.layout.lease(epoch), encode_document(lease._document), _JSON)
        except Conflict:
            log.info("another coordinator took epoch %d of run %s", epoch, layout.run_id)
            continue
        return lease


def read_lease(state: Bucket, layout: RunLayout) -> LeaseState:
    """What the leases of a run say, by the storage's clock. The run must have its first object."""
    times = _list_leases(state, layout)
    if not times:
        return LeaseState({})
    left = _has_left(state, layout.lease(max(times)))
    # Read after the list, so that no lease is newer than the clock that judges it.
    now = state.read_clock(layout.start)
    ages_s = {epoch: max(0.0, (now - time).total_seconds()) for epoch, time in times.items()}
    return LeaseState(ages_s, left)


def _list_leases(state: Bucket, layout: RunLayout) -> dict[int, datetime]:
    """When each epoch's lease was written last, by the storage's clock."""
    found = {}
    for page in state.list_objects(ListQuery(layout.leases, times=True)):
        for key, time in zip(page.keys, page.times or (), strict=True):
            name = key.decode(errors="replace").removeprefix(layout.leases)
            if name.isascii() and name.isdecimal():
                found[int(name)] = parse_time(time)
    return found


def _has_left(state: Bucket, key: str) -> bool:
    content = state.read_small(key, _MAX_BYTES)
    try:
        return decode_document(LeaseDocument, content or b"").left
    except BadDocument:  # whoever wrote it may be alive: its age decides
        return False
