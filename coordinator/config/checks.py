# SPDX-License-Identifier: Apache-2.0
"""The checks of config values: a value as the file has it → as the program uses it.

Every check raises ValueError and says what the value must be; of the value itself a message shows
no more than a few characters. Strings, lists and numbers have limits, so that no value takes long.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ..model.errors import clean_text
from ..model.globs import compile_globs
from ..model.planning import MOST_SPEEDS
from ..model.run import Tolerance
from ..model.selection import parse_time
from ..model.units import parse_bytes
from .addresses import PRINTABLE, normalize_address, normalize_endpoint

# No request may take longer; a socket could not wait for the largest numbers.
DAY_S = 86_400
MOST_RETRIES = 20
MOST_DAYS, FOREVER = 36_500, "forever"
MOST_CHARACTERS = 16 * 1024
MOST_KEY_BYTES = 1024
MOST_GLOBS, _MOST_GLOB_CHARACTERS = 100, 10_000
MOST_COUNT, MOST_BYTES = 10**9, 2**63
PERCENT = re.compile(r"(100(?:\.0{1,6})?|[0-9]{1,2}(?:\.[0-9]{1,6})?)%")
RUN_ID = re.compile("[0-9]{8}t[0-9]{6}z-[0-9a-f]{6}")
BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{1,61}[A-Za-z0-9]")
SERVICE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def describe_kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}
    return kinds.get(type(value), "null" if value is None else "a number")


def check_string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not {describe_kind(value)}")
    if len(value) > MOST_CHARACTERS:
        raise ValueError(f"must have at most {MOST_CHARACTERS} characters, not {len(value)}")
    if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in value):
        raise ValueError("must not contain control characters or incomplete characters")
    return value


def check_template(value: object) -> str:
    """A text of lines; what a template may say is known where it is rendered."""
    if not isinstance(value, str):
        raise ValueError(
            f"must be a string, a Jinja2 template of a JSON object, not {describe_kind(value)}"
        )
    for line in value.splitlines():
        check_string(line.replace("\t", " "))
    return value


def check_printable(value: object) -> str:
    """What becomes a part of a header."""
    text = check_string(value)
    if not PRINTABLE.fullmatch(text):
        raise ValueError("must be of ASCII characters, without blanks")
    return text


def check_key(value: object) -> str:
    """The key of an object, or the prefix of a folder."""
    text = check_string(value)
    if len(text.encode()) > MOST_KEY_BYTES:
        raise ValueError(f"must have at most {MOST_KEY_BYTES} bytes, as keys in a bucket have")
    return text


def check_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {describe_kind(value)}")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberCheck:
    """A number within bounds."""

    above: float = -math.inf
    least: float = -math.inf
    below: float = math.inf

    def __call__(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"must be a number {self._bounds}, not {describe_kind(value)}")
        if not (self.above < value and self.least <= value < self.below):
            got = clean_text(str(value), 20)
            raise ValueError(f"must be a number {self._bounds}, got {got}")
        return float(value)

    @property
    def _bounds(self) -> str:
        words = {"above": self.above, "at least": self.least, "below": self.below}
        return " and ".join(f"{word} {x:g}" for word, x in words.items() if math.isfinite(x))


def check_count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < MOST_COUNT:
        got = clean_text(str(value), 20) if _is_number(value) else describe_kind(value)
        raise ValueError(f"must be a whole number of at least 1, got {got}")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_run_id(value: object) -> str:
    if not isinstance(value, str) or not RUN_ID.fullmatch(value):
        raise ValueError("must be an id as runs have it, such as 20261122t101500z-3f9a1c")
    return value


def check_extra_slots(value: object) -> int:
    return 0 if value == 0 and not isinstance(value, bool) else check_count(value)


def check_retries(value: object) -> int:
    """Rounds beyond the first; their numbers are in keys of three digits."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_RETRIES:
        raise ValueError(f"must be a whole number from 0 to {MOST_RETRIES}")
    return value


def check_tolerance(value: object) -> Tolerance:
    """`20`, or `"5%"` of the items."""
    if isinstance(value, str) and (found := PERCENT.fullmatch(value)):
        return Tolerance(percent=float(found.group(1)))
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_COUNT:
        return Tolerance(count=value)
    raise ValueError('must be a number of items such as 20, or a percentage such as "5%"')


_check_days = NumberCheck(above=0, below=MOST_DAYS)


def check_keep(value: object) -> float | None:
    """A number of days; None for `forever`."""
    if isinstance(value, str):
        if value == FOREVER:
            return None
        raise ValueError(f"must be {FOREVER} or a number of days, got {clean_text(value, 20)}")
    return _check_days(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceCheck:
    """One of the names of an enumeration."""

    names: type[StrEnum]
    without: frozenset[str] = frozenset()

    @property
    def known(self) -> list[str]:
        return [str(name) for name in self.names if name not in self.without]

    def __call__(self, value: object) -> StrEnum:
        text, known = check_string(value), self.known
        if text not in known:
            wanted = f"one of {', '.join(known)}" if len(known) > 1 else f"{known[0]} or left out"
            raise ValueError(f"must be {wanted}, got {clean_text(text, 20)!r}")
        return self.names(text)


SPEED = NumberCheck(least=0.01, below=100)


def check_speeds(value: object) -> tuple[float, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_SPEEDS:
        raise ValueError(f"must be a list of 1 to {MOST_SPEEDS} numbers, such as [0.5, 1, 1]")
    return tuple(sorted(SPEED(each) for each in value))


def check_bucket(value: object) -> str:
    text = check_string(value)
    if not text:
        return text
    if "/" in text:
        raise ValueError("must be the bucket alone: folders belong into the prefix beside it")
    if not 3 <= len(text) <= 63:
        raise ValueError(
            f"is too {'short' if len(text) < 3 else 'long'}: a bucket's name has 3 to 63 "
            f"characters, not {len(text)}"
        )
    if not BUCKET.fullmatch(text):
        raise ValueError("must be of letters, digits, dots and -, and end with a letter or digit")
    return text


def check_file(value: object) -> str:
    text = check_key(value)
    if text.startswith("/") or text.endswith("/"):
        raise ValueError("must be a file name below bucket.folder_prefix, such as index.txt")
    return text


def check_service(value: object) -> str:
    text = check_string(value)
    if text and (len(text) > 63 or not SERVICE.fullmatch(text)):
        raise ValueError("must be a service's name: letters, digits and -, at most 63")
    return text


def check_done(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(
            "must be true, or an object with bucket, prefix, strip and suffix, not "
            f"{describe_kind(value)}"
        )
    return value


def check_url(value: object) -> str:
    text = check_string(value)
    return normalize_address(text) if text.strip() else ""


def check_endpoint(value: object) -> str:
    text = check_string(value)
    return normalize_endpoint(text) if text.strip() else ""


def check_storage_url(value: object) -> str:
    url = check_url(value)
    if url.count("/") > 2:
        raise ValueError("must be the address of the server alone, without a path")
    return url


def check_region(value: object) -> str:
    text = check_string(value)
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise ValueError("must be a region's name, such as us-east-1")
    return text


def check_globs(value: object) -> tuple[str, ...]:
    texts = [check_key(each) for each in (value if isinstance(value, list) else [value])]
    if len(texts) > MOST_GLOBS:
        raise ValueError(f"must be at most {MOST_GLOBS} globs, not {len(texts)}")
    if sum(map(len, texts)) > _MOST_GLOB_CHARACTERS:
        raise ValueError(f"must have at most {_MOST_GLOB_CHARACTERS} characters in all")
    for text in texts:
        compile_globs([text])
    return tuple(texts)


def check_bytes(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        got = "a fraction" if isinstance(value, float) else describe_kind(value)
        raise ValueError(f"must be a number of bytes, or a string such as 10Mi, not {got}")
    found = parse_bytes(str(value))
    if not 0 <= found < MOST_BYTES:
        raise ValueError("must not be negative" if found < 0 else "must be below 8 EiB")
    return found


def check_chunk_bytes(value: object) -> int:
    found = check_bytes(value)
    if not found:
        raise ValueError("must be at least 1 byte")
    return found


def check_time(value: object) -> datetime:
    text = check_string(value)
    try:
        return parse_time(text)
    except ValueError as error:
        got = clean_text(text, 40)
        raise ValueError(f"must be a time such as 2026-11-22T10:15:00Z, got {got!r}") from error
