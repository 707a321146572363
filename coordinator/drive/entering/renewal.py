# SPDX-License-Identifier: Apache-2.0
"""Renews a lease in the background while its holder works."""

from __future__ import annotations

import logging
from threading import Event, Lock, Thread

from ...model.errors import HeldByOther, StorageError
from ...run.lease import Lease
from ..submission import Clock

log = logging.getLogger(__name__)

# The lease is renewed several times before it is too old, so one failed request does no harm.
RENEWALS = 4.5


class LeaseRenewer:
    """Renews one lease from a thread of its own."""

    def __init__(self, clock: Clock, ttl_s: float) -> None:
        self._clock, self._every_s = clock, ttl_s / RENEWALS
        self._over = Event()

    def start(self, lease: Lease) -> None:
        """Renews the lease until `stop`, or until it is lost."""
        lease.writing = Lock()
        Thread(target=self._renew, args=(lease,), name="lease", daemon=True).start()

    def stop(self) -> None:
        self._over.set()

    def _renew(self, lease: Lease) -> None:
        while not self._clock.wait(self._over, self._every_s):
            try:
                lease.renew()
            except HeldByOther as error:  # the next check of the run ends it
                log.warning("%s", error)
                return
            except StorageError as error:
                log.warning("the lease is not renewed: %s", error)
