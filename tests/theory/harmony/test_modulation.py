"""Key areas of chord symbols: home keys, modulations with their pivots, and no fluttering."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetune.symbols import Chord, Key, LeadSheet
from musetune.symbols.spans import ChordSpan
from musetune.theory.harmony.modulation import local_keys, modulations

C, G = Key("C"), Key("G")
POP = "| C | G | Am | F | " * 4
TO_G = "| C | F | G7 | C | Dm | G7 | C | Am | D7 | G | C | D7 | G | Em | Am | D7 | G | C | D7 | G |"


def keys_of(text: str, **options: object) -> list[Key]:
    return [span.key for span in local_keys(LeadSheet.parse(text, key="C major").chords, **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (POP, "C major"),
        ("| Am | F | C | G | Am | F | E7 | Am | " * 2, "A minor"),
        ("| Dm7 | G7 | Cmaj7 | A7 | Dm7 | G7 | Cmaj7 | C7 | F | Fm | C/G | A7 | D7 | G7 | C | C |", "C major"),
        ("| Am | G | F | E7 | " * 3 + "| Am |", "A minor"),
        ("| C7 | C7 | C7 | C7 | F7 | F7 | C7 | C7 | G7 | F7 | C7 | C7 |", "C major"),
        ("| Cm7 | F7 | Bbmaj7 | Ebmaj7 | Am7b5 | D7 | Gm | Gm | " * 2, "G minor"),
    ],
)
def test_a_song_keeps_its_key(text: str, key: str) -> None:
    assert keys_of(text) == [Key.parse(key)]


def test_a_modulation_and_its_pivot() -> None:
    sheet = LeadSheet.parse(TO_G, key="C major")
    sheet = replace(sheet, keys=local_keys(sheet.chords))
    assert [span.key for span in sheet.keys] == [C, G]
    (change,) = modulations(sheet)
    assert (change.from_key, change.to_key) == (C, G)
    assert change.pivot in {("vi", "ii"), ("I", "IV")}
    assert 24 <= change.at_beat <= 32


def test_a_lift_by_a_semitone_has_no_pivot() -> None:
    sheet = LeadSheet.parse("| C | F | G7 | C |" * 2 + "| Db | Gb | Ab7 | Db |" * 2, key="C major")
    sheet = replace(sheet, keys=local_keys(sheet.chords))
    (change,) = modulations(sheet)
    assert (change.at_beat, change.to_key, change.pivot) == (32, Key("Db"), None)


def test_the_prior_decides_between_relatives_and_spells() -> None:
    loop = LeadSheet.parse("| Am | F | C | G |" * 3, key="C major").chords
    assert local_keys(loop, prior=C)[0].key == C
    assert local_keys(loop, prior=Key("A", "minor"))[0].key == Key("A", "minor")
    sharp = LeadSheet.parse("| Gb | Cb | Db7 | Gb |" * 2, key="Gb major").chords
    assert local_keys(sharp, prior=Key("F#"))[0].key == Key("F#")


def test_no_chords_give_the_prior_or_c_major() -> None:
    assert [s.key for s in local_keys(())] == [C]
    assert [s.key for s in local_keys((), prior=G)] == [G]


@pytest.mark.parametrize("options", [{"min_beats": -1}, {"change": -0.5}])
def test_negative_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must be 0 or more"):
        local_keys((), **options)  # type: ignore[arg-type]


@given(
    st.lists(
        st.tuples(st.integers(0, 11), st.sampled_from(["maj", "min", "7", "min7", "dim"])), min_size=1, max_size=40
    )
)
def test_areas_are_long_in_order_and_begin_at_0(chords: list[tuple[int, str]]) -> None:
    names = Key("C")
    spans = [ChordSpan(4 * i, 4, Chord(names.name_of(pc), quality)) for i, (pc, quality) in enumerate(chords)]  # type: ignore[arg-type]
    areas = local_keys(spans)
    edges = [area.start for area in areas] + [4 * len(chords)]
    assert edges[0] == 0
    assert len(areas) == 1 or min(b - a for a, b in pairwise(edges)) >= 16


@pytest.mark.parametrize("semitones", range(1, 12))
def test_keys_move_with_the_chords(semitones: int) -> None:
    sheet = LeadSheet.parse(TO_G, key="C major")
    plain = [(s.start, (s.key.tonic_pc + semitones) % 12) for s in local_keys(sheet.chords)]
    assert [(s.start, s.key.tonic_pc) for s in local_keys(sheet.transpose(semitones).chords)] == plain


def song_of(folder: Path) -> tuple[list[ChordSpan], Key]:
    """The chords of a song of POP909, at half beats, and the key that it is labelled with first."""
    beats = np.loadtxt(folder / "beats.txt", ndmin=2)[:, 0]
    rows = [line.split() for line in (folder / "chords.txt").read_text().splitlines()]
    halves = np.rint(np.interp([[float(a), float(b)] for a, b, _ in rows], beats, np.arange(len(beats))) * 2)
    places = [(Fraction(int(a), 2), Fraction(int(b), 2)) for a, b in halves]
    spans = [ChordSpan(a, b - a, Chord.parse(row[2])) for (a, b), row in zip(places, rows) if b > a]
    return spans, Key.parse((folder / "key.txt").read_text().split()[2])


@pytest.mark.shared
def test_the_keys_of_pop_songs(shared: Path) -> None:
    """Of 60 songs labelled with one key, at least 51 open in it and at most 6 change it.

    90.5 % and 3.6 % of 200 songs did.
    """
    folders = [f.parent for f in sorted(shared.glob("data/pop909/*/key.txt")) if len(f.read_text().splitlines()) == 1]
    found = [(local_keys(spans), key) for spans, key in map(song_of, folders[::10][:60])]
    assert len(found) == 60
    assert sum((areas[0].key.tonic_pc, areas[0].key.mode) == (key.tonic_pc, key.mode) for areas, key in found) >= 51
    assert sum(len(areas) > 1 for areas, _ in found) <= 6
