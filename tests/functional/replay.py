# SPDX-License-Identifier: Apache-2.0
"""Sends recorded requests to a sandbox, after bringing it to the state that the answers show."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import requests

from sandbox.handle import Sandbox, wait_until
from tests.functional.recordings import (
    FOLDER,
    HEADERS,
    UUID,
    Exchange,
    find_differences,
    flatten,
    normalize,
    normalize_log,
    read_exchanges,
)

OTHER_TOKEN = "a" * 64
ENDED = ("Succeeded", "Failed")
# In containers of the recorded image, and the folder of the test that they see there.
FOLDER_SEEN = "/seen"
FILE = f"{FOLDER_SEEN}/end"
IMAGE = "lab/python:3.11"
WITHIN_S = 40.0
# The fields that a job of each status may have.
FIELDS = {
    "Suspended": [0],
    "Pending": [0, 1],
    "Running": [2, 3],
    "Succeeded": [3],
    "Failed": [3],
}
TIMES = ["creation_time", "start_time", "finish_time"]
# Of the status only these values are compared: others tell usage or placement.
STATUS_VALUES = ("nodes_count", "capacity", ".status", "conditions", "is_interlink", ".gpu")
Jobs = dict[str, dict[str, str]]


def find_definitions(release: str) -> dict[str, dict[str, Any]]:
    """The definition of every service that a recording of the release creates."""
    folder = FOLDER / "v3.7.1" if release == "v3.7" else FOLDER
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        for one in json.loads(path.read_text("utf-8")):
            if (one["method"], one["path"], one["status"]) == ("POST", "/system/services", 201):
                definition = json.loads(one["request_body"])
                found.setdefault(definition["name"], definition)
    return found


class Replay:
    """One sandbox, and what was found to differ so far."""

    def __init__(
        self, box: Sandbox, release: str, skipped: Callable[[Exchange], bool], ignored: str
    ) -> None:
        self.box = box
        self.differences: list[str] = []
        self.played = 0
        self._skipped = skipped
        self._ignored = re.compile(ignored)
        self._definitions = find_definitions(release)
        self._names_jobs = release == "v4.1"
        self._old_tokens: dict[str, str] = {}
        self._next_page = ""
        self._made: set[str] = set()
        self._brought: set[str] = set()
        self._generic: set[str] = set()
        """Services whose definition was not recorded, so their jobs run another script."""

    def play(self, file: str, before: dict[int, Callable[[], object]]) -> None:
        exchanges = read_exchanges(file)
        for position, exchange in enumerate(exchanges):
            if self._skipped(exchange):
                continue
            if exchange.number in before:
                before[exchange.number]()
            later = exchanges[position + 1 :]
            self._prepare(exchange, later)
            answer = self._send(exchange)
            for difference in self._compare(exchange, answer, later):
                self.differences.append(f"{exchange.where}: {difference}")
            self.played += 1

    # The state that an answer shows

    def _prepare(self, exchange: Exchange, later: list[Exchange]) -> None:
        service = find_service(exchange)
        if not service or "nosuch" in service or self._creates(exchange, later, service):
            return
        expected = exchange.status < 400 or exchange.parts[1:2] == ["logs"]
        if expected and self.box.call("GET", f"/system/services/{service}").status_code == 404:
            if service in self._made and exchange.status >= 400:
                return
            self._create(service)
        if exchange.is_list and "page=" not in exchange.path:
            self._bring_jobs(service, exchange, later)
        if exchange.status == 200 and len(exchange.parts) == 4 and "logs" in exchange.parts:
            job = exchange.parts[3]
            if job not in self.box.list_jobs(service) and self._names_jobs:
                self._submit(service, job, "{}")
            self._wait_for_end(service, job)

    def _creates(self, exchange: Exchange, later: list[Exchange], service: str) -> bool:
        """Whether this exchange or the next one of the service creates it."""
        if (exchange.method, exchange.path) == ("POST", "/system/services"):
            self._made.add(service)
            return True
        following = next((each for each in later if find_service(each) == service), None)
        return following is not None and following.path == "/system/services"

    def _create(self, service: str) -> None:
        generic = {"name": service, "image": "i", "script": "true", "cpu": "0.1"}
        definition = self._definitions.get(service, generic)
        self._generic |= {service} - self._definitions.keys()
        self.box.deploy(definition | {"script": adapt_script(definition["script"])})
        self._made.add(service)

    def _bring_jobs(self, service: str, exchange: Exchange, later: list[Exchange]) -> None:
        """Submit the jobs that a list shows, if no recorded request did, and delete others."""
        wanted: Jobs = {}
        for page in (exchange, *find_pages(exchange, later)):
            wanted |= json.loads(page.answer)["jobs"]
        found = self.box.list_jobs(service)
        for name in self._brought & found.keys() - wanted.keys():
            self.box.call("DELETE", f"/system/logs/{service}/{name}").raise_for_status()
            self._brought.discard(name)
        ends = find_ends(service, [exchange, *later])
        # Jobs that got their name here stand for recorded ones with random names.
        unnamed = sum(1 for name in found if UUID.search(name) and name not in wanted)
        for name in wanted:
            if name in found:
                continue
            if UUID.search(name) and unnamed:
                unnamed -= 1
                continue
            self._submit(service, name, "[1]" if ends[name] == "Failed" else "{}")
            self._brought.add(name)

    def _submit(self, service: str, job: str, body: str) -> None:
        self.box.invoke(service, body, **{"X-Delegated-Job-ID": job}).raise_for_status()

    def _wait_for_end(self, service: str, job: str) -> None:
        def has_ended() -> bool | None:
            jobs = self.box.list_jobs(service)
            return job not in jobs or jobs[job]["status"] in ENDED or None

        wait_until(has_ended, WITHIN_S, lambda: f"{job} does not end")

    # The request

    def _send(self, exchange: Exchange) -> requests.Response:
        headers = dict(exchange.headers)
        headers["X-Delegated-Job-ID"] = headers.get("X-Delegated-Job-ID", "").replace(
            "SERVICE_TOKEN", "e" * 64
        )
        if not exchange.headers.get("X-Delegated-Job-ID"):
            del headers["X-Delegated-Job-ID"]
        if "Authorization" in headers:
            headers["Authorization"] = self._authorize(exchange, headers["Authorization"])
        path = exchange.path
        if "page=" in path and "garbage" not in path:
            path = f"{path.partition('?')[0]}?page={self._next_page}"
        if not self._names_jobs and len(exchange.parts) == 4 and UUID.search(path):
            jobs = self.box.list_jobs(find_service(exchange))
            path = f"{path.rpartition('/')[0]}/{next(iter(jobs), 'none')}"
        body = exchange.body
        if exchange.path == "/system/services" and body:
            text = body.decode("utf-8").replace("SERVICE_TOKEN", OTHER_TOKEN)
            body = adapt_script(text).encode("utf-8")
        return requests.request(
            exchange.method, self.box.url + path, headers=headers, data=body, timeout=60,
            allow_redirects=False,
        )  # fmt: skip

    def _authorize(self, exchange: Exchange, value: str) -> str:
        service = find_service(exchange)
        if "Basic SECRET" in value:
            request = requests.Request("GET", self.box.url, auth=self.box.auth).prepare()
            return str(request.headers["Authorization"])
        if "SERVICE_TOKEN" not in value:
            return value
        token = OTHER_TOKEN
        if "old token" in exchange.note:
            token = self._old_tokens[service]
        elif "wrong token" not in exchange.note and "nosuch" not in service:
            asked = service if exchange.path.startswith("/job/") else next(iter(self._made))
            found = self.box.call("GET", f"/system/services/{asked}")
            token = found.json()["token"] if found.status_code == 200 else OTHER_TOKEN
            self._old_tokens.setdefault(asked, token)
        return value.replace("SERVICE_TOKEN", token)

    # The answer

    def _compare(
        self, exchange: Exchange, answer: requests.Response, later: list[Exchange]
    ) -> Iterator[str]:
        if answer.status_code != exchange.status:
            yield f"status {answer.status_code} {answer.text[:300]!r}, recorded {exchange.status}"
            return
        for name in HEADERS:
            found, recorded = answer.headers.get(name), exchange.answer_headers.get(name)
            if found != recorded:
                yield f"header {name}: {found!r}, recorded {recorded!r}"
        empty = exchange.answer_headers.get("Content-Length") == "0"
        if empty and answer.headers.get("Content-Length") != "0":
            yield "an empty answer without Content-Length: 0"
        if "characters in all]" in exchange.answer:
            return
        if exchange.is_list:
            yield from self._compare_lists(exchange, answer, later)
        elif "json" in exchange.answer_headers.get("Content-Type", ""):
            recorded, found = json.loads(exchange.answer), answer.json()
            yield from find_differences(recorded, found)
            yield from compare_values(exchange, flatten(recorded), flatten(found))
        elif len(exchange.parts) == 4 and "logs" in exchange.parts and exchange.status == 200:
            if find_service(exchange) not in self._generic:
                yield from self._compare_logs(exchange, answer.text)
        else:
            recorded = exchange.answer.replace("SERVICE_TOKEN", "e" * 64)
            if normalize(answer.text) != normalize(recorded):
                yield f"text {answer.text[:400]!r}, recorded {recorded[:400]!r}"

    def _compare_logs(self, exchange: Exchange, text: str) -> Iterator[str]:
        recorded = normalize_log(exchange.answer, self._ignored)
        found = normalize_log(text, self._ignored)
        missing, added = recorded - found, found - recorded
        if missing or added:
            yield f"log without {sorted(missing)}, with {sorted(added)}"

    def _compare_lists(
        self, exchange: Exchange, answer: requests.Response, later: list[Exchange]
    ) -> Iterator[str]:
        recorded, found = json.loads(exchange.answer), answer.json()
        self._next_page = found.get("next_page", "")
        if list(recorded) != list(found):
            yield f"the keys are {list(found)}, recorded are {list(recorded)}"
        yield from (problem for job in found["jobs"].values() for problem in check_fields(job))
        if is_polled_again(exchange, later) or "page=" in exchange.path:
            return
        deadline = time.monotonic() + WITHIN_S
        while True:
            problems = list(compare_jobs(recorded["jobs"], found["jobs"]))
            if not problems or time.monotonic() > deadline:
                yield from problems
                return
            time.sleep(0.2)
            again = self._send(exchange)
            if again.status_code != exchange.status:
                yield f"status {again.status_code} {again.text[:300]!r} when asked again"
                return
            found = again.json()


def find_service(exchange: Exchange) -> str:
    """The service that a request is about; empty if it is about none."""
    if exchange.path == "/system/services" and exchange.body:
        try:
            return str(json.loads(exchange.body)["name"])
        except ValueError:
            return ""
    if exchange.parts[0] in ("job", "run"):
        return exchange.parts[1]
    return exchange.parts[2] if len(exchange.parts) > 2 else ""


def find_ends(service: str, exchanges: list[Exchange]) -> dict[str, str]:
    """The last recorded status of every job of a service."""
    ends: dict[str, str] = {}
    for each in exchanges:
        if each.is_list and find_service(each) == service:
            jobs = json.loads(each.answer)["jobs"]
            ends |= {name: job["status"] for name, job in jobs.items()}
    return ends


def adapt_script(script: str) -> str:
    """A script that waits for a file of the test where the recorded one slept.

    And it keeps the memory that is too much for some seconds, since the sandbox only measures it.
    """
    waiting = script.replace("sleep 90", f"until [ -e {FILE} ]; do sleep 0.1; done")
    return waiting.replace("print(len(a))", "import time; time.sleep(20)")


def find_pages(exchange: Exchange, later: list[Exchange]) -> Iterator[Exchange]:
    """The later pages of a list."""
    for each in later:
        if not each.is_list or each.parts != exchange.parts or "page=" not in each.path:
            return
        yield each


def is_polled_again(exchange: Exchange, later: list[Exchange]) -> bool:
    """Whether the same list is asked for again before anything else is done."""
    for each in later:
        if each.method != "GET":
            return False
        if each.path == exchange.path:
            return True
    return False


def check_fields(job: dict[str, str]) -> Iterator[str]:
    keys = list(job)
    if keys[0] != "status" or keys[1:] != TIMES[: len(keys) - 1]:
        yield f"a job has the fields {keys}"
    elif len(keys) - 1 not in FIELDS[job["status"]]:
        yield f"a job is {job}"


def compare_jobs(recorded: Jobs, found: Jobs) -> Iterator[str]:
    """Jobs with names of the caller's by their name, all others by their number."""
    named = {name for name in recorded if not UUID.search(name)}
    if named != {name for name in found if not UUID.search(name)}:
        yield f"the jobs are {sorted(found)}, recorded are {sorted(recorded)}"
    if len(recorded) != len(found):
        yield f"there are {len(found)} jobs, recorded are {len(recorded)}"
    for name in named & found.keys():
        wanted, job = recorded[name], found[name]
        if wanted["status"] == "Running":
            # It may have ended since, and how is known where it had ended already.
            if job["status"] not in ("Running", *ENDED):
                yield f"{name} is {job}, recorded is {wanted}"
        elif (wanted["status"], list(wanted)) != (job["status"], list(job)):
            yield f"{name} is {job}, recorded is {wanted}"
        elif is_epoch(wanted) != is_epoch(job):
            yield f"{name} started {job['start_time']}, recorded is {wanted['start_time']}"
    random = [Counter(j["status"] for n, j in jobs.items() if UUID.search(n)) for jobs in
              (recorded, found)]  # fmt: skip
    if random[1]["Pending"] != random[0]["Pending"] or (random[1]["Failed"] < random[0]["Failed"]):
        yield f"jobs without names are {random[1]}, recorded are {random[0]}"


def is_epoch(job: dict[str, str]) -> bool:
    """Whether the job has the start time of a container that could not be made."""
    return job.get("start_time", "").startswith("1970")


def compare_values(
    exchange: Exchange, recorded: dict[str, Any], found: dict[str, Any]
) -> Iterator[str]:
    status = exchange.path == "/system/status"
    for key in recorded.keys() & found.keys():
        if status and not any(part in key for part in STATUS_VALUES):
            continue
        if recorded[key] != found[key]:
            yield f"{key} is {found[key]!r}, recorded is {recorded[key]!r}"
