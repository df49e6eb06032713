"""Events over connections that break: none is missed, none comes twice, and what is over ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import httpx
import pytest

from musetune.client import AsyncServiceClient, ServiceClient, ServiceError, requests
from musetune.client.wire import JobStatus, JobUpdate

JOB = "0" * 32


def lines(*events: tuple[int, str]) -> bytes:
    updates = [JobUpdate(number=number, at=0.0, kind=kind, data={}) for number, kind in events]
    return b"".join(b"data: " + update.model_dump_json().encode() + b"\n\n" for update in updates)


class Breaking(httpx.SyncByteStream, httpx.AsyncByteStream):
    """An answer that breaks off after its first bytes."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self.content
        raise httpx.ReadError("the connection broke")

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        for piece in self:
            yield piece


class Service:
    """Answers each request for events with the next of its acts, and says of the job what the test says."""

    def __init__(self, state: str, *acts: Callable[[], httpx.Response]) -> None:
        self.state, self.acts, self.asked = state, list(acts), list[str]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/events"):
            self.asked.append(request.headers["last-event-id"])
            return self.acts.pop(0)()
        job = JobStatus(id=JOB, kind="generation", task="plan", state=self.state, created=0.0, attempt=1)
        return httpx.Response(200, content=job.model_dump_json())


def refuse() -> httpx.Response:
    raise httpx.ConnectError("nobody listens")


def numbers(service: Service, after: int = 0) -> list[int]:
    with ServiceClient("http://x", transport=httpx.MockTransport(service)) as client:
        return [update.number for update in client.events(JOB, after)]


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "POLL_S", 0.0)


def restarting() -> Service:
    """One connection breaks, one is refused, one ends early, the last is whole."""
    return Service(
        "running",
        lambda: httpx.Response(200, stream=Breaking(lines((1, "queued"), (2, "running")))),
        refuse,
        lambda: httpx.Response(200, content=lines((3, "progress"))),
        lambda: httpx.Response(200, content=lines((4, "progress"), (5, "succeeded"))),
    )


def test_a_service_that_restarts_is_met_again_where_it_was() -> None:
    service = restarting()
    assert numbers(service) == [1, 2, 3, 4, 5]
    assert service.asked == ["0", "2", "2", "3"]


def test_the_client_for_asyncio_meets_it_too() -> None:
    service = restarting()

    async def listen() -> list[int]:
        async with AsyncServiceClient("http://x", transport=httpx.MockTransport(service)) as client:
            return [update.number async for update in client.events(JOB)]

    assert asyncio.run(listen()) == [1, 2, 3, 4, 5]
    assert service.asked == ["0", "2", "2", "3"]


def test_nothing_comes_behind_the_last_event_of_a_job_that_has_ended() -> None:
    empty = lambda: httpx.Response(200, content=b": waiting\n\n")  # noqa: E731
    service = Service("succeeded", empty, empty)
    assert numbers(service, after=9) == []
    assert service.asked == ["9", "9"], "once more, since its last event might have come in between"


def test_a_service_that_stays_away_and_a_job_that_is_gone_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "PATIENCE_S", -1.0)
    with pytest.raises(httpx.ConnectError):
        numbers(Service("running", refuse))
    with pytest.raises(ServiceError):
        numbers(Service("running", lambda: httpx.Response(404, content=b"{}")))
