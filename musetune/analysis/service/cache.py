"""Analyses kept on disk, so that the same bytes are heard once: by content, version of the analyser and options."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from musetune.symbols import LeadSheet
from musetune.symbols.estimate import AnalysisResult
from musetune.symbols.json_values import JsonObject

PACKAGE = Path(__file__).parents[2]
ROOMS = ("analysis", "audio", "formats", "symbols", "theory")  # whose files decide what is heard
LIBRARIES = ("numpy", "scipy", "librosa", "soxr", "soundfile", "music21")
LARGEST = 2**26  # bytes of an entry, unpacked; three hours of music are some 3 MB
# what every record has, see ANALYSIS_SCHEMA
RECORD: dict[str, type] = {
    "source": dict,
    "chords": list,
    "harmonic_analysis": dict,
    "rhythmic_analysis": dict,
    "genre_analysis": dict,
}
# what reading a file that something else wrote, or wrote half, can end in
DAMAGE = (
    OSError,
    EOFError,
    zlib.error,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)
FORGET_DAYS = 30  # entries of a version that nobody asked for so long are removed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredAnalysis:
    """A `AnalysisResult` read back: the `record` as `Analysis.to_json` gave it, and the lead sheet."""

    record: JsonObject
    lead_sheet: LeadSheet

    def to_json(self) -> JsonObject:
        """The record."""
        return self.record

    def dumps(self, indent: int | None = 2) -> str:
        """The record as text."""
        return json.dumps(self.record, indent=indent, ensure_ascii=False, allow_nan=False)

    def pack(self) -> JsonObject:
        """As plain values, for `unpack`."""
        return {"record": self.record, "lead_sheet": self.lead_sheet.to_json()}

    @staticmethod
    def unpack(data: JsonObject) -> StoredAnalysis:
        """What `pack` gave. Raises KeyError, TypeError or ValueError for anything else."""
        if not isinstance(data["record"], dict):
            raise TypeError(f"record is a {type(data['record']).__name__}, not an object")
        return StoredAnalysis(data["record"], LeadSheet.from_json(data["lead_sheet"]))

    @staticmethod
    def of(result: AnalysisResult) -> StoredAnalysis:
        """Keep a fresh analysis."""
        return StoredAnalysis(result.to_json(), result.lead_sheet)

    def with_file(self, file: str) -> StoredAnalysis:
        """Return the analysis under another file's name: equal bytes may have many."""
        source = (self.record.get("source") or {}) | {"file": file}
        return StoredAnalysis(self.record | {"source": source}, self.lead_sheet)


@lru_cache(maxsize=1)
def analyser_version() -> str:
    """Twelve hexadecimal digits that change with any file of the analyser, its weights and its libraries' versions."""
    digest = hashlib.sha256()
    for room in ROOMS:
        for path in sorted((PACKAGE / room).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(PACKAGE).as_posix()}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    for name in LIBRARIES:
        digest.update(f"{name} {metadata.version(name)}\0".encode())
    return digest.hexdigest()[:12]


def default_folder() -> Path:
    """$MUSETUNE_CACHE, or `musetune/analysis` in the user's folder for caches (~/.cache on Linux)."""
    import platformdirs

    folder = os.environ.get("MUSETUNE_CACHE")
    return Path(folder) if folder else Path(platformdirs.user_cache_dir("musetune")) / "analysis"


class AnalysisCache:
    """A folder with one file an analysis. Safe with many processes: a file appears whole or not at all."""

    def __init__(self, folder: str | os.PathLike | None = None) -> None:
        self.root = Path(folder) if folder is not None else default_folder()

    def path(self, sha256: str, options: Mapping[str, object]) -> Path:
        """Where the analysis of bytes with this hash under these options lies, or would."""
        question = json.dumps(options, sort_keys=True, allow_nan=False)
        return self.root / analyser_version() / f"{hashlib.sha256(f'{sha256} {question}'.encode()).hexdigest()}.json.gz"

    def load(self, sha256: str, options: Mapping[str, object]) -> StoredAnalysis | None:
        """The analysis, None where there is none or its file is damaged (which is removed)."""
        path = self.path(sha256, options)
        try:
            return _check(StoredAnalysis.unpack(_read(path)))
        except FileNotFoundError:
            return None
        except DAMAGE as error:
            log.warning("%s in the cache is damaged (%s): analysed anew", path.name, error or type(error).__name__)
            _remove(path)
            return None

    def save(self, sha256: str, options: Mapping[str, object], stored: StoredAnalysis) -> None:
        """Keep it. A folder that cannot be written to costs a warning only: the analysis is there all the same."""
        path = self.path(sha256, options)
        try:
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True)
                self._forget()
            os.utime(path.parent)
            _write(path, gzip.compress(json.dumps(stored.pack(), allow_nan=False).encode(), compresslevel=6, mtime=0))
        except OSError as error:
            log.warning("the cache %s cannot be written (%s); --no-cache leaves it alone", self.root, error)

    def _forget(self) -> None:
        """Remove what versions kept that were not used for FORGET_DAYS."""
        oldest = time.time() - FORGET_DAYS * 86400
        for folder in self.root.iterdir():
            if folder.is_dir() and len(folder.name) == 12 and folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)


def _read(path: Path) -> JsonObject:
    """Return what an entry holds. Raises one of DAMAGE for what `save` has not written."""
    if path.exists() and not path.is_file():
        raise ValueError("it is no regular file")
    with gzip.open(path) as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"it holds more than {LARGEST} bytes")
    return json.loads(data)


def _check(stored: StoredAnalysis) -> StoredAnalysis:
    """Return an analysis whose record has what its readers take for granted. Raises one of DAMAGE for another."""
    json.dumps(stored.record, allow_nan=False)  # raises ValueError for numbers that no record holds
    for name, kind in RECORD.items():
        if not isinstance(stored.record[name], kind):
            raise TypeError(f"{name} is a {type(stored.record[name]).__name__}")
    rows, spans = stored.record["chords"], stored.lead_sheet.chords
    if len(rows) != len(spans) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{len(rows)} rows of chords stand beside a lead sheet of {len(spans)}")
    return stored


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s cannot be removed (%s): remove it by hand", path, error.strerror)


def _write(path: Path, data: bytes) -> None:
    """Write beside and rename over: a reader sees the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
