"""MIREX label files: mir_eval reads them, whatever the sheet."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path

import mir_eval
import numpy as np
import pytest

from musetune.formats.labels import lab_files
from musetune.symbols import BeatGrid, Chord, Key, LeadSheet
from musetune.symbols.qualities import FLAT_DEGREES, QUALITIES
from musetune.symbols.spans import Section

WRITTEN = (
    "C7(#9)",
    "Cm7b5",
    "C13",
    "Cadd9",
    "C6/9",
    "C7sus4",
    "Edim",
    "Cmaj7#11",
    "C7b9b13",
    "Cm(maj9)",
    "Cm11",
    "Caug7",
)


def read(text: str, folder: Path) -> tuple[np.ndarray, list[str]]:
    (folder / "x.lab").write_text(text)
    return mir_eval.io.load_labeled_intervals(str(folder / "x.lab"))


def test_every_chord_is_one_of_mir_evals() -> None:
    chords = [
        Chord(root, quality, bass) for root, quality, bass in product(("C", "F#", "Cb"), QUALITIES[:-1], FLAT_DEGREES)
    ]
    labels = [chord.harte for chord in (*chords, *map(Chord.parse, WRITTEN), Chord(None, "N"))]
    roots, _, _ = mir_eval.chord.encode_many(labels)
    assert (roots[:-1] >= 0).all()


@pytest.mark.parametrize("seconds", [5.0, 8.0, 30.0])
def test_intervals_cover_the_music_once(seconds: float, tmp_path: Path) -> None:
    sheet = LeadSheet.parse("| C | Edim . N.C. . | F#m7b5/C | Bb |", bpm=120)
    sheet = replace(
        sheet, chords=(sheet.chords[0], *sheet.chords[2:]), sections=(Section(Fraction(4), Fraction(4), "A\nb"),)
    )
    early = replace(sheet, grid=BeatGrid(tuple(time - 1.3 for time in sheet.grid.times_s)))
    for one in (sheet, early, sheet.crop(0.7, 4.1)):
        texts = lab_files(one, seconds, Key("Cb"))
        for name in ("chords", "sections", "keys"):
            intervals, labels = read(texts[name], tmp_path)
            assert (intervals[0, 0], intervals[-1, 1]) == (0.0, seconds)
            assert (np.diff(intervals, axis=1) > 0).all()
            assert np.array_equal(intervals[1:, 0], intervals[:-1, 1])
            assert all(label == " ".join(label.split()) for label in labels)
        mir_eval.chord.encode_many(read(texts["chords"], tmp_path)[1])
        assert texts["key"] == "B\tmajor\n"
        (tmp_path / "beats.lab").write_text(texts["beats"])
        mir_eval.beat.validate(*2 * (mir_eval.io.load_events(str(tmp_path / "beats.lab")),))
