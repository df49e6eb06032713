"""Who works through many items: threads with processes of this machine, or actors of Ray on many machines.

A worker is made once in each place and keeps what is costly to load. Both engines give an answer for each item, in any
order or in that of the items; what a worker raises is raised here.
"""

from __future__ import annotations

import math
import os
import pickle
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from queue import SimpleQueue
from typing import Any, Generic, Literal, Protocol, TypeVar, get_args

Item = TypeVar("Item", contravariant=True)
Answer = TypeVar("Answer", covariant=True)
AnyItem = TypeVar("AnyItem")
AnyAnswer = TypeVar("AnyAnswer")
Engine = Literal["local", "ray"]
AHEAD = 2  # items a worker that are handed out before their turn
ORDERED_AHEAD = 8  # where answers are to come in order, and may wait for an older one
BLOCK = 4  # items that an actor is given at once; what a killed actor had of them is done again by another
BLOCKS_A_WORKER = 8  # and at least so many turns, where there are enough items
START_S = "170"  # a node of Ray may take so long to start on a busy machine
OBJECT_STORE_BYTES = 256 * 2**20  # of a cluster that is started here; answers are written down as they come


class ItemWorker(Protocol[Item, Answer]):
    """Answers item after item, and holds what that needs."""

    def __call__(self, item: Item, /) -> Answer:
        """The answer for an item."""

    def close(self) -> None:
        """Give back what it holds."""


def check_engine(engine: str, workers: int) -> None:
    """Raise ValueError for an engine that there is not, or for less than one worker."""
    if engine not in get_args(Engine):
        raise ValueError(f"engine={engine!r} is not one of {', '.join(get_args(Engine))}")
    if workers < 1:
        raise ValueError(f"workers={workers} is less than 1: give the number of processes that shall work")


def map_items(
    make: Callable[[], ItemWorker[AnyItem, AnyAnswer]],
    items: Sequence[AnyItem],
    engine: Engine,
    workers: int,
    address: str | None = None,
    *,
    ordered: bool = False,
    device: str | None = "cpu",
) -> Generator[tuple[int, AnyAnswer], None, None]:
    """Have workers answer items.

    Args:
        make: Makes a worker; can be pickled, and so can items and answers.
        items: What is to be answered.
        engine: "local" for this machine, "ray" for a cluster of Ray.
        workers: How many.
        address: Of Ray's cluster, such as "auto" or "10.0.0.1:6379"; None: $RAY_ADDRESS, else one that is started here
            and ends with this call.
        ordered: Whether answers come in the order of the items; one that is late keeps back those after it.
        device: Where workers compute, such as cpu or cuda; None: cuda where there is one. On a cluster they get their
            shares of its GPUs by that.

    Yields:
        (index of an item, its answer), as they come or in order.

    Raises:
        ValueError: There is no such engine, no worker, or no such device on the cluster.
        ImportError: Ray is not installed.
    """
    check_engine(engine, workers)
    if engine == "local" or not items:
        return _local_map(make, items, workers, ordered)
    return _ray_map(make, items, workers, address, ordered, device)


def gpu_share(device: str | None, gpus: float, workers: int) -> float:
    """How much of a GPU each worker on a cluster asks for: all of one, or an equal part where there are too few.

    Args:
        device: Such as cpu or cuda; None: cuda where there is one.
        gpus: Of the cluster.
        workers: How many.

    Raises:
        ValueError: The cluster has no GPU, or the device names one GPU of one machine.

    Example:
        >>> gpu_share("cuda", 4, 2), gpu_share(None, 4, 16), gpu_share(None, 0, 16), gpu_share("cpu", 4, 2)
        (1.0, 0.25, 0.0, 0.0)
    """
    if device is not None and device.startswith("cuda:"):
        raise ValueError(f"device={device} names one GPU of one machine: say cuda, and Ray gives out the cluster's")
    if device == "cuda" and gpus < 1:
        raise ValueError("device=cuda, and the cluster has no GPU: say cpu, or add a machine with one")
    if gpus < 1 or device not in (None, "cuda"):
        return 0.0
    return 1.0 if workers <= gpus else 1 / math.ceil(workers / int(gpus))


def _local_map(
    make: Callable[[], ItemWorker[AnyItem, AnyAnswer]], items: Sequence[AnyItem], workers: int, ordered: bool
) -> Generator[tuple[int, AnyAnswer], None, None]:
    """A thread for each worker: a worker that is to use a core by itself has a process of its own."""
    if not items:
        return
    crew = [make() for _ in range(min(workers, len(items)))]
    ahead = (ORDERED_AHEAD if ordered else AHEAD) * len(crew)
    idle: SimpleQueue[ItemWorker[AnyItem, AnyAnswer]] = SimpleQueue()
    for worker in crew:
        idle.put(worker)

    def answer(item: AnyItem) -> AnyAnswer:
        worker = idle.get()
        try:
            return worker(item)
        finally:
            idle.put(worker)

    waiting, running = deque(range(len(items))), dict[Future[AnyAnswer], int]()
    threads = ThreadPoolExecutor(len(crew))
    with closing(_Crew(crew, threads)):
        while waiting or running:
            while waiting and len(running) < ahead:
                index = waiting.popleft()
                running[threads.submit(answer, items[index])] = index
            awaited = list(running)[:1] if ordered else running
            for future in wait(awaited, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()


class _Crew:
    """All workers and the threads that wait for them, to be stopped together."""

    def __init__(self, workers: Sequence[ItemWorker[Any, Any]], threads: ThreadPoolExecutor) -> None:
        self.workers, self.threads = workers, threads

    def close(self) -> None:
        self.threads.shutdown(wait=False, cancel_futures=True)
        for worker in self.workers:
            worker.close()
        self.threads.shutdown(wait=True)


class _RayWorker(Generic[AnyItem, AnyAnswer]):
    """A worker in an actor of Ray Data: batches of pickled items in, batches of pickled answers out."""

    def __init__(self, make: Callable[[], ItemWorker[AnyItem, AnyAnswer]]) -> None:
        self.worker = make()

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for index, item in zip(batch["index"], batch["item"]):
            answer = self.worker(pickle.loads(item))
            yield {"index": [int(index)], "answer": [pickle.dumps(answer)]}


def _ray_map(
    make: Callable[[], ItemWorker[AnyItem, AnyAnswer]],
    items: Sequence[AnyItem],
    workers: int,
    address: str | None,
    ordered: bool,
    device: str | None,
) -> Generator[tuple[int, AnyAnswer], None, None]:
    """`map_batches` over actors. Ray starts an actor anew that dies, and gives what it had to another."""
    with ray_cluster(address, workers):
        import ray.data

        actors = min(workers, len(items))
        gpus = gpu_share(device, ray.cluster_resources().get("GPU", 0), actors)

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False  # the caller counts files, not blocks
        context.max_errored_blocks = 0
        context.execution_options.preserve_order = ordered
        rows = [{"index": index, "item": pickle.dumps(item)} for index, item in enumerate(items)]
        block = max(1, min(BLOCK, len(rows) // (BLOCKS_A_WORKER * workers)))
        dataset = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // block)).map_batches(
            _RayWorker,
            fn_constructor_args=(make,),
            batch_size=None,  # a block as it is
            compute=ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=AHEAD),
            num_cpus=1,
            num_gpus=gpus,
            max_restarts=-1,
            max_task_retries=-1,
        )
        for row in dataset.iter_rows():
            yield int(row["index"]), pickle.loads(row["answer"])


@contextmanager
def ray_cluster(address: str | None = None, cores: int | None = None) -> Iterator[None]:
    """A connection to a cluster of Ray, or to a small one that is started here and ends with it.

    Args:
        address: Such as "auto" or "10.0.0.1:6379"; None: $RAY_ADDRESS, else one is started.
        cores: Of one that is started.

    Raises:
        ImportError: Ray is not installed.
        ConnectionError: There is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    os.environ.setdefault("RAY_raylet_start_wait_time_s", START_S)
    os.environ.setdefault("RAY_gcs_server_request_timeout_seconds", START_S)
    try:
        import ray
    except ImportError as error:
        raise ImportError(f'the engine ray needs its extra: pip install "musetune[ray]" ({error})') from error
    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "warning", "configure_logging": True}
    if address is None and not os.environ.get("RAY_ADDRESS"):
        options |= {"num_cpus": cores, "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
        options |= {"address": "local"}
    else:
        options |= {"address": address or os.environ["RAY_ADDRESS"]}
    ray.init(**options)
    try:
        yield
    finally:
        ray.shutdown()
