"""Named progressions: found in any key, rotation and dress; not found where they are not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetune.symbols import LeadSheet
from musetune.theory.harmony.patterns import PATTERNS, Pattern, find_patterns


def found(chords: list[str] | str, key: str = "C major", beats_per_chord: int = 4) -> dict[str, tuple[float, int, int]]:
    if isinstance(chords, str):
        sheet = LeadSheet.parse(chords, key=key)
    else:
        sheet = LeadSheet.from_progression(chords, key=key, beats_per_chord=beats_per_chord)
    return {f.pattern.name: (f.start_beat, f.occurrences, f.rotation) for f in find_patterns(sheet)}


def test_there_are_enough_and_no_name_twice() -> None:
    names = [pattern.name for pattern in PATTERNS]
    assert len(names) == len(set(names)) >= 48
    assert all(pattern.steps for pattern in PATTERNS)


@pytest.mark.parametrize("pattern", [p for p in PATTERNS if p.kind in ("loop", "phrase", "free")], ids=lambda p: p.name)
@pytest.mark.parametrize("key", ["C major", "Eb minor"])
def test_every_pattern_finds_itself(pattern: Pattern, key: str) -> None:
    from musetune.symbols import Chord, Key

    tonic = Key.parse(key).tonic_pc
    names = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
    steps = [alternatives[0] for alternatives in pattern.steps]
    chords = [
        Chord(names[(tonic + d) % 12], "7" if seventh else {"M": "maj", "m": "min"}[t]) for d, t, seventh in steps
    ]
    sheet = LeadSheet.from_progression(chords * 2, key=key)
    assert pattern.name in {f.pattern.name for f in find_patterns(sheet) if f.rotation == 0}


@given(st.integers(1, 11))
def test_any_key(semitones: int) -> None:
    sheet = LeadSheet.parse("| C | G/B | Am7 | F | C | G | Am | Fmaj7 | Dm7 | G7 | Cmaj7 | C |")
    assert [(f.pattern.name, f.start_beat, f.occurrences) for f in find_patterns(sheet.transpose(semitones))] == [
        ("I-V-vi-IV", 0.0, 2),
        ("ii-V-I", 32.0, 1),
    ]


def test_rotations_of_a_loop() -> None:
    assert found(["C", "G", "Am", "F"] * 3) == {"I-V-vi-IV": (0, 3, 0)}
    assert found(["G", "Am", "F", "C"] * 3) == {"I-V-vi-IV": (0, 3, 1)}
    assert found(["Am", "F", "C", "G"] * 3) == {"vi-IV-I-V": (0, 3, 0)}  # it has a name of its own
    assert found(["F", "C", "G", "Am"]) == {}  # once, rotated: four chords like any
    lead_in = ["F"] * 4 + ["C", "G", "Am", "F"] * 3
    assert found(lead_in) == {"I-V-vi-IV": (16, 3, 0)}  # the loop begins on its four-bar line, not with the F before it


def test_several_chords_a_bar_and_chords_held() -> None:
    assert found("| C G | Am F | C G | Am F |") == {"I-V-vi-IV": (0, 2, 0)}
    assert found("| Csus4 C | G | G7 | Am Am7/G | F |") == {"I-V-vi-IV": (0, 1, 0)}
    assert found("| C | G | N.C. | Am | F |") == {}


def test_twos_and_fives_in_any_key_with_sevenths() -> None:
    autumn = found(["Cm7", "F7", "Bbmaj7", "Ebmaj7", "Am7b5", "D7", "Gm6", "Gm6"] * 2, "G minor")
    assert autumn["ii-V-I"] == (0, 2, 0)
    assert autumn["ii-V-i"] == (16, 2, 0)
    assert autumn["circle of fifths (minor)"] == (0, 2, 0)
    assert "ii-V-I" not in found(["Em", "Am", "D", "G"], "D major")  # IV is no tonic without a seventh that leads to it
    assert found("| Dm7 | Db7 | Cmaj7 | Cmaj7 |")["tritone-substituted ii-V-I"] == (0, 1, 0)
    assert found("| Cmaj7 | Fm7 | Bb7 | Cmaj7 |")["backdoor"] == (4, 1, 0)


def test_coltrane_changes() -> None:
    giant = "| Bmaj7 D7 | Gmaj7 Bb7 | Ebmaj7 | Am7 D7 | Gmaj7 Bb7 | Ebmaj7 F#7 | Bmaj7 | Bmaj7 |"
    assert found(giant, "B major")["Coltrane changes"] == (0, 2, 0)


def test_rhythm_changes() -> None:
    eight = "| Bb Gm7 | Cm7 F7 | Dm7 G7 | Cm7 F7 | Bb Bb7 | Eb Ebm | Bb F7 | Bb |"
    bridge = "| D7 | D7 | G7 | G7 | C7 | C7 | F7 | F7 |"
    names = found(eight + bridge[1:], "Bb major")
    assert names["rhythm changes A"][1] == names["rhythm changes bridge"][1] == 1


@pytest.mark.parametrize(
    ("chords", "name"),
    [
        ("C7 C7 C7 C7 F7 F7 C7 C7 G7 F7 C7 C7", "12-bar blues"),
        ("C7 F7 C7 C7 F7 F7 C7 C7 G7 F7 C7 G7", "12-bar blues"),
        ("C7 C7 C7 C7 F7 F7 C7 C7 G7 G7 C7 C7", "12-bar blues"),
        ("Cmaj7 F7 Cmaj7 Gm7 F7 F#dim7 C7 A7 Dm7 G7 C7 G7", "12-bar blues"),
        ("C G F F C G C G", "8-bar blues"),
    ],
)
def test_blues(chords: str, name: str) -> None:
    bars = chords.split()
    assert found(bars)[name] == (0, 1, 0)
    assert found(bars * 2)[name] == (0, 2, 0)
    assert found([bar for bar in bars for _ in range(2)])[name] == (0, 1, 0)  # counted twice as fast
    other = "8-bar blues" if name == "12-bar blues" else "12-bar blues"
    assert other not in found(bars)


def test_minor_blues_and_grounds() -> None:
    minor = ["Cm7", "Cm7", "Cm7", "Cm7", "Fm7", "Fm7", "Cm7", "Cm7", "Ab7", "G7", "Cm7", "Cm7"]
    assert found(minor, "C minor")["minor blues"] == (0, 1, 0)
    assert found("| Cm | Cm/Bb | Ab | G |", "C minor") == {"lament bass": (0, 1, 0)}
    assert found(["Am", "G", "F", "E"] * 2, "A minor")["i-bVII-bVI-V"] == (0, 2, 0)
    assert found("| Dm | A | Dm | C | F | C | Dm A | Dm |", "D minor")["folia"] == (0, 1, 0)
    assert found(["D", "A", "Bm", "F#m", "G", "D", "G", "A"] * 2, "D major") == {"I-V-vi-iii-IV-I": (0, 2, 0)}


def test_vamps_go_round_four_times() -> None:
    assert found(["C", "Bb"] * 5) == {"Mixolydian vamp": (0, 5, 0)}
    assert found(["Dm7", "G7"] * 4, "D minor") == {"Dorian vamp": (0, 4, 0)}
    assert found(["C", "F"] * 3) == {}


@pytest.mark.parametrize("chords", ["C Dm Em F G Am Bdim", "Cmaj7 Dm7 Em7 Fmaj7 G7 Am7 Bm7b5"])
def test_random_chords_are_not_full_of_patterns(chords: str) -> None:
    """32 chords of a key at random hold less than half an occurrence of all names together, on average over 100
    draws.
    """
    rng = random.Random(1)
    pool, total = chords.split(), 0
    for _ in range(100):
        drawn = [rng.choice(pool)]
        while len(drawn) < 32:
            drawn.append(rng.choice([chord for chord in pool if chord != drawn[-1]]))
        total += sum(row[1] for row in found(drawn).values())
    assert total / 100 < 0.5


def test_a_step_that_is_no_numeral_names_itself() -> None:
    with pytest.raises(ValueError, match=r"pattern 'mine': step 'Q7' is not a numeral"):
        _ = Pattern("mine", "phrase", "I Q7").steps
