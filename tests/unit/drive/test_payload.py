# SPDX-License-Identifier: Apache-2.0
"""The invocation's body: the same values come out behind OSCAR's shell as went in."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.drive.bodies.template import RESERVED, SAMPLE
from coordinator.drive.payload import (
    list_values,
    make_job_name,
    make_range_invocations,
    write_range_body,
)
from coordinator.model.errors import ConfigError
from tests.unit import make

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]


def body(*, run_id: str = "run", bucket: str = "data", index_key: str = "index.txt") -> bytes:
    plan = make.plan(run_id=run_id, bucket=bucket, index_key=index_key)
    return write_range_body(plan, plan.chunks[0], 1)


@given(TEXT, TEXT, TEXT)
def test_json_gives_the_same_values_back(run_id: str, bucket: str, index_key: str) -> None:
    fields = json.loads(body(run_id=run_id, bucket=bucket, index_key=index_key))
    assert fields == {
        "start": 1,
        "end": 1,
        "index": index_key,
        "index_bucket": bucket,
        "bucket": bucket,
        "run": run_id,
        "chunk": 1,
        "attempt": 1,
    }


@given(TEXT, TEXT)
def test_the_body_holds_nothing_that_a_shell_touches(bucket: str, index_key: str) -> None:
    plain = re.sub(r"\\u[0-9a-f]{4}", "", body(bucket=bucket, index_key=index_key).decode("ascii"))
    assert re.fullmatch(r"[A-Za-z0-9_.:/@+,=%{}\"-]+", plain)


def test_start_and_end_are_the_lines_of_the_chunk() -> None:
    plan = make.plan([5] * 97, slots=3)
    bodies = [json.loads(write_range_body(plan, chunk, 1)) for chunk in plan.chunks]
    assert [(b["start"], b["end"]) for b in bodies] == [(1, 33), (34, 66), (67, 97)]


def test_a_template_replaces_the_bodies_of_all_chunks() -> None:
    plan = make.plan([5] * 97, slots=3)
    payload = '{"files": "{{ start }}-{{ end }}", "of": {{ index|tojson }}}'
    bodies = [json.loads(each.body) for each in make_range_invocations(plan, payload=payload)]
    assert [body["files"] for body in bodies] == ["1-33", "34-66", "67-97"]
    assert {body["of"] for body in bodies} == {plan.index_key}


def test_a_template_that_fails_for_one_chunk_makes_no_invocation() -> None:
    plan = make.plan([5] * 97, slots=3)
    payload = "{% if chunk < 3 %}{}{% else %}\n{{ 1 / (3 - chunk) }}{% endif %}"
    with pytest.raises(ConfigError, match=r"service\.payload: line 2: division by zero"):
        make_range_invocations(plan, payload=payload)


def test_a_template_may_use_all_that_an_invocation_knows() -> None:
    plan = make.plan()
    assert list_values(plan, plan.chunks[0], 1).keys() == SAMPLE.keys()


def test_no_key_is_one_of_the_supervisors_own() -> None:
    assert RESERVED.isdisjoint(json.loads(body()))


HOSTILE = [
    pytest.param("a  b\tc", id="blanks"),
    pytest.param("line\nbreak", id="line break"),
    pytest.param(r"back\nslash\c\\", id="backslashes"),
    pytest.param("* ? [a-z] {a,b} ~ !1", id="globs"),
    pytest.param("*", id="star"),
    pytest.param("$HOME `id` $(id) ; | & > x", id="shell syntax"),
    pytest.param("'\"", id="quotes"),
    pytest.param("-n -e", id="options of echo"),
    pytest.param("ü日本𝄞\u2028", id="unicode"),
    pytest.param("a+b%2F#c", id="url characters"),
]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_key_survives_an_unquoted_echo(shell: str, text: str, tmp_path: Path) -> None:
    sent = body(bucket=text, index_key=text)
    assert echoed(shell, sent, tmp_path) == sent + b"\n"


@pytest.mark.parametrize("shell", SHELLS)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=TEXT)
def test_any_key_survives_an_unquoted_echo(shell: str, tmp_path: Path, text: str) -> None:
    sent = body(index_key=text)
    assert echoed(shell, sent, tmp_path) == sent + b"\n"


def echoed(shell: str, sent: bytes, folder: Path) -> bytes:
    """What OSCAR's job command hands to the supervisor, in a folder with files to glob."""
    for name in ("a", "b", "n", "{"):
        (folder / name).touch()
    arguments = [shell, "sh"] if shell == "busybox" else [shell]
    done = subprocess.run(
        [*arguments, "-c", "echo $EVENT"],
        env={"PATH": os.environ["PATH"], "EVENT": sent.decode("ascii")},
        cwd=folder,
        capture_output=True,
        check=True,
    )
    return done.stdout


LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
NAMES = st.from_regex(LABEL, fullmatch=True).filter(lambda name: len(name) <= 39)


@given(NAMES, st.integers(1, 10**6), st.integers(1, 99))
def test_a_job_has_a_name_that_kubernetes_accepts(service: str, number: int, attempt: int) -> None:
    name = make_job_name(make.plan(service=service), f"{number}-{attempt}")
    assert LABEL.fullmatch(name)
    assert len(name) <= 63


def test_the_longest_service_name_still_fits() -> None:
    plan = make.plan(service="a" * 23 + "-" * 15 + "b")
    assert make_range_invocations(plan)[0].job == f"{'a' * 23}-{make.RUN_ID}-1-1"


def test_invocations_of_chunks_attempts_and_runs_have_jobs_of_their_own() -> None:
    plan = make.plan()
    other = replace(plan, run_id="20261122t101500z-000000")
    made = [make_range_invocations(plan), make_range_invocations(plan, 2)]
    jobs = [each.job for each in (*made[0], *made[1], *make_range_invocations(other))]
    assert len(set(jobs)) == len(jobs)


def test_the_same_attempt_always_has_the_same_name() -> None:
    assert make_range_invocations(make.plan()) == make_range_invocations(make.plan())
