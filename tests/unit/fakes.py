# SPDX-License-Identifier: Apache-2.0
"""Storage and OSCAR in memory, for tests of what is decided between them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

from coordinator.model.access import StorageAccess
from coordinator.model.cluster import Basis, Cluster, JobList, Node, Phase, Quota, Resources
from coordinator.model.errors import ClusterError, Conflict, StorageError
from coordinator.model.object_columns import ObjectColumns
from coordinator.model.run import Reply, Verdict
from coordinator.model.service import Folder, Service, Trigger
from coordinator.oscar.client import OscarClient
from coordinator.storage.bucket import Bucket
from coordinator.storage.pages import ListQuery
from coordinator.storage.upload import Written
from tests.unit import make

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
ROOMY = Cluster((Node("wn-1", Resources(4_000, 64 * 2**30)),), Basis.REQUESTS)


class FakeBucket(Bucket):
    """A bucket in memory. What `broken` names is refused, as by a server without rights."""

    def __init__(self, name: str = "data", objects: dict[str, bytes] | None = None) -> None:
        self.name = name
        self.objects = dict(objects or {})
        self.broken: set[str] = set()
        self.times: dict[str, str] = {}
        """When objects were written, where a test cares for that."""
        self.exclusive = True
        self.notifications: list[tuple[str, str]] | None = None
        self.now = NOW
        self.others: dict[str, FakeBucket] = {}

    def beside(self, name: str) -> FakeBucket:
        return self if name == self.name else self.others[name]

    def list_objects(self, query: ListQuery) -> Iterator[ObjectColumns]:
        self._check("list")
        self._check(f"list {query.prefix}")
        keys = sorted(key for key in self.objects if key.startswith(query.prefix))
        if not query.recursive:
            keys = [key for key in keys if "/" not in key[len(query.prefix) :]]
        times = [self.times.get(key, NOW.isoformat()) for key in keys]
        sizes = [len(self.objects[key]) for key in keys]
        yield ObjectColumns([key.encode() for key in keys], sizes, times if query.times else None)

    def list_folders(self, prefix: str, *, every: bool = False) -> list[str]:
        self._check("list")
        below = [key[len(prefix) :] for key in self.objects if key.startswith(prefix)]
        return sorted({f"{prefix}{key.partition('/')[0]}/" for key in below if "/" in key})

    def read_clock(self, key: str) -> datetime:
        self._check("read")
        return self.now

    def shows(self, key: str, content: bytes) -> bool:
        self._check("read")
        return self.objects.get(key) == content

    def honours_condition(self, key: str) -> bool:
        self._check("write")
        self.objects.pop(key, None)
        return self.exclusive

    def read_notifications(self) -> list[tuple[str, str]] | None:
        self._check("read")
        return self.notifications

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        self._check("read")
        return self.objects[key][offset : offset + length]

    def read_stamp(self, key: str) -> str | None:
        self._check("read")
        return hashlib.sha256(self.objects[key]).hexdigest() if key in self.objects else None

    def read_pieces(self, key: str) -> Iterator[bytes]:
        self._check("read")
        yield self.objects[key]

    def read_small(self, key: str, limit_bytes: int) -> bytes | None:
        self._check("read")
        self._check(f"read {key}")
        content = self.objects.get(key)
        return content if content is not None and len(content) <= limit_bytes else None

    def exists(self, key: str) -> bool:
        self._check("look")
        return key in self.objects

    def write(self, key: str, content: bytes, content_type: str) -> None:
        self._check("write")
        self.objects[key] = content
        self.times[key] = self.now.isoformat()

    def put_new(self, key: str, content: bytes, content_type: str) -> None:
        self._check("write")
        if key in self.objects:
            raise Conflict(f"{self.name}/{key} exists already")
        self.objects[key] = content
        self.times[key] = self.now.isoformat()

    def delete(self, keys: Sequence[str]) -> None:
        self._check("delete")
        for key in keys:
            self.objects.pop(key, None)

    def write_lines(self, key: str, pieces: Iterable[bytes], content_type: str) -> Written:
        text = b"".join(pieces)
        self.write(key, text, content_type)
        return Written(len(text), text.count(b"\n"), hashlib.sha256(text).hexdigest(), 0)

    def copy_from(self, source: Bucket, key: str, target: str) -> None:
        assert isinstance(source, FakeBucket)
        self.objects[target] = source.objects[key]

    def _check(self, verb: str) -> None:
        if verb in self.broken:
            raise StorageError(f"could not {verb} {self.name}")


class FakeOscar(OscarClient):
    """A cluster in memory; `answer` is asked for the reply to every invocation."""

    def __init__(self, service: Service | None = None, cluster: Cluster = ROOMY) -> None:
        self.services = [service or make.service(mount=Folder("data", ""))]
        """What each reading of the service returns, the last one forever."""
        self.cluster, self.quota = cluster, None
        self.error: BaseException | None = None
        """Raised where the service is read."""
        self.answer: Callable[[Service, str], Reply] = lambda service, job: Reply(Verdict.ACCEPTED)
        self.named_jobs = True
        self.triggers: tuple[Trigger, ...] | ClusterError = ()
        self.phase = Phase.SUCCEEDED
        """What the job list says of every job."""
        self.lists = 0
        self.bodies: list[bytes] = []
        self.jobs: list[str] = []
        self.deleted: list[str] = []
        self.owners: list[str] = []
        self._lock = threading.Lock()

    quota: Quota | None

    def read_service(self, name: str) -> Service:
        if self.error:
            raise self.error
        return self.services.pop(0) if len(self.services) > 1 else self.services[0]

    def read_triggers(self) -> tuple[Trigger, ...]:
        if isinstance(self.triggers, ClusterError):
            raise self.triggers
        return self.triggers

    def read_cluster(self) -> Cluster:
        return self.cluster

    def read_quota(self, owner: str) -> Quota | None:
        self.owners.append(owner)
        return self.quota

    def read_storage(self) -> StorageAccess:
        return StorageAccess("http://minio.minio:9000", "key", "canary")

    version = "4.1.2"
    release: tuple[int, int] | None = (4, 1)

    def locate_logs(self, service: str) -> str:
        return f"http://oscar.test/system/logs/{service}/"

    def names_jobs(self) -> bool:
        return self.named_jobs

    def read_release(self) -> tuple[int, int] | None:
        return self.release

    def list_jobs(self, name: str) -> JobList:
        self.lists += 1
        return JobList(dict.fromkeys(self.jobs, self.phase), 1)

    def delete_job(self, name: str, job: str) -> None:
        self.deleted.append(job)

    def invoke(self, service: Service, body: bytes, *, job: str) -> Reply:
        with self._lock:
            self.bodies.append(body)
            self.jobs.append(job)
        return self.answer(service, job)
