"""The judges on clips whose music is known."""

from __future__ import annotations

import collections

import numpy as np
import pytest
from clips import play

from musetune.audio import synthesize
from musetune.evaluation import adherence, judge, judges, load_test_sheets, missing_judges
from musetune.evaluation.adherence import f_measure
from musetune.planning.rules.orchestrate import orchestrate
from musetune.symbols import LeadSheet

present = pytest.mark.skipif(bool(missing_judges()), reason=f"not installed: {', '.join(missing_judges())}")


@pytest.mark.slow
@present
@pytest.mark.judge
def test_judges_recognise_a_plain_clip() -> None:
    sheet = LeadSheet.from_progression(["C", "G", "D", "F"], key="C major", bpm=120, duration_seconds=10.24)
    scores = adherence(sheet, judge(play(sheet), 16000, tempo_hint=120))
    assert scores["majmin"] > 0.85
    assert scores["beat_f"] > 0.9
    assert scores["tempo_acc1"] == 1.0
    assert scores["key"] == 1.0
    wrong = LeadSheet.from_progression(["Eb", "Ab", "Bbm", "Gb"], key="Eb minor", bpm=97, duration_seconds=10.24)
    assert adherence(wrong, judge(play(sheet), 16000))["majmin"] < 0.1


@present
@pytest.mark.judge
def test_tempo_hint_settles_the_octave() -> None:
    sheet = LeadSheet.from_progression(["C", "F"], key="C major", bpm=66, duration_seconds=10.24)
    (beats, downbeats), _ = judges.madmom_beats(play(sheet), 16000, tempo_hints=(66, None))
    assert judges.tempo_of(beats) == pytest.approx(66, rel=0.04)
    assert set(downbeats) <= set(beats)


@present
@pytest.mark.judge
def test_six_eight_is_heard_in_dotted_quarters_once_told() -> None:
    test = next(test for test in load_test_sheets() if str(test.sheet.meter) == "6/8")
    midi = orchestrate(test.sheet, seed=test.seed).arrangement.to_pretty_midi()
    wave = synthesize(midi, 16000, duration_s=test.sheet.duration_s)
    (beats, _), (among_three_or_four, _) = judges.madmom_beats(wave, 16000, tempo_hints=(test.sheet, test.sheet.bpm))
    assert f_measure(test.sheet.beats_s, beats) > 0.9 > f_measure(test.sheet.beats_s, among_three_or_four)


@pytest.mark.parametrize(("meter", "bars"), [("4/4", [3, 4]), ("2/4", [3, 4]), ("6/8", [2]), ("9/8", [3])])
def test_only_compound_meters_are_told(meter: str, bars: list[int]) -> None:
    assert judges.bars_of(LeadSheet.from_progression(["C"], time_signature=meter)) == bars


@present
@pytest.mark.judge
def test_silence_has_no_beats_and_no_chord() -> None:
    heard = judge(np.zeros(16000 * 3, np.float32), 16000)
    assert len(heard.beats_s) == 0
    assert heard.bpm is None
    assert set(heard.labels) == {"N"}


@present
@pytest.mark.judge
def test_old_names_are_gone_after_madmom_ran() -> None:
    judges.madmom_beats(np.zeros(44100, np.float32), 44100)
    assert "float" not in vars(np)
    assert not hasattr(collections, "MutableSequence")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Bbm7/Ab", "Bb:min7/b7"),
        ("F#m7b5", "F#:hdim7"),
        ("C", "C:maj"),
        ("N", "N"),
        ("E/G#", "E:maj/3"),
        ("Dmaj7", "D:maj7"),
    ],
)
def test_names_of_chordino_become_harte(name: str, label: str) -> None:
    assert judges.harte(name) == label


def test_unknown_chord_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="m7b5"):
        judges.harte("Cm13")


def test_missing_judge_says_how_to_install_it(monkeypatch) -> None:
    monkeypatch.setitem(judges.MODULES, "madmom", "no_such_module")
    with pytest.raises(ImportError, match="pip install --no-build-isolation"):
        judges.judge(np.zeros(16000, np.float32), 16000)


def test_stereo_is_refused() -> None:
    with pytest.raises(ValueError, match="mono"):
        judges.chordino(np.zeros((2, 16000), np.float32), 16000)
