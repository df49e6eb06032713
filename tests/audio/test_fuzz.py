"""Damaged and lying audio files: they are read as far as they go or refused with ValueError, soon."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from musetune.audio import load_audio
from tests.helpers.fuzz import fuzz

RATE = 16000
SLOWEST_S = 3.0
KINDS = ("wav", "flac", "ogg", "mp3")


def small_file(kind: str) -> bytes:
    """A second of a tone with noise."""
    rng = np.random.default_rng(0)
    wave = 0.2 * np.sin(np.arange(RATE) / 6) + 0.05 * rng.standard_normal(RATE)
    file = io.BytesIO()
    soundfile.write(file, wave, RATE, format=kind.upper())
    return file.getvalue()


GOOD = {kind: small_file(kind) for kind in KINDS}


def read(data: bytes, kind: str, folder: Path) -> np.ndarray | None:
    """The samples, or None where a ValueError with the file's name says that there are none."""
    path = folder / f"tone.{kind}"
    path.write_bytes(data)
    started = time.process_time()
    try:
        return load_audio(path)[0]
    except ValueError as error:
        message = str(error)
    finally:
        assert time.process_time() - started < SLOWEST_S
    assert path.name in message
    return None


@pytest.fixture(autouse=True)
def without_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)


@fuzz
@given(st.sampled_from(KINDS), st.data())
def test_mutated_files(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    bad = bytearray(GOOD[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(bad) - 1) | st.integers(0, min(64, len(bad) - 1)))
        how = data.draw(st.sampled_from(("set", "cut", "insert", "double")))
        if how == "set":
            bad[at] = data.draw(st.sampled_from((0, 1, 127, 128, 255)) | st.integers(0, 255))
        elif how == "cut":
            del bad[at : at + data.draw(st.integers(1, 64))]
        elif how == "insert":
            bad[at:at] = data.draw(st.binary(min_size=1, max_size=64))
        else:
            bad[at:at] = bad[at : at + 256]
        if not bad:
            bad = bytearray(b"\0")
    wave = read(bytes(bad), kind, tmp_path)
    assert wave is None or len(wave) < 100 * RATE


@fuzz
@given(st.sampled_from((*KINDS, "aiff", "m4a", "xyz")), st.binary(max_size=2000))
def test_any_bytes_under_any_name(tmp_path: Path, kind: str, data: bytes) -> None:
    wave = read(data, kind, tmp_path)
    assert wave is None or len(wave) <= 1000 * max(1, len(data))


@pytest.mark.parametrize("kind", KINDS)
def test_every_truncation(kind: str, tmp_path: Path) -> None:
    good = GOOD[kind]
    lengths = [
        wave.size
        for cut in range(0, len(good), max(1, len(good) // 60))
        if (wave := read(good[:cut], kind, tmp_path)) is not None
    ]
    assert lengths
    assert max(lengths) <= 1.2 * RATE


def test_days_of_silence_in_a_small_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("musetune.audio.decode.MAX_HOURS", 1 / 360)
    path = tmp_path / "silence.flac"
    soundfile.write(path, np.zeros(60 * RATE), RATE)
    with pytest.raises(ValueError, match=r"silence\.flac lasts more than .* h: cut it"):
        load_audio(path)
