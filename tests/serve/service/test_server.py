"""Slow and odd clients against a real socket, and how much of what clients send is let in."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from uvicorn import Config, Server

from musetune.serve.service.access import SlowClientError, bounded
from musetune.serve.service.http_server import TimedProtocol
from musetune.serve.service.upload_room import SMALL, UploadRoom, UploadsFullError


class Impatient(TimedProtocol):
    head_s = 0.3


class Narrow(TimedProtocol):
    most = 2


@pytest.fixture(scope="module", params=[Impatient])
def address(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    app = FastAPI()

    @app.get("/")
    async def root(seconds: float = 0) -> str:
        await asyncio.sleep(seconds)
        return "here"

    server = Server(Config(app, port=0, http=request.param, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[:2]
    server.should_exit = True
    thread.join()


def talk(address: tuple[str, int], *pieces: bytes, pause: float = 0.1) -> bytes:
    """Send pieces with pauses, and read until the server closes; "reset" where it closed while we sent."""
    with socket.create_connection(address, timeout=3) as connection:
        answer = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            while piece := connection.recv(4096):
                answer += piece
        except ConnectionError:
            return b"reset"
    return answer


@pytest.mark.parametrize(
    "pieces",
    [[b""], [b"GET / HTTP/1.1\r\nX-A: b\r\n"], [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HT"]],
    ids=["nothing", "half of a head", "a second head that does not end"],
)
def test_a_head_that_does_not_end_is_cut_off(address: tuple[str, int], pieces: list[bytes]) -> None:
    answer = talk(address, *pieces)
    assert b" 408 " in answer
    assert b"application/problem+json" in answer


def test_a_header_now_and_then_does_not_help(address: tuple[str, int]) -> None:
    assert talk(address, b"GET / HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 50) == b"reset"


def test_a_whole_request_is_answered_however_long_that_takes(address: tuple[str, int]) -> None:
    answer = talk(address, b"GET /?seconds=0.8 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b'"here"')


@pytest.mark.parametrize("address", [Narrow], indirect=True)
def test_connections_that_say_nothing_shut_nobody_out(address: tuple[str, int]) -> None:
    """The one that has waited longest goes; where all are at work the new one is refused, with a problem."""
    silent = [socket.create_connection(address, timeout=3) for _ in range(2)]
    time.sleep(0.1)
    whole = b"GET /?seconds=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    first, second = (socket.create_connection(address, timeout=3) for _ in range(2))
    for connection in (first, second):
        connection.sendall(whole)
    for connection in silent:
        assert b" 503 " in connection.recv(4096)
    time.sleep(0.1)
    third = talk(address, b"")
    assert third.startswith(b"HTTP/1.1 503")
    assert b"application/problem+json" in third
    assert b'"code": "busy"' in third
    for connection in (first, second):
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    for connection in (*silent, first, second):
        connection.close()


def test_what_is_not_http_is_a_problem(address: tuple[str, int]) -> None:
    answer = talk(address, b"hello\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"code": "not-http"' in answer


def test_a_body_that_trickles_is_cut_off() -> None:
    """A piece before each deadline is not enough: it also has to come to something."""

    async def receive() -> dict:
        await asyncio.sleep(0.05)
        return {"type": "http.request", "body": b"x", "more_body": True}

    trickle, pieces = bounded(receive, 10**6, slow_s=0.2), []

    async def read() -> None:
        while True:
            pieces.append(await trickle())

    with pytest.raises(SlowClientError):
        asyncio.run(read())
    assert 2 <= len(pieces) <= 5


def test_room_for_uploads(tmp_path: Path) -> None:
    room = UploadRoom(tmp_path, 10 * SMALL)
    with room.body() as first, room.body() as second:
        first(8 * SMALL)
        with pytest.raises(UploadsFullError, match=r"uploads fill the 0\.625 MB"):
            second(3 * SMALL)
        second(SMALL)
        assert room.used == 9 * SMALL
        with pytest.raises(UploadsFullError):
            second(2 * SMALL)
    assert room.used == 0
    (tmp_path / "song.wav").write_bytes(bytes(5 * SMALL))
    room.keep(5 * SMALL)
    assert room.used == 5 * SMALL
    with room.body() as count, pytest.raises(UploadsFullError):
        count(6 * SMALL)
    (tmp_path / "song.wav").unlink()
    room.measure()
    assert room.used == 0
