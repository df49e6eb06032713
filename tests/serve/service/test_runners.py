"""What runners make of a request and of what goes wrong beside them, with stand-ins for networks and processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyloudnorm
import pytest

from musetune import LeadSheet
from musetune.analysis.service.process import ProcessDeath, check_answer
from musetune.audio.loudness import true_peak
from musetune.client.bodies import GenerationBody
from musetune.serve.service.analysis import AnalysisRunner
from musetune.serve.service.checks import check_generation
from musetune.serve.service.generation import generate
from musetune.serve.service.inputs import Inputs, run_apart
from musetune.serve.service.jobs import Job
from musetune.serve.service.results import finish_loops
from musetune.serve.service.sqlite_store import SQLiteJobStore
from musetune.serve.service.worker import JobContext, perform, upload_folder


@pytest.fixture
def store(tmp_path: Path) -> SQLiteJobStore:
    return SQLiteJobStore(tmp_path / "jobs.sqlite3")


class Analyser:
    """Stands for the process that analyses: each call does the next of what a test gives."""

    def __init__(self, *acts: Callable[[Any], Any]) -> None:
        self.acts = list(acts)

    def run(self, job: Any) -> Any:
        return self.acts.pop(0)(job)

    def kill(self) -> None:
        raise AssertionError("nobody cancels")


def throw(error: Exception) -> Callable[[Any], Any]:
    def act(_: Any) -> Any:
        raise error

    return act


def analyse(store: SQLiteJobStore, folder: Path, *acts: Callable[[Any], Any]) -> Job:
    """An analysis of which the process does what a test gives; the job as it ended."""
    job = store.submit("analysis", {"task": "analysis", "body": {}, "filename": "my song.mid"})[0]
    uploads = upload_folder(folder, job.id)
    uploads.mkdir(parents=True)
    (uploads / "file.mid").write_bytes(b"MThd")
    runner = AnalysisRunner()
    runner.worker.close()
    runner.worker = Analyser(*acts)  # type: ignore[assignment]
    running = store.claim("w", ["analysis"])
    assert running is not None
    perform(store, runner, folder, running, 60)
    after = store.get(job.id)
    assert after is not None
    return after


def test_a_killed_analyser_is_not_the_clients_fault(store: SQLiteJobStore, tmp_path: Path) -> None:
    dead = ProcessDeath("file.mid: the process that analysed it ended after 1.0 s by signal SIGKILL")
    twice = analyse(store, tmp_path, throw(dead), throw(dead))
    assert (twice.error["code"], twice.error["status"]) == ("worker-died", 500)
    assert "my song.mid" in twice.error["message"]
    assert "SIGKILL" in twice.error["message"]
    once = analyse(store, tmp_path, throw(dead), throw(ValueError(f"{tmp_path}: file.mid is none")))
    assert (once.error["code"], once.error["status"]) == ("invalid-request", 422), "the second trial said what is wrong"


def test_a_full_disk_of_the_analyser_is_not_the_clients_fault(store: SQLiteJobStore, tmp_path: Path) -> None:
    reply = {"error": "OSError", "message": "/x/song.jams: No space left on device", "errno": 28}
    job = analyse(store, tmp_path, lambda _: check_answer(reply))
    assert (job.error["code"], job.error["status"]) == ("disk-full", 507)


def test_an_answers_error_keeps_its_words_and_its_number() -> None:
    with pytest.raises(PermissionError) as caught:
        check_answer({"error": "PermissionError", "message": "a.wav: Permission denied", "errno": 13})
    assert (str(caught.value), caught.value.errno) == ("a.wav: Permission denied", 13)


def test_what_waits_for_a_process_that_dies_asks_it_once_more(store: SQLiteJobStore, tmp_path: Path) -> None:
    store.submit("diary", {})
    context = JobContext(store.claim("w", ["diary"]), tmp_path, tmp_path, store)
    analyser = Analyser(throw(ProcessDeath("by signal SIGKILL")), lambda job: f"heard {job}")
    assert run_apart(context, lambda: analyser.run("it"), analyser.kill) == "heard it"


class Pipe:
    """Stands for the pipeline: keeps what it is asked to plan, to arrange and to play, and plays nothing."""

    adapter_manager = SimpleNamespace(sampling=None)

    def __init__(self) -> None:
        self.adapters: dict[str, Any] = {}
        self.upsampler = None
        self.vocoder = SimpleNamespace(config=SimpleNamespace(sampling_rate=16000))
        self.plans: list[tuple[Any, Any]] = []
        self.call: dict[str, Any] = {}

    def plan(self, prompt: str, **pins: Any) -> LeadSheet:
        self.plans.append((prompt, pins))
        return LeadSheet.parse("| C | F |", bpm=120)

    def arrange(self, sheet: LeadSheet, **options: Any) -> Any:
        from musetune.symbols.arrangement import Arrangement

        return Arrangement(sheet.grid, {})

    def __call__(self, prompt: str, **options: Any) -> Any:
        self.call = options
        raise InterruptedError("nothing is played")


@pytest.mark.slow
def test_stems_of_words_with_a_length_are_made(store: SQLiteJobStore, tmp_path: Path) -> None:
    """They need the players' notes, and those a plan: it is written before anything is played."""
    fields = {"prompt": "jazz", "duration_seconds": 8, "arrange": True, "stems": True, "seed": 5, "key": "D minor"}
    body = GenerationBody(**fields, mono16=True)
    check_generation(body, (), 20)
    request = {"task": "generation", "body": body.model_dump(mode="json", exclude_defaults=True)}
    store.submit("generation", request)
    context = JobContext(store.claim("w", ["generation"]), tmp_path, tmp_path, store)
    pipe = Pipe()
    with pytest.raises(InterruptedError):
        generate(pipe, context, Inputs(context, None, None, 20), 20)  # type: ignore[arg-type]
    assert pipe.plans == [("jazz", {"duration_seconds": 8.0, "seed": 5, "key": "D minor"})]
    assert pipe.call["stems"] is True
    assert pipe.call["arrangement"] is not None
    assert "duration_seconds" not in pipe.call
    assert "key" not in pipe.call


def test_adapters_of_ones_own_are_loaded_beside_ours_and_silent() -> None:
    from musetune.serve.service.runner import load_loras

    class Adapters:
        def __init__(self) -> None:
            self.adapters: dict[str, Any] = {"jazz": SimpleNamespace(kind="lora")}
            self.active: Any = "jazz"

        def load_adapter(self, place: str, name: str) -> None:
            self.adapters[name if "theory" not in place else "theory"] = SimpleNamespace(kind="lora", place=place)
            self.active = name

        def set_adapter(self, mix: Any) -> None:
            self.active = mix

    pipe: Any = Adapters()
    load_loras(pipe, [("house", "/mine/house"), ("jazz", "/mine/jazz")])
    assert pipe.adapters["house"].place == "/mine/house"
    assert not hasattr(pipe.adapters["jazz"], "place"), "what is loaded stays"
    assert pipe.active is None
    with pytest.raises(ValueError, match="is no genre adapter: give --adapter"):
        load_loras(pipe, [("wrong", "/mine/theory")])


@pytest.mark.parametrize(("heard", "genre"), [("blues", "blues"), ("unsure", None), ("world", None)])
def test_a_recording_is_heard_with_a_genre_that_adapters_know(heard: str, genre: str | None, tmp_path: Path) -> None:
    (tmp_path / "audio.wav").touch()
    record = {"genre_analysis": {"primary_genre": heard}}
    result = SimpleNamespace(lead_sheet=LeadSheet.parse("| C | F |"), record=record)
    analyser = SimpleNamespace(run=lambda job: SimpleNamespace(result=result), kill=lambda: None)
    context = SimpleNamespace(uploads=tmp_path, step=lambda name: None)
    assert Inputs(context, None, analyser, 20).heard_sheet().genre == genre  # type: ignore[arg-type]


def test_loops_of_a_set_get_one_gain() -> None:
    """The second has peaks that let no more through: the whole set stays softer, and equally loud."""
    pipe: Any = SimpleNamespace(vocoder=SimpleNamespace(config=SimpleNamespace(sampling_rate=16000)))
    time = np.arange(32000) / 16000
    smooth = 0.3 * np.sin(2 * np.pi * 220 * time)
    spiky = 0.02 * np.sin(2 * np.pi * 220 * time)
    spiky[::4000] = 0.9
    loops, rate = finish_loops(pipe, [smooth, spiky], True, -8.0, 2.0)
    levels = [pyloudnorm.Meter(rate).integrated_loudness(np.concatenate([loop] * 2).astype(float)) for loop in loops]
    assert levels[0] == pytest.approx(levels[1], abs=0.1)
    assert levels[0] < -9, "they cannot be so loud"
    assert max(true_peak(loop) for loop in loops) == pytest.approx(10 ** (-1 / 20), abs=1e-3)
    soft, _ = finish_loops(pipe, [smooth], True, -30.0, 2.0)
    assert pyloudnorm.Meter(rate).integrated_loudness(soft[0].astype(float)) == pytest.approx(-30, abs=0.1)
