# SPDX-License-Identifier: Apache-2.0
"""Runs a real MinIO and sets its webhooks for services, as OSCAR does.

For every service it sets a target `notify_webhook:<service>` through the admin API and restarts the
server. Then it registers the service's folders through the S3 API. MinIO posts its events to
/job/<service> directly, so events are lost here as they are on a cluster.
"""

import json
import secrets
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import urllib3
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException
from minio.minioadmin import MinioAdmin
from minio.notificationconfig import NotificationConfig, PrefixFilterRule, QueueConfig

from .events import Notifier, Trigger
from .servers import (
    REGION,
    Keys,
    Manager,
    Program,
    Server,
    StorageError,
    find_free_ports,
    ignore_missing,
)

T = TypeVar("T")

# OSCAR keeps the root keys in a Kubernetes secret of this name, so the root user must have it.
ROOT = "minio"
# A server that restarts may never answer a request.
ADMIN_TIMEOUT_S = 3.0
RESTART_TIMEOUT_S = 60.0
_POLL_S = 0.03


class MinioServer(Server):
    """A `minio server` on one directory."""

    def __init__(self, directory: Path, binary: Path) -> None:
        self._directory = directory
        self._binary = binary
        (self._port,) = find_free_ports(1)
        super().__init__(f"http://127.0.0.1:{self._port}", Keys(ROOT, secrets.token_hex(20)))

    async def start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        address = ["--address", f"127.0.0.1:{self._port}"]
        argv = [str(self._binary), "server", "--quiet", *address, str(self._directory / "data")]
        environment = {
            "HOME": str(self._directory),
            "MINIO_ROOT_USER": self.keys.access,
            "MINIO_ROOT_PASSWORD": self.keys.secret,
            # Part of the ARNs of the webhooks.
            "MINIO_SITE_REGION": REGION,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
        }
        await self.run(Program(argv, environment, self._directory, self._port))

    async def restart(self, gap_s: float = 0.0) -> None:
        """Without a gap do nothing: `MinioNotifier` restarts the server for every webhook."""
        if gap_s:
            await super().restart(gap_s)


class MinioNotifier(Notifier):
    """The webhooks and bucket notifications of a MinIO server."""

    def __init__(self, server: MinioServer, manager: Manager) -> None:
        super().__init__()
        self._server = server
        self._manager = manager
        keys = StaticProvider(server.keys.access, server.keys.secret)
        self._http = urllib3.PoolManager(timeout=ADMIN_TIMEOUT_S, retries=False)
        self._admin = MinioAdmin(
            endpoint=server.url.partition("//")[2],
            credentials=keys,
            region=REGION,
            secure=False,
            http_client=self._http,
        )

    async def register(self, service: str, token: str) -> None:
        await super().register(service, token)
        target = {"endpoint": self._manager.make_job_url(service), "auth_token": token}
        await self._server.do(
            lambda: self._apply(lambda: self._admin.config_set(f"notify_webhook:{service}", target))
        )

    async def unregister(self, service: str) -> None:
        await super().unregister(service)
        await self._server.do(
            lambda: self._apply(lambda: self._admin.config_reset("notify_webhook", service))
        )

    async def replace(self, service: str, triggers: set[Trigger]) -> None:
        changed = {trigger.bucket for trigger in triggers ^ self.list_triggers(service)}
        await super().replace(service, triggers)
        for bucket in sorted(changed):
            await self._server.do(partial(self._notify, bucket))

    def _apply(self, change: Callable[[], str]) -> None:
        """Change the configuration, restart, and wait until the server uses the change."""
        until = time.monotonic() + RESTART_TIMEOUT_S
        wanted = {_make_arn(service) for service in self._tokens}
        _retry_until_done(change, until)
        _retry_until_done(self._admin.service_restart, until)
        while set(self._list_targets(until)) != wanted or not self._is_healthy(until):
            if time.monotonic() > until:
                raise StorageError(f"MinIO did not come back within {RESTART_TIMEOUT_S:.0f} s")
            time.sleep(_POLL_S)

    def _list_targets(self, until: float) -> list[str]:
        return json.loads(_retry_until_done(self._admin.info, until)).get("sqsARN") or []

    def _is_healthy(self, until: float) -> bool:
        """Whether notifications work again. MinIO serves objects earlier, and what is written then
        starts no job. OSCAR waits for six seconds instead."""
        url = f"{self._server.url}/minio/health/cluster"
        return _retry_until_done(lambda: self._http.request("GET", url).status, until) == 200

    def _notify(self, bucket: str) -> None:
        wanted = sorted(
            (trigger for trigger in self._triggers if trigger.bucket == bucket),
            key=lambda trigger: (trigger.service, trigger.prefix),
        )
        queues = [
            QueueConfig(
                queue=_make_arn(trigger.service),
                events=["s3:ObjectCreated:*"],
                prefix_filter_rule=PrefixFilterRule(trigger.prefix),
            )
            for trigger in wanted
        ]
        config = NotificationConfig(queue_config_list=queues)
        ignore_missing(lambda: self._server.client.set_bucket_notification(bucket, config))


def _make_arn(service: str) -> str:
    return f"arn:minio:sqs:{REGION}:{service}:webhook"


def _retry_until_done(call: Callable[[], T], until: float) -> T:
    """Repeat the call while the server restarts; an error that the server explains is final."""
    while True:
        try:
            return call()
        except (urllib3.exceptions.HTTPError, MinioAdminException) as error:
            refused = isinstance(error, MinioAdminException) and "503" not in str(error)
            if refused or time.monotonic() > until:
                raise StorageError(f"MinIO: {error}") from error
        time.sleep(_POLL_S)
