"""A plan's expression: loudness by its sections' purposes, swing by its style, density and syncopation of its notes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from musetune.planning.arranger.plan_expression import plan_expression
from musetune.symbols import Expression, LeadSheet, Section, SectionPurpose
from musetune.symbols.arrangement import Arrangement, Stem, StemNote


def song(*purposes: SectionPurpose | None, style: str | None = None, meter: str = "4/4", bpm: int = 120) -> LeadSheet:
    sheet = LeadSheet.parse("| C | Am | F | G |" * len(purposes), bpm=bpm, time_signature=meter)
    each = sheet.length / len(purposes)
    sections = (Section(each * i, each, ["verse", "chorus", "bridge"][i], p) for i, p in enumerate(purposes))
    return replace(sheet, sections=tuple(sections), style=style)


def test_loudness_follows_the_purposes() -> None:
    sheet = song(SectionPurpose(), SectionPurpose(0.4, 0.3), SectionPurpose(-0.6, -0.4))
    expression = plan_expression(sheet)
    verse, chorus, bridge = expression.loudness_at([4, 12, 20])
    assert bridge + 5 < verse < chorus - 2
    assert expression.loudness_at([7.7])[0] < expression.loudness_at([8.1])[0] - 2, "a section begins at its level"
    assert Expression.from_json(expression.to_json()) == expression


def test_names_of_sections_speak_where_they_have_no_purpose() -> None:
    verse, chorus = plan_expression(song(None, None)).loudness_at([4, 12])
    assert verse < chorus - 2
    assert plan_expression(song(None)).loudness_db == ()


def test_swing_is_the_styles_and_evens_out_with_the_tempo() -> None:
    assert plan_expression(song(None)).swing is None
    assert plan_expression(song(None, style="bossa nova")).swing == 0.5
    slow, fast = (plan_expression(song(None, style="swing", bpm=bpm)).swing for bpm in (120, 240))
    assert slow == pytest.approx(2 / 3, abs=0.01)
    assert fast is not None
    assert slow is not None
    assert 0.5 < fast < slow
    assert plan_expression(song(None, style="swing"), style="").swing is None
    assert plan_expression(song(None, style="swing", meter="6/8")).swing is None


def test_density_and_syncopation_are_counted_of_the_notes() -> None:
    sheet = song(None)
    assert plan_expression(sheet).note_density is plan_expression(sheet).syncopation is None

    def played(offset: float) -> Expression:
        notes = tuple(StemNote(beat + offset, 0.25, 40, 80) for beat in range(15))
        drums = tuple(StemNote(beat, 0.25, 36, 80) for beat in range(0, 16, 2))
        return plan_expression(
            sheet, Arrangement(sheet.grid, {"bass": Stem(33, notes), "drums": Stem(0, drums, is_drum=True)})
        )

    straight, late = played(0), played(0.75)
    assert straight.note_density == late.note_density == pytest.approx(23 / 8, abs=0.01)
    assert straight.syncopation is not None
    assert late.syncopation is not None
    assert late.syncopation > straight.syncopation


def test_chords_outside_the_key_are_complex() -> None:
    plain = plan_expression(song(None)).harmonic_complexity
    strange = LeadSheet.parse("| Cmaj7 | Ebm7b5 | Abmaj7#11 | Db7#9 |" * 2, key="C", bpm=120)
    complexity = plan_expression(strange).harmonic_complexity
    assert plain is not None
    assert complexity is not None
    assert complexity > plain
