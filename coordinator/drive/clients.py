# SPDX-License-Identifier: Apache-2.0
"""The servers that a run uses, and its clock."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..model.pull.lanes import Timing
from ..oscar.client import OscarClient
from ..storage.bucket import Bucket
from .entering.renewal import LeaseRenewer
from .planning.lanes import OpenBucket
from .submission import Clock, Pace


@dataclass(frozen=True, slots=True)
class Clients:
    """The servers that a run uses, and its clock."""

    oscar: OscarClient
    data: Bucket
    state: Bucket
    report: Bucket | None
    """Where a copy of the report goes."""
    clock: Clock
    pace: Pace = field(default_factory=Pace)
    timing: Timing = field(default_factory=Timing)
    open_bucket: OpenBucket = Bucket
    renewer: LeaseRenewer | None = None
    """Renews the lease of the run in the background; None: the lease is not renewed."""
