# SPDX-License-Identifier: Apache-2.0
"""Runs with a refresh token of a real provider, on a manager that accepts current tokens only."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from coordinator.model.errors import ClusterError, NoToken
from coordinator.oscar.client import OscarClient
from sandbox.handle import Sandbox
from tests.functional.conftest import Deploy
from tests.functional.coordination import RECORDER, config_for, coordinate, fill, recorded
from tests.functional.oidc import Front, Provider, run_front, run_provider

pytestmark = pytest.mark.any_storage

# Of the access tokens that the provider gives.
LIFE_S = 3600


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with run_provider() as found:
        yield found


@pytest.fixture
def front(sandbox: Sandbox, provider: Provider) -> Iterator[Front]:
    with run_front(sandbox, provider) as found:
        yield found


@pytest.fixture
def recorder(deploy: Deploy, name: str) -> str:
    """A service of 1 CPU that keeps its invocations."""
    output = {"storage_provider": "minio.default", "path": f"{name}-out/seen"}
    deploy(RECORDER, cpu="1", memory="256Mi", output=[output])
    return name


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


def test_one_token_is_used_until_shortly_before_it_expires(
    front: Front, provider: Provider
) -> None:
    clock = Clock()
    oscar = OscarClient(front.access(provider.log_in()), now_s=clock)
    oscar.read_release()
    clock.now_s += LIFE_S - 61
    oscar.read_release()
    assert list(front.uses.values()) == [2]
    for _ in range(3):  # every refresh token is good for one use: the newest one is sent
        clock.now_s += LIFE_S - 59
        oscar.read_release()
    assert list(front.uses.values()) == [2, 1, 1, 1]
    assert front.refused == []


def test_a_token_that_oscar_refuses_is_replaced_once(front: Front, provider: Provider) -> None:
    oscar = OscarClient(front.access(provider.log_in()))
    front.most_uses = 1
    for _ in range(3):
        assert oscar.read_release() is not None
    assert list(front.uses.values()) == [2, 2, 1]
    assert front.refused == 2 * ["GET /system/info"]

    front.most_uses, before = 0, sum(front.uses.values())
    with pytest.raises(
        ClusterError, match=r"OSCAR refused the credentials.*nobody has …"
    ) as caught:
        oscar.read_storage()
    assert [token for token in front.uses if token in str(caught.value)] == []
    assert sum(front.uses.values()) == before + 2, "once, and then it is an error"


def test_threads_share_a_token_and_spend_a_refresh_token_once(
    front: Front, provider: Provider
) -> None:
    oscar = OscarClient(front.access(provider.log_in()))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: oscar.read_storage(), range(16)))
    assert len(found) == 16
    assert list(front.uses.values()) == [16]


def test_an_ended_session_says_what_to_do(front: Front, provider: Provider) -> None:
    oidc = provider.log_in("bob")
    clock = Clock()
    oscar = OscarClient(front.access(oidc), now_s=clock)
    oscar.read_storage()
    provider.end_sessions("bob")
    calls: list[Any] = [
        oscar.read_storage,
        oscar.read_release,
        oscar.read_cluster,
        lambda: oscar.read_quota("bob"),
    ]
    for call in calls:
        with pytest.raises(NoToken, match=r"refused the refresh token .* log in") as caught:
            call()
        assert oidc.refresh_token not in str(caught.value)


@pytest.mark.parametrize("source", ["config", "variables"])
def test_a_run_goes_on_when_its_tokens_are_refused(
    sandbox: Sandbox, front: Front, provider: Provider, recorder: str, tmp_path: Path, source: str
) -> None:
    fill(sandbox, f"{recorder}-data", [f"input/{i}.jpg" for i in range(6)])
    given = asdict(provider.log_in())
    config = config_for(sandbox, recorder, f"{recorder}-data", plan={"max_parallel": 2})
    if source == "config":
        config["oscar_cluster"] = {"url": front.url, "auth_token": given, "verify": False}
        variables = {}
    else:
        del config["oscar_cluster"]
        named = {**given, "url": front.url, "verify": "false"}
        variables = {f"OSCAR_BATCH_OSCAR_{key.upper()}": value for key, value in named.items()}
    front.most_uses = 1

    ran = coordinate("run", config, tmp_path, variables=variables)

    assert (ran.code, ran.report["ending"]) == (0, "submitted"), ran.stderr
    bodies = recorded(sandbox, recorder, 2)
    lines = [line for body in bodies for line in range(body["start"], body["end"] + 1)]
    assert lines == [1, 2, 3, 4, 5, 6]
    assert front.refused, "a token was good for one request"
    assert any("without TLS" in warning for warning in ran.report["warnings"])
    shown = f"{ran.stdout}{ran.stderr}{ran.report}"
    assert [token for token in (given["refresh_token"], *front.uses) if token in shown] == []


def test_without_tls_a_config_must_say_so(provider: Provider, tmp_path: Path) -> None:
    config = {
        "bucket": {"name": "data"},
        "service": {"name": "target"},
        "MinIO": {"url": "minio.example.org", "access_key": "k", "secret_key": "secret"},
        "oscar_cluster": {"url": "oscar.example.org", "auth_token": asdict(provider.log_in())},
    }
    ran = coordinate("validate", config, tmp_path)
    assert ran.code == 2
    assert "token_endpoint: must be https" in ran.stdout + ran.stderr
