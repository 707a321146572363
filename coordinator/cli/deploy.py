# SPDX-License-Identifier: Apache-2.0
"""`deploy`: the services of an FDL file onto a cluster, for machines without oscar-cli."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ..config.fdl import read_definitions, secrets_of, with_secrets
from ..oscar.client import OscarClient


def deploy(fdl: Path, oscar: OscarClient, environ: Mapping[str, str]) -> Iterator[str]:
    """Creates or replaces every service of an FDL file; yields a line on each.

    Raises ConfigError before anything is sent if the file cannot be used.
    """
    for definition in read_definitions(fdl, environ):
        name = definition["name"]
        asked = secrets_of(definition)
        given = {secret: value for secret, value in asked.items() if value}
        created = oscar.apply(with_secrets(definition, given))
        yield f"{name}: {'created' if created else 'updated'}"
        if unset := sorted(asked.keys() - given):
            yield f"{name}: without {', '.join(unset)}, which are not set here; {_INSTEAD}"
        if given and (lost := sorted(given.keys() - oscar.read_secret_names(name))):
            yield f"{name}: this OSCAR release does not keep {', '.join(lost)}; {_INSTEAD}"


_INSTEAD = "put these credentials into each config.json instead"
