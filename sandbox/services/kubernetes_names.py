# SPDX-License-Identifier: Apache-2.0
"""Checks names and labels as Kubernetes does, and says in its words what is wrong with them.

Pure. The texts are those of Kubernetes 1.34, which OSCAR passes on to its callers.
"""

import re

MOST_NAME, MOST_LABEL = 253, 63
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_NAME_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  "
    "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def find_name_problem(field: str, name: str) -> str:
    """What is wrong with the name of an object in this field; empty if nothing."""
    if len(name) > MOST_NAME:
        return _describe(field, name, f"must be no more than {MOST_NAME} characters")
    return "" if _NAME.fullmatch(name) else _describe(field, name, _NAME_TEXT)


def find_label_problem(field: str, value: str) -> str:
    """What is wrong with the value of a label in this field; empty if nothing."""
    if len(value) > MOST_LABEL:
        return _describe(field, value, f"must be no more than {MOST_LABEL} characters")
    return "" if _LABEL.fullmatch(value) else _describe(field, value, _LABEL_TEXT)


def describe_invalid(kind: str, name: str, problems: list[str]) -> str:
    """The refusal of an object with these problems; several are put in brackets."""
    text = ", ".join(problems)
    return f'{kind} "{name}" is invalid: {f"[{text}]" if len(problems) > 1 else text}'


def _describe(field: str, value: str, problem: str) -> str:
    return f'{field}: Invalid value: "{value}": {problem}'
