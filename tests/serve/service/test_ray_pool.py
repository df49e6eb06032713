"""The dispatcher for a cluster, with threads in place of the cluster: what is named, given back, and counts."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from service_jobs import DiaryRunner

from musetune.serve.service import ray_pool, ray_replica
from musetune.serve.service.jobs import StoreUnavailableError
from musetune.serve.service.ray_pool import RayPool
from musetune.serve.service.ray_replica import JobReplica, gpus_of_replica
from musetune.serve.service.sqlite_store import SQLiteJobStore

PATIENCE_S = 60


class Deployment:
    """What a deployment's handle looks like to the dispatcher: a replica that does one call at a time."""

    def __init__(self, replica: JobReplica) -> None:
        self.replica, self.models = replica, list[str]()
        self._threads = ThreadPoolExecutor(1)

    def options(self, multiplexed_model_id: str) -> Deployment:
        self.models.append(multiplexed_model_id)
        return self

    @property
    def perform(self) -> Deployment:
        return self

    def remote(self, job_id: str) -> Response:
        return Response(self._threads.submit(self.replica.perform, job_id))


class Response:
    """What Serve answers at once: the answer to come."""

    def __init__(self, future: Future[str]) -> None:
        self.future = future

    def result(self, timeout_s: float) -> str:
        return self.future.result(timeout_s)

    def cancel(self) -> None:
        self.future.cancel()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteJobStore]:
    opened = SQLiteJobStore(tmp_path / "jobs.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
def replica(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobReplica]:
    monkeypatch.setattr(ray_replica, "RENEW_S", 0.05)
    monkeypatch.setattr(ray_pool, "LEASE_S", 1.0)
    monkeypatch.setattr(ray_pool, "POLL_S", 0.02)
    make = lambda: DiaryRunner(tmp_path / "diary.txt")  # noqa: E731
    running = JobReplica("diary", SQLiteJobStore(tmp_path / "jobs.sqlite3"), make, tmp_path)
    yield running
    running.close()


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)


def test_each_queued_job_is_done_once_where_its_adapters_are(store: SQLiteJobStore, replica: JobReplica) -> None:
    mixes: list[dict[str, Any]] = [{}, {"jazz": 0.7}, {"jazz": 0.5, "blues": 0.2, "rock": 0}]
    for number, mix in enumerate(mixes):
        store.submit("diary", {"number": number, "body": {"adapters": mix}})
    handle = Deployment(replica)
    pool = RayPool("diary", handle, store, 1)
    wait_until(lambda: pool.names == [replica.name])
    pool.start()
    wait_until(lambda: store.counts() == {("diary", "succeeded"): 3})
    assert pool.stop(PATIENCE_S)
    assert handle.models == ["", "jazz", "blues+jazz"], "each job is named once"
    assert {store.get(name).worker for name in store.ids()} == {replica.name}


def test_what_a_silent_replica_did_is_done_by_another(store: SQLiteJobStore, replica: JobReplica) -> None:
    job = store.submit("diary", {"number": 1})[0]
    dead = store.claim("diary-elsewhere-4711-beef", ("diary",))
    assert dead is not None
    pool = RayPool("diary", Deployment(replica), store, 2)
    pool.start()
    wait_until(lambda: store.get(job.id).final)
    assert pool.stop(PATIENCE_S)
    after = store.get(job.id)
    assert (after.state, after.attempt, after.worker) == ("succeeded", 2, replica.name)
    assert Counter(event.kind for event in store.events(job.id))["succeeded"] == 1
    assert pool.restarts == 1


def test_a_replica_that_renews_keeps_its_job_however_long(store: SQLiteJobStore, replica: JobReplica) -> None:
    job = store.submit("diary", {"number": 1, "steps": 300, "pause": 0.01})[0]  # three leases
    pool = RayPool("diary", Deployment(replica), store, 1)
    pool.start()
    wait_until(lambda: store.get(job.id).final)
    assert pool.stop(PATIENCE_S)
    assert store.get(job.id).attempt == 1


def test_a_store_that_was_away_costs_no_replica_its_job(
    store: SQLiteJobStore, replica: JobReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nobody could renew, everybody is silent: leases count anew once the store is back."""
    store.submit("diary", {"number": 1})
    assert store.claim("diary-elsewhere-4711-beef", ("diary",)) is not None
    away = threading.Event()
    away.set()
    ask = store.silent

    def silent(seconds: float) -> list[str]:
        if away.is_set():
            raise StoreUnavailableError("the server restarts")
        return ask(seconds)

    monkeypatch.setattr(store, "silent", silent)
    pool = RayPool("diary", Deployment(replica), store, 1)
    pool.start()
    time.sleep(1.2)  # longer than a lease
    store.renew("diary-elsewhere-4711-beef")
    away.clear()
    time.sleep(0.5)
    assert store.running("diary-elsewhere-4711-beef") is not None, "its lease counts from now on"
    wait_until(lambda: store.counts() == {("diary", "succeeded"): 1})
    assert pool.stop(PATIENCE_S)


def test_a_replica_has_a_gpu_for_itself_where_there_are_some() -> None:
    """Without --device too: else all replicas of a machine would share its first one."""
    asked = [(None, 2.0), (None, 0.0), ("cuda", 0.0), ("cpu", 2.0)]
    assert [gpus_of_replica(device, there_are) for device, there_are in asked] == [1, 0, 1, 0]
    with pytest.raises(ValueError, match="say cuda, and each replica gets its own"):
        gpus_of_replica("cuda:1", 2)
