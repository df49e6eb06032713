"""Workers: what becomes of a job whatever happens to it, and kill -9 of a worker or of everything."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from service_jobs import DiaryRunner
from service_program import setup_of, shared_setup

from musetune.serve.service.jobs import Job, JobCancelledError
from musetune.serve.service.pool import WorkerPool
from musetune.serve.service.sqlite_store import SQLiteJobStore
from musetune.serve.service.worker import JobContext, describe, perform, result_folder

PATIENCE_S = 120  # how long a test waits for what must come before it gives up


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)


@pytest.fixture
def store(tmp_path: Path) -> SQLiteJobStore:
    return setup_of(tmp_path).open_store()


def do(store: SQLiteJobStore, folder: Path, max_seconds: float = float("inf"), **request: object) -> tuple[Job, str]:
    store.submit("diary", {"number": 7} | request)
    job = store.claim("here", DiaryRunner.kinds)
    assert job is not None
    outcome = perform(store, DiaryRunner(folder / "diary.txt"), folder, job, max_seconds)
    after = store.get(job.id)
    assert after is not None
    return after, outcome


def test_a_jobs_files_lie_in_the_folder_of_its_attempt(store: SQLiteJobStore, tmp_path: Path) -> None:
    job, outcome = do(store, tmp_path, steps=2)
    assert outcome == job.state == "succeeded"
    assert job.result["number"] == 7
    answer = result_folder(tmp_path, job.id) / job.result["files"]["answer"]
    assert answer.read_text() == "7"
    assert [event.kind for event in store.events(job.id)] == ["queued", "running", "progress", "succeeded"]


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [("memory", "out-of-memory", 507), ("value", "invalid-request", 422), ("other", "internal", 500)],
)
def test_an_error_fails_its_job_and_leaves_no_file(
    store: SQLiteJobStore, tmp_path: Path, error: str, code: str, status: int
) -> None:
    job, outcome = do(store, tmp_path, error=error)
    assert outcome == job.state == "failed"
    assert (job.error["code"], job.error["status"]) == (code, status)
    assert not list(result_folder(tmp_path, job.id).iterdir())
    assert do(store, tmp_path)[1] == "succeeded", "the next one is done"


@pytest.mark.slow
def test_what_torch_says_of_memory_is_understood() -> None:
    import torch

    assert describe(torch.cuda.OutOfMemoryError("CUDA out of memory"))["code"] == "out-of-memory"
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**48)
    assert describe(caught.value)["code"] == "out-of-memory"
    assert describe(OSError(28, "No space left on device"))["code"] == "disk-full"


def test_a_job_that_takes_too_long_fails(store: SQLiteJobStore, tmp_path: Path) -> None:
    job, _ = do(store, tmp_path, steps=1000, max_seconds=0.05)
    assert job.error["code"] == "timeout"
    assert "0.05 s" in job.error["message"]


def test_a_stage_without_steps_is_told_once(store: SQLiteJobStore, tmp_path: Path) -> None:
    """An analysis says "listening" five times a second: that is one event, and a question whether to go on."""
    name = store.submit("diary", {"number": 1})[0].id
    job = store.claim("here", DiaryRunner.kinds)
    context = JobContext(job, tmp_path, tmp_path, store)
    for _ in range(20):
        context.step("listening")
        context._told = -float("inf")  # as if time went by
    context.step("writing")
    stages = [event.data["stage"] for event in store.events(name) if event.kind == "progress"]
    assert stages == ["listening", "writing"]
    store.cancel(name)
    with pytest.raises(JobCancelledError):
        context.step("writing")


def test_cancelling_stops_between_two_steps(store: SQLiteJobStore, tmp_path: Path) -> None:
    name = store.submit("diary", {"number": 1, "steps": 100_000})[0].id
    job = store.claim("here", DiaryRunner.kinds)
    outcomes: list[str] = []
    thread = threading.Thread(
        target=lambda: outcomes.append(perform(store, DiaryRunner(tmp_path / "diary.txt"), tmp_path, job, 1e9))
    )
    thread.start()
    wait_until(lambda: any(event.kind == "progress" for event in store.events(name)))
    store.cancel(name)
    thread.join(PATIENCE_S)
    assert outcomes == ["cancelled"]
    assert store.get(name).state == "cancelled"
    assert "end 1" not in (tmp_path / "diary.txt").read_text()


@pytest.mark.slow
def test_a_worker_that_is_killed_again_and_again_loses_nothing(store: SQLiteJobStore, tmp_path: Path) -> None:
    """Each kill -9 hits whatever the worker is doing; a job that is hit three times is failed, not forgotten."""
    pool = WorkerPool(setup_of(tmp_path), 2, "worker", store)
    pool.start()
    try:
        for number in range(90):
            store.submit("diary", {"number": number, "steps": 20, "pause": 0.005})
        for _ in range(6):
            wait_until(lambda: bool(pool.pids) and any(store.running(name) for name in pool.pids))
            victim = next(name for name in pool.pids if store.running(name))
            deaths = pool.restarts
            os.kill(pool.pids[victim], signal.SIGKILL)
            wait_until(lambda deaths=deaths: pool.restarts > deaths)
        wait_until(lambda: {state for _, state in store.counts()} <= {"succeeded", "failed"})
    finally:
        assert pool.stop(30)
    assert pool.restarts >= 6
    assert len(store.ids()) == 90
    for name in store.ids():
        job = store.get(name)
        kinds = Counter(event.kind for event in store.events(name))
        assert kinds["succeeded"] + kinds["failed"] == 1, "each ends once"
        if job.state == "succeeded":
            assert (result_folder(tmp_path, name) / job.result["files"]["answer"]).read_text() == str(
                job.request["number"]
            )
        else:
            assert job.attempt == 3


@pytest.mark.slow
def test_workers_that_share_what_is_loaded_live_and_die_one_by_one(store: SQLiteJobStore, tmp_path: Path) -> None:
    """Copies of one process: a killed one is made again at once, and where that process dies all are made again."""
    pool = WorkerPool(shared_setup(tmp_path), 2, "worker", store)
    pool.start()
    try:
        for number in range(6):
            store.submit("diary", {"number": number, "steps": 40, "pause": 0.01})
        wait_until(lambda: all(store.running(name) for name in pool.names))
        victim, parent = pool.pids["worker-1"], pool._forks._process.pid
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: pool.pids.get("worker-1", victim) != victim)
        assert pool._forks._process.pid == parent
        os.kill(parent, signal.SIGKILL)
        wait_until(lambda: pool.restarts >= 3 and len(pool.pids) == 2)
        wait_until(lambda: store.counts().get(("diary", "succeeded")) == 6)
        children = list(pool.pids.values())
    finally:
        assert pool.stop(60)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    lines = (tmp_path / "diary.txt").read_text().split("\n")
    parents = {line.split()[-1] for line in lines if line.startswith("worker")}
    assert len(parents) == 2, "what is shared was loaded twice: at first, and after its process was killed"


@pytest.mark.slow
def test_a_service_that_is_killed_goes_on_where_it_was(store: SQLiteJobStore, tmp_path: Path) -> None:
    """kill -9 of the program and of its workers at any moment: queued jobs go on, the running one starts again."""
    for number in range(40):
        store.submit("diary", {"number": number, "steps": 15, "pause": 0.003})
    chance = random.Random(0)
    helpers = Path(__file__).parents[2] / "helpers"
    path = os.pathsep.join([str(helpers), *(folder for folder in sys.path if folder)])
    for life in range(4):
        command = [sys.executable, "-m", "service_program", str(tmp_path), "1"]
        program = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}, start_new_session=True
        )
        try:
            assert program.stdout.readline() == "ready\n"
            ended = sum(store.counts().get(("diary", state), 0) for state in ("succeeded", "failed"))
            if life == 3:
                wait_until(lambda: {state for _, state in store.counts()} <= {"succeeded", "failed"})
            else:
                wait_until(
                    lambda ended=ended: (
                        store.counts().get(("diary", "succeeded"), 0) > ended and store.running("worker-1") is not None
                    )
                )
                time.sleep(chance.uniform(0, 0.1))
        finally:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()
            program.stdout.close()
    numbers = Counter(store.get(name).request["number"] for name in store.ids())
    assert numbers == Counter(range(40)), "none is lost, none is there twice"
    ends = Counter(
        store.get(name).request["number"]
        for name in store.ids()
        for event in store.events(name)
        if event.kind in ("succeeded", "failed")
    )
    assert ends == Counter(range(40)), "each ends once"
    lines = (tmp_path / "diary.txt").read_text().split("\n")
    begun = Counter(line for line in lines if line.startswith("begin"))
    assert sum(begun.values()) > 40, "what ran when the service was killed began again"


@pytest.mark.slow
def test_a_job_that_kills_its_workers_is_failed_and_the_rest_is_done(store: SQLiteJobStore, tmp_path: Path) -> None:
    pool = WorkerPool(setup_of(tmp_path), 1, "worker", store)
    bad = store.submit("diary", {"number": 0, "die": True})[0]
    good = store.submit("diary", {"number": 1})[0]
    pool.start()
    try:
        wait_until(lambda: store.get(good.id).final)
    finally:
        pool.stop(30)
    assert store.get(good.id).state == "succeeded"
    assert store.get(bad.id).error["code"] == "worker-died"
    assert (tmp_path / "diary.txt").read_text().count("begin 0") == 3


@pytest.mark.slow
def test_a_pool_that_stops_finishes_what_it_began(store: SQLiteJobStore, tmp_path: Path) -> None:
    pool = WorkerPool(setup_of(tmp_path), 1, "worker", store)
    first = store.submit("diary", {"number": 0, "steps": 40, "pause": 0.01})[0]
    second = store.submit("diary", {"number": 1})[0]
    pool.start()
    wait_until(lambda: store.get(first.id).state == "running")
    assert pool.stop(60)
    assert store.get(first.id).state == "succeeded"
    assert store.get(second.id).state == "queued"


@pytest.mark.slow
def test_a_pool_that_may_not_wait_gives_its_job_back(store: SQLiteJobStore, tmp_path: Path) -> None:
    """And the job is not blamed for it."""
    pool = WorkerPool(setup_of(tmp_path), 1, "worker", store)
    job = store.submit("diary", {"number": 0, "steps": 100_000, "pause": 0.01})[0]
    pool.start()
    wait_until(lambda: store.get(job.id).state == "running")
    assert not pool.stop(0)
    after = store.get(job.id)
    assert (after.state, after.attempt, after.deaths) == ("queued", 1, 0)
