"""Files that other programs' users reported bugs about: each is read as it is meant, and what was mended is said."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from musetune.analysis import analyze
from musetune.symbols import LeadSheet
from musetune.symbols.remarks import collected

CASES = Path(__file__).parents[1] / "data" / "cases"
NOTES = "C:maj A:min D:min G:7 C:maj F:maj G:7 C:maj"


def record(name: str) -> tuple[LeadSheet, str, str]:
    """The analysed sheet, its chords in a line, and its remarks in a line."""
    with collected() as said:
        result = analyze(CASES / name)
    return result.lead_sheet, " ".join(result.lead_sheet.chord_labels), "; ".join([*said, *result.remarks])


@pytest.mark.parametrize(
    ("name", "chords", "said"),
    [
        ("midi/markers_A_B.mid", NOTES, ""),
        ("midi/markers_Intro_A_B_C.mid", NOTES, ""),
        ("midi/marker_chord_unread.mid", "C:maj A:min D:min7 G:9(13) C:maj9 F:maj6(9) G:7(b9,b13) C:maj6", ""),
        ("midi/marker_chords_bad_byte.mid", "C:7 A:min7 D:min9 G:7 C:maj7 F:maj6 G:7 C:maj6", "says 200"),
        ("midi/key_8_flats.mid", NOTES, "key signature"),
        ("midi/key_empty.mid", NOTES, "key signature"),
        ("midi/alien_chunk.mid", NOTES, ""),
        ("midi/header_says_5_tracks.mid", NOTES, "5 tracks"),
        ("midi/truncated.mid", "C:maj A:min D:min G:7 C:maj F:maj G:7", "breaks off"),
        ("midi/type2.mid", NOTES, "type 2"),
        ("midi/gap_of_4_bars.mid", "C:maj A:min N G:7 C:maj F:maj G:7 C:maj", ""),
        ("midi/tempo_late.mid", NOTES, ""),
        ("midi/timesig_late.mid", NOTES, ""),
        (
            "musicxml/degrees.musicxml",
            "B:hdim7 C:dim C:aug C:7 C:maj6 C:5 C:sus4 C:sus4(b7) C:minmaj7 C:hdim7 Ab:7(*5) C:maj",
            "",
        ),
        ("musicxml/transposed.musicxml", "C:maj D:min G:7 C:maj", ""),
        ("musicxml/mode_dorian.musicxml", "D:min G:maj D:min", "dorian"),
        ("musicxml/chords_part2.musicxml", "C:maj D:min G:7 C:maj", ""),
        ("musicxml/function.musicxml", "C:maj G:7", ""),
        ("musicxml/decoy.mxl", "C:maj G:maj F:maj", ""),
        ("musicxml/tempo_in_part2.musicxml", NOTES, ""),
        ("musicxml/tempo_change.musicxml", "C:maj G:maj", ""),
        ("musicxml/tempo_sound_only.musicxml", "C:maj G:maj", ""),
        ("musicxml/short_bar.musicxml", "C:maj F:maj G:maj C:maj", "bar 2 lasts 2"),
        ("musicxml/one_odd_bar.musicxml", "C:maj F:maj G:maj C:maj G:maj C:maj", ""),
        ("musicxml/perc_clef_pitched.musicxml", NOTES, ""),
        ("jams/key_dorian.jams", "C:maj A:min F:maj G:7", "dorian"),
        ("jams/overlap_0.1s.jams", "C:maj A:min F:maj G:7", "reaches into the next"),
        ("jams/meter_change.jams", "C:maj A:min F:maj G:7", ""),
        ("jams/harte_9sus4.jams", "C:maj A:min7/b3 F:maj G:sus4(b7,9)", ""),
    ],
)
def test_chords_are_what_the_file_says(name: str, chords: str, said: str) -> None:
    _, labels, remarks = record(name)
    assert labels == chords
    assert said in remarks if said else remarks == ""


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("midi/tempo_late.mid", 24),
        ("musicxml/tempo_in_part2.musicxml", 21.33),
        ("musicxml/tempo_change.musicxml", 6),
        ("musicxml/tempo_sound_only.musicxml", 8),
        ("midi/type2.mid", 16),
    ],
)
def test_time_runs_as_written(name: str, seconds: float) -> None:
    assert LeadSheet.load(CASES / name).duration_s == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize(
    ("name", "meters"),
    [
        ("midi/timesig_late.mid", [(0, "4/4"), (16, "3/4")]),
        ("musicxml/one_odd_bar.musicxml", [(0, "4/4"), (16, "17/8"), (33, "4/4")]),
        ("musicxml/short_bar.musicxml", [(0, "4/4"), (6, "4/4")]),
        ("jams/meter_change.jams", [(0, "4/4"), (16, "3/4")]),
    ],
)
def test_meters_change_where_they_do(name: str, meters: list[tuple[int, str]]) -> None:
    with collected():
        sheet = LeadSheet.load(CASES / name)
    assert [(span.start, str(span.meter)) for span in sheet.meters] == meters


def test_rehearsal_marks_are_sections() -> None:
    sheet, _, _ = record("midi/markers_Intro_A_B_C.mid")
    assert [part.label for part in sheet.sections] == ["Intro", "A", "B", "C"]


def test_a_transposing_instrument_sounds() -> None:
    sheet = LeadSheet.load(CASES / "musicxml/transposed.musicxml")
    assert [note.pitch for note in sheet.melody] == [72, 74, 67, 72]
    assert str(sheet.key) == "C major"


def test_short_bars_hold_their_chords() -> None:
    with collected():
        sheet = LeadSheet.load(CASES / "musicxml/short_bar.musicxml")
    assert sheet.downbeats() == [0, 4, 6, 10]
    assert [(span.start, span.beats) for span in sheet.chords] == [(0, 4), (4, 2), (6, 4), (10, 4)]


def score(harmony: str, attributes: str = "") -> bytes:
    """A bar of C4 with ``harmony`` over it."""
    return f"""<score-partwise version="4.0"><part-list>
<score-part id="P"><part-name>M</part-name></score-part></part-list>
<part id="P"><measure number="1"><attributes><divisions>1</divisions>{attributes}<time><beats>4</beats>
<beat-type>4</beat-type></time></attributes>{harmony}<note><pitch><step>C</step><octave>4</octave></pitch>
<duration>4</duration></note></measure></part></score-partwise>""".encode()


ROOT = "<root><root-step>C</root-step></root>"
BASS = "<bass><bass-step>E</bass-step><bass-alter>-1</bass-alter></bass>"
DEGREE = "<degree><degree-value>{}</degree-value><degree-alter>{}</degree-alter><degree-type>{}</degree-type></degree>"


@pytest.mark.parametrize(
    ("inside", "chord"),
    [
        (ROOT + "<kind>dominant</kind>" + DEGREE.format(9, 1, "add"), "C:7(#9)"),
        (ROOT + "<kind>dominant</kind>" + DEGREE.format(5, -1, "alter"), "C:7(*5,b5)"),
        (ROOT + "<kind>major</kind>" + DEGREE.format(3, 0, "subtract"), "C:5"),
        (ROOT + "<kind>major</kind>" + DEGREE.format(7, 0, "add"), "C:7"),
        (ROOT + "<kind>dominant-13th</kind>", "C:9(11,13)"),
        (ROOT + '<kind text="7alt">other</kind>', "C:7(*5,#5,#9)"),
        (ROOT + "<kind>major</kind><inversion>1</inversion>", "C:maj/3"),
        (ROOT + "<kind>none</kind>", "N"),
        (ROOT + "<kind>minor</kind>" + BASS, "C:min/b3"),
        ("<function>V7/V</function><kind>none</kind>", "D:7"),
        ("<function>V</function><kind>dominant</kind>", "G:7"),
        ("<numeral><numeral-root>6</numeral-root></numeral><kind>minor</kind>", "A:min"),
    ],
)
def test_every_way_to_write_a_symbol(tmp_path: Path, inside: str, chord: str) -> None:
    (tmp_path / "a.musicxml").write_bytes(score(f"<harmony>{inside}</harmony>"))
    assert LeadSheet.load(tmp_path / "a.musicxml").chord_labels == [chord]


@pytest.mark.parametrize(
    "inside", [ROOT + '<kind text="quux">other</kind>', ROOT + "<kind>bright</kind>", "<function>Q9</function>", ""]
)
def test_a_symbol_that_cannot_be_read_is_named_and_no_guess_stands_for_it(tmp_path: Path, inside: str) -> None:
    (tmp_path / "a.musicxml").write_bytes(score(f"<harmony>{inside}</harmony>"))
    with collected() as said:
        sheet = LeadSheet.load(tmp_path / "a.musicxml")
    assert sheet.chords == ()
    assert "bar 1 of 'M'" in said[0]
    assert "could not be read" in said[0]


def test_a_meter_of_any_size(tmp_path: Path) -> None:
    for text in ("17/8", "24/16", "1/1", "3/32"):
        sheet = LeadSheet.parse("| C | F |", time_signature=text)
        for suffix in ("mid", "musicxml", "json"):
            again = LeadSheet.load(sheet.save(tmp_path / f"a.{suffix}"))
            assert (str(again.meter), again.length) == (text, Fraction(sheet.length))


CHARTS = [line.split("\t")[0] for line in (CASES / "text" / "charts.tsv").read_text().splitlines()[1:]]


@pytest.mark.parametrize(
    ("text", "chords"),
    [
        (CHARTS[0], "C G C G C G"),
        (CHARTS[1], "C G"),
        (CHARTS[2], "C G Am F"),
        (CHARTS[3], "C C F"),
        (CHARTS[4], "C G"),
        (CHARTS[5], "C G C G C G"),
        (CHARTS[6], "C G"),
        (CHARTS[7], "C G"),
        ("|: C | F |1. G :|2. Am | Dm |", "C F G C F Am Dm"),
        ("|: C |1 G :|2 F |", "C G C F"),
        ("|: C |1,2. G :|3. F | D |", "C G C G C F D"),
        ("|: C |1 G :|", "C G C"),
        ("|: C | G :|x2 F |", "C G C G F"),
        ("1 4 5 1", "C F G C"),
        ("|1|4|5|1|", "C F G C"),
        ("1,4,5", "C F G"),
        ("| 4/4 1 | 5 |", "C G"),
        ("𝄆 C | G 𝄇", "C G C G"),
        ("| C | G |\n| Am | F |", "C G Am F"),
        ("|| C | G || Am ||", "C G Am"),
        ("| C | / / / / | F |", "C C F"),
        ("|: C :| |: G :|", "C C G G"),
        ("| C || |: G :| |", "C G G"),
        ("| C | :| | G |", "C C G"),
        ("| C | ./. | G; Am |", "C C G Am"),
    ],
)
def test_charts_are_read_as_players_mean_them(text: str, chords: str) -> None:
    assert LeadSheet.parse(text).chord_labels == LeadSheet.parse(chords).chord_labels


def test_a_chart_has_meters_and_sections() -> None:
    sheet = LeadSheet.parse("[Verse 1] 3/4 | C | G | [Chorus] 4/4 Am | F |")
    assert [(part.start, part.label) for part in sheet.sections] == [(0, "Verse 1"), (6, "Chorus")]
    assert [(span.start, str(span.meter)) for span in sheet.meters] == [(0, "3/4"), (6, "4/4")]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("| C | 4 |", "chart of degrees"),
        ("| C | G | x3", r"\|:"),
        ("C G x3", r"\|:"),
        ("|: |: C :| :|", "inside another"),
        ("| C | D.C. |", "write out"),
        ("Intro: C", r"\[Intro\]"),
        ("| C - G |", "spaces"),
        ("C-G-Am-F", "part them with spaces"),
        ("(Verse) | C | G |", r"brackets: \[Verse\]"),
        ("{Chorus} | C |", r"brackets: \[Chorus\]"),
        ("|: C [1 F :| [2 G |", "for an ending"),
        ("C G x3", "put the passage between"),
        ("|: C :|9999", "1–64"),
        ("| | C |", "none"),
        ("|: C", ":|"),
        ("[] C", "name"),
        (f"[{'A' * 99}] C", "80"),
    ],
)
def test_what_no_player_could_read_is_refused_with_the_right_hint(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint.replace("|", r"\|") if hint == ":|" else hint):
        LeadSheet.parse(text)
