# SPDX-License-Identifier: Apache-2.0
"""Renders `service.payload`, a Jinja2 template whose result is the body of an invocation.

A template has values, arithmetic, `if` and a few filters. Loops, macros, calls, attributes and
assignments are refused: whoever writes a config must not be able to keep the coordinator busy or
fill its memory. The result must be one JSON object without the keys by which the supervisor knows
other kinds of events.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, nodes
from jinja2.sandbox import SandboxedEnvironment

from ...model.errors import clean_text
from .encoding import MOST_BYTES, encode_body

MOST_CHARACTERS = 16_384
"""A longer template is refused."""
Values = Mapping[str, str | int]
SAMPLE: Values = {
    "start": 1,
    "end": 250,
    "items": 250,
    "size_bytes": 250_000,
    "chunk": 1,
    "attempt": 1,
    "run": "20261122t101500z-3f9a1c",
    "service": "service",
    "bucket": "bucket",
    "folder_prefix": "input/",
    "index": ".oscar-batch/20261122t101500z-3f9a1c/index.txt",
    "index_bucket": "bucket",
}
"""All variables that a template has, with values to try it on."""
RESERVED = frozenset(
    ("httpMethod", "event", "Records", "event_type", "subscription", "payload", "storage_provider")
)
"""Keys at the top of a body by which the supervisor or OSCAR takes it for another event."""

_LITERALS = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name)
_CHOICES = (nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not)
_SUMS = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg)
_ALLOWED = (*_LITERALS, *_CHOICES, *_SUMS, nodes.Concat, nodes.Filter)


def _bound(text: str) -> str:
    if len(text) > MOST_BYTES:
        raise ValueError("a text in it is longer than a body can be")
    return text


_FILTERS: Mapping[str, Callable[..., object]] = {
    "tojson": lambda value: _bound(json.dumps(value)),
    "string": str,
    "int": int,
    "lower": lambda text: str(text).lower(),
    "upper": lambda text: str(text).upper(),
    "trim": lambda text: str(text).strip(),
}


class _Environment(SandboxedEnvironment):
    """Operators take numbers only: `"x" * 10**9` and `"%999999999d" % 1` would fill the memory."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if not all(isinstance(each, int | float) for each in (left, right)):
            raise ValueError(f"{operator} takes numbers only; ~ joins texts")
        return super().call_binop(context, operator, left, right)


class PayloadTemplate:
    """A template that was read without problems."""

    def __init__(self, text: str) -> None:
        """Raises ValueError with the line and what is wrong there."""
        if len(text) > MOST_CHARACTERS:
            raise ValueError(f"has {len(text)} characters: a template has at most 16,384")
        environment = _Environment(undefined=StrictUndefined)
        environment.filters = dict(_FILTERS)
        environment.globals = {}
        try:
            parsed = environment.parse(text)
            for problem in _find_problems(parsed):
                raise ValueError(problem)
            self._template: Template = environment.from_string(parsed)
        except TemplateSyntaxError as error:
            raise ValueError(f"line {error.lineno}: {clean_text(str(error.message))}") from error
        except (RecursionError, MemoryError, SyntaxError) as error:
            # Python compiles what the template says, and has limits of its own.
            raise ValueError("is nested too deeply") from error

    def render(self, values: Values) -> bytes:
        """The body for these values. Raises ValueError if they make none."""
        pieces, length = [], 0
        try:
            for piece in self._template.generate(values):
                pieces.append(piece)
                length += len(piece)
                if length > MOST_BYTES:
                    raise ValueError("the result is longer than a body can be")
        except (ValueError, TypeError, ArithmeticError) as error:
            raise ValueError(f"{_find_line(error)}{clean_text(str(error))}") from error
        return _encode_result("".join(pieces))


def find_template_problems(text: str) -> list[str]:
    """What is wrong with a template, tried on sample values; nothing is if there is none."""
    try:
        if text:
            PayloadTemplate(text).render(SAMPLE)
    except ValueError as error:
        return [f"service.payload: {error}"]
    return []


def _find_problems(template: nodes.Template) -> Iterator[str]:
    for node in template.find_all(nodes.Node):
        here = f"line {node.lineno}: "
        if isinstance(node, nodes.Filter) and (
            node.args or node.kwargs or node.dyn_args or node.dyn_kwargs
        ):
            yield f"{here}the filter {node.name} takes no arguments here"
        elif isinstance(node, nodes.Filter) and node.name not in _FILTERS:
            yield f"{here}{node.name} is not a filter here; there are {', '.join(_FILTERS)}"
        elif isinstance(node, nodes.Name) and node.name not in SAMPLE:
            yield here + _describe_unknown(node.name)
        elif not isinstance(node, _ALLOWED):
            kind = type(node).__name__.lower()
            yield f"{here}{kind} is not allowed: a template has variables, arithmetic, if, filters"


def _describe_unknown(name: str) -> str:
    shown, near = clean_text(name, 40), difflib.get_close_matches(name, SAMPLE, n=1)
    advice = f"did you mean {near[0]}?" if near else f"known: {', '.join(SAMPLE)}"
    return f"{shown} is not a variable; {advice}"


def _find_line(error: BaseException) -> str:
    """The line of the template on which an error came up."""
    line, traceback = 0, error.__traceback__
    while traceback:
        if traceback.tb_frame.f_code.co_filename == "<template>":
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return f"line {line}: " if line else ""


def _encode_result(text: str) -> bytes:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        shown = clean_text(text, 120)
        raise ValueError(f"the result is not JSON: {error.msg} at {where} of {shown}") from error
    except RecursionError as error:
        raise ValueError("the result is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"the result must be a JSON object, and is {clean_text(text, 120)}")
    if reserved := sorted(RESERVED & value.keys()):
        raise ValueError(
            f"the key {reserved[0]} makes the supervisor take the body for another kind of event; "
            "name it otherwise"
        )
    body = encode_body(value)
    if len(body) > MOST_BYTES:
        raise ValueError(f"the body has {len(body)} bytes; no job starts with more than 131,065")
    return body
