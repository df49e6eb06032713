"""The analyser for programs that do many things at once: `await service.analyze_music(path)`."""

from __future__ import annotations

import asyncio
import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

from musetune.analysis.service.batch import cores
from musetune.analysis.service.cache import AnalysisCache, StoredAnalysis
from musetune.analysis.service.worker import AnalysisJob, AnalysisWorker, check_file
from musetune.audio.source import sha256_of, text_name
from musetune.symbols.json_values import JsonObject


@dataclass
class _Computation:
    """One computation, and how many await it."""

    task: asyncio.Task[StoredAnalysis]
    waiting: int = 0


class AnalysisService:
    """An analyser for programs that do many things at once, in processes of its own.

    Requests for equal bytes and options that overlap in time share one computation. Use it as
    `async with AnalysisService() as service:`, or `await service.close()`.

    Args:
        max_concurrent: Processes, 1 or more; None: one a core.
        cache: Where results are kept: "default" (`default_folder()`), a folder, an AnalysisCache, or None for nowhere.

    Raises:
        ValueError: `max_concurrent` is not a whole number above 0.

    Example:
        >>> import asyncio
        >>> from musetune import LeadSheet
        >>> async def key_of(path):
        ...     async with AnalysisService(max_concurrent=1, cache=None) as service:
        ...         return (await service.analyze_music(path))["key"]
        >>> asyncio.run(key_of(LeadSheet.parse("| C | F | G7 | C |").save("song.mid")))
        'C major'
    """

    def __init__(self, *, max_concurrent: int | None = None, cache: AnalysisCache | str | None = "default") -> None:
        count = cores() if max_concurrent is None else max_concurrent
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"max_concurrent={max_concurrent!r} is not a whole number above 0")
        self.max_concurrent = count
        self._cache = (
            AnalysisCache() if cache == "default" else AnalysisCache(cache) if isinstance(cache, str) else cache
        )
        self._workers = [AnalysisWorker() for _ in range(count)]
        self._idle: asyncio.LifoQueue[AnalysisWorker] = asyncio.LifoQueue()  # the last one is warm
        for worker in self._workers:
            self._idle.put_nowait(worker)
        self._threads = ThreadPoolExecutor(count + 2, thread_name_prefix="musetune")  # two for files and hashes
        self._shared: dict[tuple[Any, ...], _Computation] = {}
        self._closed = False

    async def analyze_music(
        self, path: str | PathLike, *, beats: str = "musetune", tempo_hint: float | None = None
    ) -> JsonObject:
        """Return the analysis record of a file as plain values, which are the caller's own to change.

        Cancelling the last one who awaits a file stops its computation.

        Args:
            path: Audio, MIDI, MusicXML or a lead sheet.
            beats: Who hears the beats: "musetune", "madmom" or "beat_this".
            tempo_hint: About how many beats a minute; settles half or double.

        Returns:
            The record that `Analysis.to_json` gives: `bpm`, `key`, `chords`, `harmonic_analysis` and the rest.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It cannot be analysed; the message says why.
            RuntimeError: The service is closed.
        """
        self._open()
        job = AnalysisJob(str(path), beats, tempo_hint)
        digest = await self._in_thread(_digest, Path(path))
        self._open()
        key = (digest, *job.options.items())
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = _Computation(asyncio.ensure_future(self._compute(digest, job)))
            shared.task.add_done_callback(lambda _: self._forget(key, shared))
        shared.waiting += 1
        try:
            stored = await asyncio.shield(shared.task)
        except asyncio.CancelledError:
            if shared.waiting == 1 and not shared.task.done():
                self._forget(key, shared)
                shared.task.cancel()
                await asyncio.wait([shared.task])
            raise
        finally:
            shared.waiting -= 1
        return copy.deepcopy(stored.with_file(text_name(path)).record)

    def _open(self) -> None:
        if self._closed:
            raise RuntimeError("this AnalysisService is closed; make a new one")

    def _forget(self, key: tuple[object, ...], shared: _Computation) -> None:
        if self._shared.get(key) is shared:
            del self._shared[key]

    async def _compute(self, digest: str, job: AnalysisJob) -> StoredAnalysis:
        if self._cache is not None:
            stored_result = await self._in_thread(self._cache.load, digest, job.options)
            if stored_result is not None:
                return stored_result
        worker = await self._idle.get()
        try:
            stored = await self._by(worker, job)
        finally:
            self._idle.put_nowait(worker)
        if self._cache is not None:
            await self._in_thread(self._cache.save, digest, job.options, stored)
        return stored

    async def _by(self, worker: AnalysisWorker, job: AnalysisJob) -> StoredAnalysis:
        """Run `job`; where this is cancelled, the process is stopped, not left to its work."""
        running = asyncio.get_running_loop().run_in_executor(self._threads, worker.run, job)
        try:
            return (await asyncio.shield(running)).result
        except asyncio.CancelledError:
            while not running.done():
                worker.kill()  # again and again: it may just be starting
                await asyncio.wait([running], timeout=0.05)
            running.exception()  # it was told of
            raise

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    async def close(self) -> None:
        """Stop what is running (who awaits it is cancelled) and end the processes. May be called twice."""
        if self._closed:
            return
        self._closed = True
        tasks = [shared.task for shared in self._shared.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for worker in self._workers:
            worker.close()
        self._threads.shutdown(wait=True)

    async def __aenter__(self) -> AnalysisService:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _digest(path: Path) -> str:
    check_file(path)
    return sha256_of(path)
