# SPDX-License-Identifier: Apache-2.0
"""The place of the checks: the cluster, the names of what they make, and what they often do."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.handle import CHECKOUT

from .cluster import LiveCluster, Made, poll, write_fdl

PHOTO = (CHECKOUT / "examples/grayify/originals/chelsea.jpg").read_bytes()


@dataclass(frozen=True, slots=True)
class Site:
    """Where the checks happen: the cluster, the names of theirs, a folder for files."""

    cluster: LiveCluster
    made: Made
    folder: Path
    wait_s: float
    """How long to wait for jobs; the first one also pulls its image."""

    @property
    def coordinator(self) -> str:
        return f"{self.made.prefix}-batch"

    @property
    def target(self) -> str:
        return f"{self.made.prefix}-gray"

    @property
    def data(self) -> str:
        return f"{self.made.prefix}-data"

    @property
    def outputs(self) -> str:
        return f"{self.made.prefix}-out"

    def write_config(self, prefix: str, service: str = "", **sections: Any) -> Path:
        """A config for the data below a prefix; credentials come from the environment."""
        config = {
            "bucket": {"name": self.data, "folder_prefix": prefix},
            "service": {"name": service or self.target},
            "plan": {"max_parallel": 2, "headroom": 0, **sections.pop("plan", {})},
            **sections,
        }
        path = self.folder / f"config-{len(list(self.folder.iterdir()))}.json"
        path.write_text(json.dumps(config))
        return path

    def upload(self, keys: list[str]) -> None:
        for key in keys:
            self.cluster.minio.put_object(self.data, key, io.BytesIO(PHOTO), len(PHOTO))

    def wait_for_outputs(self, keys: list[str]) -> int:
        """How many of the keys have their output, once all have or it takes too long."""
        poll(lambda: self._count_outputs(keys) == len(keys) or None, self.wait_s)
        return poll(lambda: self._count_outputs(keys), 60) or 0

    def _count_outputs(self, keys: list[str]) -> int:
        found = self.cluster.minio.list_objects(self.outputs, prefix="values/", recursive=True)
        names = {str(entry.object_name) for entry in found}
        return sum(f"values/{key}.json" in names for key in keys)


def list_fdls(site: Site) -> list[Path]:
    """The FDL files of target and coordinator, under the names of this run."""

    def place(path: str) -> list[dict[str, str]]:
        return [{"storage_provider": "minio.default", "path": path}]

    target = write_fdl(
        "examples/turbidity/turbidity.yaml",
        site.folder,
        name=site.target,
        image=site.cluster.target_image,
        mount=place(f"/{site.data}")[0],
        output=place(f"{site.outputs}/values"),
    )
    coordinator = write_fdl(
        "fdl/coordinator.yaml",
        site.folder,
        name=site.coordinator,
        image=site.cluster.coordinator_image,
        input=place(f"{site.coordinator}/in"),
        output=place(f"{site.coordinator}/out"),
    )
    return [target, coordinator]


def deploy(site: Site, fdl: Path) -> str:
    """What `deploy` printed about the service, in one line."""
    ended = site.cluster.run_command("deploy", str(fdl))
    lines = (ended.stdout + ended.stderr).splitlines()
    return "; ".join(line for line in lines if not line.startswith("note: "))
