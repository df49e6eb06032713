"""Songs that a band plays in a style: they follow their chart, and say in which meter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from musetune import LeadSheet
from musetune.datasets.analyzer.sheet_songs import OWN_PROGRESSION, play_in_style
from musetune.planning.planner.song_styles import all_styles


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    return LeadSheet.parse("| C | Am | Dm | G7 |" * 4, bpm=100).save(tmp_path / "tune.json")


def test_styles_change_who_plays_how_fast_and_what_is_played_stays_the_chart(sheet: Path) -> None:
    songs = [play_in_style(sheet, 20.0, np.random.default_rng(number)) for number in range(24)]
    styles = {style.style: style for style in all_styles()}
    named = [styles[song.name.split(", ", 1)[1]] for song in songs]
    assert len({style.style for style in named}) > 12
    for song, style in zip(songs, named, strict=True):
        slowest, fastest = style.tempo
        assert slowest - 0.5 <= song.bpm <= fastest + 0.5
        assert song.meter in [str(meter) for meter, _ in style.meters]
        assert any(part.notes and not part.is_drum for part in song.midi.instruments)
        assert song.intervals_s[-1, 1] == pytest.approx(song.duration_s, abs=1e-3)
        assert len(song.labels) == len(song.intervals_s)
    assert len({part.program for song in songs for part in song.midi.instruments}) > 12


def test_the_players_sound_the_chords(sheet: Path) -> None:
    import mir_eval

    inside = total = 0.0
    for number in range(8):
        song = play_in_style(sheet, 20.0, np.random.default_rng(number))
        sounding = np.zeros((len(song.labels), 12))
        for note in (note for part in song.midi.instruments if not part.is_drum for note in part.notes):
            shared = np.minimum(song.intervals_s[:, 1], note.end) - np.maximum(song.intervals_s[:, 0], note.start)
            sounding[:, note.pitch % 12] += np.maximum(shared, 0)
        for row, label in zip(sounding, song.labels, strict=True):
            root, shape, _ = mir_eval.chord.encode(label)
            inside, total = inside + float(row[np.roll(shape, root) > 0].sum()), total + float(row.sum())
    assert inside / total > 0.8


def test_a_meter_that_no_style_has_is_named(tmp_path: Path) -> None:
    odd = LeadSheet.parse("| C | F |" * 4, bpm=100, time_signature="11/8").save(tmp_path / "odd.json")
    draw = next(n for n in range(40) if _plays_the_sheet(n))
    with pytest.raises(ValueError, match="11/8, in which no style is played"):
        play_in_style(odd, 10.0, np.random.default_rng(draw))


def _plays_the_sheet(number: int) -> bool:
    rng = np.random.default_rng(number)
    rng.integers(2**31)  # the seed of the players comes first
    return bool(rng.random() >= OWN_PROGRESSION)
