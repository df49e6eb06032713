"""Tables from elsewhere: CSV and JSON lines, all or nothing, problems named by row, column and value."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from musetune import LeadSheet
from musetune.evaluation.preferences import Judge, PairBatch, import_pairs, read_verdicts

MakeSound = Callable[[str], Path]
HEAD = "audio_a,audio_b,origin_a,origin_b"


@pytest.fixture
def table(tmp_path: Path, sound: MakeSound) -> Callable[..., Path]:
    """A function that writes a table of some columns and rows; sounds x, y, z lie beside it."""
    for name in "xyz":
        sound(name)

    def write(head: str, *rows: str) -> Path:
        path = tmp_path / "pairs.csv"
        path.write_text("\n".join([head, *rows]) + "\n")
        return path

    return write


def test_pairs_and_verdicts_come_in_once(table: Callable[..., Path], tmp_path: Path) -> None:
    LeadSheet.parse("| C | G |").save(tmp_path / "x.json")
    path = table(
        f"{HEAD},pair,prompt,chart_a,seed_a,adapter_b,verdict,judge,reasons,time",
        'x.wav,y.wav,old,new,1,"slow, sad",x.json,7,jazz,B,anna,chords sound,2026-01-31T12:00:00+00:00',
        'x.wav,y.wav,old,new,1,"slow, sad",x.json,7,jazz,equal,bert,,',
        "y.wav,z.wav,old,new,2,fast,,,,,,,",
    )
    assert import_pairs(path, tmp_path / "batch") == (2, 2, 0)
    batch = PairBatch(tmp_path / "batch")
    pair = batch.pairs()["1"]
    assert pair.request == {"prompt": "slow, sad"}
    assert pair.sides[0].origin == {"name": "old", "seed": 7}
    assert pair.sides[1].origin == {"name": "new", "adapters": {"jazz": 1.0}}
    assert pair.sides[0].chart is not None
    anna, bert = read_verdicts(batch.preferences)
    assert (anna.judge, anna.verdict, anna.reasons) == (Judge("person", "anna"), "B", ("chords", "sound"))
    assert anna.time == "2026-01-31T12:00:00+00:00"
    assert anna.winner is not None
    assert anna.winner["sha256"] == pair.sides[1].sha256
    assert bert.verdict == "equal"
    assert import_pairs(path, tmp_path / "batch") == (0, 0, 2)
    assert len(read_verdicts(batch.preferences)) == 2


def test_json_lines_are_read_too(table: Callable[..., Path], tmp_path: Path) -> None:
    row = {"audio_a": "x.wav", "audio_b": "z.wav", "origin_a": "old", "origin_b": "new"}
    row |= {"seed_a": 3, "reasons": ["words"], "verdict": "A", "judge": "anna", "prompt": None}
    path = table("x").with_suffix(".jsonl")
    path.write_text(json.dumps(row) + "\n\n")
    assert import_pairs(path, tmp_path / "batch") == (1, 1, 0)
    (verdict,) = read_verdicts(tmp_path / "batch" / "preferences.jsonl")
    assert verdict.reasons == ("words",)
    assert verdict.a["origin"] == {"name": "old", "seed": 3}


@pytest.mark.parametrize(
    ("head", "row", "message"),
    [
        (HEAD, "x.wav,none.wav,old,new", "row 2, column audio_b: none.wav is not there; give a path relative"),
        (HEAD, "x.wav,bad.wav,old,new", "row 2, column audio_b: bad.wav cannot be read"),
        (HEAD, "x.wav,x.wav,old,new", "row 2, column audio_b: x.wav is the same sound as audio_a"),
        (HEAD, "x.wav,y.wav,old,", "row 2, column origin_b is empty"),
        (HEAD, "x.wav,y.wav,old", "row 2: it has another number of cells"),
        (f"{HEAD},orign_c", "x.wav,y.wav,old,new,1", "column 'orign_c' is unknown; is it origin_"),
        ("audio_a,audio_b", "x.wav,y.wav", "column origin_a is missing"),
        (f"{HEAD},verdict,judge", "x.wav,y.wav,old,new,left,anna", "column verdict: 'left' is none of A, B, equal"),
        (f"{HEAD},verdict,judge", "x.wav,y.wav,old,new,A,", "column judge is empty; say whose verdict"),
        (f"{HEAD},reasons", "x.wav,y.wav,old,new,mood", "column reasons: 'mood' is none of chords"),
        (f"{HEAD},time", "x.wav,y.wav,old,new,noon", "column time: 'noon' is no time; write 2026-"),
        (f"{HEAD},seed_b", "x.wav,y.wav,old,new,1.5", "column seed_b: '1.5' is no whole number"),
        (f"{HEAD},chart_a", "x.wav,y.wav,old,new,bad.json", "column chart_a: bad.json cannot be read"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_is_taken(
    table: Callable[..., Path], tmp_path: Path, head: str, row: str, message: str
) -> None:
    (tmp_path / "bad.wav").write_text("no sound")
    (tmp_path / "bad.json").write_text("{}")
    path = table(head, row, *([",".join(["y.wav", "z.wav", "old", "new", *[""] * (head.count(",") - 3)])]))
    with pytest.raises(ValueError, match=message):
        import_pairs(path, tmp_path / "batch")
    assert not (tmp_path / "batch").exists()


def test_all_problems_are_named_up_to_five(table: Callable[..., Path], tmp_path: Path) -> None:
    path = table(HEAD, *["x.wav,none.wav,old,new"] * 7)
    with pytest.raises(ValueError, match=r"row 2, column audio_b(.|\n)*row 6, column audio_b.*\(and 2 more problems\)"):
        import_pairs(path, tmp_path / "batch")


def test_a_name_means_one_pair(table: Callable[..., Path], tmp_path: Path) -> None:
    path = table(f"{HEAD},pair", "x.wav,y.wav,old,new,1", "y.wav,z.wav,old,new,1")
    with pytest.raises(ValueError, match="row 3, column pair: '1' is another pair in row 2"):
        import_pairs(path, tmp_path / "batch")
    import_pairs(table(f"{HEAD},pair", "x.wav,y.wav,old,new,1"), tmp_path / "batch")
    with pytest.raises(ValueError, match=r"row 2, column pair: '1' is another pair in .*batch"):
        import_pairs(table(f"{HEAD},pair", "y.wav,z.wav,old,new,1"), tmp_path / "batch")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pairs.xlsx", b"", "suffix '.xlsx'; give a table, .csv or .jsonl"),
        ("pairs.csv", b"", "holds no rows|column audio_a is missing"),
        ("pairs.csv", "audio_a,ö".encode("latin-1"), "no UTF-8 at byte 8"),
        ("pairs.jsonl", b"{]", "row 1 is no JSON"),
        ("pairs.jsonl", b"[]", "row 1 is no object"),
    ],
)
def test_what_is_no_table_is_said(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        import_pairs(tmp_path / name, tmp_path / "batch")


def test_a_folder_with_one_table_is_taken(table: Callable[..., Path], tmp_path: Path) -> None:
    path = table(HEAD, "x.wav,y.wav,old,new")
    assert import_pairs(path.parent, tmp_path / "batch") == (1, 0, 0)
    path.with_suffix(".jsonl").write_text("{}\n")
    with pytest.raises(ValueError, match=r"pairs\.csv, pairs\.jsonl of the tables"):
        import_pairs(path.parent, tmp_path / "batch")
