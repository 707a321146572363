# SPDX-License-Identifier: Apache-2.0
"""Which release of OSCAR does what, by the version that `/system/info` answers. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Release = tuple[int, int]

# OSCAR 4.1 began to read the header X-Delegated-Job-ID (seen on 4.1.2; 3.7.1 ignores it).
_FIRST_WITH_JOB_NAMES = (4, 1)
# OSCAR 4.1 made lists of these numbers of `expose`, and cannot read what earlier releases stored.
_FIRST_WITH_PORT_LISTS = (4, 1)
_PORTS = ("api_port", "nodePort")
# OSCAR 3.6 to 3.7 give an updated service a new token and MinIO keeps the old one.
_FIRST_LOSING_EVENTS, _FIRST_KEEPING_TOKENS = (3, 6), (4, 0)


def parse_release(raw: Any) -> Release | None:
    """Major and minor number, from an answer such as `{"version": "4.1.2"}`; None if unknown."""
    version = raw.get("version") if isinstance(raw, dict) else None
    found = re.match(r"v?(\d{1,4})\.(\d{1,4})(?!\d)", str(version or ""))
    return (int(found[1]), int(found[2])) if found else None


def names_jobs(release: Release | None) -> bool:
    """Whether a job gets the name that its invocation asks for, so that it can exist only once."""
    return release is not None and release >= _FIRST_WITH_JOB_NAMES


def loses_events(release: Release | None) -> bool:
    """Whether a service that was updated is no longer started by its input folders."""
    return release is not None and _FIRST_LOSING_EVENTS <= release < _FIRST_KEEPING_TOKENS


def is_lost_in_upgrade(release: Release | None) -> bool:
    """Whether OSCAR 4.1 and newer cannot read the services that this release stores."""
    return release is not None and release < _FIRST_WITH_PORT_LISTS


def adapt_ports(definition: Mapping[str, Any], release: Release | None) -> dict[str, Any]:
    """The definition with the ports of `expose` in the form of this release; each refuses others.

    Several ports are left as they are: a release that takes one refuses them and says so.
    """
    expose = definition.get("expose")
    if release is None or not isinstance(expose, dict):
        return dict(definition)
    adapt = _list_ports if release >= _FIRST_WITH_PORT_LISTS else _single_port
    ports = {key: adapt(expose[key]) for key in _PORTS if key in expose}
    return {**definition, "expose": {**expose, **ports}}


def _list_ports(port: Any) -> Any:
    return ([port] if port else []) if isinstance(port, int | None) else port


def _single_port(ports: Any) -> Any:
    return next(iter(ports), 0) if isinstance(ports, list) and len(ports) < 2 else ports
