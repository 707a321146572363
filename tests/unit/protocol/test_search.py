# SPDX-License-Identifier: Apache-2.0
"""Small runs in every order of events, on the real decisions: see docs/reliability.md."""

from __future__ import annotations

import pytest

from .cases import LARGE, SMALL
from .search import explore, walk
from .world import Case


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_every_state_of_a_small_run_holds_and_ends(case: Case) -> None:
    found = explore(case)
    assert (found.violation, found.trace) == ("", ())
    assert found.whole


@pytest.mark.parametrize("case", LARGE, ids=lambda case: case.name)
def test_the_first_states_of_a_larger_run_hold_and_end(case: Case) -> None:
    found = explore(case._replace(most_states=4_000))
    assert (found.violation, found.trace) == ("", ())
    assert found.states >= 4_000 or found.whole


@pytest.mark.parametrize("case", LARGE, ids=lambda case: case.name)
def test_random_walks_hold_and_end(case: Case) -> None:
    found = walk(case, seed=13, walks=20)
    assert (found.violation, found.trace) == ("", ())
