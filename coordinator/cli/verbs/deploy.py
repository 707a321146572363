# SPDX-License-Identifier: Apache-2.0
"""`deploy`: creates the services of an FDL file on a cluster, without oscar-cli.

A secret that neither the FDL nor the environment sets is left out.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ...config.fdl import read_definitions, read_secrets, replace_secrets
from ...model.errors import ConfigError
from ...oscar import release
from ...oscar.client import OscarClient
from ..inputs import read_platform
from ..output import hide_in_log, print_result
from ..shipped import find_shipped

_LOSES_EVENTS = (
    "this OSCAR release gave it a new token that MinIO does not know, so uploads no longer start "
    "it; save what its buckets hold, delete it (its buckets go with it) and deploy it again"
)
_LOST_IN_UPGRADE = (
    "note: OSCAR 4.1 and newer cannot read services that this release stores; before the cluster "
    "is upgraded, delete them, and deploy them again afterwards"
)
_INSTEAD = "put these credentials into each config.json instead"


def execute(arguments: argparse.Namespace) -> int:
    """Deploys to the cluster that the environment names; prints a line on each service."""
    offers = read_platform().clusters
    if not offers:
        raise ConfigError(
            [
                "set OSCAR_BATCH_OSCAR_URL and OSCAR_BATCH_OSCAR_USERNAME, "
                "OSCAR_BATCH_OSCAR_PASSWORD (or OSCAR_BATCH_OSCAR_TOKEN, or the three variables of "
                "OIDC, see docs/oidc.md) in the environment"
            ]
        )
    fdl = arguments.fdl or find_shipped("fdl/coordinator.yaml")
    access = replace(offers[0], verify=offers[0].verify and not arguments.insecure)
    for line in deploy(fdl, OscarClient(access), os.environ):
        print_result(line)
    return 0


def deploy(fdl: Path, oscar: OscarClient, environ: Mapping[str, str]) -> Iterator[str]:
    """Creates or replaces every service of an FDL file; yields a line on each.

    Raises ConfigError before anything is sent if the file cannot be used.
    """
    definitions = read_definitions(fdl, environ)
    known = oscar.read_release()
    for definition in definitions:
        name = definition["name"]
        asked = read_secrets(definition)
        given = {secret: value for secret, value in asked.items() if value}
        hide_in_log(given.values())
        created = oscar.apply(release.adapt_ports(replace_secrets(definition, given), known))
        yield f"{name}: {'created' if created else 'updated'}"
        if not created and definition.get("input") and release.loses_events(known):
            yield f"{name}: {_LOSES_EVENTS}"
        if unset := sorted(asked.keys() - given):
            yield f"{name}: without {', '.join(unset)}, which are not set here; {_INSTEAD}"
        if given and (lost := sorted(given.keys() - oscar.read_secret_names(name))):
            yield f"{name}: this OSCAR release does not keep {', '.join(lost)}; {_INSTEAD}"
    if release.is_lost_in_upgrade(known):
        yield _LOST_IN_UPGRADE
