# SPDX-License-Identifier: Apache-2.0
"""Runs against a cluster whose every answer may be anything: each ends with a report."""

from __future__ import annotations

import http.client
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
from hypothesis import given
from hypothesis import strategies as st

from coordinator.batch import run_batch
from coordinator.config.credentials import Platform
from coordinator.config.load import load_config
from coordinator.drive.clients import Clients
from coordinator.drive.progress import Progress
from coordinator.drive.submission import Clock, Pace
from coordinator.model.access import ClusterAccess, StorageAccess
from coordinator.model.errors import BatchError
from coordinator.oscar.client import OscarClient
from coordinator.report.text import render_capacity, render_chunks, render_summary
from coordinator.run.store import render_files
from tests.unit.fakes import FakeBucket
from tests.unit.fuzz.cases import (
    FUZZ,
    PASSWORD,
    SECRET_KEY,
    SERVICE_TOKEN,
    TOKEN,
    changed,
    check_texts,
    limited,
)

DATA = Path(__file__).parents[2] / "data"
STATUSES = [json.loads(path.read_text()) for path in sorted(DATA.glob("status_?.json"))]
SERVICE = {
    "name": "target",
    "cpu": "1.0",
    "memory": "1Gi",
    "token": SERVICE_TOKEN,
    "script": "#!/bin/sh\n",
    "input": [],
    "output": [{"storage_provider": "minio.default", "path": "results/out"}],
    "mount": {"storage_provider": "minio.default", "path": "data"},
    "total_cpu": "100",
    "total_memory": "100Gi",
    "owner": "somebody",
    "expose": {"nodePort": 0},
    "environment": {"secrets": {"A": ""}},
}
QUOTA = {
    "user_id": "somebody",
    "resources": {"cpu": {"max": 9000, "used": 10}, "memory": {"max": 2**36, "used": 0}},
}
LOGIN = "<html><title>Log in</title><body>no</body></html>"
ECHOES = [
    "you sent Authorization: {sent}",
    "<Error><Message>{sent} is wrong</Message></Error>",
    '{{"headers": {{"Authorization": "{sent}"}}}}',
    "https://oscar:{sent}@oscar.example.org/login",
    'jobs.batch "x" already exists {sent}',
    'the FDL of the service "{sent}" cannot be read',
]


@dataclass(frozen=True)
class Answer:
    """What the manager says to one kind of request."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    echo: str = ""
    """A text around the credentials that were sent, instead of the body."""

    def build(self, sent: str) -> tuple[bytes, Mapping[str, str]]:
        if not self.echo:
            return self.body, self.headers
        text = self.echo.format(sent=sent)
        return text.encode(), {**self.headers, "Location": text, "X-Echo": text}


class Answers:
    """Answers every request from a table, in place of connections."""

    def __init__(self, table: Mapping[str, Answer]) -> None:
        self._table = table

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], **_: Any
    ) -> urllib3.HTTPResponse:
        # What cannot be sent is refused as the standard library refuses it.
        request = http.client.HTTPConnection("localhost")
        path = url.partition("://")[2].partition("/")[2]
        request.putrequest(method, f"/{path}")
        for name, value in headers.items():
            request.putheader(name, value)
        path = path.removeprefix("base/")
        answer = next(each for kind, each in self._table.items() if path.startswith(kind))
        body, said = answer.build(headers["Authorization"])
        return urllib3.HTTPResponse(
            io.BytesIO(body), said, answer.status, decode_content=False, request_method=method
        )


STATUS_CODES = [200, 200, 201, 204, 301, 307, 400, 401, 403, 404, 413, 429, 500, 502, 503]
HEADERS: list[dict[str, str]] = [
    {},
    {"Content-Type": "application/json; charset=utf-8"},
    {"Content-Type": "text/html; charset=utf-7"},
    {"Content-Type": "text/plain; charset=nonsense"},
    {"Location": "https://user:pass@elsewhere/"},
    {"Retry-After": "-1e9"},
    {"Content-Encoding": "gzip"},
    {"Content-Length": "999999999999"},
]
BODIES = [b"", b"\x00\xff\xfe", b"[" * 20_000, b'{"a":' * 5_000, LOGIN.encode(), b"{}{}", b"null"]


@st.composite
def answers(draw: Callable[..., Any], documents: list[Any], status: int = 200) -> Answer:
    """Mostly the form that is expected with something changed; sometimes anything."""
    document = draw(changed(documents))
    body = json.dumps(document).encode()
    odd = draw(st.integers(0, 9))
    if odd < 6:
        return Answer(status, body, {})
    return Answer(
        draw(st.sampled_from(STATUS_CODES)),
        draw(st.sampled_from([body, *BODIES])),
        draw(st.sampled_from(HEADERS)),
        draw(st.sampled_from(ECHOES)) if odd > 7 else "",
    )


def find_token(service: Answer) -> list[str]:
    """The token of the service, unless its definition has another one or none."""
    return [SERVICE_TOKEN] if f'"token": "{SERVICE_TOKEN}"'.encode() in service.body else []


TABLES = st.fixed_dictionaries(
    {
        "system/services": answers([SERVICE]),
        "system/info": answers([{"version": "4.1.2"}]),
        "system/status": answers(STATUSES),
        "system/quotas": answers([QUOTA]),
        "system/config": answers([{}]),
        "job/": answers([""], status=201),
        "": answers([[]]),
    }
)
ACCESSES = [
    ClusterAccess("https://oscar.example.org", "oscar", PASSWORD),
    ClusterAccess("https://oscar.example.org/base", token=TOKEN),
]


@FUZZ
@given(TABLES, st.sampled_from(ACCESSES), st.booleans())
def test_a_run_ends_with_a_report_whatever_the_cluster_answers(
    table: dict[str, Answer], access: ClusterAccess, dry_run: bool
) -> None:
    raw = {
        "bucket": {"name": "data", "folder_prefix": "in"},
        "service": {"name": "target"},
        "run": {"dry_run": dry_run},
    }
    platform = Platform((StorageAccess("https://minio", "key", SECRET_KEY),), (access,))
    config = load_config(json.dumps(raw).encode(), platform)
    oscar = OscarClient(access, secrets=config.secrets, sleep=lambda _: None)
    oscar._session = Answers(table)  # type: ignore[assignment]
    data = FakeBucket("data", {f"in/{i}.jpg": b"x" * i for i in range(7)})
    data.others = {name: FakeBucket(name) for name in ("results",)}
    clock = Clock(lambda: 0.0, lambda event, _: event.is_set())
    clients = Clients(oscar, data, data, None, clock, Pace(delays_s=(0.0,)))
    progress = Progress(secrets=config.secrets)
    progress.setting = config.describe()
    with limited("the run"):
        try:
            report = run_batch(config, clients, progress)
        except BatchError as error:
            report = progress.make_report(error.ending, error.problems[0], error.problems)
        shown = [render_summary(report)]
        shown += [render_capacity(report.capacity)] if report.capacity else []
        shown += [render_chunks(report.plan.chunks)] if report.plan else []
        files = [content.decode() for content, _ in render_files(report).values()]
    # Of another account's password nobody can know that it is one.
    known = (SECRET_KEY, *access.secrets, *find_token(table["system/services"]))
    check_texts([*report.warnings, *report.problems, report.message], canaries=known)
    check_texts([outcome.detail for outcome in report.outcomes], canaries=known)
    check_texts([*shown, *files], most=10**6, canaries=known)
