"""Many files over many cores; one bad file does not stop the others."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

from musetune.analysis.service.worker import AnalysisJob, AnalysisWorker, JobResult, WorkerDied

AUDIO = (".mp3", ".wav", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".mp4", ".aif", ".aiff", ".wma", ".caf")
SCORES = (".mid", ".midi", ".musicxml", ".mxl")  # in a folder; .xml and .json may be anything: name them one by one
MARK = ".analysis"  # what is written of song.mp3 begins with song.mp3.analysis, and is not taken for music later
AHEAD = 8  # answers in waiting for an earlier file, a worker


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def find_files(places: Iterable[str | os.PathLike]) -> list[tuple[Path, Path]]:
    """(file, name of it for output) of all files, and of all music in all folders, in any depth and sorted, each once.

    The name is the file's own, with the folders below the one that was given. Raises FileNotFoundError for what is
    neither, ValueError for a folder without music.
    """
    found: dict[Path, Path] = {}
    for place in map(Path, places):
        if place.is_dir():
            inside = [path for path in sorted(place.rglob("*")) if _is_music(path)]
            if not inside:
                raise ValueError(f"{place} holds no music: none of {' '.join(AUDIO + SCORES)}")
            for path in inside:
                found.setdefault(path, path.relative_to(place))
        elif place.exists():
            found.setdefault(place, Path(place.name))
        else:
            raise FileNotFoundError(f"no such file: {place}")
    return list(found.items())


def _is_music(path: Path) -> bool:
    return path.suffix.lower() in AUDIO + SCORES and MARK not in path.name and path.is_file()


def run_jobs(
    jobs: Iterable[AnalysisJob], workers: int
) -> Generator[tuple[AnalysisJob, JobResult | Exception], None, None]:
    """Each job with its answer or its error, in the order of the jobs, by so many processes.

    Closing the iterator stops the processes.
    """
    waiting, running = deque(jobs), deque[tuple[AnalysisJob, Future[JobResult]]]()
    crew = [AnalysisWorker() for _ in range(min(workers, len(waiting)))]
    idle: SimpleQueue[AnalysisWorker] = SimpleQueue()
    for worker in crew:
        idle.put(worker)

    def one(job: AnalysisJob) -> JobResult:
        worker = idle.get()
        try:
            return worker.run(job)
        finally:
            idle.put(worker)

    with ThreadPoolExecutor(max(1, len(crew))) as threads, closing(_Crew(crew, threads)):
        while waiting or running:
            while waiting and len(running) < AHEAD * len(crew):
                running.append((waiting[0], threads.submit(one, waiting.popleft())))
            job, future = running.popleft()
            error = future.exception()
            if isinstance(error, Exception):
                yield job, error
            else:
                yield job, future.result()


class _Crew:
    """All workers and the threads that wait for them, to be stopped together."""

    def __init__(self, workers: list[AnalysisWorker], threads: ThreadPoolExecutor) -> None:
        self.workers, self.threads = workers, threads

    def close(self) -> None:
        self.threads.shutdown(wait=False, cancel_futures=True)
        for worker in self.workers:
            worker.close()


def reason(error: Exception) -> str:
    """An error in one line, for a summary of many."""
    told = " ".join(str(error).split()) or type(error).__name__
    fault = not isinstance(error, (ValueError, OSError, ImportError, WorkerDied))
    return f"{told} (a fault of the analyser; please report it)" if fault else told
