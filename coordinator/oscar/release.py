# SPDX-License-Identifier: Apache-2.0
"""Which release of OSCAR does what, by the version that `/system/info` answers. Pure."""

from __future__ import annotations

import re
from typing import Any

# OSCAR 4.1 began to read the header X-Delegated-Job-ID (seen on 4.1.2; 3.7.1 ignores it).
_FIRST_WITH_JOB_NAMES = (4, 1)


def parse_release(raw: Any) -> tuple[int, int] | None:
    """Major and minor number, from an answer such as `{"version": "4.1.2"}`; None if unknown."""
    version = raw.get("version") if isinstance(raw, dict) else None
    found = re.match(r"v?(\d{1,4})\.(\d{1,4})(?!\d)", str(version or ""))
    return (int(found[1]), int(found[2])) if found else None


def names_jobs(release: tuple[int, int] | None) -> bool:
    """Whether a job gets the name that its invocation asks for, so that it can exist only once."""
    return release is not None and release >= _FIRST_WITH_JOB_NAMES
