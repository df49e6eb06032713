"""The sets of benchmarks/analysis.py, without rendering whole songs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pretty_midi
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def analysis(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import analysis

    yield analysis
    for name in ("analysis", "songs", "peers", "listeners"):
        sys.modules.pop(name, None)


@pytest.fixture
def args(tmp_path: Path) -> argparse.Namespace:
    return argparse.Namespace(data=tmp_path, materials=tmp_path, fluid=None, songs=1, others=2, seconds=10.0)


def test_sets_are_chosen_by_name_and_say_why_they_are_missing(analysis, args, capsys) -> None:  # type: ignore[no-untyped-def]
    sets = analysis.all_sets(args)
    assert {some.name for some in sets if not some.known} == {"pop-timgm", "bands", "grooves", "others", "mp3"}
    assert all(some.truth for some in sets)
    assert [some.name for some in analysis.choose(sets, "mp3,bands,others")] == ["bands", "mp3"]
    assert "others left out" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no set is called mp4"):
        analysis.choose(sets, "mp4")


def test_tables_show_the_unknown_first_and_leave_out_who_says_nothing(analysis, args) -> None:  # type: ignore[no-untyped-def]
    sets = [some for some in analysis.all_sets(args) if some.name in ("pop-fluid", "mp3")]
    rows = {
        "musetune": {"mp3": [{"root": 80.0, "key": 50.0}, {"root": 90.0}], "pop-fluid": [{"root": 95.0}]},
        "deaf": {"mp3": [{"key": 100.0}]},
    }
    root, key = [table for table in analysis.tables(sets, rows) if table.startswith(("| root", "| key"))]
    assert root.splitlines()[0] == "| root | mp3 (unknown timbre) | pop-fluid (known timbre) |"
    assert root.splitlines()[2:] == ["| musetune | 85.0 | 95.0 |"]
    assert key.splitlines()[2:] == ["| musetune | 50.0 | — |", "| deaf | 100.0 | — |"]


def write_song(path: Path) -> None:
    """Sixteen bars of C major at 120."""
    midi, organ = pretty_midi.PrettyMIDI(), pretty_midi.Instrument(16)
    drums = pretty_midi.Instrument(0, is_drum=True)
    for bar in range(32):
        organ.notes += [pretty_midi.Note(80, pitch, 2 * bar, 2 * bar + 1.9) for pitch in (48, 60, 64, 67)]
        drums.notes.append(pretty_midi.Note(100, 36, 2 * bar, 2 * bar + 0.1))
    midi.instruments += [organ, drums]
    midi.write(str(path))


@pytest.mark.slow
def test_files_of_others_are_heard_on_the_held_out_sound(analysis, args, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("tinysoundfont")
    from songs import HeldOutSound, others

    for name in ("freedoom", "openmsx"):
        (tmp_path / "midi" / name).mkdir(parents=True)
        for number in range(12):
            write_song(tmp_path / "midi" / name / f"{number}.mid")
    found = list(others(tmp_path, 20, 8.0))
    assert 12 < len(found) < 20  # all of openmsx, and what training leaves out of freedoom
    song, certainty = found[0]
    assert song.labels == ["C:maj"]
    assert certainty > 0.9
    sound = HeldOutSound.find(tmp_path)
    assert sound.soundfont.stem == "TimGM6mb"
    assert "not unpacked" in str(sound)
    plain, coded = sound.render(song), sound.render(song, mp3_kbit=64)
    assert plain.shape == coded.shape
    assert abs(len(plain) / 22050 - 8.0) < 0.1
    assert 0.9 < np.corrcoef(plain, coded)[0, 1] < 0.99999
    said, _ = analysis.ours(plain)
    row = analysis.score(song, said)
    assert row["majmin"] > 80
    assert "key" not in row
