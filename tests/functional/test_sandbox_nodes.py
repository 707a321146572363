# SPDX-License-Identifier: Apache-2.0
"""Nodes that come, go, die and are slow, and what is then reported of their jobs.

Each test adds a node with a GPU and gives its jobs a GPU, so they run there and nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.handle import Sandbox, wait_until
from tests.functional.conftest import Deploy

pytestmark = pytest.mark.any_storage

NODE = "1x4:8Gi:gpu=2"


@pytest.fixture
def node(chaotic: Sandbox) -> Iterator[str]:
    """A node with two GPUs; the only one that has any."""
    (name,) = chaotic.add_nodes(NODE)
    yield name
    if name in names(chaotic):
        chaotic.remove_node(name)


def names(box: Sandbox) -> list[str]:
    return [node["name"] for node in box.chaos("GET", "nodes")]


def shown(box: Sandbox) -> dict[str, Any]:
    nodes = box.call("GET", "/system/status").json()["cluster"]["nodes"]
    return {node["name"]: node for node in nodes}


def statuses(box: Sandbox, service: str) -> list[str]:
    return sorted(job["status"] for job in box.list_jobs(service).values())


def wait(box: Sandbox, service: str, expected: list[str]) -> None:
    wait_until(
        lambda: statuses(box, service) == expected or None,
        15,
        lambda: f"{statuses(box, service)} is not {expected}",
    )


def processes(word: str) -> list[str]:
    """Command lines on this machine that contain the word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if word in line:
            found.append(line)
    return found


@pytest.fixture
def sleepers(chaotic: Sandbox, deploy_on: Deploy, name: str, node: str) -> str:
    """Two jobs on the node that would run for a minute; the name of their service."""
    deploy_on(chaotic, f"trap '' TERM; sh -c 'sleep 60; echo {name}'", enable_gpu=True)
    for _ in range(2):
        assert chaotic.invoke(name, "{}").status_code == 201
    wait_until(lambda: len(processes(f"echo {name}")) >= 2 or None, 15, lambda: "they do not run")
    return name


def test_a_node_that_is_added_takes_waiting_jobs(
    chaotic: Sandbox, deploy_on: Deploy, name: str
) -> None:
    deploy_on(chaotic, "true", enable_gpu=True)
    chaotic.invoke(name, "{}")
    assert statuses(chaotic, name) == ["Pending"]
    (added,) = chaotic.add_nodes(NODE)
    assert shown(chaotic)[added]["gpu"] == 2
    chaotic.wait_until_ended(name)
    chaotic.remove_node(added)
    assert added not in shown(chaotic)
    (again,) = chaotic.add_nodes(NODE)
    assert again != added, "a new machine has a new name"
    chaotic.remove_node(again)


def test_gpus_in_the_status_ignore_their_use(chaotic: Sandbox, sleepers: str, node: str) -> None:
    assert shown(chaotic)[node]["gpu"] == 2
    chaotic.invoke(sleepers, "{}")
    assert statuses(chaotic, sleepers) == ["Pending", "Running", "Running"]


@pytest.mark.parametrize("verb", ["kill", "drain", "remove"])
def test_jobs_of_a_lost_node_lose_processes_and_pod(
    chaotic: Sandbox, sleepers: str, node: str, verb: str
) -> None:
    act: dict[str, Callable[[str], None]] = {
        "kill": chaotic.kill_node,
        "drain": chaotic.drain_node,
        "remove": chaotic.remove_node,
    }
    act[verb](node)
    wait(chaotic, sleepers, ["Suspended", "Suspended"])
    assert processes(f"echo {sleepers}") == []
    job = next(iter(chaotic.list_jobs(sleepers)))
    log = chaotic.call("GET", f"/system/logs/{sleepers}/{job}")
    assert (log.status_code, log.content) == (500, b""), "the log went with the pod"
    chaotic.invoke(sleepers, "{}")
    assert statuses(chaotic, sleepers) == ["Pending", "Suspended", "Suspended"]
    if verb == "drain":
        assert shown(chaotic)[node]["status"] == "Ready", "a cordoned node does not show"
        chaotic.chaos("POST", f"nodes/{node}/uncordon")
        wait(chaotic, sleepers, ["Running", "Suspended", "Suspended"])
    if verb == "kill":
        assert shown(chaotic)[node]["status"] == "NotReady"


def test_a_dead_node_is_noticed_after_a_delay(chaotic: Sandbox, sleepers: str, node: str) -> None:
    chaotic.kill_node(node, unnoticed_s=4)
    wait_until(lambda: not processes(f"echo {sleepers}") or None, 10, lambda: "they live")
    assert statuses(chaotic, sleepers) == ["Running", "Running"]
    assert chaotic.chaos("GET", "nodes")[-1]["jobs"]
    wait(chaotic, sleepers, ["Suspended", "Suspended"])


def test_a_dead_node_that_is_no_longer_measured_is_not_listed(chaotic: Sandbox, node: str) -> None:
    chaotic.chaos("POST", f"nodes/{node}/kill", measured=False)
    assert node not in shown(chaotic)
    assert node in names(chaotic)


def test_an_interlink_node_is_listed_and_gets_no_jobs(
    chaotic: Sandbox, deploy_on: Deploy, name: str
) -> None:
    (virtual,) = chaotic.add_nodes("1x64:256Gi:gpu=8:interlink")
    deploy_on(chaotic, "true", enable_gpu=True)
    chaotic.invoke(name, "{}")
    assert shown(chaotic)[virtual]["is_interlink"] is True
    assert statuses(chaotic, name) == ["Pending"]
    chaotic.remove_node(virtual)


SPIN = """
python - <<'END'
import time
began, used = time.monotonic(), time.process_time()
while time.monotonic() < began + 1.5:
    pass
print("share", (time.process_time() - used) / (time.monotonic() - began))
END
"""


@pytest.mark.parametrize("how", ["declared", "changed"])
def test_a_slow_node_slows_computing(
    chaotic: Sandbox, deploy_on: Deploy, name: str, how: str
) -> None:
    """The share of time in which a process that never waits has the processor."""
    (slow,) = chaotic.add_nodes(NODE + (":speed=0.25" if how == "declared" else ""))
    deploy_on(chaotic, SPIN if how == "declared" else f"sleep 1\n{SPIN}", enable_gpu=True)
    chaotic.invoke(name, "{}")
    if how == "changed":
        wait(chaotic, name, ["Running"])
        chaotic.slow_node(slow, 0.25)
    (job,) = chaotic.wait_until_ended(name)
    share = float(chaotic.read_log(name, job).split("share")[1].split()[0])
    chaotic.remove_node(slow)
    assert 0 < share < 0.4


def test_a_slow_node_does_not_slow_waiting_and_can_recover(
    chaotic: Sandbox, deploy_on: Deploy, name: str, node: str
) -> None:
    deploy_on(chaotic, "date +%s%N; sleep 3; date +%s%N", enable_gpu=True)
    chaotic.slow_node(node, 0.5)
    chaotic.invoke(name, "{}")
    (job,) = chaotic.wait_until_ended(name)
    before, after = (int(line) for line in chaotic.read_log(name, job).splitlines()[-3:-1])
    assert after - before < 5e9, "a sleep of 3 s that is slowed takes 6"
    chaotic.slow_node(node, 0.01)
    chaotic.invoke(name, "{}")
    wait(chaotic, name, ["Running", "Succeeded"])
    with pytest.raises(TimeoutError):
        chaotic.wait_until_ended(name, 2, within_s=2)
    chaotic.slow_node(node, 1)
    chaotic.wait_until_ended(name, 2)


def test_suspended_jobs_start_anew_when_they_are_released(chaotic: Sandbox, sleepers: str) -> None:
    first = chaotic.list_jobs(sleepers)
    chaotic.suspend(sleepers)
    chaotic.invoke(sleepers, "{}")
    wait(chaotic, sleepers, ["Suspended"] * 3)
    assert processes(f"echo {sleepers}") == []
    chaotic.release(sleepers)
    wait(chaotic, sleepers, ["Pending", "Running", "Running"])
    assert first.keys() <= chaotic.list_jobs(sleepers).keys()
    chaotic.suspend(sleepers)
    chaotic.release(sleepers)
    wait(chaotic, sleepers, ["Pending", "Running", "Running"])


def test_vanished_jobs_leave_no_record(chaotic: Sandbox, sleepers: str) -> None:
    job, other = chaotic.list_jobs(sleepers)
    chaotic.vanish(sleepers, job)
    assert list(chaotic.list_jobs(sleepers)) == [other]
    log = chaotic.call("GET", f"/system/logs/{sleepers}/{job}")
    assert (log.status_code, log.content) == (500, b"")
    again = chaotic.invoke(sleepers, "{}", **{"X-Delegated-Job-ID": job})
    assert again.status_code == 201, "a name is taken only as long as its job exists"
    chaotic.vanish(sleepers)
    assert chaotic.list_jobs(sleepers) == {}


def test_no_chaos_without_the_option(sandbox: Sandbox) -> None:
    answer = sandbox.call("GET", "/_sandbox/nodes")
    assert (answer.status_code, answer.text) == (404, "404 page not found")


def test_chaos_needs_the_password(chaotic: Sandbox) -> None:
    assert requests.get(f"{chaotic.url}/_sandbox/nodes", timeout=5).status_code == 401


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("nodes", {"nodes": "two"}, 400, "two"),
        ("nodes/node-1/slow", {"speed": 2}, 400, "0.01 to 1"),
        ("nodes/node-1/slow", {}, 400, "None"),
        ("nodes/nobody/kill", {}, 404, "nobody"),
        ("nodes/node-1/kill", {"unnoticed_s": "soon"}, 400, "soon"),
        ("services/nobody/suspend", {}, 404, "nobody"),
        ("faults", {"statsu": 500}, 400, "statsu"),
        ("faults", {"status": "500"}, 400, "status"),
        ("faults", {"status": 42}, 400, "42"),
        ("faults", {"cut": "maybe"}, 400, "before or after"),
        ("faults", {}, 400, "object"),
        ("faults", [], 400, "object"),
        ("clock", {"seconds": -1}, 400, "-1"),
    ],
)
def test_chaos_refuses_with_the_reason(
    chaotic: Sandbox, path: str, body: object, status: int, word: str
) -> None:
    answer = chaotic.call("POST", f"/_sandbox/{path}", json=body)
    assert (answer.status_code, word in answer.text) == (status, True), answer.text


def test_time_passes_for_ended_jobs_only(chaotic: Sandbox, deploy_on: Deploy, name: str) -> None:
    deploy_on(chaotic, "sleep 1")
    chaotic.invoke(name, "{}")
    chaotic.advance(10**8)
    time.sleep(0.1)
    assert len(chaotic.wait_until_ended(name)) == 1
