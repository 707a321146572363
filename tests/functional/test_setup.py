# SPDX-License-Identifier: Apache-2.0
"""`init` and `doctor` on a cluster with the coordinator, services of each mode, and some data."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox.handle import Sandbox, run_sandbox
from tests.functional.coordination import fill

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with run_sandbox(tmp_path_factory.mktemp("setup"), ["--chaos"]) as found:
        deployed = run(found, "deploy", str(ROOT / "fdl" / "coordinator.yaml"))
        assert deployed.returncode == 0, deployed.stderr
        fill(found, "photos", [f"input/{number}.jpg" for number in range(20)])
        mount = place("/photos")
        kit = "#!/bin/sh\n# oscar-batch worker 1\ntrue\n"
        services: dict[str, dict[str, Any]] = {
            "pulls": {"script": kit, "mount": mount},
            "ranges": {"script": "true", "mount": mount},
            "events": {"script": "true", "input": [place("uploads/in")]},
            "mixed": {"script": "true", "mount": mount, "input": [place("more/in")]},
        }
        for name, keys in services.items():
            found.deploy({"name": name, "image": "i", "output": [place(f"{name}/out")], **keys})
        yield found


def place(path: str) -> dict[str, str]:
    return {"storage_provider": "minio.default", "path": path}


def make_environment(box: Sandbox | None) -> dict[str, str]:
    """A user who knows OSCAR's address and password only, or nothing."""
    found = {k: v for k, v in os.environ.items() if not k.startswith("OSCAR_BATCH_")}
    found["PYTHONPATH"] = str(ROOT)
    if box:
        found |= {
            "OSCAR_BATCH_OSCAR_URL": box.url,
            "OSCAR_BATCH_OSCAR_USERNAME": box.username,
            "OSCAR_BATCH_OSCAR_PASSWORD": box.password,
        }
    return found


def run(
    box: Sandbox | None, *words: str, folder: Path = ROOT, **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "coordinator", *words],
        cwd=folder,
        env={**make_environment(box), **more},
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


def read_config(folder: Path) -> Any:
    return json.loads((folder / "config.json").read_text("utf-8"))


def test_init_writes_a_config_from_options(box: Sandbox, tmp_path: Path) -> None:
    words = ["--service", "pulls", "--bucket", "photos", "--prefix", "input"]
    done = run(box, "init", *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_config(tmp_path) == {
        "bucket": {"name": "photos", "folder_prefix": "input/"},
        "service": {"name": "pulls"},
    }
    assert "mode: pull, because the script of pulls has the worker kit" in done.stdout
    assert "data: photos/input/ (20 objects in the bucket)" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param([], "--service and --bucket missing, and there is no terminal", id="nothing"),
        pytest.param(
            ["--service", "gone", "--bucket", "photos"],
            "no service gone; there are events (event), mixed (needs service.mode, or a mount of "
            "the data), pulls (pull), ranges (range)",
            id="service",
        ),
        pytest.param(["--service", "pulls", "--bucket", "gone"], "no bucket gone", id="bucket"),
        pytest.param(["--service", "mixed", "--bucket", "photos"], "set service.mode", id="mode"),
    ],
)
def test_init_refuses_what_no_run_could_use(
    box: Sandbox, tmp_path: Path, words: list[str], said: str
) -> None:
    done = run(box, "init", *words, folder=tmp_path)
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert said in done.stderr


def test_init_overwrites_nothing_unless_told(box: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("precious")
    words = ["init", "--service", "pulls", "--bucket", "photos"]
    refused = run(box, *words, folder=tmp_path)
    assert (refused.returncode, "use --force" in refused.stderr) == (2, True)
    assert (tmp_path / "config.json").read_text() == "precious"
    assert run(box, *words, "--force", folder=tmp_path).returncode == 0
    assert read_config(tmp_path)["service"] == {"name": "pulls"}


def test_init_asks_on_a_terminal(box: Sandbox, tmp_path: Path) -> None:
    """The service by its number, the bucket of its mount by Enter, then the mode and the folder."""
    shown = converse(
        ["init"],
        tmp_path,
        make_environment(None),
        {
            "OSCAR_BATCH_OSCAR_URL (not set): ": box.url,
            "OSCAR_BATCH_OSCAR_USERNAME (not set): ": box.username,
            "password (it is written nowhere): ": box.password,
            "Which service processes the files?: ": "2",
            "Which bucket has the files? [photos]: ": "",
            "Which folder of it (empty: the whole bucket): ": "input",
            "How does it get its files?: ": "range",
        },
    )
    assert read_config(tmp_path) == {
        "bucket": {"name": "photos", "folder_prefix": "input/"},
        "service": {"name": "mixed", "mode": "range"},
    }
    for line in ("events  event", "ranges  range", "20 objects", "folders: input/"):
        assert line in shown
    assert box.password not in shown


def converse(
    words: list[str], folder: Path, environment: Mapping[str, str], answers: Mapping[str, str]
) -> str:
    """What a command shows on a terminal, answered when it asks."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "coordinator", *words],
        cwd=folder,
        env=dict(environment),
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    shown, left, end = "", dict(answers), time.monotonic() + 60
    try:
        while (rest := end - time.monotonic()) > 0:
            if not select.select([ours], [], [], rest)[0]:
                break
            try:
                shown += os.read(ours, 4096).decode(errors="replace")
            except OSError:  # the program has ended
                break
            for question in [each for each in left if shown.endswith(each)]:
                os.write(ours, f"{left.pop(question)}\n".encode())
        assert process.wait(10) == 0, shown
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert left == {}, shown
    return shown


def write_config(folder: Path, service: str, **more: Any) -> str:
    config = {
        "bucket": {"name": "photos", "folder_prefix": "input/"},
        "service": {"name": service},
        **more,
    }
    path = folder / "config.json"
    path.write_text(json.dumps(config), "utf-8")
    return str(path)


def list_keys(box: Sandbox) -> set[tuple[str, str]]:
    """All objects of all buckets."""
    buckets = [each.name for each in box.minio.list_buckets()]
    return {
        (bucket, str(each.object_name))
        for bucket in buckets
        for each in box.minio.list_objects(bucket, recursive=True)
    }


def diagnose(
    box: Sandbox, path: str, *words: str, **more: Any
) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code, and by name the worst state with what was said."""
    done = run(box, "doctor", path, "--json", *words, **more)
    order = ["good", "unknown", "warning", "bad"]
    findings = sorted(json.loads(done.stdout), key=lambda each: order.index(each["state"]))
    said = {each["name"]: (each["state"], f"{each['said']} {each['advice']}") for each in findings}
    return done.returncode, said


def test_doctor_finds_that_a_run_would_work_and_leaves_nothing(
    box: Sandbox, tmp_path: Path
) -> None:
    before = list_keys(box)
    code, said = diagnose(box, write_config(tmp_path, "pulls"))
    assert code == 0, said
    assert list_keys(box) == before
    assert {name for name, (state, _) in said.items() if state == "bad"} == set()
    for name, words in {
        "config": "is valid",
        "OSCAR": "release 4.1",
        "mode": "pull, because the script of pulls has the worker kit",
        "status": "free resources of 2 nodes",
        "capacity": "at a time",
        "data": "photos/input/ can be listed",
        "clock": "the clocks of this machine and the storage differ by",
        "conditional writes": "refuses to create an object twice",
        "run folder": "starts no jobs",
    }.items():
        assert said[name][0] == "good", said[name]
        assert words in said[name][1]
    minio = os.environ.get("OSCAR_SANDBOX_STORAGE") == "minio"
    assert said["notifications"][0] == ("good" if minio else "unknown")


def test_doctor_is_a_list_for_people(box: Sandbox, tmp_path: Path) -> None:
    done = run(box, "doctor", write_config(tmp_path, "mixed"))
    assert done.returncode == 1
    assert "✓ config: " in done.stdout
    assert "✗ mode: service.mode: mixed mounts bucket photos and has an input" in done.stdout


@pytest.mark.parametrize(
    ("service", "config", "words", "bad"),
    [
        pytest.param("gone", {}, [], {"OSCAR": "gone"}, id="no such service"),
        pytest.param("oscar-batch", {}, [], {"service": "is a coordinator"}, id="coordinator"),
        pytest.param(
            "events",
            {"state": {"bucket": "uploads", "prefix": "in"}},
            [],
            {"run folder": "would start jobs"},
            id="the run folder is an input folder",
        ),
        pytest.param(
            "pulls",
            {"bucket": {"name": "photos", "folder_prefix": "inptu/"}},
            [],
            {"data": "inptu/"},
            id="no data",
        ),
        pytest.param(
            "pulls", {"state": {"bucket": "absent"}}, [], {"storage": "no such bucket"}, id="bucket"
        ),
        pytest.param("pulls", {"plan": {"headroom": 2}}, [], {"config": "headroom"}, id="config"),
        pytest.param(
            "pulls", {"plan": {"headroom": 0.99}}, [], {"capacity": "0 at a time"}, id="full"
        ),
        pytest.param(
            "pulls", {}, ["--service", "pulls"], {"notifications": "no input folder"}, id="trigger"
        ),
    ],
)
def test_doctor_names_what_is_wrong(
    box: Sandbox,
    tmp_path: Path,
    service: str,
    config: dict[str, Any],
    words: list[str],
    bad: dict[str, str],
) -> None:
    before = list_keys(box)
    code, said = diagnose(box, write_config(tmp_path, service, **config), *words)
    found = {name: text for name, (state, text) in said.items() if state == "bad"}
    assert (code, set(found)) == (1, set(bad)), said
    assert all(words in found[name] for name, words in bad.items())
    assert list_keys(box) == before


def test_doctor_refuses_wrong_credentials_in_words_without_them(
    box: Sandbox, tmp_path: Path
) -> None:
    path = write_config(tmp_path, "pulls")
    code, said = diagnose(box, path, OSCAR_BATCH_OSCAR_PASSWORD="wrong-canary")
    assert (code, said["credentials"][0]) == (1, "bad")
    assert "OSCAR refused the credentials" in said["credentials"][1]
    assert "canary" not in str(said)
