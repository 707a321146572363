# SPDX-License-Identifier: Apache-2.0
"""Says in a run of all tests that the checks on a real cluster are elsewhere."""

import pytest


@pytest.mark.skip(reason="needs a real cluster: `make test-live`, see tests/live/README.md")
def test_a_real_cluster() -> None:
    """`python -m tests.live` does it; tests/functional/test_live.py runs that on the sandbox."""
