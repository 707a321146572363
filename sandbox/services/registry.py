# SPDX-License-Identifier: Apache-2.0
"""Creates, updates and deletes services with their tokens, buckets and notifications.

The release decides which buckets may exist before, which are made, which are removed with the
service, and whether the token changes. Services are kept in memory.
"""

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ..cluster.profiles import FlatPath, Profile
from ..cluster.resources import Resources
from ..storage.events import Notifier, Trigger
from ..storage.servers import Storage, StorageError
from . import definitions
from .definitions import Definition, Panic, Provider, Rejected

TAKEN = "A service with the provided name already exists"
_POLICY = (
    "Error creating the service: error creating/adding MinIO policy for user/group : Invalid "
    "arguments specified. (Invalid arguments specified)"
)
BROKEN_PUT = f"Error creating the service: error removing resource{_POLICY}{_POLICY}"
BROKEN_DELETE = (
    "Error deleting service buckets: %!(EXTRA *errors.errorString=error while removing MinIO "
    "bucket error removing resource)"
)


@dataclass(frozen=True, slots=True)
class Service:
    """A deployed service."""

    name: str
    token: str = field(repr=False)
    needs: Resources
    definition: Definition = field(repr=False)
    broken: bool = False
    """MinIO refuses its policy since a PUT without owner, so its buckets cannot be removed."""

    @property
    def mount_path(self) -> str:
        return str(self.definition["mount"].get("path") or "").strip("/")


@dataclass(frozen=True, slots=True)
class Rules:
    """The release, and whether the storage restarts at every creation and deletion."""

    profile: Profile
    storage_restarts: bool = False
    change_s: float = 0.0
    """How long a change that restarts the storage takes."""


class Services:
    """All services by name, with their side effects on the storage."""

    def __init__(
        self, storage: Storage, notifier: Notifier, provider: Provider, rules: Rules
    ) -> None:
        self._storage = storage
        self._notifier = notifier
        self._provider = provider
        self._profile = rules.profile
        self._rules = rules
        self._services: dict[str, Service] = {}
        # One change at a time: bucket checks and creations of two services must not interleave.
        self._changing = asyncio.Lock()

    def get(self, name: str) -> Service | None:
        return self._services.get(name)

    def list_all(self) -> list[Service]:
        return [self._services[name] for name in sorted(self._services)]

    async def rotate(self, service: Service, *, webhook: bool) -> None:
        """Make a new token; the storage gets it only with ``webhook``."""
        token = secrets.token_hex(32)
        self._services[service.name] = replace(
            service, token=token, definition={**service.definition, "token": token}
        )
        if webhook:
            await self._notifier.register(service.name, token)

    async def create(self, raw: object) -> None:
        service = self._parse(raw, secrets.token_hex(32))
        async with self._changing:
            if service.name in self._services:
                raise Rejected(self._profile.taken_name_status, TAKEN)
            definitions.check_objects(service.definition)
            self._services[service.name] = service
            made: set[str] = set()
            try:
                await self._notifier.register(service.name, service.token)
                await self._notifier.replace(service.name, await self._provide(service, made))
            except (Rejected, StorageError) as error:
                del self._services[service.name]
                await self._notifier.unregister(service.name)
                # OSCAR removes the new buckets, but not when the error was "already exists".
                if "already exists" not in str(error):
                    await self._remove_buckets(made)
                raise
            await self._restart()

    async def update(self, raw: object) -> None:
        async with self._changing:
            name = str(raw.get("name", "")) if isinstance(raw, dict) else ""
            old = self.get(name)
            kept_token = old.token if old and self._profile.keeps_token else None
            service = self._parse(raw, kept_token or secrets.token_hex(32))
            if old is None:
                raise Rejected(404)
            definitions.check_objects(service.definition)
            # The admin's PUT takes the owner from the body, and an omitted one is lost.
            owner = raw.get("owner", "") if isinstance(raw, dict) else ""
            changed = {**service.definition, "owner": owner}
            changed["labels"] = {
                key: value for key, value in changed["labels"].items() if key != "owner_name"
            }
            broken = self._is_broken_by(old, owner)
            service = replace(service, definition=changed, broken=broken)
            self._services[name] = service
            fresh = await self._provide_new(service)
            if service.token != old.token and (fresh or self._profile.webhook_follows):
                await self._notifier.register(name, service.token)
            triggers = set(_make_triggers(service))
            if self._profile.own_buckets_only:
                # A new folder in an old bucket gets no notification.
                known = self._notifier.list_triggers(name)
                triggers = {each for each in triggers if each.bucket in fresh or each in known}
            await self._notifier.replace(name, triggers)
            if broken:
                raise Rejected(500, BROKEN_PUT)

    async def delete(self, name: str) -> None:
        async with self._changing:
            service = self._services.pop(name, None)
            if service is None:
                raise Rejected(404)
            await self._notifier.unregister(name)
            if service.broken:
                raise Rejected(500, BROKEN_DELETE)
            mounted: set[str] = set()
            if self._profile.keeps_mounted_buckets:
                mounted = {_parse_bucket(other.mount_path) for other in self.list_all()}
            await self._remove_buckets(_list_own_buckets(service) - mounted)
            await self._restart()

    def _is_broken_by(self, old: Service, owner: str) -> bool:
        """Whether a PUT with this owner leaves the service with a policy that MinIO refuses."""
        restricted = old.definition.get("visibility") == "restricted"
        orphaned = restricted and not owner and self._profile.put_orphans
        return old.broken or (orphaned and bool(_list_own_buckets(old)))

    async def _restart(self) -> None:
        await asyncio.sleep(self._rules.change_s)
        if self._rules.storage_restarts:
            await self._storage.restart()

    def _parse(self, raw: object, token: str) -> Service:
        stored = definitions.make_definition(raw, token, self._provider, self._profile)
        return Service(stored["name"], token, definitions.find_needs(stored), stored)

    async def _provide(self, service: Service, made: set[str]) -> set[Trigger]:
        """Make the buckets and folders, and add the names of new buckets to ``made``."""
        definitions.check_outputs(service.definition)
        for bucket, folder in _list_folders(service):
            fresh = bucket in made or await self._storage.make_bucket(bucket)
            if not fresh and self._profile.own_buckets_only:
                raise Rejected(500, f'the bucket "{bucket}" already exists\n')
            if fresh:
                made.add(bucket)
            if folder:
                await self._put_marker(bucket, folder)
            elif self._profile.flat_path is FlatPath.PANIC:
                raise Panic
        await self._provide_mount(service)
        return set(_make_triggers(service))

    async def _provide_new(self, service: Service) -> set[str]:
        """Make the buckets and folders that a PUT adds; return the new buckets."""
        fresh: set[str] = set()
        for bucket, folder in _list_folders(service):
            if await self._storage.make_bucket(bucket):
                fresh.add(bucket)
            if folder and (bucket in fresh or not self._profile.own_buckets_only):
                await self._put_marker(bucket, folder)
        await self._provide_mount(service)
        return fresh

    async def _provide_mount(self, service: Service) -> None:
        bucket, _, folder = service.mount_path.partition("/")
        if not bucket or not self._profile.makes_mount_bucket:
            return
        if await self._storage.make_bucket(bucket) and folder:
            await self._put_marker(bucket, folder)

    async def _put_marker(self, bucket: str, folder: str) -> None:
        key = f"{folder}/"
        await self._notifier.write_and_wait(bucket, key, self._storage.put_marker(bucket, key))

    async def _remove_buckets(self, buckets: Iterable[str]) -> None:
        for bucket in sorted(buckets):
            await self._storage.remove_bucket(bucket)


def _list_folders(service: Service) -> list[tuple[str, str]]:
    """Bucket and folder of each input and output."""
    entries = (*service.definition["input"], *service.definition["output"])
    return [(bucket, folder) for bucket, _, folder in (e["path"].partition("/") for e in entries)]


def _make_triggers(service: Service) -> list[Trigger]:
    paths = [entry["path"].partition("/") for entry in service.definition["input"]]
    return [Trigger(service.name, bucket, f"{folder}/") for bucket, _, folder in paths if folder]


def _parse_bucket(path: str) -> str:
    return path.partition("/")[0]


def _list_own_buckets(service: Service) -> set[str]:
    return {bucket for bucket, _ in _list_folders(service)}
