# SPDX-License-Identifier: Apache-2.0
"""The checks, in their order: each makes what it needs and yields rows of what it saw.

A later check uses what an earlier one made. Nothing is judged by the phase of a job, since OSCAR's
phases prove nothing; what proves is an output, a report, or an answer.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import requests

from coordinator.oscar.release import names_jobs, parse_release

from .cluster import poll, write_fdl
from .site import Site, deploy, list_fdls

PLAIN = [f"input/{number}.jpg" for number in range(6)]
ODD = [
    "input/2024/01 Winter/cámara 1.JPG",
    'input/it\'s "quoted" #3+4 50%2F.jpg',
    "input/*[ab]?;&$HOME.jpg",
    "input/観測/😀.jpeg",
    "input/tab\tname.jpg",
]
UNFIT = "input/new\nline.jpg"
BUSY = [f"busy/{number}.jpg" for number in range(8)]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    check: str
    ok: bool
    seen: str
    expected: str


Rows = Iterator[Row]
Check = Callable[[Site], Rows]


def check_status(site: Site) -> Rows:
    info = site.cluster.read_info()
    yield Row("release", parse_release(info) is not None, f"OSCAR {info['version']}", "a version")
    answer = site.cluster.call("GET", "/system/status")
    raw = answer.json() if answer.ok else {}
    nodes = (raw.get("cluster") or {}).get("nodes") or raw.get("detail") or []
    seen = f"HTTP {answer.status_code}, {len(nodes)} nodes"
    yield Row("status", bool(nodes), seen, "HTTP 200 and nodes; else runs need plan.max_parallel")


def check_deploy(site: Site) -> Rows:
    """Both services; the target first, because it makes the bucket of the data."""
    for part in ("gray", "batch"):
        site.made.name_service(part)
    for part in ("data", "out", "batch"):
        site.made.name_bucket(part)
    for fdl in list_fdls(site):
        lines = deploy(site, fdl)
        yield Row(f"deploy {fdl.stem}", f"{fdl.stem}: created" in lines, lines, "created")

    def make_data() -> bool | None:
        minio = site.cluster.minio
        if not minio.bucket_exists(site.data):
            minio.make_bucket(site.data)
        site.upload([*PLAIN, *ODD, UNFIT])
        return True

    poll(make_data, 60)  # MinIO restarts after each creation
    ended = site.cluster.run_command("capacity", str(site.write_config("input/")), "--json")
    slots = json.loads(ended.stdout)["slots"] if ended.stdout else 0
    yield Row("capacity", slots > 0, f"{slots} slots", "room for one invocation at least")


def check_main_job(site: Site) -> Rows:
    config = site.write_config("input/")
    words = ["submit", str(config), "--service", site.coordinator, "--json"]
    ended = site.cluster.run_command(*words)
    report: dict[str, Any] = {"ending": ended.stderr[-300:]}
    if ended.stdout:
        report = json.loads(ended.stdout)
    sent = sum(chunk["state"] in ("invoked", "done") for chunk in report.get("chunks", []))
    yield Row("main job: report", sent > 0, f"{report['ending']}, {sent} chunks", "all invoked")
    done = site.wait_for_outputs(PLAIN)
    yield Row("main job: outputs", done == len(PLAIN), f"{done} of {len(PLAIN)}", "all")
    done = site.wait_for_outputs(ODD)
    yield Row("odd keys: outputs", done == len(ODD), f"{done} of {len(ODD)}", "all")
    skipped = [each["key"] for each in report.get("skipped", [])]
    yield Row("odd keys: line break", skipped == [UNFIT], f"skipped {skipped}", f"[{UNFIT!r}]")


def check_job_names(site: Site) -> Rows:
    name = f"{site.target}-asked"
    token = site.cluster.read_service(site.target)["token"]
    body = b'{"start":1,"end":1,"index":"none","bucket":"none"}'
    headers = {"Authorization": f"Bearer {token}", "X-Delegated-Job-ID": name}
    answers = [
        requests.post(
            f"{site.cluster.url}/job/{site.target}", data=body, headers=headers, timeout=60
        )
        for _ in range(2)
    ]
    seen = ", ".join(f"{answer.status_code} {answer.text[:60]}".strip() for answer in answers)
    named = names_jobs(parse_release(site.cluster.read_info()))
    known = answers[1].text.strip() == f'jobs.batch "{name}" already exists'
    ok = answers[0].status_code == requests.codes.created
    ok &= known if named else answers[1].status_code == requests.codes.created
    expected = "201, then 'already exists'" if named else "201, 201 (names are ignored)"
    yield Row("job names: same name twice", ok, seen, expected)
    listed = name in site.cluster.list_jobs(site.target)
    yield Row("job names: listed", listed == named, f"as asked: {listed}", f"as asked: {named}")


def check_busy_manager(site: Site) -> Rows:
    """A submission while others list jobs, which costs the manager a call for every job."""
    site.upload(BUSY)
    before = len(site.cluster.list_jobs(site.target))
    stop = threading.Event()

    def list_jobs() -> None:
        while not stop.is_set():
            site.cluster.call("GET", f"/system/logs/{site.target}", timeout=300)
            stop.wait(0.2)

    threads = [threading.Thread(target=list_jobs, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    begun = time.monotonic()
    config = site.write_config("busy/", plan={"chunk_items": 1})
    ended = site.cluster.run_command("run", str(config), "--output", str(site.folder), "--json")
    took_s = time.monotonic() - begun
    stop.set()
    for thread in threads:
        thread.join(300)
    chunks = json.loads(ended.stdout)["chunks"] if ended.stdout else []
    states = ", ".join(f"{n} {s}" for s, n in Counter(c["state"] for c in chunks).items())
    jobs = len(site.cluster.list_jobs(site.target)) - before
    ok = jobs == len(BUSY) == len(chunks)
    seen = f"{states or ended.stderr[-200:]}; {jobs} jobs in {took_s:.1f} s"
    yield Row("busy manager: jobs", ok, seen, f"{len(BUSY)} chunks, {len(BUSY)} jobs")
    done = site.wait_for_outputs(BUSY)
    yield Row("busy manager: outputs", done == len(BUSY), f"{done} of {len(BUSY)}", "all")


def check_redeploy(site: Site) -> Rows:
    """A plain drop after an update starts a run, or `deploy` said that it will not."""
    lines = deploy(site, list_fdls(site)[1])
    yield Row("redeploy", f"{site.coordinator}: updated" in lines, lines, "updated")
    warned = "uploads no longer start it" in lines
    config = site.write_config("input/", run={"dry_run": True})
    before = list_reports(site)

    def drop() -> bool:
        site.cluster.minio.fput_object(site.coordinator, "in/dropped.json", str(config))
        return True

    poll(drop, 60)
    within_s = 10 if warned else site.wait_s
    arrived = poll(lambda: list_reports(site) - before or None, within_s) is not None
    seen = f"report: {arrived}, warned: {warned}"
    expected = "no report, as deploy said" if warned else "a report"
    yield Row("drop", arrived != warned, seen, expected)


def list_reports(site: Site) -> set[str]:
    found = site.cluster.minio.list_objects(site.coordinator, prefix="out/", recursive=True)
    return {name for entry in found if (name := str(entry.object_name)).endswith("report.json")}


def check_no_capacity(site: Site) -> Rows:
    name = site.made.name_service("big")
    fdl = write_fdl(
        "examples/turbidity/turbidity.yaml",
        site.folder,
        name=name,
        image=site.cluster.target_image,
        cpu="5000",
        mount={"storage_provider": "minio.default", "path": f"/{site.data}"},
        output=[],
    )
    deploy(site, fdl)
    config = str(site.write_config("input/", service=name, plan={"max_parallel": 1}))
    ended = poll(lambda: plan_run(site, config), 60)
    code = ended.returncode if ended else 3
    told = json.loads(ended.stdout)["message"] if ended and ended.stdout else "no answer"
    jobs = len(site.cluster.list_jobs(name))
    yield Row("no capacity", (code, jobs) == (4, 0), f"exit {code}: {told}", "exit 4, no job")


def plan_run(site: Site, config: str) -> Any:
    """The ended dry run; None while MinIO restarts."""
    ended = site.cluster.run_command(
        "run", config, "--dry-run", "--json", "--output", str(site.folder)
    )
    return None if ended.returncode == 3 else ended


CHECKS: dict[str, Check] = {
    "status": check_status,
    "deploy": check_deploy,
    "main job": check_main_job,
    "job names": check_job_names,
    "busy manager": check_busy_manager,
    "redeploy and drop": check_redeploy,
    "no capacity": check_no_capacity,
}


def run_checks(site: Site) -> Rows:
    """All rows; a check that breaks is a row too, and the next one is tried."""
    for name, check in CHECKS.items():
        try:
            yield from check(site)
        except Exception as error:
            yield Row(name, False, f"{type(error).__name__}: {error}"[:300], "no error")
