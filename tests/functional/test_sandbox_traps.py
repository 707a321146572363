# SPDX-License-Identifier: Apache-2.0
"""What bites on OSCAR, trap by trap, where no other file has it: each test is named after one."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
import requests
from minio.commonconfig import Tags

from sandbox.handle import Sandbox, wait_until
from tests.functional.conftest import Deploy


def place(path: str) -> dict[str, str]:
    return {"storage_provider": "minio.default", "path": path}


def put(box: Sandbox, bucket: str, key: str, data: bytes = b"x") -> None:
    box.minio.put_object(bucket, key, io.BytesIO(data), len(data))


def logs(box: Sandbox, name: str, count: int = 1) -> list[str]:
    """What the service's jobs wrote, all of them ended."""
    return [box.read_log(name, job) for job in box.wait_until_ended(name, count)]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# Requests


@pytest.mark.parametrize(("method", "status"), [("GET", 301), ("POST", 307)])
def test_an_extra_slash_redirects(sandbox: Sandbox, method: str, status: int) -> None:
    answer = sandbox.call(method, "/system/services/", json={}, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (status, "/system/services")
    missing = sandbox.call(method, "/system/nothing/")
    assert (missing.status_code, missing.text) == (404, "404 page not found")


def test_a_malformed_token_is_502_with_two_texts_in_a_row(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    deploy("true")
    answer = requests.post(f"{sandbox.url}/job/{name}", headers=bearer("x"), timeout=5)
    assert answer.status_code == 502
    assert "number of segments" in answer.text
    assert "issuer" in answer.text


def test_a_service_token_opens_no_system_route(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    token = deploy("true")["token"]
    for path in (f"/system/services/{name}", f"/system/logs/{name}", "/system/status"):
        answer = requests.get(sandbox.url + path, headers=bearer(token), timeout=5)
        assert (answer.status_code, answer.content) == (401, b""), path


def test_forward_auth_takes_password_token_and_query(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    token, path = deploy("true")["token"], f"{sandbox.url}/system/services/{name}/auth"
    assert sandbox.call("GET", f"/system/services/{name}/auth").status_code == 200
    assert requests.get(path, headers=bearer(token), timeout=5).status_code == 200
    assert requests.get(path, params={"token": token}, timeout=5).status_code == 200
    assert requests.get(path, timeout=5).status_code == 401


def test_a_bad_label_makes_creation_fail(sandbox: Sandbox, name: str) -> None:
    definition = {"name": name, "image": "i", "script": "true", "labels": {"team": "not one!"}}
    answer = sandbox.call("POST", "/system/services", json=definition)
    assert (answer.status_code, "Invalid value" in answer.text) == (500, True)
    assert sandbox.call("GET", f"/system/services/{name}").status_code == 404


def test_success_is_201_and_empty_and_names_no_job(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    long = f"{name}-{'x' * (39 - len(name) - 1)}"
    deploy("true", name=long)
    answer = sandbox.invoke(long, "{}")
    assert (answer.status_code, answer.content) == (201, b"")
    assert "Location" not in answer.headers
    (job,) = sandbox.wait_until_ended(long)
    assert job.startswith(f"{long[:16]}-"), "of 25 characters and more, 16 are left"
    assert len(job) == 16 + 1 + 36


def test_a_job_too_large_for_etcd_is_500(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    deploy("true")
    answer = sandbox.invoke(name, "x" * (1536 * 1024 + 1))
    assert (answer.status_code, "not auto-generated" in answer.text) == (500, True)


def test_a_record_of_somebody_else_mounts_a_secret_that_is_not_there(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    deploy("true")
    who: dict[str, Any] = {"principalId": "somebody", "sourceIPAddress": "0.0.0.0"}
    stub = json.dumps({"Records": [{"requestParameters": who}]})
    assert sandbox.invoke(name, stub).status_code == 201
    with pytest.raises(TimeoutError):
        sandbox.wait_until_ended(name, within_s=0.5)
    ((job, state),) = sandbox.list_jobs(name).items()
    assert state.keys() == {"status", "creation_time"}, "a node has it, and it never starts"
    assert state["status"] == "Pending"
    assert sandbox.call("GET", f"/system/logs/{name}/{job}").status_code == 404
    del who["sourceIPAddress"]
    stub = json.dumps({"Records": [{"requestParameters": who}]})
    assert sandbox.invoke(name, stub).status_code == 201, "swallowed as nobody"


# The event on its way to the script


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (r'{"a":"x\\ny"}', '{"a": "x\\ny"}'),
        (r'{"a":"\"\/\u00e9"}', r'{"a": "\"/\u00e9"}'),
        ("{\"a\":\"'$HOME`id`\"}", "{\"a\": \"'$HOME`id`\"}"),
        ('{"event_type":"x","start":1}', '{"event_type": "x", "start": 1}'),
        ('{"httpMethod":"POST","body":"{\\u0022b\\u0022:2}","a":1}', '{"b": 2}'),
    ],
    ids=["an escaped backslash is halved", "other escapes live", "no second expansion",
         "event_type is free in 1.6.2", "httpMethod leaves the body only"],
)  # fmt: skip
def test_what_the_shell_and_the_supervisor_do_to_an_event(
    sandbox: Sandbox, deploy: Deploy, name: str, event: str, shown: str
) -> None:
    deploy("printf '<'; cat \"$INPUT_FILE_PATH\"; printf '>'")
    sandbox.invoke(name, event)
    (log,) = logs(sandbox, name)
    assert f"<{shown}>" in log


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (r'{"a":"x\ny"}', "a raw line break inside a JSON string, in dash"),
        ('{"event":1}', "a number is no event"),
        ('{"httpMethod":"GET"}', "without a body"),
        ('{"event":{},"subscription":1}', "dCache's"),
    ],
)
def test_events_that_end_the_supervisor(
    sandbox: Sandbox, deploy: Deploy, name: str, event: str, why: str
) -> None:
    deploy("true")
    assert sandbox.invoke(name, event).status_code == 201
    (state,) = sandbox.wait_until_ended(name).values()
    assert state["status"] == "Failed", why


def test_a_key_named_event_discards_the_rest(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    deploy("printf '<'; cat \"$INPUT_FILE_PATH\"; printf '>'")
    sandbox.invoke(name, '{"start":1,"end":9,"event":{"kind":"x"}}')
    (log,) = logs(sandbox, name)
    assert '<{"kind": "x"}>' in log


def test_a_star_becomes_file_names(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    deploy("true", log_level="DEBUG")
    sandbox.invoke(name, "/* x")
    (job,) = sandbox.wait_until_ended(name)
    assert "EVENT received: /bin /" in sandbox.read_log(name, job)


def test_file_stage_in_means_that_there_is_no_file(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    deploy('echo "<$INPUT_FILE_PATH>" "$EVENT"', file_stage_in=True)
    sandbox.invoke(name, '{"start":1}')
    (log,) = logs(sandbox, name)
    assert '<> {"start":1}' in log


def test_a_variable_named_script_replaces_the_script(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    script = base64.b64encode(b"echo from the variable").decode()
    deploy("echo from the service", environment={"variables": {"SCRIPT": script}})
    sandbox.invoke(name, "{}")
    (log,) = logs(sandbox, name)
    assert "from the variable" in log
    assert "from the service" not in log


def test_a_storage_event_sets_its_own_variables(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    script = 'echo "<$STORAGE_OBJECT_KEY> <$EVENT_TIME> <$INPUT_FILE_PATH>"; echo "$EVENT"'
    deploy(script, input=[place(f"{name}/in")])
    put(sandbox, name, "in/my file+1.json")
    (log,) = logs(sandbox, name)
    key, time, path = (part.split(">")[0] for part in log.splitlines()[-3].split("<")[1:])
    assert (key, Path(path).name) == ("in/my file+1.json", "my file+1.json")
    assert time.endswith("Z")
    event = json.loads(log.splitlines()[-2])
    assert event["Key"] == f"{name}/in/my file+1.json"
    assert event["Records"][0]["s3"]["object"]["key"] == "in%2Fmy+file%2B1.json"


def test_an_object_that_is_gone_fails_the_job(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    deploy("true", output=[place(f"{name}/out")])
    record = {
        "eventSource": "minio:s3",
        "requestParameters": {"principalId": "minio", "sourceIPAddress": "0.0.0.0"},
        "s3": {"bucket": {"name": name}, "object": {"key": "not-there"}},
    }
    sandbox.invoke(name, json.dumps({"Records": [record]}))
    (state,) = sandbox.wait_until_ended(name).values()
    assert state["status"] == "Failed"


# What comes out


def test_outputs_overwrite_silently_and_empty_folders_are_not_uploaded(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    script = 'echo new > "$TMP_OUTPUT_DIR/a"; mkdir "$TMP_OUTPUT_DIR/empty"'
    deploy(script, output=[place(f"{name}/out")])
    put(sandbox, name, "out/a", b"old")
    sandbox.invoke(name, "{}")
    sandbox.wait_until_ended(name)
    found = {item.object_name for item in sandbox.minio.list_objects(name, recursive=True)}
    assert found == {"out/", "out/a"}
    with sandbox.minio.get_object(name, "out/a") as answer:
        assert answer.read() == b"new\n"


def test_an_output_without_credentials_is_skipped_silently(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    entry = {"storage_provider": "minio.other", "path": f"{name}/out"}
    deploy(
        'echo new > "$TMP_OUTPUT_DIR/a"', output=[entry], storage_providers={"minio": {"other": {}}}
    )
    sandbox.invoke(name, "{}")
    (state,) = sandbox.wait_until_ended(name).values()
    assert state["status"] == "Succeeded"
    found = {item.object_name for item in sandbox.minio.list_objects(name, recursive=True)}
    assert found == {"out/"}


def test_output_that_fills_the_container_kills_it(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    deploy("yes", memory="8Mi")
    sandbox.invoke(name, "{}")
    (state,) = sandbox.wait_until_ended(name).values()
    assert state["status"] == "Failed"


def test_a_child_that_holds_the_output_holds_the_job(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    deploy("sleep 2 & echo done")
    sandbox.invoke(name, "{}")
    wait_until(
        lambda: "Running" in str(sandbox.list_jobs(name)) or None, 10, lambda: "it does not run"
    )
    with pytest.raises(TimeoutError):
        sandbox.wait_until_ended(name, within_s=1)
    sandbox.wait_until_ended(name)


# Storage


@pytest.mark.parametrize("change", ["overwritten", "tagged"])
def test_an_object_triggers_again_when_it_is(
    sandbox: Sandbox, deploy: Deploy, name: str, change: str
) -> None:
    deploy("true", input=[place(f"{name}/in")])
    put(sandbox, name, "in/config.json")
    sandbox.wait_until_ended(name)
    if change == "tagged":
        tags = Tags.new_object_tags()
        tags["seen"] = "yes"
        sandbox.minio.set_object_tags(name, "in/config.json", tags)
    else:
        put(sandbox, name, "in/config.json")
    assert len(sandbox.wait_until_ended(name, 2)) == 2


def test_writing_below_the_own_input_starts_jobs_without_end(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    deploy(
        'echo more > "$TMP_OUTPUT_DIR/$JOB_UUID"',
        input=[place(f"{name}/in")],
        output=[place(f"{name}/in")],
    )
    put(sandbox, name, "in/first")
    wait_until(
        lambda: len(sandbox.list_jobs(name)) >= 3 or None, 20, lambda: str(sandbox.list_jobs(name))
    )


def test_input_filters_are_ignored(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    deploy("true", input=[{**place(f"{name}/in"), "suffix": [".json"], "prefix": ["config"]}])
    put(sandbox, name, "in/other.txt")
    assert len(sandbox.wait_until_ended(name)) == 1


def test_a_folder_added_to_a_bucket_that_exists_is_not_watched(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    deploy("true", input=[place(f"{name}/in")])
    inputs = [place(f"{name}/in"), place(f"{name}/more")]
    definition = {"name": name, "image": "i", "script": "true", "input": inputs}
    assert sandbox.call("PUT", "/system/services", json=definition).status_code == 204
    put(sandbox, name, "more/a")
    put(sandbox, name, "in/a")
    sandbox.wait_until_ended(name)
    with pytest.raises(TimeoutError):
        sandbox.wait_until_ended(name, 2, within_s=1)


# Room


def test_free_resources_of_nodes_do_not_add_up(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    """Two nodes of 4 CPU with 1.5 left each: free is 3, and nothing of 2 fits."""
    deploy("sleep 60", cpu="2500m", memory="64Mi")
    deploy("true", name=f"{name}-b", cpu="2", memory="64Mi")
    for _ in range(2):
        sandbox.invoke(name, "{}")
    sandbox.invoke(f"{name}-b", "{}")
    (state,) = sandbox.list_jobs(f"{name}-b").values()
    assert state == {"status": "Pending"}
    sandbox.call("DELETE", f"/system/logs/{name}?all=true")
    sandbox.wait_until_ended(f"{name}-b")


def test_a_job_that_waits_is_invisible_to_the_status(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    def schedulable() -> int:
        metrics = sandbox.call("GET", "/system/status").json()["cluster"]["metrics"]
        return int(metrics["cpu"]["total_schedulable_cores"])

    before = schedulable()
    deploy("true", cpu="5")
    sandbox.invoke(name, "{}")
    assert schedulable() == before
    assert sandbox.list_jobs(name)


def test_quantities_are_reported_as_they_were_typed(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    service = deploy("true", cpu="0.5", memory="1073741824")
    assert (service["cpu"], service["memory"]) == ("0.5", "1073741824")
