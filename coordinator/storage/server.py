# SPDX-License-Identifier: Apache-2.0
"""What is asked of a server as a whole: its buckets."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..model.access import StorageAccess
from .client import DELAYS_S, S3Client
from .retry import Sleep


def list_buckets(
    access: StorageAccess, *, delays_s: Sequence[float] = DELAYS_S, sleep: Sleep = time.sleep
) -> tuple[str, ...]:
    """The names of the buckets that this account sees. Raises StorageError."""
    client = S3Client(access, "", delays_s=delays_s, sleep=sleep)
    with client.translate_errors("list the buckets", ""):
        return client.list_buckets()
