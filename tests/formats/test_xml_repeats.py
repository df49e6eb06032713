"""Repeats and endings of MusicXML are played out as players do."""

from __future__ import annotations

import pytest

from musetune import LeadSheet
from musetune.formats.musicxml import from_notation
from musetune.formats.musicxml_reader import parse_notation
from musetune.symbols.remarks import collected

FORWARD = '<barline location="left"><repeat direction="forward"/></barline>'
TIME = "<attributes><time><beats>{}</beats><beat-type>4</beat-type></time></attributes>"


def back(times: int | None = None, ending: str = "") -> str:
    closed = f'<ending number="{ending}" type="stop"/>' if ending else ""
    count = f' times="{times}"' if times else ""
    return f'<barline location="right">{closed}<repeat direction="backward"{count}/></barline>'


def begin(ending: str) -> str:
    return f'<barline location="left"><ending number="{ending}" type="start"/></barline>'


def stop(ending: str) -> str:
    return f'<barline location="right"><ending number="{ending}" type="discontinue"/></barline>'


def bar(root: str, *marks: str, beats: int = 4) -> str:
    """A measure of one chord and a rest; marks at its left side before its right one, as MusicXML has them."""
    left = "".join(mark for mark in marks if 'location="right"' not in mark)
    right = "".join(mark for mark in marks if 'location="right"' in mark)
    harmony = f"<harmony><root><root-step>{root}</root-step></root><kind>major</kind></harmony>"
    return f"<measure>{left}{harmony}<note><rest/><duration>{beats}</duration></note>{right}</measure>"


FIRST = bar("D", begin("1"), back(ending="1"))
SECOND = bar("E", begin("2"), stop("2"))


def read(*bars: str) -> tuple[LeadSheet, list[str]]:
    data = f'<score-partwise><part id="P1">{"".join(bars)}</part></score-partwise>'
    with collected() as said:
        return from_notation(parse_notation(data.encode())), said


def roots(sheet: LeadSheet) -> str:
    """A letter each bar of four beats."""
    return "".join(str(span.chord.root) for span in sheet.chords for _ in range(int(span.beats) // 4))


@pytest.mark.parametrize(
    ("played", "bars"),
    [
        ("CD", [bar("C"), bar("D")]),
        ("CDCDE", [bar("C"), bar("D", back()), bar("E")]),
        ("CDEDEF", [bar("C"), bar("D", FORWARD), bar("E", back()), bar("F")]),
        ("CCCCD", [bar("C", FORWARD, back(4)), bar("D")]),
        ("CCDD", [bar("C", back()), bar("D", back())]),
        ("CDCEF", [bar("C", FORWARD), FIRST, SECOND, bar("F")]),
        ("CDCDCE", [bar("C"), bar("D", begin("1, 2"), back(ending="1, 2")), bar("E", begin("3"), stop("3"))]),
        ("CDCE", [bar("C"), FIRST, bar("E")]),
        ("CDCE", [bar("C"), FIRST, bar("E", begin("2"), back(ending="2"))]),
        ("CDECF", [bar("C"), bar("D", begin("1")), bar("E", back(ending="1")), bar("F", begin("2"), stop("2"))]),
        (
            "CDCEFGFG",
            [bar("C"), FIRST, SECOND, bar("F"), bar("G", back())],
        ),
    ],
)  # fmt: skip
def test_bars_come_in_the_order_of_their_repeats(played: str, bars: list[str]) -> None:
    sheet, said = read(*bars)
    assert roots(sheet) == played
    assert said == ([] if len(played) == len(bars) else [
        f"its repeats are played out: {len(bars)} bars as written, {len(played)} as played"
    ])  # fmt: skip


def test_a_repeat_returns_to_its_own_meter_key_and_tempo() -> None:
    key = "<attributes><key><fifths>{}</fifths></key></attributes>"
    sheet, _ = read(
        bar("C", TIME.format(4), key.format(1), '<sound tempo="60"/>'),
        bar("D", FORWARD),
        bar("E", TIME.format(3), key.format(2), '<sound tempo="120"/>', back(), beats=3),
    )
    assert [(span.start, str(span.meter)) for span in sheet.meters] == [
        (0, "4/4"),
        (8, "3/4"),
        (11, "4/4"),
        (15, "3/4"),
    ]
    assert [str(span.key) for span in sheet.keys] == ["G major", "D major", "G major", "D major"]
    assert [span.start for span in sheet.keys] == [0, 8, 11, 15]
    assert sheet.duration_s == pytest.approx(8 + 1.5 + 4 + 1.5)


def test_a_repeat_in_a_later_part_counts_for_all() -> None:
    first, second = bar("C") + bar("D"), bar("C").replace("</measure>", back() + "</measure>") + bar("D")
    data = f'<score-partwise><part id="a">{first}</part><part id="b">{second}</part></score-partwise>'
    with collected():
        assert roots(from_notation(parse_notation(data.encode()))) == "CCD"


def test_jumps_are_said() -> None:
    sheet, said = read(bar("C"), bar("D", '<direction><sound dacapo="yes"/></direction>'))
    assert roots(sheet) == "CD"
    assert said == ["bar 2: D.C. is not followed, the bars are read in the order of their repeats"]


@pytest.mark.parametrize(
    "bars",
    [[bar("C", back(65))], [bar("C", back(10**8))], [bar("C", begin("999"), back(ending="999"))]],
)
def test_repeats_without_end_are_refused(bars: list[str]) -> None:
    with pytest.raises(ValueError, match=r"passes of .* more than 64"):
        read(*bars)


def test_repeats_that_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 50000"):
        read(*[bar("C", back(64))] * 1000)
