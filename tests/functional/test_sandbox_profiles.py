# SPDX-License-Identifier: Apache-2.0
"""The table of releases: one check for each of its fields, on each release.

A check gets a place on a sandbox of that release and the row of the table; it finds the field's
value by what a client sees.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import pytest
import requests

from sandbox.cluster.profiles import PROFILES, FlatPath, Profile
from sandbox.handle import Sandbox, run_sandbox, wait_until
from tests.functional.conftest import Deploy, Release

pytestmark = pytest.mark.any_storage

# With it even a v3.5 that belongs to the admin finds a storage secret to mount.
STUB = {"Records": [{"requestParameters": {"principalId": "minio", "sourceIPAddress": "0.0.0.0"}}]}
EVENT = json.dumps(STUB, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Setup:
    """Where a check happens: a sandbox, and a name of its own."""

    box: Sandbox
    name: str
    deploy_on: Deploy
    profile: Profile

    def deploy(self, script: str = "true", **keys: Any) -> dict[str, Any]:
        return self.deploy_on(self.box, script, **keys)

    def run(self, **headers: str) -> tuple[str, dict[str, str]]:
        """One more job, to its end: its name and state."""
        known = set(self.box.list_jobs(self.name))
        answer = self.box.invoke(self.name, EVENT, **headers)
        assert (answer.status_code, answer.content) == (201, b"")
        jobs = self.box.wait_until_ended(self.name, len(known) + 1)
        (job,) = set(jobs) - known
        return job, jobs[job]

    def post(self, definition: dict[str, Any]) -> requests.Response:
        return self.box.call("POST", "/system/services", json=definition)

    def entry(self, path: str) -> dict[str, str]:
        return {"storage_provider": "minio.default", "path": path}

    def upload(self, bucket: str, key: str) -> None:
        self.box.minio.put_object(bucket, key, io.BytesIO(b"x"), 1)


Check = Callable[[Setup], None]
CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    CHECKS[function.__name__] = function
    return function


@pytest.mark.parametrize("field", [field.name for field in fields(Profile)])
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_client_sees_what_the_profile_says(
    release: Release, deploy_on: Deploy, name: str, profile: Profile, field: str
) -> None:
    CHECKS[field](Setup(release(profile.name), name, deploy_on, profile))


@check
def name(at: Setup) -> None:
    assert at.profile.version.startswith(at.profile.name[1:])


@check
def version(at: Setup) -> None:
    assert at.box.call("GET", "/system/info").json()["version"] == at.profile.version


@check
def status_shape(at: Setup) -> None:
    answer = at.box.call("GET", "/system/status").json()
    shape = "B" if "numberNodes" in answer else "E"
    if shape == "E" and "total_schedulable_cores" in answer["cluster"]["metrics"]["cpu"]:
        shape = "F"
    assert shape == at.profile.status_shape


@check
def status_kills(at: Setup) -> None:
    """Seen in test_a_cluster_without_metrics, which needs a sandbox of its own."""
    assert at.profile.status_kills == (at.profile.status_shape in "ABC")


@check
def paged(at: Setup) -> None:
    at.deploy(cpu="100")
    for _ in range(71):
        at.box.invoke(at.name, EVENT)
    answer = at.box.call("GET", f"/system/logs/{at.name}").json()
    if at.profile.paged:
        assert (len(answer["jobs"]), "next_page" in answer) == (70, True)
        assert {"status": "Pending"} in answer["jobs"].values(), "no node has accepted it"
    else:
        assert len(answer) == 71
        assert all(job.keys() == {"status", "creation_time"} for job in answer.values())


@check
def podless(at: Setup) -> None:
    at.deploy("sleep 60")
    at.box.suspend(at.name)
    at.box.invoke(at.name, EVENT)
    (state,) = at.box.list_jobs(at.name).values()
    assert state["status"] == at.profile.podless
    at.box.release(at.name)
    wait_until(
        lambda: "Running" in str(at.box.list_jobs(at.name)) or None,
        10,
        lambda: "it was not released",
    )


@check
def post_calls(at: Setup) -> None:
    """Seen in test_the_pace_of_submissions_is_that_of_the_release."""
    assert at.profile.post_calls == (2 if at.profile.name == "v4.1" else 4)


@check
def pod_calls_per_job(at: Setup) -> None:
    """Seen in test_listing_jobs_and_submitting_share_the_budget."""
    assert at.profile.pod_calls_per_job == (1 if at.profile.paged else 0)


@check
def job_ttl_s(at: Setup) -> None:
    at.deploy()
    job, _ = at.run()
    at.box.advance((at.profile.job_ttl_s or 10**8) - 60)
    assert (job in at.box.list_jobs(at.name)) is True
    at.box.advance(120)
    assert (job in at.box.list_jobs(at.name)) is (at.profile.job_ttl_s is None)


@check
def strict_logs(at: Setup) -> None:
    answer = at.box.call("GET", f"/system/logs/{at.name}")
    expected = (404, b"") if at.profile.strict_logs else (200, b"{}")
    assert (answer.status_code, answer.content) == expected


@check
def delete_forbidden(at: Setup) -> None:
    answer = at.box.call("DELETE", f"/system/logs/{at.name}/job")
    assert answer.status_code == (403 if at.profile.delete_forbidden else 404)


@check
def keeps_token(at: Setup) -> None:
    before = at.deploy()["token"]
    definition = {"name": at.name, "image": "i", "script": "true"}
    assert at.box.call("PUT", "/system/services", json=definition).status_code == 204
    answer = requests.post(
        f"{at.box.url}/job/{at.name}",
        data=EVENT,
        headers={"Authorization": f"Bearer {before}"},
        timeout=10,
    )
    assert (at.box.read_service(at.name)["token"] == before) is at.profile.keeps_token
    assert answer.status_code == (201 if at.profile.keeps_token else 401)


@check
def webhook_follows(at: Setup) -> None:
    keys: dict[str, Any] = {"input": [at.entry(f"{at.name}/in")]}
    at.deploy(**keys)
    definition = {"name": at.name, "image": "i", "script": "true", **keys}
    assert at.box.call("PUT", "/system/services", json=definition).status_code == 204
    at.upload(at.name, "in/after")
    if at.profile.webhook_follows or at.profile.keeps_token:
        assert len(at.box.wait_until_ended(at.name)) == 1
        return
    with pytest.raises(TimeoutError):
        at.box.wait_until_ended(at.name, within_s=1.5)
    definition["output"] = [at.entry(f"{at.name}-new/out")]
    assert at.box.call("PUT", "/system/services", json=definition).status_code == 204
    at.upload(at.name, "in/again")
    assert len(at.box.wait_until_ended(at.name)) == 1, (
        "a new bucket gives the storage the new token"
    )


@check
def known_before_auth(at: Setup) -> None:
    url = f"{at.box.url}/job/{at.name}"
    for headers in ({}, {"Authorization": f"Bearer {'a' * 64}"}):
        answer = requests.post(url, headers=headers, timeout=10)
        expected = 404 if at.profile.known_before_auth else 401
        assert (answer.status_code, answer.content) == (expected, b"")


@check
def delegated_name(at: Setup) -> None:
    at.deploy()
    chosen = f"{at.name}-mine"
    job, _ = at.run(**{"X-Delegated-Job-ID": chosen})
    assert (job == chosen) is at.profile.delegated_name
    again = at.box.invoke(at.name, EVENT, **{"X-Delegated-Job-ID": chosen})
    assert again.status_code == (500 if at.profile.delegated_name else 201)


@check
def service_env(at: Setup) -> None:
    at.deploy("env")
    job, _ = at.run()
    assert ("OSCAR_SERVICE_TOKEN=" in at.box.read_log(at.name, job)) is at.profile.service_env


@check
def owner_is_root(at: Setup) -> None:
    at.deploy("cat /var/run/secrets/providers/minio.default/accessKey")
    at.box.invoke(at.name, '{"start":1}')
    if at.profile.owner_is_root:
        (job,) = at.box.wait_until_ended(at.name)
        assert at.box.access_key in at.box.read_log(at.name, job)
        at.box.call("DELETE", f"/system/logs/{at.name}?all=true")
    else:
        with pytest.raises(TimeoutError):
            at.box.wait_until_ended(at.name, within_s=1)
        ((job, state),) = at.box.list_jobs(at.name).items()
        assert state["status"] == "Pending", "never starts: the admin has no secret of that name"
        assert at.box.call("GET", f"/system/logs/{at.name}/{job}").status_code == 404
        assert at.box.call("DELETE", f"/system/logs/{at.name}/{job}").status_code == 204
    job, _ = at.run()
    assert at.box.access_key in at.box.read_log(at.name, job), "the way round"


@check
def mount_always_succeeds(at: Setup) -> None:
    data = f"{at.name}-data"
    at.box.minio.make_bucket(data)
    at.deploy("true", mount=at.entry(data), output=[at.entry(f"{at.name}/out")])
    assert at.run()[1]["status"] == ("Succeeded" if at.profile.mount_always_succeeds else "Failed")
    at.box.call("DELETE", f"/system/logs/{at.name}?all=true")
    answer = at.box.invoke(at.name, "1234" if at.profile.owner_is_root else crashing())
    assert answer.status_code == 201
    ((job, state),) = at.box.wait_until_ended(at.name).items()
    assert "Failed to execute script" in at.box.read_log(at.name, job)
    assert state["status"] == ("Succeeded" if at.profile.mount_always_succeeds else "Failed")


def crashing() -> str:
    """A storage event of an object that is not there, on behalf of root."""
    record = {**STUB["Records"][0], "eventSource": "minio:s3"}
    return json.dumps({"Records": [record]}, separators=(",", ":"))


@check
def mount_lag_s(at: Setup) -> None:
    data = f"{at.name}-data"
    at.box.minio.make_bucket(data)
    at.deploy("true", mount=at.entry(data))
    at.box.invoke(at.name, EVENT)

    def finished() -> dict[str, str] | None:
        (state,) = at.box.list_jobs(at.name).values()
        return state if "finish_time" in state else None

    state = wait_until(finished, 10, lambda: "it does not end")
    assert (state["status"] == "Running") is (at.profile.mount_lag_s > 0)


@check
def bare_mount_provider(at: Setup) -> None:
    data = f"{at.name}-data"
    at.box.minio.make_bucket(data)
    at.deploy(mount={"storage_provider": "minio", "path": data})
    answer = at.box.invoke(at.name, EVENT)
    expected = 201 if at.profile.bare_mount_provider else 500
    assert (answer.status_code, answer.content) == (expected, b"")


@check
def makes_mount_bucket(at: Setup) -> None:
    at.deploy(mount=at.entry(f"{at.name}-data"))
    assert at.box.minio.bucket_exists(f"{at.name}-data") is at.profile.makes_mount_bucket


@check
def keeps_mounted_buckets(at: Setup) -> None:
    at.deploy(output=[at.entry(f"{at.name}/out")])
    at.deploy(name=f"{at.name}-b", mount=at.entry(at.name))
    at.box.remove(at.name)
    assert at.box.minio.bucket_exists(at.name) is at.profile.keeps_mounted_buckets


@check
def taken_name_status(at: Setup) -> None:
    at.deploy()
    answer = at.post({"name": at.name, "image": "i", "script": "true"})
    assert (answer.status_code, bool(answer.text)) == (at.profile.taken_name_status, True)


@check
def own_buckets_only(at: Setup) -> None:
    at.box.minio.make_bucket(at.name)
    keys = {"input": [at.entry(f"{at.name}/in")]}
    answer = at.post({"name": at.name, "image": "i", "script": "true", **keys})
    if at.profile.own_buckets_only:
        assert (answer.status_code, "already exists" in answer.text) == (500, True)
        assert at.box.call("GET", f"/system/services/{at.name}").status_code == 404
        return
    assert answer.status_code == 201
    at.upload(at.name, "in/a")
    assert len(at.box.wait_until_ended(at.name)) == 1
    at.box.remove(at.name)


@check
def flat_path(at: Setup) -> None:
    definition = {"name": at.name, "image": "i", "script": "true", "input": [at.entry(at.name)]}
    answer = at.post(definition)
    if at.profile.flat_path is FlatPath.PANIC:
        assert (answer.status_code, answer.content) == (500, b"")
        assert at.box.read_service(at.name)["token"], "half a service is left behind"
    else:
        assert answer.status_code == 201
        prefixed = at.profile.flat_path is FlatPath.PREFIXED
        path = at.box.read_service(at.name)["input"][0]["path"]
        assert path == (f"{at.name}/{at.name}" if prefixed else at.name)
        at.upload(at.name, f"{at.name}/a" if prefixed else "a")
        if prefixed:
            at.box.wait_until_ended(at.name)
        else:
            with pytest.raises(TimeoutError):
                at.box.wait_until_ended(at.name, within_s=1)
    at.box.remove(at.name)


@check
def list_ports(at: Setup) -> None:
    definition = {"name": at.name, "image": "i", "script": "true"}
    for ports, fine in ((0, not at.profile.list_ports), ([], at.profile.list_ports)):
        answer = at.post({**definition, "expose": {"nodePort": ports}})
        assert answer.status_code == (201 if fine else 400), "oscar-cli always sends a number"
        at.box.remove(at.name)


@check
def user_labels(at: Setup) -> None:
    labels = at.deploy()["labels"]
    assert ("oscar.grycap/user-service" in labels) is at.profile.user_labels
    assert ("owner_name" in labels) is at.profile.user_labels
    definition = {"name": at.name, "image": "i", "script": "true"}
    assert at.box.call("PUT", "/system/services", json=definition).status_code == 204
    assert "owner_name" not in at.box.read_service(at.name)["labels"]


@check
def put_orphans(at: Setup) -> None:
    definition = {
        "name": at.name, "image": "i", "script": "true", "visibility": "restricted",
        "output": [at.entry(f"{at.name}/out")],
    }  # fmt: skip
    assert at.post(definition).status_code == 201
    with_owner = at.box.call("PUT", "/system/services", json=definition | {"owner": "me"})
    assert with_owner.status_code == 204
    answer = at.box.call("PUT", "/system/services", json=definition | {"script": "new"})
    assert answer.status_code == (500 if at.profile.put_orphans else 204)
    service = at.box.read_service(at.name)
    assert (service["script"], service["owner"]) == ("new", ""), "it is replaced all the same"
    removed = at.box.call("DELETE", f"/system/services/{at.name}")
    assert removed.status_code == (500 if at.profile.put_orphans else 204)
    assert at.box.minio.bucket_exists(at.name) is at.profile.put_orphans
    if at.profile.put_orphans:
        assert at.box.call("GET", f"/system/services/{at.name}").status_code == 404
        assert at.post(definition).status_code == 500, "creating it again fails on that bucket"


@check
def newlines(at: Setup) -> None:
    script = at.deploy("true\r\n")["script"]
    assert script == ("true\n" if at.profile.newlines else "true\r\n")


@check
def checks_names(at: Setup) -> None:
    answer = at.box.call("GET", "/system/services/-bad-")
    assert answer.status_code == (400 if at.profile.checks_names else 404)


@check
def absent_keys(at: Setup) -> None:
    options = {**at.entry(f"{at.name}-data"), "options": "--read-only"}
    service = at.deploy(mount=options)
    for key in {key for profile in PROFILES.values() for key in profile.absent_keys}:
        outer, _, inner = key.partition(".")
        there = inner in service[outer] if inner else outer in service
        assert there is (key not in at.profile.absent_keys), key


@check
def absent_config(at: Setup) -> None:
    answer = at.box.call("GET", "/system/config").json()
    known = answer["config"].keys() | answer.keys()
    for key in {key for profile in PROFILES.values() for key in profile.absent_config}:
        assert (key in known) is (key not in at.profile.absent_config), key


@check
def absent_routes(at: Setup) -> None:
    at.deploy()
    for route in {route for profile in PROFILES.values() for route in profile.absent_routes}:
        answer = at.box.call("GET", route.replace("{service}", at.name))
        absent = (answer.status_code, answer.text) == (404, "404 page not found")
        assert absent is (route in at.profile.absent_routes), route


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_a_cluster_without_metrics(
    profile: Profile, tmp_path_factory: pytest.TempPathFactory
) -> None:
    arguments = ["--profile", profile.name, "--status-shape", "500", "--job-ttl", "1"]
    with run_sandbox(tmp_path_factory.mktemp("up"), arguments) as box:
        if profile.status_kills:
            with pytest.raises(requests.ConnectionError):
                box.call("GET", "/system/status")
        else:
            answer = box.call("GET", "/system/status")
            reason = "the server could not find the requested resource (get nodes.metrics.k8s.io)"
            expected = {"error": f"Error getting metrics info: {reason}"}
            assert (answer.status_code, answer.json()) == (500, expected), "as recorded"
        at = Setup(box, "t", lambda on, script, **keys: on.deploy(keys), profile)
        box.deploy({"name": "t", "image": "i", "script": "true"})
        job, _ = at.run()
        wait_until(
            lambda: job not in box.list_jobs("t") or None, 10, lambda: "--job-ttl has no effect"
        )
