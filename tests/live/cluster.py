# SPDX-License-Identifier: Apache-2.0
"""A cluster that is there already, as the environment names it, and what the checks make on it.

Everything that is made has a name with a random part of its own, is noted before it is made, and
is removed by that name; nothing else is ever changed or removed.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import yaml
from minio import Minio
from minio.deleteobjects import DeleteObject

from sandbox.handle import CHECKOUT, Sandbox

T = TypeVar("T")

VARIABLES = {
    "OSCAR_URL": "OSCAR's address, as the jobs of the cluster can reach it too",
    "OSCAR_USERNAME": "the administrator",
    "OSCAR_PASSWORD": "",
    "MINIO_URL": "the address of the cluster's MinIO, as seen from here",
    "MINIO_ACCESS_KEY": "",
    "MINIO_SECRET_KEY": "",
    "COORDINATOR_IMAGE": "the image of `make image`, where the cluster can pull it",
    "TARGET_IMAGE": "the image of examples/turbidity, likewise",
}
PREFIX = "oblive-"


class Missing(Exception):
    """Variables that are not set."""


@dataclass(frozen=True, slots=True)
class LiveCluster(Sandbox):
    """The cluster; its requests are those that tests send to the sandbox."""

    coordinator_image: str = ""
    target_image: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> LiveCluster:
        """Raises Missing that names every variable that is not set."""
        if missing := [name for name in VARIABLES if not environ.get(name)]:
            raise Missing(", ".join(missing))
        scheme = "" if "://" in environ["MINIO_URL"] else "https://"
        return cls(
            url=environ["OSCAR_URL"].rstrip("/"),
            username=environ["OSCAR_USERNAME"],
            password=environ["OSCAR_PASSWORD"],
            s3_url=scheme + environ["MINIO_URL"].rstrip("/"),
            access_key=environ["MINIO_ACCESS_KEY"],
            secret_key=environ["MINIO_SECRET_KEY"],
            pid=0,
            coordinator_image=environ["COORDINATOR_IMAGE"],
            target_image=environ["TARGET_IMAGE"],
        )

    @property
    def minio(self) -> Minio:
        address = urlsplit(self.s3_url)
        return Minio(
            address.netloc,
            access_key=self.access_key,
            secret_key=self.secret_key,
            secure=address.scheme == "https",
        )

    def read_info(self) -> dict[str, Any]:
        """The versions of OSCAR and Kubernetes. Raises requests' errors."""
        answer = self.call("GET", "/system/info")
        answer.raise_for_status()
        return dict(answer.json())

    def run_command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The coordinator's command line, with these credentials in the environment."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OSCAR_BATCH_")}
        environment |= {
            "OSCAR_BATCH_OSCAR_URL": self.url,
            "OSCAR_BATCH_OSCAR_USERNAME": self.username,
            "OSCAR_BATCH_OSCAR_PASSWORD": self.password,
            "OSCAR_BATCH_MINIO_URL": self.s3_url,
            "OSCAR_BATCH_MINIO_ACCESS_KEY": self.access_key,
            "OSCAR_BATCH_MINIO_SECRET_KEY": self.secret_key,
        }
        command = [sys.executable, "-m", "coordinator", *arguments]
        return subprocess.run(
            command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=1800
        )


@dataclass(frozen=True, slots=True)
class Made:
    """The names of all that the checks make, and its removal."""

    cluster: LiveCluster
    prefix: str = field(default_factory=lambda: f"{PREFIX}{secrets.token_hex(3)}")
    services: list[str] = field(default_factory=list)
    buckets: list[str] = field(default_factory=list)

    def name_service(self, part: str) -> str:
        """The name of a service that is about to be made."""
        return self._note(part, self.services)

    def name_bucket(self, part: str) -> str:
        """The name of a bucket that is about to be made."""
        return self._note(part, self.buckets)

    def remove(self) -> list[str]:
        """Removes everything that was made; what could not be removed, with the reason."""
        left = [found for name in self.services if (found := self._remove_service(name))]
        return left + [found for name in self.buckets if (found := self._remove_bucket(name))]

    def find_left(self) -> list[str]:
        """What is still there of all that was made."""
        found = [f"service {name}" for name in self.services if self._has_service(name)]
        minio = self.cluster.minio
        return found + [f"bucket {name}" for name in self.buckets if minio.bucket_exists(name)]

    def _note(self, part: str, names: list[str]) -> str:
        name = f"{self.prefix}-{part}"
        if name not in names:
            names.append(name)
        return name

    def _has_service(self, name: str) -> bool:
        return self.cluster.call("GET", f"/system/services/{name}").ok

    def _remove_service(self, name: str) -> str:
        try:
            self.cluster.remove(name)
        except Exception as error:  # whatever it is, the next one is removed too
            return f"service {name}: {error}"
        return ""

    def _remove_bucket(self, name: str) -> str:
        def empty_and_remove() -> bool | None:
            minio = self.cluster.minio
            if not minio.bucket_exists(name):
                return True
            found = minio.list_objects(name, recursive=True)
            doomed = [DeleteObject(str(entry.object_name)) for entry in found]
            for error in minio.remove_objects(name, doomed):
                raise RuntimeError(str(error))
            minio.remove_bucket(name)
            return True

        # MinIO restarts when a service is removed.
        return "" if poll(empty_and_remove, 60) else f"bucket {name}: see MinIO"


def poll(probe: Callable[[], T | None], within_s: float, every_s: float = 1.0) -> T | None:
    """Asks until there is a value; None if there is none in time, or only errors."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            if (found := probe()) is not None:
                return found
        except Exception as error:  # a restart of MinIO or of the manager looks like anything
            print(f"live: {type(error).__name__}, will ask again", file=sys.stderr)
        if time.monotonic() > deadline:
            return None
        time.sleep(every_s)


def write_fdl(fdl: str, folder: Path, **keys: Any) -> Path:
    """One of this repository's FDL files with other keys; its script is found where it was."""
    path = CHECKOUT / fdl
    content = yaml.safe_load(path.read_text())
    ((cluster, definition),) = content["functions"]["oscar"][0].items()
    definition = {**definition, "script": str(path.parent / definition["script"]), **keys}
    target = folder / f"{definition['name']}.yaml"
    target.write_text(yaml.safe_dump({"functions": {"oscar": [{cluster: definition}]}}))
    return target
