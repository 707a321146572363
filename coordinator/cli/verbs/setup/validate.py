# SPDX-License-Identifier: Apache-2.0
"""`validate`: checks a config without contacting anything."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ....config.credentials import Platform
from ....config.load import decode_config, load_config
from ....config.schema import ConfigReader
from ....drive.bodies.template import find_template_problems
from ....model.access import ClusterAccess, StorageAccess
from ...inputs import read_bytes, read_platform
from ...output import hide_in_log, print_result

_MINIO, _OSCAR = "the MinIO of the cluster", "the cluster that the service was deployed to"


def execute(arguments: argparse.Namespace) -> int:
    """Prints what the config asks for. Raises ConfigError with all its problems."""
    content, platform = read_bytes(arguments.config), read_platform()
    assumed: list[str] = []
    if arguments.in_service:
        platform, assumed = assume_service(decode_config(content), platform)
    config = load_config(content, platform, find_template_problems)
    hide_in_log(config.secrets)
    lines = [f"{arguments.config}: valid"]
    lines += [f"  {name}: {value}" for name, value in config.describe().items()]
    lines += [f"  assumed: {each}" for each in assumed]
    print_result("\n".join(lines))
    return 0


def assume_service(raw: Mapping[str, Any], platform: Platform) -> tuple[Platform, list[str]]:
    """What the coordinator's service will offer as far as a config needs it, and this in words."""
    values, assumed = ConfigReader(raw).values, []
    url = values["MinIO.url"]
    if not values["MinIO.access_key"] and not _has_offer(url, platform.storages):
        offer = StorageAccess(url or _MINIO, "assumed", "assumed")
        platform = replace(platform, storages=(*platform.storages, offer))
        assumed.append(f"the service has credentials for {offer.url}")
    url = values["oscar_cluster.url"]
    own = values["oscar_cluster.auth_basic.password"] or values["oscar_cluster.auth_token.token"]
    if not own and not _has_offer(url, platform.clusters):
        cluster = ClusterAccess(url or _OSCAR, "assumed")
        platform = replace(platform, clusters=(*platform.clusters, cluster))
        assumed.append(f"the service has credentials for {cluster.url}")
    assumed.append("nothing that the run writes lies in the service's trigger folder")
    return platform, assumed


def _has_offer(url: str, offers: Sequence[StorageAccess | ClusterAccess]) -> bool:
    return any(url in {"", offer.url} for offer in offers)
