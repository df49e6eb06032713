"""What metadata.jsonl says of a recording, laid over what is heard in it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from small import SR, tones

from musetune.datasets import metadata as recipe
from musetune.datasets.prepare import changes
from musetune.symbols import LeadSheet, Meter


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"key": "C major"}, {"bpm": 120}, {"time_signature": "4/4"}], ids=str)
def test_given_chords_lie_on_the_beats_that_are_heard(tmp_path: Path, more: dict[str, object]) -> None:
    sheet = LeadSheet.from_progression(["I", "V", "vi", "IV"], key="C major", bpm=120, duration_seconds=22)
    wave = np.concatenate([np.zeros(round(0.45 * SR), np.float32), tones(sheet, 22)])  # a lead-in of 0.45 s
    told = recipe.lead_sheet({"chords": "| C | G/B | Am | F |", **more}, wave, SR)
    heard = recipe.lead_sheet({}, wave, SR)
    assert np.allclose((told.beats_s - 0.45 + 0.25) % 0.5 - 0.25, 0, atol=0.04)
    assert told.downbeats_s == pytest.approx(heard.downbeats_s, abs=0.04)
    assert told.chord_intervals_s[0, 0] == pytest.approx(told.downbeats_s[0])
    assert told.chord_labels[:4] == ["C:maj", "G:maj/3", "A:min", "F:maj"]
    assert [s.beats for s in told.chords[:4]] == [4] * 4
    assert told.chords[-1].end == told.length


def test_a_told_meter_starts_its_bars_where_chords_change() -> None:
    sheet = LeadSheet.from_progression(["I", "V"], key="C major", bpm=120, time_signature="3/4", duration_seconds=20)
    misheard = recipe.in_other_meter(sheet, Meter.parse("4/4"))
    waltz = recipe.in_other_meter(replace(misheard, first_downbeat=Fraction(1)), Meter.parse("3/4"))
    assert waltz.downbeats() == sheet.downbeats()


def write(folder: Path, content: str | bytes, name: str = "metadata.jsonl") -> Path:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


ROW = '{"file_name": "a.wav", "text": "x"}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ROW + '\n{"text": "no name"}\n', "line 3: has no file_name"),
        ("file_name: a.wav\n", "line 1: is no JSON"),
        ("[" * 100_000, "line 1: is nested too deeply"),
        ('["a.wav"]\n', "line 1: is no object"),
        (ROW.encode() + '{"file_name": "b.wav", "text": "Frédéric"}\n'.encode("latin1"), "line 2: is not UTF-8"),
        (ROW.encode("utf-16"), "line 1: is not UTF-8"),
        ('{"file_name": "/elsewhere/a.wav"}', "line 1: file_name is '/elsewhere/a.wav': give a path relative"),
        ('{"file_name": "../a.wav"}', "line 1: file_name is '../a.wav'"),
        ('{"file_name": 5}', "line 1: file_name is 5"),
        ('{"file_name": null}', "line 1: has no file_name"),
        ('{"file_name": "a.wav", "text": 1999}', "line 1: text is 1999: give a string"),
        ('{"file_name": "a.wav", "text": ["a", "b"]}', "line 1: text is ['a', 'b']: give a string"),
        ('{"file_name": "a.wav", "text": "\\ud800"}', "line 1: text has characters that are not UTF-8"),
        ('{"file_name": "a.wav", "bpm": "fast"}', "line 1: bpm is 'fast': give a number"),
        ('{"file_name": "a.wav", "bpm": true}', "line 1: bpm is True: give a number"),
        ('{"file_name": "a.wav", "bpm": NaN}', "line 1: bpm is nan: give a number"),
        ('{"file_name": "a.wav", "lead_sheet": "C G"}', "line 1: lead_sheet is 'C G': give an object"),
        (ROW + '{"file_name": "./a.wav", "text": "y"}', "line 2:  … line 1 says something else of the same file"),
    ],
)
def test_wrong_metadata_is_named_with_file_and_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    write(tmp_path, content)
    with pytest.raises(ValueError, match=r"metadata\.jsonl, line") as raised:
        recipe.read_metadata(tmp_path)
    assert all(part in str(raised.value) for part in message.split(" … "))


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85"])
def test_lines_end_at_newlines_alone(tmp_path: Path, character: str) -> None:
    text = f"x{character}y"
    write(tmp_path, json.dumps({"file_name": "a.wav", "text": text}, ensure_ascii=False) + "\r\n")
    assert recipe.read_metadata(tmp_path)["a.wav"]["text"] == text


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path, name: str) -> None:
    content = ROW if name == "metadata.jsonl" else "file_name,text\na.wav,x\n"
    write(tmp_path, b"\xef\xbb\xbf" + content.encode(), name)
    assert recipe.read_metadata(tmp_path)["a.wav"]["text"] == "x"


@pytest.mark.parametrize(("word", "sheet_genre"), [("jazz", "jazz"), ("folk", None), ("hard rock", None)])
def test_any_word_is_a_genre_and_those_of_the_model_are_conditions(word: str, sheet_genre: str | None) -> None:
    meta = {"chords": "| C | F |", "bpm": 120, "key": "C major", "genre": word}
    findings = recipe.findings(meta, np.zeros(8 * SR, np.float32), SR)
    assert (findings.genre, findings.sheet.genre) == (word, sheet_genre)
    assert (findings.guess, findings.confidence) == (None, None)


def test_a_misspelt_genre_and_the_other_spelling_of_licence(tmp_path: Path) -> None:
    rows = [{"file_name": "a.wav", "genre": "jaz"}, {"file_name": "b.wav", "license": "MIT"}]
    scanned, faults = recipe.scan_metadata(write(tmp_path, "\n".join(map(json.dumps, rows))))
    assert faults == []
    assert scanned["a.wav"].fault == "genre is 'jaz': write 'jazz', if that is meant, or a word that is less like it"
    assert scanned["b.wav"].fields == {"file_name": "b.wav", "licence": "MIT"}


def test_csv_is_read_as_json_lines_are(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(
        tmp_path / "deep",
        'file_name,text,genre,bpm\r\n"a, b.wav","two\nlines",jazz,97.5\r\nc.wav,,,\r\n',
        "metadata.csv",
    )
    assert recipe.read_metadata(tmp_path) == {
        "deep/a, b.wav": {"file_name": "a, b.wav", "text": "two\nlines", "genre": "jazz", "bpm": 97.5},
        "deep/c.wav": {"file_name": "c.wav"},
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name;text\na.wav;x\n", "line 1: has no column file_name"),
        ("file_name,bpm\na.wav,fast\n", "line 2: has a cell that cannot be read: .*fast"),
        ("file_name,text\na.wav,x,y\n", "line 2: has 3 cells, the head 2"),
        ('file_name,text\na.wav,"x\nb.wav,y\n', "line 2: is no CSV"),
        ("file_name,lead_sheet\na.wav,{\n", "line 2: has a cell that cannot be read"),
        (b"file_name,text\na.wav,caf\xe9\n", "line 2: text has characters that are not UTF-8"),
    ],
)
def test_wrong_csv_is_named_with_file_and_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    write(tmp_path, content, "metadata.csv")
    with pytest.raises(ValueError, match=re.escape("metadata.csv, ") + message):
        recipe.read_metadata(tmp_path)


def test_bad_rows_leave_the_others_alone_and_name_their_file_where_they_can(tmp_path: Path) -> None:
    lines = [ROW.strip(), '{"file_name": "b.wav", "text": x}', '{"text": "?"}', '{"file_name": "c.wav", "bpm": 90}']
    rows, faults = recipe.scan_metadata(write(tmp_path, "\n".join(lines)))
    assert {name: row.fault is None for name, row in rows.items()} == {"a.wav": True, "b.wav": False, "c.wav": True}
    assert "line 2" in rows["b.wav"].location
    assert len(faults) == 1
    assert "line 3" in faults[0]


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metadata.jsonl")
    left_out = f"{tmp_path / 'metadata.jsonl'} is not a file: it is left out"
    assert recipe.scan_metadata(tmp_path) == ({}, [left_out])


@pytest.mark.parametrize("content", ["", '{"genre": ', "[]", "[" * 100_000])
def test_damaged_options_of_a_run_are_said_and_written_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "prepare.json").write_text(content)
    (said,) = changes(tmp_path, {"genre": "jazz"}, {}, {})
    assert str(tmp_path / "prepare.json") in said
    assert changes(tmp_path, {"genre": "jazz"}, {}, {}) == []
    assert "was begun with --genre jazz" in changes(tmp_path, {"genre": "pop"}, {}, {})[0]
