"""The sets of benchmarks/analysis.py, without rendering whole songs."""

from __future__ import annotations

import argparse
import json
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
    modules = list(sys.modules.items())  # to ask a lazy one for its file may load others
    ours = [name for name, module in modules if str(BENCHMARKS) in str(getattr(module, "__file__", ""))]
    for name in ours:
        del sys.modules[name]


@pytest.fixture
def args(tmp_path: Path) -> argparse.Namespace:
    return _args(tmp_path)


def _args(tmp_path: Path) -> argparse.Namespace:
    return argparse.Namespace(
        data=tmp_path,
        materials=tmp_path,
        fluid=None,
        songs=1,
        others=2,
        files=2,
        recast=1,
        meters="6/8,3/4",
        seconds=10.0,
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
        "musetune": {
            "mp3": [
                {"song": "one", "root": 80.0, "root, s": 30.0, "key": 50.0},
                {"song": "two", "root": 90.0, "root, s": 10.0},
            ],
            "pop-fluid": [{"song": "one", "root": 95.0, "root, s": 5.0}],
        },
        "deaf": {"mp3": [{"song": "one", "key": 100.0}]},
    }
    root, key = [table for table in analysis.tables(sets, rows) if table.startswith(("| root", "| key"))]
    assert root.splitlines()[0] == "| root | mp3 (unknown timbre) | pop-fluid (known timbre) |"
    assert root.splitlines()[2:] == ["| musetune | 82.5 (80–90) | 95.0 (95–95) |"]
    assert key.splitlines()[2:] == ["| musetune | 50.0 (50–50) | — |", "| deaf | 100.0 (100–100) | — |"]


def made_song(labels: list[str], seconds: float = 4.0):  # type: ignore[no-untyped-def]
    from musetune.datasets.corpus import AnnotatedSong

    edges = np.arange(len(labels) + 1) * seconds
    beats = np.arange(0, edges[-1], 0.5)
    intervals = np.stack([edges[:-1], edges[1:]], axis=1)
    return AnnotatedSong("song 60 s", pretty_midi.PrettyMIDI(), intervals, labels, beats, beats[::4], "none", edges[-1])


def test_chords_weigh_as_long_as_a_measure_can_compare_them(analysis) -> None:  # type: ignore[no-untyped-def]
    from listening_scores import mean_of, score

    mixed = made_song(["C:maj", "D:5", "E:sus4", "X"])
    said = {"intervals": mixed.intervals_s, "labels": ["C:maj", "D:maj", "E:maj", "C:maj"], "cpu_seconds": 1.0}
    row = score(mixed, said)
    assert (row["majmin"], row["majmin, s"]) == (100, 4)  # neither the power chord nor the suspension counts
    assert (row["root"], row["root, s"]) == (100, 12)
    assert (row["tetrads"], row["tetrads, s"]) == (pytest.approx(100 / 3), 12)
    assert row["tetrads with bass"] == pytest.approx(100 / 3)
    riffs = made_song(["D:5", "E:5"])
    silent = score(riffs, said | {"intervals": riffs.intervals_s, "labels": ["D:maj", "E:maj"]})
    assert "majmin" not in silent  # it says nothing of them, rather than 0
    assert silent["root"] == 100
    assert mean_of([row, silent], "majmin") == 100
    wrong = score(made_song(["C:maj"], 12.0), said | {"labels": ["D:min"], "intervals": np.array([[0.0, 12.0]])})
    assert mean_of([row, wrong], "majmin") == pytest.approx(25)  # 4 s right of 16


def test_intervals_draw_the_clips_of_a_song_together(analysis) -> None:  # type: ignore[no-untyped-def]
    from listening_scores import interval_of

    apart = [{"song": str(number), "level": 100.0 * (number % 2)} for number in range(40)]
    low, high = interval_of(apart, "level")
    assert 30 < low < 50 < high < 70
    together = [row | {"song": str(number % 2)} for number, row in enumerate(apart)]  # one song right, the other wrong
    assert interval_of(together, "level") == (0, 100)


def test_calibration_adds_up_what_sets_were_sure_of(analysis) -> None:  # type: ignore[no-untyped-def]
    from listening_record import calibration_of
    from reliability import bins_of, reliability

    rng = np.random.default_rng(3)
    first, second = ([(float(rng.random()), float(rng.random() < 0.5), 2.0) for _ in range(60)] for _ in range(2))
    record = {
        "sets": {"bands": {"known": False}, "mp3": {"known": False}, "pop-fluid": {"known": True}},
        "reliability": {"bands": {"chord": bins_of(first)}, "mp3": {"chord": bins_of(second)}, "pop-fluid": {}},
    }
    expected = reliability(first + second)[0]
    assert calibration_of(record) == {"chord, unknown timbre": pytest.approx(expected, abs=6e-4)}


def test_what_peers_said_of_a_sound_is_kept(analysis, monkeypatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from peers import PEERS, PeerMemory

    asked: list[float] = []

    def listen(wave: np.ndarray) -> dict:
        asked.append(float(wave[0]))
        return {"intervals": np.array([[0.0, 1.0]]), "labels": ["N"], "bpm": 100.0 * len(asked)}

    monkeypatch.setattr(PEERS["Chordino"], "listen", listen)
    quiet, loud = np.zeros(100), np.full(100, 0.5)
    memory = PeerMemory(tmp_path / "heard")
    said = [memory.listen("Chordino", wave) for wave in (quiet, loud, quiet)]
    assert asked == [0.0, 0.5]
    assert [one["bpm"] for one in said] == [100, 200, 100]
    assert said[2]["intervals"].shape == (1, 2)
    assert PeerMemory(None).listen("Chordino", quiet)["bpm"] == 300


def test_a_meter_is_right_by_name_or_by_the_beats_of_most_bars(analysis) -> None:  # type: ignore[no-untyped-def]
    from listening_scores import name_meter, score
    from recordings import Recording, stretch

    song = stretch(Recording("band", "title", 120.0, 0.02, 1), 10.0, 10.0)
    assert song.beats_s[0] == pytest.approx(0.02)  # beat 20
    assert song.downbeats_s[:2] == pytest.approx([0.52, 2.52])  # beats 21 and 25 open bars
    assert song.beats_s[-1] < 10.0 < song.beats_s[-1] + 0.5
    fours = {"beats": song.beats_s, "downbeats": song.beats_s[2::4], "cpu_seconds": 1.0}
    assert name_meter(fours) == "4 beats"
    assert score(song, fours)["meter"] == 100
    assert score(song, fours | {"downbeats": song.beats_s[2::3]})["meter"] == 0
    assert score(song, fours | {"meter": "4/4"})["meter"] == 100
    assert score(song, fours | {"meter": "2/4"})["meter"] == 0
    assert "majmin" not in score(song, fours | {"labels": ["N"], "intervals": np.array([[0.0, 10.0]])})
    unsure = stretch(Recording("band", "title", 120.0, 0.02, None), 10.0, 10.0)
    assert not {"meter", "downbeat F"} & score(unsure, fours).keys()


def test_the_record_keeps_what_was_not_heard_this_time(analysis, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from listening_record import Findings, weights_digest, write_record
    from reliability import Belief

    path = tmp_path / "analyser.json"
    old = {"musetune": {"mp3": {"root": 1.0}, "recast": {"root": 2.0}}, "deaf": {"recast": {"root": 3.0}}}
    about = {"known": False, "songs": 2}
    path.write_text(
        json.dumps({"title": "Beside others", "rows": [], "means": old, "sets": {"mp3": about, "recast": about}})
    )
    found = Findings.of(["musetune"])
    found.rows["musetune"]["recast"] = [
        {"song": "one", "root": 80.0, "root, s": 20.0},
        {"song": "two", "root": 90.5, "root, s": 20.0},
    ]
    found.certainty["recast"], found.beliefs["recast"] = [1.0, 1.0], Belief()
    sets = [some for some in analysis.all_sets(_args(tmp_path)) if some.name == "recast"]
    write_record(path, found.record(sets, {"recast": "sure"}))
    record = json.loads(path.read_text())
    assert record["title"] == "Beside others"
    assert "rows" not in record
    assert record["means"] == {"musetune": {"mp3": {"root": 1.0}, "recast": {"root": 85.25}}}  # one run on one sound
    assert record["intervals"] == {"musetune": {"recast": {"root": [80, 90.5]}}}
    assert record["sets"]["mp3"] == about
    assert record["sets"]["recast"] == about | {
        "truth": "sure",
        "weights": weights_digest(),
        "seconds": {"root": 40},
    }


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


def test_each_song_is_recast_in_every_meter(analysis, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from songs import meter_songs

    for number in ("005", "010", "015", "025"):  # 015 is for tuning, and training hears 010
        write_pop909(tmp_path, number, "C:maj", seconds=40)
    found = list(meter_songs(tmp_path, 2, 16.0, ("6/8", "3/4")))
    assert [(song.name, song.meter) for song in found] == [
        ("005", "6/8"), ("005", "3/4"), ("025", "6/8"), ("025", "3/4"),
    ]  # fmt: skip
    assert all(any(part.is_drum for part in song.midi.instruments) for song in found)
    with pytest.raises(ValueError, match="has 2 songs in 4/4 to recast, not 3"):
        list(meter_songs(tmp_path, 3, 16.0, ("6/8",)))
    assert [song.name for song in meter_songs(tmp_path, 1, 16.0, ("3/4",), odd=True)] == ["015"]


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
    from listening_scores import score
    from songs import HeldOutSound, others

    from musetune.datasets.midi_songs import split_midi

    for name in ("freedoom", "openmsx"):
        (tmp_path / "midi" / name).mkdir(parents=True)
        for number in range(12):
            write_song(tmp_path / "midi" / name / f"{number}.mid")
    held = len(split_midi(tmp_path / "midi" / "freedoom", held_out=True))
    found = list(others(tmp_path, 20, 8.0))
    assert len(found) + len(list(others(tmp_path, 20, 8.0, odd=True))) == 12 + held  # each file for one purpose
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
    row = score(song, said)
    assert row["majmin"] > 80
    assert "key" not in row
