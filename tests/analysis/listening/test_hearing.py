"""Ten-second clips of known tempo, meter, chords and key."""

from __future__ import annotations

import mir_eval
import numpy as np
import pytest
from made_sounds import SR, song

from musetune.analysis import analyze, hear
from musetune.analysis.listening.bars import point
from musetune.analysis.listening.beats import beats_at
from musetune.analysis.listening.features import N_MELS, extract
from musetune.analysis.listening.onsets import n_onsets
from musetune.analysis.listening.spectrum import LOWEST_NOTE, NoteSalience, salience
from musetune.analysis.listening.vocabulary import METERS
from musetune.audio.source import listen


def notes_of(wave: np.ndarray) -> NoteSalience:
    features = extract([listen(wave, SR).wave])
    return salience(features.spectrum, features.loudness)


LOOP = ["C:maj", "G:maj", "A:min", "F:maj"] * 8


def clip(
    labels: list[str], bpm: float, beats_per_chord: int = 4, offset_s: float = 0.0, tuning: float = 0.0
) -> np.ndarray:
    wave = song(labels, bpm, beats_per_chord, offset_s=offset_s, tuning=tuning)
    return wave[: int(10.24 * SR)]


@pytest.mark.parametrize("bpm", [60, 83, 100, 120, 160])
def test_beats_and_strict_tempo(bpm: float) -> None:
    heard = hear(clip(LOOP[:7], bpm, offset_s=0.23), SR)
    assert heard.bpm == pytest.approx(bpm, rel=0.02)
    truth = np.arange(0.23, 10.24, 60 / bpm)
    truth = truth[truth < heard.intervals_s[-1, 1]]
    assert mir_eval.beat.f_measure(truth, heard.beats_s) > 0.9


@pytest.mark.parametrize("bpm", [80, 110])
def test_bar_lines(bpm: float) -> None:
    heard = hear(clip(LOOP[:8], bpm), SR)
    truth = np.arange(0, 10.24, 4 * 60 / bpm)
    assert mir_eval.beat.f_measure(truth, heard.downbeats_s) > 0.85


@pytest.mark.parametrize("bpm", [66, 132, 144])
def test_a_hint_settles_the_octave(bpm: float) -> None:
    """Without one, 132 and 144 in this manner are heard half as fast."""
    heard = hear(clip(LOOP[:7], bpm), SR, tempo_hint=bpm)
    assert heard.bpm == pytest.approx(bpm, rel=0.03)
    assert mir_eval.beat.f_measure(np.arange(0, heard.intervals_s[-1, 1], 60 / bpm), heard.beats_s) > 0.9


@pytest.mark.parametrize("shift", [0, 1, 5, 8])
def test_chords_and_key_in_any_key(shift: int) -> None:
    names = ["C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"]
    labels = [
        f"{names[(names.index(name) + shift) % 12]}:{quality}"
        for name, quality in (label.split(":") for label in LOOP[:5])
    ]
    heard = hear(clip(labels, 118), SR)
    assert heard.labels == labels
    assert mir_eval.key.weighted_score(f"{names[shift]} major", heard.key) == 1
    assert (heard.confidence > 0.3).all()
    assert (heard.confidence <= 1).all()


def test_sevenths() -> None:
    labels = ["D:min7", "G:7", "C:maj7", "A:min7"]
    heard = hear(song(labels, 100), SR)
    durations = np.diff(heard.intervals_s, axis=1)[:, 0]
    share = (
        sum(seconds for label, seconds in zip(heard.labels, durations, strict=True) if label in labels)
        / durations.sum()
    )
    assert share > 0.7


@pytest.mark.parametrize("tuning", [-0.4, 0.3])
def test_tuning(tuning: float) -> None:
    wave = clip(LOOP[:5], 118, tuning=tuning)
    assert notes_of(wave).tuning == pytest.approx(tuning, abs=0.08)
    assert hear(wave, SR).labels == LOOP[:5]


def test_no_chord_under_drums_alone() -> None:
    heard = hear(song(["N", "N", "C:maj", "C:maj"], 120), SR)
    assert heard.labels[-1] == "C:maj"
    assert heard.labels[0] == "N"


def test_salience_finds_the_notes() -> None:
    t = np.arange(SR * 2) / SR
    wave = sum(0.6**k * np.sin(2 * np.pi * 220 * (k + 1) * t) for k in range(8))  # A3
    notes = notes_of(wave)
    assert notes.notes[20].argmax() + LOWEST_NOTE == 57
    assert notes.chroma()[20, 12:].argmax() == 9


@pytest.mark.parametrize(
    ("meter", "beats_a_bar"), [("2/4", 2), ("3/4", 3), ("4/4", 4), ("5/4", 5), ("6/8", 2), ("7/8", 7)]
)
def test_the_bar_pointer_reads_bars_of_any_length(meter: str, beats_a_bar: int) -> None:
    activation = np.tile([0.02, 0.005], (1200, 1))
    beats = np.arange(30, 1180, 47 if meter != "7/8" else 27)
    activation[beats, 0] = 0.9
    activation[beats[1::beats_a_bar]] = 0.9
    opinion = np.where([name == meter for name in METERS], -0.1, -3.0)
    bars = point(activation, opinion, (50, 215))
    assert bars.meter == meter
    inner = bars.beats[(bars.beats > 25) & (bars.beats < beats[-1] + 5)]
    assert len(inner) == len(beats)
    assert np.abs(inner - beats).max() <= 3
    assert np.abs(bars.beats[bars.first] - beats[1::beats_a_bar]).min() <= 3


def test_long_pieces_are_pointed_at_in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    activation = np.tile([0.02, 0.005], (4000, 1))
    beats = np.arange(30, 3980, 47)
    activation[beats, 0] = 0.9
    activation[beats[::4]] = 0.9
    opinion = np.log([0.02, 0.02, 0.9, 0.02, 0.02, 0.02])
    whole = point(activation, opinion, (50, 215))
    monkeypatch.setattr("musetune.analysis.listening.bars.STRETCH", 1500)
    cut = point(activation, opinion, (50, 215))
    assert (cut.meter, cut.first) == (whole.meter, whole.first) == ("4/4", 0)
    near = np.abs(cut.beats[:, None] - beats).min(axis=1)
    assert np.mean(near <= 3) > 0.95
    assert abs(len(cut.beats) - len(beats)) <= 2


def test_the_pointer_overrules_a_slight_opinion() -> None:
    """Bar lines on every third beat are three, though the network leans to four."""
    activation = np.full((2400, 2), 0.02)
    beats = np.arange(30, 2400, 50)
    activation[beats, 0] = 0.9
    activation[beats[::3]] = 0.9
    assert point(activation, np.log([0.05, 0.3, 0.5, 0.05, 0.05, 0.05]), (50, 215)).meter == "3/4"


@pytest.mark.parametrize(
    ("between", "frames", "bpm"),
    [(0.8, 2400, 120), (0.5, 2400, 60), (0.3, 2400, 60), (0.5, 1500, 120), (0.3, 1500, 60)],
)
def test_weak_beats_between_strong_ones_are_their_halves(between: float, frames: int, bpm: int) -> None:
    """Of few beats, 30 here, that alternate moderately each one counts."""
    activation = np.full((frames, 2), 0.02)
    beats = np.arange(30, frames, 50)
    activation[beats, 0] = np.where(np.arange(len(beats)) % 2, between, 0.9)
    activation[beats[::8], 1] = 0.85
    activation[beats[4::8], 1] = 0.5
    found = point(activation, np.log([0.02, 0.02, 0.9, 0.02, 0.02, 0.02]), (50, 215))
    assert found.meter == "4/4"
    assert np.median(np.diff(found.beats)) == pytest.approx(6000 / bpm, abs=1)
    hinted = point(activation, np.log([0.02, 0.02, 0.9, 0.02, 0.02, 0.02]), (90, 150), hinted=True)
    assert np.median(np.diff(hinted.beats)) == pytest.approx(50, abs=1)


@pytest.mark.parametrize(("parts", "meter"), [(3, "6/8"), (2, "2/4")])
def test_how_beats_are_divided_tells_six_eighths_from_two_quarters(parts: int, meter: str) -> None:
    """Neither beats nor the network's opinion differ, only where onsets lie between the beats."""
    activation, strength = np.full((2400, 2), 0.02), np.zeros(2400)
    beats = np.arange(30, 2400, 60)
    activation[beats, 0] = 0.9
    activation[beats[::2]] = 0.9
    strength[np.arange(30, 2400, 60 // parts)] = 3.0
    opinion = np.log([0.4, 0.05, 0.1, 0.025, 0.4, 0.025])
    bars = point(activation, opinion, (50, 215), onsets=(strength, np.zeros((2400, 3))))
    assert bars.meter == meter
    assert bars.confidence > 0.5


@pytest.mark.parametrize(("accents", "meter"), [((0, 3), "6/8"), ((0, 2, 4), "3/4")])
def test_accents_tell_two_threes_from_three_twos(accents: tuple[int, ...], meter: str) -> None:
    """The same six eighths sound in every bar, the network hears the same of all, and only accents differ."""
    activation, strength, bands = np.full((2400, 2), 0.02), np.zeros(2400), np.zeros((2400, 3))
    for eighth in range(6):
        at = np.arange(30 + 20 * eighth, 2400, 120)
        strength[at] = 3.0
        bands[at, :2] = 3.0 if eighth in accents else 0.5
        activation[at, 0] = {0: 0.9, 2: 0.8, 3: 0.2, 4: 0.8}.get(eighth, 0.02)
    activation[30::120] = 0.9
    opinion = np.log([0.05, 0.4, 0.05, 0.05, 0.4, 0.05])
    assert point(activation, opinion, (50, 215), onsets=(strength, bands)).meter == meter


def test_every_second_dotted_quarter_is_a_bar_line_and_no_half_of_a_beat() -> None:
    activation = np.full((2400, 2), 0.02)
    beats = np.arange(30, 2400, 60)
    activation[beats, 0] = np.where(np.arange(len(beats)) % 2, 0.25, 0.9)
    activation[beats[::2], 1] = 0.9
    found = point(activation, np.log([0.02, 0.02, 0.02, 0.02, 0.9, 0.02]), (50, 215))
    assert (found.meter, found.first) == ("6/8", 0)
    assert np.median(np.diff(found.beats)) == pytest.approx(60, abs=1)


@pytest.mark.parametrize(("parts", "meter"), [(3, "6/8"), (2, "2/4")])
def test_known_beats_are_two_dotted_quarters_where_thirds_sound(
    parts: int, meter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opinion = np.log([0.45, 0.05, 0.1, 0.025, 0.35, 0.025])
    levels = np.zeros((2400, N_MELS), np.float32)
    for onset in range(30, 2400, 60 // parts):
        levels[onset : onset + 5] = np.linspace(1.0, 0.2, 5)[:, None]
    activation = np.full((2400, 2), 0.02)
    activation[30::120] = 0.9  # every second beat opens a bar
    monkeypatch.setattr("musetune.analysis.listening.beats._network_output", lambda *_: (activation, opinion))
    track = beats_at(
        np.arange(0.3, 23.9, 0.6), levels, NoteSalience(*[np.zeros((0, 0))] * 2, np.zeros(0), np.zeros(0), 0)
    )
    assert (str(track.meter), track.first) == (meter, 0)
    assert 0.5 < track.meter_confidence < 1


def test_one_loud_click_does_not_hide_the_onsets() -> None:
    strength = np.full(2900, 0.05)
    strength[np.arange(50, 2900, 50)] = 4.0
    strength[1000] = 25.0
    assert n_onsets(strength) == 57
    alone = np.full(2900, 0.05)
    alone[[200, 900, 2000]] = 25.0
    assert n_onsets(alone) == 3


def test_a_waltz_into_the_lead_sheet() -> None:
    sheet = analyze(song(["F:maj", "C:maj", "D:min", "Bb:maj"] * 2, 110, beats_per_chord=3), SR).lead_sheet
    assert str(sheet.meter) == "3/4"
    assert [span.beats for span in sheet.chords[:-1]] == [3] * 7


def test_clicks_have_a_tempo_but_no_chord_and_no_key() -> None:
    wave = np.where(np.arange(SR * 8) % (SR // 2) < 20, 0.5, 0.0)
    record = analyze(wave, SR).to_json()
    assert record["bpm"] == pytest.approx(120, rel=0.02)
    assert record["key"] is None
    assert [row["chord"] for row in record["chords"]] == ["N"]
    assert record["harmonic_analysis"]["roman_numerals"] == []
    assert record["genre_analysis"]["primary_genre"] is None
