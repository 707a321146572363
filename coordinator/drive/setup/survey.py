# SPDX-License-Identifier: Apache-2.0
"""Lists what a cluster offers for a config: services with modes, buckets with object counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ...model.errors import StorageError
from ...model.service import Folder, Mode, Service
from ...oscar.client import OscarClient
from ...storage.bucket import Bucket
from ...storage.pages import ListQuery
from ..entering.modes import ModeChoice, choose_mode

MOST_OBJECTS = 100_000
"""The most objects that are counted: more would take long, and nobody needs the number."""


@dataclass(frozen=True, slots=True)
class ServiceOffer:
    """A service, and the mode of a run with data where the service expects it."""

    service: Service
    choice: ModeChoice


@dataclass(frozen=True, slots=True)
class BucketOffer:
    """A bucket and the number of its objects; None if this account may not list them."""

    name: str
    objects: int | None

    def __str__(self) -> str:
        if self.objects is None:
            return "cannot be listed"
        more = "more than " if self.objects >= MOST_OBJECTS else ""
        return f"{more}{self.objects:,} object{'' if self.objects == 1 else 's'}"


def survey_services(oscar: OscarClient) -> tuple[ServiceOffer, ...]:
    """The services that can process files, by name; coordinators start runs and process none."""
    services = sorted(oscar.list_services(), key=lambda each: each.name)
    return tuple(
        ServiceOffer(each, choose_mode(Mode.AUTO, each, each.mount or Folder("", "")))
        for each in services
        if not each.is_coordinator
    )


def survey_buckets(
    names: Iterable[str], open_bucket: Callable[[str], Bucket]
) -> tuple[BucketOffer, ...]:
    """The buckets with their objects, counted as far as is quick."""
    return tuple(BucketOffer(name, _count(open_bucket(name))) for name in sorted(names))


def _count(bucket: Bucket) -> int | None:
    found = 0
    try:
        for page in bucket.list_objects(ListQuery("")):
            found += len(page)
            if found >= MOST_OBJECTS:
                return MOST_OBJECTS
    except StorageError:
        return None
    return found
