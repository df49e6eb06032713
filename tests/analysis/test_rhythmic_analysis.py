"""The record's rhythmic analysis, from notes and from onsets heard in three registers."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from musetune.analysis.listening.onsets import FPS
from musetune.analysis.rhythmic_analysis import (
    beat_layers,
    onset_frames,
    rhythmic_analysis,
    rhythmic_analysis_of_layers,
    rhythmic_analysis_of_notes,
    score_layers,
    tempo_stability,
)
from musetune.symbols import BeatGrid, Key, KeySpan, Meter, MeterSpan, Note
from musetune.symbols.score import Score

FIELDS = {
    "syncopation_index",
    "complexity_score",
    "time_signature",
    "metric_hierarchy",
    "polyrhythm",
    "swing_ratio",
    "tempo_stability",
    "onsets_per_second",
}


def beats(layers: dict[str, list[float]], meter: str = "4/4", n_beats: int = 33, bpm: float = 120) -> SimpleNamespace:
    """What the beat tracker would hand over: bells of onset strength in up to three registers."""
    times = 0.5 + np.arange(n_beats) * 60 / bpm
    clock = np.arange(int((times[-1] + 1) * FPS)) / FPS
    bands = np.zeros((len(clock), 3))
    for column, onsets in enumerate(layers.values()):
        for onset in onsets:
            at = np.interp(onset, np.arange(n_beats), times)
            bands[:, column] += np.exp(-(((clock - at) / 0.012) ** 2))
    meter = Meter.parse(meter)
    return SimpleNamespace(
        times_s=times,
        bpm=bpm,
        confidence=1.0,
        meter=meter,
        beats_per_bar=meter.beats_per_bar,
        first=0,
        meter_confidence=1.0,
        strength=bands.sum(axis=1),
        bands=bands,
    )


def every(step: float, start: float = 0.0) -> list[float]:
    return np.arange(start, 32, step).tolist()


def test_onsets_are_heard_where_they_are() -> None:
    found = beats({"kick": every(2), "snare": every(2, 1), "hat": every(0.5)})
    layers = beat_layers(found)  # type: ignore[arg-type]
    assert list(layers) == ["low", "middle", "high"]
    np.testing.assert_allclose(layers["low"], every(2), atol=0.02)
    np.testing.assert_allclose(layers["middle"], every(2, 1), atol=0.02)
    np.testing.assert_allclose(layers["high"], every(0.5), atol=0.02)


def test_faint_bleed_is_no_onset() -> None:
    strength = np.zeros(1000)
    strength[100::100] = 1
    strength[150::100] = 0.2
    assert len(onset_frames(strength)) == 9
    assert len(onset_frames(np.zeros(50))) == 0


def test_a_rock_beat() -> None:
    said = rhythmic_analysis(beats({"kick": every(2), "snare": every(2, 1), "hat": every(0.5)}))  # type: ignore[arg-type]
    assert set(said) >= FIELDS
    assert said["time_signature"] == "4/4"
    assert said["metric_hierarchy"] == {"strong_beats": [1, 3], "weights": [1.0, 0.25, 0.5, 0.25]}
    assert 0 < said["syncopation_index"] < 0.2
    assert said["polyrhythm"] == {"present": False, "ratio": None, "strength": 0.0}
    assert said["swing_ratio"] == pytest.approx(1, abs=0.1)
    assert said["tempo_stability"] == pytest.approx(1)


def test_three_against_two_heard() -> None:
    said = rhythmic_analysis(beats({"low": every(0.5), "high": every(1 / 3)}, bpm=80))  # type: ignore[arg-type]
    assert said["polyrhythm"]["ratio"] == "3:2"
    assert said["polyrhythm"]["strength"] > 0.8


@pytest.mark.parametrize("place", [0.5, 2 / 3])
def test_swing_heard(place: float) -> None:
    ride = sorted(every(1) + every(1, place))
    said = rhythmic_analysis(beats({"bass": every(1), "middle": every(4), "ride": ride}))  # type: ignore[arg-type]
    assert said["swing_ratio"] == pytest.approx(place / (1 - place), rel=0.08)


@pytest.mark.parametrize("signature", ["2/4", "3/4", "6/8", "5/4", "7/8"])
def test_every_meter(signature: str) -> None:
    meter = Meter.parse(signature)
    layers = {"low": every(meter.beats_per_bar), "high": every(1)}
    said = rhythmic_analysis(beats(layers, signature))  # type: ignore[arg-type]
    assert said["time_signature"] == signature
    assert len(said["metric_hierarchy"]["weights"]) == meter.beats_per_bar
    assert said["syncopation_index"] == 0
    assert (said["swing_ratio"] is None) or not meter.compound


def score() -> Score:
    """Eight bars of 4/4, then two of 3/4: a hand, a bass, kick and hi-hat."""
    hand = tuple(
        Note(Fraction(4 * bar) + at, Fraction(1, 4), 72)
        for bar in range(8)
        for at in map(Fraction, (0, "3/4", "3/2", "5/2", 3))
    )
    bass = tuple(Note(Fraction(at), Fraction(1), 40) for at in range(38))
    drums = tuple(Note(Fraction(at, 2), Fraction(1, 4), 42 if at % 4 else 36) for at in range(64))
    return Score(
        voices=(hand, bass),
        names=("hand", "bass"),
        percussion=drums,
        meters=(MeterSpan(Fraction(0), Meter(4, 4)), MeterSpan(Fraction(32), Meter(3, 4))),
        signatures=(KeySpan(Fraction(0), Key("C")),),
        grid=BeatGrid.constant(100, 38),
        length=Fraction(38),
    )


def test_notes_are_told_by_part_and_drum() -> None:
    layers = score_layers(score())
    assert set(layers) == {"hand", "bass", "drums: kick", "drums: cymbals"}
    np.testing.assert_allclose(layers["drums: kick"], np.arange(0, 32, 2))


def test_rhythm_of_notes_is_that_of_the_longest_meter() -> None:
    said = rhythmic_analysis_of_notes(score())
    assert said["time_signature"] == "4/4"
    assert said["syncopation_index"] > 0
    assert said["tempo_stability"] == 1
    assert all(value is not None for name, value in said.items() if name != "swing_ratio")


def test_silence_says_nothing() -> None:
    said = rhythmic_analysis_of_layers({}, Meter(4, 4))
    assert (
        said["syncopation_index"] is said["complexity_score"] is said["swing_ratio"] is said["tempo_stability"] is None
    )
    assert said["onsets_per_second"] is None
    assert said["polyrhythm"]["present"] is False


def test_onsets_a_second_of_all_layers() -> None:
    kick, hat = np.arange(0.0, 16.0), np.arange(0.0, 16.0, 0.5)
    said = rhythmic_analysis_of_layers({"kick": kick, "hat": hat}, Meter(4, 4), beats_s=np.arange(17) * 0.5)
    assert said["onsets_per_second"] == 6.0


def test_tempo_stability() -> None:
    assert tempo_stability(np.arange(20) * 0.5) == pytest.approx(1)
    assert tempo_stability(np.cumsum(np.linspace(0.4, 0.8, 20))) < 0.9  # type: ignore[operator]
    assert tempo_stability(np.arange(3.0)) is None
