# SPDX-License-Identifier: Apache-2.0
"""Turns service definitions into services: tokens, buckets, folder markers, notifications.

Called by api. Which bucket may exist beforehand, which is made and which goes with the service is
OSCAR v4.1's rule. Definitions live as long as the sandbox. Next: events for what triggers.
"""

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from sandbox import definition
from sandbox.cluster import Resources
from sandbox.definition import Definition, Provider, Rejected
from sandbox.events import Notifier, Trigger
from sandbox.storage import Storage, StorageError


@dataclass(frozen=True, slots=True)
class Service:
    """A deployed service."""

    name: str
    token: str = field(repr=False)
    needs: Resources
    definition: Definition = field(repr=False)

    @property
    def mount_path(self) -> str:
        return str(self.definition["mount"].get("path") or "").strip("/")


class Services:
    """All services by name, with their side effects on the storage."""

    def __init__(self, storage: Storage, notifier: Notifier, provider: Provider) -> None:
        self._storage = storage
        self._notifier = notifier
        self._provider = provider
        self._services: dict[str, Service] = {}
        # One change at a time: bucket checks and creations of two services must not interleave.
        self._changing = asyncio.Lock()

    def get(self, name: str) -> Service | None:
        return self._services.get(name)

    def all(self) -> list[Service]:
        return [self._services[name] for name in sorted(self._services)]

    def token(self, name: str) -> str | None:
        service = self.get(name)
        return service.token if service else None

    async def create(self, raw: object) -> None:
        service = self._parse(raw, secrets.token_hex(32))
        async with self._changing:
            if service.name in self._services:
                raise Rejected(400, f"A service with name '{service.name}' already exists")
            self._services[service.name] = service
            made: set[str] = set()
            try:
                await self._notifier.register(service.name, service.token)
                await self._notifier.replace(service.name, await self._provide(service, made))
            except (Rejected, StorageError) as error:
                del self._services[service.name]
                await self._notifier.unregister(service.name)
                # OSCAR leaves what it made behind when the reason was "already exists".
                if "already exists" not in str(error):
                    await self._remove_buckets(made)
                raise

    async def update(self, raw: object) -> None:
        async with self._changing:
            name = str(raw.get("name", "")) if isinstance(raw, dict) else ""
            old = self.get(name)
            service = self._parse(raw, old.token if old else secrets.token_hex(32))
            if old is None:
                raise Rejected(404)
            # The admin's PUT takes the owner from the body, and an omitted one is lost.
            owner = raw.get("owner", "") if isinstance(raw, dict) else ""
            service = replace(service, definition={**service.definition, "owner": owner})
            kept = self._notifier.of(name) & set(_triggers(service))
            self._services[name] = service
            await self._notifier.replace(name, kept | await self._provide_new(service))

    async def delete(self, name: str) -> None:
        async with self._changing:
            service = self._services.pop(name, None)
            if service is None:
                raise Rejected(404)
            await self._notifier.unregister(name)
            mounted = {_bucket(other.mount_path) for other in self.all()}
            await self._remove_buckets(_own_buckets(service) - mounted)

    def _parse(self, raw: object, token: str) -> Service:
        stored = definition.normalise(raw, token, self._provider)
        return Service(stored["name"], token, definition.needs(stored), stored)

    async def _provide(self, service: Service, made: set[str]) -> set[Trigger]:
        """Make the buckets and folders; ``made`` tells the caller how far it came."""
        for kind in ("input", "output"):
            for entry in service.definition[kind]:
                bucket, _, folder = entry["path"].partition("/")
                if bucket not in made and not await self._storage.make_bucket(bucket):
                    raise Rejected(500, f'the bucket "{bucket}" already exists')
                made.add(bucket)
                await self._mark(bucket, folder)
        await self._provide_mount(service)
        return set(_triggers(service))

    async def _provide_new(self, service: Service) -> set[Trigger]:
        """As for a PUT: a folder that is new in a bucket that exists gets no notification."""
        fresh: set[str] = set()
        for kind in ("input", "output"):
            for entry in service.definition[kind]:
                bucket, _, folder = entry["path"].partition("/")
                if await self._storage.make_bucket(bucket):
                    fresh.add(bucket)
                if bucket in fresh:
                    await self._mark(bucket, folder)
        await self._provide_mount(service)
        return {trigger for trigger in _triggers(service) if trigger.bucket in fresh}

    async def _provide_mount(self, service: Service) -> None:
        bucket, _, folder = service.mount_path.partition("/")
        if bucket and await self._storage.make_bucket(bucket) and folder:
            await self._mark(bucket, folder)

    async def _mark(self, bucket: str, folder: str) -> None:
        key = f"{folder}/"
        await self._notifier.arrival(bucket, key, self._storage.put_marker(bucket, key))

    async def _remove_buckets(self, buckets: Iterable[str]) -> None:
        for bucket in sorted(buckets):
            await self._storage.remove_bucket(bucket)


def _triggers(service: Service) -> list[Trigger]:
    paths = [entry["path"].partition("/") for entry in service.definition["input"]]
    return [Trigger(service.name, bucket, f"{folder}/") for bucket, _, folder in paths]


def _bucket(path: str) -> str:
    return path.partition("/")[0]


def _own_buckets(service: Service) -> set[str]:
    entries = (*service.definition["input"], *service.definition["output"])
    return {_bucket(entry["path"]) for entry in entries}
