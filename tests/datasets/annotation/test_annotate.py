"""`musetune annotate`: a data set from a collection, on both engines, whatever is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

pytest.importorskip("pyarrow")

import pyarrow.parquet

from musetune.datasets.annotation import annotate
from musetune.symbols import LeadSheet

pytestmark = pytest.mark.slow
PATIENCE_S = 180


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a data set."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows_of(folder: Path) -> list[dict]:
    tables = [pyarrow.parquet.read_table(path) for path in sorted((folder / "data").glob("*.parquet"))]
    return [row for table in tables for row in table.to_pylist()]


def begin(*words: str | Path) -> subprocess.Popen:
    """`musetune annotate` as a program of its own, in a group of processes of its own."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    command = [sys.executable, "-m", "musetune.cli", "annotate", *map(str, words)]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": path}, start_new_session=True)


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def annotated(collection: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection annotated by one process without a break, with latents, two songs a shard."""
    out = tmp_path_factory.mktemp("annotated") / "whole"
    return annotate(collection, out, workers=1, latents=str(tiny_base), clip_seconds=5.12, shard_size=2)


def test_each_song_has_a_row_and_each_bad_file_a_reason(annotated: Path) -> None:
    rows = rows_of(annotated)
    assert [row["file"] for row in rows] == ["song-0.flac", "song-1.flac", "song-2.flac", "score.mid"]
    assert [row["key"] for row in rows[:2]] == ["C major", "D major"]
    assert rows[0]["bpm"] == pytest.approx(120, rel=0.02)
    assert json.loads(rows[0]["metadata"]) == {"licence": "CC0-1.0"}
    record = json.loads(rows[0]["record"])
    assert record["source"] == record["source"] | {"file": "song-0.flac", "sha256": rows[0]["sha256"]}
    sheet = LeadSheet.from_json(json.loads(rows[0]["lead_sheet"]))
    assert len(sheet.chords) == len(rows[0]["chords"]) == len(rows[0]["chord_starts_s"])
    aside = [json.loads(line) for line in (annotated / "quarantine.jsonl").read_text().splitlines()]
    assert {row["file"] for row in aside} == {"corrupt.mp3", "silent.wav", "missing.flac"}
    assert all(row["reason"] for row in aside)
    assert "no such file" in next(row["reason"] for row in aside if row["file"] == "missing.flac")


def test_latents_lie_under_the_hash_of_their_song(annotated: Path) -> None:
    tensors = {}
    for path in sorted((annotated / "latents").glob("*.safetensors")):
        tensors |= load_file(path)
    for row in rows_of(annotated):
        latents = tensors[f"{row['sha256']}/latents"]
        assert latents.dtype == np.float16
        assert latents.shape[0] == len(row["clip_starts_s"]) == 2
        assert latents.shape[2] == 40, "5.12 s are 40 rows of nano"
        assert row["caption"]
        assert tensors[f"{row['sha256']}/prompt_embeds"].ndim == 2


def test_a_second_run_does_nothing_and_new_songs_are_added(annotated: Path, collection: Path, tmp_path: Path) -> None:
    base = json.loads((annotated / "annotations.json").read_text())["latents"]
    out = tmp_path / "again"
    shutil.copytree(annotated, out)
    before = contents(out)
    options = {"workers": 1, "latents": base, "clip_seconds": 5.12, "shard_size": 2}
    annotate(collection, out, **options)
    assert contents(out) == before
    more = tmp_path / "more"
    shutil.copytree(collection.parent, more)
    (more / "song-1.flac").rename(more / "renamed.flac")
    (more / "songs.jsonl").unlink()
    LeadSheet.parse("| C | F | G7 | C |").save(more / "new.mid")
    annotate(more, out, **options)
    after = contents(out)
    assert all(after[name] == data for name, data in before.items() if name.startswith(("data", "latents", "done")))
    assert [row["file"] for row in rows_of(out)][4:] == ["new.mid"], "the renamed file's bytes are known"


def test_another_analyser_or_other_options_are_refused(annotated: Path, collection: Path, tmp_path: Path) -> None:
    out = tmp_path / "other"
    shutil.copytree(annotated, out)
    with pytest.raises(ValueError, match="was begun with latents="):
        annotate(collection, out, workers=1)
    info = json.loads((out / "annotations.json").read_text())
    (out / "annotations.json").write_text(json.dumps(info | {"analyser": "0" * 12}))
    with pytest.raises(ValueError, match="was begun with analyser='000000000000'"):
        annotate(collection, out, workers=1, latents=info["latents"], clip_seconds=5.12)


def test_a_song_that_was_set_aside_is_tried_again(collection: Path, tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    LeadSheet.parse("| C | F | G7 | C |").save(tmp_path / "music" / "a.mid")
    (tmp_path / "music" / "b.mid").write_bytes(b"MThd, but no more")
    out = annotate(tmp_path / "music", tmp_path / "out", workers=1)
    mark = json.loads((out / "done" / "00000.json").read_text())
    assert [row["file"] for row in mark["quarantine"]] == ["b.mid"]
    (out / "done" / "00000.json").write_text(json.dumps(mark | {"rows": 7}))
    annotate(tmp_path / "music", out, workers=1)
    assert json.loads((out / "done" / "00000.json").read_text())["rows"] == 7, "it is left alone"
    annotate(tmp_path / "music", out, workers=1, retry=True)
    assert json.loads((out / "done" / "00000.json").read_text()) == mark


def test_arguments_out_of_range_are_refused(collection: Path, tmp_path: Path) -> None:
    for options, message in (
        ({"engine": "spark"}, "engine='spark' is not one of local, ray"),
        ({"workers": 0}, "workers=0 is less than 1"),
        ({"shard_size": 0}, "shard_size=0 is less than 1"),
        ({"beats": "nobody"}, "nobody"),
    ):
        with pytest.raises(ValueError, match=message):
            annotate(collection, tmp_path / "out", **options)


@pytest.mark.heavy
@pytest.mark.parametrize("victim", ["worker", "driver"])
def test_what_is_killed_goes_on_and_ends_alike(annotated: Path, collection: Path, tmp_path: Path, victim: str) -> None:
    """kill -9 of an analyser's process in mid-song, or of everything at each shard: the data set is the same."""
    base = json.loads((annotated / "annotations.json").read_text())["latents"]
    out = tmp_path / "killed"
    words = (collection, out, "--workers", "2", "--latents", base, "--clip-seconds", "5.12", "--shard-size", "2")

    def marks() -> int:
        return len(list((out / "done").glob("*.json"))) if out.exists() else 0

    process = begin(*words)
    if victim == "worker":
        wait_until(lambda: bool(analysers(process.pid)))
        os.kill(analysers(process.pid)[0], signal.SIGKILL)
    else:
        for number in (1, 2):
            wait_until(lambda number=number: marks() >= number)
            os.killpg(process.pid, signal.SIGKILL)
            assert process.wait(PATIENCE_S) == -signal.SIGKILL
            process = begin(*words)
    assert process.wait(PATIENCE_S) == 0
    assert contents(out).keys() == contents(annotated).keys()
    for name, data in contents(annotated).items():
        assert contents(out)[name] == data, name


@pytest.mark.cluster
def test_ray_makes_the_same_data_set_though_an_actor_is_killed(
    annotated: Path, collection: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    base = json.loads((annotated / "annotations.json").read_text())["latents"]
    out = tmp_path / "ray"
    words = (collection, out, "--latents", base, "--clip-seconds", "5.12", "--shard-size", "2")
    process = begin(*words, "--engine", "ray", "--workers", "2")
    try:
        wait_until(lambda: process.poll() is not None or bool(actors(process.pid)))
        os.kill(actors(process.pid)[0], signal.SIGKILL)
        assert process.wait(PATIENCE_S) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert contents(out).keys() == contents(annotated).keys()
    for name, data in contents(annotated).items():
        assert contents(out)[name] == data, name


@pytest.mark.cluster
def test_a_driver_that_is_killed_on_ray_goes_on_at_the_next_shard(
    annotated: Path, collection: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    base = json.loads((annotated / "annotations.json").read_text())["latents"]
    out = tmp_path / "ray"
    words = (collection, out, "--latents", base, "--clip-seconds", "5.12", "--shard-size", "2", "--engine", "ray")
    process = begin(*words, "--workers", "1")
    try:
        wait_until(lambda: process.poll() is not None or any((out / "done").glob("0*.json")))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    first = {path.name: path.stat().st_mtime_ns for path in (out / "done").glob("0*.json")}
    assert len(first) < len(list((annotated / "done").iterdir())), "it was killed in the middle"
    process = begin(*words, "--workers", "1")
    assert process.wait(PATIENCE_S) == 0
    assert {name: (out / "done" / name).stat().st_mtime_ns for name in first} == first, (
        "what was done is not done again"
    )
    assert contents(out).keys() == contents(annotated).keys()
    for name, data in contents(annotated).items():
        assert contents(out)[name] == data, name


@pytest.mark.cluster
def test_a_node_that_is_killed_leaves_its_songs_to_the_others(
    annotated: Path, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 of one of three nodes with an actor at work, though nowhere is a core free for another actor."""
    pytest.importorskip("ray")
    from ray_nodes import SETTINGS, ray_nodes

    monkeypatch.setenv("RAY_AUTH_MODE", SETTINGS["RAY_AUTH_MODE"])
    base = json.loads((annotated / "annotations.json").read_text())["latents"]
    out = tmp_path / "ray"
    words = (collection, out, "--latents", base, "--clip-seconds", "5.12", "--shard-size", "2", "--engine", "ray")
    with ray_nodes([0, 1, 1]) as nodes:
        process = begin(*words, "--workers", "2", "--address", nodes.address)
        try:
            wait_until(lambda: process.poll() is not None or all(actors(node.pid) for node in nodes.nodes[1:]))
            nodes.kill(nodes.nodes[2])
            assert process.wait(PATIENCE_S) == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    assert contents(out).keys() == contents(annotated).keys()
    for name, data in contents(annotated).items():
        assert contents(out)[name] == data, name


def actors(driver: int) -> list[int]:
    """Process ids of the actors of a driver's own cluster that have an analyser's process: they are at work."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int(path.joinpath("stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue

    def descends(pid: int) -> bool:
        while pid in parents:
            pid = parents[pid]
            if pid == driver:
                return True
        return False

    workers = [pid for pid in parents if descends(pid) and analysers(pid)]
    return [pid for pid in workers if pid != driver]


def analysers(driver: int) -> list[int]:
    """Process ids of a driver's children that analyse."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(path.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if parent == driver and b"musetune.analysis.service.worker" in path.joinpath("cmdline").read_bytes():
                found.append(int(path.name))
        except (OSError, IndexError):
            continue
    return found


def test_datasets_opens_it(annotated: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    songs = datasets.load_dataset(str(annotated), split="train", cache_dir=str(tmp_path))
    assert songs["file"] == [row["file"] for row in rows_of(annotated)]
    assert songs[0]["chords"][0] == "C:maj"
