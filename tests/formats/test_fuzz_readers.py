"""Hostile input to every reader: a result or a ValueError, within bounds, and never a stack trace's words."""

from __future__ import annotations

import io
import json
import re
import resource
import time
import zipfile
from pathlib import Path

import mido
import pytest
from fuzz import fuzz
from hypothesis import given
from hypothesis import strategies as st

from musetune.formats.scores import read_score
from musetune.formats.songs import load_arrangement
from musetune.symbols import LeadSheet
from musetune.symbols.remarks import collected

CASES = Path(__file__).parents[1] / "data" / "cases"
WORDS = (
    "no element found",
    "not well-formed",
    "EOFError",
    "list index",
    "recursion depth",
    "KeyError",
    "NoneType",
    "object has no",
    "unhashable",
)
PATIENCE_S = 20.0  # of processor time; the readers' own limits end far earlier, a machine may be busy


def seeds(kind: str, suffix: str) -> list[bytes]:
    """Real files of a kind."""
    return [path.read_bytes() for path in sorted((CASES / kind).glob(f"*{suffix}"))]


SHEET = LeadSheet.parse("[A] | C | G/B . Am7(b5) . | 3/4 F | % |", key="C major", bpm=97)
CORPUS = {
    ".mid": seeds("midi", ".mid"),
    ".musicxml": seeds("musicxml", ".musicxml"),
    ".mxl": seeds("musicxml", ".mxl"),
    ".jams": seeds("jams", ".jams"),
    ".json": [json.dumps(SHEET.to_json()).encode(), *seeds("json", ".json")],
}
TOKENS = [
    b"1e999999999",
    b"-1",
    b"0",
    b"99999999999999999999",
    b"NaN",
    b"null",
    b"[]",
    b"{}",
    b'""',
    b"\xff\xff\xff\x7f",
    b"\xff\x58\x04\x00\x00",
    b"\xff\x59\x02\x08\x07",
    b"MTrk",
    b"<harmony/>",
    b"<key><fifths>99</fifths></key>",
    b"<backup><duration>9</duration></backup>",
    b"\0",
    b"<divisions>0</divisions>",
    b"<time><beats>0</beats><beat-type>3</beat-type></time>",
    b'"C:maj"',
    b"true",
    b"[[[[",
    b"1/0",
    b"\xc3\x28",
]


@st.composite
def damaged(draw: st.DrawFn, suffix: str) -> bytes:
    """A real file with bytes changed, stretches cut, doubled or replaced by what parsers dislike; or any bytes."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=300))
    data = bytearray(draw(st.sampled_from(CORPUS[suffix])))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        size = draw(st.integers(0, 40))
        kind = draw(st.integers(0, 4))
        if kind == 0 and data:
            data[min(at, len(data) - 1)] = draw(st.integers(0, 255))
        elif kind == 1:
            del data[at : at + size]
        elif kind == 2:
            data[at : at + size] = draw(st.sampled_from(TOKENS))
        elif kind == 3:
            data[at:at] = data[at : at + size] * draw(st.integers(1, 20))
        else:
            del data[at + draw(st.integers(0, 4000)) :]
    return bytes(data)


def survives(read, *arguments) -> None:  # type: ignore[no-untyped-def]
    """Whether ``read`` gives something or a ValueError in plain words, soon."""
    started = time.process_time()
    with collected() as said:
        try:
            read(*arguments)
        except (ValueError, FileNotFoundError) as error:
            said.append(str(error))
    for text in said:
        assert not any(word in text for word in WORDS), text
        assert len(text) < 1500
    assert time.process_time() - started < PATIENCE_S


@pytest.mark.slow
@pytest.mark.parametrize("suffix", CORPUS)
def test_damaged_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"

    @fuzz
    @given(data=damaged(suffix))
    def check(data: bytes) -> None:
        path.write_bytes(data)
        survives(LeadSheet.load, path)
        if suffix not in (".json", ".jams"):
            survives(read_score, path)
        if suffix in (".json", ".mid"):
            survives(load_arrangement, path)

    check()


test_damaged_files = pytest.mark.fuzz(test_damaged_files)


@fuzz
@given(
    text=st.text(max_size=60)
    | st.lists(
        st.sampled_from(
            [
                "|",
                "|:",
                ":|",
                ":|3",
                "x3",
                "||",
                "|]",
                "[A]",
                "[",
                "]",
                "C",
                "Am7",
                "G/B",
                "%",
                ".",
                "/",
                "1",
                "1.",
                "|2.",
                "4/4",
                "17/8",
                "V/V",
                "N.C.",
                ",",
                "(",
                ")",
                "5",
                "b7",
                "\n",
                " ",
                "64",
                ":|9999",
                "D.C.",
                "Intro:",
                "-",
                "𝄆",
                "bVII7",
                "C:maj(9,11)",
            ]
        ),
        max_size=40,
    ).map(" ".join)
)
def test_any_chart(text: str) -> None:
    survives(LeadSheet.parse, text)


BAR = b"<score-partwise><part><measure>%s</measure></part></score-partwise>"
BOMBS = {
    "exponent.json": json.dumps(SHEET.to_json() | {"length": "1e999999999"}).encode(),
    "digits.json": json.dumps(SHEET.to_json() | {"length": "9" * 5000}).encode(),
    "integer.json": b'{"schema": ' + b"9" * 100_000 + b"}",
    "deep.json": b"[" * 1_000_000,
    "infinity.json": json.dumps(SHEET.to_json() | {"beats_s": [0, 1e400]}).encode(),
    "long.json": json.dumps(SHEET.to_json() | {"length": str(10**9)}).encode(),
    "many.json": b'{"schema": 1, "chords": [' + b"[]," * 2_000_000 + b"[]]}",
    "many.jams": b'{"annotations": [{"namespace": "beat", "data": [' + b'{"time":1},' * 650_000 + b'{"time":1}]}]}',
    "deep.jams": b'{"annotations":' + b"[" * 200_000,
    "deep.musicxml": b"<score-partwise>" + b"<part>" * 100_000,
    "many.musicxml": b"<score-partwise><part>" + b"<measure/>" * 1_000_000 + b"</part></score-partwise>",
    "attributes.musicxml": b"<score-partwise " + b" ".join(b'a%d=""' % i for i in range(600_000)) + b"/>",
    "bars.musicxml": b"<score-partwise><part>" + b"<measure/>" * 60_000 + b"</part></score-partwise>",
    "notes.musicxml": BAR % (b"<note/>" * 110_000),
    "symbols.musicxml": BAR % (b"<harmony/>" * 21_000),
    "chords.jams": b'{"annotations": [{"namespace": "beat", "data": [{"time":1},{"time":2}]},'
    + b'{"namespace": "chord", "data": ['
    + b'{"time":1,"duration":1,"value":"C"},' * 6000
    + b"{}]}]}",
    "entities.musicxml": b'<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><score-partwise>&b;</score-partwise>',
    "long.musicxml": BAR % b"<note><duration>1e999999999</duration></note>",
    "hours.musicxml": BAR % b"<forward><duration>99999999999</duration></forward>",
}


def midi_bytes(*messages: mido.Message | mido.MetaMessage) -> bytes:
    file, out = mido.MidiFile(), io.BytesIO()
    file.tracks.append(mido.MidiTrack(messages))
    file.save(file=out)
    return out.getvalue()


BOMBS["hours.mid"] = midi_bytes(*[mido.Message("note_on", note=60, velocity=9, time=0x0FFFFFF) for _ in range(40)])
BOMBS["many.mid"] = b"MThd\0\0\0\6\0\0\0\1\1\xe0MTrk\0\x3d\x09\0" + b"\0\x90\x3c\x40" * 1_000_000
BOMBS["tracks.mid"] = b"MThd\0\0\0\6\0\1\xff\xff\1\xe0" + b"MTrk\0\0\0\4\0\xff\x2f\0" * 300_000
BOMBS["markers.mid"] = midi_bytes(*[mido.MetaMessage("marker", text="C", time=1) for _ in range(21_000)])
BOMBS["slow.mid"] = midi_bytes(
    mido.MetaMessage("set_tempo", tempo=0xFFFFFF),
    mido.Message("note_on", note=60, velocity=9),
    mido.Message("note_off", note=60, time=480 * 40_000),
)
with zipfile.ZipFile(packed := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as pack:
    pack.writestr("a.xml", b" " * (64 << 20))
BOMBS["large.mxl"] = packed.getvalue()


@pytest.mark.parametrize("name", BOMBS)
def test_what_asks_for_too_much_is_refused_before_the_work(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(BOMBS[name])
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(ValueError, match=re.escape(name)) as error:
        LeadSheet.load(path)
    assert not any(word in str(error.value) for word in WORDS)
    assert time.process_time() - started < 5  # under 1 s on an idle machine
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file ends before its XML does (line 1)"),
        (b"<score-partwise>\n<part>\n", "the file ends before its XML does (line 3)"),
        (b"<score-partwise><par", "a tag in line 1 is not closed"),
        (b"<score-partwise>\n</part>", "the end tag in line 2 does not belong"),
        (b"<score-partwise/>\n<part/>", "something follows the end of the XML (line 2)"),
        (b"<score-partwise>\0</score-partwise>", "line 1 holds a character that XML does not allow"),
        (b"<score-partwise>&nbsp;</score-partwise>", "line 1 uses an entity"),
        (b'<?xml version="1.0" encoding="klingon"?><score-partwise/>', "save it as UTF-8"),
        (b'<?xml version="1.0" encoding="utf-16"?><score-partwise/>', "save it as UTF-8"),
        (b"<score-partwise a='' a=''/>", "the same attribute twice"),
        (b"<score-partwise><![CDATA[", "a CDATA section in line 1"),
        (b"<?xml ersion='1.0'?><score-partwise/>", "line 1 is not XML"),
    ],
)
def test_faults_of_xml_are_said_in_plain_words(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "a.xml").write_bytes(data)
    with pytest.raises(ValueError, match=re.escape(words)):
        LeadSheet.load(tmp_path / "a.xml")


@pytest.mark.parametrize(
    "text",
    [
        "C " * 20_000,
        "|: " * 6000,
        "|: C :|64" * 2000,
        "| C " * 5001,
        "[" * 19_000,
        "1" * 19_000,
        "x" * 19_000,
        "C " * 9999,
    ],
)
def test_charts_that_multiply_are_refused_soon(text: str) -> None:
    started = time.process_time()
    with pytest.raises(ValueError, match=r"chord|chart|repeat|section"):
        LeadSheet.parse(text)
    assert time.process_time() - started < 5
