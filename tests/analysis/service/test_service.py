"""The service and the batch: bounded, shared, cancelled, closed; a crash stays where it is."""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
import time
from pathlib import Path

import pytest
import soundfile
from made_sounds import SR, song

from musetune.analysis.listening.engines import beats_of
from musetune.analysis.service import service as serving
from musetune.analysis.service import worker as working
from musetune.analysis.service.batch import find_files, reason, run_jobs
from musetune.analysis.service.cache import AnalysisCache, StoredAnalysis
from musetune.analysis.service.service import AnalysisService
from musetune.analysis.service.worker import AnalysisJob, AnalysisWorker, JobResult, WorkerDeath
from musetune.symbols import LeadSheet

SHEET = LeadSheet.parse("| C | G |")


class Actor:
    """A worker that only waits, and counts."""

    running = highest = runs = killed = 0
    lock = threading.Lock()

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def run(self, job: AnalysisJob) -> JobResult:
        kind = type(self)
        with kind.lock:
            kind.running, kind.runs = kind.running + 1, kind.runs + 1
            kind.highest = max(kind.highest, kind.running)
        try:
            if self.stopped.wait(0.15):
                self.stopped.clear()
                raise WorkerDeath(job.path)
            if "bad" in job.path:
                raise ValueError(f"{job.path} is silent")
            return JobResult(StoredAnalysis({"source": {"file": "x"}, "chords": []}, SHEET))
        finally:
            with kind.lock:
                kind.running -= 1

    def kill(self) -> None:
        type(self).killed += 1
        self.stopped.set()

    def close(self) -> None:
        self.stopped.set()


@pytest.fixture
def actor(monkeypatch) -> type[Actor]:  # type: ignore[no-untyped-def]
    kind = type("OneActor", (Actor,), {})
    monkeypatch.setattr(serving, "AnalysisWorker", kind)
    return kind


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.wav" for number in range(6)]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


def test_concurrent_calls_are_bounded(actor: type[Actor], files: list[Path]) -> None:
    async def body() -> None:
        async with AnalysisService(max_concurrent=2, cache=None) as service:
            await asyncio.gather(*(service.analyze_music(path) for path in files))

    asyncio.run(body())
    assert (actor.runs, actor.highest) == (6, 2)


def test_equal_requests_share_one_computation(actor: type[Actor], files: list[Path]) -> None:
    twin = files[0].with_name("twin.wav")
    twin.write_bytes(files[0].read_bytes())

    async def body() -> list[dict]:
        async with AnalysisService(max_concurrent=4, cache=None) as service:
            asked = [service.analyze_music(path) for path in (files[0], files[0], twin)]
            return await asyncio.gather(*asked, service.analyze_music(files[0], tempo_hint=90))

    records = asyncio.run(body())
    assert actor.runs == 2  # the hint asks for something else
    assert [record["source"]["file"] for record in records] == ["0.wav", "0.wav", "twin.wav", "0.wav"]
    records[0]["chords"].append("mine")
    assert records[1]["chords"] == []


def test_errors_reach_all_who_asked_and_nothing_is_stuck(actor: type[Actor], files: list[Path]) -> None:
    bad = files[0].with_name("bad.wav")
    bad.write_bytes(b"bad")

    async def body() -> None:
        async with AnalysisService(max_concurrent=1, cache=None) as service:
            asked = [service.analyze_music(bad), service.analyze_music(bad), service.analyze_music(files[0])]
            first, second, third = await asyncio.gather(*asked, return_exceptions=True)
            assert isinstance(first, ValueError)
            assert isinstance(second, ValueError)
            assert third["source"]["file"] == "0.wav"
            with pytest.raises(FileNotFoundError, match="nowhere"):
                await service.analyze_music("nowhere.wav")
            with pytest.raises(ValueError, match="folder"):
                await service.analyze_music(files[0].parent)

    asyncio.run(body())


def test_the_last_to_leave_stops_the_work(actor: type[Actor], files: list[Path]) -> None:
    async def body() -> None:
        async with AnalysisService(max_concurrent=1, cache=None) as service:
            first, second = (asyncio.create_task(service.analyze_music(files[0])) for _ in range(2))
            await asyncio.sleep(0.05)
            first.cancel()
            assert (await second)["source"]["file"] == "0.wav"  # one remained: the work went on
            assert actor.killed == 0
            third = asyncio.create_task(service.analyze_music(files[1]))
            await asyncio.sleep(0.05)
            third.cancel()
            with pytest.raises(asyncio.CancelledError):
                await third
            assert actor.killed > 0
            assert (await service.analyze_music(files[1]))["source"]["file"] == "1.wav"  # and it can be asked anew

    asyncio.run(body())


def test_close_ends_what_runs(actor: type[Actor], files: list[Path]) -> None:
    async def body() -> None:
        service = AnalysisService(max_concurrent=1, cache=None)
        asked = [asyncio.create_task(service.analyze_music(path)) for path in files]
        await asyncio.sleep(0.05)
        await service.close()
        await service.close()
        assert all(
            isinstance(found, asyncio.CancelledError) for found in await asyncio.gather(*asked, return_exceptions=True)
        )
        with pytest.raises(RuntimeError, match="closed"):
            await service.analyze_music(files[0])

    asyncio.run(body())


@pytest.mark.parametrize("count", [0, -1, 1.5, True])
def test_max_concurrent_is_checked(count) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="max_concurrent"):
        AnalysisService(max_concurrent=count)


@pytest.mark.slow
def test_the_record_of_a_song_and_the_cache(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """The real thing, once: a process, all fields; then from the cache, without one."""
    path = tmp_path / "song.wav"
    soundfile.write(path, song(["C:maj", "G:maj", "A:min", "F:maj"], 120), SR)
    cache = AnalysisCache(tmp_path / "cache")

    async def ask() -> dict:
        async with AnalysisService(max_concurrent=1, cache=cache) as service:
            return await service.analyze_music(path)

    record = asyncio.run(ask())
    fields = {"harmonic_analysis", "rhythmic_analysis", "genre_analysis", "chords", "bpm", "key"}
    assert record.keys() >= fields
    assert record["key"] == "C major"
    monkeypatch.setattr(AnalysisWorker, "run", lambda *_: pytest.fail("the cache was not asked"))
    assert asyncio.run(ask()) == record


PROGRAM = """
import os, time
import musetune.analysis.service.worker as worker
from musetune.analysis.service.cache import StoredAnalysis
from musetune.symbols import LeadSheet
def perform(job):
    if "crash" in job.path:
        os.kill(os.getpid(), 9)
    if "sleep" in job.path:
        time.sleep(60)
    if "fault" in job.path:
        raise KeyError("a bug")
    if "bad" in job.path:
        raise ValueError(job.path + " is silent")
    print("noise on standard output")
    return worker.JobResult(StoredAnalysis({"file": job.path}, LeadSheet.parse("| C |")), notes=("careful",))
worker.perform = perform
worker.main()
"""


def test_a_crash_costs_one_file(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(working, "PROGRAM", PROGRAM)
    names = ["a", "crash", "b", "bad", "fault", "c"]
    answers = dict(zip(names, (answer for _, answer in run_jobs(map(AnalysisJob, names), 2)), strict=True))
    for name in "abc":
        assert answers[name].result.record == {"file": name}
        assert answers[name].notes == ("careful",)
    assert isinstance(answers["crash"], WorkerDeath)
    assert "SIGKILL" in str(answers["crash"])
    assert isinstance(answers["bad"], ValueError)
    assert isinstance(answers["fault"], RuntimeError)
    assert "report it" in reason(answers["fault"])
    assert "report it" not in reason(answers["bad"])


def test_leaving_early_stops_the_processes(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(working, "PROGRAM", PROGRAM)
    started = time.monotonic()
    answers = run_jobs([AnalysisJob("a"), AnalysisJob("sleep"), AnalysisJob("sleep")], 1)
    next(answers)
    answers.close()
    assert time.monotonic() - started < 50


def test_a_process_that_takes_too_long_is_stopped(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(working, "PROGRAM", PROGRAM)
    monkeypatch.setattr(working, "PATIENCE_S", 0.2)
    worker = AnalysisWorker()
    with pytest.raises(WorkerDeath, match="SIGKILL"):
        worker.run(AnalysisJob("sleep"))
    worker.close()


def test_files_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.mp3", "deep/er/a.WAV", "tune.mid", "notes.txt", "b.mp3.analysis.mid", "data.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names = [str(name) for _, name in find_files([tmp_path, tmp_path / "data.json", tmp_path / "b.mp3"])]
    assert names == ["b.mp3", "deep/er/a.WAV", "tune.mid", "data.json"]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_files([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no music"):
        find_files([tmp_path / "empty"])


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("return [0.5, 1.0, 1.5, 2.0, 2.5], [0.5, 2.5]", None, None),
        ("return [0.5, 1.0], []", ValueError, "beat_this hears 2 beats in song.wav"),
        ("raise OSError('no network')", RuntimeError, "beat_this fails on song.wav: OSError: no network"),
    ],
)
def test_another_engines_beats(body: str, error, message: str, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """A stand-in with Beat This!'s interface: its beats are taken, its failures named."""
    for name in ("beat_this", "beat_this.inference"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "beat_this").mkdir()
    (tmp_path / "beat_this/__init__.py").touch()
    code = (
        f"class File2Beats:\n    def __init__(self, checkpoint_path, device): ...\n    def __call__(self, path): "
        f"{body}\n"
    )
    (tmp_path / "beat_this/inference.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    try:
        if error is None:
            assert beats_of("song.wav", "beat_this").tolist() == [0.5, 1.0, 1.5, 2.0, 2.5]
        else:
            with pytest.raises(error, match=message):
                beats_of("song.wav", "beat_this")
    finally:
        for name in ("beat_this", "beat_this.inference"):
            sys.modules.pop(name, None)
    assert beats_of("song.wav", "musetune") is None
