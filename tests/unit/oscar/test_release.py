# SPDX-License-Identifier: Apache-2.0
"""Releases: what the answer of /system/info says, and what each of them does."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.oscar.release import (
    adapt_ports,
    is_lost_in_upgrade,
    loses_events,
    names_jobs,
    parse_release,
)
from tests.unit.manager import manager


@pytest.mark.parametrize(
    ("version", "release", "named"),
    [
        ("4.1.2", (4, 1), True),
        ("v4.10.0-rc1", (4, 10), True),
        ("5.0", (5, 0), True),
        ("4.0.1", (4, 0), False),
        ("3.7.1", (3, 7), False),
        ("3.10.1", (3, 10), False),
        ("devel", None, False),
        ("", None, False),
        ("4", None, False),
        ("14.12345", None, False),
        (41, None, False),
        (None, None, False),
    ],
)
def test_jobs_have_names_from_release_4_1_on(
    version: Any, release: tuple[int, int] | None, named: bool
) -> None:
    found = parse_release({"version": version})
    assert (found, names_jobs(found)) == (release, named)


@pytest.mark.parametrize("raw", [None, [], "4.1.2", {}])
def test_an_answer_without_a_version_names_no_release(raw: Any) -> None:
    assert parse_release(raw) is None


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ((200, '{"version":"4.1.2","git_commit":"abf6582b"}'), True),
        ((200, '{"version":"3.7.1"}'), False),
        ((200, "<html>"), False),
        ((401, ""), False),
        ((404, "404 page not found"), False),
        (None, False),
    ],
)
def test_a_cluster_whose_release_is_unknown_is_taken_for_an_old_one(
    answer: tuple[int, str] | None, named: bool
) -> None:
    with manager({"GET /system/info": answer}) as running:
        assert running.oscar.names_jobs() is named


@pytest.mark.parametrize(
    ("release", "loses", "lost"),
    [
        (None, False, False),
        ((3, 5), False, True),
        ((3, 6), True, True),
        ((3, 7), True, True),
        ((4, 0), False, True),
        ((4, 1), False, False),
    ],
)
def test_what_an_update_and_an_upgrade_do_to_a_service(
    release: tuple[int, int] | None, loses: bool, lost: bool
) -> None:
    assert (loses_events(release), is_lost_in_upgrade(release)) == (loses, lost)


@pytest.mark.parametrize(
    ("release", "given", "sent"),
    [
        ((4, 1), {"nodePort": 0, "api_port": 80}, {"nodePort": [], "api_port": [80]}),
        ((4, 1), {"nodePort": [1, 2], "api_port": None}, {"nodePort": [1, 2], "api_port": []}),
        ((4, 1), {"api_port": "80", "min_scale": 1}, {"api_port": "80", "min_scale": 1}),
        ((4, 0), {"nodePort": [], "api_port": [80]}, {"nodePort": 0, "api_port": 80}),
        ((3, 7), {"nodePort": 30500, "api_port": [1, 2]}, {"nodePort": 30500, "api_port": [1, 2]}),
        (None, {"nodePort": 0, "api_port": [80]}, {"nodePort": 0, "api_port": [80]}),
    ],
)
def test_ports_have_the_form_of_the_release(
    release: tuple[int, int] | None, given: dict[str, Any], sent: dict[str, Any]
) -> None:
    assert adapt_ports({"name": "x", "expose": given}, release) == {"name": "x", "expose": sent}


@pytest.mark.parametrize("definition", [{"name": "x"}, {"name": "x", "expose": None}])
def test_a_service_that_is_not_exposed_is_sent_as_it_is(definition: dict[str, Any]) -> None:
    assert adapt_ports(definition, (4, 1)) == definition
