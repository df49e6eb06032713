"""Genres: the six tables, a user's table, and reasons that are true of the piece, whatever the piece."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musetune.analysis.genre.classifier import UNSURE, classify, genre_analysis
from musetune.analysis.genre.conventions import Convention, built_in, load_conventions
from musetune.analysis.genre.traits import CHORD_KINDS, FEATURE_NAMES, SOUND_WORDS, features, traits
from musetune.analysis.listening.timbre import TIMBRE_NAMES
from musetune.symbols import GENRES, LeadSheet
from musetune.theory.harmony.patterns import find_patterns

STRAIGHT = {"swing_ratio": 1.0, "syncopation_index": 0.1}
SWUNG = {"swing_ratio": 1.9, "syncopation_index": 0.3, "complexity_score": 0.5, "tempo_stability": 0.98}
BLUES = ["C7"] * 4 + ["F7"] * 2 + ["C7"] * 2 + ["G7", "F7", "C7", "G7"]
TANGO = """
genre: tango
tempo: [110, 125]
progressions: [i-iv-V-i]
chords: {minor: [0.3, 1.0], triads: [0.5, 1.0]}
rhythm: {swing: [0.9, 1.1], syncopation: [0.2, 0.6], metres: [4/4, 2/4]}
"""


def sheet_of(chords: list[str], key: str = "C major", bpm: float = 120, meter: str = "4/4") -> LeadSheet:
    return LeadSheet.from_progression(chords, key=key, bpm=bpm, time_signature=meter)


@pytest.fixture
def tango(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(TANGO)
    return path


def test_the_six_tables_are_those_of_the_lead_sheet() -> None:
    assert tuple(row.genre for row in built_in()) == GENRES
    for row in built_in():
        assert row.tempo
        assert row.progressions
        assert row.chords
        assert row.swing
        assert row.meters
        assert row.sound


@pytest.mark.parametrize("key", ["C major", "Ab major"])
def test_a_shuffled_twelve_bar_blues_is_blues(key: str) -> None:
    sheet = sheet_of(BLUES * 2, bpm=100).transpose(0 if key == "C major" else 8)
    said = genre_analysis(sheet, SWUNG)
    assert said["primary_genre"] == "blues"
    assert "uses 12-bar blues" in said["reasons"]
    assert said["confidence"] == said["scores"]["blues"] > 0.5  # without a sound nothing says that it is none


def test_swung_two_five_ones_are_jazz() -> None:
    chords = ["Dm7", "G7", "Cmaj7", "Cmaj7", "Gm7", "C7", "Fmaj7", "Fmaj7", "Fm7", "Bb7", "Ebmaj7", "A7"] * 2
    said = genre_analysis(sheet_of(chords, bpm=150), SWUNG)
    assert said["primary_genre"] == "jazz"
    assert any(reason.startswith("uses ii-V-I") for reason in said["reasons"])


def test_no_chords_no_genre() -> None:
    said = genre_analysis(sheet_of(["N", "N"]), STRAIGHT, np.zeros(len(TIMBRE_NAMES)))
    assert said == {"primary_genre": None, "confidence": 0.0, "scores": {}, "reasons": ["no chords heard"]}


def test_features_know_what_they_do_not_know() -> None:
    x = features(sheet_of(["C", "F", "G7", "C"]), {"swing_ratio": None}, None)
    assert x.shape == (len(FEATURE_NAMES),)
    assert np.isnan(x[-len(TIMBRE_NAMES) :]).all()
    assert np.isnan(x[FEATURE_NAMES.index("swing")])
    assert x[FEATURE_NAMES.index("triads")] == 0.75
    assert x[FEATURE_NAMES.index("degree 5")] == 0.25
    shares, of_the_six = classify(x)
    assert sum(shares.values()) == pytest.approx(1)
    assert of_the_six == 1


CHORDS = [
    "C",
    "Cmaj7",
    "C7",
    "Dm",
    "Dm7",
    "E7",
    "F",
    "F7",
    "Fm",
    "G",
    "G7",
    "G/B",
    "Am",
    "Am7",
    "Bb",
    "Bdim",
    "Csus4",
    "N",
]
PIECES = st.builds(
    sheet_of,
    st.lists(st.sampled_from(CHORDS), min_size=1, max_size=16).map(lambda chords: ["C", *chords]),
    key=st.sampled_from(["C major", "A minor"]),
    bpm=st.floats(40, 220),
    meter=st.sampled_from(["4/4", "3/4", "6/8"]),
)
RHYTHMS = st.fixed_dictionaries(
    {
        "swing_ratio": st.none() | st.floats(0.8, 2.5).map(lambda value: round(value, 3)),
        "syncopation_index": st.none() | st.floats(0, 1).map(lambda value: round(value, 3)),
    }
)
SOUNDS = st.none() | st.lists(st.floats(0, 4, width=32), min_size=len(TIMBRE_NAMES), max_size=len(TIMBRE_NAMES))


@settings(max_examples=60)
@given(PIECES, RHYTHMS, SOUNDS)
def test_scores_sum_to_one_and_every_reason_is_true(
    sheet: LeadSheet, rhythm: dict[str, Any], sound: list[float] | None
) -> None:
    timbre = None if sound is None else np.array(sound, np.float32)
    said = genre_analysis(sheet, rhythm, timbre)
    assert sum(said["scores"].values()) == pytest.approx(1, abs=1e-9)
    assert set(said["scores"]) == set(GENRES)
    assert said["reasons"]
    for reason in said["reasons"]:
        check_reason(reason, said, sheet, rhythm, timbre)


def share_of(kind: str, sheet: LeadSheet) -> float:
    spans = [span for span in sheet.chords if span.chord.root]
    held = sum(span.beats for span in spans if CHORD_KINDS[kind](span.chord, sheet.key_at(span.start)))
    return float(held / sum(span.beats for span in spans))


def check_reason(
    reason: str, said: dict[str, Any], sheet: LeadSheet, rhythm: dict[str, Any], timbre: np.ndarray | None
) -> None:
    """The claim against the piece itself; an unknown wording fails."""
    row = next((row for row in built_in() if row.genre == said["primary_genre"]), None)
    number = r"(-?[\d.]+)"
    if match := re.fullmatch(rf"{number} bpm lies in (\w+)'s {number}–{number}", reason):
        assert row.tempo == (float(match[3]), float(match[4]))
        assert row.tempo[0] <= sheet.bpm <= row.tempo[1]
        assert float(match[1]) == round(sheet.bpm)
    elif match := re.fullmatch(rf"(swing ratio|syncopation) {number} lies in (\w+)'s {number}–{number}", reason):
        name = {"swing ratio": "swing_ratio", "syncopation": "syncopation_index"}[match[1]]
        assert rhythm[name] == float(match[2])
        assert float(match[4]) <= rhythm[name] <= float(match[5])
    elif match := re.fullmatch(rf"([\w -]+): {number}% of the chords' time, in (\w+)'s {number}%–{number}%", reason):
        share = share_of(match[1], sheet)
        assert 100 * share == pytest.approx(float(match[2]), abs=0.5)
        assert float(match[4]) <= 100 * share + 1e-6
        assert 100 * share <= float(match[5]) + 1e-6
    elif reason.startswith("uses "):
        assert reason[5:] in row.progressions
        assert reason[5:] in {found.pattern.name for found in find_patterns(sheet)}
    elif match := re.fullmatch(rf"([\w ]+): ([\w ]+) {number} lies in {number}–{number}", reason):
        measure, low, high = SOUND_WORDS[match[1]]
        assert timbre is not None
        value = float(timbre[TIMBRE_NAMES.index(measure)])
        assert (measure, low, high) == (match[2], float(match[4]), float(match[5]))
        assert low <= value <= high
        assert value == pytest.approx(float(match[3]), abs=0.006)
    elif match := re.fullmatch(r"(\d+/\d+) is usual in (\w+)", reason):
        assert match[1] == str(sheet.meter)
        assert match[1] in row.meters
    elif match := re.fullmatch(rf"its (\w+) speaks for (\w+): {number} by the classifier, {number} without it", reason):
        assert classify(features(sheet, rhythm, timbre))[0][match[2]] == pytest.approx(float(match[3]), abs=0.006)
        assert float(match[4]) < float(match[3])
        assert match[1] != "sound" or timbre is not None
    elif match := re.fullmatch(r"(\w+) and (\w+) fit equally well \(([\d.]+), ([\d.]+)\)", reason):
        assert said["primary_genre"] == UNSURE
        assert said["confidence"] == 0
        assert abs(said["scores"][match[1]] - said["scores"][match[2]]) < 0.0101
    elif match := re.fullmatch(
        rf"(\w+) is likeliest, but right with a probability of {number} only, below {number}", reason
    ):
        assert said["primary_genre"] == UNSURE
        assert max(said["scores"], key=said["scores"].get) == match[1]
        assert said["confidence"] == pytest.approx(float(match[2]), abs=0.006)
        assert said["confidence"] < float(match[3]) + 0.006
    else:
        assert reason == f"nearest to {said['primary_genre']} as a whole; none of its written conventions is kept"
        assert not any(check.kept for check in row.checks(traits(sheet, rhythm, timbre)))


def test_a_users_genre_is_scored_by_its_conventions(tango: Path) -> None:
    piece = sheet_of(["Am", "Dm", "E7", "Am"] * 4, "A minor", 118)
    rhythm = {"swing_ratio": 1.0, "syncopation_index": 0.4}
    before, said = genre_analysis(piece, rhythm), genre_analysis(piece, rhythm, conventions=tango)
    assert said["primary_genre"] == "tango"
    assert "uses i-iv-V-i" in said["reasons"]
    assert "swing ratio 1.0 lies in tango's 0.9–1.1" in said["reasons"]
    assert sum(said["scores"].values()) == pytest.approx(1)
    for genre in GENRES:  # what tango leaves is divided as before
        assert said["scores"][genre] == pytest.approx(before["scores"][genre] * (1 - said["scores"]["tango"]), abs=2e-3)


def test_a_users_genre_does_not_take_what_is_not_its_own(tango: Path) -> None:
    said = genre_analysis(sheet_of(BLUES * 2, bpm=80), SWUNG, conventions=tango)
    assert said["primary_genre"] == "blues"
    assert said["scores"]["tango"] < 0.05


def test_a_loose_table_wins_little(tmp_path: Path) -> None:
    path = tmp_path / "loose.yaml"
    path.write_text("genre: anything\ntempo: [30, 300]\n")
    said = genre_analysis(sheet_of(BLUES * 2, bpm=100), SWUNG, conventions=path)
    assert said["primary_genre"] == "blues"


def test_a_users_row_replaces_a_built_in_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("genre: blues\ntempo: [200, 220]\n---\ngenre: boogie\nprogressions: [12-bar blues]\n")
    said = genre_analysis(sheet_of(BLUES * 2, bpm=210), STRAIGHT, conventions=path)
    assert set(said["scores"]) == {*GENRES, "boogie"}
    if said["primary_genre"] == "blues":
        assert "210 bpm lies in blues's 200–220" in said["reasons"]
    slow = genre_analysis(sheet_of(BLUES * 2, bpm=90), STRAIGHT, conventions=path)
    assert slow["scores"]["blues"] < said["scores"]["blues"]


def test_points_count_what_is_kept_against_what_is_broken(tango: Path) -> None:
    (row,) = load_conventions(tango)
    assert row == Convention(
        "tango",
        (110, 125),
        ("i-iv-V-i",),
        (("minor", (0.3, 1.0)), ("triads", (0.5, 1.0))),
        (0.9, 1.1),
        (0.2, 0.6),
        ("4/4", "2/4"),
        (),
    )


BAD = {
    "genre: tango\ntempo: [125, 110]": ("tempo=[125, 110]", "30–300", "write [110, 125]"),
    "genre: tango\ntempo: 120": ("tempo=120", "two numbers", "tempo: [30, 300]"),
    "genre: tango\ntempo: [5, 100]": ("tempo=[5, 100]", "30–300", "move it inside"),
    "genre: tango\nprogressions: [i-iv-V]": ("i-iv-V", "12-bar blues", "did you mean 'i-iv-V-i'"),
    "genre: tango\nprogressions: ii-V-I": ("progressions='ii-V-I'", "list of words"),
    "genre: tango\nchords: {four note: [0, 1]}": ("four note", "dominant sevenths", "did you mean 'four notes'"),
    "genre: tango\nchords: {four notes: [0, 50]}": ("four notes=[0, 50]", "0–1"),
    "genre: tango\nrhythm: {metres: [4/5]}": ("4/5", "did you mean"),
    "genre: tango\nrhythm: {metre: [4/4]}": ("metre", "swing, syncopation, metres", "did you mean 'metres'"),
    "genre: tango\nrhythm: [0.9, 1.1]": ("rhythm=[0.9, 1.1]", "mapping"),
    "genre: tango\nsound: [loud]": ("loud", "drums"),
    "genre: tango\ntempi: [100, 120]": ("tempi", "did you mean 'tempo'"),
    "tempo: [100, 120]": ("genre=None", "genre: bossa nova"),
    "genre: tango": ("no conventions", "tempo, progressions"),
    "- tango": ("['tango']", "mapping"),
    "": ("empty", "genre: NAME"),
    "genre: [": ("not YAML",),
    "genre: a\ntempo: [90, 99]\n---\ngenre: a\ntempo: [90, 99]": ("two genres", "'a'"),
}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_table_says_what_where_and_how(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError) as caught:
        genre_analysis(sheet_of(["C", "F"]), STRAIGHT, conventions=path)
    message = str(caught.value)
    assert "\n" not in message
    for part in ("bad.yaml", *BAD[text]):
        assert part in message


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.yaml; give a YAML file"):
        load_conventions(tmp_path / "none.yaml")
