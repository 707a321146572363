# SPDX-License-Identifier: Apache-2.0
"""What a verb reads from the environment."""

from __future__ import annotations

import pytest

from coordinator.cli.inputs import read_posts_per_s
from coordinator.model.errors import ConfigError


@pytest.mark.parametrize(("text", "found"), [("", 2.5), ("7", 7.0), ("0.5", 0.5)])
def test_the_pace_is_a_default_managers_unless_the_environment_says_more(
    monkeypatch: pytest.MonkeyPatch, text: str, found: float
) -> None:
    monkeypatch.setenv("OSCAR_BATCH_POSTS_PER_S", text)
    assert read_posts_per_s() == found


@pytest.mark.parametrize("text", ["fast", "0", "-1", "nan", "inf"])
def test_a_pace_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("OSCAR_BATCH_POSTS_PER_S", text)
    with pytest.raises(ConfigError, match="OSCAR_BATCH_POSTS_PER_S"):
        read_posts_per_s()
