"""Pieces whose analysis a musician knows.

What the analyser says of them, from symbols and, for three of them, from sound.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from musetune.analysis.harmonic_analysis import harmonic_analysis
from musetune.analysis.listening.beats import track_beats
from musetune.analysis.listening.features import extract
from musetune.analysis.listening.spectrum import salience
from musetune.analysis.rhythmic_analysis import rhythmic_analysis, rhythmic_analysis_of_layers
from musetune.audio.source import listen
from musetune.symbols import ChordSpan, Key, KeySpan, LeadSheet, Meter
from musetune.theory.numerals import resolve_roman

SON = (0, 0.75, 1.5, 2.5, 3)


def of(chart: str, key: str, time_signature: str = "4/4") -> dict:
    return harmonic_analysis(LeadSheet.parse(chart, key=key, time_signature=time_signature))


def cadences(said: dict) -> list[tuple[str, str, float]]:
    return [(row["type"], row["subtype"], row["at_beat"]) for row in said["cadences"]]


def patterns(said: dict) -> dict[str, int]:
    return {row["name"]: row["occurrences"] for row in said["common_patterns"]}


# -- harmony -----------------------------------------------------------------------------------------------------------


def test_bach_chorale() -> None:
    """Aus meines Herzens Grunde, BWV 269, with Andrew Jones's analysis (music21's corpus), voices from its score."""
    corpus = pytest.importorskip("music21.corpus")
    from musetune.formats.scores import read_score

    analysis = corpus.parse("bach/choraleAnalyses/riemenschneider001.rntxt").flatten()
    score = read_score(corpus.getWork("bach/bwv269"), repeats=False)
    hand = [(Fraction(n.offset), n.figure) for n in analysis.getElementsByClass("RomanNumeral")]
    ends = [start for start, _ in hand[1:]] + [score.length]
    key = Key("G")
    sheet = LeadSheet(
        chords=tuple(ChordSpan(s, e - s, resolve_roman(figure, key)) for (s, figure), e in zip(hand, ends)),
        keys=(KeySpan(Fraction(0), key),),
        meters=score.meters,
        grid=score.grid,
        length=score.length,
        first_downbeat=score.first_downbeat,
    )
    said = harmonic_analysis(sheet, score.voices)
    assert said["roman_numerals"] == [figure.replace("6/5", "65").replace("4/3", "43") for _, figure in hand]
    phrases = {
        10: "half",
        19: "authentic",
        28: "half",
        52: "half",
        61: "authentic",
    }  # the fermatas, but the one on IV at 40
    heard = {row["at_beat"]: row["type"] for row in said["cadences"]}
    assert {at: heard.get(at) for at in phrases} == phrases
    assert cadences(said)[-1] == ("authentic", "perfect", 61)
    leading = said["voice_leading"]
    assert (leading["from"], leading["parallel_fifths"], leading["parallel_octaves"]) == ("voices", 0, 0)
    assert leading["smoothness"] > 0.7


def test_twelve_bar_blues() -> None:
    said = of("| A7 | D7 | A7 | A7 | D7 | D7 | A7 | A7 | E7 | D7 | A7 | A7 |", "A major")
    assert patterns(said) == {"12-bar blues": 1}
    assert said["roman_numerals"][-4:] == ["V7", "IVdom7", "Idom7", "Idom7"]
    assert said["functional_harmony"] == [
        "tonic",
        "subdominant",
        "tonic",
        "tonic",
        "subdominant",
        "subdominant",
        "tonic",
        "tonic",
        "dominant",
        "subdominant",
        "tonic",
        "tonic",
    ]
    assert cadences(said)[-1] == ("plagal", "", 40)


def test_autumn_leaves_like_chain() -> None:
    said = of("| Cm7 | F7 | Bbmaj7 | Ebmaj7 | Am7b5 | D7 | Gm | Gm |", "G minor")
    assert said["roman_numerals"] == ["iv7", "VII7", "IIImaj7", "VImaj7", "iiø7", "V7", "i", "i"]
    assert said["functional_harmony"] == [
        "subdominant",
        "applied_dominant",
        "tonic_substitute",
        "subdominant_substitute",
        "subdominant_substitute",
        "dominant",
        "tonic",
        "tonic",
    ]
    assert patterns(said) == {"ii-V-I": 1, "ii-V-i": 1, "circle of fifths (minor)": 1}
    assert cadences(said) == [("authentic", "perfect", 24)]


def test_andalusian_cadence() -> None:
    said = of("| Am | G | F | E | Am | G | F | E |", "A minor")
    assert said["roman_numerals"][:4] == ["i", "VII", "VI", "V"]
    assert said["functional_harmony"][:4] == ["tonic", "dominant_substitute", "subdominant_substitute", "dominant"]
    assert patterns(said)["i-bVII-bVI-V"] == 2
    assert cadences(said) == [("half", "", 12), ("half", "", 28)]
    assert said["voice_leading"]["parallel_fifths"] > 0  # what the progression is known for


def test_deceptive_cadence() -> None:
    said = of("| C | F | G7 | Am | Dm | C/G G7 | C | C |", "C major")
    assert said["roman_numerals"] == ["I", "IV", "V7", "vi", "ii", "Cad64", "V7", "I", "I"]
    assert said["functional_harmony"][2:7] == [
        "dominant",
        "tonic_substitute",
        "subdominant_substitute",
        "dominant",
        "dominant",
    ]
    assert cadences(said) == [("deceptive", "", 12), ("authentic", "perfect", 24)]


def test_waltz() -> None:
    chart = "| C | C | G7 | G7 | G7 | G7 | C | C | F | F | C | C | D7 | G7 | C | C |"
    said = of(chart, "C major", "3/4")
    assert said["roman_numerals"][12:14] == ["V7/V", "V7"]
    assert ("authentic", "perfect", 42) in cadences(said)
    oompah = {"bass": np.arange(0, 48, 3.0), "chords": np.sort(np.r_[np.arange(1, 48, 3.0), np.arange(2, 48, 3.0)])}
    rhythm = rhythmic_analysis_of_layers(oompah | {"tune": np.arange(48.0)}, Meter(3, 4))
    assert rhythm["metric_hierarchy"] == {"strong_beats": [1], "weights": [1.0, 0.5, 0.5]}
    assert rhythm["polyrhythm"]["present"] is False


# -- rhythm ------------------------------------------------------------------------------------------------------------


def bars(count: int = 8, beats: int = 4, **layers: tuple[float, ...]) -> dict[str, np.ndarray]:
    return {name: (np.arange(count)[:, None] * beats + np.array(onsets)).ravel() for name, onsets in layers.items()}


def test_syncopation_in_order() -> None:
    pieces = {
        "straight": bars(kick=(0, 1, 2, 3), hat=tuple(np.arange(8) / 2)),
        "rock": bars(kick=(0, 2), snare=(1, 3), hat=tuple(np.arange(8) / 2)),
        "son clave": bars(clave=SON),
        "rumba clave": bars(clave=(0, 0.75, 1.75, 2.5, 3)),
        "offbeats": bars(skank=(0.5, 1.5, 2.5, 3.5)),
    }
    said = {name: rhythmic_analysis_of_layers(layers, Meter(4, 4)) for name, layers in pieces.items()}
    values = [row["syncopation_index"] for row in said.values()]
    assert values == sorted(set(values))
    assert values[0] == 0
    assert not any(row["polyrhythm"]["present"] for row in said.values())


def test_hemiola() -> None:
    said = rhythmic_analysis_of_layers(bars(beats=3, left=(0, 1.5), right=(0, 1, 2)), Meter(3, 4))
    assert said["polyrhythm"] == {"present": True, "ratio": "3:2", "strength": 1.0}


# -- the same from sound -----------------------------------------------------------------------------------------------

NOTE = tuple[float, float, int]  # beat, length in beats, pitch


def heard(tracks: dict[int | str, list[NOTE]], bpm: float, meter: Meter | None = None) -> dict:
    """The rhythm of a rendering with a General MIDI soundfont; tracks by program number, "drums" for percussion. With a
    ``meter`` its beats are given, from 0.2 s on, else they are looked for near ``bpm``."""
    pytest.importorskip("tinysoundfont")
    import pretty_midi

    from musetune.audio import synthesize

    midi, beat = pretty_midi.PrettyMIDI(initial_tempo=bpm), 60 / bpm
    for program, notes in tracks.items():
        instrument = pretty_midi.Instrument(0 if program == "drums" else int(program), is_drum=program == "drums")
        for at, length, pitch in notes:
            instrument.notes.append(pretty_midi.Note(100, pitch, 0.2 + at * beat, 0.2 + (at + length) * beat))
        midi.instruments.append(instrument)
    sound = listen(synthesize(midi, 22050), 22050)
    features = extract([sound.wave])
    notes = salience(features.spectrum, features.loudness)
    found = track_beats(features.levels(), notes, tempo_hint=bpm)
    assert found is not None
    if meter is not None:
        times = np.arange(0.2, sound.duration_s - 1, beat)
        found = replace(found, times_s=times, first=0, meter=meter)
    return rhythmic_analysis(found)


def struck(onsets: list[float], pitch: int, length: float = 0.2) -> list[NOTE]:
    return [(float(at), length, pitch) for at in onsets]


def four_four(clave: tuple[float, ...]) -> dict[int | str, list[NOTE]]:
    """Sixteen bars: a clave, a bass and a piano that change chord each bar."""
    roots = [36 + (0, 5, 7, 0)[bar % 4] for bar in range(16)]
    clicks = [4 * bar + at for bar in range(16) for at in clave]
    piano = [(4.0 * bar, 4.0, 24 + roots[bar] + step) for bar in range(16) for step in (0, 4, 7)]
    bass = [(4.0 * bar, 2.0, roots[bar]) for bar in range(16)]
    return {"drums": struck(clicks, 75), 33: bass, 0: piano}


@pytest.mark.slow
def test_son_clave_heard() -> None:
    straight, son = heard(four_four((0, 1, 2, 3)), 100), heard(four_four(SON), 100)
    assert son["syncopation_index"] > straight["syncopation_index"] + 0.05
    assert son["polyrhythm"]["present"] is straight["polyrhythm"]["present"] is False
    assert son["tempo_stability"] > 0.97


def test_three_against_two_heard() -> None:
    low, high = np.arange(0, 64, 0.5).tolist(), np.arange(0, 64, 1 / 3).tolist()
    said = heard({33: struck(low, 36), "drums": struck(high, 42)}, 80, Meter(4, 4))
    assert (said["polyrhythm"]["present"], said["polyrhythm"]["ratio"]) == (True, "3:2")
    assert said["polyrhythm"]["strength"] > 0.5


def test_waltz_heard() -> None:
    roots = [36 + (0, 0, 7, 7, 7, 7, 0, 0)[bar % 8] for bar in range(24)]
    bass = [(3.0 * bar, 1.0, root) for bar, root in enumerate(roots)]
    chords = [
        (3.0 * bar + at, 0.8, 24 + root + step) for bar, root in enumerate(roots) for at in (1, 2) for step in (0, 4, 7)
    ]
    said = heard({"drums": struck([3 * bar for bar in range(24)], 36), 32: bass, 0: chords}, 150, Meter(3, 4))
    assert said["time_signature"] == "3/4"
    assert said["metric_hierarchy"]["strong_beats"] == [1]
    assert said["syncopation_index"] < 0.3
    assert said["polyrhythm"]["present"] is False
