"""Work that is done while somebody waits for it: reported as it goes on, and stopped when nobody waits any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Generic, TypeVar

Result = TypeVar("Result")
BEAT_S = 0.5  # how often the one who waits is told
PATIENCE_S = 15.0  # who has not asked for news for so long is gone


class StoppedError(Exception):
    """Work was stopped because nobody waits for its result."""


class Errand(Generic[Result]):
    """Work in a thread of its own, one piece at a time, for somebody who may leave.

    Iterating gives None about every BEAT_S while the work goes on and its result at last, or raises what the work
    raised. A generator that is closed, or not asked for news for PATIENCE_S, stops the work: ``check`` raises in it.

    Args:
        work: what is to be done; calls ``check`` of its errand often.
        turn: a lock that pieces of work which must not run at once share.
    """

    def __init__(self, work: Callable[[Errand[Result]], Result], turn: threading.Lock) -> None:
        self.work, self.turn = work, turn
        self.progress = ""  # what the work says of itself
        self._left, self._asked = threading.Event(), time.monotonic()

    def check(self) -> None:
        """Raise StoppedError where nobody waits any more."""
        if self._left.is_set() or time.monotonic() - self._asked > PATIENCE_S:
            raise StoppedError("nobody waits for this any more")

    def __iter__(self) -> Iterator[Result | None]:
        pool = ThreadPoolExecutor(1, "errand")
        future = pool.submit(self._run)
        try:
            while not wait([future], BEAT_S).done:
                yield None
                self._asked = time.monotonic()
            yield future.result()
        finally:
            self._left.set()
            pool.shutdown(wait=False)

    def _run(self) -> Result:
        while not self.turn.acquire(timeout=BEAT_S):
            self.check()
        try:
            self.check()
            return self.work(self)
        finally:
            self.turn.release()
