# SPDX-License-Identifier: Apache-2.0
"""A manager that is killed while a run submits: no chunk is lost, none starts two jobs."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.handle import Sandbox, wait_until
from tests.functional.conftest import Deploy, Release
from tests.functional.coordination import Ran, config_for, coordinate, fill

pytestmark = pytest.mark.any_storage

CHUNKS, KILLS = 60, 10
AWAY_S = 0.2
MANY = 100_000
# Its log is the invocation that it got. The marker of the kit lets it do without a mount.
SCRIPT = '# oscar-batch worker 1\ncat "$INPUT_FILE_PATH"; sleep 0.1\n'


def count_posts(box: Sandbox) -> int:
    """How many invocations have arrived: each takes one from the fault that delays its answer."""
    box.wait_for_manager()
    return MANY - int(box.chaos("GET", "faults")[0]["times"])


def kill_at_random_moments(box: Sandbox, seed: int, hits: list[int]) -> None:
    """Kills the manager whenever as many invocations have arrived as chance says."""
    moments = sorted(random.Random(seed).sample(range(1, CHUNKS - 10), KILLS))
    for moment in moments:
        wait_until(lambda at=moment: count_posts(box) >= at or None, 60, lambda: "no more come")  # type: ignore[misc]
        box.kill_manager(AWAY_S)
        hits.append(moment)


def submit_under_fire(box: Sandbox, service: str, folder: Path, seed: int) -> Ran:
    """A run of 60 chunks; each answer leaves a while after the job exists, if it leaves."""
    bucket = f"{service}-data"
    fill(box, bucket, [f"input/{number:02}.jpg" for number in range(CHUNKS)])
    box.fail("POST", "/job/*", times=MANY, delay_s=0.05, answer_delay_s=0.05)
    config = config_for(box, service, bucket, plan={"chunk_items": 1})
    hits: list[int] = []
    killer = threading.Thread(target=kill_at_random_moments, args=(box, seed, hits))
    killer.start()
    try:
        ran = coordinate("run", config, folder)
        assert len(hits) == KILLS, "the run ended before the last kill"
        return ran
    finally:
        killer.join()


@pytest.fixture
def calm(release: Release) -> Iterator[None]:
    """Removes the faults when a test is over."""
    yield
    for profile in ("v3.7", "v4.1"):
        box = release(profile)
        box.wait_for_manager()
        box.chaos("DELETE", "faults")


def count_lines(box: Sandbox, service: str) -> Counter[int]:
    """How many jobs got each line of the index, once all jobs have ended."""
    box.wait_for_manager()
    jobs = box.wait_until_ended(service, within_s=120)
    bodies = [json.loads(box.read_log(service, job).splitlines()[-1]) for job in jobs]
    return Counter(line for body in bodies for line in range(body["start"], body["end"] + 1))


@pytest.mark.usefixtures("calm")
def test_where_jobs_have_names_every_chunk_starts_one_job(
    release: Release, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    box = release("v4.1")
    deploy_on(box, SCRIPT, cpu="100m", memory="64Mi")
    ran = submit_under_fire(box, name, tmp_path, seed=1)
    report = ran.report
    assert (ran.code, report["ending"]) == (0, "submitted"), report["message"]
    assert count_lines(box, name) == Counter(range(1, CHUNKS + 1))
    assert max(chunk["attempts"] for chunk in report["chunks"]) > 1, "no answer was lost"


@pytest.mark.usefixtures("calm")
def test_where_jobs_have_no_names_no_chunk_is_lost_silently(
    release: Release, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    box = release("v3.7")
    deploy_on(box, SCRIPT, cpu="100m", memory="64Mi")
    ran = submit_under_fire(box, name, tmp_path, seed=2)
    report = ran.report
    chunks = report["chunks"]
    unproven = {chunk["number"] for chunk in chunks if chunk["state"] == "uncertain"}
    invoked = {chunk["number"] for chunk in chunks if chunk["state"] == "invoked"}
    assert unproven, "no answer was lost"
    assert (ran.code, report["ending"]) == (1, "partly submitted")
    first = ", ".join(str(number) for number in sorted(unproven)[:20])
    assert report["message"].startswith("unproven: chunk")
    assert first in report["message"]
    assert unproven | invoked == set(range(1, CHUNKS + 1))
    lines = count_lines(box, name)
    assert set(lines.values()) == {1}
    assert invoked <= set(lines)
