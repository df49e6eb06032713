"""Any lead sheet through the page's functions, notebooks, chart, MIDI, MusicXML and JAMS: silence, suspended and slash
chords, eight meters, pickups.
"""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import jams
import numpy as np
import pytest
from html_check import classes
from hypothesis import HealthCheck, assume, given, settings
from sheets import sheets

from musetune import LeadSheet, analyze
from musetune.analysis.export import KINDS, exports
from musetune.display.analysis_html import analysis_html
from musetune.display.output_html import output_html
from musetune.formats.chart_text import chart_text
from musetune.formats.songs import load_arrangement, save_song
from musetune.planning.rules.orchestrate import orchestrate
from musetune.serve import markup, song_markup
from musetune.serve.listen_work import bars_of_song, hand_over_bars, passage, passage_text, sections_of_song
from musetune.serve.song_work import PlanHeader, Song, plan_text, read_plan
from musetune.serve.work import Order, Take
from musetune.symbols import Chord, Stem, StemNote

FORMATS = (".json", ".mid", ".musicxml", ".jams")
some = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def sounding(sheet: LeadSheet, beats: int) -> list[tuple[frozenset[int], int | None]]:
    """What sounds at each quarter of the first beats: pitch classes and bass."""
    chords = [sheet.chord_at(Fraction(at, 4)) for at in range(4 * beats)]
    return [(frozenset(chord.pitch_classes), chord.bass_pc) for chord in chords]


def report_of(sheet: LeadSheet) -> SimpleNamespace:
    """A report, as `evaluation.Report` gives it, of a take in which nothing was heard but C major."""
    rows = [
        {
            "start_s": float(start),
            "end_s": float(end),
            "asked": span.chord.harte,
            "heard": "C:maj",
            "share": 0.0,
            "confidence": 0.5,
            "match": span.chord == Chord.parse("C"),
        }
        for span, (start, end) in zip(sheet.chords, sheet.chord_intervals_s, strict=True)
        if end > 0
    ]
    told = {
        "chords": rows,
        "scores": {"majmin": None, "beat_f": 0.0},
        "overall": 0.0,
        "parts": {"chords": 0.0},
        "tempo": {"asked_bpm": sheet.bpm, "heard_bpm": None},
        "key": {"asked": str(sheet.key), "heard": None},
    }
    return SimpleNamespace(sheet=sheet, summary="nothing was heard", to_json=lambda: told)


@pytest.mark.slow
@some
@given(sheets())
def test_every_format_gives_it_back(sheet: LeadSheet) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for suffix in FORMATS:
            assert LeadSheet.load(sheet.save(Path(folder) / f"sheet{suffix}")) == sheet, suffix
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # jams calls jsonschema the old way
            plain = jams.load(str(Path(folder) / "sheet.jams"))
    rows = plain.search(namespace="chord")[0].data
    shown = [(max(a, 0.0), b) for a, b in sheet.chord_intervals_s if b > 0]
    assert [row.value for row in rows] == [
        s.chord.harte for s, (_, b) in zip(sheet.chords, sheet.chord_intervals_s) if b > 0
    ]
    assert np.allclose([row.time for row in rows], [a for a, _ in shown])


@pytest.mark.slow
@some
@given(sheets())
def test_a_chart_gives_back_what_sounds_from_the_first_bar_line_on(sheet: LeadSheet) -> None:
    first = sheet.first_downbeat
    if first >= sheet.length:
        return
    own = sheet.slice(first, sheet.length)
    beats = int(own.length)
    for text in (chart_text(own), plan_text(own)):
        again = LeadSheet.parse(text, time_signature=sheet.meter, bpm=sheet.bpm)
        assert sounding(again, beats) == sounding(own, beats)
        assert again.downbeats()[: len(own.downbeats())] == own.downbeats()
    planned = read_plan(plan_text(own), PlanHeader.of(own))
    assert plan_text(read_plan(plan_text(planned), PlanHeader.of(own))) == plan_text(planned)
    assert (planned.meter, planned.key, planned.genre) == (own.meter, own.key, own.genre)


@pytest.mark.slow
@some
@given(sheets())
def test_page_and_notebook_show_it(sheet: LeadSheet) -> None:
    chords = len(sheet.chords)
    assert "musetune-chart" in classes(sheet._repr_html_())
    report = report_of(sheet)
    silence = np.zeros((1, 1600), np.float32)
    for reports in (None, [report]):
        assert "musetune-chart" in classes(output_html(silence, 16000, sheet, reports))
    names = ("WAV", "MIDI", "MusicXML", "JAMS")
    take = Take(Order("C"), sheet, sheet.duration_s, report.to_json(), {name: Path(f"/x.{name}") for name in names})
    assert classes(markup.take_html(take)).count("mt-cell") >= chords
    order = hand_over_bars(sheet, 1, len(bars_of_song(sheet)), None)
    for html in (markup.right(order), song_markup.plan_html(sheet, "note")):
        assert "mt-right" in classes(html)


@pytest.mark.slow
@some
@given(sheets())
def test_players_of_it_are_shown_and_saved(sheet: LeadSheet) -> None:
    band = orchestrate(sheet, seed=0).arrangement
    lead = Stem(73, (StemNote(0.0, min(0.5, float(sheet.length)), 72),))
    notes = replace(band, stems=band.stems | {"lead": lead})
    assert "mt-cast" in classes(song_markup.cast_html(Song(sheet, notes, "a song", {})))
    with tempfile.TemporaryDirectory() as folder:
        for suffix in FORMATS:
            saved = save_song(sheet, notes, Path(folder) / f"song{suffix}")
            assert LeadSheet.load(saved).chords == sheet.chords, suffix
        assert load_arrangement(Path(folder) / "song.mid").stems == notes.stems


@pytest.mark.slow
@some
@given(sheets())
def test_its_analysis_is_shown_exported_and_handed_over(sheet: LeadSheet) -> None:
    assume(any(span.chord.root is not None for span in sheet.chords))  # an analysis needs a chord
    with tempfile.TemporaryDirectory() as folder:
        analysis = analyze(sheet.save(Path(folder) / "sheet.json"))
        for kind in KINDS:
            if kind != "plot":
                for file, write in exports(analysis, kind, Path(folder) / "out"):
                    write()
                    assert file.is_file()
        for suffix in (".mid", ".musicxml", ".jams"):
            assert LeadSheet.load(Path(folder) / f"out{suffix}").chords == analysis.lead_sheet.chords
    record, heard = analysis.to_json(), analysis.lead_sheet
    assert "musetune-chart" in classes(analysis_html(analysis))
    assert classes(markup.song_html(Path("a.mid"), record, heard)).count("mt-cell") == len(heard.chords)
    bars = bars_of_song(heard)
    for first, last in {*sections_of_song(heard).values(), (1, len(bars)), (len(bars), len(bars))}:
        chosen = passage(heard, first, last)
        assert "handed over" in passage_text(heard, chosen)
        order = hand_over_bars(heard, first, last, "jazz")
        order.check()
        loop = order.loop()
        part = chosen.sheet
        start = part.first_downbeat if part.first_downbeat < part.length else Fraction(0)
        own = part.slice(start, part.length)
        assert sounding(loop, int(own.length)) == sounding(own, int(own.length))


def test_silence_at_both_ends_and_only_silence() -> None:
    for text in ("| N.C. | C | N.C. |", "| N.C. |", "| N.C. C | % |"):
        sheet = replace(LeadSheet.parse(text), genre="pop")
        assert "N.C." in sheet._repr_html_()
        assert read_plan(plan_text(sheet), PlanHeader.of(sheet)).chords == sheet.chords
        assert hand_over_bars(sheet, 1, len(sheet.downbeats()), None).loop().chord_labels == sheet.chord_labels
