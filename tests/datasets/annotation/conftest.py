"""A small collection with all that one can hold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from small import SR, tones

from musetune.audio import save_audio
from musetune.symbols import LeadSheet


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four songs, one of them twice and one as MIDI, two files that are none, one that is missing; the manifest."""
    folder = tmp_path_factory.mktemp("collection")
    rows = []
    for number, chords in enumerate((["I", "V", "vi", "IV"], ["ii", "V", "I", "I"], ["i", "iv", "V", "i"])):
        key = "A minor" if chords[0] == "i" else f"{'CDE'[number]} major"
        sheet = LeadSheet.from_progression(chords, key=key, bpm=120, duration_seconds=12, genre="pop")
        save_audio(folder / f"song-{number}.flac", tones(sheet, 12), SR)
        rows.append({"file_name": f"song-{number}.flac", "licence": "CC0-1.0"})
    sheet.save(folder / "score.mid")
    shutil.copy(folder / "song-1.flac", folder / "twin.flac")
    (folder / "corrupt.mp3").write_bytes(b"ID3 no music at all" * 50)
    save_audio(folder / "silent.wav", np.zeros(2 * SR, np.float32), SR)
    names = ("score.mid", "twin.flac", "corrupt.mp3", "missing.flac", "silent.wav")
    rows += [{"file_name": name} for name in names]
    (folder / "songs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "songs.jsonl"
