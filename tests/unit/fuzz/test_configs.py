# SPDX-License-Identifier: Apache-2.0
"""Configs, JSON and YAML, whole and spoilt: a `Config` or a short list of problems."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from coordinator.cli.verbs.run import make_clients
from coordinator.cli.verbs.setup.validate import assume_service
from coordinator.config.credentials import Platform
from coordinator.config.load import decode_config, load_config
from coordinator.index.selection import ItemFilter
from coordinator.model.access import ClusterAccess, StorageAccess
from coordinator.model.errors import SHORTEST_HIDDEN, BatchError, escape_text, hide_secrets
from coordinator.model.object_columns import ObjectColumns
from tests.unit.fuzz.cases import (
    FUZZ,
    PASSWORD,
    SECRET_KEY,
    TOKEN,
    changed,
    check_texts,
    limited,
    scratched,
)

WHOLE: dict[str, Any] = {
    "MinIO": {"url": "minio.example.org", "access_key": "reader", "secret_key": SECRET_KEY},
    "bucket": {
        "name": "data",
        "folder_prefix": "in",
        "include": ["*.jpg", "2024/**/[a-c]*_?.fits"],
        "exclude": "*_*_*",
        "min_size": "10Mi",
        "modified_after": "2026-11-22T10:15:00Z",
        "skip_done": {"bucket": "results", "suffix": ".json"},
    },
    "output": {"file": "index.txt"},
    "oscar_cluster": {
        "url": "https://oscar.example.org",
        "auth_basic": {"username": "oscar", "password": PASSWORD},
        "auth_token": {"token": TOKEN},
        "verify": False,
    },
    "service": {"name": "target", "mode": "range"},
    "plan": {"headroom": 0.1, "max_parallel": 5, "speeds": [0.5, 1], "chunk_bytes": "1Gi"},
    "run": {"dry_run": False, "id": "20261122t101500z-3f9a1c"},
    "state": {"bucket": "state", "prefix": ".oscar-batch/"},
    "report": {"bucket": "data", "prefix": "reports/"},
}
BARE = {"bucket": {"name": "data"}, "service": {"name": "target"}}
OFFERED = Platform(
    storages=(StorageAccess("https://minio.offered", "key", SECRET_KEY),),
    clusters=(ClusterAccess("https://oscar.offered", "oscar", PASSWORD, TOKEN),),
)
# Not the service's token: only a run knows it.
KNOWN = (SECRET_KEY, PASSWORD, TOKEN)
KEYS_OF_ITEMS = [b"in/a_b_c.jpg", b"in/2024/x/a_1.fits", b"in/" + b"_a" * 500]
OBJECTS = ObjectColumns(KEYS_OF_ITEMS, [1, 2**40, 0], ["2026-11-22T10:15:00Z"] * 3)


def write_yaml(document: Any) -> bytes:
    """Block YAML; what it cannot say as it is, such as half a character, is left out."""
    try:
        return yaml.safe_dump(document, allow_unicode=True, sort_keys=False).encode()
    except (UnicodeEncodeError, yaml.YAMLError):
        return yaml.safe_dump(BARE).encode()


@st.composite
def files(draw: Callable[..., Any]) -> bytes:
    document = draw(changed([WHOLE, WHOLE, BARE]))
    write = draw(st.sampled_from([write_yaml, lambda each: json.dumps(each, indent=2).encode()]))
    content: bytes = write(document)
    return draw(scratched(content)) if draw(st.booleans()) else content


@FUZZ
@given(files(), st.booleans())
def test_a_config_is_used_or_refused(content: bytes, in_service: bool) -> None:
    with limited("the config"):
        try:
            platform = assume_service(decode_config(content), OFFERED)[0] if in_service else OFFERED
            config = load_config(content, platform)
            make_clients(config)
            list(ItemFilter(config.selection.rules).select([OBJECTS]))
        except BatchError as error:
            check_texts([*error.problems, str(error)], canaries=KNOWN)
            return
    # As `validate` shows it: a config may give a secret as an address too.
    known = (*config.secrets, *platform.secrets)
    shown = hide_secrets(str(config.describe()), known, SHORTEST_HIDDEN)
    check_texts([escape_text(shown)], most=20_000, canaries=KNOWN)
