"""uvicorn with clocks: a client that sends the head of its request too slowly is cut off, and told so."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import FastAPI
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from musetune.client.wire import Problem

HEAD_S = 20.0  # a request's head has to be there after so long
KEEP_ALIVE_S = 15  # an idle connection is closed after so long
MOST_CONNECTIONS = 512


class TimedProtocol(H11Protocol):
    """One connection, which is closed where the head of a request has begun, or is due, and does not end in time.

    Problems that no application sees are problem details too.
    """

    head_s = HEAD_S

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first head."""
        super().connection_made(transport)
        self._start()

    def data_received(self, data: bytes) -> None:
        """Stop the clock where a head is complete; start it where the next one has begun."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        else:
            self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Say as a problem that what came is not HTTP."""
        self._refuse(400, "Bad request", "not-http", msg)

    def _start(self) -> None:
        if self._clock is None and not self.transport.is_closing():
            self._clock = self.loop.call_later(self.head_s, self._give_up)

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _give_up(self) -> None:
        self._clock = None
        if not self.transport.is_closing():
            text = f"the head of the request was not there after {self.head_s:g} s: send it at once"
            self._refuse(408, "Too slow", "slow", text)

    def _refuse(self, status: int, title: str, code: str, detail: str) -> None:
        body = json.dumps(Problem(title=title, status=status, detail=detail, code=code).model_dump()).encode()
        head = (
            f"HTTP/1.1 {status} {title}\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def run_server(app: FastAPI, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM. Raises SystemExit where the port is taken."""
    config = Config(
        app,
        host=host,
        port=port,
        http=TimedProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=5,
        limit_concurrency=MOST_CONNECTIONS,
    )
    Server(config).run()
