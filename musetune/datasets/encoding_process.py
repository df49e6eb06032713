"""A base's encoders in a process of their own: what crashes there costs no run and no actor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from musetune.processes import CrashSafeWorker

Item = TypeVar("Item")
Answer = TypeVar("Answer")
DEATH = "the process that made its latents died, and so did another that tried again"


class EncodingProcess:
    """The caller's side. All of these in a process share the one with the encoders, which does one thing at a time and
    ends with the last of them.
    """

    _lock = threading.Lock()
    _worker: CrashSafeWorker[tuple[Callable[[Any], Any], Any], Any] | None = None
    _users = 0

    def __init__(self) -> None:
        self._open, shared = True, EncodingProcess
        with shared._lock:
            shared._users += 1
            if shared._worker is None:
                shared._worker = CrashSafeWorker(_call)

    def __call__(self, function: Callable[[Item], Answer], item: Item) -> Answer | None:
        """function(item) there; both can be pickled, and what it raises is raised here. None for an item that kills the
        process twice.
        """
        with self._lock:
            assert self._worker is not None
            answer: Answer | None = self._worker((function, item))
            return answer

    def close(self) -> None:
        """Need it no more."""
        shared = EncodingProcess
        with shared._lock:
            if not self._open:
                return
            self._open = False
            shared._users -= 1
            if shared._users == 0 and shared._worker is not None:
                shared._worker.close()
                shared._worker = None


def _call(task: tuple[Callable[[Item], Answer], Item]) -> Answer:
    function, item = task
    return function(item)
