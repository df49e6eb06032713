"""uvicorn with clocks: a client that sends the head of its request too slowly is cut off, and told so; and uvicorn that
goes on answering while what runs comes to its end.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from types import FrameType
from typing import Any

from fastapi import FastAPI
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from musetune.client.wire import Problem
from musetune.serve.service.service import JobService

HEAD_S = 20.0  # a request's head has to be there after so long
KEEP_ALIVE_S = 15  # an idle connection is closed after so long
GRACE_S = 5  # requests that are under way when nothing runs any more have so long to end
TICK_S = 0.1
MOST_CONNECTIONS = 512


class TimedProtocol(H11Protocol):
    """One connection, which is closed where the head of a request has begun, or is due, and does not end in time.

    There are ``most`` connections at once. One more takes the place of the one that has waited longest for a request,
    so that clients who open connections and say nothing shut out nobody; where all are at work it is refused. Problems
    that no application sees are problem details too.
    """

    head_s, most = HEAD_S, MOST_CONNECTIONS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._clock: asyncio.TimerHandle | None = None
        self._idle_since = time.monotonic()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first head."""
        super().connection_made(transport)
        self._start()
        if len(self.connections) > self.most:
            others = (one for one in self.connections if isinstance(one, TimedProtocol) and one is not self)
            idle = [one for one in others if one.idle and not one.transport.is_closing()]
            text = f"more than {self.most} connections at once: ask again in a second"
            min(idle, key=lambda one: one._idle_since, default=self)._refuse(503, "Not ready", "busy", text)

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        """Stop the clock where a head is complete; start it where the next one has begun."""
        super().data_received(data)
        if self.idle:
            self._start()
        else:
            self._stop()

    def on_response_complete(self) -> None:
        """Count from now on how long the connection waits for a request."""
        self._idle_since = time.monotonic()
        super().on_response_complete()

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


class DrainingServer(Server):
    """uvicorn, which still answers while running jobs end: clients may ask for their jobs, and new ones get 503.

    Args:
        config: uvicorn's.
        service: What is drained once a signal to stop has come; a second Ctrl+C ends the wait.
    """

    def __init__(self, config: Config, service: JobService) -> None:
        super().__init__(config)
        self.service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Say at once that the service stops."""
        self.service.draining = True
        super().handle_exit(sig, frame)

    async def main_loop(self) -> None:
        """Serve until a signal comes, and on until nothing runs any more; only then the listening socket is closed."""
        await super().main_loop()
        draining = threading.Thread(target=self.service.drain, name="draining", daemon=True)
        draining.start()
        while draining.is_alive() and not self.force_exit:
            await asyncio.sleep(TICK_S)
            await self.on_tick(0)  # the date that answers carry


def run_server(app: FastAPI, service: JobService, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM, and until what runs has ended. Raises SystemExit where the port is taken."""
    DrainingServer(server_config(app, host=host, port=port), service).run()


def server_config(app: FastAPI, **options: Any) -> Config:
    """uvicorn's configuration of the service; ``options`` are further ones of uvicorn."""
    return Config(
        app,
        http=TimedProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        **options,
    )
