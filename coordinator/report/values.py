# SPDX-License-Identifier: Apache-2.0
"""Reads JSON back into model values, and checks it against their types.

`dataclasses.asdict` writes it. A value of the wrong type is refused with its path
(`capacity.nodes[2].slots`), because a document may be damaged, or written by another release.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from ..model.errors import clean_text

T = TypeVar("T")


class BadDocument(ValueError):
    """A document that cannot be read back; the message says where and why."""


def read_value(kind: type[T], raw: object, path: str = "") -> T:
    """The value of this type, a dataclass for instance. Raises BadDocument."""
    return cast(T, _read(kind, raw, path))


def check_schema(raw: object, schema: str) -> Mapping[str, Any]:
    """The members of a document of this schema. Raises BadDocument for every other one."""
    if not isinstance(raw, dict):
        raise BadDocument("the document is not a JSON object")
    if raw.get("schema") != schema:
        found = clean_text(str(raw.get("schema")), 80)
        raise BadDocument(f"the document has the schema {found!r}; this release reads {schema!r}")
    return raw


def _read(kind: Any, raw: object, path: str) -> object:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:  # only `X | None` occurs
        return None if raw is None else _read(arguments[0], raw, path)
    if kind is Any:
        return raw
    if origin in {list, tuple, Sequence}:
        rows = enumerate(_expect(list, raw, path))
        values = (_read(arguments[0], each, f"{path}[{i}]") for i, each in rows)
        return list(values) if origin is list else tuple(values)
    if origin in {dict, Mapping}:
        members = _expect(dict, raw, path)
        return {key: _read(arguments[1], each, f"{path}.{key}") for key, each in members.items()}
    if is_dataclass(kind):
        return _read_fields(cast(type, kind), _expect(dict, raw, path), path)
    if kind is datetime or issubclass(kind, StrEnum):
        text = _expect(str, raw, path)
        try:
            return datetime.fromisoformat(text) if kind is datetime else kind(text)
        except ValueError as error:
            raise BadDocument(f"{path}: {clean_text(text, 80)!r} is not a known value") from error
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    return _expect(kind, raw, path)


def _read_fields(kind: type, raw: Mapping[str, Any], path: str) -> object:
    values = {}
    for spec in fields(kind):
        here = f"{path}.{spec.name}" if path else spec.name
        if spec.name in raw:
            values[spec.name] = _read(_get_hints(kind)[spec.name], raw[spec.name], here)
        elif spec.default is MISSING and spec.default_factory is MISSING:
            raise BadDocument(f"{here}: is missing")
    return kind(**values)


@cache
def _get_hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _expect(kind: type[T], raw: object, path: str) -> T:
    if not isinstance(raw, kind) or (isinstance(raw, bool) and kind is not bool):
        raise BadDocument(f"{path}: must be {kind.__name__}, not {type(raw).__name__}")
    return raw
