"""Parts that know nothing of purposes follow them: order of notes a bar, loudness and register."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from musetune.planning.arranger.style_band import follow_purposes
from musetune.symbols import LeadSheet, Section, SectionPurpose
from musetune.symbols.arrangement import Stem, StemNote

SOFT, PLAIN, LOUD = SectionPurpose(-0.4, -0.5, -0.3), SectionPurpose(), SectionPurpose(0.5, 0.4, 0.3)


def song(*purposes: SectionPurpose | None) -> LeadSheet:
    sheet = LeadSheet.parse("| C | Am | F | G |" * len(purposes), key="C major", bpm=100)
    sections = (Section(Fraction(16 * i), Fraction(16), "ABCDE"[i], p) for i, p in enumerate(purposes))
    return replace(sheet, sections=tuple(sections))


def stems(sheet: LeadSheet) -> dict[str, Stem]:
    """Every section alike: halves of a bass, of chords and of a lead, and a drummer's backbeat."""
    halves = range(0, int(sheet.length), 2)
    chord = {start: sheet.chord_at(Fraction(start)).pitch_classes for start in halves}
    drums = [StemNote(start + at, 0.25, pitch, 90) for start in halves for at, pitch in ((0, 36), (1, 38), (1, 42))]
    return {
        "drums": Stem(0, tuple(drums), is_drum=True),
        "bass": Stem(33, tuple(StemNote(s, 2, 36 + chord[s][0], 90) for s in halves)),
        "keys": Stem(0, tuple(StemNote(s, 2, 60 + pc, 80) for s in halves for pc in sorted(chord[s]))),
        "lead": Stem(73, tuple(StemNote(s + at, 1, 72 + chord[s][0], 90) for s in halves for at in (0, 1))),
    }


def section(stem: Stem, index: int) -> list[StemNote]:
    return [note for note in stem.notes if 16 * index <= note.start < 16 * (index + 1)]


@pytest.mark.parametrize("player", ["drums", "bass", "keys", "lead"])
def test_notes_a_bar_and_loudness_are_in_the_order_of_the_purposes(player: str) -> None:
    sheet = song(PLAIN, LOUD, SOFT)
    made = follow_purposes(sheet, stems(sheet))[player]
    plain, loud, soft = (section(made, index) for index in range(3))
    assert len(soft) < len(plain) < len(loud)
    assert max(n.velocity for n in soft) < max(n.velocity for n in plain) < max(n.velocity for n in loud)
    assert all(note.start + note.beats <= 16 * (1 + note.start // 16) for note in made.notes)


def test_chords_turn_upwards_and_keep_their_tones() -> None:
    sheet = song(PLAIN, LOUD, SOFT)
    made = follow_purposes(sheet, stems(sheet))["keys"]
    plain, loud, soft = (sum(n.pitch for n in section(made, i)) / len(section(made, i)) for i in range(3))
    assert soft < plain < loud
    for note in made.notes:
        assert note.pitch % 12 in sheet.chord_at(note.start).pitch_classes


def test_a_lead_that_lies_too_low_goes_up_an_octave() -> None:
    sheet = song(PLAIN, LOUD)
    line = stems(sheet)["lead"]
    low = tuple(replace(n, pitch=n.pitch - 7) if n.start >= 16 else n for n in line.notes)
    made = follow_purposes(sheet, {"lead": replace(line, notes=low)})["lead"]
    assert {n.pitch for n in section(made, 1)} == {n.pitch + 5 for n in section(line, 1)}
    assert [n.pitch for n in section(made, 0)] == [n.pitch for n in section(line, 0)]


def test_where_no_strike_is_long_enough_the_sparser_section_loses_some() -> None:
    sheet = song(PLAIN, LOUD)
    sixteenths = [StemNote(i / 4, 0.25, 38, 80) for i in range(64)]
    eighths = [StemNote(16 + i / 2, 0.5, 38, 80) for i in range(32)]
    made = follow_purposes(sheet, {"bass": Stem(33, (*sixteenths, *eighths))})["bass"]
    assert len(section(made, 0)) < len(section(made, 1)) == 32
    assert {n.start % 4 for n in section(made, 0)} >= {0.0, 2.0}, "strong beats stay"


@pytest.mark.parametrize("purposes", [(None, None), (None,)])
def test_sections_without_a_purpose_stay_as_they_are(purposes: tuple[None, ...]) -> None:
    sheet = song(*purposes)
    assert follow_purposes(sheet, stems(sheet)) == stems(sheet)
