# SPDX-License-Identifier: Apache-2.0
"""What a web page of another origin may do: with the manager nothing, behind a route everything."""

from collections.abc import Iterator

import pytest
import requests

from sandbox.handle import Sandbox, run_sandbox

pytestmark = pytest.mark.any_storage

PREFLIGHT = {
    "Origin": "https://dashboard.example.org",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with run_sandbox(tmp_path_factory.mktemp("cors"), ["--cors"]) as found:
        yield found


def preflight(box: Sandbox, path: str) -> requests.Response:
    return requests.options(box.url + path, headers=PREFLIGHT, timeout=5)


@pytest.mark.parametrize("path", ["/system/services", "/job/any", "/health"])
def test_the_manager_itself_refuses_a_preflight_request(sandbox: Sandbox, path: str) -> None:
    answer = preflight(sandbox, path)
    assert (answer.status_code, answer.text) == (404, "404 page not found")
    assert not [name for name in answer.headers if name.startswith("Access-Control")]
    answer = sandbox.call("GET", "/system/info")
    assert not [name for name in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("path", ["/system/services", "/job/any", "/health"])
def test_the_route_of_the_chart_allows_it_without_credentials(routed: Sandbox, path: str) -> None:
    answer = preflight(routed, path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Headers"] == "*"
    allowed = answer.headers["Access-Control-Allow-Methods"].split(", ")
    assert {"GET", "POST", "PUT", "DELETE"} <= set(allowed)


def test_behind_the_route_answers_and_refusals_can_be_read(routed: Sandbox) -> None:
    done = routed.call("GET", "/system/services")
    refused = requests.get(f"{routed.url}/system/services", timeout=5)
    assert (done.status_code, refused.status_code) == (200, 401)
    for answer in (done, refused):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Vary"] == "Origin"
