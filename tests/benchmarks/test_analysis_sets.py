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
    for name in ("analysis", "songs", "recordings", "peers", "listeners"):
        sys.modules.pop(name, None)


@pytest.fixture
def args(tmp_path: Path) -> argparse.Namespace:
    return _args(tmp_path)


def _args(tmp_path: Path) -> argparse.Namespace:
    return argparse.Namespace(
        data=tmp_path, materials=tmp_path, fluid=None, songs=1, others=2, recast=1, meters="6/8,3/4", seconds=10.0
    )


def test_sets_are_chosen_by_name_and_say_why_they_are_missing(analysis, args, capsys) -> None:  # type: ignore[no-untyped-def]
    sets = analysis.all_sets(args)
    assert {some.name for some in sets if not some.known} == {
        "pop-timgm", "bands", "grooves", "others", "mp3", "recast", "recordings",
    }  # fmt: skip
    assert all(some.truth for some in sets)
    assert [some.name for some in analysis.choose(sets, "mp3,bands,others,recordings")] == ["bands", "mp3"]
    printed = capsys.readouterr().out
    assert "others left out" in printed
    assert "recordings left out" in printed
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


def test_a_meter_is_right_by_name_or_by_the_beats_of_most_bars(analysis) -> None:  # type: ignore[no-untyped-def]
    from recordings import Recording, stretch

    song = stretch(Recording("band", "title", 120.0, 0.02, 1), 10.0, 10.0)
    assert song.beats_s[0] == pytest.approx(0.02)  # beat 20
    assert song.downbeats_s[:2] == pytest.approx([0.52, 2.52])  # beats 21 and 25 open bars
    assert song.beats_s[-1] < 10.0 < song.beats_s[-1] + 0.5
    fours = {"beats": song.beats_s, "downbeats": song.beats_s[2::4], "cpu_seconds": 1.0}
    assert analysis.name_meter(fours) == "4 beats"
    assert analysis.score(song, fours)["meter"] == 100
    assert analysis.score(song, fours | {"downbeats": song.beats_s[2::3]})["meter"] == 0
    assert analysis.score(song, fours | {"meter": "4/4"})["meter"] == 100
    assert analysis.score(song, fours | {"meter": "2/4"})["meter"] == 0
    assert "majmin" not in analysis.score(song, fours | {"labels": ["N"], "intervals": np.array([[0.0, 10.0]])})
    unsure = stretch(Recording("band", "title", 120.0, 0.02, None), 10.0, 10.0)
    assert not {"meter", "downbeat F"} & analysis.score(unsure, fours).keys()


def test_the_record_keeps_what_was_not_heard_this_time(analysis, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    import json

    path = tmp_path / "analyser.json"
    path.write_text(json.dumps({"title": "Beside others", "rows": [], "means": {"musetune": {"mp3": {"root": 1.0}}}}))
    found = analysis.Findings(
        {"musetune": {"recast": [{"root": 80.0}, {"root": 90.5}]}}, {}, {}, {"recast": [1.0, 1.0]}
    )
    sets = [some for some in analysis.all_sets(_args(tmp_path)) if some.name == "recast"]
    analysis.write_record(path, found.record(sets, {"recast": "sure"}))
    record = json.loads(path.read_text())
    assert record["title"] == "Beside others"
    assert "rows" not in record
    assert record["means"] == {"musetune": {"mp3": {"root": 1.0}, "recast": {"root": 85.25}}}
    assert record["sets"] == {"recast": {"known": False, "songs": 2, "truth": "sure"}}


def test_the_confusion_of_meters_names_what_was_heard(analysis) -> None:  # type: ignore[no-untyped-def]
    from collections import Counter

    heard = {"musetune": {"6/8": Counter({"6/8": 3, "3/4": 1})}, "other": {"6/8": Counter({"2 beats": 4})}}
    assert analysis.confusion(heard).splitlines()[2] == "| 6/8 | 6/8 3, 3/4 1 | 2 beats 4 |"


def write_pop909(folder: Path, number: str, label: str, seconds: int = 16) -> None:
    """C major at 120, in four, annotated as `label`."""
    song = folder / number
    song.mkdir(parents=True)
    midi, piano = pretty_midi.PrettyMIDI(), pretty_midi.Instrument(0, name="PIANO")
    piano.notes = [pretty_midi.Note(80, p, bar, bar + 0.95) for bar in range(seconds) for p in (48, 60, 64, 67)]
    midi.instruments.append(piano)
    midi.write(str(song / "arrangement.mid"))
    (song / "chords.txt").write_text(f"0 {seconds} {label}\n")
    (song / "beats.txt").write_text("".join(f"{beat / 2} 1 {int(beat % 4 == 0)}\n" for beat in range(2 * seconds)))
    (song / "key.txt").write_text(f"0 {seconds} C:maj\n")


def test_the_rule_of_half_bars_is_held_against_annotators(analysis, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from songs import half_bar_agreement

    write_pop909(tmp_path, "005", "C:maj")
    write_pop909(tmp_path, "025", "C:min")
    found = half_bar_agreement(tmp_path, 1, 16.0)
    assert (found["share"], found["majmin"], found["sevenths"]) == (100, 100, 100)
    assert half_bar_agreement(tmp_path, 2, 16.0)["majmin"] == pytest.approx(50, abs=1)


def test_songs_are_recast_in_turn(analysis, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from songs import meter_songs

    for number in ("005", "010", "015", "025"):  # 015 is for tuning
        write_pop909(tmp_path, number, "C:maj", seconds=40)
    found = list(meter_songs(tmp_path, 1, 16.0, ("6/8", "3/4", "4/4")))
    assert [(song.name, song.meter) for song in found] == [("005", "6/8"), ("025", "3/4"), ("010", "4/4")]
    assert all(any(part.is_drum for part in song.midi.instruments) for song in found)


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
