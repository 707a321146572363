# SPDX-License-Identifier: Apache-2.0
"""The values of `--latencies`."""

import pytest

from sandbox.cluster.latencies import Latencies, parse_latencies


@pytest.mark.parametrize(
    ("text", "latencies"),
    [
        ("none", Latencies()),
        ("real", Latencies(6.5, 30.0, 1.5, 10.0, 0.3)),
        ("grace_s=5,pod_s=1", Latencies(grace_s=5, pod_s=1)),
    ],
)
def test_latencies(text: str, latencies: Latencies) -> None:
    assert parse_latencies(text) == latencies


@pytest.mark.parametrize("text", ["", "fast", "grace_s", "grace_s=x", "grace_s=-1", "nan=1"])
def test_other_latencies_are_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(ValueError, match="service_s, grace_s, finish_s, sidecar_s, pod_s"):
        parse_latencies(text)
