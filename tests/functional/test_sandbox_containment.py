# SPDX-License-Identifier: Apache-2.0
"""Jobs that misbehave, and many of them: the sandbox stays small, answers and ends them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from sandbox.handle import Sandbox, run_sandbox, wait_until
from tests.functional.conftest import Deploy

pytestmark = pytest.mark.any_storage

MIB = 1 << 20
QUEUED, RUNNING = 1000, 200


def resident(box: Sandbox) -> int:
    """Bytes of memory that the sandbox itself has, and had at its most."""
    status = Path(f"/proc/{box.pid}/status").read_text("ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def one_log(box: Sandbox, name: str, *, timestamps: bool = False) -> bytes:
    (job,) = box.wait_until_ended(name, within_s=90)
    params = {"timestamps": "true"} if timestamps else {}
    path = f"/system/logs/{name}/{job}"
    return box.call("GET", path, params=params, timeout=60).content


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_a_hundred_megabytes_of_output_stay_out_of_memory(
    sandbox: Sandbox, deploy: Deploy, name: str, level: str
) -> None:
    size = 100 * MIB if level == "INFO" else 10 * MIB
    deploy(f"yes {'x' * 199} | head -c {size}", memory="512Mi", log_level=level)
    before = resident(sandbox)
    sandbox.invoke(name, "{}")
    log = one_log(sandbox, name)
    assert size <= len(log) < 3 * size
    assert len(one_log(sandbox, name, timestamps=True)) > size
    assert resident(sandbox) - before < 30 * MIB


def test_a_hundred_megabytes_of_outputs_stay_out_of_memory(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    """For a payload they are printed as base64, in one line."""
    deploy(f'yes | head -c {100 * MIB} > "$TMP_OUTPUT_DIR/big"')
    before = resident(sandbox)
    sandbox.invoke(name, "{}")
    assert len(one_log(sandbox, name)) > 133 * MIB
    assert len(one_log(sandbox, name, timestamps=True)) > 133 * MIB
    assert resident(sandbox) - before < 30 * MIB


def test_binary_output_loses_what_is_no_text_and_nothing_else(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    deploy("printf 'a\\377\\000\\303\\251\\033[31mb\\n'")
    sandbox.invoke(name, "{}")
    assert b"a\0\xc3\xa9\x1b[31mb\n" in one_log(sandbox, name)


def test_what_a_job_forks_ends_with_it(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    deploy(
        "trap '' TERM HUP INT\n"
        f"for i in 1 2 3; do setsid sh -c 'sleep 600; echo {name}' >/dev/null 2>&1 & done\n"
        "echo forked"
    )
    sandbox.invoke(name, "{}")
    assert b"forked" in one_log(sandbox, name)
    wait_until(lambda: not alive(name) or None, 10, lambda: str(alive(name)))


def alive(word: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if word in line:
            found.append(line)
    return found


def test_long_events_wait_in_files(tmp_path: Path) -> None:
    with run_sandbox(tmp_path, ["--nodes", "1x1:1Gi"]) as box:
        box.deploy({"name": "wide", "image": "i", "script": "true", "cpu": "2"})
        before = resident(box)
        headers = {"Authorization": f"Bearer {box.read_service('wide')['token']}"}
        for _ in range(60):
            answer = requests.post(
                f"{box.url}/job/wide", data=b"x" * MIB, headers=headers, timeout=30
            )
            assert answer.status_code == 201
        assert resident(box) - before < 30 * MIB


@pytest.mark.timeout(400)
def test_a_thousand_queued_jobs_and_two_hundred_running(tmp_path: Path) -> None:
    with run_sandbox(tmp_path, ["--nodes", "2x100:100Gi"]) as box:
        box.deploy({"name": "many", "image": "i", "script": "sleep 600", "cpu": "1"})
        headers = {"Authorization": f"Bearer {box.read_service('many')['token']}"}
        session = requests.Session()

        def post(number: int) -> int:
            chosen = headers | {"X-Delegated-Job-ID": f"many-{number:04}"}
            url = f"{box.url}/job/many"
            return session.post(url, data="{}", headers=chosen, timeout=60).status_code

        with ThreadPoolExecutor(4) as pool:
            codes = list(pool.map(post, range(QUEUED + RUNNING)))
        assert set(codes) == {201}
        jobs = wait_until(lambda: all_run(box), 120, lambda: str(len(box.list_jobs("many"))))
        assert len(jobs) == QUEUED + RUNNING
        wait_until(
            lambda: len(alive("sleep\x00600")) >= RUNNING or None, 120, lambda: "no sleepers"
        )
        began = time.monotonic()
        assert box.call("GET", "/system/status").json()["cluster"]["nodes"][0]["cpu"]
        assert time.monotonic() - began < 2, "it answers"
        assert resident(box) < 250 * MIB
        assert box.call("DELETE", "/system/logs/many?all=true", timeout=60).status_code == 204
        assert box.list_jobs("many") == {}
        assert not list((tmp_path / "state" / "jobs").iterdir())


def all_run(box: Sandbox) -> dict[str, dict[str, str]] | None:
    jobs = box.list_jobs("many")
    running = sum(job["status"] == "Running" for job in jobs.values())
    return jobs if running == RUNNING else None


ALLOCATE = 'python3 -c "import time; a = bytearray({mib} << 20); print(len(a)); time.sleep({s})"'


def test_a_job_over_its_memory_limit_is_killed_with_all_its_processes(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    deploy(
        f"(sleep 600; echo {name}) &\n{ALLOCATE.format(mib=400, s=60)}; echo after $?",
        memory="64Mi",
    )
    sandbox.invoke(name, "{}")
    (state,) = sandbox.wait_until_ended(name).values()
    assert state["status"] == "Failed"
    assert b"after" not in one_log(sandbox, name)
    assert alive(name) == []


def test_a_mount_does_not_save_a_job_over_its_limit(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    """The memory of the mount sidecar (about 20 MiB) does not count; the job itself needs 16."""
    small, large = ALLOCATE.format(mib=1, s=0.5), ALLOCATE.format(mib=400, s=60)
    deploy(
        f'mkdir /tmpfolder\ncase "$EVENT" in *large*) {large};; *) {small};; esac',
        memory="26Mi",
        mount={"storage_provider": "minio.default", "path": f"/{name}"},
    )
    sandbox.invoke(name, "{}")
    (state,) = sandbox.wait_until_ended(name).values()
    assert state["status"] == "Succeeded"
    sandbox.invoke(name, '{"size":"large"}')
    states = [each["status"] for each in sandbox.wait_until_ended(name, 2).values()]
    assert sorted(states) == ["Failed", "Succeeded"]
    sandbox.minio.remove_bucket(name)


def test_memory_that_processes_share_counts_once(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    deploy(
        'python3 -c "import os, time; a = bytearray(60 << 20)\n'
        "for _ in range(4): os.fork() or (time.sleep(0.5), os._exit(0))\n"
        'while True:\n try: os.wait()\n except ChildProcessError: break"; echo after $?',
        memory="160Mi",
    )
    sandbox.invoke(name, "{}")
    assert b"after 0" in one_log(sandbox, name)


def test_a_container_sees_its_memory_limit_and_its_usage(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    watch = "for _ in 1 2 3 4 5 6 7 8 9 10; do cat /sys/fs/cgroup/memory.current; sleep 0.1; done"
    deploy(f"cat /sys/fs/cgroup/memory.max; {ALLOCATE.format(mib=100, s=2)} & {watch}")
    sandbox.invoke(name, "{}")
    limit, *usage = [int(line) for line in one_log(sandbox, name).split() if line.isdigit()][:11]
    assert limit == 256 * MIB
    assert 100 * MIB < max(usage) < 200 * MIB
