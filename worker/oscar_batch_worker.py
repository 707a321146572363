# SPDX-License-Identifier: Apache-2.0
"""The worker of OSCAR-Batch: runs one command, program or function for every item of a batch.

It takes chunks of items from the run folder in the bucket, fetches each input, stores the outputs,
and leaves one outcome for every item. docs/protocol.md defines every object that it reads and
writes. This is one file without dependencies (Python 3.8 or newer, Linux), made to be copied.

    oscar_batch_worker.py --command 'prog {input} {output_dir}'   a process per item
    oscar_batch_worker.py --stdin 'prog'                          one process, a JSON line per item

or, in a program of your own (its script needs the comment line `# oscar-batch worker 1`):

    import oscar_batch_worker
    for item in oscar_batch_worker.items():
        with item:
            process(item.input, item.output_dir)

Sections: 1 decisions, 2 the service's definition, 3 S3, 4 the run folder, 5 inputs and outputs,
6 processes, 7 the worker, 8 the forms. The decisions are pure; time and storage are passed in.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import http.client
import json
import mimetypes
import os
import random
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import (
    Any,
    BinaryIO,
    Callable,
    Dict,
    Iterable,
    Iterator,
    Mapping,
    NamedTuple,
    Sequence,
    Tuple,
    Union,
)
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

VERSION = "0.2.0"
STARTED = time.monotonic()

Document = Dict[str, Any]
Outcome = Dict[str, Any]
ChunkId = Tuple[int, int]  # lane, number within the lane


class WorkerError(Exception):
    """The worker cannot go on; the message says why and what to do."""


# ---- 1 Decisions: values in, values out -----------------------------------------------------


class Timing(NamedTuple):
    """The times of the protocol, in seconds."""

    beat_s: float = 30.0
    lost_after_s: float = 120.0
    look_gap_s: float = 45.0
    mark_after_s: float = 60.0
    storage_patience_s: float = 600.0
    lease_ttl_s: float = 90.0


class Look(NamedTuple):
    """What a judge saw of a process, and when."""

    at: float  # the judge's own clock
    modified: float  # Last-Modified of the beat, or of the claim where there is no beat
    server_time: float  # Date of the same answer
    ended: bool = False
    signal: int | None = None


class LaneView(NamedTuple):
    """The claims and results of a lane, as listed."""

    claims: dict[int, int]  # chunk → its newest attempt
    results: set[int]


def judge_new_put(
    status: int, *, repeated: bool, stored: Document | None, process: str, attempt: int
) -> bool:
    """Whether the PUT of a *new* object has won.

    | status | repeated | stored names this process and attempt | won |
    |--------|----------|---------------------------------------|-----|
    | 2xx    | any      | any                                   | yes |
    | 412    | no       | any                                   | no  |
    | 412    | yes      | yes                                   | yes |
    | 412    | yes      | no                                    | no  |
    """
    if 200 <= status < 300:
        return True
    named = (stored or {}).get("process"), (stored or {}).get("attempt", attempt)
    return repeated and named == (process, attempt)


def is_gone(first: Look, now: Look, failed_at: float | None, timing: Timing) -> bool:
    """Whether the process of two looks is gone; `failed_at` is the judge's last failed call.

    | ended | same Last-Modified | gap enough | old enough | no failed call | gone |
    |-------|--------------------|------------|------------|----------------|------|
    | yes   | any                | any        | any        | any            | yes  |
    | no    | yes                | yes        | yes        | yes            | yes  |
    | no    | otherwise                                                  | no   |
    """
    if now.ended:
        return True
    return (
        may_prove(first, now, failed_at, timing)
        and now.at - first.at >= timing.look_gap_s
        and now.server_time - now.modified > timing.lost_after_s
    )


def may_prove(first: Look, now: Look, failed_at: float | None, timing: Timing) -> bool:
    """Whether later looks may show, with the first one, that a process is gone.

    If not, a new first look is needed: the process has beaten, or a call failed since.
    """
    clean = failed_at is None or failed_at < first.at - timing.look_gap_s
    return clean and first.modified == now.modified


def choose_own(count: int, claimed: Iterable[int]) -> list[int]:
    """The unclaimed chunks of a lane of `count` chunks, front to back."""
    taken = set(claimed)
    return [chunk for chunk in range(1, count + 1) if chunk not in taken]


def choose_theft(lanes: Sequence[int], views: Mapping[int, LaneView]) -> list[ChunkId]:
    """The unclaimed chunks of the lane that has most of them, from its end."""
    unclaimed = {lane: choose_own(lanes[lane - 1], view.claims) for lane, view in views.items()}
    lane = max(unclaimed, key=lambda each: (len(unclaimed[each]), each))
    return [(lane, chunk) for chunk in reversed(unclaimed[lane])]


def find_open(views: Mapping[int, LaneView]) -> list[tuple[ChunkId, int]]:
    """The chunks that are claimed and have no result, each with its newest attempt; a lane's in
    its order."""
    return [
        ((lane, chunk), attempt)
        for lane, view in views.items()
        for chunk, attempt in sorted(view.claims.items())
        if chunk not in view.results
    ]


def may_watch(mine: int | None, living: Mapping[int, bool]) -> str:
    """What an idle worker does: `watch`, `join` the watchers, or `leave`.

    `living` says of every watcher's number whether its process lives. The two highest count.
    """
    highest = sorted(living, reverse=True)[:2]
    if mine in highest:
        return "watch"
    return "leave" if sum(living[number] for number in highest) >= 2 else "join"


def count_blame(
    marks: Mapping[int, Document], looks: Mapping[str, Look]
) -> dict[int, tuple[int, int, bool]]:
    """Points, deaths and whether one was seen, of each item that was in hand when its process died.

    Only cautious attempts count (from 2 on): a death by a signal is 2 points, a process that only
    vanished 1, one that ended in order 0.
    """
    blame: dict[int, tuple[int, int, bool]] = {}
    for attempt, mark in marks.items():
        line, look = mark.get("item"), looks[str(mark.get("process"))]
        if attempt < 2 or line is None or (look.ended and look.signal is None):
            continue
        points, dead, seen = blame.get(line, (0, 0, False))
        killed = look.signal is not None
        blame[line] = points + (2 if killed else 1), dead + 1, seen or killed
    return blame


def convict(blame: Mapping[int, tuple[int, int, bool]], keys: Mapping[int, str]) -> list[Outcome]:
    """The outcomes of the items that have 4 points: failed, with the reason."""
    found = []
    for line, (points, dead, seen) in blame.items():
        if points >= 4 and line in keys:
            kind = "killed its worker" if seen else "vanished"
            reason = kind if seen else f"its worker vanished {dead} times with it"
            found.append(make_outcome(line, 0.0, dead, Failure(kind, reason), keys[line]))
    return found


class Failure(NamedTuple):
    """Why an item failed."""

    kind: str
    reason: str
    stderr: str = ""


def make_outcome(
    line: int, seconds: float, tries: int, failure: Failure | None = None, key: str = ""
) -> Outcome:
    """One item of a result."""
    outcome: Outcome = {
        "line": line,
        "state": "failed" if failure else "done",
        "seconds": round(seconds, 3),
        "tries": tries,
    }
    if failure:
        reason = " ".join(failure.reason.split())[:500]
        outcome.update(key=key, kind=failure.kind, reason=reason, stderr=failure.stderr)
    return outcome


class Outcomes:
    """The outcomes of a chunk, in 5 bytes for an item that is done."""

    def __init__(self, start: int, end: int) -> None:
        self._start = start
        self._tries = bytearray(end - start + 1)
        self._seconds = array("f", [0.0]) * len(self._tries)
        self._failed: dict[int, Outcome] = {}

    def __contains__(self, line: int) -> bool:
        return self._tries[line - self._start] > 0

    def __iter__(self) -> Iterator[Outcome]:
        for at, (tries, seconds) in enumerate(zip(self._tries, self._seconds)):
            line = self._start + at
            if tries:
                yield self._failed.get(line) or make_outcome(line, seconds, tries)

    @property
    def is_whole(self) -> bool:
        return 0 not in self._tries

    def add(self, outcome: Outcome) -> None:
        """Settles an item that is not settled."""
        at = outcome["line"] - self._start
        if outcome["state"] == "failed":
            self._failed[outcome["line"]] = outcome
        self._seconds[at] = outcome["seconds"]
        self._tries[at] = min(max(outcome["tries"], 1), 255)

    def inherit(self, items: Iterable[Outcome]) -> None:
        """Settles what an earlier attempt has settled, unless one before it has."""
        for outcome in items:
            if outcome["line"] not in self:
                self.add(outcome)

    def copy(self) -> Outcomes:
        """The outcomes now, for a body that is read more than once. Settled ones do not change."""
        found = Outcomes(self._start, self._start - 1)
        found._tries, found._seconds = self._tries[:], self._seconds
        found._failed = dict(self._failed)
        return found


def should_wake(
    lease_age_s: float | None, wake_ages_s: Mapping[int, float], *, over: bool, timing: Timing
) -> int | None:
    """The number of the wake to write now, or None; the ages are those of the newest lease and of
    each wake. A run without any lease has no coordinator to wake."""
    if over or lease_age_s is None or lease_age_s <= timing.lease_ttl_s:
        return None
    newest = max(wake_ages_s, default=0)
    if newest >= 3 or (newest and wake_ages_s[newest] <= timing.lost_after_s):
        return None
    return newest + 1


def shorten_name(name: str) -> str:
    """A file name of at most 255 bytes for the last part of a key, its extension kept."""
    if name in ("", ".", ".."):
        return "item"
    raw = name.encode("utf-8", "surrogateescape")
    if len(raw) <= 255:
        return name
    extension = os.path.splitext(name)[1].encode("utf-8", "surrogateescape")
    extension = extension if len(extension) <= 32 else b""
    return (raw[: 255 - len(extension)].decode("utf-8", "ignore")) + extension.decode("utf-8")


def fill_placeholders(arguments: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """`{input} {output_dir} {key} {name} {stem}` in each argument; other braces stay."""
    pattern = re.compile(r"\{(input|output_dir|key|name|stem)\}")
    return [pattern.sub(lambda found: values[found.group(1)], each) for each in arguments]


# ---- 2 The service's definition: YAML as Go writes it ---------------------------------------


class Row(NamedTuple):
    """A line of the definition."""

    number: int
    indent: int
    text: str

    def refuse(self, problem: str) -> WorkerError:
        return WorkerError(f"function_config.yaml, line {self.number}: {self.text!r} {problem}")


def read_yaml(text: str, wanted: Sequence[str]) -> dict[str, Any]:
    """The wanted sections of a block mapping. Raises WorkerError, which names the line.

    Nothing else is looked at: a service's variables hold whatever their user wrote, and some
    releases of the library that OSCAR writes them with do not quote it rightly.
    """
    rows: deque[Row] = deque()
    keep = False
    for number, raw in enumerate(text.split("\n"), 1):
        if raw[:1] not in ("", " ", "-", "#"):
            keep = raw.partition(":")[0] in wanted
        body = raw.strip(" \t\r")
        if keep and body and not body.startswith("#"):
            rows.append(Row(number, len(raw) - len(raw.lstrip(" ")), body))
    found = _read_node(rows) if rows else {}
    return found if isinstance(found, dict) else {}


def _read_node(rows: deque[Row]) -> Any:
    """The mapping, sequence or scalar that the first row begins; its rows are taken."""
    first = rows[0]
    if first.text == "-" or first.text.startswith("- "):
        found = []
        while rows and rows[0].indent == first.indent and rows[0].text[:2] in ("-", "- "):
            row = rows.popleft()
            rest = row.text[1:].lstrip(" ")
            if rest:
                rows.appendleft(Row(row.number, row.indent + len(row.text) - len(rest), rest))
            deeper = bool(rows) and rows[0].indent > first.indent
            found.append(_read_node(rows) if deeper else None)
        return found
    if not _KEY.match(first.text):
        return _read_scalar(rows.popleft(), first.text)
    mapping: dict[str, Any] = {}
    while rows and rows[0].indent >= first.indent and rows[0].text[:2] not in ("-", "- "):
        row = rows.popleft()
        match = _KEY.match(row.text)
        if match is None or row.indent > first.indent:
            raise row.refuse("is of a form of YAML that this reader does not know")
        rest = row.text[match.end() :]
        below = bool(rows) and (
            rows[0].indent > row.indent
            or (rows[0].indent == row.indent and rows[0].text[:2] in ("-", "- "))
        )
        key = str(_read_scalar(row, match.group(1)))
        mapping[key] = _read_node(rows) if below and not rest else _read_scalar(row, rest)
    return mapping


_KEY = re.compile(
    r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'#[\]{}&*!|>%@`,](?:[^#]|(?<!\s)#)*?):(?:\s+|$)""",
    re.ASCII,
)
_CONSTANTS: dict[str, Any] = {"true": True, "false": False, "[]": (), "{}": {}, "null": None}


def _read_scalar(row: Row, text: str) -> Any:
    """Numbers stay text: an access key may look like one."""
    if text[:1] in ('"', "'"):
        try:
            return json.loads(text) if text[0] == '"' else _unquote(text)
        except ValueError:
            raise row.refuse("is not a string in quotes on one line") from None
    text = text.partition(" #")[0].rstrip(" ")
    if text[:1] in tuple("[{&*!|>%@`") and text not in _CONSTANTS:
        raise row.refuse("is of a form of YAML that this reader does not know")
    return _CONSTANTS.get(text, text or None)


def _unquote(text: str) -> str:
    match = re.fullmatch(r"'((?:[^']|'')*)'", text)
    if match is None:
        raise ValueError(text)
    return match.group(1).replace("''", "'")


class Access(NamedTuple):
    """How to reach an S3 server."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str
    verify: bool = True

    def __repr__(self) -> str:
        return f"Access({self.endpoint})"


class OutputPath(NamedTuple):
    """One `output` of the service."""

    provider: str
    bucket: str
    prefix: str
    prefixes: tuple[str, ...]
    suffixes: tuple[str, ...]

    def accepts(self, name: str) -> bool:
        """Whether OSCAR would store a file of this relative name here."""
        starts = not self.prefixes or name.startswith(self.prefixes)
        return starts and (not self.suffixes or name.endswith(self.suffixes))


class Definition(NamedTuple):
    """What the worker needs of the service's definition."""

    providers: Mapping[str, Access]
    outputs: tuple[OutputPath, ...]
    mount: str  # bucket or bucket/folder, without slashes around; "" without a mount


def read_definition(config: Mapping[str, Any], keys: tuple[str, str] | None) -> Definition:
    """The definition from function_config.yaml; `keys` are those of minio.default."""
    providers = {}
    for kind in ("minio", "s3"):
        for name, raw in ((config.get("storage_providers") or {}).get(kind) or {}).items():
            region = str(raw.get("region") or "us-east-1")
            own = keys if (kind, name) == ("minio", "default") else None
            pair = own or (str(raw.get("access_key")), str(raw.get("secret_key")))
            endpoint = str(raw.get("endpoint") or f"https://s3.{region}.amazonaws.com")
            verify = raw.get("verify") is not False
            providers[f"{kind}.{name}"] = Access(endpoint, region, pair[0], pair[1], verify)
    if "minio.default" not in providers:
        raise WorkerError("function_config.yaml: storage_providers.minio.default is missing")
    outputs = []
    for raw in config.get("output") or []:
        provider = str(raw.get("storage_provider") or "minio.default")
        provider = provider if "." in provider else f"{provider}.default"
        if provider not in providers:
            raise WorkerError(f"output to {provider}: this worker stores to minio and s3 only")
        bucket, _, prefix = str(raw.get("path") or "").strip("/").partition("/")
        filters = [tuple(str(each) for each in raw.get(key) or ()) for key in ("prefix", "suffix")]
        prefix = f"{prefix}/" if prefix else ""
        outputs.append(OutputPath(provider, bucket, prefix, filters[0], filters[1]))
    mount = config.get("mount") or {}
    return Definition(providers, tuple(outputs), str(mount.get("path") or "").strip("/"))


# ---- 3 S3: signature V4 on http.client ------------------------------------------------------

MULTIPART_ABOVE = 64 * 1024 * 1024
PART = 16 * 1024 * 1024


class StorageError(WorkerError):
    """The storage refused a call, or was away for longer than the patience."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Answer(NamedTuple):
    """The last answer to a call."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    repeated: bool  # an earlier request of the same call may have been carried out

    @property
    def document(self) -> Document:
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def modified(self) -> float:
        return _parse_date(self.headers.get("last-modified", ""))

    @property
    def server_time(self) -> float:
        return _parse_date(self.headers.get("date", ""))


def _parse_date(text: str) -> float:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, IndexError):
        return 0.0


Body = Union[bytes, Callable[[], Iterable[bytes]]]  # pieces are made more than once


def read_part(path: str, offset: int, length: int) -> Iterator[bytes]:
    """Bytes of a file, as a request's body."""
    with open(path, "rb") as source:
        source.seek(offset)
        while length:
            piece = source.read(min(length, 262_144))
            if not piece:
                raise OSError(f"{path} became shorter while it was stored")
            length -= len(piece)
            yield piece


def write_listing(document: Document, outcomes: Iterable[Outcome]) -> Iterator[bytes]:
    """A document with the outcomes of a chunk, as a request's body; never in memory as a whole."""
    yield _encode(document)[:-1] + b',"items":['
    left, comma = iter(outcomes), b""
    while True:
        group = [_encode(outcome) for outcome in islice(left, 500)]
        if not group:
            break
        yield comma + b",".join(group)
        comma = b","
    yield b"]}"


class Request(NamedTuple):
    """A request, which may be sent several times."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    read_body: Callable[[], Iterable[bytes]]
    into: BinaryIO | None  # takes the body of a good answer


def sign(
    access: Access, method: str, path: str, query: str, headers: dict[str, str], at: datetime
) -> str:
    """The header Authorization; `headers` are the signed ones, in lower case."""
    day, stamp = at.strftime("%Y%m%d"), headers["x-amz-date"]
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = "\n".join((method, path, query, lines, names, headers["x-amz-content-sha256"]))
    scope = f"{day}/{access.region}/s3/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope, digest))
    key = b"AWS4" + access.secret_key.encode()
    for word in (day, access.region, "s3", "aws4_request", text):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return (
        f"AWS4-HMAC-SHA256 Credential={access.access_key}/{scope},"
        f"SignedHeaders={names},Signature={key.hex()}"
    )


class S3:
    """Calls to one server, each repeated with backoff until the patience ends."""

    def __init__(
        self,
        access: Access,
        patience_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._access, self._patience_s = access, patience_s
        self._clock, self._sleep = clock, sleep
        self._local = threading.local()
        self._ahead_s = 0.0  # of the server's clock
        self.failed_at: float | None = None

    def call(
        self,
        method: str,
        key: str,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: Body = b"",
        into: BinaryIO | None = None,
        accept: Sequence[int] = (),
        patience_s: float | None = None,
    ) -> Answer:
        """Sends a request; `key` is bucket/key. Raises StorageError for every status of 400 and
        more that `accept` does not name."""
        ends = self._clock() + (self._patience_s if patience_s is None else patience_s)
        request = _make_request(method, key, query, headers or {}, body, into)
        delay, repeated = 0.2, False
        while True:
            problem, status = "", 0
            try:
                answer = self._send(request)
                status = answer.status
                if status < 400 or status in accept:
                    return answer._replace(repeated=repeated)
                problem = _describe(answer)
                again = status in _REPEATED or "RequestTimeTooSkewed" in problem
                # 409 is S3's answer to two conditional writes at the same moment.
                if not again and not (status == 409 and "if-none-match" in request.headers):
                    raise StorageError(f"{method} {key}: {problem}", status)
            except (OSError, http.client.HTTPException) as error:
                problem = f"{type(error).__name__}: {error}"
                if "CertVerification" in problem:
                    advice = "put its CA into the image, or set verify: false for the provider"
                    raise StorageError(f"{method} {key}: {problem}; {advice}") from error
                if self._drop_connection() and isinstance(error, _STALE):
                    repeated = True
                    continue
            self.failed_at, repeated = self._clock(), True
            if self._clock() + delay > ends:
                raise StorageError(
                    f"{method} {key}: {problem}; the storage was away for too long", status
                )
            self._sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311
            delay = min(delay * 2, 15.0)

    def _send(self, request: Request) -> Answer:
        method, path, query, headers, read_body, into = request
        at = datetime.fromtimestamp(time.time() + self._ahead_s, timezone.utc)
        signed = {k: v for k, v in headers.items() if k.startswith("x-amz-")}
        signed["host"] = urlsplit(self._access.endpoint).netloc
        signed["x-amz-date"] = at.strftime("%Y%m%dT%H%M%SZ")
        sent = {**headers, **signed}
        sent["authorization"] = sign(self._access, method, path, query, signed, at)
        connection = self._connect()
        connection.request(method, f"{path}?{query}" if query else path, read_body(), sent)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        got = b""
        if into is not None and response.status in (200, 206):
            into.seek(0)
            into.truncate()
            shutil.copyfileobj(response, into, 262_144)
            if into.tell() != int(found.get("content-length", into.tell())):
                raise http.client.IncompleteRead(b"")
        else:
            got = response.read()
        self._local.used = True
        if response.will_close:
            self._drop_connection()
        ahead = _parse_date(found.get("date", "")) - time.time()
        self._ahead_s = ahead if abs(ahead) > 60 else 0.0
        return Answer(response.status, found, got, False)

    def _connect(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if found is None:
            parts = urlsplit(self._access.endpoint)
            host, port = parts.hostname or "", parts.port
            if parts.scheme == "https":
                import ssl  # noqa: PLC0415 - 5 MiB that a plain server does not need

                context = ssl.create_default_context()
                if not self._access.verify:
                    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                found = http.client.HTTPSConnection(host, port, timeout=60, context=context)
            else:
                found = http.client.HTTPConnection(host, port, timeout=60)
            self._local.connection, self._local.used = found, False
        return found

    def _drop_connection(self) -> bool:
        """Closes this thread's connection; whether it had been used before."""
        found, used = getattr(self._local, "connection", None), getattr(self._local, "used", False)
        if found is not None:
            found.close()
        self._local.connection = None
        return bool(used)

    def list(self, bucket: str, prefix: str) -> Iterator[tuple[str, float]]:
        """Every key below the prefix, with its Last-Modified."""
        query = [("list-type", "2"), ("prefix", prefix)]
        more: list[tuple[str, str]] = []
        while True:
            page = ElementTree.fromstring(self.call("GET", bucket, query + more).body)  # noqa: S314
            space = page.tag[: page.tag.index("}") + 1] if page.tag.startswith("{") else ""
            for each in page.iter(f"{space}Contents"):
                stamp = each.findtext(f"{space}LastModified") or ""
                at = datetime.strptime(stamp[:19] + "+0000", "%Y-%m-%dT%H:%M:%S%z")
                yield each.findtext(f"{space}Key") or "", at.timestamp()
            token = page.findtext(f"{space}NextContinuationToken")
            if page.findtext(f"{space}IsTruncated") != "true" or not token:
                return
            more = [("continuation-token", token)]

    def upload(self, path: str, key: str, headers: Mapping[str, str]) -> None:
        """Stores a file, in parts above 64 MiB; a failed multipart upload is aborted."""
        size = os.stat(path).st_size
        if size <= MULTIPART_ABOVE:
            self.call("PUT", key, headers=headers, body=partial(read_part, path, 0, size))
            return
        begun = self.call("POST", key, [("uploads", "")], headers)
        found = re.search(rb"<UploadId>([^<]+)</UploadId>", begun.body)
        if found is None:
            raise StorageError(f"POST {key}?uploads: the answer has no UploadId")
        upload = ("uploadId", found.group(1).decode())
        try:
            step, rows = max(PART, -(-size // 9_999)), []
            for number, offset in enumerate(range(0, size, step), 1):
                part = partial(read_part, path, offset, min(step, size - offset))
                query = [("partNumber", str(number)), upload]
                etag = self.call("PUT", key, query, body=part).headers.get("etag", "")
                rows.append(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
            body = f"<CompleteMultipartUpload>{''.join(rows)}</CompleteMultipartUpload>".encode()
            done = self.call("POST", key, [upload], body=body, accept=(404,))
            # 404 after a repeat: the first request, whose answer was lost, has completed it.
            if b"<Error>" in done.body and not (done.status == 404 and done.repeated):
                raise StorageError(f"POST {key}: {_describe(done)}", done.status)
        except BaseException:
            self._abort(key, upload)
            raise

    def _abort(self, key: str, upload: tuple[str, str]) -> None:
        try:
            self.call("DELETE", key, [upload], accept=(404,), patience_s=10.0)
        except StorageError:
            log(f"the parts of {key} could not be removed")


def _make_request(
    method: str,
    key: str,
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    body: Body,
    into: BinaryIO | None,
) -> Request:
    read_body = (lambda: (body,)) if isinstance(body, bytes) else body
    digest, length = hashlib.sha256(), 0
    for piece in read_body():
        digest.update(piece)
        length += len(piece)
    sizes = {"content-length": str(length), "x-amz-content-sha256": digest.hexdigest()}
    text = "&".join(f"{quote(k, safe=_SAFE)}={quote(v, safe=_SAFE)}" for k, v in sorted(query))
    path = "/" + quote(key, safe="/" + _SAFE)
    return Request(method, path, text, {**headers, **sizes}, read_body, into)


_SAFE = "-_.~"
_REPEATED = frozenset((408, 425, 429, 500, 502, 503, 504))

# What a server that closed an idle connection looks like; the next request gets a new one.
_STALE: tuple[type[Exception], ...] = (
    http.client.RemoteDisconnected,
    BrokenPipeError,
    ConnectionResetError,
    http.client.CannotSendRequest,
)


def _describe(answer: Answer) -> str:
    code = re.search(rb"<Code>([^<]*)</Code>", answer.body)
    message = re.search(rb"<Message>([^<]*)</Message>", answer.body)
    words = [each.group(1).decode("utf-8", "replace") for each in (code, message) if each]
    return " ".join([str(answer.status), *words])[:300]


def log(message: str) -> None:
    """One line for the log of the job."""
    print(f"oscar-batch worker: {message}", file=sys.stderr, flush=True)


# ---- 4 The run folder -----------------------------------------------------------------------


class Invocation(NamedTuple):
    """The body of POST /job."""

    run: str
    worker: str
    round: int
    lane: int
    state: str
    data: str
    index_key: str
    header_bytes: int
    row_bytes: int
    exclusive: bool
    item_timeout_s: float
    proof: Mapping[str, str] | None
    wake: str | None
    timing: Timing


def read_invocation(text: str) -> Invocation:
    """The invocation from its JSON; an unknown schema is refused by name."""
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise WorkerError(f"the invocation is not JSON: {error}") from error
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if schema != "oscar-batch/worker/1":
        raise WorkerError(
            f"the invocation has the schema {schema!r}, this worker knows oscar-batch/worker/1: "
            "invoke the service through `oscar-batch run`, or write its script again with `kit`"
        )
    known = {k: float(v) for k, v in raw.get("timing", {}).items() if k in Timing._fields}
    return Invocation(
        str(raw["run"]),
        str(raw["worker"]),
        int(raw["round"]),
        int(raw["lane"]),
        str(raw["state"]).rstrip("/") + "/",
        str(raw["data"]),
        str(raw["index"]),
        int(raw["table"]["header_bytes"]),
        int(raw["table"]["row_bytes"]),
        bool(raw.get("exclusive", True)),
        float(raw.get("item_timeout_s") or 86_400),
        raw.get("proof"),
        raw.get("wake"),
        Timing(**known),
    )


class Chunk(NamedTuple):
    """A row of the chunk table."""

    lane: int
    chunk: int
    start: int
    end: int
    offset: int
    length: int


class RunFolder:
    """The objects of a run; the names are relative to its folder."""

    def __init__(self, s3: S3, state: str, *, exclusive: bool = True) -> None:
        self.s3, self._exclusive = s3, exclusive
        self._bucket, _, self._prefix = state.partition("/")

    def _key(self, name: str) -> str:
        return f"{self._bucket}/{self._prefix}{name}"

    def read(self, name: str) -> Answer | None:
        answer = self.s3.call("GET", self._key(name), accept=(404,))
        return None if answer.status == 404 else answer

    def exists(self, name: str) -> bool:
        return self.age(name) is not None

    def write(self, name: str, document: Document, items: Outcomes | None = None) -> None:
        self.s3.call("PUT", self._key(name), headers=_JSON, body=_make_body(document, items))

    def write_new(self, name: str, document: Document, items: Outcomes | None = None) -> bool:
        """Whether the object is this process's; the document names process and attempt.

        Where the server ignores conditions it is a plain object.
        """
        headers, process = {**_JSON, "if-none-match": "*"}, str(document.get("process"))
        if not self._exclusive:
            headers.pop("if-none-match")
        body = _make_body(document, items)
        answer = self.s3.call("PUT", self._key(name), headers=headers, body=body, accept=(412,))
        stored = self.read(name) if answer.status == 412 and answer.repeated else None
        return judge_new_put(
            answer.status,
            repeated=answer.repeated,
            stored=stored.document if stored else None,
            process=process,
            attempt=int(document.get("attempt", 0)),
        )

    def list(self, prefix: str) -> dict[str, float]:
        found = self.s3.list(self._bucket, self._prefix + prefix)
        return {key[len(self._prefix) :]: modified for key, modified in found}

    def age(self, name: str) -> float | None:
        """Seconds since an object was written, by the storage's clock; None without it."""
        answer = self.s3.call("HEAD", self._key(name), accept=(404,))
        return None if answer.status == 404 else answer.server_time - answer.modified


_JSON = {"content-type": "application/json"}


def _encode(document: Document) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _make_body(document: Document, items: Outcomes | None) -> Body:
    return _encode(document) if items is None else partial(write_listing, document, items)


class Table:
    """The chunk table of a round, read row by row."""

    def __init__(self, s3: S3, invocation: Invocation) -> None:
        self._s3, self._invocation = s3, invocation
        self._key = f"{invocation.state}rounds/{invocation.round:03d}/chunks.jsonl"
        header = self._read(0, invocation.header_bytes)[0]
        if header.get("schema") != "oscar-batch/chunks/1":
            raise WorkerError(f"{self._key} has the schema {header.get('schema')!r}")
        self.lanes: list[int] = [int(count) for count in header["lanes"]]
        self._rows: dict[ChunkId, Chunk] = {}

    def _read(self, offset: int, length: int) -> list[Document]:
        text = read_range(self._s3, self._key, offset, length)
        return [json.loads(line) for line in text.decode().splitlines() if line.strip()]

    def chunk(self, lane: int, number: int) -> Chunk:
        """A row; a lane's rows are read a hundred at a time."""
        if (lane, number) not in self._rows:
            row, size = sum(self.lanes[: lane - 1]) + number - 1, self._invocation.row_bytes
            count = (
                min(100, self.lanes[lane - 1] - number + 1) if lane == self._invocation.lane else 1
            )
            self._rows.clear()
            for raw in self._read(self._invocation.header_bytes + row * size, count * size):
                found = Chunk(*(int(raw[name]) for name in Chunk._fields))
                self._rows[found.lane, found.chunk] = found
        return self._rows[lane, number]


def read_range(s3: S3, key: str, offset: int, length: int) -> bytes:
    """Bytes of an object."""
    if not length:
        return b""
    headers = {"range": f"bytes={offset}-{offset + length - 1}"}
    answer = s3.call("GET", key, headers=headers, accept=(404,))
    if answer.status == 404:
        raise StorageError(f"{key} is not there: has the run been cleaned?", 404)
    body = answer.body if answer.status == 206 else answer.body[offset : offset + length]
    if len(body) != length:
        raise StorageError(f"{key}: {len(body)} bytes from byte {offset}, {length} are due")
    return body


def read_lines(s3: S3, key: str, offset: int, length: int) -> Iterator[bytes]:
    """The lines in these bytes of an object, 256 KiB in memory at a time."""
    rest = b""
    for at in range(offset, offset + length, 262_144):
        piece = read_range(s3, key, at, min(262_144, offset + length - at))
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    if rest:
        yield rest


# ---- 5 Inputs and outputs -------------------------------------------------------------------


class Folders:
    """Folders for items, used again under new names: on some disks removing one takes 2 ms."""

    def __init__(self) -> None:
        self._spare: deque[str] = deque()

    def take(self, path: str) -> None:
        """Makes an empty folder."""
        try:
            os.rename(self._spare.pop(), path)
        except (IndexError, OSError):
            os.mkdir(path)

    def drop(self, path: str) -> None:
        """Removes a folder, or keeps it for another item if it is empty."""
        try:
            if os.path.islink(path):
                os.unlink(path)
            os.chmod(path, 0o700)
            if not os.listdir(path):
                self._spare.append(path)
                return
        except OSError:
            pass
        shutil.rmtree(path, ignore_errors=True)


class Item:
    """One item: its input file, and the folder that takes its outputs.

    In the imported form it is a context manager: an exception in its block fails this item only.
    """

    worker: Worker  # in the imported form

    def __init__(self, line: int, key: str, base: str) -> None:
        self.line, self.key = line, key
        self.name = shorten_name(key.rsplit("/", 1)[-1])
        self.stem = os.path.splitext(self.name)[0]
        self.input_dir, self.output_dir = f"{base}.in", f"{base}.out"
        self.input = os.path.join(self.input_dir, self.name)
        self.problem: Failure | None = None
        self.fetching: Future[None] | None = None
        self.began = 0.0

    @property
    def values(self) -> dict[str, str]:
        """What the placeholders stand for."""
        names = ("input", "output_dir", "key", "name", "stem")
        return {name: getattr(self, name) for name in names}

    def __enter__(self) -> Item:
        self.worker.begin(self)
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        failure = None
        if kind is not None:
            if not issubclass(kind, Exception):
                return False
            import traceback  # noqa: PLC0415

            text = "".join(traceback.format_exception(kind, error, trace))
            failure = Failure("exception", f"{kind.__name__}: {error}", text[-2048:])
        self.worker.complete(self, failure)
        return True


class Files:
    """Where inputs come from and outputs go to."""

    def __init__(
        self, stores: Mapping[str, S3], definition: Definition, invocation: Invocation, root: str
    ) -> None:
        self._stores, self._definition, self._root = stores, definition, root
        self._bucket, _, self._prefix = invocation.data.partition("/")
        self._proof = invocation.proof
        self._mounted = False
        self.folders = Folders()

    def await_mount(self, wait_s: float, sleep: Callable[[float], None] = time.sleep) -> bool:
        """Whether the data folder is mounted; OSCAR may start the job before the mount is up."""
        mount = self._definition.mount
        covers = f"{self._bucket}/{self._prefix}".startswith(f"{mount}/") or mount == self._bucket
        if not mount or not covers:
            return False
        while True:
            if f"/mnt/{mount}" in _read_mounts(f"{self._root}/proc/mounts"):
                self._mounted = True
                return True
            if wait_s <= 0:
                log(f"/mnt/{mount} did not appear: inputs are fetched through S3")
                return False
            sleep(min(0.2, wait_s))
            wait_s -= 0.2

    def find_mounted(self, item: Item) -> bool:
        """Whether the mount shows the item's file; its input is then there, under its own name."""
        covered = f"{self._bucket}/{item.key}".startswith(f"{self._definition.mount}/")
        if not self._mounted or not covered or {"", ".", ".."} & {*item.key.split("/")}:
            return False
        if _MARK in item.key:  # rclone cannot open it
            return False
        names = [item.key.translate(_NAMES_IN_MOUNT)]
        if not any(symbol in item.key for symbol in _SYMBOLS.values()):
            names.append(item.key)  # a mount that shows keys as they are; else it is another item's
        for spelled in names:
            path = f"{self._root}/mnt/{self._bucket}/{spelled}"
            if os.path.isfile(path):
                if os.path.basename(path) == item.name:
                    item.input = path
                else:
                    self.folders.take(item.input_dir)
                    os.symlink(path, item.input)
                return True
        return False

    def fetch(self, item: Item) -> None:
        """Downloads the item's input; what fails is the item's problem."""
        item.problem = None
        try:
            if not os.path.isdir(item.input_dir):
                self.folders.take(item.input_dir)
            with open(item.input, "wb") as target:
                store = self._stores["minio.default"]
                store.call("GET", f"{self._bucket}/{item.key}", into=target)
        except StorageError as error:
            if not error.status:
                raise
            kind = "missing" if error.status == 404 else "input"
            item.problem = Failure(kind, str(error))
        except (OSError, ValueError) as error:
            item.problem = Failure("input", f"{item.key}: {error}")

    def clear(self, item: Item) -> None:
        """Removes the item's local files."""
        if item.input.startswith(item.input_dir):
            with suppress(OSError):
                os.unlink(item.input)
            self.folders.drop(item.input_dir)
        self.folders.drop(item.output_dir)

    def store(self, item: Item) -> Failure | None:
        """Stores what lies in the item's output folder; the output that proves it comes last."""
        base = item.key[len(self._prefix) :] if item.key.startswith(self._prefix) else item.key
        folder = base[: base.rfind("/") + 1]
        mark = hashlib.sha256(item.key.encode("utf-8", "surrogateescape")).hexdigest()
        try:
            for name in self._order(item, _list_files(item.output_dir)):
                name.encode("utf-8")
                for output in self._definition.outputs:
                    if output.accepts(name):
                        key = f"{output.bucket}/{output.prefix}{folder}{name}"
                        path = os.path.join(item.output_dir, name)
                        self._store_file(output.provider, path, key, mark)
        except UnicodeEncodeError:
            return Failure("upload", f"the name of an output is not UTF-8: {os.fsencode(name)!r}")
        except StorageError as error:
            if not error.status:
                raise
            return Failure("upload", str(error))
        except (OSError, ValueError) as error:
            return Failure("upload", f"{name!r}: {error}")
        return None

    def _store_file(self, provider: str, path: str, key: str, mark: str) -> None:
        store = self._stores[provider]
        there = store.call("HEAD", key, accept=(404,)).headers.get("x-amz-meta-item", mark)
        if there != mark:
            raise StorageError(f"{key} is already an output of another item", 409)
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        store.upload(path, key, {"content-type": kind, "x-amz-meta-item": mark})

    def _order(self, item: Item, names: list[str]) -> list[str]:
        if not self._proof:
            return names
        strip, name = str(self._proof.get("strip") or ""), item.key.rsplit("/", 1)[-1]
        base = name[: -len(strip)] if strip and name.endswith(strip) else name
        last = base + str(self._proof.get("suffix") or "")
        return sorted(names, key=lambda each: each == last)


# rclone shows a control character as its symbol (U+2400 and its code, DEL as U+2421), and a symbol
# that is itself in the key behind a mark.
_MARK = "\u201b"
_SYMBOLS = {**{chr(code): chr(0x2400 + code) for code in range(1, 32)}, "\x7f": "\u2421"}
_NAMES_IN_MOUNT = str.maketrans({**_SYMBOLS, **{each: _MARK + each for each in _SYMBOLS.values()}})


def _read_mounts(path: str) -> list[str]:
    try:
        lines = Path(path).read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    fields = (line.split(" ") for line in lines)
    return [each[1].replace("\\040", " ") for each in fields if len(each) > 1]


def _list_files(folder: str) -> list[str]:
    """Every regular file below a folder, as a relative name."""
    found = []
    for directory, _, names in os.walk(folder):
        paths = (os.path.join(directory, name) for name in names)
        found += [os.path.relpath(path, folder) for path in paths if os.path.isfile(path)]
    return sorted(found)


# ---- 6 Processes ----------------------------------------------------------------------------


class Memory:
    """The container's memory, from cgroup v2 or v1; `limit` is 0 where it cannot be read."""

    def __init__(self, root: str) -> None:
        two, one = Path(f"{root}/sys/fs/cgroup"), Path(f"{root}/sys/fs/cgroup/memory")
        self._files = (two / "memory.current", two / "memory.stat")
        self.limit = _read_number(two / "memory.max")
        if not self.limit:
            self._files = (one / "memory.usage_in_bytes", one / "memory.stat")
            self.limit = _read_number(one / "memory.limit_in_bytes")
        if self.limit >= 1 << 60:  # v1 has no word for "no limit"
            self.limit = 0

    def is_short(self) -> bool:
        """Whether 95 % of the limit are used; what the kernel can drop does not count."""
        if not self.limit:
            return False
        try:
            rows = (line.split() for line in self._files[1].read_text().splitlines())
            stat = {row[0]: int(row[1]) for row in rows if len(row) == 2}
        except (OSError, ValueError):
            stat = {}
        cached = stat.get("total_cache", stat.get("file", 0)) - stat.get(
            "total_shmem", stat.get("shmem", 0)
        )
        return _read_number(self._files[0]) - max(cached, 0) >= 0.95 * self.limit


def _read_number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _measure_group(group: int) -> int:
    """Resident pages of a process group's session."""
    pages = 0
    for each in os.listdir("/proc"):
        if each.isdigit():
            try:
                fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            pages += int(fields[21]) if int(fields[3]) == group else 0
    return pages


def kill_group(group: int) -> None:
    """Ends every process of a group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


class Child:
    """A process in a session of its own; its pipes are read without threads."""

    def __init__(self, arguments: Sequence[str], talks: bool) -> None:
        pipe = subprocess.PIPE if talks else subprocess.DEVNULL
        self.process = subprocess.Popen(
            arguments, stdin=pipe, stdout=pipe, stderr=subprocess.PIPE, start_new_session=True
        )
        streams = (self.process.stderr, self.process.stdout)
        self._open = {stream.fileno(): stream for stream in streams if stream is not None}
        self._stdout = self.process.stdout.fileno() if self.process.stdout else -1
        self.tail, self.answers = b"", b""
        self.checked = time.monotonic()  # when its use of memory was read last

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def speaks(self) -> bool:
        return self._stdout in self._open

    def pump(self, wait_s: float) -> bool:
        """Reads what the process has written; whether there was anything."""
        if not self._open:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(wait_s)
            return False
        ready = select.select(list(self._open), [], [], wait_s)[0]
        for each in ready:
            content = os.read(each, 65_536)
            if not content:
                self._open.pop(each).close()
            elif each == self._stdout:
                self.answers += content
            else:
                self.tail = (self.tail + content)[-2048:]
        return bool(ready)

    def finish(self) -> int:
        """Ends what is left of the process and its children, and returns its exit code."""
        for _ in range(64):
            if not self._open or not self.pump(0):
                break
        kill_group(self.pid)
        code = self.process.wait()
        for stream in (*self._open.values(), self.process.stdin):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        self._open.clear()
        return code

    @property
    def stderr(self) -> str:
        return self.tail.decode("utf-8", "replace")

    def describe_end(self) -> Failure:
        """The failure of a process that has ended."""
        code = self.finish()
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = str(-code)
            return Failure("signal", f"ended by signal {name}", self.stderr)
        return Failure("exit", f"exit code {code}", self.stderr)


class Interrupted(Exception):
    """The worker must end before the item in hand is settled."""


class Supervision:
    """What ends a running item: time, memory, or the end of the worker."""

    def __init__(self, timeout_s: float, memory: Memory) -> None:
        self._timeout_s, self._memory = timeout_s, memory
        self._running: set[int] = set()
        self._lock = threading.Lock()
        self._note: int | None = None  # a file that names the groups that run
        self.kill_at: float | None = None  # when the worker ends, whatever runs

    def add(self, child: Child) -> None:
        with self._lock:
            self._running.add(child.pid)
            self._write_note()

    def remove(self, child: Child) -> None:
        with self._lock:
            self._running.discard(child.pid)
            self._write_note()

    def note_in(self, path: Path) -> None:
        """From now on a file names what runs, for the process that follows if this one dies."""
        self._note = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def _write_note(self) -> None:
        if self._note is not None:
            content = "".join(f"{pid}\n" for pid in self._running).encode()
            with suppress(OSError):
                os.pwrite(self._note, content, 0)
                os.ftruncate(self._note, len(content))

    def check(self, child: Child, began: float) -> Failure | None:
        """Why the child must end now, or None. Raises Interrupted."""
        now = time.monotonic()
        if self.kill_at is not None and now >= self.kill_at:
            raise Interrupted
        if now - began > self._timeout_s:
            return Failure("time-out", f"took longer than {self._timeout_s:g} s", child.stderr)
        if now - child.checked < 0.1:
            return None
        child.checked = now
        if not self._memory.is_short():
            return None
        with self._lock:
            largest = max(self._running, key=_measure_group, default=child.pid)
        if largest != child.pid:
            return None
        limit = self._memory.limit // 1024**2
        return Failure(
            "signal", f"ended at 95 % of the container's memory of {limit} MiB", child.stderr
        )


class Runner:
    """Runs items, one at a time."""

    def __init__(self, command: str, supervision: Supervision) -> None:
        self._arguments, self._supervision = shlex.split(command), supervision

    def start(self) -> None:
        """Prepares for the first item."""

    def close(self) -> None:
        """Ends what runs between items."""

    def run(self, item: Item) -> Failure | None:
        """Why the item failed, or None. Raises Interrupted."""
        try:
            child = self._take_child(item)
        except (OSError, ValueError) as error:
            return Failure("exit", f"{self._arguments[0]} cannot be started: {error}")
        return self._run(child, item)

    def _begin(self, arguments: Sequence[str], *, talks: bool) -> Child:
        child = Child(arguments, talks)
        self._supervision.add(child)
        return child

    def _end(self, child: Child) -> None:
        child.finish()
        self._supervision.remove(child)

    def _take_child(self, item: Item) -> Child:
        raise NotImplementedError

    def _run(self, child: Child, item: Item) -> Failure | None:
        raise NotImplementedError


class CommandRunner(Runner):
    """Starts a process for every item."""

    def _take_child(self, item: Item) -> Child:
        return self._begin(fill_placeholders(self._arguments, item.values), talks=False)

    def _run(self, child: Child, item: Item) -> Failure | None:
        began = time.monotonic()
        try:
            while child.process.poll() is None:
                child.pump(0.05)
                failure = self._supervision.check(child, began)
                if failure is not None:
                    return failure
            ending = child.describe_end()
            return None if child.process.returncode == 0 else ending
        finally:
            self._end(child)


class StdinRunner(Runner):
    """Keeps one process that answers a JSON line for every item."""

    _child: Child | None = None

    def start(self) -> None:
        """Starts the process, so that it loads its model while the worker reads its table."""
        with suppress(OSError):  # which the first item will tell
            self._child = self._begin(self._arguments, talks=True)

    def close(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            self._end(child)

    def _take_child(self, item: Item) -> Child:
        self._child = self._child or self._begin(self._arguments, talks=True)
        return self._child

    def _run(self, child: Child, item: Item) -> Failure | None:
        done = False
        try:
            failure, done = self._ask(child, item)
            return failure
        finally:
            if not done:
                self.close()

    def _ask(self, child: Child, item: Item) -> tuple[Failure | None, bool]:
        """The item's failure, and whether the process can take the next item."""
        while child.speaks and child.pump(0):
            continue
        child.answers = child.tail = b""
        request = {name: item.values[name] for name in ("input", "output_dir", "key")}
        began = time.monotonic()
        try:
            assert child.process.stdin is not None  # noqa: S101
            child.process.stdin.write(json.dumps(request).encode() + b"\n")
            child.process.stdin.flush()
        except OSError:
            return child.describe_end(), False
        while True:
            failure = self._supervision.check(child, began)
            if failure is not None:
                return failure, False
            child.pump(0.05)
            while b"\n" in child.answers:
                line, child.answers = child.answers.split(b"\n", 1)
                answer = _parse_answer(line)
                if answer is not None:
                    error = answer.get("error")
                    return (Failure("exception", str(error), child.stderr) if error else None), True
            if len(child.answers) > 1024**2:
                return Failure(
                    "exception", "answered a line of more than 1 MiB", child.stderr
                ), False
            if not child.speaks:
                return child.describe_end(), False


def _parse_answer(line: bytes) -> Document | None:
    """A line that answers an item; other lines are what a library prints."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and ("ok" in found or "error" in found) else None


# ---- 7 The worker ---------------------------------------------------------------------------


def name_chunk(chunk_id: ChunkId, number: int | None) -> str:
    """A chunk as keys have it; with the number of an attempt."""
    lane, chunk = chunk_id
    return f"{lane:05d}/{chunk:06d}" + ("" if number is None else f".{number:03d}")


class Attempt:
    """One attempt at a chunk: what is settled, and what is in hand."""

    def __init__(self, chunk: Chunk, number: int, since: str, began: float) -> None:
        self.chunk, self.number, self.since, self.began = chunk, number, since, began
        self.cautious = number > 1
        self.outcomes = Outcomes(chunk.start, chunk.end)
        self.tries: dict[int, int] = {}
        self.in_hand: int | None = None

    @property
    def chunk_id(self) -> ChunkId:
        return self.chunk.lane, self.chunk.chunk

    def list_unsettled(self, index: Iterable[bytes]) -> Iterator[tuple[int, str]]:
        """Line and key of the items that have no outcome yet; `index` is the chunk's part of it."""
        for line, raw in enumerate(index, self.chunk.start):
            if line not in self.outcomes:
                yield line, raw.decode("utf-8", "replace")


class Judge:
    """Reads the beats of other processes and says which are gone."""

    def __init__(self, folder: RunFolder, timing: Timing, clock: Callable[[], float]) -> None:
        self._folder, self._timing, self._clock = folder, timing, clock
        self._first: dict[str, Look] = {}

    def look(self, process: str, claim: str) -> Look:
        """A look at a process now; `claim` is the object that counts where there is no beat."""
        beat = self._folder.read(f"beats/{process}.json")
        found = beat or self._folder.read(claim)
        if found is None:
            return Look(self._clock(), 0.0, 0.0)
        document = beat.document if beat else {}
        ended, number = document.get("state") == "ended", document.get("signal")
        return Look(self._clock(), found.modified, found.server_time, ended, number)

    def is_gone(self, process: str, claim: str) -> bool:
        """Whether the process has ended, or shows no life."""
        now = self.look(process, claim)
        first, failed_at = self._first.get(process), self._folder.s3.failed_at
        if first is None or not may_prove(first, now, failed_at, self._timing):
            first = self._first[process] = now
        return is_gone(first, now, failed_at, self._timing)

    def is_alive(self, process: str, claim: str) -> bool:
        """For watchers, of whom one too many does no harm: one look is enough."""
        now = self.look(process, claim)
        limit = min(2 * self._timing.beat_s, self._timing.lost_after_s)
        return not now.ended and now.server_time - now.modified <= limit


class Worker:
    """Takes chunks, settles their items, and says so in the run folder."""

    def __init__(
        self,
        invocation: Invocation,
        folder: RunFolder,
        files: Files,
        home: Path,
        *,
        jobs: int = 1,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        dice: random.Random | None = None,
    ) -> None:
        self._dice = dice or random.Random()  # noqa: S311 - chooses lanes, no secrets
        self.invocation, self.folder, self.files, self.home = invocation, folder, files, home
        self.timing, self.jobs, self.clock, self._sleep = invocation.timing, jobs, clock, sleep
        self.process = f"{invocation.worker}-{os.urandom(4).hex()}"
        self.ending: str | None = None  # why no new item starts
        self.judge = Judge(folder, self.timing, clock)
        self._round = f"{invocation.round:03d}"
        self._attempt: Attempt | None = None
        self._state, self._since = "starting", now_text()
        self._why: str | None = None
        self._counts = {"chunks": 0, "done": 0, "failed": 0}
        self._busy_s = 0.0
        self._startup_s: float | None = None
        self._hands: dict[int, Item] = {}
        self._lock, self._beat_lock = threading.RLock(), threading.Lock()
        self._watcher: int | None = None
        self._work = Path(tempfile.mkdtemp(prefix="work-", dir=str(home)))
        self._pool = ThreadPoolExecutor(2)
        self._over = threading.Event()

    # -- its life

    def start(self) -> None:
        """Takes over from a dead process of the same shell, and shows that this one lives."""
        self._bury_predecessor()
        self._note_process()
        self.write_beat()
        for run in (self._beat_on, self._watch_items):
            threading.Thread(target=run, daemon=True).start()

    def _bury_predecessor(self) -> None:
        note, number = self.home / "process", os.environ.pop("OSCAR_BATCH_SIGNAL", "")
        if not number or not note.exists():
            return
        process, group = note.read_text().split()
        groups = self.home / "groups"
        for each in [group, *(groups.read_text().split() if groups.exists() else [])]:
            if int(each) != os.getpgrp():
                kill_group(int(each))
        for folder in self.home.glob("work-*"):
            if folder != self._work:
                shutil.rmtree(folder, ignore_errors=True)
        beat = self.folder.read(f"beats/{process}.json")
        document = beat.document if beat else self._make_beat()
        if document.get("state") != "ended":
            document.update(
                process=process, state="ended", why=f"signal {number}", signal=int(number)
            )
            self.folder.write(f"beats/{process}.json", document)

    def _note_process(self) -> None:
        try:
            (self.home / "process").write_text(f"{self.process} {os.getpgrp()}\n")
        except OSError:
            log("the process cannot be noted: no space left?")

    def end(self, why: str) -> None:
        """Wakes a coordinator if none lives, and shows that this process has ended."""
        self._over.set()
        self._state, self._why = "ended", why
        try:
            self._wake()
        finally:
            self.write_beat()
            self._pool.shutdown(wait=False)
            shutil.rmtree(self._work, ignore_errors=True)
        log(f"ended: {why}; {self._counts['done']} done, {self._counts['failed']} failed")

    def _wake(self) -> None:
        wake = self.invocation.wake
        if not wake or self._why == "stopped":
            return
        leases = self.folder.list("lease/")
        age = self.folder.age(max(leases)) if leases else None
        wakes = {name: self.folder.age(name) or 0.0 for name in self.folder.list("wakes/")}
        ages = {int(name.rpartition("/")[2]): seconds for name, seconds in wakes.items()}
        over = self.folder.exists("end.json")
        number = should_wake(age, ages, over=over, timing=self.timing)
        if number is None or not self.folder.write_new(f"wakes/{number}", self._sign()):
            return
        bucket, _, prefix = self.invocation.state.rstrip("/").partition("/")
        prefix = prefix[: len(prefix) - len(self.invocation.run)]
        config = {"state": {"bucket": bucket, "prefix": prefix}, "run": {"id": self.invocation.run}}
        self.folder.s3.call("PUT", wake, headers=_JSON, body=_encode(config))
        log(f"no coordinator lives: woke one with {wake}")

    def _sign(self) -> Document:
        return {"process": self.process, "since": now_text()}

    def _make_beat(self) -> Document:
        with self._lock:
            attempt, settled = self._attempt, self._counts["done"] + self._counts["failed"]
            hand = next(iter(self._hands.values()), None)
            return {
                "schema": "oscar-batch/beat/1",
                "process": self.process,
                "state": self._state,
                "why": self._why,
                "signal": None,
                "round": self.invocation.round,
                "chunk": name_chunk(attempt.chunk_id, attempt.number) if attempt else None,
                "item": hand.key if hand else None,
                **self._counts,
                "startup_s": self._startup_s,
                "seconds_per_item": round(self._busy_s / settled, 3) if settled else None,
                "node": os.environ.get("RESOURCE_ID") or os.uname().nodename,
                "since": self._since,
                "version": VERSION,
            }

    def write_beat(self) -> None:
        with self._beat_lock:
            self.folder.write(f"beats/{self.process}.json", self._make_beat())

    def _beat_on(self) -> None:
        """The thread of the beats: it also looks for `stop` and writes the marks of long chunks."""
        while not self._over.wait(self.timing.beat_s):
            try:
                self._look_for_stop()
                attempt = self._attempt
                if attempt and self._is_long(attempt):
                    self._write_mark(attempt)
                if not self._over.is_set():
                    self.write_beat()
            except Exception as error:  # this thread must not end before its process
                log(f"no beat: {error!r}")

    def _is_long(self, attempt: Attempt) -> bool:
        """Whether an attempt leaves marks while it runs; a cautious one does so by itself."""
        return not attempt.cautious and self.clock() - attempt.began > self.timing.mark_after_s

    def _watch_items(self) -> None:
        """Kills this process when an item is 60 s past its time: nothing else can be done then."""
        while not self._over.wait(1.0):
            limit = self.invocation.item_timeout_s + 60
            with self._lock:
                late = [item for item in self._hands.values() if self.clock() - item.began > limit]
            if late:
                said = f"{late[0].key} is 60 s over its time limit and cannot be ended"
                log(f"{said}: killing this process")
                os.kill(os.getpid(), signal.SIGKILL)

    # -- which chunk

    def attempts(self) -> Iterator[Attempt]:
        """Every chunk that this process has claimed, until there is nothing left to do."""
        if not self.folder.exists("plan.json"):
            raise WorkerError(
                f"there is no plan at {self.invocation.state}: is the run folder in the storage of "
                "this service's minio.default?"
            )
        table = Table(self.folder.s3, self.invocation)
        self._state, self._startup_s = "working", round(time.monotonic() - STARTED, 3)
        self.write_beat()
        for chunk_id, number in self._next_chunks(table):
            if self._is_over():
                return
            attempt = self._claim(table, chunk_id, number)
            if attempt is None:
                continue
            self._attempt, self._state = attempt, "working"
            yield attempt
            self._finish(attempt)
        self.ending = self.ending or "no work left"

    def _look_for_stop(self) -> None:
        if self.ending is None and self.folder.exists("stop"):
            self.ending = "stopped"

    def _is_over(self) -> bool:
        self._look_for_stop()
        if self.ending is None and not self.folder.exists("plan.json"):
            self.ending = "the plan is gone"
        return self.ending is not None

    def _next_chunks(self, table: Table) -> Iterator[tuple[ChunkId, int]]:
        """Chunks to claim and the attempt, in the order of the protocol."""
        own = self.invocation.lane
        view = self._view(own)
        for chunk in choose_own(table.lanes[own - 1], view.claims):
            yield (own, chunk), 1
        if not self.invocation.exclusive:
            view = self._view(own)
            for chunk_id, newest in find_open({own: view}):
                yield chunk_id, newest + 1
            return
        yield from self._steal(table)
        while True:
            candidates, left = self._find_repairs(table)
            yield from candidates
            if not candidates and (not left or not self._keep_watch()):
                return

    def _steal(self, table: Table) -> Iterator[tuple[ChunkId, int]]:
        others = [lane for lane in range(1, len(table.lanes) + 1) if table.lanes[lane - 1]]
        while others:
            sample = self._dice.sample(others, min(3, len(others)))
            views = {lane: self._view(lane) for lane in sample}
            stolen = choose_theft(table.lanes, views)
            for lane in sample:  # a lane without unclaimed chunks never gets any again
                if not choose_own(table.lanes[lane - 1], views[lane].claims):
                    others.remove(lane)
            if stolen:
                yield stolen[0], 1

    def _find_repairs(self, table: Table) -> tuple[list[tuple[ChunkId, int]], bool]:
        """The chunks to claim again, and whether any chunk has no result."""
        views = self._view_lanes(range(1, len(table.lanes) + 1))
        unclaimed = [
            ((lane, chunk), 1)
            for lane, view in views.items()
            for chunk in choose_own(table.lanes[lane - 1], view.claims)
        ]
        if unclaimed:
            return unclaimed[:1], True
        waiting = find_open(views)
        self._dice.shuffle(waiting)
        if self._watcher is None:
            waiting = waiting[:20]  # the watchers look at all of them
        for chunk_id, newest in waiting:
            claim = self._name("claims", chunk_id, newest)
            found = self.folder.read(claim)
            process = str(found.document.get("process")) if found else ""
            # First the beat, then the result: a process that has just ended has left its result.
            if self.judge.is_gone(process, claim) and not self.folder.exists(
                self._name_result(chunk_id, newest)
            ):
                return [(chunk_id, newest + 1)], True
        return [], bool(waiting)

    def _keep_watch(self) -> bool:
        """Waits as one of two watchers; False if this process is to leave."""
        living, prefix = {}, f"watchers/{self._round}/"
        names = self.folder.list(prefix)
        numbers = sorted((int(name[len(prefix) :]) for name in names), reverse=True)[:2]
        for number in numbers:
            name = f"{prefix}{number:03d}"
            found = self.folder.read(name)
            process = str(found.document.get("process")) if found else ""
            living[number] = process == self.process or self.judge.is_alive(process, name)
        choice = may_watch(self._watcher, living)
        if choice == "leave" or self._is_over():
            return False
        if choice == "join":
            number = max(numbers, default=0) + 1
            if self.folder.write_new(f"{prefix}{number:03d}", self._sign()):
                self._watcher = number
            return True
        self._attempt, self._state = None, "waiting"
        ends = self.clock() + self.timing.look_gap_s / 3
        while self.ending is None and self.clock() < ends:
            self._sleep(min(1.0, max(0.05, ends - self.clock())))
        return self.ending is None

    def _view(self, lane: int) -> LaneView:
        return self._view_lanes([lane], f"{lane:05d}/")[lane]

    def _view_lanes(self, lanes: Iterable[int], prefix: str = "") -> dict[int, LaneView]:
        views = {lane: LaneView({}, set()) for lane in lanes}
        # Results first: a chunk is claimed before it has a result, so none looks unclaimed.
        for name in self.folder.list(f"results/{self._round}/{prefix}"):
            lane, result = name.split("/")[2:4]
            views[int(lane)].results.add(int(result.split(".")[0]))
        for name in self.folder.list(f"claims/{self._round}/{prefix}"):
            lane, claim = name.split("/")[2:4]
            chunk, attempt = map(int, claim.split("."))
            claims = views[int(lane)].claims
            claims[chunk] = max(claims.get(chunk, 0), attempt)
        return views

    def _name(self, kind: str, chunk_id: ChunkId, number: int | None) -> str:
        ending = "" if kind == "claims" else ".json"
        return f"{kind}/{self._round}/{name_chunk(chunk_id, number)}{ending}"

    def _name_result(self, chunk_id: ChunkId, number: int) -> str:
        return self._name("results", chunk_id, None if self.invocation.exclusive else number)

    def _claim(self, table: Table, chunk_id: ChunkId, number: int) -> Attempt | None:
        since, began = now_text(), self.clock()
        claim = {"schema": "oscar-batch/claim/1", **self._sign(), "attempt": number}
        if not self.folder.write_new(self._name("claims", chunk_id, number), claim):
            return None
        attempt = Attempt(table.chunk(*chunk_id), number, since, began)
        if number > 1 and self.folder.exists(self._name_result(chunk_id, number)):
            return None
        if number > 1:
            self._inherit(attempt)
        return attempt

    def _list_unsettled(self, attempt: Attempt) -> Iterator[tuple[int, str]]:
        chunk, key = attempt.chunk, self.invocation.index_key
        return attempt.list_unsettled(read_lines(self.folder.s3, key, chunk.offset, chunk.length))

    def _inherit(self, attempt: Attempt) -> None:
        """Takes over what earlier attempts settled, and fails items that killed too often.

        One mark is in memory at a time. Where they disagree the lowest attempt wins.
        """
        marks: dict[int, Document] = {}
        looks: dict[str, Look] = {}
        for number in range(1, attempt.number):
            found = self.folder.read(self._name("marks", attempt.chunk_id, number))
            if found is None:
                continue
            mark = marks[number] = found.document
            attempt.outcomes.inherit(mark.pop("items", ()))
            process = str(mark.get("process"))
            claim = self._name("claims", attempt.chunk_id, number)
            looks[process] = self.judge.look(process, claim)
        blame = count_blame(marks, looks)
        attempt.tries = {line: dead for line, (_, dead, _) in blame.items()}
        keys = {line: key for line, key in self._list_unsettled(attempt) if line in blame}
        attempt.outcomes.inherit(convict(blame, keys))

    # -- the items of a chunk

    def items(self, attempt: Attempt) -> Iterator[Item]:
        """The chunk's unsettled items, each with its input; the next ones are fetched ahead."""
        ahead = 0 if attempt.cautious else self.jobs + 1
        coming: deque[Item] = deque()
        lines = self._list_unsettled(attempt)
        while True:
            while len(coming) <= ahead and self.ending is None:
                found = next(lines, None)
                if found is None:
                    break
                if attempt.cautious:  # before its input is fetched, which may fill the pod's disk
                    attempt.in_hand = found[0]
                    self._write_mark(attempt)
                coming.append(self._open(*found, in_background=ahead > 0))
            if not coming or self.ending is not None:
                for item in coming:
                    if item.fetching is not None:
                        item.fetching.cancel()
                    self.files.clear(item)
                return
            item = coming.popleft()
            if item.fetching is not None:
                item.fetching.result()
            if item.problem and item.problem.kind == "input":
                # The item before it may have filled the disk that this one's input needs.
                self.files.fetch(item)
            yield item

    def _open(self, line: int, key: str, *, in_background: bool) -> Item:
        item = Item(line, key, str(self._work / str(line)))
        if self.files.find_mounted(item):
            return item
        if in_background:
            item.fetching = self._pool.submit(self.files.fetch, item)
        else:
            self.files.fetch(item)
        return item

    def begin(self, item: Item) -> None:
        """The item's own time begins."""
        item.began = self.clock()
        try:
            self.files.folders.take(item.output_dir)
        except OSError as error:
            item.problem = item.problem or Failure("input", f"no output folder: {error}")
        with self._lock:
            self._hands[item.line] = item

    def release(self, item: Item) -> None:
        """The item's own time ends."""
        with self._lock:
            self._hands.pop(item.line, None)

    def complete(self, item: Item, failure: Failure | None) -> None:
        """Stores the outputs of an item that has not failed, and settles it."""
        self.release(item)
        failure = failure or item.problem or self.files.store(item)
        attempt, seconds = self._attempt, self.clock() - item.began
        assert attempt is not None  # noqa: S101
        tries = attempt.tries.get(item.line, 0) + 1
        outcome = make_outcome(item.line, seconds, tries, failure, item.key)
        with self._lock:
            attempt.outcomes.add(outcome)
            attempt.in_hand = None
            self._busy_s += seconds
            self._counts["failed" if failure else "done"] += 1
        self.files.clear(item)
        self._note_settled()

    def _note_settled(self) -> None:
        """For the shell, which gives up after 20 deaths without a settled item."""
        if (self._counts["done"] + self._counts["failed"]) == 1:
            with suppress(OSError):
                (self.home / "settled").touch()

    def _write_mark(self, attempt: Attempt) -> None:
        with self._lock:
            document = {
                "schema": "oscar-batch/mark/1",
                "process": self.process,
                "attempt": attempt.number,
                "item": attempt.in_hand,
            }
            items = attempt.outcomes.copy()
        name = self._name("marks", attempt.chunk_id, attempt.number)
        self.folder.write(name, document, items)

    def _finish(self, attempt: Attempt) -> None:
        """The chunk's result, or its mark if the worker ends before all items are settled."""
        attempt.in_hand = None
        whole = attempt.outcomes.is_whole
        if attempt.cautious or not whole:
            self._write_mark(attempt)
        if whole:
            chunk = attempt.chunk
            result = {
                "schema": "oscar-batch/result/1",
                "process": self.process,
                "round": self.invocation.round,
                "lane": chunk.lane,
                "chunk": chunk.chunk,
                "attempt": attempt.number,
                "started": attempt.since,
                "finished": now_text(),
                "sealed": False,
            }
            name = self._name_result(attempt.chunk_id, attempt.number)
            self._counts["chunks"] += self.folder.write_new(name, result, attempt.outcomes)
        self._attempt = None
        if whole:
            self.write_beat()


def now_text() -> str:
    """For people who read; nothing is decided by this clock."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# ---- 8 The forms ----------------------------------------------------------------------------


class Session:
    """A worker from its invocation to its last beat."""

    def __init__(self, jobs: int = 1) -> None:
        root = os.environ.get("OSCAR_BATCH_ROOT", "")  # for tests: stands before every fixed path
        invocation = read_invocation(_read_body())
        definition = _load_definition(root)
        patience = invocation.timing.storage_patience_s
        stores = {name: S3(access, patience) for name, access in definition.providers.items()}
        home = os.environ.get("OSCAR_BATCH_HOME")
        self._own_home = None if home else tempfile.mkdtemp(prefix="oscar-batch-")
        self.home = Path(home or str(self._own_home))
        if home and os.getpgrp() != os.getpid():
            os.setpgid(0, 0)  # so that all of a dead worker can be ended, and its shell stays
        store = stores["minio.default"]
        folder = RunFolder(store, invocation.state, exclusive=invocation.exclusive)
        self.files = Files(stores, definition, invocation, root)
        self.worker = Worker(invocation, folder, self.files, self.home, jobs=jobs)
        self.supervision = Supervision(invocation.item_timeout_s, Memory(root))
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, number: int, frame: Any) -> None:
        self.worker.ending = self.worker.ending or "SIGTERM"
        self.supervision.kill_at = time.monotonic() + 20

    def attempts(self, prepare: Callable[[], None] = lambda: None) -> Iterator[Attempt]:
        """The worker's chunks, between its first and its last beat."""
        why = "left early"
        try:
            self.worker.start()
            self.supervision.note_in(self.home / "groups")
            prepare()
            self.files.await_mount(60.0)
            yield from self.worker.attempts()
            why = self.worker.ending or "no work left"
        except Exception as error:
            why = f"{type(error).__name__}: {error}"[:500]
            raise
        finally:
            try:
                self.worker.end(why)
            finally:
                if self._own_home:
                    shutil.rmtree(self._own_home, ignore_errors=True)


def _read_body() -> str:
    path = os.environ.get("INPUT_FILE_PATH", "")
    if path:
        return Path(path).read_text("utf-8")
    if "EVENT" in os.environ:
        return os.environ["EVENT"]
    raise WorkerError("neither INPUT_FILE_PATH nor EVENT is set: OSCAR gives them to the script")


def _load_definition(root: str) -> Definition:
    config = Path(f"{root}/oscar/config/function_config.yaml").read_text("utf-8")
    secrets = Path(f"{root}/var/run/secrets/providers/minio.default")
    names = ("accessKey", "secretKey")
    keys = [
        (secrets / name).read_text("utf-8").strip() for name in names if (secrets / name).exists()
    ]
    sections = read_yaml(config, ("storage_providers", "output", "mount"))
    try:
        return read_definition(sections, (keys[0], keys[1]) if len(keys) == 2 else None)
    except (AttributeError, TypeError) as error:
        raise WorkerError(f"function_config.yaml has an unknown shape: {error}") from error


def items() -> Iterator[Item]:
    """The imported form: every item that this worker has taken; use each in a `with` block."""
    session = Session()
    for attempt in session.attempts():
        for item in session.worker.items(attempt):
            item.worker = session.worker
            yield item
            if item.line not in attempt.outcomes and session.worker.ending is None:
                reason = "the program went on without its `with item:` block"
                session.worker.complete(item, Failure("exception", reason))


def run(jobs: int, form: type[Runner], command: str) -> None:
    """The forms with a command: `jobs` items at a time."""
    session = Session(jobs)
    runners = [form(command, session.supervision) for _ in range(jobs)]

    def start_all() -> None:
        for runner in runners:
            runner.start()

    try:
        with ThreadPoolExecutor(jobs) as pool:
            for attempt in session.attempts(start_all):
                coming, lock = session.worker.items(attempt), threading.Lock()
                work = partial(_work_off, session.worker, coming, lock)
                slots = 1 if attempt.cautious else jobs
                done = list(map(partial(pool.submit, work), runners[:slots]))
                for future in wait(done).done:
                    future.result()
    finally:
        for runner in runners:
            runner.close()


def _work_off(worker: Worker, coming: Iterator[Item], lock: threading.Lock, runner: Runner) -> None:
    try:
        while True:
            with lock:
                item = next(coming, None)
            if item is None:
                return
            worker.begin(item)
            try:
                failure = item.problem or runner.run(item)
            except Interrupted:
                worker.release(item)
                return
            except Exception as error:  # any error: the other items go on
                failure = Failure("exception", f"the worker cannot run it: {error!r}")
            worker.complete(item, failure)
    except BaseException as error:
        worker.ending = worker.ending or str(error)  # so that the others begin no item
        raise


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="oscar_batch_worker.py")
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--command", metavar="'PROG {input} {output_dir}'")
    form.add_argument("--stdin", metavar="'PROG'")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="items at a time")
    arguments = parser.parse_args(argv)
    try:
        if arguments.command is not None:
            run(max(arguments.jobs, 1), CommandRunner, arguments.command)
        else:
            run(max(arguments.jobs, 1), StdinRunner, arguments.stdin)
    except (WorkerError, OSError) as error:
        log(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
