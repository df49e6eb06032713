"""Who wrote which section of a part: told in few words, kept in JSON, cut with the notes."""

from __future__ import annotations

from pathlib import Path

import pytest

from musetune.formats.songs import load_arrangement, save_song
from musetune.symbols import Arrangement, BeatGrid, LeadSheet, Stem, StemNote, Writer

GRID = BeatGrid.constant(bpm=120, n_beats=16)
NOTES = tuple(StemNote(float(beat), 1.0, 40) for beat in range(4, 16))
WRITERS = (Writer(0.0, "intro", "rule", "none"), Writer(4.0, "verse", "rule", "walking"), Writer(8.0, "end", "model"))


def test_credit_in_few_words() -> None:
    assert Stem(33, NOTES, writers=WRITERS).credit == "by rule walking, by the model; rests in intro"
    assert Stem(33, NOTES, source="model").credit == "by the model"
    assert Stem(33, NOTES, source="given").credit == "as given"
    assert Stem(33, NOTES).credit == "by a rule"
    assert Stem(33, (), writers=WRITERS[:1]).credit == "rests"


def test_another_source_is_refused() -> None:
    with pytest.raises(ValueError, match="source='band' is not one of model, rule, given"):
        Writer(0, "verse", "band")


@pytest.mark.parametrize("file", ["song.json", "song.mid"])
def test_files_keep_the_writers(file: str, tmp_path: Path) -> None:
    sheet = LeadSheet.parse("| C | F | G | C |", bpm=120)
    song = Arrangement(sheet.grid, {"bass": Stem(33, NOTES, writers=WRITERS), "keys": Stem(0, NOTES)})
    assert load_arrangement(save_song(sheet, song, tmp_path / file)) == song
    assert "writers" not in song.to_json()["keys"]


def test_a_cut_keeps_who_wrote_what_is_left() -> None:
    song = Arrangement(GRID, {"bass": Stem(33, NOTES, writers=WRITERS)})
    cut = song.crop(3.0, 4.0, BeatGrid.constant(bpm=120, n_beats=8)).stems["bass"]
    assert cut.writers == (Writer(0.0, "verse", "rule", "walking"), Writer(2.0, "end", "model"))
    assert song.crop(0.0, 2.0, GRID).stems["bass"].credit == "rests"
