# SPDX-License-Identifier: Apache-2.0
"""Jobs from the POST or the upload to the log, under the supervisor's rules."""

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sandbox.handle import Sandbox, wait_until
from tests.functional.conftest import Deploy

SHOW = 'cat "$INPUT_FILE_PATH"'
LIMIT = 131_065


def one(sandbox: Sandbox, name: str) -> tuple[str, dict[str, str], str]:
    """The only job of the service when it has ended: its name, state and log."""
    ((job, state),) = sandbox.wait_until_ended(name).items()
    return job, state, sandbox.read_log(name, job)


def put(sandbox: Sandbox, bucket: str, key: str, data: bytes = b"x") -> None:
    sandbox.minio.put_object(bucket, key, io.BytesIO(data), len(data))


def read(sandbox: Sandbox, bucket: str, key: str) -> bytes:
    answer = sandbox.minio.get_object(bucket, key)
    try:
        return answer.read()
    finally:
        answer.close()
        answer.release_conn()


def keys(sandbox: Sandbox, bucket: str) -> set[str]:
    found = sandbox.minio.list_objects(bucket, recursive=True)
    return {str(item.object_name) for item in found}


def test_a_payload_reaches_the_script(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    where = 'echo "PWD=$(pwd) HOME=$HOME LANG=$LANG BASE=$OSCAR_SERVICE_BASE_PATH HOST=$HOSTNAME"'
    deploy(f"{SHOW}; echo; env; {where}; ls -A $HOME; touch $HOME/x /y")
    answer = sandbox.invoke(name, '{"start":1,"end":33}')
    assert (answer.status_code, answer.content) == (201, b"")
    job, state, log = one(sandbox, name)
    assert state["status"] == "Succeeded"
    assert state["creation_time"] <= state["start_time"] <= state["finish_time"]
    assert job.startswith(f"{name}-")
    lines = log.splitlines()
    assert '{"start": 1, "end": 33}' in lines, "re-serialised as Python does"
    assert 'EVENT={"start":1,"end":33}' in lines
    assert f"JOB_UUID={job}" in lines
    assert f"OSCAR_SERVICE_NAME={name}" in lines
    assert any(line.startswith("RESOURCE_ID=node-") for line in lines)
    assert "event-file-" in log
    assert f"PWD=/ HOME=/root LANG= BASE= HOST={job}-" in log
    assert "KUBERNETES_SERVICE_HOST=10.96.0.1" in lines


def test_the_exit_code_is_swallowed(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    deploy("echo before; exit 7")
    sandbox.invoke(name, "{}")
    _, state, log = one(sandbox, name)
    assert state["status"] == "Succeeded"
    assert "before" in log


def test_an_upload_triggers_and_outputs_are_filtered_and_uploaded(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    deploy(
        'cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/a.txt"; mkdir "$TMP_OUTPUT_DIR/sub"\n'
        'echo "$STORAGE_OBJECT_KEY" > "$TMP_OUTPUT_DIR/sub/key.txt"; touch "$TMP_OUTPUT_DIR/b.log"',
        input=[{"storage_provider": "minio.default", "path": f"{name}/in"}],
        output=[
            {"storage_provider": "minio.default", "path": f"{name}/out", "suffix": [".txt"]},
            {"storage_provider": "minio.default", "path": f"{name}/log", "prefix": ["b"]},
        ],
    )
    put(sandbox, name, "in/déep/a b+c%2F#.json", b"content")
    put(sandbox, name, "in2/other.json")
    put(sandbox, name, "other.json")
    _, state, log = one(sandbox, name)
    assert state["status"] == "Succeeded", log
    made = {key for key in keys(sandbox, name) if key.startswith(("out/", "log/"))}
    assert made == {"out/", "log/", "out/a.txt", "out/sub/key.txt", "log/b.log"}
    assert read(sandbox, name, "out/a.txt") == b"content"
    assert read(sandbox, name, "out/sub/key.txt").decode() == "in/déep/a b+c%2F#.json\n"


def test_overwrites_and_multipart_uploads_trigger_once_each(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    deploy("true", input=[{"storage_provider": "minio.default", "path": f"{name}/in"}])
    put(sandbox, name, "in/a", b"1")
    put(sandbox, name, "in/a", b"2")
    big = io.BytesIO(b"z" * (11 << 20))
    sandbox.minio.put_object(name, "in/big", big, 11 << 20, part_size=5 << 20)
    put(sandbox, name, "in/last")
    assert len(sandbox.wait_until_ended(name, 4)) == 4


def test_a_folder_marker_triggers_and_crashes_the_supervisor(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    deploy("true", input=[{"storage_provider": "minio.default", "path": f"{name}/in"}])
    put(sandbox, name, "in/folder/", b"")
    _, state, log = one(sandbox, name)
    assert state["status"] == "Failed"
    assert "IsADirectoryError" in log


@pytest.mark.parametrize(
    ("event", "status", "shown"),
    [
        ('{"a":"x  y"}', "Succeeded", '{"a": "x y"}'),
        ('{"a": \n 1}', "Succeeded", '{"a": 1}'),
        (r'{"a":"\u0020\u005c\u002a"}', "Succeeded", r'{"a": " \\*"}'),
        (base64.b64encode(b'{"a":  1}').decode(), "Succeeded", '{"a":  1}'),
        ("-n e30=", "Succeeded", "{}"),
        ('{"event":{"b":2},"a":1}', "Succeeded", '{"b": 2}'),
        ("", "Succeeded", ""),
        ("1234", "Failed", None),
        ("[1]", "Failed", None),
        ("null", "Failed", None),
        ('"event"', "Failed", None),
        ('{"Records":[1]}', "Failed", None),
        ("abc", "Failed", None),
    ],
)
def test_the_form_of_an_event_decides_the_input(
    sandbox: Sandbox, deploy: Deploy, name: str, event: str, status: str, shown: str | None
) -> None:
    """`echo $EVENT` without quotes, then the supervisor's classification."""
    deploy(f"printf '<'; {SHOW}; printf '>'")
    assert sandbox.invoke(name, event).status_code == 201
    _, state, log = one(sandbox, name)
    assert state["status"] == status, log
    if shown is not None:
        assert f"<{shown}>" in log


def test_the_longest_event_and_one_byte_more(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    deploy('wc -c < "$INPUT_FILE_PATH"; printf %s "$EVENT" | wc -c', cpu="3")
    for size, status, log in ((LIMIT, "Succeeded", f"\n{LIMIT}\n"), (LIMIT + 1, "Failed", "long")):
        event = json.dumps({"a": ""}, separators=(",", ":"))
        event = event.replace('""', '"' + "x" * (size - len(event)) + '"')
        job = f"{name}-{size}"
        answer = sandbox.invoke(name, event, **{"X-Delegated-Job-ID": job})
        assert (len(event), answer.status_code, answer.content) == (size, 201, b"")
        assert sandbox.wait_until_ended(name)[job]["status"] == status
        assert log in sandbox.read_log(name, job)


def test_a_job_name_can_be_chosen_once(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    deploy("true")
    chosen = {"X-Delegated-Job-ID": f"{name}-mine"}
    assert sandbox.invoke(name, "{}", **chosen).status_code == 201
    again = sandbox.invoke(name, "{}", **chosen)
    assert (again.status_code, again.text) == (500, f'jobs.batch "{name}-mine" already exists')
    assert list(sandbox.wait_until_ended(name)) == [f"{name}-mine"]
    assert sandbox.invoke(name, "{}", **{"X-Delegated-Job-ID": "Not_valid"}).status_code == 500


@pytest.mark.parametrize("count", [1, 2])
def test_outputs_of_a_payload_replace_the_log(
    sandbox: Sandbox, deploy: Deploy, name: str, count: int
) -> None:
    deploy(f'echo lost; for i in $(seq {count}); do echo $i > "$TMP_OUTPUT_DIR/$i"; done')
    sandbox.invoke(name, "{}")
    _, _, log = one(sandbox, name)
    assert "lost" not in log
    data = base64.b64decode(log.splitlines()[-1])
    if count == 1:
        assert data == b"1\n"
    else:
        assert sorted(zipfile.ZipFile(io.BytesIO(data)).namelist()) == ["1", "2"]


@pytest.mark.parametrize(("level", "live"), [("INFO", False), ("DEBUG", True)])
def test_output_is_buffered_unless_debug(
    sandbox: Sandbox, deploy: Deploy, name: str, level: str, live: bool
) -> None:
    deploy("echo early; sleep 60", log_level=level)
    sandbox.invoke(name, "{}")
    (job,) = sandbox.list_jobs(name)
    mark = "early" if live else "Script file found"
    wait_until(
        lambda: mark in text(sandbox, name, job) or None, 10, lambda: text(sandbox, name, job)
    )
    assert ("early" in text(sandbox, name, job)) is live


def text(sandbox: Sandbox, name: str, job: str) -> str:
    """The log, or nothing while there is none."""
    return sandbox.call("GET", f"/system/logs/{name}/{job}").text


def test_logs_list_in_pages_and_delete(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    deploy("true", cpu="100")
    for number in range(75):
        job = {"X-Delegated-Job-ID": f"{name}-{number:02}"}
        assert sandbox.invoke(name, "{}", **job).status_code == 201
    first = sandbox.call("GET", f"/system/logs/{name}").json()
    assert list(first["jobs"]) == [f"{name}-{number:02}" for number in range(70)]
    assert first["jobs"][f"{name}-00"] == {"status": "Pending"}, "no node is that big"
    second = sandbox.call("GET", f"/system/logs/{name}", params={"page": first["next_page"]}).json()
    assert (len(second["jobs"]), "next_page" in second) == (5, False)
    assert sandbox.call("GET", f"/system/logs/{name}?page=bad").status_code == 500

    path = f"/system/logs/{name}/{name}-00"
    pending = sandbox.call("GET", path)
    assert (pending.status_code, pending.content) == (404, b"")
    assert sandbox.call("DELETE", path).status_code == 204
    assert sandbox.call("DELETE", path).status_code == 404
    gone = sandbox.call("GET", path)
    assert (gone.status_code, gone.content) == (500, b"")
    assert sandbox.call("DELETE", f"/system/logs/{name}").status_code == 204
    assert len(sandbox.list_jobs(name)) == 74, "without all=true only succeeded jobs go"
    assert sandbox.call("DELETE", f"/system/logs/{name}?all=true").status_code == 204
    assert sandbox.list_jobs(name) == {}


def test_delete_kills_whatever_the_job_started(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    deploy(
        "trap '' TERM; (setsid sh -c 'while :; do date +%s%N > /mnt/beat; sleep 0.05; done') &\n"
        f"sleep 60 {name}",
    )
    sandbox.invoke(name, "{}")
    (job,) = sandbox.list_jobs(name)
    wait_until(lambda: processes(name) or None, 10, lambda: "the job did not start")
    assert sandbox.call("DELETE", f"/system/logs/{name}/{job}").status_code == 204
    assert processes(name) == []


def processes(word: str) -> list[str]:
    """Command lines on this machine that contain the word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if f"sleep 60 {word}" in line or f"/jobs/{word}" in line:
            found.append(line)
    return found


def test_what_is_mounted_beside_the_script(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    deploy(
        "cd /var/run/secrets/providers/minio.default; cat accessKey; echo; cat secretKey; echo\n"
        "cat /oscar/config/function_config.yaml; ls /oscar/config; touch /oscar/config/x",
        environment={"secrets": {"PW": "canary"}, "variables": {"A": "1"}},
        clusters={"mine": {"endpoint": "http://x", "auth_user": "u", "auth_password": "clear"}},
    )
    sandbox.invoke(name, "{}")
    _, _, log = one(sandbox, name)
    assert sandbox.access_key in log
    assert sandbox.secret_key in log
    assert "auth_password: clear" in log
    assert "access_key: hidden" in log
    assert "canary" not in log
    assert "namespace:" not in log
    assert "Read-only file system" in log


def test_status_counts_requests_of_bound_jobs(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    deploy("sleep 60", cpu="1500m", memory="3500Mi")

    def cluster() -> dict[str, Any]:
        return dict(sandbox.call("GET", "/system/status").json()["cluster"])

    def requested() -> int:
        return sum(node["cpu"].get("request_cores", 0) for node in cluster()["nodes"])

    before = requested()
    for _ in range(2):
        sandbox.invoke(name, "{}")
    wait_until(lambda: requested() == before + 3000 or None, 10, lambda: str(cluster()))
    metrics = cluster()["metrics"]
    assert metrics["cpu"]["total_schedulable_cores"] == 8000 - before - 3000
    assert sandbox.call("DELETE", f"/system/services/{name}").status_code == 204
    assert requested() == before
