# SPDX-License-Identifier: Apache-2.0
"""Answers that fail, hang, break off or come twice, as a manager in trouble gives them."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from sandbox.handle import Sandbox, run_sandbox, wait_until
from tests.functional.conftest import Deploy


@pytest.fixture
def box(chaotic: Sandbox) -> Iterator[Sandbox]:
    """Without the faults of others, and leaving none to them."""
    yield chaotic
    chaotic.chaos("DELETE", "faults")


def test_the_next_calls_of_an_endpoint_fail_and_no_others(
    box: Sandbox, deploy_on: Deploy, name: str
) -> None:
    deploy_on(box, "true")
    box.fail("POST", "/job/*", times=2, status=503, body="upstream connect error")
    assert box.call("GET", "/system/services").status_code == 200
    for _ in range(2):
        answer = box.invoke(name, "{}")
        assert (answer.status_code, answer.text) == (503, "upstream connect error")
    assert box.list_jobs(name) == {}
    assert box.invoke(name, "{}").status_code == 201
    assert box.chaos("GET", "faults") == []


def test_success_can_be_an_empty_body(box: Sandbox, deploy_on: Deploy, name: str) -> None:
    """As where a caller may not see the jobs of a service, or read it."""
    deploy_on(box, "true")
    box.fail("GET", f"/system/logs/{name}", status=200)
    answer = box.call("GET", f"/system/logs/{name}")
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_failure_halfway_answers_two_documents_in_a_row(
    box: Sandbox, deploy_on: Deploy, name: str
) -> None:
    deploy_on(box, "true")
    box.fail("GET", f"/system/logs/{name}", status=500, body="pods is forbidden", doubled=True)
    answer = box.call("GET", f"/system/logs/{name}")
    assert (answer.status_code, answer.text) == (500, 'pods is forbidden{"jobs": {}}')


@pytest.mark.parametrize(("cut", "jobs"), [("before", 0), ("after", 1)])
def test_a_connection_breaks_and_the_job_may_exist(
    box: Sandbox, deploy_on: Deploy, name: str, cut: str, jobs: int
) -> None:
    deploy_on(box, "true")
    box.fail("POST", f"/job/{name}", cut=cut)
    with pytest.raises(requests.ConnectionError):
        box.invoke(name, "{}")
    assert len(box.list_jobs(name)) == jobs


def test_an_answer_comes_late_and_the_job_exists(
    box: Sandbox, deploy_on: Deploy, name: str
) -> None:
    token = deploy_on(box, "true")["token"]
    box.fail("POST", f"/job/{name}", delay_s=1)
    with pytest.raises(requests.Timeout):
        requests.post(
            f"{box.url}/job/{name}",
            data="{}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=0.3,
        )
    assert len(box.wait_until_ended(name)) == 1, "who stops waiting does not stop the manager"


def test_a_token_expires_between_two_calls(box: Sandbox, deploy_on: Deploy, name: str) -> None:
    old = deploy_on(box, "true")["token"]
    box.rotate_token(name)
    answer = requests.post(
        f"{box.url}/job/{name}", headers={"Authorization": f"Bearer {old}"}, timeout=5
    )
    assert (answer.status_code, answer.content) == (401, b"")
    assert box.invoke(name, "{}").status_code == 201


def test_pages_expire(box: Sandbox, deploy_on: Deploy, name: str) -> None:
    deploy_on(box, "true", cpu="100")
    for _ in range(71):
        box.invoke(name, "{}")
    token = box.call("GET", f"/system/logs/{name}").json()["next_page"]
    box.expire_pages()
    answer = box.call("GET", f"/system/logs/{name}", params={"page": token})
    assert (answer.status_code, answer.content) == (500, b"")
    assert len(box.list_jobs(name)) == 71, "starting over works"


def test_listing_jobs_and_submitting_share_the_budget(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """5 calls a second, 10 at once: a submission is 2 calls, a list is 3 and one for each job."""
    with run_sandbox(tmp_path_factory.mktemp("up"), ["--request-budget"]) as box:
        box.deploy({"name": "t", "image": "i", "script": "true", "cpu": "100"})
        headers = {"Authorization": f"Bearer {box.read_service('t')['token']}"}

        def post() -> None:
            url = f"{box.url}/job/t"
            assert requests.post(url, data="{}", headers=headers, timeout=60).status_code == 201

        time.sleep(2.1)  # the whole burst is there again
        began = time.monotonic()
        for _ in range(8):
            post()
        took = time.monotonic() - began
        assert (8 * 2 - 10) / 5 - 0.3 < took < 40, "16 calls, 10 of them at once"
        box.call("GET", "/system/logs/t", timeout=60)
        began = time.monotonic()
        box.call("GET", "/system/logs/t", timeout=60)
        assert time.monotonic() - began > 1, "11 calls, and no rest before"
        for _ in range(200):
            requests.get(f"{box.url}/health", timeout=5)
        assert time.monotonic() - began < 30, "health costs nothing"


def answers(box: Sandbox) -> bool:
    try:
        requests.get(box.s3_url, timeout=5)
    except requests.RequestException:
        return False
    return True


def test_the_storage_restarts_when_a_service_comes_or_goes(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with run_sandbox(tmp_path_factory.mktemp("up"), ["--storage-restarts"]) as box:
        box.minio.make_bucket("kept")
        entry = {"storage_provider": "minio.default", "path": "trap/in"}
        definition = {"name": "trap", "image": "i", "script": "true", "input": [entry]}
        deploying = threading.Thread(target=box.deploy, args=(definition,))
        deploying.start()
        wait_until(lambda: not answers(box) or None, 10, lambda: "S3 was there all the time")
        deploying.join()
        assert answers(box)
        assert {bucket.name for bucket in box.minio.list_buckets()} == {"kept", "trap"}
        box.minio.fput_object("trap", "in/a", __file__)
        assert len(box.wait_until_ended("trap")) == 1, "and notifies as before"
        box.remove("trap")
        assert {bucket.name for bucket in box.minio.list_buckets()} == {"kept"}


def test_a_killed_manager_does_nothing_more_and_comes_back(
    box: Sandbox, deploy_on: Deploy, name: str
) -> None:
    deploy_on(box, "true")
    box.fail("POST", f"/job/{name}", delay_s=0.3)
    token = {"Authorization": f"Bearer {box.read_service(name)['token']}"}
    broken: list[Exception] = []

    def invoke() -> None:
        try:
            requests.post(f"{box.url}/job/{name}", data="{}", headers=token, timeout=10)
        except requests.ConnectionError as error:
            broken.append(error)

    request = threading.Thread(target=invoke)
    request.start()
    wait_until(lambda: not box.chaos("GET", "faults") or None, 5, lambda: "no request came")
    box.kill_manager(0.5)
    request.join()
    assert len(broken) == 1
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{box.url}/health", timeout=5)
    box.wait_for_manager()
    assert box.list_jobs(name) == {}, "a request of a dead manager was still carried out"
    assert box.invoke(name, "{}").status_code == 201


def test_a_drop_while_the_manager_is_down_is_never_delivered(
    box: Sandbox, deploy_on: Deploy, name: str
) -> None:
    source = {"storage_provider": "minio.default", "path": f"{name}/in"}
    deploy_on(box, "true", input=[source])
    box.kill_manager(1.5)
    box.minio.put_object(name, "in/lost.json", io.BytesIO(b"{}"), 2)
    box.wait_for_manager()
    box.minio.put_object(name, "in/seen.json", io.BytesIO(b"{}"), 2)
    box.wait_until_ended(name)
    time.sleep(1)  # a second event would come now
    assert len(box.list_jobs(name)) == 1


def test_the_storage_comes_back_with_its_objects(box: Sandbox, name: str) -> None:
    box.minio.make_bucket(name)
    box.minio.put_object(name, "a", io.BytesIO(b"x"), 1)
    box.stop_storage(0.5)
    answer = box.minio.get_object(name, "a")
    assert answer.read() == b"x"
    answer.close()
    answer.release_conn()
    with pytest.raises(requests.HTTPError):
        box.chaos("POST", "storage/gap", seconds=-1)
