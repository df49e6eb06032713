"""Work that is done while somebody waits for it: reported as it goes on, and stopped when nobody waits any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")
BEAT_S = 0.5  # how often the one who waits is told
PATIENCE_S = 15.0  # who has not asked for news for so long is gone
ABSENCE_S = 3.0  # who has had no stream of news open for so long is gone


class StoppedError(Exception):
    """Work was stopped because it was cancelled or nobody waits for its result."""


class Errand(Generic[Result]):
    """Work in a thread of its own, one piece at a time, for somebody who may leave.

    Iterating gives None about every BEAT_S while the work goes on and its result at last, or raises what the work
    raised. A generator that is closed, or not asked for news for PATIENCE_S, stops the work: ``check`` raises in it.
    So do `cancel`, and an absence of ABSENCE_S.

    Args:
        work: what is to be done; calls ``check`` of its errand often.
        turn: a lock that pieces of work which must not run at once share.
        present: tells whether the one who waits can be told anything now.
    """

    def __init__(
        self,
        work: Callable[[Errand[Result]], Result],
        turn: threading.Lock,
        present: Callable[[], bool] = lambda: True,
    ) -> None:
        self.work, self.turn, self.present = work, turn, present
        self.progress = ""  # what the work says of itself
        self.share: float | None = None  # how much of it is done, 0…1, where it knows
        self._left, self._asked = threading.Event(), time.monotonic()
        self._seen = self._asked
        self._cancelled: Future[None] = Future()

    def cancel(self) -> None:
        """Stop the work; who iterates gets a StoppedError at once."""
        self._left.set()
        if not self._cancelled.done():
            self._cancelled.set_result(None)

    @property
    def done(self) -> bool:
        """Whether nobody iterates any more."""
        return self._left.is_set()

    def check(self) -> None:
        """Raise StoppedError where nobody waits any more."""
        now = time.monotonic()
        if self.present():
            self._seen = now
        if self._left.is_set() or now - self._asked > PATIENCE_S or now - self._seen > ABSENCE_S:
            raise StoppedError("nobody waits for this any more")

    def __iter__(self) -> Iterator[Result | None]:
        pool = ThreadPoolExecutor(1, "errand")
        future = pool.submit(self._run)
        try:
            events: list[Future[Any]] = [future, self._cancelled]
            while not wait(events, BEAT_S, FIRST_COMPLETED).done:
                yield None
                self._asked = time.monotonic()
            if not future.done():
                raise StoppedError("cancelled")
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
