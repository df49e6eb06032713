"""A process that analyses one file after another, so that no decoder can take the caller down and every core can work.

The two sides speak lines of JSON over pipes: a `Job` in, an `Answer` out. Processes and not threads: one that crashes
or is stopped takes nothing with it, and two threads took 15 % more processor time than one for the same four songs
(they wait for Python's lock).
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from musetune.analysis.listening.engines import beats_of
from musetune.analysis.numerals.reader import Reader
from musetune.analysis.service.cache import AnalysisCache, StoredAnalysis
from musetune.audio.source import SYMBOLS, sha256_of, text_name
from musetune.symbols.json_values import JsonObject

PATIENCE_S = 7200.0  # a file may take so long; then its process is stopped
PROGRAM = "from musetune.analysis.service.worker import main; main()"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # one each: the cores are shared by processes
BUILTIN: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (ValueError, FileNotFoundError, PermissionError, OSError, ImportError, MemoryError)
}


@dataclass(frozen=True)
class AnalysisJob:
    """One file to analyse, and what to write of it: `outputs`, kinds of `export.KINDS`, under names that begin with
    `stem`. `beats` is one of `engines.ENGINES`; `genres` a YAML file of further genres; `numerals` one of
    `reader.READERS`; `cache` a folder, None to leave the cache alone. Files that are there already are left as they are
    unless `force`."""

    path: str
    beats: str = "musetune"
    tempo_hint: float | None = None
    genres: str | None = None
    numerals: Reader = "auto"
    cache: str | None = None
    outputs: tuple[str, ...] = ()
    stem: str | None = None
    sheet: str | None = None
    force: bool = False

    @property
    def options(self) -> JsonObject:
        """What the analysis depends on beside the file's bytes; its kind, since symbols are read by suffix."""
        genres = None if self.genres is None else sha256_of(self.genres)
        suffix = Path(self.path).suffix.lower()
        return {
            "beats": self.beats,
            "tempo_hint": self.tempo_hint,
            "genres": genres,
            "numerals": self.numerals,
            "suffix": suffix,
        }


@dataclass(frozen=True)
class JobResult:
    """The analysis, whether it came from the cache, the files written, what the reader should know (warnings), and the
    files that were there already and left as they were."""

    result: StoredAnalysis
    cached: bool = False
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    existing: tuple[str, ...] = ()


class WorkerDeath(RuntimeError):
    """The process ended in the middle of a file: a crash in a decoder, no memory, or it was stopped."""


def perform(job: AnalysisJob) -> JobResult:
    """Do a job, in this process. Raises what the analysis raises."""
    from musetune.analysis.analyze import analyze
    from musetune.analysis.export import exports, save_sheet

    path = Path(job.path)
    check_file(path)
    cache = None if job.cache is None else AnalysisCache(job.cache)
    with _notes() as notes:
        digest = sha256_of(path)
        stored = cache.load(digest, job.options) if cache is not None else None
        cached = stored is not None
        if stored is None:
            beats = None if path.suffix.lower() in SYMBOLS else beats_of(path, job.beats)
            record = analyze(
                path, beats=beats, tempo_hint=job.tempo_hint, conventions=job.genres, numerals=job.numerals
            )
            stored = StoredAnalysis.of(record)
            if cache is not None:
                cache.save(digest, job.options, stored)
        stored = stored.with_file(text_name(path))
        if cached:  # a fresh analysis has said them
            notes.extend(f"{text_name(path)}: {text}" for text in stored.record.get("remarks", ()))
        files, existing = [], []
        for kind in job.outputs:
            for file, write in exports(stored, kind, Path(job.stem or path), sound=path):
                if file.exists() and not job.force:
                    existing.append(str(file))
                    continue
                write()
                files.append(str(file))
        if job.sheet is not None:
            files.append(str(save_sheet(stored, Path(job.sheet))))
    return JobResult(stored, cached, tuple(files), tuple(notes), tuple(existing))


def check_file(path: Path) -> None:
    """Raise FileNotFoundError where there is nothing, ValueError where there is a folder or a device."""
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    if not path.is_file():
        raise ValueError(f"{path} is {'a folder' if path.is_dir() else 'no regular file'}; give one file")


@contextmanager
def _notes() -> Iterator[list[str]]:
    """The package's warnings while it lasts."""
    notes: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: notes.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("musetune")
    logger.addHandler(handler)
    try:
        yield notes
    finally:
        logger.removeHandler(handler)


def main() -> None:
    """The process's side: answers on what was standard output, where nothing else may write from now on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and closes the pipe
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = perform(AnalysisJob(**request | {"outputs": tuple(request["outputs"])}))
            reply = {
                "result": answer.result.pack(),
                "cached": answer.cached,
                "files": answer.files,
                "notes": answer.notes,
                "existing": answer.existing,
            }
        except Exception as error:  # the files after this one go on
            reply = {"error": _nearest(error), "message": _message(error)}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


def _nearest(error: Exception) -> str | None:
    return next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in BUILTIN), None)


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__ if _nearest(error) else f"{type(error).__name__}: {error}"


class AnalysisWorker:
    """The caller's side. The process starts with the first job and again after it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 what the process says beside its answers; for `_cause_of_death`

    def run(self, job: AnalysisJob) -> JobResult:
        """Do `job` there, and wait. Raises what `perform` raises (RuntimeError for a fault of the analyser itself), and
        WorkerDeath."""
        started = time.monotonic()
        try:
            requests, answers = self._pipes()
            watchdog = threading.Timer(PATIENCE_S, self.kill)
            watchdog.start()
            try:
                requests.write(json.dumps(asdict(job)) + "\n")
                requests.flush()
                line = answers.readline()
            finally:
                watchdog.cancel()
        except OSError:  # the pipe broke
            line = ""
        if not line.endswith("\n"):
            raise WorkerDeath(f"{job.path}: {self._cause_of_death(time.monotonic() - started)}")
        reply = json.loads(line)
        if "message" in reply:
            raise BUILTIN.get(reply["error"], RuntimeError)(reply["message"])
        lists = (tuple(reply[name]) for name in ("files", "notes", "existing"))
        return JobResult(StoredAnalysis.unpack(reply["result"]), reply["cached"], *lists)

    def kill(self) -> None:
        """Stop the process in whatever it does: `run`, in its thread, raises WorkerDeath."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """Stop the process for good and wait for its end."""
        self.kill()
        with self._lock:
            if self._process is not None:
                self._bury(self._process)
                self._process = None
            self._errors.close()

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        with self._lock:
            if self._process is None:
                command = [sys.executable, "-P", "-c", PROGRAM]  # -P: no module of the current folder gets in between
                folders = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
                environment = dict.fromkeys(THREADS, "1") | os.environ | {"PYTHONPATH": folders}
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    env=environment,
                    text=True,
                    encoding="utf-8",
                )
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            return self._process.stdin, self._process.stdout

    def _cause_of_death(self, seconds: float) -> str:
        """How the process ended, and its last words."""
        with self._lock:
            process, self._process = self._process, None
        code = None if process is None else self._bury(process)
        how = f"by signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"with exit code {code}"
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace").strip().splitlines()
        self._errors.truncate(0)
        return f"the process that analysed it ended after {seconds:.1f} s {how}" + (f": {words[-1]}" if words else "")

    @staticmethod
    def _bury(process: subprocess.Popen[str]) -> int:
        process.kill()
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # a job that was being written to it
                    pipe.close()
        return code
