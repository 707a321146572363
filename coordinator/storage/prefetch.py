# SPDX-License-Identifier: Apache-2.0
"""`Prefetch`: an iterator whose values a thread fetches before they are needed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetch(Iterator[T], Generic[T]):
    """The same values in the same order, one ahead; an error arrives where its value would."""

    def __init__(self, source: Iterator[T]) -> None:
        self._ready: deque[T] = deque()
        self._error: BaseException | None = None
        self._ended = self._closed = False
        self._changed = threading.Condition()
        threading.Thread(target=self._run, args=(source,), name="prefetch", daemon=True).start()

    def __next__(self) -> T:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._ended)
            if self._ready:
                value = self._ready.popleft()
                self._changed.notify()
                return value
            error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration

    def close(self) -> None:
        """Tells the thread to end, and does not wait for it: its request may take long."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self, source: Iterator[T]) -> None:
        try:
            for value in source:
                if not self._put(value):
                    return
        except BaseException as error:  # raised again by the consumer
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()

    def _put(self, value: T) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._ready)
            if not self._closed:
                self._ready.append(value)
                self._changed.notify()
            return not self._closed
