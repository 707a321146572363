# SPDX-License-Identifier: Apache-2.0
"""The endings of a run with their exit codes, and the errors that lead to them.

    BatchError              ends a run; every class below says with which ending
    ├── ConfigError         the config is wrong: all its problems at once
    ├── ClusterError        OSCAR is unreachable, or refused, or its answer cannot be read
    │   ├── NoStatus        the status endpoint does not work; a fixed parallelism may replace it
    │   └── NoToken         the OIDC provider gives no access token: nothing was asked of OSCAR
    ├── AlreadyEnded        the run that a config names has ended: there is nothing left to do
    ├── HeldByOther         another coordinator drives the run
    ├── StopRequested       somebody asked for the end of the run
    └── StorageError        the object storage is unreachable, or refused
        └── Conflict        a conditional write found that the object exists already

A class exists only where somebody handles it differently. A cluster that is full is an ending
(`Ending.NO_CAPACITY`), not an error.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from functools import cache, lru_cache
from html import escape
from typing import Any, ClassVar, TypeVar, cast
from urllib.parse import quote, quote_plus

T = TypeVar("T")

MAX_MESSAGE = 499
MAX_PROBLEMS = 20
# Control characters, those that change the direction of text or are invisible, and surrogates,
# which no file and no terminal takes.
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    r"\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_BLANK = re.compile(r"[\t\n\v\f\r ]+")
# What looks like a credential in the text of a server. A server may echo a whole request.
_CREDENTIALS = (
    (re.compile(r"://[^\s\"'<>]*@"), "://…@"),
    (
        re.compile(r"(?i)(authorization)[\"']?\s*[:=]?\s*[\"']?[^\s\"',;<>]+(?:\s+[^\s\"'<>]+)*"),
        r"\1…",
    ),
    (re.compile(r"(?i)(bearer|basic)\s+[a-z0-9+/=._~-]{8,}"), r"\1 …"),
    (
        re.compile(
            r"(?i)((?:access_?key|secret|passw(?:or)?d|token|credential|signature)[a-z_-]*)"
            r"(?:[\"']?\s*[:=]\s*[\"']?|>)(?P<value>[^\s\"',;&<>]+)"
        ),
        r"\1=…",
    ),
)
_NAMED_CREDENTIAL = _CREDENTIALS[-1][0]
# Shorter values turn up by chance in the text of a server.
_SHORTEST_SECRET = 4
SHORTEST_HIDDEN = 8
"""In text of our own, shorter ones may be words that a message needs."""


class Ending(StrEnum):
    """How a run ended, with its exit code."""

    exit_code: int

    RUNNING = "running", 0
    """The run has not ended; only a report so far has this value."""
    SUBMITTED = "submitted", 0
    NOTHING_TO_DO = "nothing to do", 0
    PLANNED = "planned", 0
    PARTLY_SUBMITTED = "partly submitted", 1
    DONE = "done", 0
    """A result says of every item that it is done."""
    PARTLY_DONE = "partly done", 1
    """The run was followed to its end, and items failed or are pending."""
    BAD_CONFIG = "bad config", 2
    UNAVAILABLE = "unavailable", 3
    BROKEN = "internal error", 3
    """A defect of OSCAR-Batch; the exit code is that of an unavailable cluster."""
    UNPROVEN = "unproven", 3
    """Invocations were sent, and no answer proves that any job exists."""
    TOLERATED = "done, failures tolerated", 0
    """All items are done or failed, and no more failed than the config tolerates."""
    STOPPED = "stopped", 1
    """The run was ended by `cancel` or by a limit before all items were done."""
    NO_CAPACITY = "no capacity", 4
    HELD = "held by another coordinator", 5
    INTERRUPTED = "interrupted", 130

    def __new__(cls, text: str, exit_code: int) -> Ending:
        member = str.__new__(cls, text)
        member._value_ = text
        member.exit_code = exit_code
        return member


class BatchError(Exception):
    """Ends a run; the message says what was attempted, on what, what came back, what to do."""

    ending: ClassVar[Ending]

    def __init__(self, message: str) -> None:
        """Messages may quote foreign text, so they are escaped and cut here at the latest."""
        super().__init__(clean_text(message, MAX_MESSAGE))

    @property
    def problems(self) -> tuple[str, ...]:
        """The error as separate messages, one for each thing to correct."""
        return (str(self),)


class ConfigError(BatchError):
    """The config cannot be used; each problem names the key and what is wrong with its value."""

    ending = Ending.BAD_CONFIG

    def __init__(self, problems: Iterable[str]) -> None:
        found = [clean_text(problem, MAX_MESSAGE) for problem in problems]
        more = len(found) - MAX_PROBLEMS
        rest = [f"and {more} more problems"] if more > 0 else []
        self._problems = tuple(found[:MAX_PROBLEMS] + rest)
        super().__init__("; ".join(self._problems))

    @property
    def problems(self) -> tuple[str, ...]:
        return self._problems


class ClusterError(BatchError):
    """The OSCAR API could not be used."""

    ending = Ending.UNAVAILABLE


class NoStatus(ClusterError):
    """`/system/status` gives nothing usable (on many installations it never does)."""


class NoToken(ClusterError):
    """The OIDC provider gave no access token, so this says nothing of OSCAR itself."""


class StorageError(BatchError):
    """The object storage could not be used."""

    ending = Ending.UNAVAILABLE


class AlreadyEnded(BatchError):
    """The run has ended; nothing in its folder is changed any more."""

    ending = Ending.NOTHING_TO_DO


class HeldByOther(BatchError):
    """Another coordinator drives the run: this one must leave everything as it is."""

    ending = Ending.HELD


class StopRequested(BatchError):
    """The run has a `stop`: nothing more is started, and the run is ended."""

    ending = Ending.STOPPED


class LimitReached(StopRequested):
    """A limit of the config stops the run."""


class Conflict(StorageError):
    """An object that must be new exists already, with another content."""


def clean_text(text: str, limit: int = 256) -> str:
    """Text on one line, at most `limit` long. Control and bidi characters are escaped."""
    blank = _BLANK.sub(" ", text[: 8 * limit]).strip(" ")
    clean = escape_text(blank)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def escape_text(text: str) -> str:
    """The text with control and bidi characters, line breaks included, as their codes."""
    return _CONTROL.sub(_escape, text)


def clean_foreign(text: str, secrets: Iterable[str] = (), limit: int = 256) -> str:
    """`clean_text` for what a server says, without these secrets and whatever looks like one."""
    # A secret may stand across the limit, so the text is cut a second time below.
    text = hide_secrets(text[: 16 * limit], secrets)
    # A value after such a name is a secret, and is hidden everywhere else too.
    values = [found["value"] for found in _NAMED_CREDENTIAL.finditer(text)]
    text = hide_secrets(text, values, SHORTEST_HIDDEN)
    for pattern, instead in _CREDENTIALS:
        text = pattern.sub(instead, text)
    return clean_text(text, limit)


def hide_secrets(text: str, secrets: Iterable[str], shortest: int = _SHORTEST_SECRET) -> str:
    """The text without these secrets, as they are and as headers, URLs, JSON and XML spell them."""
    for spelling in _list_spellings(tuple(secrets), shortest):
        text = text.replace(spelling, "…")
    return text


def hide_in_value(value: T, secrets: Iterable[str]) -> T:
    """The value without these secrets in any of its texts: a report, a capacity, decoded JSON.

    A server may put what it was sent anywhere, for instance into the name of a node. Names of
    members and values of enums stay.
    """
    return cast(T, _hide(value, tuple(secrets)))


def _hide(value: Any, secrets: tuple[str, ...]) -> Any:
    if type(value) is str:
        return hide_secrets(value, secrets, SHORTEST_HIDDEN) if value else value
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, list | tuple):
        return type(value)([_hide(each, secrets) for each in value])
    if isinstance(value, dict):
        return {key: _hide(each, secrets) for key, each in value.items()}
    kind: type = type(value)
    changed = {}
    for name in _list_fields(kind):
        before = getattr(value, name)
        after = _hide(before, secrets)
        if after is not before:
            changed[name] = after
    return replace(value, **changed) if changed else value


@cache
def _list_fields(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass; of any other type none."""
    return tuple(spec.name for spec in fields(kind)) if is_dataclass(kind) else ()


@lru_cache(maxsize=64)
def _list_spellings(secrets: tuple[str, ...], shortest: int) -> tuple[str, ...]:
    """Every spelling of the secrets, the longest first: a shorter one may be a part of it."""
    known = [secret for secret in secrets if len(secret) >= shortest]
    found = {spelling for each in known for spelling in _spell(each) | _spell(each.lower())}
    # Without the blanks around it, a secret may be as short as a word.
    return tuple(sorted((each for each in found if len(each) >= shortest), key=len, reverse=True))


def _spell(secret: str) -> set[str]:
    """The secret as it is, on one line, and as URLs, headers, JSON and XML have it."""
    encoded = b64encode(secret.encode(errors="replace")).decode()
    return {
        secret,
        clean_text(secret, 8 * len(secret)),
        quote(secret, safe="", errors="replace"),
        quote(secret, errors="replace"),
        quote_plus(secret, errors="replace"),
        encoded,
        encoded.rstrip("="),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        escape(secret),
        escape(secret, quote=False),
    }


def _escape(character: re.Match[str]) -> str:
    code = ord(character.group())
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
