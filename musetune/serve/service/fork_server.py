"""One process that loads the models, of which workers are copies: they share its memory until they write to it."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

LOOK_S = 0.05  # how often ended workers are looked for
ACCELERATORS = ("/dev/nvidiactl", "/dev/kfd")  # a process that has opened one cannot be copied
log = logging.getLogger(__name__)


def can_fork(device: str | None) -> bool:
    """Whether workers on a device may be copies of one process: on the processor, where the system copies on write.

    Args:
        device: Such as cpu or cuda:1; None: an accelerator where there is one.

    Example:
        >>> can_fork("cuda:1")
        False
    """
    if not hasattr(os, "fork") or os.uname().sysname != "Linux":
        return False
    return device == "cpu" or (device is None and not any(map(os.path.exists, ACCELERATORS)))


class ForkedWorker:
    """A worker as its pool sees it, with the names that `multiprocessing.Process` has."""

    def __init__(self, name: str, send: Callable[[tuple[Any, ...]], None]) -> None:
        self.name = name
        self.pid: int | None = None
        self.exitcode: int | None = None
        self._send, self._ended = send, threading.Event()

    def is_alive(self) -> bool:
        """Whether it has not ended; one that waits to be started lives."""
        return not self._ended.is_set()

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._send(("signal", self.name, int(signal.SIGTERM)))

    def kill(self) -> None:
        """Send SIGKILL."""
        self._send(("signal", self.name, int(signal.SIGKILL)))

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self._ended.wait(timeout)

    def close(self) -> None:
        """Nothing is left to be given back."""

    def end(self, code: int) -> None:
        """Note its end."""
        self.exitcode = code
        self._ended.set()


class ForkServer:
    """The caller's side. The process starts with the first worker, and again after it died.

    Args:
        load: Loads what the workers share; called once, with one thread of torch.
        run: A worker's work: it is given the worker's name and what was loaded.
        name: The process's name.
    """

    def __init__(self, load: Callable[[], Any], run: Callable[[str, Any], None], name: str) -> None:
        self.load, self.run, self.name = load, run, name
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._workers: dict[str, ForkedWorker] = {}
        self._lock = threading.Lock()

    def start(self, name: str) -> ForkedWorker:
        """Start a worker, as soon as what it shares is loaded."""
        with self._lock:
            if self._process is None or not self._process.is_alive():
                self._begin()
            worker = self._workers[name] = ForkedWorker(name, self._send)
        self._send(("start", name))
        return worker

    def close(self) -> None:
        """End the process, and with it every worker that is left."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.join()

    def _begin(self) -> None:
        context = get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(self.load, self.run, other, os.getpid()), name=self.name)
        self._process.start()
        other.close()
        workers: dict[str, ForkedWorker] = {}
        self._workers = workers
        thread = threading.Thread(target=self._hear, args=(self._connection, workers), name=self.name, daemon=True)
        thread.start()

    def _send(self, message: tuple[Any, ...]) -> None:
        with suppress(OSError):  # it has died: `_hear` says so to its workers
            assert self._connection is not None
            self._connection.send(message)

    def _hear(self, connection: Connection, workers: dict[str, ForkedWorker]) -> None:
        """Note what the process says of its workers, until it ends; they end with it."""
        with suppress(OSError, EOFError):
            while True:
                what, name, number = connection.recv()
                if what == "started":
                    workers[name].pid = number
                else:
                    workers[name].end(number)
        for worker in list(workers.values()):
            if worker.is_alive():
                if worker.pid is not None:
                    _kill_orphan(worker.pid)
                worker.end(-int(signal.SIGKILL))


def _kill_orphan(pid: int) -> None:
    """Kill a worker whose parent has died, and wait until it can do nothing more: it may claim jobs until then."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:  # it is gone
            return
        if state in "ZX":
            return
        time.sleep(LOOK_S / 10)


def _serve(load: Callable[[], Any], run: Callable[[str, Any], None], connection: Connection, parent: int) -> None:
    """The process: loads, and then starts workers as it is told, until its parent ends or closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # threads are not copied
    shared = _load_with_one_thread(load)
    gc.collect()
    gc.freeze()  # the collector would write to every object, and so copy it
    pids: dict[int, str] = {}
    while os.getppid() == parent:
        if connection.poll(LOOK_S):
            try:
                what, name, *rest = connection.recv()
            except (EOFError, OSError):
                return
            if what == "start":
                pid = os.fork()
                if pid == 0:
                    _run(run, name, shared, connection)
                pids[pid] = name
                connection.send(("started", name, pid))
            else:
                for pid in [pid for pid, own in pids.items() if own == name]:
                    os.kill(pid, rest[0])  # not waited for yet, so no other process can have its number
        _say_ended(pids, connection)


def _load_with_one_thread(load: Callable[[], Any]) -> Any:
    """What ``load`` gives, and torch's own choice of threads; their pool is not started, which no copy would have."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    shared = load()
    return shared, threads


def _run(run: Callable[[str, Any], None], name: str, shared: Any, connection: Connection) -> None:
    """A worker, from its beginning to the end of its process."""
    code = 1
    try:
        import torch

        connection.close()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        loaded, threads = shared
        torch.set_num_threads(threads)
        run(name, loaded)
        code = 0
    except BaseException:
        log.error("worker %s: %s", name, traceback.format_exc())
    finally:
        os._exit(code)


def _say_ended(pids: dict[int, str], connection: Connection) -> None:
    while pids:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        if (name := pids.pop(pid, None)) is not None:
            connection.send(("ended", name, os.waitstatus_to_exitcode(status)))


def memory_shares(pid: int) -> dict[str, int] | None:
    """Bytes of a process's memory: all ("Rss"), its share of what several use ("Pss"), its own ("Private"); Linux only.

    Pss counts a page that n processes use as an nth of it, so the Pss of all of them add up to what they take.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return None
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return {"Rss": sizes["Rss"], "Pss": sizes["Pss"], "Private": sizes["Private_Clean"] + sizes["Private_Dirty"]}
