"""Files for training, prepared on either engine: one data set, byte for byte, though the run was killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from small import REPOSITORY, SR, tones

from musetune.audio import save_audio
from musetune.datasets import Clip, LatentDataset
from musetune.datasets.encoding_process import DEATH
from musetune.datasets.engines import gpu_share, map_items
from musetune.datasets.file_preparer import CRASH, EncoderOptions, FilePreparer
from musetune.datasets.prepare import prepare
from musetune.datasets.slicing import NOTHING, SlicedFile, SliceJob
from musetune.symbols import LeadSheet

PATIENCE_S = 180


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A song, a score, a song that metadata tells all of, one that is too short, and one that is none."""
    folder = tmp_path_factory.mktemp("music")
    sheet = LeadSheet.from_progression(["I", "V", "vi", "IV"], key="C major", bpm=120, duration_seconds=12, genre="pop")
    save_audio(folder / "a-song.flac", tones(sheet, 12), SR)
    (folder / "b-corrupt.mp3").write_bytes(b"ID3 no music at all" * 50)
    sheet.save(folder / "c-score.mid")
    save_audio(folder / "d-short.wav", tones(sheet, 2), SR)
    save_audio(folder / "e-known.wav", tones(sheet, 12), SR)
    row = {"file_name": "e-known.wav", "text": "a waltz", "lead_sheet": sheet.to_json()}
    (folder / "metadata.jsonl").write_text(json.dumps(row))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a data set but the cache of its tokens."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".npz"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def whole(music: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set as one process makes it without a break, a file a shard."""
    out = tmp_path_factory.mktemp("prepared") / "whole"
    return prepare(music, out, base=str(tiny_base), clip_seconds=5.12, transpose=(2,), workers=0, shard_size=1)


def command(music: Path, out: Path, base: Path, *words: str) -> list[str]:
    source, base = (Path(os.path.relpath(place, out.parent)) for place in (music, base))  # as users give them
    recipe = [sys.executable, str(REPOSITORY / "recipes" / "prepare.py"), str(source), out.name, "--base", str(base)]
    return [*recipe, "--clip-seconds", "5.12", "--transpose", "2", "--shard-size", "1", *words]


@pytest.mark.slow
@pytest.mark.heavy
def test_processes_make_what_one_makes(
    whole: Path, music: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = LatentDataset(whole)
    assert {clip.file for clip in data.clips} == {"a-song.flac", "c-score.mid", "e-known.wav"}
    assert sum(clip.file == "a-song.flac" for clip in data.clips) == 4, "two clips, and two of the copy"
    monkeypatch.chdir(tmp_path)
    source, base = (os.path.relpath(place) for place in (music, tiny_base))
    prepare(source, "out", base=base, clip_seconds=5.12, transpose=(2,), workers=2, shard_size=1)
    assert contents(tmp_path / "out") == contents(whole)
    assert str(music) not in (whole / "quarantine.jsonl").read_text(), "where the music lies is nobody's business"


@pytest.mark.slow
@pytest.mark.cluster
def test_actors_make_it_too_though_the_run_is_killed(whole: Path, music: Path, tiny_base: Path, tmp_path: Path) -> None:
    """kill -9 of the driver with all that it started, once a shard is there; the next run goes on."""
    pytest.importorskip("ray")
    out = tmp_path / "out"
    words = command(music, out, tiny_base, "--engine", "ray", "--workers", "2", "--device", "cpu")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    run = subprocess.Popen(words, env=environment, start_new_session=True, cwd=tmp_path)
    until = time.monotonic() + PATIENCE_S
    try:
        while not (out / "clips.jsonl").exists():
            assert run.poll() is None, "it ended without a clip"
            assert time.monotonic() < until, "it did not come"
            time.sleep(0.02)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    first = (out / "shards" / "00000.safetensors").stat().st_mtime_ns
    assert subprocess.run(words, env=environment, timeout=PATIENCE_S, cwd=tmp_path).returncode == 0
    assert (out / "shards" / "00000.safetensors").stat().st_mtime_ns == first, "what is done is not done again"
    assert contents(out) == contents(whole)


def test_a_file_that_kills_a_process_is_set_aside() -> None:
    preparer = FilePreparer(EncoderOptions("nano", 5.12, "cpu"))
    job = SliceJob(Path("a.wav"), "a.wav", NOTHING, 5.12, (), None)
    clip = Clip("a.wav@0", "a.wav", "0", 0.0, 5.12, "a song", {})
    sliced = SlicedFile([clip], np.zeros((1, round(5.12 * SR)), np.float32))
    preparer.encoding.close()
    preparer.encoding = lambda function, item: None  # type: ignore[assignment]
    for answer, reason in ((None, CRASH), (SlicedFile([], np.empty(0), reason="silent"), "silent"), (sliced, DEATH)):
        preparer.slicer = lambda job, answer=answer: answer  # type: ignore[assignment]
        assert preparer(job).reason == reason


class Runner:
    """A worker whose first item waits until the second is answered."""

    def __init__(self, second: threading.Event) -> None:
        self.second = second

    def __call__(self, item: int) -> int:
        if item == 0:
            assert self.second.wait(PATIENCE_S)
        if item == 1:
            self.second.set()
        return item * item

    def close(self) -> None:
        """It holds nothing."""


@pytest.mark.parametrize("ordered", [False, True])
def test_answers_come_as_they_are_made_or_in_order(ordered: bool) -> None:
    make = partial(Runner, threading.Event())
    answers = list(map_items(make, range(20), "local", 2, ordered=ordered))
    assert sorted(answers) == [(number, number * number) for number in range(20)]
    assert (answers == sorted(answers)) == ordered


def test_workers_of_a_cluster_share_its_gpus() -> None:
    assert [gpu_share("cuda", 2, workers) for workers in (1, 2, 3, 8)] == [1.0, 1.0, 0.5, 0.25]
    with pytest.raises(ValueError, match="the cluster has no GPU"):
        gpu_share("cuda", 0, 1)
    with pytest.raises(ValueError, match="cuda:1 names one GPU of one machine"):
        gpu_share("cuda:1", 4, 1)
