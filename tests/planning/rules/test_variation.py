"""Repeated sections are ornamented: chords, bar lines and first sections stay."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from musetune.planning.rules.band import band_bars, play
from musetune.planning.rules.variation import vary_repeats
from musetune.symbols import BeatGrid, LeadSheet, Section
from musetune.symbols.arrangement import StemNote

GROOVES = {"drums": "pop_backbeat", "bass": "root_eighths", "keys": "comping", "lead": "phrases"}


def song() -> LeadSheet:
    a = "[A] | C | Am | F G | G | C | Am | F | G |"
    return LeadSheet.parse(f"{a}\n{a}\n[B] | F | G | Em | Am |\n{a}", key="C major", bpm=110)


def varied(sheet: LeadSheet, seed: int = 0) -> tuple[dict, dict]:
    parts = play(sheet, GROOVES, seed=3)
    return parts, vary_repeats(sheet, band_bars(sheet), parts, GROOVES, seed)


def within(notes: tuple[StemNote, ...], first: int, last: int) -> list[StemNote]:
    return [note for note in notes if 4 * first <= note.start < 4 * last - 1e-6]


def test_first_sections_stay_and_repeats_are_ornamented() -> None:
    sheet = song()
    assert [section.label for section in sheet.sections] == ["A", "A", "B", "A"]
    parts, other = varied(sheet)
    for player in GROOVES:
        assert within(other[player], 0, 8) == within(parts[player], 0, 8)
        assert within(other[player], 16, 20) == within(parts[player], 16, 20)
        assert within(other[player], 8, 16) != within(parts[player], 8, 16), player
    second = [(n.start - 32, n.pitch) for n in within(other["lead"], 8, 16)]
    fourth = [(n.start - 80, n.pitch) for n in within(other["lead"], 20, 28)]
    assert second != fourth


def test_what_begins_on_a_bar_line_and_the_last_bar_stay() -> None:
    parts, other = varied(song())
    for player in ("bass", "lead"):
        downbeats = {note.start for note in parts[player] if note.start % 4 == 0}
        assert downbeats <= {note.start for note in other[player]}
    assert within(other["keys"], 27, 28) == within(parts["keys"], 27, 28)


def test_keys_keep_their_chords() -> None:
    sheet = song()
    _, other = varied(sheet)
    for note in other["keys"]:
        chord = sheet.chord_at(Fraction(note.start).limit_denominator(48))
        assert chord is not None
        assert note.pitch % 12 in chord.pitch_classes
    parts, _ = varied(sheet)
    changes = {float(span.start) for span in sheet.chords}
    assert {n.start for n in parts["keys"]} & changes == {n.start for n in other["keys"]} & changes


def test_equal_seeds_give_equal_variations() -> None:
    assert varied(song(), 4)[1] == varied(song(), 4)[1]
    assert varied(song(), 4)[1] != varied(song(), 5)[1]


@pytest.mark.parametrize("label", ["", "A"])
def test_a_song_of_one_section_stays(label: str) -> None:
    sheet = LeadSheet.parse("| C | Am | F | G |", bpm=100)
    if label:
        sheet = replace(sheet, sections=(Section(Fraction(0), sheet.length, label),))
    assert isinstance(sheet.grid, BeatGrid)
    parts, other = varied(sheet)
    assert {player: tuple(sorted(notes, key=lambda n: (n.start, n.pitch))) for player, notes in parts.items()} == other


@pytest.mark.parametrize(("genre", "least", "most"), [("pop", 0.08, 0.4), ("jazz", 0.0, 0.05)])
def test_pop_leads_rest_in_some_bars_and_jazz_leads_in_few(genre: str, least: float, most: float) -> None:
    sheet = replace(song(), genre=genre)
    silent = []
    for seed in range(12):
        starts = {int(note.start // 4) for note in play(sheet, {"lead": "phrases"}, seed=seed)["lead"]}
        silent.append(1 - len(starts) / 28)
    assert least <= sum(silent) / len(silent) <= most
