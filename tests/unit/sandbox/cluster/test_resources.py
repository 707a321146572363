# SPDX-License-Identifier: Apache-2.0
"""Quantities, node declarations and placement."""

import pytest

from sandbox.cluster.resources import (
    Node,
    Resources,
    find_first_fit,
    parse_nodes,
    parse_quantity,
    parse_resources,
)

GIB = 1024**3


@pytest.mark.parametrize(
    ("text", "scale", "expected"),
    [
        ("500m", 1000, 500),
        ("0.5", 1000, 500),
        ("1", 1000, 1000),
        ("1e3m", 1000, None),
        ("1.5", 1000, 1500),
        ("0.0001", 1000, 1),
        (".5", 1000, 500),
        ("3500Mi", 1, 3500 * 1024**2),
        ("1.5Gi", 1, GIB * 3 // 2),
        ("1G", 1, 10**9),
        ("500M", 1, 500 * 10**6),
        ("1e9", 1, 10**9),
        ("1E", 1, 10**18),
        ("128Ki", 1, 128 * 1024),
        ("1073741824", 1, GIB),
        ("1500m", 1, 2),
        ("", 1, None),
        ("3 Gi", 1, None),
        ("3GB", 1, None),
        ("lots", 1, None),
    ],
)
def test_quantities(text: str, scale: int, expected: int | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="quantities"):
            parse_quantity(text, scale=scale)
    else:
        assert parse_quantity(text, scale=scale) == expected


def test_nodes_are_counted_and_named_in_order() -> None:
    nodes = parse_nodes("2x4:8Gi,16:32Gi:gpu=2")
    assert [node.name for node in nodes] == ["node-1", "node-2", "node-3"]
    assert nodes[1].capacity == Resources(4000, 8 * GIB)
    assert nodes[2].capacity == Resources(16000, 32 * GIB, 2)


def test_nodes_may_be_slow_or_virtual() -> None:
    fast, slow, virtual = parse_nodes("1x8:16Gi:gpu=1,3:8Gi:speed=0.5,1x9:9Gi:interlink", first=7)
    assert [fast.name, slow.name, virtual.name] == ["node-7", "node-8", "node-9"]
    assert (fast.speed, slow.speed, slow.open) == (1.0, 0.5, True)
    assert (virtual.interlink, virtual.open) == (True, False)


@pytest.mark.parametrize(
    "text", ["", "4", "2x4", "x4:8Gi", "0x4:8Gi", "2x0:8Gi", "2x4:8GB", "1:1Gi:speed=0"]
)
def test_a_malformed_nodes_option_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"node|quantities"):
        parse_nodes(text)


@pytest.mark.parametrize(
    ("needs", "node"),
    [
        (parse_resources("1", "1Gi"), "b"),
        (parse_resources("1001m", "1Gi"), None),
        (parse_resources("500m", "1Gi"), "a"),
        (parse_resources("500m", "1025Mi"), "b"),
        (parse_resources("0.1", "1Gi", 1), None),
    ],
)
def test_the_first_node_with_enough_of_every_resource(needs: Resources, node: str | None) -> None:
    nodes = [Node("a", parse_resources("1", "2Gi")), Node("b", parse_resources("1", "2Gi"))]
    assert find_first_fit(nodes, {"a": parse_resources("500m", "1Gi")}, needs) == node


@pytest.mark.parametrize("flag", ["cordoned", "lost", "interlink"])
def test_a_node_that_is_closed_gets_nothing(flag: str) -> None:
    free = parse_resources("1", "1Gi")
    nodes = [Node("a", free, **{flag: True}), Node("b", free)]
    assert find_first_fit(nodes, {}, free) == "b"
