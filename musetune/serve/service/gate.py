"""The gate before the application: who asks, how often, how much comes and how slowly; every request is logged."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections import Counter
from typing import Any

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from musetune.serve.guard import Guard
from musetune.serve.service.access import ApiKeys, BodyTooLargeError, RateLimit, SlowClientError, bounded
from musetune.serve.service.problems import ProblemError, answer, body_problem
from musetune.serve.service.service import JobService
from musetune.serve.service.tasks import TASKS
from musetune.serve.service.upload_room import UploadsFullError

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OPEN = ("/healthz", "/readyz", "/metrics")  # without a key
SLOW_READER_S = 60.0  # a client may leave a piece of an answer unread for so long
MOST_REQUESTS = 256  # at once; one more is asked to come again
MOST_OF_A_KEY = 64  # of them: no key shuts out the others
UPLOADING = {task.path for task in TASKS if task.sound}  # paths whose bodies may hold a song
log: Any = structlog.get_logger("musetune.serve")


class Gate:
    """ASGI middleware before everything else: the request's id, its key, its rate, the size and pace of its body, and
    that no other site's page sends it.

    Args:
        app: What answers where nothing is wrong.
        service: Whose settings and metrics count.
        keys: Who may use it.
        host: The address that it is served on.
    """

    def __init__(self, app: ASGIApp, service: JobService, keys: ApiKeys, host: str) -> None:
        self.app, self.service, self.keys = app, service, keys
        self.rate = RateLimit(service.settings.rate)
        self.guard = Guard(app, [host, *service.settings.allow_hosts])  # type: ignore[arg-type]
        self.requests = 0  # under way
        self.of_key = Counter[str]()  # the same by key; nothing where no key is needed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass the request on; log and count it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, started = time.perf_counter(), 500, False
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        request_id = headers.get("x-request-id", "")
        if not re.fullmatch(r"[\w.-]{8,64}", request_id):
            request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)

        async def send_with_id(message: Any) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
                route = getattr(scope.get("route"), "path", "none")
                self.service.metrics.latency.labels(route).observe(time.perf_counter() - began)
                method = scope["method"] if scope["method"] in METHODS else "other"  # a client may send any word
                self.service.metrics.requests.labels(method, route, str(status)).inc()
            await asyncio.wait_for(send(message), SLOW_READER_S)

        async def refuse(problem: ProblemError) -> None:
            if not started:  # else nothing can be said any more
                await answer(problem, request_id, scope["path"])(scope, receive, send_with_id)

        songs = scope["path"] in UPLOADING and headers.get("content-type", "").lower().startswith("multipart/")
        limit = self.service.settings.max_upload if songs else self.service.settings.max_body
        self.requests += 1
        owner = ""
        try:
            owner = self._check(scope, headers, limit)
            with self.service.uploads.body() as count:
                scope["state"]["end_body"] = count.end
                await self.app(scope, bounded(receive, limit, count=count), send_with_id)
        except (ProblemError, BodyTooLargeError, SlowClientError, UploadsFullError) as error:
            await refuse(_problem(error, limit))
        except asyncio.CancelledError:  # the server ends, and does not wait any longer
            await refuse(ProblemError(503, "not-ready", "the service stops: ask again later", {"Retry-After": "30"}))
            raise
        except TimeoutError:  # the client reads nothing: uvicorn closes what was begun and not ended
            log.warning("client does not read", path=scope["path"])
        except Exception:
            log.exception("request failed", method=scope["method"], path=scope["path"])
            await refuse(ProblemError(500, "internal", "a fault of the service, which its log says more about"))
        finally:
            self.requests -= 1
            self.of_key -= Counter([owner])  # who has none under way is forgotten
            seconds = round(time.perf_counter() - began, 4)
            log.info("request", method=scope["method"], path=scope["path"], status=status, seconds=seconds)
            structlog.contextvars.clear_contextvars()

    def _check(self, scope: Scope, headers: dict[str, str], limit: int) -> str:
        """Raise ProblemError for a request that is not to be answered; else whose it is, which is counted."""
        if headers.get("origin") in self.service.settings.cors_origins:
            headers = {name: value for name, value in headers.items() if name != "origin"} | {"sec-fetch-site": "none"}
        if (problem := self.guard.stranger(headers, scope["method"])) is not None:
            raise ProblemError(403, "forbidden", problem.replace("musetune ui", "musetune serve"))
        if scope["path"] in OPEN:
            return ""
        if self.requests > MOST_REQUESTS:
            self.service.metrics.rejected.labels("requests").inc()
            text = f"more than {MOST_REQUESTS} requests at once: ask again in a second"
            raise ProblemError(503, "busy", text, {"Retry-After": "1"})
        owner = self.keys.owner(headers.get("authorization"))
        if owner is None:
            text = "give a key: Authorization: Bearer KEY"
            raise ProblemError(401, "unauthorized", text, {"WWW-Authenticate": "Bearer"})
        scope["state"]["owner"] = owner
        if seconds := self.rate.seconds_to_wait(owner):
            self.service.metrics.rejected.labels("rate").inc()
            text = f"more than {self.service.settings.rate} of this key: ask again in {seconds} s"
            raise ProblemError(429, "rate", text, {"Retry-After": str(seconds)})
        if owner and self.of_key[owner] >= MOST_OF_A_KEY:
            self.service.metrics.rejected.labels("requests").inc()
            text = f"more than {MOST_OF_A_KEY} requests of this key at once, open event streams included: end some"
            raise ProblemError(429, "busy", text, {"Retry-After": "1"})
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            raise body_problem(BodyTooLargeError(), limit)
        self.of_key[owner] += 1
        return owner


def _problem(error: Exception, limit: int) -> ProblemError:
    """What is said of an error at the gate."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, UploadsFullError):
        return ProblemError(507, "uploads-full", str(error), {"Retry-After": "60", "Connection": "close"})
    return body_problem(error, limit)
