"""The transcribers: ADTLib's network against TensorFlow's, and what they hear in clips whose notes are known."""

from __future__ import annotations

import logging
import struct

import numpy as np
import pretty_midi
import pytest

from musetune.audio import synthesize
from musetune.evaluation import adtlib, transcription
from musetune.evaluation.transcription import DRUMS, missing_transcribers, transcribe

SR = 16000
present = pytest.mark.skipif(bool(missing_transcribers()), reason=f"not installed: {', '.join(missing_transcribers())}")
FRAMES = (0, 1, 10, 500, 607, 997, 998, 999)
TENSORFLOW = {  # what ADTLib's graph files give in TensorFlow 2.21 at these frames of `noise`
    "kick": (0.002166, 0.00076287, 0.00056284, 0.00072821, 0.0013281, 0.0011537, 0.0025637, 0.0096069),
    "snare": (0.0036229, 0.001044, 0.00066471, 0.00049331, 0.0002489, 0.0013512, 0.0015707, 0.0047043),
    "metal": (0.041058, 0.025428, 0.025643, 0.049888, 0.021831, 0.032789, 0.047357, 0.074071),
}


@pytest.mark.judge
@present
@pytest.mark.parametrize("instrument", DRUMS)
def test_adtlib_is_what_tensorflow_makes_of_it(instrument: str) -> None:
    noise = (np.random.default_rng(0).random((1000, 1024)) ** 4 * 5).astype(np.float32)
    heard = adtlib.activations(noise, instrument)[list(FRAMES)]
    np.testing.assert_allclose(heard, TENSORFLOW[instrument], rtol=1e-3)


@pytest.mark.judge
@present
def test_a_network_without_such_an_instrument_is_an_error() -> None:
    with pytest.raises(KeyError, match="cowbell"):
        adtlib.weights("cowbell")


def test_a_compressed_checkpoint_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    block, compressed = struct.pack("<II", 0, 1), b"\x01\0\0\0\0"
    footer = bytes((0, 0, 0, len(block))).ljust(40, b"\0") + bytes(8)
    (tmp_path / "net.index").write_bytes(block + compressed + footer)
    (tmp_path / "net.data-00000-of-00001").write_bytes(b"")
    with pytest.raises(ValueError, match="compressed"):
        adtlib.read_checkpoint(tmp_path / "net")


@pytest.fixture(scope="module")
def heard() -> transcription.Transcription:
    """Of a bass, a tune, kick, snare and hats at 120 bpm, 8 s."""
    midi = pretty_midi.PrettyMIDI()
    bass, tune = pretty_midi.Instrument(33), pretty_midi.Instrument(73)
    drums = pretty_midi.Instrument(0, is_drum=True)
    for beat in range(16):
        start = beat / 2
        bass.notes.append(pretty_midi.Note(100, BASS[beat % 4], start, start + 0.45))
        tune.notes.append(pretty_midi.Note(100, TUNE[beat % 4], start, start + 0.45))
        drums.notes.append(pretty_midi.Note(110, 38 if beat % 2 else 36, start, start + 0.1))
        drums.notes.append(pretty_midi.Note(80, 42, start + 0.25, start + 0.35))
    midi.instruments += [bass, tune, drums]
    return transcribe(synthesize(midi, SR, duration_s=8), SR)


BASS, TUNE = (40, 43, 45, 38), (76, 79, 74, 72)


@pytest.mark.judge
@present
def test_notes_are_heard_where_they_are_played(heard: transcription.Transcription) -> None:
    for pitches in (BASS, TUNE):
        played = [(beat / 2, pitches[beat % 4]) for beat in range(16)]
        found = [any(abs(on - s) < 0.05 and p == pitch for on, _, p in heard.notes) for s, pitch in played]
        assert np.mean(found) > 0.7
    assert (heard.notes[:, 1] > heard.notes[:, 0]).all()
    assert (np.diff(heard.notes[:, 0]) >= 0).all()


@pytest.mark.judge
@present
def test_strokes_are_told_apart(heard: transcription.Transcription) -> None:
    asked = {"kick": np.arange(0, 8, 1.0), "snare": np.arange(0.5, 8, 1.0), "metal": np.arange(0.25, 8, 0.5)}
    for name, times_s in asked.items():
        near = [np.abs(heard.drums[name] - time).min() < 0.05 for time in times_s]
        assert np.mean(near) > 0.7, name
    struck = np.arange(0, 8, 0.25)
    assert np.mean([np.abs(heard.strokes - time).min() < 0.05 for time in struck]) > 0.9
    assert abs(np.mean([heard.strokes[np.abs(heard.strokes - time).argmin()] - time for time in struck])) < 0.02


@pytest.mark.judge
@present
def test_silence_has_no_notes_and_no_strokes() -> None:
    nothing = transcribe(np.zeros(3 * SR, np.float32), SR)
    assert len(nothing.notes) == len(nothing.strokes) == sum(map(len, nothing.drums.values())) == 0


@pytest.mark.judge
@present
def test_loudness_of_the_strokes_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    wave = np.zeros(2 * SR, np.float32)
    for start in (4000, 12000, 20000):
        wave[start : start + 2000] += rng.normal(size=2000).astype(np.float32) * np.exp(-np.arange(2000) / 300)
    loud, soft = (transcription.drum_strokes(gain * wave, SR) for gain in (0.2, 0.002))
    assert any(len(times) for times in loud.values())
    for name in DRUMS:
        np.testing.assert_allclose(loud[name], soft[name])


@pytest.mark.judge
@present
def test_importing_basic_pitch_leaves_logging_alone() -> None:
    before = list(logging.root.handlers), logging.root.manager.disable
    transcription._basic_pitch.cache_clear()
    transcription._basic_pitch()
    assert (list(logging.root.handlers), logging.root.manager.disable) == before


@pytest.mark.judge
@present
def test_versions_are_the_installed_ones() -> None:
    assert transcription.transcriber_versions()["basic-pitch"] == "0.4.0"


def test_missing_transcriber_says_how_to_install_it(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setitem(transcription.MODULES, "ADTLib", ("no_such_module",))
    with pytest.raises(ImportError, match=r"not installed: .*ADTLib.*pip install"):
        transcribe(np.zeros(SR, np.float32), SR)


@pytest.mark.judge
@present
def test_stereo_is_refused_by_the_transcribers() -> None:
    with pytest.raises(ValueError, match="mono"):
        transcribe(np.zeros((2, SR), np.float32), SR)
