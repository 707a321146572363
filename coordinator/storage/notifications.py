# SPDX-License-Identifier: Apache-2.0
"""Reads the notifications of a bucket: the targets that the server calls for new objects."""

from __future__ import annotations

from xml.etree import ElementTree


def parse_notifications(content: bytes) -> list[tuple[str, str]]:
    """The target (an ARN) and the prefix of each. Raises ParseError."""
    if b"<!" in content:  # a declaration can make a small answer grow without bound
        raise ElementTree.ParseError("the answer has a declaration")
    root = ElementTree.fromstring(content)  # noqa: S314
    return [
        (_find(queue, "Queue"), _find_prefix(queue))
        for queue in root.iter()
        if _get_name(queue) == "QueueConfiguration"
    ]


def _find_prefix(queue: ElementTree.Element) -> str:
    for rule in queue.iter():
        if _get_name(rule) == "FilterRule" and _find(rule, "Name").lower() == "prefix":
            return _find(rule, "Value")
    return ""


def _find(element: ElementTree.Element, name: str) -> str:
    return next((each.text or "" for each in element.iter() if _get_name(each) == name), "")


def _get_name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
