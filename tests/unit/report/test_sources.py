# SPDX-License-Identifier: Apache-2.0
"""The config as it was given, and the links of the page."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from coordinator.config.credentials import Platform
from coordinator.config.load import load_config
from coordinator.model.errors import Ending
from coordinator.model.pull.findings import Accounts
from coordinator.model.run import Origin, Setting
from coordinator.report.sources import list_links, locate_log, rebuild_config
from tests.unit import make

GIVEN = {
    "bucket": {"name": "data", "exclude": ["**/*.tmp"], "skip_done": {"prefix": "out/"}},
    "service": {"name": "target"},
    "plan": {"headroom": 0.1},
    "MinIO": {"url": "https://minio.example.org", "access_key": "ana", "secret_key": "canary-1"},
    "oscar_cluster": {
        "url": "https://oscar.example.org",
        "auth_basic": {"username": "ana", "password": "canary-2"},
    },
}


def test_the_config_is_shown_as_it_was_given_without_its_secrets() -> None:
    text = rebuild_config(load_config(json.dumps(GIVEN).encode(), Platform()).settings)
    assert "canary" not in text
    shown = json.loads(text)
    assert shown["bucket"] == GIVEN["bucket"]
    assert shown["oscar_cluster"]["auth_basic"] == {"username": "ana", "password": "…"}
    assert "run" not in shown


def test_every_setting_has_the_value_in_force() -> None:
    settings = load_config(json.dumps(GIVEN).encode(), Platform()).settings
    found = {each.key: (each.value, each.given) for each in settings}
    assert found["plan.headroom"] == ("0.1", True)
    assert found["run.poll_s"] == ("10.0", False)
    assert found["service.mode"] == ('"auto"', False)
    assert found["MinIO.secret_key"] == ('"…"', True)
    assert len(found) > 50


def test_a_value_that_was_cut_is_shown_as_it_is() -> None:
    setting = Setting("bucket.include", '["a", "b…', given=True)
    assert json.loads(rebuild_config([setting])) == {"bucket": {"include": '["a", "b…'}}
    assert rebuild_config([replace(setting, given=False)]) == ""


def test_the_files_of_a_run_are_linked_beside_its_page() -> None:
    planned = make.report(Ending.PLANNED, of=make.plan())
    assert [link.href for link in list_links(planned)] == ["report.json", "index.txt", "plan.json"]
    followed = list(list_links(replace(planned, accounts=Accounts(3, 0, 0))))
    assert [link.href for link in followed[3:]] == [
        "done.txt",
        "failed.jsonl",
        "failed.csv",
        "pending.jsonl",
        "skipped.jsonl",
    ]
    assert followed[3].place == "data/.oscar-batch/run/done.txt"
    assert list(list_links(make.report())) == []


@pytest.mark.parametrize(
    ("base", "href"),
    [
        ("https://oscar.test/system/logs/s/", "https://oscar.test/system/logs/s/a%20b"),
        ("javascript:alert(1)//", ""),
        ("", ""),
    ],
)
def test_a_log_is_linked_only_on_the_web(base: str, href: str) -> None:
    report = replace(make.report(), origin=Origin(job_logs=base))
    assert locate_log(report, "a b") == href
    assert locate_log(report, "") == ""
