# SPDX-License-Identifier: Apache-2.0
"""The table of keys → a JSON Schema, for editors that complete and check a config.

The schema accepts every config that the checks accept. It refuses wrong types, ranges, choices and
spellings. It cannot express other rules (whether a glob or a time is valid, whether two keys go
together); only the checks find these. `null` is the same as a key that is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..model.planning import MOST_SPEEDS
from . import checks
from .checks import ChoiceCheck, NumberCheck
from .keys import KEYS, SECTIONS, Key

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT = {"type": "string", "maxLength": checks.MOST_CHARACTERS, "pattern": r"^[^\x00-\x1f]*$"}
_OBJECT_KEY = {**_TEXT, "maxLength": checks.MOST_KEY_BYTES}
_PRINTABLE = {**_TEXT, "pattern": r"^[\x21-\x7e]*$"}
_ADDRESS = {**_TEXT, "format": "uri-reference"}
_FLAG = {"type": "boolean"}
_COUNT = {"type": "integer", "minimum": 1, "exclusiveMaximum": checks.MOST_COUNT}
_SIZE = r"^\+?(\d+\.?\d*|\.\d+)([eE][+-]?\d+|[KMGTPE]i|[numkMGTPE])?$"
_BYTES = {
    "type": ["integer", "string"],
    "minimum": 0,
    "exclusiveMaximum": checks.MOST_BYTES,
    "pattern": _SIZE,
    "examples": ["10Mi", 1048576],
}
_GLOBS = {
    "anyOf": [
        _OBJECT_KEY,
        {"type": "array", "items": _OBJECT_KEY, "maxItems": checks.MOST_GLOBS},
    ],
    "examples": [["**/*.jpg"]],
}
_SHAPES: Mapping[Any, Mapping[str, Any]] = {
    checks.check_string: _TEXT,
    checks.check_template: {"type": "string"},
    checks.check_printable: _PRINTABLE,
    checks.check_key: _OBJECT_KEY,
    checks.check_file: {
        **_OBJECT_KEY,
        "pattern": r"^([^\x00-\x1f/]([^\x00-\x1f]*[^\x00-\x1f/])?)?$",
    },
    checks.check_url: _ADDRESS,
    checks.check_endpoint: _ADDRESS,
    checks.check_storage_url: _ADDRESS,
    checks.check_flag: _FLAG,
    checks.check_done: _FLAG,
    checks.check_count: _COUNT,
    checks.check_extra_slots: {**_COUNT, "minimum": 0},
    checks.check_bytes: _BYTES,
    checks.check_chunk_bytes: {**_BYTES, "minimum": 1},
    checks.check_globs: _GLOBS,
    checks.check_retries: {"type": "integer", "minimum": 0, "maximum": checks.MOST_RETRIES},
    checks.check_tolerance: {
        "type": ["integer", "string"],
        "minimum": 0,
        "exclusiveMaximum": checks.MOST_COUNT,
        "pattern": f"^{checks.PERCENT.pattern}$",
        "examples": [20, "5%"],
    },
    checks.check_keep: {
        "type": ["number", "string"],
        "exclusiveMinimum": 0,
        "exclusiveMaximum": checks.MOST_DAYS,
        "pattern": f"^{checks.FOREVER}$",
        "examples": [checks.FOREVER, 30],
    },
    checks.check_time: {**_TEXT, "examples": ["2026-11-22T10:15:00Z"]},
    checks.check_run_id: {"type": "string", "pattern": f"^{checks.RUN_ID.pattern}$"},
    checks.check_region: {**_TEXT, "pattern": "^[A-Za-z0-9_-]*$"},
    checks.check_bucket: {"type": "string", "pattern": f"^({checks.BUCKET.pattern})?$"},
    checks.check_service: {"type": "string", "pattern": f"^({checks.SERVICE.pattern})?$"},
}


@dataclass(slots=True)
class _Branch:
    """The keys below a section, by their names."""

    members: dict[str, Any]
    required: list[str]


def make_config_schema() -> dict[str, Any]:
    """The JSON Schema of a config."""
    branches = {path: _Branch({}, []) for path in ("", *SECTIONS)}
    for path, key in KEYS.items():
        if path not in SECTIONS:
            section, _, name = path.rpartition(".")
            branches[section].members[name] = _describe_key(path, key)
            branches[section].required += [name] if key.required else []
    for path in sorted(SECTIONS, key=lambda each: -each.count(".")):
        parent, _, name = path.rpartition(".")
        required = bool(branches[path].required)
        branches[parent].members[name] = _describe_section(path, branches[path])
        branches[parent].required += [name] if required else []
    head = {
        "$schema": DIALECT,
        "$id": "config.schema.json",
        "title": "OSCAR-Batch config",
        "description": "What one run of OSCAR-Batch is asked to do. Unknown keys are refused.",
    }
    return {**head, **_describe_object(branches[""])}


def _describe_section(path: str, branch: _Branch) -> dict[str, Any]:
    inner = _describe_object(branch)
    about = {"description": SECTIONS[path]}
    if path in KEYS:  # true instead of an object
        return {**about, "anyOf": [_FLAG, inner, {"type": "null"}]}
    return about | (inner if branch.required else {**inner, "type": ["object", "null"]})


def _describe_object(branch: _Branch) -> dict[str, Any]:
    required = {"required": sorted(branch.required)} if branch.required else {}
    members = {"properties": branch.members, "additionalProperties": False}
    return {"type": "object", **members, **required}


def _describe_key(path: str, key: Key) -> dict[str, Any]:
    shape = describe_check(key.check)
    about: dict[str, Any] = {"description": key.about}
    if key.required:
        return {**about, **shape, "minLength": 1}
    if key.default not in ("", None, ()):
        about["default"] = key.default
    return {**about, **_allow_null(shape)}


def _allow_null(shape: Mapping[str, Any]) -> dict[str, Any]:
    if "anyOf" in shape:
        return {**shape, "anyOf": [*shape["anyOf"], {"type": "null"}]}
    types = shape["type"] if isinstance(shape["type"], list) else [shape["type"]]
    more = {"enum": [*shape["enum"], None]} if "enum" in shape else {}
    return {**shape, "type": [*types, "null"], **more}


def describe_check(check: Any) -> dict[str, Any]:
    """What a check accepts, as far as JSON Schema can say it."""
    if isinstance(check, NumberCheck):
        return _describe_number(check)
    if isinstance(check, ChoiceCheck):
        return {"type": "string", "enum": check.known}
    if check is checks.check_speeds:
        speed = _describe_number(checks.SPEED)
        return {"type": "array", "items": speed, "minItems": 1, "maxItems": MOST_SPEEDS}
    return dict(_SHAPES[check])


def _describe_number(check: NumberCheck) -> dict[str, Any]:
    words = {
        "exclusiveMinimum": check.above,
        "minimum": check.least,
        "exclusiveMaximum": check.below,
    }
    bounds = {word: bound for word, bound in words.items() if math.isfinite(bound)}
    return {"type": "number", **bounds}
