# SPDX-License-Identifier: Apache-2.0
"""Up, down, killed: what is announced, what is refused, and that nothing stays behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.handle import CHECKOUT, Sandbox, run_sandbox, wait_until

pytestmark = pytest.mark.any_storage


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def left_behind(directory: Path) -> list[str]:
    """Processes whose command line names the directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().decode("utf-8", "replace").replace("\0", " ")
        except OSError:
            continue
        if str(directory) in line:
            found.append(line)
    return found


def sleeper(sandbox: Sandbox) -> None:
    """A running job, so that there is something to leave behind."""
    sandbox.deploy(
        {
            "name": "sleeper",
            "image": "sandbox",
            "script": "trap '' TERM; sleep 300",
            "mount": {"storage_provider": "minio.default", "path": "data-of-sleeper"},
        }
    )
    sandbox.invoke("sleeper", "{}")
    wait_until(
        lambda: "Running" in str(sandbox.list_jobs("sleeper")) or None,
        10,
        lambda: "it does not run",
    )


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state directory; what is up in it goes down, also when the test fails."""
    yield tmp_path / "state"
    command("down", "--state", str(tmp_path / "state"))


def test_up_is_fast_and_down_leaves_nothing(tmp_path: Path, state: Path) -> None:
    ready = tmp_path / "ready"
    began = time.monotonic()
    up = command("up", "--detach", "--state", str(state), "--ready-file", str(ready))
    assert up.returncode == 0, up.stderr
    assert time.monotonic() - began < 10, "1.5 s on an idle machine"
    assert ready.stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700
    assert set(json.loads(ready.read_text())) == {"oscar", "s3", "pid"}
    sandbox = Sandbox.read(ready)
    sleeper(sandbox)
    shown = command("status", "--state", str(state))
    assert (shown.returncode, json.loads(shown.stdout)["pid"]) == (0, sandbox.pid)
    assert sandbox.password not in shown.stdout
    everything = "".join(left_behind(tmp_path))
    assert everything
    for secret in (sandbox.password, sandbox.secret_key, sandbox.read_service("sleeper")["token"]):
        assert secret not in everything, "a process argument"
    again = command("up", "--state", str(state))
    assert (again.returncode, "already up" in again.stderr) == (1, True)

    down = command("down", "--state", str(state))
    assert (down.returncode, down.stdout) == (0, "down\n")
    assert left_behind(tmp_path) == []
    assert [path.name for path in state.iterdir()] == [".oscar-sandbox"]
    assert command("status", "--state", str(state)).returncode == 1
    assert command("down", "--state", str(state)).returncode == 0


def test_a_killed_sandbox_leaves_nothing_running_and_the_next_cleans(tmp_path: Path) -> None:
    with run_sandbox(tmp_path) as sandbox:
        sleeper(sandbox)
        for _ in range(5):  # some of them in the midst of starting
            sandbox.invoke("sleeper", "{}")
        os.kill(sandbox.pid, signal.SIGKILL)
        wait_until(
            lambda: not left_behind(tmp_path) or None, 10, lambda: str(left_behind(tmp_path))
        )
    (tmp_path / "ready.json").unlink()
    assert (tmp_path / "state" / "up.json").exists()
    with run_sandbox(tmp_path) as sandbox:
        assert sandbox.call("GET", "/system/services").json() == []
        assert not list((tmp_path / "state" / "jobs").iterdir())


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with run_sandbox(tmp_path) as sandbox:
        sleeper(sandbox)
        os.kill(sandbox.pid, signal.SIGINT)
        wait_until(
            lambda: not left_behind(tmp_path) or None, 15, lambda: str(left_behind(tmp_path))
        )
        assert [path.name for path in (tmp_path / "state").iterdir()] == [".oscar-sandbox"]
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text("utf-8")


def test_a_killed_sandbox_does_not_leave_stopped_jobs(tmp_path: Path) -> None:
    """Those of a slow node are stopped nearly all the time."""
    with run_sandbox(tmp_path, ["--nodes", "1x4:8Gi:speed=0.01", "--chaos"]) as sandbox:
        sandbox.deploy({"name": "slow", "image": "i", "script": "sleep 300"})
        sandbox.invoke("slow", "{}")
        wait_until(
            lambda: "Running" in str(sandbox.list_jobs("slow")) or None, 10, lambda: "not running"
        )
        time.sleep(0.3)
        os.kill(sandbox.pid, signal.SIGKILL)
        wait_until(
            lambda: not left_behind(tmp_path) or None, 10, lambda: str(left_behind(tmp_path))
        )


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--address", "0.0.0.0"], "127.0.0.1"),
        (["--nodes", "two"], "two"),
        (["--image", "x"], "NAME=HOSTDIR"),
        (["--status-shape", "G"], "invalid choice"),
        (["--profile", "v9"], "invalid choice"),
        (["--nodes", "1x1:1Gi:speed=0"], "0.01 to 1"),
        (["--nodes", "1x1:1Gi:speed=2"], "0.01 to 1"),
    ],
)
def test_bad_arguments_are_refused_with_the_reason(
    tmp_path: Path, arguments: list[str], word: str
) -> None:
    answer = command("up", "--state", str(tmp_path / "state"), *arguments)
    assert answer.returncode == 2
    assert word in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_directory_with_other_things_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("ten years")
    answer = command("up", "--state", str(tmp_path))
    assert (answer.returncode, "are not a sandbox's" in answer.stderr) == (1, True)
    assert (tmp_path / "thesis.tex").read_text() == "ten years"


def test_options_shape_the_cluster_and_fill_the_image(tmp_path: Path) -> None:
    program = tmp_path / "opt"
    program.mkdir()
    (program / "tool.py").write_text("print('from the image')")
    (tmp_path / "up").mkdir()
    arguments = ["--nodes", "1x1:1Gi", "--status-shape", "B", "--image", f"img={program}:/opt/tool"]
    with run_sandbox(tmp_path / "up", arguments) as sandbox:
        status = sandbox.call("GET", "/system/status").json()
        assert (status["numberNodes"], status["detail"][0]["cpuCapacity"]) == (1, "1000")
        for name, image in (("with", "img"), ("without", "other")):
            script = "python /opt/tool/tool.py"
            sandbox.deploy({"name": name, "image": image, "script": script, "cpu": "1"})
            sandbox.invoke(name, "{}")
        logs = {}
        for name in ("with", "without"):
            (job,) = sandbox.wait_until_ended(name)
            logs[name] = sandbox.read_log(name, job)
        assert "from the image" in logs["with"]
        assert "from the image" not in logs["without"]
