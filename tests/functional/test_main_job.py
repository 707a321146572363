# SPDX-License-Identifier: Apache-2.0
"""The main job by real clients on the sandbox: config in, invocations out, a report back."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.handle import Sandbox, run_sandbox
from tests.functional.conftest import Deploy
from tests.functional.coordination import (
    IDLE,
    RECORDER,
    config_for,
    content,
    coordinate,
    fill,
    keys_of,
    recorded,
)

ODD_KEYS = [
    "input/a.JPG",
    "input/a.jpg",
    "input/a b/c  d.jpg",
    'input/it\'s "quoted".jpg',
    "input/#1.jpg",
    "input/50%2Foff.jpg",
    "input/1+1=2.jpg",
    "input/niño/観測/Ärger.jpeg",
    "input/*[ab]?.jpg",
    "input/<script>alert(1)</script>.jpg",
    "input/deep/er/and/deep/er/still.jpg",
]


@pytest.fixture
def recorder(deploy: Deploy, name: str) -> str:
    """A service of 1 CPU that keeps its invocations."""
    output = {"storage_provider": "minio.default", "path": f"{name}-out/seen"}
    deploy(RECORDER, cpu="1", memory="256Mi", output=[output])
    return name


def lines(sandbox: Sandbox, bucket: str, report: dict[str, Any]) -> list[str]:
    """The index of a run, as its service reads it."""
    return content(sandbox, bucket, report["index"]["key"]).decode().splitlines()


def test_97_files_on_3_slots_give_ranges_that_cover_1_to_97_once_each(
    sandbox: Sandbox, recorder: str, tmp_path: Path
) -> None:
    bucket = f"{recorder}-data"
    fill(sandbox, bucket, [f"input/{i:03}.jpg" for i in range(97)])
    plan = {"max_parallel": 3, "headroom": 0}

    ran = coordinate("run", config_for(sandbox, recorder, bucket, plan=plan), tmp_path)

    assert ran.code == 0, ran.stderr
    bodies = recorded(sandbox, recorder, 3)
    covered = [line for body in bodies for line in range(body["start"], body["end"] + 1)]
    assert covered == list(range(1, 98))
    assert len(lines(sandbox, bucket, ran.report)) == 97


def test_the_first_tools_config_also_writes_the_index_into_the_data_folder(
    sandbox: Sandbox, recorder: str, tmp_path: Path
) -> None:
    bucket = f"{recorder}-data"
    fill(sandbox, bucket, ["input/a.jpg", "input/b.jpg"])

    first = coordinate("run", config_for(sandbox, recorder, bucket), tmp_path / "1")
    second = coordinate("run", config_for(sandbox, recorder, bucket), tmp_path / "2")

    assert (first.code, second.code) == (0, 0)
    assert content(sandbox, bucket, "input/index.txt") == b"input/a.jpg\ninput/b.jpg\n"
    assert second.report["index"]["items"] == 2, "the index itself is no item"
    assert second.report["index"]["left_out"] == {"files of runs": 1}


def test_any_key_that_a_line_can_hold_is_in_the_index_exactly_once(
    sandbox: Sandbox, recorder: str, tmp_path: Path
) -> None:
    bucket = f"{recorder}-data"
    longest = "input/" + "/".join(["k" * 200] * 5) + "/x" + "é" * 6
    assert len(longest.encode()) == 1024
    keys = [*ODD_KEYS, longest]
    fill(sandbox, bucket, [*keys, "input2/not.jpg", "inputs.jpg", "other/no.jpg"])

    ran = coordinate("run", config_for(sandbox, recorder, bucket), tmp_path)

    assert ran.code == 0, ran.stderr
    assert sorted(lines(sandbox, bucket, ran.report)) == sorted(keys)


@pytest.mark.parametrize("asked", ["the service's", "named"])
def test_items_whose_output_is_in_another_bucket_are_left_out(
    sandbox: Sandbox, recorder: str, tmp_path: Path, asked: str
) -> None:
    """As the example target has it, whose outputs are named after the whole key."""
    bucket = f"{recorder}-data"
    fill(sandbox, bucket, ["input/a.jpg", "input/b.jpg", "input/2024/c.jpg"])
    outputs: dict[str, Any] = {"suffix": ".gray.jpg"}
    if asked == "named":
        outputs |= {"bucket": f"{recorder}-out", "prefix": "seen/input/"}
        done = ["seen/input/a.jpg.gray.jpg", "seen/input/2024/c.jpg.gray.jpg"]
    else:
        done = ["seen/a.jpg.gray.jpg", "seen/2024/c.jpg.gray.jpg"]
    for key in done:
        sandbox.minio.put_object(f"{recorder}-out", key, io.BytesIO(b"x"), 1)
    chosen = {"name": bucket, "folder_prefix": "input/", "skip_done": outputs}

    ran = coordinate("run", config_for(sandbox, recorder, bucket, bucket=chosen), tmp_path)

    assert ran.code == 0, ran.stderr
    assert lines(sandbox, bucket, ran.report) == ["input/b.jpg"]
    assert ran.report["counts"]["skipped"] == 2


def test_a_key_with_a_line_break_is_skipped_with_its_reason(
    sandbox: Sandbox, recorder: str, tmp_path: Path
) -> None:
    bucket = f"{recorder}-data"
    fill(sandbox, bucket, ["input/good.jpg", "input/bad\nname.jpg"])

    ran = coordinate("run", config_for(sandbox, recorder, bucket), tmp_path)

    assert lines(sandbox, bucket, ran.report) == ["input/good.jpg"]
    assert ran.report["counts"] == {
        "listed": 2,
        "done": 0,
        "failed": 0,
        "pending": 1,
        "skipped": 1,
        "left_out": 0,
    }
    (skipped,) = ran.report["skipped"]
    assert skipped["key"] == "input/bad\nname.jpg"
    assert "line break" in skipped["reason"]


def test_empty_and_one_byte_objects_are_items(
    sandbox: Sandbox, recorder: str, tmp_path: Path
) -> None:
    bucket = f"{recorder}-data"
    fill(sandbox, bucket, ["input/0.bin", "input/00.bin"], size=0)
    fill(sandbox, bucket, ["input/1.bin"], size=1)

    ran = coordinate("run", config_for(sandbox, recorder, bucket), tmp_path)

    assert lines(sandbox, bucket, ran.report) == ["input/0.bin", "input/00.bin", "input/1.bin"]


def test_more_slots_than_items_gives_one_invocation_per_item(
    sandbox: Sandbox, recorder: str, tmp_path: Path
) -> None:
    bucket = f"{recorder}-data"
    fill(sandbox, bucket, ["input/only.jpg"])

    ran = coordinate("run", config_for(sandbox, recorder, bucket), tmp_path)

    assert [(c["start"], c["end"]) for c in ran.report["chunks"]] == [(1, 1)]
    assert [body["start"] for body in recorded(sandbox, recorder, 1)] == [1]


def test_the_payload_says_where_the_index_lies(
    sandbox: Sandbox, recorder: str, tmp_path: Path
) -> None:
    bucket = f"{recorder}-data"
    fill(sandbox, bucket, ["input/a b.jpg"])
    state = {"prefix": "runs of mine/[x]*/"}

    ran = coordinate("run", config_for(sandbox, recorder, bucket, state=state), tmp_path)

    (body,) = recorded(sandbox, recorder, 1)
    assert body == {
        "start": 1,
        "end": 1,
        "index": f"runs of mine/[x]*/{ran.report['run']}/index.0001.txt",
        "index_bucket": bucket,
        "bucket": bucket,
        "run": ran.report["run"],
        "chunk": 1,
        "attempt": 1,
    }


def test_a_mistyped_folder_is_refused_with_those_that_exist(
    sandbox: Sandbox, recorder: str, tmp_path: Path
) -> None:
    bucket = f"{recorder}-data"
    fill(sandbox, bucket, ["input2/not.jpg"])

    ran = coordinate("run", config_for(sandbox, recorder, bucket), tmp_path)

    assert ran.code == 2
    assert f"{bucket}/input/ holds no objects; did you mean input2/?" in ran.report["message"]
    assert sandbox.list_jobs(recorder) == {}


def test_a_dry_run_leaves_bucket_and_cluster_as_they_were(
    sandbox: Sandbox, recorder: str, tmp_path: Path
) -> None:
    bucket = f"{recorder}-data"
    fill(sandbox, bucket, ["input/a.jpg", "input/b.jpg"])

    ran = coordinate("plan", config_for(sandbox, recorder, bucket), tmp_path, "--json")

    assert ran.code == 0
    assert [chunk["items"] for chunk in json.loads(ran.stdout)["chunks"]] == [1, 1]
    assert keys_of(sandbox, bucket) == ["input/a.jpg", "input/b.jpg"]
    assert sandbox.list_jobs(recorder) == {}


def test_a_run_leaves_its_plan_index_and_report_in_its_own_folder(
    sandbox: Sandbox, recorder: str, tmp_path: Path
) -> None:
    bucket = f"{recorder}-data"
    fill(sandbox, bucket, ["input/a.jpg"])
    config = config_for(
        sandbox, recorder, bucket, output={"file": ""}, report={"prefix": "my reports"}
    )

    run = coordinate("run", config, tmp_path).report["run"]

    assert keys_of(sandbox, bucket, f".oscar-batch/{run}/") == [
        f".oscar-batch/{run}/{name}"
        for name in (
            "end.json",
            "index.0001.txt",
            "lease/0001",
            "plan.json",
            "posts/chunk-001-0000001.json",
            "progress.json",
            "report.html",
            "report.json",
            "start.json",
        )
    ]
    assert keys_of(sandbox, bucket, "my reports/") == [
        f"my reports/{run}/{name}" for name in ("report.html", "report.json")
    ]


@pytest.mark.parametrize(
    ("cpu", "memory", "slots"),
    [("500m", "256Mi", 12), ("1", "3500Mi", 2), ("0.3", "1.5Gi", 8), ("1.5", "1e9", 4)],
)
def test_every_form_of_quantity_counts(
    sandbox: Sandbox, deploy: Deploy, name: str, tmp_path: Path, cpu: str, memory: str, slots: int
) -> None:
    deploy("true", cpu=cpu, memory=memory)

    ran = coordinate("capacity", config_for(sandbox, name, "unused"), tmp_path, "--json")

    # Two nodes of 4 CPU and 8 GiB, of which 20 % stay free.
    assert json.loads(ran.stdout)["slots"] == slots


def test_a_full_cluster_is_an_outcome_with_its_reason(
    sandbox: Sandbox, deploy: Deploy, name: str, tmp_path: Path
) -> None:
    deploy(IDLE, cpu="64", memory="256Mi")
    fill(sandbox, f"{name}-data", ["input/a.jpg"])

    ran = coordinate("run", config_for(sandbox, name, f"{name}-data"), tmp_path)

    assert ran.code == 4
    assert ran.report["ending"] == "no capacity"
    assert "comes nearest and lacks 60 CPU" in ran.report["message"]
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"service": {"name": "no-such-service"}}, "service.name"),
        (
            {"oscar_cluster": {"auth_basic": {"username": "oscar", "password": "wrong"}}},
            "refused the credentials",
        ),
        (
            {"oscar_cluster": {"auth_basic": {}, "auth_token": {"token": "a" * 64}}},
            "refused the credentials",
        ),
        ({"oscar_cluster": {"url": "http://127.0.0.1:9"}}, "nothing accepts connections"),
        ({"bucket": {"name": "no-such-bucket"}}, "no such bucket"),
        ({"MinIO": {"secret_key": "wrong-secret"}}, "refused the credentials"),
    ],
    ids=["service", "password", "token", "address", "bucket", "storage keys"],
)
def test_what_cannot_be_reached_is_one_clear_line_and_a_report(
    sandbox: Sandbox, recorder: str, tmp_path: Path, sections: dict[str, Any], said: str
) -> None:
    fill(sandbox, f"{recorder}-data", ["input/a.jpg"])

    config = config_for(sandbox, recorder, f"{recorder}-data", **sections)
    ran = coordinate("run", config, tmp_path)

    assert ran.code == 3
    assert said in ran.report["message"]
    assert "\n" not in ran.report["message"]
    assert "Traceback" not in ran.stderr
    assert keys_of(sandbox, f"{recorder}-data") == ["input/a.jpg"], "nothing half-done is left"
    assert sandbox.list_jobs(recorder) == {}


def test_an_index_that_would_trigger_the_service_is_refused_before_anything_is_written(
    sandbox: Sandbox, deploy: Deploy, name: str, tmp_path: Path
) -> None:
    bucket = f"{name}-data"
    source = {"storage_provider": "minio.default", "path": f"{bucket}/input"}
    deploy("true", input=[source])

    ran = coordinate("run", config_for(sandbox, name, bucket), tmp_path)

    assert ran.code == 2
    (problem,) = ran.report["problems"]
    assert problem.startswith(f"output.file: writing {bucket}/input/index.txt would start jobs")
    assert keys_of(sandbox, bucket) == []


def test_a_service_that_cannot_read_ranges_is_refused_with_the_reason(
    sandbox: Sandbox, deploy: Deploy, name: str, tmp_path: Path
) -> None:
    deploy("cat", input=[{"storage_provider": "minio.default", "path": f"{name}-in/in"}])
    fill(sandbox, f"{name}-data", ["input/a.jpg"])

    ran = coordinate("run", config_for(sandbox, name, f"{name}-data"), tmp_path)

    assert ran.code == 2
    assert f"neither mounts bucket {name}-data nor has the worker kit" in ran.report["message"]
    assert keys_of(sandbox, f"{name}-data") == ["input/a.jpg"]
    assert sandbox.list_jobs(name) == {}


def test_a_cluster_without_status_needs_a_configured_parallelism(tmp_path: Path) -> None:
    with run_sandbox(tmp_path, ["--status-shape", "500"]) as sandbox:
        sandbox.deploy({"name": "target", "image": "i", "script": IDLE})
        fill(sandbox, "data", ["input/a.jpg", "input/b.jpg", "input/c.jpg"])

        without = coordinate("run", config_for(sandbox, "target", "data"), tmp_path / "1")
        plan = {"max_parallel": 2}
        with_it = coordinate(
            "run", config_for(sandbox, "target", "data", plan=plan), tmp_path / "2"
        )

    assert without.code == 3
    assert "set plan.max_parallel" in without.report["message"]
    assert with_it.code == 0
    assert len(with_it.report["chunks"]) == 2
    assert any("used unchecked" in warning for warning in with_it.report["warnings"])


@pytest.mark.parametrize(
    ("shape", "slots"),
    # The oldest releases also list the control plane, here with 2 CPU.
    [("A", 10), ("B", 8), ("C", 8), ("D", 8), ("E", 8)],
)
def test_every_status_shape_gives_the_slots_of_the_free_nodes(
    shape: str, slots: int, tmp_path: Path
) -> None:
    with run_sandbox(tmp_path, ["--status-shape", shape, "--nodes", "2x4:8Gi"]) as sandbox:
        sandbox.deploy({"name": "target", "image": "i", "script": "true", "cpu": "1"})
        config = config_for(sandbox, "target", "data", plan={"headroom": 0})

        ran = coordinate("capacity", config, tmp_path, "--json")

    assert json.loads(ran.stdout)["slots"] == slots
    assert "reports what is in use" in json.loads(ran.stdout)["warnings"][0]
