# SPDX-License-Identifier: Apache-2.0
"""JSON or YAML text → values of JSON's types, in bounded time and memory.

A config may come from anybody who can write to the trigger bucket. So YAML is read from its events
and never through a loader that constructs types: there are objects, lists, strings, numbers, true,
false and null. Merge keys and tags are refused, aliases count as what they stand for, a key that
is given twice in an object is an error that names both lines, and every size has a limit. No
message quotes a value.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import yaml

from ..model.errors import ConfigError, clean_text

MAX_BYTES = 1024 * 1024
# The YAML parser reads about 100 KiB a second.
MAX_YAML_BYTES = 64 * 1024
MAX_DEPTH = 32
MAX_VALUES = 10_000
# Every number of a config is far below; a longer one is only compared with its limit.
_MAX_DIGITS = 40

_NUMBER = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII
)
_WORDS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_JSON_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|[{}\[\]]', re.DOTALL)
# A key as people write it: no digits and no punctuation, which values of secrets have.
_PLAIN_KEY = re.compile(r"[A-Za-z_]{1,40}")
# What follows one of these words in a key is a value whose blank or quote is missing.
_SECRET_WORD = re.compile(r"(?i)(?:access_?key|secret_?key|secret|passwor[dt]|token|credentials?)")


def decode_document(text: bytes, *, most_yaml: int = MAX_YAML_BYTES) -> Any:
    """The value of a file, JSON or YAML. Raises ConfigError; None if the file is empty."""
    if len(text) > MAX_BYTES:
        raise ConfigError(["the file is too large: at most 1 MiB is read"])
    try:
        source = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError([f"the file is not UTF-8 text (byte {error.start})"]) from error
    if source.lstrip()[:1] in {"{", "["}:
        return _decode_json(source)
    if len(text) > most_yaml:
        raise ConfigError([f"the file has {len(text)} bytes: YAML of more than 64 KiB is not read"])
    return _decode_yaml(source)


def show_key(key: str) -> str:
    """A key for a message. What may be a secret, or its value, is left out."""
    if found := _SECRET_WORD.search(key):
        rest = key[found.end() :]
        return key if not rest and _PLAIN_KEY.fullmatch(key) else f"{found.group()}…"
    return key if _PLAIN_KEY.fullmatch(key) else "(a key that is not shown)"


def is_secret_key(key: str) -> bool:
    """Whether a key is named as those are whose values must not be shown."""
    return _SECRET_WORD.search(key) is not None


def _parse_number(text: str) -> float:
    if len(text) > _MAX_DIGITS:
        return -math.inf if text.startswith("-") else math.inf
    return float(text) if any(letter in text for letter in ".eE") else int(text)


def _decode_json(source: str) -> Any:
    repeated = False

    def build(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        members = dict(pairs)
        repeated = repeated or len(members) < len(pairs)
        return members

    try:
        value = json.loads(
            source,
            object_pairs_hook=build,
            parse_int=_parse_number,
            parse_float=_parse_number,
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ConfigError([f"the file is not valid JSON: {error.msg} at {where}"]) from error
    except RecursionError as error:
        raise ConfigError([_describe_depth()]) from error
    _check_extent(value)
    if repeated:
        raise ConfigError(_find_repeated(source))
    return value


def _check_extent(value: Any) -> None:
    """Raises ConfigError if a decoded value is nested too deeply or has too many parts."""
    count, level = 0, [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for each in level:
            parts = each.values() if isinstance(each, dict) else each
            if isinstance(each, dict | list):
                count += len(each)
                if count > MAX_VALUES:
                    raise ConfigError([_describe_count()])
                inner.extend(part for part in parts if isinstance(part, dict | list))
        if not inner:
            return
        level = inner
    raise ConfigError([_describe_depth()])


def _describe_depth() -> str:
    return f"the file nests lists and objects more than {MAX_DEPTH} deep"


def _describe_count() -> str:
    return f"the file has more than {MAX_VALUES} values"


def _describe_repeated(path: Sequence[str], first: int, second: int) -> str:
    name = ".".join(show_key(part) for part in path)
    return f"{name}: is given twice, in line {first} and in line {second}; keep one of them"


def _find_repeated(source: str) -> list[str]:
    """The problems with valid JSON in which keys are repeated, with their lines."""
    found: list[str] = []
    # Of every object or list that is open: its own key, and the line of each key in it.
    frames: list[tuple[str, dict[str, int]]] = []
    last, line, position = "", 1, 0
    for token in _JSON_TOKEN.finditer(source):
        line += source.count("\n", position, token.start())
        position = token.start()
        if token.group()[0] in "{[":
            frames.append((last, {}))
            last = ""
        elif token.group()[0] in "}]":
            frames.pop()
        elif token.group(2):
            last = json.loads(token.group(1))
            path, keys = [name for name, _ in frames if name], frames[-1][1]
            if last in keys:
                found.append(_describe_repeated([*path, last], keys[last], line))
            keys[last] = line
    return found


def _decode_yaml(source: str) -> Any:
    try:
        return _YamlReader(source).read()
    except yaml.MarkedYAMLError as error:
        # Only messages on tags quote more than a character of the file.
        problem = clean_text(str(error.problem))
        problem = "a tag is not declared" if "tag handle" in problem else problem
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigError(
            [f"the file is neither JSON nor YAML: {problem} (line {line})"]
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(["the file is neither JSON nor YAML"]) from error


class _YamlReader:
    """Builds the value of one YAML document from its events."""

    def __init__(self, source: str) -> None:
        self._events: Iterator[Any] = yaml.parse(source, Loader=yaml.SafeLoader)
        self._count = 0
        self._anchors: dict[str, Any] = {}
        self._path: list[str] = []
        self._repeated: list[str] = []

    def read(self) -> Any:
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        value = self._read_value(next(self._events))
        next(self._events)  # the end of the document
        if not isinstance(extra := next(self._events), yaml.StreamEndEvent):
            self._refuse(extra, "a second document starts")
        if self._repeated:
            raise ConfigError(self._repeated)
        _check_extent(value)  # an alias stands for all that its anchor holds
        return value

    def _read_value(self, event: Any) -> Any:
        self._check(event)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                self._refuse(event, "an alias has no anchor before it")
            return self._anchors[event.anchor]
        value = self._read_node(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _read_node(self, event: Any) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return _read_scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            self._path.append("")
            while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                items.append(self._read_value(inner))
            self._path.pop()
            return items
        return self._read_object()

    def _read_object(self) -> dict[str, Any]:
        members: dict[str, Any] = {}
        lines: dict[str, int] = {}
        self._path.append("")
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            self._check(event)
            if not isinstance(event, yaml.ScalarEvent):
                self._refuse(event, "a key is no string")
            key, line = event.value, _find_line(event)
            if key == "<<" and event.style is None:
                self._refuse(event, "merge keys are not read")
            self._path[-1] = key
            if key in lines:
                path = [name for name in self._path if name]
                self._repeated.append(_describe_repeated(path, lines[key], line))
            lines[key] = line
            members[key] = self._read_value(next(self._events))
        self._path.pop()
        return members

    def _check(self, event: Any) -> None:
        self._count += 1
        if self._count > MAX_VALUES:
            raise ConfigError([_describe_count()])
        if len(self._path) >= MAX_DEPTH:
            raise ConfigError([_describe_depth()])
        if getattr(event, "tag", None) is not None:
            self._refuse(event, "tags are not read")

    def _refuse(self, event: Any, what: str) -> NoReturn:
        raise ConfigError([f"the file cannot be used: {what} (line {_find_line(event)})"])


def _find_line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _read_scalar(event: yaml.ScalarEvent) -> Any:
    text: str = event.value
    if event.style is not None:  # quoted, or a block
        return text
    if text in _WORDS:
        return _WORDS[text]
    return _parse_number(text) if _NUMBER.fullmatch(text) else text
