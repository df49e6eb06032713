"""A band by rule: every groove in every meter, sections that have a purpose, feel, hands."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from musetune.planning.arranger.language import STEM_RANGES
from musetune.planning.arranger.style_band import find_style, finish, style_band, write_by_rule
from musetune.planning.planner.song_styles import all_styles
from musetune.planning.rules.band import band_bars, play
from musetune.planning.rules.expression import SwingFeel, perform
from musetune.planning.rules.grooves.catalogue import GROOVES
from musetune.planning.rules.grooves.drums import KIT
from musetune.planning.rules.instruments import lead_range, program_called
from musetune.planning.rules.section_shapes import SHAPES, shape_of
from musetune.symbols import LeadSheet, Meter, MeterSpan, Section, SectionPurpose
from musetune.symbols.arrangement import STEMS, StemNote
from musetune.symbols.meter import METERS

FORM = ("intro", "verse", "chorus", "verse", "chorus")


def song(
    labels: tuple[str, ...] = FORM, meter: str = "4/4", text: str = "| C | Am | F | G |", bpm: int = 110
) -> LeadSheet:
    sheet = LeadSheet.parse(text * len(labels), key="C major", bpm=bpm, time_signature=meter)
    each = sheet.length / len(labels)
    return replace(sheet, sections=tuple(Section(each * i, each, label) for i, label in enumerate(labels)))


def inside(notes: tuple[StemNote, ...], sheet: LeadSheet, section: int) -> list[tuple[float, float, int, int]]:
    span = sheet.sections[section]
    start, end = float(span.start), float(span.start + span.beats)
    return [
        (round(n.start - start, 6), round(n.beats, 6), n.pitch, n.velocity) for n in notes if start <= n.start < end
    ]


def check(notes: tuple[StemNote, ...], player: str, sheet: LeadSheet) -> None:
    low, high = STEM_RANGES[player].low, STEM_RANGES[player].high
    for note in notes:
        assert low <= note.pitch <= high
        assert 0 <= note.start < note.start + note.beats <= float(sheet.length) + 1e-6
        assert 1 <= note.velocity <= 127
    line = sorted(notes, key=lambda n: n.start)
    if player in ("bass", "lead"):
        assert all(a.start + a.beats <= b.start + 1e-6 for a, b in itertools.pairwise(line))
    elif player != "drums":
        for note in notes:
            assert sum(n.start <= note.start + 1e-6 < n.start + n.beats for n in notes if n.start == note.start) <= 5


@pytest.mark.parametrize("meter", METERS)
@pytest.mark.parametrize("player", STEMS)
def test_every_groove_plays_every_meter(player: str, meter: str) -> None:
    sheet = song(("A", "B"), meter, "| Dm7 | G7/B | C7#9 | N.C. |")
    for name in GROOVES[player]:
        notes = play(sheet, {player: name}, seed=1)[player]
        assert notes, name
        check(notes, player, sheet)


@pytest.mark.parametrize("player", STEMS)
def test_a_change_of_meter_inside_a_section_is_followed(player: str) -> None:
    sheet = LeadSheet.parse("| C | F | G | C |", bpm=100)
    meters = (
        MeterSpan(Fraction(0), Meter(4, 4)),
        MeterSpan(Fraction(8), Meter(3, 4)),
        MeterSpan(Fraction(11), Meter(5, 4)),
    )
    sheet = replace(sheet, meters=meters)
    lines = {float(line) for line in sheet.downbeats()}
    assert lines == {0, 4, 8, 11}
    for name in GROOVES[player]:
        check(play(sheet, {player: name})[player], player, sheet)
    kicks = [n.start for n in play(sheet, {"drums": "waltz"})["drums"] if n.pitch == KIT["kick"]]
    assert set(kicks) == lines


def test_a_pickup_and_a_cut_end_are_played() -> None:
    sheet = song(("A", "B")).slice(3, 30)
    assert float(sheet.first_downbeat) == 1
    for player in STEMS:
        for name in GROOVES[player]:
            check(play(sheet, {player: name})[player], player, sheet)


def test_equal_labels_are_played_alike_and_others_not() -> None:
    sheet = song(text="| C | Am | F | G |" * 2)
    for player, name in {"drums": "half_time_trap", "bass": "walking", "keys": "comping", "lead": "phrases"}.items():
        notes = play(sheet, {player: name}, seed=4)[player]
        verse, chorus, again = (inside(notes, sheet, i)[:-8] for i in (1, 2, 3))
        assert [n[:1] for n in verse][:6] == [n[:1] for n in again][:6]
        assert verse != chorus
    assert play(sheet, {"lead": "phrases"}, seed=4) == play(sheet, {"lead": "phrases"}, seed=4)
    assert play(sheet, {"lead": "phrases"}, seed=4) != play(sheet, {"lead": "phrases"}, seed=5)


def test_a_chorus_is_fuller_louder_and_higher_than_a_verse() -> None:
    sheet = song(text="| C | Am | F | G |" * 2)
    band = {"drums": "funk", "keys": "muted_sixteenths", "lead": "phrases"}
    notes = perform(sheet, band_bars(sheet), play(sheet, band, seed=2), humanize=False)
    for player in ("drums", "keys"):
        assert len(inside(notes[player], sheet, 2)) > len(inside(notes[player], sheet, 1))
    loud = [max(n[3] for n in inside(notes["drums"], sheet, i) if n[2] == KIT["snare"]) for i in (1, 2)]
    assert loud[1] > loud[0] * 1.05
    leads = [play(sheet, {"lead": "phrases"}, seed=seed)["lead"] for seed in range(12)]
    heights = [[np.mean([n[2] for n in inside(lead, sheet, i)]) for lead in leads] for i in (1, 2)]
    assert np.mean(heights[1]) > np.mean(heights[0]) + 1


def test_sections_end_in_a_fill_and_begin_with_a_cymbal() -> None:
    sheet = song(text="| C | Am | F | G |")
    drums = play(sheet, {"drums": "rock_backbeat"})["drums"]
    toms = {KIT[name] for name in ("high_tom", "mid_tom", "floor_tom")}
    for section in range(4):
        bars = {int(n[0] // 4) for n in inside(drums, sheet, section) if n[2] in toms}
        assert bars == {3}
    crashes = [n.start for n in drums if n.pitch == KIT["crash"]]
    assert crashes == [float(sheet.sections[i].start) for i in (2, 4)]
    assert not any(n.pitch in toms for n in play(sheet, {"drums": "brushes"})["drums"])


def test_a_build_gains_pace_and_stops_before_the_drop() -> None:
    sheet = song(("build", "drop"), text="| Am | F | C | G |" * 2, bpm=128)
    drums = play(sheet, {"drums": "techno"})["drums"]
    snares = [sum(n[2] == KIT["snare"] and n[0] // 4 == bar for n in inside(drums, sheet, 0)) for bar in range(8)]
    assert snares == sorted(snares[:7]) + snares[7:]
    assert snares[0] < snares[3] < snares[6]
    assert not [n for n in inside(drums, sheet, 0) if n[0] >= 31]
    assert inside(drums, sheet, 1)[0][0] == 0


def test_a_bass_leads_into_the_next_section() -> None:
    sheet = song(("verse", "chorus"))
    last = inside(play(sheet, {"bass": "root_eighths"})["bass"], sheet, 0)[-1]
    assert last[0] == 15.5
    assert last[2] % 12 in (11, 2), "a step of the scale from C"


def test_a_bass_walks_up_on_the_last_two_beats() -> None:
    sheet = song(("verse", "chorus"), text="| C | F | G | G |")
    bar = [n for n in inside(play(sheet, {"bass": "root_fifth"})["bass"], sheet, 0) if n[0] >= 12]
    assert [n[0] for n in bar] == [12, 14, 15]
    assert [n[2] % 12 for n in bar] == [7, 9, 11], "g, then a and b, to c"


def test_a_lead_has_a_pick_up_into_most_sections() -> None:
    sheet = song(("verse", "chorus", "verse", "bridge"))
    there = 0
    for seed in range(12):
        notes = play(sheet, {"lead": "phrases"}, seed=seed)["lead"]
        for section in (1, 2, 3):
            start = float(sheet.sections[section].start)
            first = next(n for n in notes if n.start >= start)
            before = [n for n in notes if start - 1 <= n.start < start]
            there += len(before) == 2 and 0 < abs(before[-1].pitch - first.pitch) <= 2
        assert not [n for n in notes if n.start >= 63], "none at the end of the song"
    assert there > 16


def test_no_pick_up_leads_into_a_section_in_which_the_lead_rests() -> None:
    into = {"chorus": 0, "interlude": 0}
    for label, seed in itertools.product(into, range(8)):
        notes = play(song(("verse", label)), {"lead": "phrases"}, seed=seed)["lead"]
        into[label] += len([n for n in notes if 15 <= n.start < 16])
    assert into["interlude"] == 0 < into["chorus"]


def test_a_song_that_ends_on_its_tonic_ends_there() -> None:
    sheet = song(("verse", "chorus"), text="| C | F | G | C |")
    notes = play(sheet, {"drums": "rock_backbeat", "bass": "root_eighths", "keys": "block"})
    for player, line in notes.items():
        final = [n for n in line if n.start >= 28]
        assert {n.start for n in final} == {28}, player
        assert player == "drums" or {n.beats for n in final} == {4}
    open_end = play(song(("verse", "chorus")), {"bass": "root_eighths"})["bass"]
    assert len([n for n in open_end if n.start >= 28]) == 9, "eighths, and in a chorus a push to the bar line"


def test_shapes_are_found_by_name() -> None:
    assert shape_of("Verse 2") == shape_of("verse") == SHAPES["verse"]
    assert shape_of("refrain") == SHAPES["chorus"]
    assert shape_of("Coda") == SHAPES["outro"]
    assert shape_of("A") == shape_of(None) == shape_of("something else")


def test_a_section_follows_its_purpose() -> None:
    """What a user writes into a sheet's sections is heard, whatever the label."""
    sheet = song(("A", "B"), text="| C | Am | F | G |" * 2)
    soft, loud = SectionPurpose(-0.8, -0.6, -0.3), SectionPurpose(0.8, 0.5, 0.4)
    sheet = replace(sheet, sections=tuple(replace(s, purpose=p) for s, p in zip(sheet.sections, (loud, soft))))
    band = {"drums": "funk", "lead": "phrases"}
    notes = perform(sheet, band_bars(sheet), play(sheet, band, seed=1), humanize=False)
    first, second = (inside(notes["drums"], sheet, i) for i in (0, 1))
    assert len(first) > 1.2 * len(second)
    assert max(n[3] for n in first) > max(n[3] for n in second) + 20
    high, low = (np.mean([n[2] for n in inside(notes["lead"], sheet, i)]) for i in (0, 1))
    assert high > low + 2


CONTRASTING = ("bossa nova", "country", "disco", "funk", "reggae", "salsa", "swing", "synthwave")
ROLES = (SectionPurpose(), SectionPurpose(0.4, 0.3, 0.2))


@pytest.mark.parametrize("name", CONTRASTING)
def test_all_players_follow_the_purposes_of_a_verse_and_a_chorus(name: str) -> None:
    """In a whole arrangement a chorus has more notes a bar, is louder, and its chords and lead lie higher."""
    style = find_style(song(), name, None)
    assert style is not None
    sheet = song(("verse", "chorus"), text="| C | Am | F | G |" * 2)
    sheet = replace(sheet, sections=tuple(replace(s, purpose=p) for s, p in zip(sheet.sections, ROLES)))
    figures: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
    for seed in range(4):
        band = style_band(style, seed)
        stems = finish(sheet, band, write_by_rule(sheet, band, STEMS, seed), humanize=False, seed=seed)
        for player, stem in stems.items():
            for section in (0, 1) if stem.notes else ():
                notes = inside(stem.notes, sheet, section)
                row = (len(notes) / 8, max(n[3] for n in notes), float(np.mean([n[2] for n in notes])))
                figures.setdefault((player, section), []).append(row)
    for player in {player for player, _ in figures}:
        verse, chorus = (np.mean(figures[player, section], axis=0) for section in (0, 1))
        assert chorus[0] > verse[0], f"{player}: notes a bar"
        assert chorus[1] > verse[1] + 2, f"{player}: velocity"
        assert player in ("drums", "bass") or chorus[2] > verse[2] + 0.5, f"{player}: register"


def test_one_section_alone_is_played_in_full() -> None:
    """A podcast's intro is all that there is."""
    lead = play(song(("intro",)), {"lead": "phrases", "drums": "breakbeat"})
    assert lead["lead"]
    assert {place.shape for place in band_bars(song(("intro",)))} == {shape_of(None)}


# -- lead --------------------------------------------------------------------------------------------------------------


def lead_figures(name: str, seeds: int = 24) -> dict[str, float]:
    """Means over songs of two choruses: share of chord tones on strong beats, of steps, of silence, of bars whose
    rhythm was there in the eight before.
    """
    rows = []
    for seed in range(seeds):
        sheet = song(("verse", "chorus"), text="| C | Am | Dm7 | G7 | Em | F | G7 | C |")
        notes = play(sheet, {"lead": name}, seed=seed)["lead"]
        strong = [n.pitch % 12 in sheet.chord_at(n.start).pitch_classes for n in notes if n.start % 2 < 1e-6]
        moves = np.abs(np.diff([n.pitch for n in notes]))
        bars = [frozenset(round(n.start % 4, 3) for n in notes if n.start // 4 == bar) for bar in range(16)]
        again = [bar in bars[max(0, i - 8) : i] for i, bar in enumerate(bars) if i]
        silent = 1 - sum(n.beats for n in notes) / float(sheet.length)
        leaps = float(np.mean(moves > 7))
        rows.append((np.mean(strong), np.mean((moves > 0) & (moves < 3)), leaps, silent, np.mean(again)))
    return dict(zip(("strong", "steps", "leaps", "silent", "again"), np.mean(rows, axis=0)))


def test_phrases_are_like_melodies_that_people_wrote() -> None:
    """Within what most songs of POP909 and OpenEWLD have (10th to 90th percentile of both)."""
    figures = lead_figures("phrases")
    assert 0.6 < figures["strong"] < 0.92
    assert 0.36 < figures["steps"] < 0.6
    assert figures["leaps"] < 0.06
    assert 0.1 < figures["silent"] < 0.4
    assert 0.4 < figures["again"] < 0.75


def test_a_phrase_breathes_at_its_end_and_its_motif_returns() -> None:
    for seed in range(10):
        sheet = song(("verse",), text="| C | Am | F | G |" * 2)
        lead = play(sheet, {"lead": "phrases"}, seed=seed)["lead"]
        rhythm = [[round(n.start % 4, 3) for n in lead if n.start // 4 == bar] for bar in range(8)]
        assert rhythm[0] == rhythm[4]
        assert rhythm[1] == rhythm[5]
        assert len(rhythm[7]) <= len(rhythm[0]) + 1
        last = max(n.start + n.beats for n in lead)
        assert last < 31.5, "silence before the section ends"


def test_a_riff_repeats_more_than_phrases_do() -> None:
    assert lead_figures("riff")["again"] > lead_figures("phrases")["again"]


def test_bebop_runs_in_steps_with_chord_tones_on_most_beats() -> None:
    figures = lead_figures("bebop_line")
    assert 0.75 < figures["strong"] < 0.95
    assert figures["steps"] > 0.6


def test_a_blues_call_is_answered_by_silence() -> None:
    sheet = song(("A",), text="| C7 | C7 | C7 | C7 | F7 | F7 | C7 | C7 | G7 | F7 | C7 | G7 |")
    lead = play(sheet, {"lead": "call_and_response"}, seed=3)["lead"]
    bars = {int(n.start // 4) for n in lead}
    assert not bars & {2, 6, 10}
    assert {0, 1, 4, 5, 8, 9} <= bars


@pytest.mark.parametrize("words", ["flute", "tenor sax", "trumpet", "piano", "violin", "distorted guitar"])
def test_a_lead_keeps_to_its_instrument(words: str) -> None:
    program = program_called(words)
    assert program is not None
    low, high = lead_range(program)
    for name in GROOVES["lead"]:
        notes = play(song(), {"lead": name}, seed=1, lead_range=(low, high))["lead"]
        assert all(low <= n.pitch <= high for n in notes)


# -- feel and hands ----------------------------------------------------------------------------------------------------


def test_swing_delays_the_second_eighth_and_evens_out_with_the_tempo() -> None:
    sheet = song(("A",))
    even = {"drums": tuple(StemNote(i / 2, 0.25, 42, 80) for i in range(16))}
    swung = perform(sheet, band_bars(sheet), even, feel=SwingFeel(2 / 3), humanize=False)["drums"]
    assert [round(n.start % 1, 3) for n in swung] == [0, 0.667] * 8
    assert SwingFeel(2 / 3).at_tempo(230).ratio < SwingFeel(2 / 3).at_tempo(120).ratio == 2 / 3
    sixteenths = SwingFeel(0.6, 16)
    assert [round(sixteenths.move(step), 3) for step in (0, 1, 2, 3)] == [0, 1.2, 2, 3.2]
    assert SwingFeel(2 / 3).move(4 / 3) == 4 / 3, "a triplet is swung already"


def test_swing_leaves_compound_beats_alone() -> None:
    sheet = song(("A",), "6/8")
    even = {"keys": tuple(StemNote(i / 3, 0.25, 60, 80) for i in range(12))}
    swung = perform(sheet, band_bars(sheet), even, feel=SwingFeel(2 / 3), humanize=False)["keys"]
    assert [n.start for n in swung] == [n.start for n in even["keys"]]


def test_hands_stray_a_little_and_by_the_seed() -> None:
    sheet = song()
    parts = play(sheet, {"bass": "root_eighths", "keys": "block"})
    bars = band_bars(sheet)
    exact, one, two = (
        perform(sheet, bars, parts, humanize=human, seed=seed) for human, seed in ((False, 1), (True, 1), (True, 2))
    )
    assert one == perform(sheet, bars, parts, humanize=True, seed=1)
    assert one != two
    away = np.array([(a.start - b.start) * 60 / sheet.bpm for a, b in zip(exact["bass"], one["bass"])])
    assert 0.003 < away.std() < 0.012
    assert np.abs(away).max() < 0.04
    assert [n.start for n in exact["keys"]] == [n.start for n in parts["keys"]]


# -- styles ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", [s for s in all_styles() if s.grooves], ids=lambda s: s.style)
def test_every_style_plays_a_song(style) -> None:  # type: ignore[no-untyped-def]
    meter = style.meters[0][0] if style.meters else "4/4"
    sheet = song(meter=meter, text="| C | Am | Dm7 | G7 |")
    band = style_band(style, seed=1)
    stems = finish(sheet, band, write_by_rule(sheet, band, STEMS, 1), humanize=True, seed=1)
    assert stems.keys() == band.grooves.keys()
    for name, stem in stems.items():
        check(stem.notes, name, sheet)
        assert bool(stem.notes) == (band.grooves[name] != "none")
        assert [writer.section for writer in stem.writers] == list(FORM)
        rules = {writer.rule for writer in stem.writers}
        assert rules <= {band.grooves[name], "none"}
    resting = next((w for w in stems["lead"].writers if w.section == "intro"), None)
    assert resting is not None
    assert resting.rule == "none"


def test_a_style_that_is_unknown_is_named_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="style 'bosa nova' is unknown; did you mean 'bossa nova'"):
        find_style(song(), "bosa nova", None)
