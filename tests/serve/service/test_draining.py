"""A service that stops: what it says to those who ask, and to those who wait, while what runs comes to its end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from musetune.client import ServiceClient
from musetune.serve.service.access import ApiKeys
from musetune.serve.service.app import build_app
from musetune.serve.service.http_server import DrainingServer, server_config
from musetune.serve.service.jobs import JobStore
from musetune.serve.service.service import JobService
from musetune.serve.service.settings import ServiceSettings

PATIENCE_S = 30


class HandPool:
    """Its one worker does what the test does by hand; it has ended when the test says so."""

    restarts, names = 0, ("hand",)

    def __init__(self) -> None:
        self.pids = {"hand": 0}
        self.finish = threading.Event()

    def start(self) -> None:
        """Nothing begins by itself."""

    def end_watch(self) -> None:
        """And nothing is to be asked to end."""

    def stop(self, seconds: float) -> bool:
        return self.finish.wait(PATIENCE_S)


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)


@pytest.fixture
def stopping(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A service on a real socket with one running and one waiting job, that has just been asked to stop."""
    pool = HandPool()

    def pools(store: JobStore) -> dict[str, HandPool]:
        return {"generation": pool, "analysis": pool}

    service = JobService(ServiceSettings(folder=tmp_path / "service", rate=None), make_pools=pools)
    server = DrainingServer(server_config(build_app(service, ApiKeys({})), port=0), service)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with ServiceClient(url) as client:
        running = client.plan("the one that runs")
        job = service.store.claim("hand", ("generation",))
        assert job is not None
        assert job.id == running.id
        waiting = client.plan("the one that waits")
        yield SimpleNamespace(
            service=service,
            server=server,
            thread=thread,
            pool=pool,
            url=url,
            client=client,
            running=running,
            job=job,
            waiting=waiting,
            stop=lambda: server.handle_exit(signal.SIGTERM, None),
        )
    pool.finish.set()
    server.handle_exit(signal.SIGTERM, None)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_while_it_drains_it_says_so_and_answers_for_its_jobs(stopping: SimpleNamespace) -> None:
    stopping.stop()
    answer = httpx.get(f"{stopping.url}/readyz", trust_env=False)
    assert (answer.status_code, answer.json()["detail"]) == (503, "the service stops")
    assert httpx.get(f"{stopping.url}/healthz", trust_env=False).is_success
    refused = httpx.post(f"{stopping.url}/v1/plans", json={"prompt": "x"}, trust_env=False)
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "not-ready", "30")
    assert stopping.client.job(stopping.running.id).state == "running"
    stopping.service.store.succeed(stopping.job, {"files": {}})
    assert stopping.client.job(stopping.running.id).state == "succeeded"
    stopping.pool.finish.set()
    stopping.thread.join(PATIENCE_S)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{stopping.url}/healthz", trust_env=False)


def test_requests_that_wait_and_open_streams_end_in_order(stopping: SimpleNamespace) -> None:
    """One whose job waits is answered at once with 202; one whose job runs gets its end."""
    answers: dict[str, httpx.Response] = {}
    streams: dict[str, list[str]] = {}

    def wait_for_a_new_one() -> None:
        url = f"{stopping.url}/v1/plans?wait_seconds=60"
        answers["new"] = httpx.post(url, json={"prompt": "x"}, timeout=PATIENCE_S, trust_env=False)

    def listen(name: str) -> None:
        job_id = getattr(stopping, name).id
        response = httpx.get(f"{stopping.url}/v1/jobs/{job_id}/events", timeout=PATIENCE_S, trust_env=False)
        streams[name] = [line for line in response.text.splitlines() if line.startswith("event:")]

    threads = [threading.Thread(target=wait_for_a_new_one)]
    threads += [threading.Thread(target=listen, args=(name,)) for name in ("running", "waiting")]
    for thread in threads:
        thread.start()
    wait_until(lambda: stopping.service.store.counts().get(("generation", "queued")) == 2)
    stopping.stop()
    threads[0].join(PATIENCE_S)
    threads[2].join(PATIENCE_S)
    assert (answers["new"].status_code, answers["new"].json()["state"]) == (202, "queued")
    assert streams["waiting"][0] == "event: queued"
    assert "running" not in streams, "its job may still end"
    stopping.service.store.succeed(stopping.job, {"files": {}})
    threads[1].join(PATIENCE_S)
    assert streams["running"][-1] == "event: succeeded"


def test_a_request_that_outlasts_the_end_is_told(stopping: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that is still under way when nothing runs any more: 503 as a problem, not a bare 500."""
    stopping.server.config.timeout_graceful_shutdown = 0.2
    begun = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b'{"prompt": "'
        begun.set()
        wait_until(lambda: not stopping.thread.is_alive())
        yield b'x"}'

    answers: list[httpx.Response] = []

    def send() -> None:
        headers = {"content-type": "application/json"}
        url = f"{stopping.url}/v1/plans"
        answers.append(httpx.post(url, content=pieces(), headers=headers, timeout=PATIENCE_S, trust_env=False))

    thread = threading.Thread(target=send)
    thread.start()
    assert begun.wait(PATIENCE_S)
    wait_until(lambda: stopping.server.server_state.tasks != set())
    stopping.pool.finish.set()
    stopping.stop()
    thread.join(PATIENCE_S)
    assert (answers[0].status_code, answers[0].json()["code"]) == (503, "not-ready")


def test_a_second_interrupt_ends_the_wait(stopping: SimpleNamespace) -> None:
    stopping.server.handle_exit(signal.SIGINT, None)
    wait_until(lambda: stopping.service.draining)
    stopping.server.handle_exit(signal.SIGINT, None)
    stopping.thread.join(PATIENCE_S)
    assert not stopping.thread.is_alive()
    assert not stopping.service.drained, "what runs had not ended"
    stopping.pool.finish.set()
    wait_until(lambda: stopping.service.drained)
    stopping.service.close()
