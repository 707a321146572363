# SPDX-License-Identifier: Apache-2.0
"""Handles SIGTERM (Kubernetes ends a pod with it) and Ctrl-C, so that a run leaves a report."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)

# The first signal ends the work of a run. The second ends the wait for answers to requests that
# were sent. A third would interrupt the report.
_MOST = 2
_NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def limit_interrupts() -> Iterator[None]:
    """SIGTERM interrupts the block like Ctrl-C. Only the first two signals interrupt it."""
    count = 0

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count <= _MOST:
            raise KeyboardInterrupt
        log.warning("already interrupted: the report is being written")

    # A shell that starts a program in the background makes it ignore Ctrl-C.
    chosen = [each for each in _NUMBERS if signal.getsignal(each) is not signal.SIG_IGN]
    with _handle(chosen, interrupt):
        yield


@contextmanager
def hold_interrupts() -> Iterator[None]:
    """Holds signals back during the block; only a second Ctrl-C interrupts it."""
    asked = 0

    def note(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked += number == signal.SIGINT
        if asked > 1:
            raise KeyboardInterrupt
        log.warning("the report is being written; a second Ctrl-C leaves without it")

    with _handle(_NUMBERS, note):
        yield


@contextmanager
def _handle(
    numbers: Sequence[signal.Signals], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    before = {each: signal.signal(each, handler) for each in numbers}
    try:
        yield
    finally:
        for each, earlier in before.items():
            signal.signal(each, earlier)
