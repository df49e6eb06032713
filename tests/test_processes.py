"""The pool goes on when an item kills its process, and its processes end with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from musetune.processes import CrashSafeWorker, crash_safe_map, parallel_map

HERE = Path(__file__).parent


def work(item: int) -> int:
    if item < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def refuse(item: int) -> int:
    raise ValueError(f"not {item}")


def leave_a_mark_and_wait(folder: str) -> None:
    Path(folder, str(os.getpid())).touch()
    time.sleep(60)


@pytest.mark.slow
def test_crash_costs_only_its_item() -> None:
    assert list(crash_safe_map(work, [2, -1, 3], 1)) == [(2, 4), (-1, None), (3, 9)]


@pytest.mark.slow
def test_a_worker_of_ones_own_outlives_its_process() -> None:
    worker = CrashSafeWorker(work)
    try:
        assert [worker(item) for item in (2, -1, 3)] == [4, None, 9]
    finally:
        worker.close()


def test_without_processes() -> None:
    assert list(crash_safe_map(work, [3, 1], 0)) == [(3, 9), (1, 1)]


@pytest.mark.slow
def test_parallel_map_raises_what_the_function_raises_and_where_a_process_dies() -> None:
    assert list(parallel_map(work, [3, 1], 1)) == [9, 1]
    assert list(parallel_map(work, [2], 0)) == [4]
    with pytest.raises(ValueError, match="not 5"):
        list(parallel_map(refuse, [5], 1))
    with pytest.raises(RuntimeError, match="-1 killed the process"):
        list(parallel_map(work, [-1], 1))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
@pytest.mark.parametrize("thread", [False, True], ids=["main thread", "other thread"])
def test_workers_end_with_their_parent(tmp_path: Path, thread: bool) -> None:
    """Whatever kills the parent; the pool may have been made by a thread that is gone, which must end nothing."""
    call = "list(parallel_map(test_processes.leave_a_mark_and_wait, [sys.argv[1]] * 2, 2))"
    code = f"""
import sys, threading
sys.path.insert(0, {str(HERE)!r})
import test_processes
from musetune.processes import parallel_map
def main():
    {call}
if {thread}:
    t = threading.Thread(target=main); t.start(); t.join()
else:
    main()
"""
    path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=os.environ | {"PYTHONPATH": path})
    deadline = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2:
        assert time.monotonic() < deadline
        assert parent.poll() is None
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    workers = [int(mark.name) for mark in tmp_path.iterdir()]
    deadline = time.monotonic() + 4
    while any(running(pid) for pid in workers):
        assert time.monotonic() < deadline, "the workers outlive their parent"
        time.sleep(0.1)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_a_pool_of_a_thread_lasts_when_the_thread_that_began_it_is_gone() -> None:
    answers = crash_safe_map(work, [2, 3], 1)
    first: list[object] = []
    thread = threading.Thread(target=lambda: first.append(next(answers)))
    thread.start()
    thread.join()
    time.sleep(0.5)
    assert [*first, *answers] == [(2, 4), (3, 9)]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [({}, "5000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_threads_that_wait_sleep_soon_unless_the_user_says_otherwise(given: dict[str, str], wanted: str) -> None:
    known = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    told = "import musetune, os, sys; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", told], env=known | given, capture_output=True, text=True, check=True)
    assert said.stdout.split() == [wanted, "False"]
