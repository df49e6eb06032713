"""A process pool that outlives its workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

import torch

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def crash_safe_map(
    function: Callable[[Item], Answer], items: Iterable[Item], workers: int
) -> Iterator[tuple[Item, Answer | None]]:
    """(item, function(item)) in the order of the items, computed by `workers` processes (in this one where it is 0).

    An item whose process dies (a decoder's segmentation fault, memory) gives None, and the others go on. At most
    2 × workers answers wait in memory.
    """
    if workers < 1:
        yield from ((item, function(item)) for item in items)
        return
    pool, queue = _new_pool(workers), deque[tuple[Item, Future[Answer]]]()
    waiting = deque(items)
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
    pool.shutdown()


def _alone(function: Callable[[Item], Answer], item: Item) -> Answer | None:
    with _new_pool(1) as pool:
        try:
            return pool.submit(function, item).result()
        except BrokenProcessPool:
            return None


def _new_pool(workers: int) -> ProcessPoolExecutor:
    """Fresh processes of one thread each: forking a process in which torch has threads can hang."""
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,))
