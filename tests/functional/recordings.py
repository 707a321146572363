# SPDX-License-Identifier: Apache-2.0
"""Recorded requests and answers of a real OSCAR, and the comparison of another answer with them.

What is not comparable is replaced in both answers: tokens, addresses, times, random names.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "data" / "recordings"
HEADERS = ("Content-Type", "Location", "Www-Authenticate")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CUT = re.compile(r"(?P<start>.*)…\[(?P<length>\d+) characters in all\]…(?P<end>.*)", re.DOTALL)
_REPLACED = (
    (re.compile(r"[0-9a-f]{64}"), "SERVICE_TOKEN"),
    (UUID, "UUID"),
    (re.compile(r"http://[\d.]+:\d+"), "ENDPOINT"),
    (re.compile(r"/tmp/tmp\w+"), "TEMPORARY"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d+)?Z?"), "TIME"),
    (re.compile(r"PYI-\d+"), "PYI"),
    (re.compile(r"Using MinIO credentials for user: '\w+'"), "USER"),
)
_CRASH = re.compile(r"^Traceback.*?^(?=\[PYI)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request to a real OSCAR, and its answer."""

    file: str
    number: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None
    status: int
    answer_headers: dict[str, str]
    answer: str
    note: str

    @property
    def where(self) -> str:
        return f"{self.file}[{self.number}] {self.method} {self.path} ({self.note})"

    @property
    def parts(self) -> list[str]:
        return self.path.partition("?")[0].strip("/").split("/")

    @property
    def is_list(self) -> bool:
        """Whether it asks for the jobs of a service, and got them."""
        asked = self.method == "GET" and self.parts[:2] == ["system", "logs"]
        return asked and len(self.parts) == 3 and self.status == 200


def read_exchanges(file: str) -> list[Exchange]:
    raw = json.loads((FOLDER / f"{file}.json").read_text("utf-8"))
    return [
        Exchange(
            file, number, one["method"], one["path"], one["request_headers"],
            restore_body(one["request_body"]), one["status"], one["response_headers"],
            one["body"] or "", one["note"] or "",
        )
        for number, one in enumerate(raw)
    ]  # fmt: skip


def restore_body(text: str | None) -> bytes | None:
    """The bytes of a request: a body that was cut has one letter many times in its middle."""
    if text is None:
        return None
    if (cut := _CUT.fullmatch(text)) is not None:
        missing = int(cut["length"]) - len(cut["start"]) - len(cut["end"])
        text = cut["start"] + cut["start"][-1] * missing + cut["end"]
    return text.encode("utf-8").replace("�".encode(), b"\xff")


def normalize(text: str) -> str:
    for pattern, word in _REPLACED:
        text = pattern.sub(word, text)
    return text


def normalize_log(text: str, ignored: re.Pattern[str]) -> Counter[str]:
    """The lines of a log that are compared; the order of outputs and messages varies."""
    lines = _CRASH.sub("", normalize(text)).splitlines()
    return Counter(line for line in lines if line.strip() and not ignored.match(line))


def find_differences(recorded: Any, found: Any, path: str = "") -> Iterator[str]:
    """Where two JSON values have other keys, another order of keys, or values of other types."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        if list(recorded) != list(found):
            yield f"{path}: the keys are {list(found)}, recorded are {list(recorded)}"
        for key in recorded.keys() & found.keys():
            yield from find_differences(recorded[key], found[key], f"{path}.{key}")
    elif isinstance(recorded, list) and isinstance(found, list):
        for number, (left, right) in enumerate(zip(recorded, found, strict=False)):
            yield from find_differences(left, right, f"{path}[{number}]")
    elif type(recorded) is not type(found):
        yield f"{path}: {found!r} has another type than the recorded {recorded!r}"


def flatten(value: Any, path: str = "") -> dict[str, Any]:
    """The values below a JSON value, by their path."""
    if isinstance(value, dict):
        pairs = [(f"{path}.{key}".lstrip("."), each) for key, each in value.items()]
    elif isinstance(value, list):
        pairs = [(f"{path}[{number}]", each) for number, each in enumerate(value)]
    else:
        return {path: normalize(value) if isinstance(value, str) else value}
    return {key: leaf for name, each in pairs for key, leaf in flatten(each, name).items()}
