"""A process that analyses one file after another, so that no decoder can take the caller down and every core can work.

The two sides speak lines of JSON over pipes: a `Job` in, an `Answer` out. Processes and not threads: one that crashes
or is stopped takes nothing with it, and two threads took 15 % more processor time than one for the same four songs
(they wait for Python's lock).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from musetune.analysis.listening.engines import beats_of
from musetune.analysis.numerals.reader import Reader
from musetune.analysis.service.cache import AnalysisCache, StoredAnalysis
from musetune.analysis.service.isolation import isolate
from musetune.analysis.service.process import LineProcess, ProcessDeath, answer_lines, check_answer
from musetune.audio.source import SYMBOLS, sha256_of, text_name
from musetune.symbols.json_values import JsonObject

PATIENCE_S = 7200.0  # a file may take so long; then its process is stopped
PROGRAM = "from musetune.analysis.service.worker import main; main()"


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


class WorkerDeath(ProcessDeath):
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


def main(memory: int | None = None) -> None:
    """The process's side; ``memory`` is what it may take for itself, in bytes."""
    isolate(memory)
    answer_lines(_answer)


def _answer(request: JsonObject) -> JsonObject:
    """The answer to a job, as plain values."""
    outputs = tuple(request["outputs"])  # type: ignore[arg-type]
    answer = perform(AnalysisJob(**request | {"outputs": outputs}))  # type: ignore[arg-type]
    return {
        "result": answer.result.pack(),
        "cached": answer.cached,
        "files": list(answer.files),
        "notes": list(answer.notes),
        "existing": list(answer.existing),
    }


class AnalysisWorker:
    """The caller's side. The process starts with the first job and again after it died.

    Args:
        memory: Bytes that the process may take for itself; a file that needs more fails; None: no limit.
    """

    def __init__(self, memory: int | None = None) -> None:
        program = PROGRAM if memory is None else PROGRAM.replace("main()", f"main({memory})")
        self._process = LineProcess(program, PATIENCE_S)

    def run(self, job: AnalysisJob) -> JobResult:
        """Do `job` there, and wait. Raises what `perform` raises (RuntimeError for a fault of the analyser itself), and
        WorkerDeath."""
        try:
            reply = check_answer(self._process.ask(asdict(job)))
        except ProcessDeath as error:
            raise WorkerDeath(f"{job.path}: {error}") from None
        lists = (tuple(reply[name]) for name in ("files", "notes", "existing"))
        return JobResult(StoredAnalysis.unpack(reply["result"]), reply["cached"], *lists)

    def kill(self) -> None:
        """Stop the process in whatever it does: `run`, in its thread, raises WorkerDeath."""
        self._process.kill()

    def close(self) -> None:
        """Stop the process for good and wait for its end."""
        self._process.close()
