# SPDX-License-Identifier: Apache-2.0
"""The keys of all objects that a run writes. No other module makes such a key.

<state.prefix><run id>/start.json     the first object: who runs it
<state.prefix><run id>/index.txt      the items, one key a line
<state.prefix><run id>/plan.json      the plan
<state.prefix><run id>/report.json    what happened, for machines
<state.prefix><run id>/report.html    the same, for people
<state.prefix>costs/<service>.json    what the last run of a service measured
<report.prefix><run id>/report.*      a copy of the report, where the config asks for it
<folder_prefix><output.file>          a copy of the index, where the config asks for it
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from ..model.service import Folder, Locations, Service

REPORT_JSON, REPORT_HTML = "report.json", "report.html"


@dataclass(frozen=True, slots=True)
class RunLayout:
    """The keys of one run; all but the copies are in the state bucket."""

    locations: Locations
    run_id: str

    @property
    def start(self) -> str:
        return f"{self.locations.state.prefix}{self.run_id}/start.json"

    @property
    def index(self) -> str:
        return f"{self.locations.state.prefix}{self.run_id}/index.txt"

    @property
    def plan(self) -> str:
        return f"{self.locations.state.prefix}{self.run_id}/plan.json"

    def cost(self, service: str) -> str:
        """What the last run of a service measured."""
        return f"{self.locations.state.prefix}costs/{quote(service, safe='')}.json"


def make_report_key(folder: Folder, run_id: str, name: str) -> str:
    """The key of a report's file, in the state folder or in that of the copies."""
    return f"{folder.prefix}{run_id}/{name}"


def find_run_files(locations: Locations) -> tuple[str, ...]:
    """What runs leave in the listed folder: keys, and folders, which end with `/`."""
    data = locations.data
    folders = [folder for folder in (locations.state, locations.report) if folder and folder.prefix]
    found = [folder.prefix for folder in folders if folder.bucket == data.bucket]
    found += [locations.index_copy] if locations.index_copy else []
    return tuple(key for key in found if key.startswith(data.prefix) or data.prefix.startswith(key))


@dataclass(frozen=True, slots=True)
class WrittenObject:
    """An object that a run writes, the config key that names its place, and what to change."""

    setting: str
    bucket: str
    key: str
    advice: str


def list_written(locations: Locations, service: Service) -> Iterator[WrittenObject]:
    """One object of each kind that a run, its jobs and OSCAR after them write."""
    state, report = locations.state, locations.report
    elsewhere = "name another folder or bucket"
    yield WrittenObject("state", state.bucket, f"{state.prefix}index.txt", elsewhere)
    if report:
        yield WrittenObject("report", report.bucket, f"{report.prefix}{REPORT_JSON}", elsewhere)
    if locations.index_copy:
        advice = "leave output.file out: the index is kept in the run's own folder in any case"
        yield WrittenObject("output.file", locations.data.bucket, locations.index_copy, advice)
    for outputs, owner, name in (
        (service.outputs, "the service", "<output>"),
        (locations.own_outputs, "the coordinator's service", REPORT_JSON),
    ):
        advice = f"give {owner} another output folder"
        for output in outputs:
            yield WrittenObject("service.name", output.bucket, f"{output.prefix}{name}", advice)
