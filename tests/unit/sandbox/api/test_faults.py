# SPDX-License-Identifier: Apache-2.0
"""Which request meets which fault, and for how long."""

import pytest

from sandbox.api.faults import Fault, Faults, parse_fault


def test_a_fault_happens_so_often_and_to_matching_requests_only() -> None:
    faults = Faults()
    faults.add(Fault("POST", "/job/*", times=2, status=503))
    assert faults.take("GET", "/job/a") is None
    assert faults.take("POST", "/system/services") is None
    assert [bool(faults.take("POST", "/job/a")) for _ in range(3)] == [True, True, False]


def test_the_first_that_matches_is_taken_first() -> None:
    faults = Faults()
    faults.add(Fault(path="/a", status=500))
    faults.add(Fault(status=503))
    taken = [faults.take("GET", path) for path in ("/b", "/a", "/a")]
    assert [fault.status if fault else 0 for fault in taken] == [503, 500, 0]


def test_a_fault_reads_back_as_written() -> None:
    assert parse_fault({"method": "GET", "delay_s": 1, "times": 3}) == Fault(
        "GET", times=3, delay_s=1
    )


@pytest.mark.parametrize(
    "raw",
    [None, [], {}, {"code": 1}, {"times": 0}, {"times": "1"}, {"cut": "x"}, {"status": 99},
     {"delay_s": -1}, {"method": "get"}],
)  # fmt: skip
def test_a_malformed_fault_is_refused(raw: object) -> None:
    with pytest.raises(ValueError, match=r"fault|cut|HTTP"):
        parse_fault(raw)
