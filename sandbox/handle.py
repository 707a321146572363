# SPDX-License-Identifier: Apache-2.0
"""Starts a sandbox for tests, demos and benchmarks, and offers its routes as methods.

It uses the sandbox as any client does, over HTTP and S3, with the addresses of the ready file.
Nothing in the sandbox imports it.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import requests
from minio import Minio

T = TypeVar("T")

CHECKOUT = Path(__file__).resolve().parent.parent
FINAL = ("Succeeded", "Failed")
UP_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox that is up."""

    url: str
    username: str
    password: str = field(repr=False)
    s3_url: str
    access_key: str
    secret_key: str = field(repr=False)
    pid: int

    @classmethod
    def read(cls, ready_file: Path) -> Self:
        found = json.loads(ready_file.read_text("utf-8"))
        oscar, s3 = found["oscar"], found["s3"]
        return cls(
            url=oscar["url"],
            username=oscar["username"],
            password=oscar["password"],
            s3_url=s3["url"],
            access_key=s3["access_key"],
            secret_key=s3["secret_key"],
            pid=found["pid"],
        )

    @property
    def auth(self) -> tuple[str, str]:
        return self.username, self.password

    @property
    def minio(self) -> Minio:
        return Minio(
            urlsplit(self.s3_url).netloc,
            access_key=self.access_key,
            secret_key=self.secret_key,
            secure=False,
            region="us-east-1",
        )

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request with the cluster's basic auth."""
        return requests.request(
            method, self.url + path, auth=self.auth, timeout=options.pop("timeout", 30), **options
        )

    def deploy(self, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Create the service, and return its definition with the token."""
        self.call("POST", "/system/services", json=definition).raise_for_status()
        return self.read_service(str(definition["name"]))

    def read_service(self, name: str) -> dict[str, Any]:
        answer = self.call("GET", f"/system/services/{name}")
        answer.raise_for_status()
        return dict(answer.json())

    def remove(self, name: str) -> None:
        """Delete the service with its jobs and buckets, if it exists."""
        answer = self.call("DELETE", f"/system/services/{name}")
        if answer.status_code != 404:
            answer.raise_for_status()

    def invoke(self, name: str, body: bytes | str, **headers: str) -> requests.Response:
        """POST /job with the service's own token."""
        headers["Authorization"] = f"Bearer {self.read_service(name)['token']}"
        data = body.encode() if isinstance(body, str) else body
        return requests.post(f"{self.url}/job/{name}", data=data, headers=headers, timeout=30)

    def list_jobs(self, name: str) -> dict[str, dict[str, str]]:
        """All jobs of the service, whatever the number of pages."""
        found: dict[str, dict[str, str]] = {}
        page = ""
        while True:
            answer = self.call("GET", f"/system/logs/{name}", params={"page": page})
            answer.raise_for_status()
            document = answer.json()
            found.update(document.get("jobs", document))  # flat before v3.6.4
            if not (page := document.get("next_page", "")):
                return found

    def read_log(self, name: str, job: str) -> str:
        answer = self.call("GET", f"/system/logs/{name}/{job}")
        answer.raise_for_status()
        return answer.content.decode("utf-8", "replace")

    def chaos(self, method: str, path: str, /, **body: Any) -> Any:
        """A request of the sandbox's own API, which is there with `--chaos`."""
        answer = self.call(method, f"/_sandbox/{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    def add_nodes(self, nodes: str) -> list[str]:
        return [node["name"] for node in self.chaos("POST", "nodes", nodes=nodes)]

    def kill_node(self, node: str, unnoticed_s: float = 0.0) -> None:
        """Kill the node's processes now; the job list shows it after ``unnoticed_s``."""
        self.chaos("POST", f"nodes/{node}/kill", unnoticed_s=unnoticed_s)

    def drain_node(self, node: str) -> None:
        self.chaos("POST", f"nodes/{node}/drain")

    def remove_node(self, node: str) -> None:
        self.chaos("DELETE", f"nodes/{node}")

    def slow_node(self, node: str, speed: float) -> None:
        self.chaos("POST", f"nodes/{node}/slow", speed=speed)

    def fail(self, method: str, path: str, /, **fault: Any) -> None:
        """Set a fault for the next request, or the next ``times`` requests; see faults.Fault."""
        self.chaos("POST", "faults", **{"method": method, "path": path, **fault})

    def rotate_token(self, name: str, *, webhook: bool = False) -> None:
        self.chaos("POST", f"services/{name}/rotate", webhook=webhook)

    def suspend(self, name: str) -> None:
        self.chaos("POST", f"services/{name}/suspend")

    def release(self, name: str) -> None:
        self.chaos("POST", f"services/{name}/release")

    def vanish(self, name: str, *jobs: str) -> None:
        """Delete these jobs of the service, or all of them, as when their TTL is over."""
        self.chaos("POST", f"services/{name}/vanish", **({"jobs": jobs} if jobs else {}))

    def evict(self, name: str, *jobs: str) -> None:
        """Evict the pods of these jobs of the service, or of all of them."""
        self.chaos("POST", f"services/{name}/evict", **({"jobs": jobs} if jobs else {}))

    def expire_pages(self) -> None:
        self.chaos("POST", "pages/expire")

    def kill_manager(self, seconds: float) -> None:
        """Kill the manager with its requests; it answers again after ``seconds``."""
        self.chaos("POST", "manager/kill", seconds=seconds)

    def wait_for_manager(self, within_s: float = 10) -> None:
        """Wait until a killed manager answers again."""

        def answers() -> bool | None:
            try:
                return requests.get(f"{self.url}/health", timeout=5).ok or None
            except requests.ConnectionError:
                return None

        wait_until(answers, within_s, lambda: "the manager does not answer")

    def stop_storage(self, seconds: float) -> None:
        """Stop the storage for ``seconds``; returns when it answers again."""
        self.chaos("POST", "storage/gap", seconds=seconds)

    def ignore_conditions(self, *, ignored: bool = True) -> str:
        """Let jobs that start from now on see a storage that ignores `If-None-Match`; its URL."""
        return str(self.chaos("POST", "storage/conditions", ignored=ignored)["url"])

    def advance(self, seconds: float) -> None:
        """Make ended jobs older by ``seconds``, for their TTL."""
        self.chaos("POST", "clock", seconds=seconds)

    def wait_until_ended(
        self, name: str, count: int = 1, within_s: float = 30
    ) -> dict[str, dict[str, str]]:
        """Wait until the service has at least ``count`` jobs and all of them have ended."""

        def all_ended() -> dict[str, dict[str, str]] | None:
            jobs = self.list_jobs(name)
            done = all(job["status"] in FINAL for job in jobs.values())
            return jobs if done and len(jobs) >= count else None

        return wait_until(all_ended, within_s, lambda: f"{name} has {self.list_jobs(name)}")


def wait_until(probe: Callable[[], T | None], within_s: float, otherwise: Callable[[], str]) -> T:
    """Poll until the probe returns a value; else raise TimeoutError with ``otherwise``."""
    deadline = time.monotonic() + within_s
    while True:
        if (found := probe()) is not None:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within_s} s: {otherwise()}")
        time.sleep(0.02)


@contextmanager
def run_sandbox(directory: Path, arguments: Sequence[str] = ()) -> Iterator[Sandbox]:
    """Run a sandbox while the block runs; its state, ready file and log are in ``directory``."""
    ready = directory / "ready.json"
    command = [sys.executable, "-m", __package__, "up", "--die-with-parent", "--port", "0"]
    command += ["--state", str(directory / "state"), "--ready-file", str(ready), *arguments]
    with (directory / "sandbox.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=CHECKOUT, stdout=log, stderr=subprocess.STDOUT)

    def up() -> Sandbox | None:
        if process.poll() is not None:
            raise RuntimeError("the sandbox did not come up:\n" + _read_log_end(directory))
        return Sandbox.read(ready) if ready.exists() else None

    try:
        yield wait_until(
            up, UP_WAIT_S, lambda: "the sandbox is not up:\n" + _read_log_end(directory)
        )
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _read_log_end(directory: Path) -> str:
    return (directory / "sandbox.log").read_text("utf-8", "replace")[-2000:]
