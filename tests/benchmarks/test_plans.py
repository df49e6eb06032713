"""The benchmark of plans: what its measures make of charts whose truth is plain, its prompts, and a run on two."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import plans
import plans_blind
import plans_data
import plans_measures as measures
import plans_parts
import pytest

from musetune import LeadSheet
from musetune.datasets.arranger.songs import PlayedSong
from musetune.evaluation.preferences import PairBatch, read_verdicts, summarise
from musetune.serve.compare_work import CompareDesk
from musetune.symbols import Key, Meter, Section
from musetune.symbols.arrangement import Arrangement, Stem, StemNote

BLUES = "| A7 | A7 | A7 | A7 | D7 | D7 | A7 | A7 | E7 | D7 | A7 | E7 |"


def sheet_of(text: str, form: str = "", key: str = "C major") -> LeadSheet:
    """A chart with sections such as ``verse:4 chorus:4``."""
    sheet = LeadSheet.parse(text, key=key)
    at, found = 0, []
    for part in form.split():
        label, bars = part.split(":")
        found.append(Section(Fraction(4 * at), Fraction(4 * int(bars)), label))
        at += int(bars)
    return replace(sheet, sections=tuple(found))


def test_harmony_is_counted_in_time() -> None:
    sheet = sheet_of("| C | C | Am7 D7 | G7 |")
    assert measures.changes_a_bar(sheet) == 1.0
    assert measures.shares(sheet) == {"sevenths": 0.5, "dominants": 0.375, "triads": 0.5}


def test_twelve_bars_of_blues_are_told_from_twelve_other_bars() -> None:
    assert measures.is_blues(sheet_of(BLUES, key="A major"), 12)
    assert not measures.is_blues(sheet_of(BLUES.replace("D7 | D7", "A7 | A7"), key="A major"), 12)
    assert not measures.is_blues(sheet_of("| C | F | G | C |"), 12)
    assert measures.is_blues(sheet_of("| C | G7 | F | F | C | G7 | C | G7 |"), 8)


def test_form_as_worded() -> None:
    song = sheet_of("| C | F | G | C | Am | F | G | C |" * 2, "verse:4 chorus:4 verse:4 chorus:4")
    assert measures.form_as_worded({"form": "verse chorus verse chorus", "bars": 16}, song) == {
        "form": True,
        "bars": True,
    }
    assert measures.form_as_worded({"form": "ABAB"}, song) == {"form": True}
    assert measures.form_as_worded({"form": "AABA", "contains": ["bridge"]}, song) == {"form": False, "contains": False}
    assert measures.has_recurring(song)
    assert measures.recurs(song)
    assert not measures.recurs(sheet_of("| C | F | G | C | Am | F | G | C |", "A:4 A:4"))
    loop = sheet_of("| C | G | Am | F |" * 2)
    assert measures.form_as_worded({"loop": 4, "cycle": 4, "distinct": 4}, loop) == dict.fromkeys(
        ("cycle", "distinct", "loop"), True
    )
    assert not any(measures.form_as_worded({"loop": 4, "distinct": 3}, song).values())


def test_phrases_and_endings() -> None:
    assert measures.phrase_lengths(sheet_of("| C | F | G | C |", "A:4"))
    assert not measures.phrase_lengths(sheet_of("| C | F | G |", "A:3"))
    assert measures.phrase_lengths(sheet_of("| C | F | G | C | F |", "A:4 A:1"), cut=True)
    assert measures.sections_close(sheet_of("| C | F | G | C | C | Em | F | Em |", "A:4 B:4")) == 0.5
    home, open_end, nowhere = (sheet_of(f"| C | F | G | {last} |") for last in ("C", "G7", "Em"))
    assert [measures.ending(sheet, "cadence") for sheet in (home, open_end, nowhere)] == [True, False, False]
    assert [measures.ending(sheet, "either") for sheet in (home, open_end, nowhere)] == [True, True, False]
    assert measures.ending(sheet_of("| C | Em |" * 4), "loop")


def test_cadences_lead_home() -> None:
    plagal, weak, open_end = (sheet_of(f"| C | Am | {last} |") for last in ("F | C", "Em | C", "C | G"))
    assert [measures.cadence(sheet, "cadence") for sheet in (plagal, weak, open_end)] == [True, False, False]
    assert measures.cadence(open_end, "either") is None
    flat = sheet_of("| C | F | Bb | C |")
    assert [measures.cadence(flat, kind) for kind in ("either", "cadence")] == [True, False]


def test_a_form_has_sections_that_come_back() -> None:
    bars = "| C | F | G | C |" * 8
    assert measures.has_form(sheet_of(bars, "A:8 B:8 A:8 C:8"))
    assert not measures.has_form(sheet_of(bars, "A:8 B:8 C:8 D:8"))
    assert not measures.has_form(sheet_of(bars, " ".join(f"{label}:4" for label in "ABCDEFGH")))


def test_a_share_has_its_interval() -> None:
    share = measures.wilson(0.5, 100)
    assert share.low == pytest.approx(0.404, abs=1e-3)
    assert share.high == pytest.approx(0.596, abs=1e-3)


def test_prompts_of_both_halves_are_whole_and_differ() -> None:
    styles = plans.read_styles()
    halves = [plans.read_prompts(half, styles) for half in ("dev", "test", "fresh")]
    texts = [row["prompt"] for half in halves for row in half]
    assert [len(half) for half in halves] == [200, 100, 100]
    assert len(set(texts)) == 400
    assert sum(bool({"bars", "seconds"} & row.keys()) for row in halves[2]) >= 33
    for row in (row for half in halves for row in half):
        assert {str(Meter.parse(meter)) for meter in row["meters"]} == set(row["meters"])
        assert all(low < high for low, high in row["bpm"])
        assert row["rhythm"][0] < row["rhythm"][1]
        assert row["chords"] in plans.KIND
        assert Key(row.get("tonic", "C"))


def test_a_chart_of_a_song_database_is_read_with_its_endings() -> None:
    row = {
        "Sections": [
            {"Label": "A", "MainSegment": {"Chords": "C|F,G7"}, "Endings": [{"Chords": "B07"}, {"Chords": "C(Dm7)"}]}
        ]
    }
    sheet = plans_data.chart_sheet(row, Meter.parse("4/4"), plans_data.chart_key("C"))
    assert sheet.chord_labels == ["C:maj", "F:maj", "G:7", "B:dim7", "C:maj", "F:maj", "G:7", "C:maj"]
    assert [(s.label, s.beats) for s in sheet.sections] == [("A", 12), ("A", 12)]


@pytest.mark.slow
def test_two_prompts_are_planned_and_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = plans.main(["--prompts", "2", "--seeds", "1", "--out", str(tmp_path / "plans.json")])
    assert report["prompts"] == 2
    assert report["table"]["meter"]["plans"] == 2
    assert "| meter | 99 |" in capsys.readouterr().out
    assert (tmp_path / "plans.json").is_file()


def test_sheets_of_another_version_are_judged(tmp_path: Path) -> None:
    styles = plans.read_styles()
    row = next(row for row in plans.read_prompts("dev", styles) if row.get("blues") == 12 and row.get("tonic") == "E")
    sheet = replace(sheet_of(BLUES, key="A major").transpose(-5), genre="blues")
    lines = tmp_path / "sheets.jsonl"
    lines.write_text(json.dumps({"prompt": row["prompt"], "seed": 0, "sheet": sheet.to_json()}) + "\n")
    report = plans.main(["--sheets", str(lines), "--seeds", "2", "--out", str(tmp_path / "plans.json")])
    held = {name: value["share"]["mean"] for name, value in report["table"].items()}
    unjudged = {
        "harmonic rhythm",
        "sections recur",
        "form of a length",
        "cadence",
    }  # a blues that turns around, of no length
    assert set(report["table"]) == set(plans.MEASURES) - unjudged
    assert held.pop("phrase lengths") == 1.0
    assert all(share == 1.0 for share in held.values())
    assert all(value["plans"] == 1 for value in report["table"].values())


# -- parts -------------------------------------------------------------------------------------------------------------


def test_bars_alike() -> None:
    sheet = sheet_of("| C | C | F | F |" * 2, "A:4 B:4")
    notes = tuple(StemNote(bar * 4 + beat, 1, 60) for bar in range(8) for beat in ((0, 2) if bar < 4 else (0, 1)))
    song = Arrangement(sheet.grid, {"keys": Stem(0, notes)})
    assert plans_parts.alike(sheet, song, ("keys", "lead")) == {"within": 1.0, "other label": pytest.approx(1 / 3)}


def test_what_is_counted_of_a_player() -> None:
    sheet = LeadSheet.parse("| C | C |")
    notes = (StemNote(0, 1, 60), StemNote(1, 1, 62), StemNote(2, 1, 72))
    band = plans_parts.band()
    plans_parts.count(band, Arrangement(sheet.grid, {"lead": Stem(0, notes)}), sheet)
    figures = band["lead"].figures(drums=False)
    assert figures == {"density": 1.5, "chord tones": pytest.approx(200 / 3), "leaps": 50.0, "empty bars": 50.0}
    assert band["lead"].grid == {("4/4", 0): 1, ("4/4", 12): 1, ("4/4", 24): 1}


def test_leads_and_bars_of_each_style_stand_beside_held_out_songs(tmp_path: Path) -> None:
    sheet = sheet_of("| C | C | F | F |" * 2, "A:4 B:4")
    lead = tuple((float(beat), beat + 1.0, 60 + beat % 5) for beat in range(0, 32, 2))
    song = PlayedSong("one", "pop909", sheet, {"lead": lead})
    styles = {"disco": plans_parts.StyleParts()}
    arranged = plans_parts.played(song)
    plans_parts.count(styles["disco"].plan, arranged, sheet)
    styles["disco"].songs.append((sheet, arranged))
    rows = plans_parts.lead_rows(styles, {"pop": [song], "jazz": []}, {"disco": "pop"})
    assert [(row["style"], row["songs"], row["grid"], row["intervals"]) for row in rows] == [("disco", "pop", 0, 0)]
    assert rows[0]["figures"]["plans"] == rows[0]["figures"]["songs"]
    report = {"grids": [], "lead styles": rows, "similarity": plans_parts.similarity(styles, [song])}
    file = tmp_path / "report.json"
    file.write_text(json.dumps(report))
    assert plans_parts.main(["--report", str(file), "--table", "styles"]) == json.loads(file.read_text())
    assert "| disco | lead (pop) | 0.00 / – / – | 2.0 / 2.0 |" in plans_parts.style_table(report)
    assert "| all plans | 1.00 (1.00–1.00) |" in plans_parts.section_table(report)
    assert "| disco | 1.00 | – |" in plans_parts.section_table(report)
    with pytest.raises(SystemExit):
        plans_parts.main([])


# -- the blind table ---------------------------------------------------------------------------------------------------


def test_the_song_of_a_pair_takes_the_plan_s_key_tempo_and_length() -> None:
    like = replace(LeadSheet.parse("| D | G | A | D |", key="D major", bpm=90), style="waltz")
    song = LeadSheet.parse("| C | Am | F | G | C | C |", bpm=140)
    moved = plans_blind.excerpt(song, like)
    assert (moved.chord_labels, moved.bpm, moved.length) == (["D:maj", "B:min", "G:maj", "A:maj"], 90, 16)
    assert moved.style == "waltz"
    songs = [plans_data.RealSong(str(i), "charts", i == 1, song) for i in range(3)]
    assert plans_blind.partner(songs, like, random.Random(0)) is songs[1]
    assert plans_blind.partner(songs, LeadSheet.parse("| Am | E7 |", key="A minor"), random.Random(0)) is None
    assert plans_blind.cut(like, 6.0).length == 8


@pytest.mark.slow
def test_a_pair_is_written_for_the_compare_tab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = plans_data.RealSong("a tune", "charts", True, LeadSheet.parse("| C | Am7 | Dm7 | G7 |" * 16))
    minor = real._replace(sheet=LeadSheet.parse("| Am | Dm | E7 | Am |" * 16, key="A minor"))
    monkeypatch.setattr(plans_blind, "groups", lambda *paths: {key: [real, minor] for key in ("bossa", "swing")})
    arguments = ["songs.jsonl", str(tmp_path / "batch"), "--pairs", "1", "--seconds", "5"]
    plans_blind.main(arguments)
    (pair,) = PairBatch(tmp_path / "batch").pairs().values()
    assert [side.origin["name"] for side in pair.sides] == ["plan", "song"]
    assert all(side.audio.is_file() and side.midi for side in pair.sides)
    # a person judges it in the tab Compare: two takes with charts under names that tell nothing, then the summary
    desk = CompareDesk(PairBatch(tmp_path / "batch"), tmp_path / "shown")
    dealt = desk.deal("anna")
    assert dealt is not None
    assert all(side.sheet is not None and side.sheet.style is not None for side in dealt.sides)
    assert [side.sound.stem for side in dealt.sides] == ["A", "B"]
    plan_is = next(
        letter for letter, side in zip("AB", dealt.comparison[1:3], strict=True) if side.origin["name"] == "plan"
    )
    desk.judge(dealt.token, plan_is)
    assert desk.deal("anna") is None
    counted = summarise(read_verdicts(tmp_path / "batch/preferences.jsonl"))["origins"]
    assert [(row["origin"], row["wins"]) for row in counted] == [("plan", 1), ("song", 0)]
