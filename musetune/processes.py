"""Process pools that outlive their workers, and whose workers do not outlive them."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
WATCH_S = 0.5  # a worker looks so often whether its parent is still there


def crash_safe_map(
    function: Callable[[Item], Answer], items: Iterable[Item], workers: int
) -> Iterator[tuple[Item, Answer | None]]:
    """Apply a function to items in processes of their own, and go on where one dies.

    An item whose process dies (a decoder's segmentation fault, memory) gives None, and the others go on. The workers
    end with this process, however it ends. At most 2 × workers answers wait in memory.

    Args:
        function: Can be pickled; what it raises is raised here.
        items: Can be pickled.
        workers: How many processes; 0: this one.

    Yields:
        (item, function(item)) in the order of the items.
    """
    if workers < 1:
        yield from ((item, function(item)) for item in items)
        return
    pool, queue = _new_pool(workers), deque[tuple[Item, Future[Answer]]]()
    waiting = deque(items)
    try:
        while waiting or queue:
            try:
                while waiting and len(queue) < 2 * workers:
                    queue.append((waiting[0], pool.submit(function, waiting[0])))
                    waiting.popleft()
                item, answer = queue[0][0], queue[0][1].result()
            except BrokenProcessPool:  # any of the queue may be guilty: the first by itself, the others anew
                item = queue.popleft()[0] if queue else waiting.popleft()
                waiting.extendleft(other for other, _ in reversed(queue))
                queue.clear()
                pool = _new_pool(workers)
                yield item, _alone(function, item)
            else:
                queue.popleft()
                yield item, answer
    finally:
        pool.shutdown(cancel_futures=True)


def parallel_map(function: Callable[[Item], Answer], items: Iterable[Item], workers: int) -> Iterator[Answer]:
    """Apply a function to items in processes of their own, which end with this one.

    Args:
        function: Can be pickled; what it raises is raised here.
        items: Can be pickled.
        workers: How many processes; 0: this one.

    Yields:
        function(item) in the order of the items.

    Raises:
        RuntimeError: An item killed the process that worked on it, twice.
    """
    for item, answer in crash_safe_map(partial(_box, function), items, workers):
        if answer is None:
            raise RuntimeError(f"{item} killed the process that worked on it: give it more memory, or leave it out")
        yield answer[0]


class CrashSafeWorker(Generic[Item, Answer]):
    """One process of its own for one item after another; an item that kills it twice gives None.

    Args:
        function: Can be pickled; what it raises is raised here.
    """

    def __init__(self, function: Callable[[Item], Answer]) -> None:
        self.function = function
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self, item: Item, /) -> Answer | None:
        """function(item); None where the process died, and another that tried again."""
        for _ in range(2):
            if self._pool is None:
                self._pool = _new_pool(1)
            try:
                return self._pool.submit(self.function, item).result()
            except BrokenProcessPool:
                self.close()
        return None

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _box(function: Callable[[Item], Answer], item: Item) -> tuple[Answer]:
    """The answer in a tuple, so that a function's None is told from a dead process."""
    return (function(item),)


def _alone(function: Callable[[Item], Answer], item: Item) -> Answer | None:
    with _new_pool(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return None


def _new_pool(workers: int) -> ProcessPoolExecutor:
    """Fresh processes of one thread each: forking a process in which torch has threads can hang."""
    # the kernel's signal comes when the thread that started a worker ends: only the main thread lasts as long as its
    # process
    lasting = threading.current_thread() is threading.main_thread()
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(os.getpid(), lasting))


def _begin(parent: int, lasting: bool) -> None:
    """First thing in a worker, before anything heavy is imported: an end when the parent ends; then one thread for
    torch.
    """
    end_with_parent(parent, lasting)
    import torch

    torch.set_num_threads(1)


def end_with_parent(parent: int, lasting: bool) -> None:
    """End this process when its parent ends, however it does.

    Args:
        parent: The parent's process id.
        lasting: Whether the parent started this process in a thread that lasts as long as the parent.
    """
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if lasting and sys.platform == "linux":
        import ctypes

        # PR_SET_PDEATHSIG: even where a long call keeps the watching thread waiting
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_S)
    os._exit(1)
