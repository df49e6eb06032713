"""One service for all tests of this folder that ask one over HTTP: to start it takes longer than most of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from service_server import KEY, OTHER, Program, program
from starlette.testclient import TestClient

from musetune.client import ServiceClient
from musetune.serve.service.access import ApiKeys, hash_key
from musetune.serve.service.app import build_app
from musetune.serve.service.service import JobService
from musetune.serve.service.settings import ServiceSettings

OPTIONS = ("--queue", "3", "--max-seconds", "20", "--rate", "none")


@pytest.fixture(scope="session")
def running_service(full_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("serve") / "service"
    with program(folder, full_base, *OPTIONS, keys=f"me:{KEY},you:{OTHER}") as service:
        yield service


@pytest.fixture
def served(running_service: Program) -> Iterator[Program]:
    """The service; a test that it does not outlive fails with its exit status and its log."""
    running_service.check()
    yield running_service
    running_service.check()


@pytest.fixture
def client(served: Program) -> Iterator[ServiceClient]:
    with ServiceClient(served.url, KEY) as opened:
        yield opened


@pytest.fixture
def idle_service(tmp_path: Path) -> Iterator[JobService]:
    """A service whose workers are not started: it queues, and does nothing."""
    settings = ServiceSettings(folder=tmp_path / "service", rate=None, max_queue=5, max_seconds=20, max_uploads=2**20)
    service = JobService(settings)
    yield service
    service.close()


@pytest.fixture
def http(idle_service: JobService) -> TestClient:
    """HTTP to that service, with a key."""
    keys = ApiKeys({hash_key(KEY): "me", hash_key(OTHER): "you"})
    app = build_app(idle_service, keys)
    headers = {"Authorization": f"Bearer {KEY}"}
    return TestClient(app, base_url="http://127.0.0.1", headers=headers, raise_server_exceptions=False)
