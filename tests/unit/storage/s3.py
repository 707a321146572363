# SPDX-License-Identifier: Apache-2.0
"""A small S3 server on loopback for single objects, which misbehaves as a test tells it."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from coordinator.model.access import StorageAccess
from coordinator.storage.bucket import Bucket

Fault = Callable[[str, str], int | None]
"""For a method and a key: the status to answer instead, 0 for a lost answer, None for none."""


@dataclass
class S3:
    """The objects by key, the requests that came, and what goes wrong."""

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    before: Fault = lambda method, key: None
    """Instead of doing what is asked."""
    after: Fault = lambda method, key: None
    """After it was done."""
    honours_condition: bool = True
    undeleted: str = ""
    """The errors in the answer to a request that deletes many objects, as XML."""
    redirects: tuple[int, str, bytes] | None = None
    """The status, the address and the body that every answer has."""
    slept: list[float] = field(default_factory=list)

    def bucket(self) -> Bucket:
        """A bucket on this server that repeats requests twice and sleeps only in its log."""
        access = StorageAccess(self.url, "key", "secret", region="us-east-1")
        return Bucket(access, "data", delays_s=(1.0, 2.0), sleep=self.slept.append)


@contextmanager
def s3_server() -> Iterator[S3]:
    """A running server."""
    s3 = S3()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            key = unquote(urlsplit(self.path).path).removeprefix("/data/")
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            s3.requests.append(f"{self.command} {key}")
            if s3.redirects:
                code, where, content = s3.redirects
                return self._answer(code, {"Location": where}, content)
            status = s3.before(self.command, key)
            if status is None:
                answer = self._do(key, body)
                status = s3.after(self.command, key)
                if status is None:
                    return self._answer(*answer)
            if not status:
                self.close_connection = True
                return None
            return self._answer(status, {}, _error(status))

        def _do(self, key: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
            found = s3.objects.get(key)
            query = urlsplit(self.path).query
            if self.command == "POST" and "uploads" in query:
                s3.objects[f"{key}?"] = b""
                return 200, {}, _answer("InitiateMultipartUploadResult", "<UploadId>1</UploadId>")
            if self.command == "PUT" and "uploadId" in query:
                s3.objects[f"{key}?"] += body
                return 200, {"ETag": "e"}, b""
            if self.command == "POST" and "delete" in query:
                names = re.findall("<Key>(.*?)</Key>", body.decode())
                for name in names:
                    s3.objects.pop(name, None)
                return 200, {}, _answer("DeleteResult", s3.undeleted)
            if self.command == "POST":
                s3.objects[key] = s3.objects.pop(f"{key}?")
                return 200, {}, _answer("CompleteMultipartUploadResult", "")
            if self.command == "PUT" and "x-amz-copy-source" in self.headers:
                source = self.headers["x-amz-copy-source"].removeprefix("/data/")
                s3.objects[key] = s3.objects[source]
                s3.metadata[key] = self._metadata()
                return 200, {}, b"<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"
            if self.command == "PUT":
                refused = "If-None-Match" in self.headers and found is not None
                if refused and s3.honours_condition:
                    return 412, {}, _error(412)
                s3.objects[key], s3.metadata[key] = body, self._metadata()
                return 200, {}, b""
            if self.command == "DELETE":
                s3.objects.pop(key, None)
                return 204, {}, b""
            if found is None:
                return 404, {}, _error(404)
            headers = {"ETag": f'"{hashlib.md5(found).hexdigest()}"', **s3.metadata.get(key, {})}
            if asked := self.headers.get("Range"):
                first, _, last = asked.removeprefix("bytes=").partition("-")
                if int(first) >= len(found):
                    return 416, {}, _error(416)
                return 206, headers, found[int(first) : int(last) + 1]
            return 200, headers, found

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _metadata(self) -> dict[str, str]:
            names = [name for name in self.headers if name.lower().startswith("x-amz-meta-")]
            return {name: self.headers[name] for name in names}

        do_POST = do_GET = do_PUT = do_HEAD = do_DELETE = _serve

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        s3.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield s3
        finally:
            server.shutdown()
            thread.join()


def _answer(name: str, content: str) -> bytes:
    return f"<{name}>{content}</{name}>".encode()


def _error(status: int) -> bytes:
    codes = {404: "NoSuchKey", 412: "PreconditionFailed", 416: "InvalidRange", 403: "AccessDenied"}
    codes |= {409: "ConditionalRequestConflict", 501: "NotImplemented", 503: "SlowDown"}
    return f"<Error><Code>{codes.get(status, 'InternalError')}</Code></Error>".encode()
