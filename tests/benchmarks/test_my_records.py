"""benchmarks/my_records.py: albums laid out and held out, amounts of songs, distances whose change is known."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from musetune.audio import load_audio, save_audio
from musetune.datasets.album_split import split_by_album
from musetune.datasets.metadata import scan_metadata

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MINUTES = {f"{album}/{number}.ogg": 4.0 for album in "abc" for number in range(5)}
RNG = np.random.default_rng(0)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    module = __import__("my_records")
    monkeypatch.setattr(module, "DRAWS", 40)
    yield module
    sys.modules.pop("my_records", None)


def test_the_free_recordings_are_laid_out_by_album(bench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    rows = yaml.safe_load(bench.ALBUMS.read_text(encoding="utf-8"))
    assert {row["licence"] for row in rows.values()} == {"CC-BY-3.0", "MIT", "public domain"}
    for row in rows.values():
        for names in row["files"]:
            for name in [names] if isinstance(names, str) else names:
                wave = np.full((2, 800), 0.25 if name.endswith("guitar.ogg") else 0.5, np.float32)
                save_audio(tmp_path / "cache" / row["folder"] / Path(name).with_suffix(".wav"), wave, 8000)
                (tmp_path / "cache" / row["folder"] / name).with_suffix(".wav").rename(
                    tmp_path / "cache" / row["folder"] / name
                )
    bench.lay_out(bench.ALBUMS, tmp_path / "cache", tmp_path / "music")
    found = {path.relative_to(tmp_path / "music").as_posix() for path in (tmp_path / "music").rglob("*.*")}
    assert {"sectoid/Feelings.flac", "vanethian/van_theme.ogg", "metadata.csv"} < found
    assert np.abs(load_audio(tmp_path / "music" / "sectoid" / "Feelings.flac")[0]).max() == pytest.approx(
        0.75, abs=0.01
    )
    told, faults = scan_metadata(tmp_path / "music")
    assert not faults
    assert set(told) == found - {"metadata.csv"}
    split = split_by_album(dict.fromkeys(told, 3.0))
    assert {Path(file).parent.name for file in split.train}.isdisjoint(split.albums)


def test_a_pattern_names_all_recordings_that_it_fits(bench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for name in ("one.ogg", "two.ogg", "other.txt"):
        (tmp_path / name).touch()
    found = list(bench.stems_of(tmp_path, ["*.ogg", ["other.txt", "two.ogg"]]))
    assert found == [[tmp_path / "one.ogg"], [tmp_path / "two.ogg"], [tmp_path / "other.txt", tmp_path / "two.ogg"]]
    with pytest.raises(FileNotFoundError, match=r"no \*\.mp3: `make recordings` fetches it"):
        list(bench.stems_of(tmp_path, ["*.mp3"]))


def test_the_list_of_all_recordings_is_of_whole_albums(bench) -> None:  # type: ignore[no-untyped-def]
    rows = yaml.safe_load((BENCHMARKS / "my_records_all.yaml").read_text(encoding="utf-8"))
    assert len(rows) == 13
    assert all(row["licence"] and row["folder"] and row["files"] for row in rows.values())


def test_more_minutes_take_more_steps_of_the_same_songs(bench) -> None:  # type: ignore[no-untyped-def]
    split = split_by_album(MINUTES, ["b"])
    few, more, all_songs = (bench.amount_of(MINUTES, split, limit, None) for limit in (3, 15, 300))
    assert set(few.songs) < set(more.songs) < set(all_songs.songs) == set(split.train)
    assert (few.minutes, more.minutes, all_songs.minutes) == (4, 16, 40)
    assert few.steps < more.steps <= all_songs.steps
    assert bench.amount_of(MINUTES, split, 15, 80).steps == 80


def test_an_adapter_that_is_there_is_not_trained_again(  # type: ignore[no-untyped-def]
    bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(bench.subprocess, "run", lambda words, check: called.append(words))
    args = argparse.Namespace(out=tmp_path, base="nano", theory="theory", settings=bench.SETTINGS, seed=3)
    amount = bench.amount_of(MINUTES, split_by_album(MINUTES, ["b"]), 15, None)
    left_out = sorted(MINUTES.keys() - set(amount.songs))
    bench.train(args, amount, left_out)
    assert yaml.safe_load((tmp_path / "run-15.yaml").read_text())["held_out"] == left_out
    assert {f"max_train_steps={amount.steps}", "seed=3"} <= set(called[0])
    (tmp_path / "run-15" / "adapter").mkdir(parents=True)
    bench.train(args, amount, left_out)
    assert len(called) == 1


def test_a_change_of_distance_and_its_interval(bench) -> None:  # type: ignore[no-untyped-def]
    truth = RNG.normal(size=(400, 3))
    far, near = ([RNG.normal(shift, size=(40, 3)) for _ in range(8)] for shift in (4.0, 2.0))
    change, low, high = bench.relative_change(far, near, truth)
    assert low < change < high
    assert change == pytest.approx(-75, abs=5)  # a half of the shift is a quarter of its square
    assert bench.relative_change(far, far, truth) == pytest.approx((0, 0, 0))


def test_the_table_has_before_after_and_bounds(bench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    split = split_by_album(MINUTES, ["b"])
    amounts = [bench.amount_of(MINUTES, split, limit, 80) for limit in (15, 300)]
    scores = {"majmin": 0.9, "beat_f": 0.95, "downbeat_f": None}
    clips = {
        name: [
            {
                "timbre": RNG.normal(shift, size=(10, 4)).tolist(),
                "yamnet": RNG.normal(shift, size=(20, 40)).tolist(),
                "clap": 0.7,
                "scores": scores,
            }
            for _ in range(6)
        ]
        for name, shift in (("before", 3.0), ("run-15", 2.0), ("run-300", 1.0))
    }
    points = {
        name: {"MFCC": RNG.normal(size=(200, 4)), "YAMNet": RNG.normal(size=(200, 40))}
        for name in ("held out", "trained on", "held out, through the codec")
    }
    bench.report(argparse.Namespace(out=tmp_path), split, MINUTES, amounts, clips, points)
    lines = (tmp_path / "my_records.md").read_text().splitlines()
    assert lines[0] == "Held out: b, 5 recordings, 20 minutes."
    assert [line.split(" | ")[0].strip("| ") for line in lines[4:]] == [
        "before",
        "after",
        "after",
        "recordings trained on",
        "recordings held out, through the codec",
    ]
    figures = json.loads((tmp_path / "my_records.json").read_text())["figures"]
    assert figures["run-300"]["change_percent"]["MFCC"][2] < figures["run-15"]["change_percent"]["MFCC"][0] < 0
    assert figures["trained on"]["frechet"]["YAMNet"] < figures["run-300"]["frechet"]["YAMNet"]
