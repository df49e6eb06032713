"""What the analyser hears in the clips and recordings that the genre is learned from and measured on, kept in files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import musetune.analysis
from musetune.analysis import analyze
from musetune.analysis.listening.features import mel_levels
from musetune.analysis.listening.timbre import timbre_features
from musetune.audio import load_audio
from musetune.audio.source import listen
from musetune.datasets.recordings import Recording


def stored_rows(work: Path, part: str) -> list[dict[str, Any]]:
    """Rows of work/PART/metadata.jsonl in the order of their clips' numbers."""
    lines = (work / part / "metadata.jsonl").read_text().splitlines()
    return sorted(map(json.loads, lines), key=lambda row: str(row["file_name"]))


def hear_part(part: str, rows: list[dict[str, Any]], work: Path) -> list[dict[str, Any]]:
    """The rows with what the analyser hears: heard_sheet, rhythm, timbre; None where it hears no music."""
    folder = work / part
    return remember(rows, folder / f"heard-{fingerprint()}.jsonl", lambda name: hear(*load_audio(folder / name), name))


def hear_recordings(recordings: list[Recording], work: Path) -> list[dict[str, Any]]:
    """Rows, as of `hear_part`, of the recordings' excerpts, with `name` and what is stated as `genre`; kept in
    work/recordings-*.jsonl.
    """
    stored, rows = work / f"recordings-{fingerprint()}.jsonl", []
    known = {row["name"]: row for row in map(json.loads, stored.read_text().splitlines())} if stored.is_file() else {}
    with stored.open("a") as file:
        for one in tqdm(recordings, desc="recordings"):
            for name, wave, rate in one.excerpts():
                if name not in known:
                    known[name] = {"name": name, **hear(wave(), rate, name)}
                    file.write(json.dumps(known[name]) + "\n")
                    file.flush()
                rows.append({**known[name], "genre": one.set.genre})
    return rows


def remember(rows: list[dict[str, Any]], stored: Path, find: Callable[[str], dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with what is found of each `file_name`, which is kept in a file."""
    known = (
        {row["file_name"]: row for row in map(json.loads, stored.read_text().splitlines())} if stored.is_file() else {}
    )
    with stored.open("a") as file:
        for row in tqdm(rows, desc=stored.stem, unit="clip"):
            name = row["file_name"]
            if name not in known:
                known[name] = {"file_name": name, **find(name)}
                file.write(json.dumps(known[name]) + "\n")
                file.flush()
    return [{**row, **known[row["file_name"]]} for row in rows]


def hear(wave: np.ndarray, rate: int, name: str) -> dict[str, Any]:
    """The analyser's lead sheet and rhythm, and the timbre of a sound."""
    row: dict[str, Any] = {"heard_sheet": None, "rhythm": {}, "timbre": timbre_of(wave, rate)}
    try:
        record = analyze(wave, rate)
    except ValueError as error:
        print(f"{name}: {error}")
        return row
    return row | {"heard_sheet": record.lead_sheet.to_json(), "rhythm": record.rhythmic_analysis}


def timbre_of(wave: np.ndarray, rate: int) -> list[float]:
    """Values of `TIMBRE_NAMES`."""
    values: list[float] = timbre_features(mel_levels(listen(wave, rate).wave)).round(5).tolist()
    return values


def fingerprint() -> str:
    """Eight letters that change with the analyser's code and weights, the genre's own files left out."""
    room = Path(musetune.analysis.__file__).parent
    files = [path for path in sorted(room.rglob("*")) if path.suffix in (".py", ".npz", ".safetensors")]
    content = [
        path.read_bytes() for path in files if "genre" not in path.relative_to(room).parts
    ]  # training again does not mean hearing again
    return hashlib.sha256(b"".join(content)).hexdigest()[:8]
