"""Who may talk to the page, and how much: checked before gradio sees a request.

A page of another site can make the reader's browser send requests to a server on the reader's own machine. Its own name
gives it away: ``Origin`` says whose script asks, and ``Host`` says by what name the server was reached. A name that an
attacker points at 127.0.0.1 (DNS rebinding) is not among those that this server answers to.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MEGABYTE = 2**20
UPLOAD = 256 * MEGABYTE  # a song: three hours of MP3
UPLOADS = 1024 * MEGABYTE  # all songs that lie in the folder of uploads
BODY = MEGABYTE  # any other request
READING = ("GET", "HEAD", "OPTIONS")
STREAM = re.compile(r"/queue/data/?$|/call/(?:v2/)?[^/]+/(?P<event>[^/]+)/?$")  # where gradio tells a client its news


class TooLargeError(Exception):
    """A request's body is longer than it may be."""


class Audience:
    """Who has a stream of news open, by gradio's session, or by its event where the client asks for that one."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def enter(self, name: str) -> None:
        """A stream is opened."""
        self._open[name] += 1

    def leave(self, name: str) -> None:
        """A stream is closed."""
        self._open[name] -= 1
        if self._open[name] <= 0:
            del self._open[name]

    def has(self, *names: str | None) -> bool:
        """Whether one of these sessions or events has a stream open."""
        return any(self._open.get(name) for name in names if name)


class Guard:
    """ASGI middleware that refuses other sites' requests and bodies that are too large.

    Args:
        app: what answers where nothing is wrong.
        names: host names that the server answers to, beside localhost and this machine's own name. A numeric address
            needs no name: nobody can point it elsewhere.
        uploads: the folder that uploads are written to. The oldest go when a new one would bring them beyond
            ``UPLOADS`` bytes.
        audience: told of every stream of news that is opened and closed.
    """

    def __init__(
        self, app: App, names: Iterable[str] = (), uploads: Path | None = None, audience: Audience | None = None
    ) -> None:
        self.app, self.uploads, self.audience = app, uploads, audience or Audience()
        self.names = {"localhost", socket.gethostname().lower(), *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 or 413, or pass the request on."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        problem = self.stranger(headers, scope.get("method", "GET"))
        if problem is not None:
            await _answer(scope, receive, send, 403, problem)
            return
        upload = scope["path"].rstrip("/").endswith("/upload")
        limit = UPLOAD if upload else BODY
        too_large = f"the body is longer than {limit // MEGABYTE} MB, which is the most that is taken here"
        if not headers.get("content-length", "0").isdecimal() or int(headers.get("content-length", "0")) > limit:
            await _answer(scope, receive, send, 413, too_large)
            return
        if upload and self.uploads is not None:
            make_room(self.uploads, UPLOADS - int(headers.get("content-length", limit)))
        stream = _stream(scope)
        if stream is not None:
            self.audience.enter(stream)
        try:
            await self.app(scope, _counted(receive, limit), send)
        except TooLargeError:
            await _answer(scope, receive, send, 413, too_large)
        finally:
            if stream is not None:
                self.audience.leave(stream)

    def stranger(self, headers: dict[str, str], method: str) -> str | None:
        """What shows that a request is another site's; None where nothing does."""
        host = headers.get("host", "")
        if not self.knows(host):
            return (
                f"this page does not go by the name {_name(host)!r}: open it by its address, or say "
                f"musetune ui --allow-host {_name(host) or 'NAME'}"
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return f"the page {origin} may not use this one"
        if origin is None and method not in READING and headers.get("sec-fetch-site", "none") == "cross-site":
            return "another site's page may not use this one"
        return None

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server: by a number, or by a name that it answers to."""
        name = _name(host)
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self.names
        return True


def _stream(scope: Scope) -> str | None:
    """The session or event whose news a request asks for; None for any other request."""
    match = STREAM.search(scope["path"]) if scope.get("method") == "GET" else None
    if match is None:
        return None
    sessions = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("session_hash", [])
    return match["event"] or next(iter(sessions), None)


def _name(host: str) -> str:
    """The name in a Host header, without port and brackets, in small letters; "" where it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def make_room(folder: Path, most: int) -> None:
    """Delete the oldest files below a folder until those that are left have at most so many bytes together."""
    files = [(path.stat(), path) for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    total = sum(stat.st_size for stat, _ in files)
    for stat, path in sorted(files, key=lambda file: file[0].st_mtime):
        if total <= most:
            return
        path.unlink(missing_ok=True)
        total -= stat.st_size


def _counted(receive: Receive, limit: int) -> Receive:
    """``receive`` that raises TooLargeError once more than ``limit`` bytes have come: a length need not be
    announced.
    """
    so_far = 0

    async def counted() -> Message:
        nonlocal so_far
        message = await receive()
        so_far += len(message.get("body", b""))
        if so_far > limit:
            raise TooLargeError
        return message

    return counted


async def _answer(scope: Scope, receive: Receive, send: Send, status: int, text: str) -> None:
    """Refuse with a status and a reason in plain text."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": text[:100]})
        return
    body = f"musetune: {text}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
