"""How the Live tab's sound and settings travel: one answer that goes on, and small posts that change it.

The answer to ``POST musetune/live`` is a row of frames, each the length of a JSON text (4 bytes, little-endian), the
text, and as many bytes of sound (int16, channels interleaved) as the text's ``bytes`` says. The first frame has the
``token`` by which settings are changed; the last one has ``end``, a reason or "". No library for sockets is needed, and
whatever passes a download on passes this on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import struct
import threading
from collections.abc import AsyncIterator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from musetune.serve.chart_words import transpose_chart
from musetune.serve.live_session import BusyError, LiveChunk, LiveSession, LiveSettings, LiveStage
from musetune.serve.markup import SURPRISE
from musetune.serve.pads_markup import pads_html, words_html
from musetune.serve.work import CHORDS, NAME, check_number, check_whole
from musetune.symbols import BPM_RANGE, Key
from musetune.symbols.meter import Meter

log = logging.getLogger(__name__)
BEAT_S = 0.5  # how often it is looked whether the connection is still there
HEADERS = {"cache-control": "no-store, no-transform", "x-accel-buffering": "no"}  # nothing on the way keeps it back


class LiveRoutes:
    """The addresses of the Live tab.

    Args:
        stage: where sessions play.
    """

    def __init__(self, stage: LiveStage) -> None:
        self.stage = stage

    def routes(self) -> list[BaseRoute]:
        """What the server answers beside the page."""
        return [
            Route("/musetune/live", self.start, methods=["POST"]),
            Route("/musetune/live/{token}", self.control, methods=["POST"]),
            Route("/musetune/pads", self.pads, methods=["GET"]),
            Route("/musetune/words", self.words, methods=["GET"]),
            Route("/musetune/transposed", self.transposed, methods=["GET"]),
        ]

    async def start(self, request: Request) -> Response:
        """Begin a session: frames of sound until it ends; 400 for settings that cannot be played, 409 while busy."""
        token = secrets.token_urlsafe(16)
        try:
            settings = await run_in_threadpool(LiveSettings.of, await _object(request))
            session = self.stage.open(token, settings)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        except BusyError as error:
            return JSONResponse({"error": str(error)}, 409)
        frames = self._frames(token, session, request, self._play(token, session))
        return StreamingResponse(frames, media_type="application/octet-stream", headers=HEADERS)

    async def control(self, request: Request) -> Response:
        """Note what was heard (``heard_s``, and how many ``gaps``), change the ``settings``, or ``stop``.

        404 where the session has ended.
        """
        session = self.stage.session(request.path_params["token"])
        if session is None:
            return JSONResponse({"error": "this session has ended"}, 404)
        try:
            data = await _object(request)
            heard = data.get("heard_s")
            gaps = data.get("gaps")
            session.hear(float(heard) if isinstance(heard, int | float) else 0.0, gaps if isinstance(gaps, int) else 0)
            if "settings" in data:
                session.change(await run_in_threadpool(LiveSettings.of, data["settings"]))
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        if data.get("stop"):
            session.stop()
        return JSONResponse({"ready_s": session.ready_s, "enough_s": session.enough_s})

    async def pads(self, request: Request) -> Response:
        """The pads of a key as HTML, called ``name``."""
        try:
            key, _ = _chart(request)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        name = request.query_params.get("name", "Live pads")[:NAME]
        return HTMLResponse(await run_in_threadpool(pads_html, key, name))

    async def words(self, request: Request) -> Response:
        """The words of a progression as HTML: ``text``, ``key``, ``meter`` and ``bpm``; 400 for what cannot be read."""
        try:
            key, text = _chart(request)
            meter = str(Meter.parse(request.query_params.get("meter", "4/4")[:NAME]))
            bpm = float(request.query_params.get("bpm", "120"))
            check_number("Tempo", bpm, *BPM_RANGE)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        return HTMLResponse(await run_in_threadpool(words_html, text, key, meter, bpm))

    async def transposed(self, request: Request) -> Response:
        """A progression (``text``, ``key``) so many ``semitones`` higher: its text and key as JSON."""
        try:
            key, text = _chart(request)
            semitones = int(request.query_params.get("semitones", ""))
            check_whole("Semitones", semitones, -12, 12)
            moved, there = await run_in_threadpool(transpose_chart, text, key, semitones)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"text": moved, "key": str(there)})

    def _play(self, token: str, session: LiveSession) -> asyncio.Queue[LiveChunk | str]:
        """Let a session play in a thread of its own, listener or not; what it makes comes by the queue.

        It gives the pipeline back at its end, which a listener that never came brings, too.
        """
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[LiveChunk | str]()

        def tell(item: LiveChunk | str) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(queue.put_nowait, item)

        def work() -> None:
            reason = ""
            try:
                for chunk in session.chunks():
                    tell(chunk)
            except ValueError as error:
                reason = str(error)
            except Exception:
                log.exception("a live session broke off")
                reason = SURPRISE
            finally:
                self.stage.close(token)
                tell(reason)

        try:
            threading.Thread(target=work, name="live", daemon=True).start()
        except RuntimeError:  # no thread to be had
            self.stage.close(token)
            raise
        return queue

    async def _frames(
        self, token: str, session: LiveSession, request: Request, queue: asyncio.Queue[LiveChunk | str]
    ) -> AsyncIterator[bytes]:
        """Frames of a session; when the connection is gone, the session stops before its next chunk."""
        try:
            yield _frame({"token": token})
            while True:
                try:
                    item = await asyncio.wait_for(queue.get(), BEAT_S)
                except TimeoutError:
                    if await request.is_disconnected():
                        return
                    continue
                if not isinstance(item, LiveChunk):
                    yield _frame({"end": item})
                    return
                yield _chunk_frame(item)
        finally:
            session.stop()


def _chart(request: Request) -> tuple[Key, str]:
    """The key and the text that a question names. Raises ValueError for what is none or too long."""
    text = request.query_params.get("text", "")
    if len(text) > CHORDS:
        raise ValueError(f"a progression has up to {CHORDS:,} characters; this one has {len(text):,}")
    return Key.parse(request.query_params.get("key", "")[:NAME]), text


async def _object(request: Request) -> dict[str, Any]:
    """The JSON object that a request brings. Raises ValueError for anything else."""
    data = json.loads(await request.body() or b"{}")
    if not isinstance(data, dict):
        raise ValueError("a JSON object is wanted")
    return data


def _frame(head: dict[str, Any], sound: bytes = b"") -> bytes:
    text = json.dumps(head | {"bytes": len(sound)}).encode()
    return struct.pack("<I", len(text)) + text + sound


def _chunk_frame(chunk: LiveChunk) -> bytes:
    samples, channels = chunk.audio.shape
    head = {
        "rate": chunk.rate,
        "channels": channels,
        "samples": samples,
        "from_s": chunk.from_s,
        "chords": chunk.chords,
        "made_in_s": chunk.made_in_s,
    }
    return _frame(head, chunk.audio.tobytes())
