# SPDX-License-Identifier: Apache-2.0
"""The config of a run without its secrets, and links to its files and logs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ..model.run import Report, Setting


def rebuild_config(settings: Sequence[Setting]) -> str:
    """Rebuilds the config as JSON, without secrets; empty if it is not known."""
    config: dict[str, Any] = {}
    for setting in settings:
        if setting.given:
            *sections, name = setting.key.split(".")
            place = config
            for section in sections:
                inner = place.get(section)
                # `skip_done: true` and an object with keys have the same name.
                place[section] = place = inner if isinstance(inner, dict) else {}
            place[name] = _read_value(setting.value)
    return json.dumps(config, indent=2, ensure_ascii=False) if config else ""


def _read_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # a long value was cut
        return text


@dataclass(frozen=True, slots=True)
class Link:
    """An object in the folder of the run."""

    name: str
    what: str
    place: str
    """Bucket and key."""

    @property
    def href(self) -> str:
        return quote(self.name)


def list_links(report: Report) -> Iterator[Link]:
    """The objects of the run's folder; none of a run that has no plan."""
    plan = report.plan
    if plan is None:
        return
    files = [
        ("report.json", "this report for machines, with all rows"),
        (plan.index_key.rpartition("/")[2], "the index: all items, one key a line"),
        ("plan.json", "the plan"),
    ]
    if report.accounts and not report.running:
        files += [
            ("done.txt", "the items that are done"),
            ("failed.jsonl", "the items that failed, each with its reason"),
            ("failed.csv", "the same for a spreadsheet"),
            ("pending.jsonl", "the items that are pending"),
            ("skipped.jsonl", "the objects that are not items, each with the reason"),
        ]
    for name, what in files:
        yield Link(name, what, f"{plan.folder.bucket}/{plan.folder.prefix}{name}")


def locate_log(report: Report, job: str) -> str:
    """The URL of a job's log; empty if it is not known, or is no URL of the web."""
    base = report.origin.job_logs
    known = base.startswith(("https://", "http://"))
    return f"{base}{quote(job, safe='')}" if known and job else ""
