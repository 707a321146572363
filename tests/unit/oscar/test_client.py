# SPDX-License-Identifier: Apache-2.0
"""The client of the OSCAR manager: what its answers mean."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from coordinator.model.access import ClusterAccess
from coordinator.model.cluster import Capacity, CapacityRules, Resources
from coordinator.model.errors import ClusterError, NoStatus
from coordinator.model.run import Verdict
from coordinator.model.service import Service
from coordinator.oscar.client import OscarClient
from coordinator.plan.capacity import find_capacity
from tests.unit import make
from tests.unit.manager import manager
from tests.unit.sockets import answering

DATA = Path(__file__).parents[2] / "data"
STATUS = "GET /system/status"
NO_NODES = '{"numberNodes":0,"detail":null}'

UNUSABLE: list[tuple[str, tuple[int, str] | None]] = [
    ("HTTP 500", (500, '{"error":"Error getting metrics info"}')),
    ("nothing in a 200", (200, "")),
    ("no JSON in a 200", (200, "<html>hello</html>")),
    ("another JSON", (200, "{}")),
    ("a manager that died of the question", None),
]


def capacity_of(
    oscar: OscarClient,
    max_parallel: int | None,
    *,
    extra_slots: int = 0,
    service: Service | None = None,
) -> Capacity:
    rules = CapacityRules(max_parallel=max_parallel, extra_slots=extra_slots)
    return find_capacity(service or make.service(), rules, oscar.read_cluster, oscar.read_quota)


@pytest.mark.parametrize("answer", [a for _, a in UNUSABLE], ids=[name for name, _ in UNUSABLE])
def test_an_unusable_status_gives_way_to_the_configured_parallelism(
    answer: tuple[int, str] | None,
) -> None:
    with manager({STATUS: answer}) as cluster:
        assert capacity_of(cluster.oscar, 7).slots == 7


@pytest.mark.parametrize("answer", [a for _, a in UNUSABLE], ids=[name for name, _ in UNUSABLE])
def test_an_unusable_status_without_it_says_what_to_set(answer: tuple[int, str] | None) -> None:
    with (
        manager({STATUS: answer}) as cluster,
        pytest.raises(NoStatus, match=r"set plan\.max_parallel"),
    ):
        capacity_of(cluster.oscar, None)


@pytest.mark.parametrize(("max_parallel", "slots"), [(7, 7), (None, 0)])
def test_a_status_without_nodes_gives_way_too(max_parallel: int | None, slots: int) -> None:
    with manager({STATUS: (200, NO_NODES)}) as cluster:
        capacity = capacity_of(cluster.oscar, max_parallel)
    assert capacity.slots == slots
    assert "names no node" in " ".join([capacity.explanation, *capacity.warnings])


def test_a_usable_status_is_bounded_by_the_configured_parallelism() -> None:
    recorded = (DATA / "status_f.json").read_text()
    with manager({STATUS: (200, recorded)}) as cluster:
        capacity = capacity_of(cluster.oscar, 1)
    assert (capacity.slots, capacity.limited_by) == (1, "max_parallel")


@pytest.mark.parametrize("code", [401, 403])
def test_a_refused_status_is_no_missing_status(code: int) -> None:
    with manager({STATUS: (code, "")}) as cluster, pytest.raises(ClusterError) as caught:
        cluster.oscar.read_cluster()
    assert not isinstance(caught.value, NoStatus)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ((201, ""), Verdict.ACCEPTED),
        ((500, 'jobs.batch "job" already exists'), Verdict.ACCEPTED),
        ((200, ""), Verdict.UNCERTAIN),
        ((200, "<html>Please log in</html>"), Verdict.UNCERTAIN),
        ((202, ""), Verdict.UNCERTAIN),
        ((500, 'jobs.batch "another" already exists'), Verdict.REFUSED),
        ((403, "secret already exists"), Verdict.REFUSED),
        ((500, 'secrets "minio" already exists'), Verdict.REFUSED),
        ((401, ""), Verdict.STALE_TOKEN),
        ((429, ""), Verdict.BUSY),
        ((503, ""), Verdict.BUSY),
        ((500, ""), Verdict.UNCERTAIN),
        ((500, "context deadline exceeded"), Verdict.UNCERTAIN),
        ((502, "bad gateway"), Verdict.UNCERTAIN),
        ((504, ""), Verdict.UNCERTAIN),
        ((500, "exceeded quota"), Verdict.REFUSED),
        ((500, 'the FDL of the service "target" cannot be read'), Verdict.REFUSED),
        ((400, "invalid"), Verdict.REFUSED),
        ((404, ""), Verdict.REFUSED),
        (None, Verdict.UNCERTAIN),
    ],
)
def test_what_an_answer_to_an_invocation_proves(
    answer: tuple[int, str] | None, verdict: Verdict
) -> None:
    with manager({"POST /job/target": answer}) as cluster:
        assert cluster.oscar.invoke(make.service(), b"{}", job="job").verdict is verdict


@pytest.mark.parametrize(
    ("definition", "needs"),
    [
        ({"cpu": "500m", "memory": "3500Mi"}, Resources(500, 3500 * make.MIB)),
        ({"cpu": "", "memory": None}, Resources(200, 256 * make.MIB)),
        ({"cpu": "1", "memory": "1G", "enable_gpu": True}, Resources(1000, 10**9, 1)),
    ],
    ids=["quantities", "OSCAR's defaults", "a GPU"],
)
def test_what_one_invocation_needs(definition: dict[str, object], needs: Resources) -> None:
    text = json.dumps({"name": "target", "token": "t", **definition})
    with manager({"GET /system/services/target": (200, text)}) as cluster:
        assert cluster.oscar.read_service("target").needs == needs


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((404, ""), "nothing there has that name"),
        ((401, ""), "refused the credentials"),
        ((403, "forbidden"), "may not do that"),
        ((500, "boom"), "HTTP 500"),
        ((500, 'the FDL of the service "target" cannot be read'), "delete configmap target "),
        ((200, ""), "missing permission"),
        ((200, "<html>"), "not JSON"),
        ((200, "[]"), "not a service definition"),
        ((200, '{"token": "t", "cpu": "1e3m"}'), "unusable cpu or memory"),
        (None, "the connection broke"),
    ],
)
def test_a_service_that_cannot_be_read(answer: tuple[int, str] | None, said: str) -> None:
    with (
        manager({"GET /system/services/target": answer}) as cluster,
        pytest.raises(ClusterError, match=said) as caught,
    ):
        cluster.oscar.read_service("target")
    assert "canary" not in str(caught.value)


OWN, OTHERS = "GET /system/quotas/user", "GET /system/quotas/user/alice"
QUOTA = json.dumps({"user_id": "alice", "resources": {"cpu": {"max": 2000, "used": 500}}})


@pytest.mark.parametrize(
    ("owner", "answers", "left"),
    [
        pytest.param("alice", {OTHERS: (200, QUOTA)}, 1500, id="an administrator sees others'"),
        pytest.param("", {OWN: (200, QUOTA)}, 1500, id="an unknown owner is the caller"),
        pytest.param("alice", {OWN: (200, QUOTA)}, 1500, id="the caller is the owner"),
        pytest.param("bob", {OWN: (200, QUOTA)}, None, id="another's quota bounds nothing"),
        pytest.param("cluster_admin", {OWN: (200, QUOTA)}, None, id="no queue for administrators"),
        pytest.param("alice", {OWN: (401, "missing user")}, None, id="HTTP 401"),
        pytest.param("alice", {}, None, id="HTTP 404"),
        pytest.param("alice", {OTHERS: (503, "kueue is not enabled")}, None, id="HTTP 503"),
        pytest.param("alice", {OTHERS: (200, "<html>")}, None, id="no JSON"),
        pytest.param("alice", {OTHERS: (200, '{"resources": 5}')}, None, id="another JSON"),
        pytest.param("alice", {OTHERS: None}, None, id="a broken connection"),
    ],
)
def test_a_quota_is_known_or_it_is_not(
    owner: str, answers: dict[str, tuple[int, str] | None], left: int | None
) -> None:
    with manager(answers) as cluster:
        quota = cluster.oscar.read_quota(owner)
    assert (quota.left.cpu_millicores if quota else None) == left


def test_half_a_character_that_json_can_say_is_asked_for_as_something() -> None:
    page = '{"jobs": {"a": {"status": "Pending"}}, "next_page": "\\ud800"}'
    answers = {
        "GET /system/logs/target": (200, page),
        "GET /system/logs/target?page=%3F": (200, '{"jobs": {}, "next_page": ""}'),
    }
    with manager({**answers}) as cluster:
        assert cluster.oscar.read_quota("\ud800") is None
        assert set(cluster.oscar.list_jobs("target").phases) == {"a"}
        with pytest.raises(ClusterError, match="read the log"):
            cluster.oscar.read_log("target", "\ud800")


@pytest.mark.parametrize(("extra", "slots"), [(0, 0), (5, 5)])
def test_a_service_that_fits_nowhere_waits_for_larger_nodes_only_if_asked(
    extra: int, slots: int
) -> None:
    service = replace(make.service(), needs=Resources(10**6, 1))
    with manager({STATUS: (200, (DATA / "status_f.json").read_text())}) as cluster:
        capacity = capacity_of(cluster.oscar, None, extra_slots=extra, service=service)
    assert capacity.slots == slots
    assert ("even when empty" in capacity.explanation) == (not extra)


LIST = "GET /system/services"


def test_all_services_are_listed_in_one_request() -> None:
    text = json.dumps([{"name": "other", "input": [{"path": "data/in"}]}])
    with manager({LIST: (200, text)}) as cluster:
        (trigger,) = cluster.oscar.read_triggers()
        assert [line for line, _ in cluster.requests] == [LIST]
    assert (str(trigger.folder), trigger.owner) == ("data/in/", "service other")


@pytest.mark.parametrize("answer", [(500, ""), (200, "{}"), (200, ""), None])
def test_services_that_cannot_be_listed_are_an_error(answer: tuple[int, str] | None) -> None:
    with manager({LIST: answer}) as cluster, pytest.raises(ClusterError, match="list the services"):
        cluster.oscar.read_triggers()


def test_a_cluster_without_services_has_no_triggers() -> None:
    with manager({LIST: (200, "null")}) as cluster:
        assert cluster.oscar.read_triggers() == ()


@pytest.mark.parametrize("code", [429, 502, 503])
def test_a_question_that_was_not_answered_is_asked_again(code: int) -> None:
    with manager({STATUS: (code, "")}) as cluster:
        with pytest.raises(NoStatus, match=f"HTTP {code}"):
            cluster.oscar.read_cluster()
        assert cluster.slept == [1.0, 2.0, 4.0, 8.0]
        assert len(cluster.requests) == 5


@pytest.mark.parametrize("code", [400, 404, 500])
def test_an_answer_that_would_come_again_is_not_asked_for_again(code: int) -> None:
    with manager({STATUS: (code, "")}) as cluster:
        with pytest.raises(ClusterError):
            cluster.oscar.read_cluster()
        assert (cluster.slept, len(cluster.requests)) == ([], 1)


def test_a_question_that_is_answered_at_last_is_answered() -> None:
    recorded = (DATA / "status_f.json").read_text()
    with manager({STATUS: (503, "")}) as cluster:

        def recover() -> None:
            if len(cluster.requests) == 3:
                cluster.answers[STATUS] = (200, recorded)

        cluster.on_request = recover
        assert cluster.oscar.read_cluster().nodes
        assert cluster.slept == [1.0, 2.0]


@pytest.mark.parametrize("code", [429, 502, 503])
def test_an_invocation_is_sent_once(code: int) -> None:
    with manager({"POST /job/target": (code, "")}) as cluster:
        cluster.oscar.invoke(make.service(), b"{}", job="job")
        assert (cluster.slept, len(cluster.requests)) == ([], 1)


@pytest.mark.parametrize(
    ("tls", "said"),
    [(True, "not trusted; give oscar_cluster.ca_file"), (False, "plain HTTP and not HTTPS")],
)
def test_a_wrong_certificate_and_plain_http_are_told_apart(tls: bool, said: str) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", tls=tls) as (address, seen):
        oscar = OscarClient(ClusterAccess(f"https://{address}", token="canary"))
        with pytest.raises(ClusterError, match=said):
            oscar.read_service("target")
        assert len(seen) == 1


def test_a_certificate_is_not_verified_if_the_config_says_so() -> None:
    with answering(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", tls=True) as (address, _):
        oscar = OscarClient(ClusterAccess(f"https://{address}", token="canary", verify=False))
        assert oscar.invoke(make.service(), b"{}", job="job").verdict is Verdict.ACCEPTED
        oscar._session.clear()


def test_a_body_in_another_encoding_is_read_without_guessing() -> None:
    text = "n\u00e4chster Versuch".encode("latin-1")
    head = f"HTTP/1.1 500 No\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n\r\n"
    with answering(head.encode() + text) as (address, _):
        oscar = OscarClient(ClusterAccess(f"http://{address}", token="canary"))
        with pytest.raises(ClusterError, match="n\ufffdchster Versuch"):
            oscar.read_service("target")


def test_an_answer_that_is_too_large_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coordinator.oscar.client._MOST_BYTES", 1000)
    with manager({STATUS: (200, "x" * 5000)}) as cluster:
        with pytest.raises(NoStatus, match="more than 1000 bytes"):
            cluster.oscar.read_cluster()
        assert len(cluster.requests) == 1


SECRET = "canary-" + "x" * 300


@pytest.mark.parametrize(
    "name",
    [
        *("canary-oscar", "b3NjYXI6Y2FuYXJ5LW9zY2Fy", f"a{SECRET}"),
        "canary-of-the-service",
    ],
)
def test_no_node_is_named_as_a_secret(name: str) -> None:
    """Also if the name is cut for people: a secret that is longer is hidden first."""
    recorded = (DATA / "status_f.json").read_text().replace("wn1", name)
    definition = '{"name": "target", "token": "canary-of-the-service"}'
    with manager(
        {STATUS: (200, recorded), "GET /system/services/target": (200, definition)}
    ) as cluster:
        access = cluster.oscar._access
        oscar = OscarClient(access, secrets=[SECRET])
        capacity = capacity_of(oscar, None, service=oscar.read_service("target"))
        oscar._session.clear()
    assert "canary" not in repr(capacity).lower()
    assert "b3NjYXI6Y2FuYXJ5LW9zY2Fy" not in repr(capacity)
    assert {"wn2", "wn3"} < {node.name for node in capacity.nodes}


def test_a_password_that_is_a_word_of_an_answer_changes_nothing() -> None:
    """What an answer proves is read from the answer itself, not from what is shown of it."""
    said = 'jobs.batch "target-1" already exists'
    with manager({"POST /job/target": (500, said)}) as cluster:
        access = replace(cluster.oscar._access, password="already")
        oscar = OscarClient(access)
        assert oscar.invoke(make.service(), b"{}", job="target-1").verdict is Verdict.ACCEPTED
        oscar._session.clear()
