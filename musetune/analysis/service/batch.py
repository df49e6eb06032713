"""Many files over many cores; one bad file does not stop the others."""

from __future__ import annotations

import logging
import os
from collections import Counter, deque
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

from musetune.analysis.service.worker import AnalysisJob, AnalysisWorker, JobResult, WorkerDeath

AUDIO = (".mp3", ".wav", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".mp4", ".aif", ".aiff", ".wma", ".caf")
SCORES = (".mid", ".midi", ".musicxml", ".mxl")  # in a folder; .xml and .json may be anything: name them one by one
MARK = ".analysis"  # what is written of song.mp3 begins with song.mp3.analysis, and is not taken for music later
AHEAD = 8  # answers in waiting for an earlier file, a worker

log = logging.getLogger(__name__)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def find_files(sources: Iterable[str | os.PathLike]) -> list[tuple[Path, Path]]:
    """Find music files; what a folder holds that cannot be read or is no file is named in a warning.

    Args:
        sources: Files, and folders whose music is taken at any depth.

    Returns:
        (file, name for output), sorted and each file once. The name is the file's own, with the folders below the one
        that was given; where names are equal, with as many of the folders above as tell them apart.

    Raises:
        FileNotFoundError: A source does not exist.
        ValueError: A folder holds no music.
    """
    files: dict[
        Path, tuple[Path, int]
    ] = {}  # absolute path → the path as given, and how many of its parts are the name
    for source in map(Path, sources):
        if source.is_dir():
            inside = _music_in(source)
            if not inside:
                raise ValueError(f"{source} holds no music: none of {' '.join(AUDIO + SCORES)}")
            for path in inside:
                files.setdefault(Path(os.path.abspath(path)), (path, len(path.relative_to(source).parts)))
        elif source.exists():
            files.setdefault(Path(os.path.abspath(source)), (source, 1))
        else:
            raise FileNotFoundError(f"no such file: {source}")
    return [(path, name) for (path, _), name in zip(files.values(), _apart(files), strict=True)]


def _apart(files: Mapping[Path, tuple[Path, int]]) -> list[Path]:
    """Names that differ: the last parts of each absolute path, and one more of equal ones until none are."""
    lengths = {path: parts for path, (_, parts) in files.items()}
    while True:
        names = {path: Path(*path.parts[-length:]) for path, length in lengths.items()}
        count = Counter(names.values())
        equal = [path for path, name in names.items() if count[name] > 1]
        if not equal:
            return list(names.values())
        for path in equal:
            lengths[path] = min(lengths[path] + 1, len(path.parts) - 1)


def _music_in(folder: Path) -> list[Path]:
    """Return the music files below a folder, sorted; warn of what looks like music and is passed over."""

    def unreadable(error: OSError) -> None:
        log.warning("%s cannot be read (%s): what it holds is left out", error.filename, error.strerror)

    music = []
    for where, _, names in os.walk(folder, onerror=unreadable):
        for path in (Path(where, name) for name in names):
            if path.suffix.lower() not in AUDIO + SCORES or MARK in path.name:
                continue
            if path.name.startswith("._"):
                log.warning("%s is passed over: macOS keeps a file's attributes in such files, no music", path)
            elif not path.is_file():
                log.warning("%s is passed over: it is no regular file, or leads nowhere", path)
            else:
                music.append(path)
    return sorted(music)


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
    message = " ".join(str(error).split()) or type(error).__name__
    fault = not isinstance(error, (ValueError, OSError, ImportError, WorkerDeath))
    return f"{message} (a fault of the analyser; please report it)" if fault else message
