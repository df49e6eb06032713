"""Real files with bytes changed, cut and inserted: decoding and parsing either work or raise ValueError, soon."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musetune.audio.source import open_sound
from musetune.symbols import LeadSheet

RATE = 22050
SLOWEST_S = 5.0  # of processor time, for one file


def mutated(good: bytes, rng: np.random.Generator, head: int) -> bytes:
    """A damaged copy: bytes changed in the first `head` or anywhere, the end cut off, or a stretch replaced."""
    bad = bytearray(good)
    kind = rng.integers(4)
    if kind < 2:
        reach = min(len(bad), head) if kind == 0 else len(bad)
        for _ in range(rng.integers(1, 10)):
            bad[rng.integers(reach)] = rng.integers(256)
    elif kind == 2:
        del bad[rng.integers(len(bad)) :]
    else:
        at, size = rng.integers(len(bad)), rng.integers(1, 400)
        bad[at : at + rng.integers(size)] = rng.integers(256, size=size, dtype=np.uint8).tobytes()
    return bytes(bad)


def outcomes(good: bytes, path: Path, rounds: int, read) -> list[float | None]:
    """What `read` gives of so many damaged copies, None where it raises ValueError. Any other error is raised."""
    rng, found = np.random.default_rng(0), []
    for _ in range(rounds):
        path.write_bytes(mutated(good, rng, 64))
        started = time.process_time()
        try:
            found.append(read(path))
        except ValueError:
            found.append(None)
        assert time.process_time() - started < SLOWEST_S, path.read_bytes()[:64]
    return found


def seconds(path: Path) -> float:
    stream = open_sound(path)
    samples = sum(map(len, stream.blocks()))
    assert samples == pytest.approx(stream.source.duration_s * RATE, abs=2)
    return stream.source.duration_s


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_damaged_audio(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"tone.{kind}"
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    soundfile.write(path, np.stack([tone, tone], 1), RATE)
    found = outcomes(path.read_bytes(), path, 150, seconds)
    assert None in found  # the damage was felt
    assert all(length < 3000 for length in found if length is not None)  # a slower rate in the header, no more


@pytest.mark.parametrize(("kind", "rounds"), [("mid", 120), ("json", 120), ("musicxml", 20)])
def test_damaged_sheets(kind: str, rounds: int, tmp_path: Path) -> None:
    path = LeadSheet.parse("| C | G/B . Am7 . | F |", bpm=96).save(tmp_path / f"sheet.{kind}")
    found = outcomes(path.read_bytes(), path, rounds, lambda file: float(LeadSheet.load(file).length))
    assert None in found


@pytest.mark.parametrize("kind", ["wav", "mid", "musicxml", "mxl", "json", "jams"])
def test_noise_under_every_name(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for size in (0, 1, 7, 100, 20000):
        path = tmp_path / f"noise.{kind}"
        path.write_bytes(rng.integers(256, size=size, dtype=np.uint8).tobytes())
        with pytest.raises(ValueError, match=r"noise\."):
            seconds(path) if kind == "wav" else LeadSheet.load(path)
