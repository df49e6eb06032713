"""Requests that fit together run together: which ones, what comes out, and what becomes of one that is stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from musetune.client.bodies import GenerationBody
from musetune.serve.service.batching import EACH_ITS_OWN, batch_key
from musetune.serve.service.generation import _tell
from musetune.serve.service.jobs import Job
from musetune.serve.service.runner import GenerationRunner
from musetune.serve.service.sqlite_store import SQLiteJobStore
from musetune.serve.service.worker import (
    JobContext,
    claim_alike,
    perform,
    perform_together,
    result_folder,
    upload_folder,
)

CLIP = {"prompt": "jazz", "harmonic_progression": "I V", "duration_seconds": 2, "num_inference_steps": 2}
OTHERS = {
    "guidance_scale": 2.0,
    "music_guidance_scale": 2.0,
    "stem_guidance_scale": 2.0,
    "guidance_interval": (0.1, 0.5),
    "music_guidance_interval": (0.1, 0.5),
    "guidance_rescale": 0.1,
    "window_seconds": 1.0,
    "follow": ["chords"],
    "follow_seconds": (0.0, 1.0),
    "expression": {"swing": 0.6},
    "strength": 0.5,
    "adapters": {"jazz": 0.5},
    "arrange": True,
    "num_inference_steps": 3,
    "num_waveforms_per_prompt": 2,
    "eta": 0.5,
    "max_new_tokens": 3,
    "transcription": "la la",
}
ALONE = {
    "stems": True,
    "loop": True,
    "style_strength": 0.5,
    "previews": 2,
    "lead_sheet_job": "0" * 32,
    "arrangement_job": "0" * 32,
}


def key(**fields: Any) -> str | None:
    return batch_key("generation", GenerationBody(**CLIP | fields))


@given(st.text(max_size=20), st.integers(0, 2**40), st.sampled_from(["I", "ii7 V7 Imaj7", "| C | F |"]))
def test_words_chords_and_seeds_may_differ(prompt: str, seed: int, chords: str) -> None:
    assert key(prompt=prompt, seed=seed, harmonic_progression=chords, mono16=True, lufs=-20, bpm=90) == key()


def test_every_field_is_its_own_shared_or_alone() -> None:
    assert set(EACH_ITS_OWN) | set(OTHERS) | set(ALONE) == set(GenerationBody.model_fields)
    assert (
        len({key(), key(duration_seconds=3), *(key(**{name: value}) for name, value in OTHERS.items())})
        == len(OTHERS) + 2
    )
    assert [key(**{name: value}) for name, value in ALONE.items()] == [None] * len(ALONE)
    assert key(harmonic_progression=None) is None
    assert batch_key("plan", GenerationBody(**CLIP)) is None
    assert batch_key("generation", GenerationBody(**CLIP), ["lead_sheet"]) is None


def queue(store: SQLiteJobStore, *requests: dict[str, Any]) -> list[Job]:
    jobs = []
    for fields in requests:
        body = GenerationBody(**CLIP | fields)
        request = {"task": "generation", "body": body.model_dump(mode="json", exclude_defaults=True)}
        jobs.append(store.submit("generation", request | {"batch": batch_key("generation", body)})[0])
    return jobs


@pytest.fixture
def store(tmp_path: Path) -> SQLiteJobStore:
    return SQLiteJobStore(tmp_path / "jobs.sqlite3")


def test_only_what_fits_is_taken_along_and_a_second_attempt_goes_alone(store: SQLiteJobStore) -> None:
    one, other, two, three = queue(store, {"seed": 1}, {"strength": 0.5}, {"seed": 2}, {"seed": 3})
    first = store.claim("w", ["generation"])
    assert [job.id for job in claim_alike(store, first, 1)] == [two.id]
    assert store.get(two.id).worker == "w"
    store.recover("w", "by signal SIGKILL")
    again = store.claim("w", ["generation"])
    assert (again.id, again.attempt) == (one.id, 2)
    assert claim_alike(store, again, 3) == []
    assert [store.get(job.id).state for job in (other, two, three)] == ["queued"] * 3
    store.fail(again, {})
    second = store.claim("w", ["generation"], three.id)
    assert claim_alike(store, second, 3) == [], "the one that has been begun before waits for its own turn"


class Together:
    """Does jobs together in a way that a test chooses."""

    kinds, batch = ("generation",), 4

    def __init__(self, act: Callable[[list[JobContext]], list[Any]]) -> None:
        self.act = act

    def __call__(self, context: JobContext) -> dict[str, Any]:
        return {"alone": True}

    def together(self, contexts: list[JobContext]) -> list[Any]:
        return self.act(contexts)


def test_each_of_a_batch_ends_by_itself_and_a_broken_batch_goes_back_to_the_queue(
    store: SQLiteJobStore, tmp_path: Path
) -> None:
    def run(act: Callable[[list[JobContext]], list[Any]]) -> tuple[list[str], list[Job]]:
        queue(store, {"seed": 1}, {"seed": 2})
        first = store.claim("w", ["generation"])
        jobs = [first, *claim_alike(store, first, 3)]
        outcomes = perform_together(store, Together(act), tmp_path, jobs, 1e9)
        return outcomes, [store.get(job.id) for job in jobs]

    outcomes, jobs = run(lambda contexts: [{"fine": 1}, MemoryError("a word")])
    assert outcomes == ["succeeded", "failed"]
    assert (jobs[0].result["fine"], jobs[1].error["code"]) == (1, "out-of-memory")

    def break_down(contexts: list[JobContext]) -> list[Any]:
        (contexts[0].folder / "half.wav").write_text("half")
        raise MemoryError

    outcomes, jobs = run(break_down)
    assert outcomes == [job.state for job in jobs] == ["queued", "queued"]
    assert [job.deaths for job in jobs] == [0, 0]
    assert not list(result_folder(tmp_path, jobs[0].id).rglob("half.wav"))
    for job in jobs:  # each with its own time, and alone
        again = store.claim("w", ["generation"])
        assert (again.id, claim_alike(store, again, 3)) == (job.id, [])
        assert perform(store, Together(break_down), tmp_path, again, 1e9) == "succeeded"
        assert store.get(job.id).result["alone"]


def test_a_job_that_is_cancelled_is_over_while_the_batch_goes_on(store: SQLiteJobStore, tmp_path: Path) -> None:
    jobs = queue(store, {"seed": 1}, {"seed": 2})
    first = store.claim("w", ["generation"])
    contexts = [JobContext(job, tmp_path, tmp_path, store) for job in (first, *claim_alike(store, first, 3))]
    ended: dict[int, Exception] = {}
    _tell(contexts, ended, "denoising", 1, 20)
    store.cancel(jobs[1].id)
    contexts[1]._told = -float("inf")
    _tell(contexts, ended, "denoising", 2, 20)
    assert list(ended) == [1]
    assert [store.get(job.id).state for job in jobs] == ["running", "cancelled"]
    _tell(contexts, ended, "denoising", 3, 20)
    store.finish_cancel(contexts[1].job)  # as the worker does at the end: it has been said
    assert [event.kind for event in store.events(jobs[1].id)].count("cancelled") == 1


@pytest.fixture(scope="module")
def runner(full_base: Path) -> Iterator[GenerationRunner]:
    made = GenerationRunner(str(full_base), device="cpu", batch=4)
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.parametrize("more", [{"num_waveforms_per_prompt": 2}, {"arrange": True}])
def test_together_as_alone(
    runner: GenerationRunner, store: SQLiteJobStore, tmp_path: Path, more: dict[str, Any]
) -> None:
    """The same audio within rounding, report, sheet and files; one that is cancelled on the way leaves the others."""
    requests = [{"seed": 1, "mono16": True}, {"seed": 2, "prompt": "rock", "harmonic_progression": "| Am | F |"}]
    requests.append({"seed": 3, "negative_prompt": "noise"})
    jobs = queue(store, *(fields | more for fields in requests))
    contexts = []
    for name in ("together", "alone"):
        for job in jobs:
            folder = tmp_path / name / job.id
            folder.mkdir(parents=True)
            running = store.claim("w", ["generation"], job.id) or store.get(job.id)
            contexts.append(JobContext(running, folder, upload_folder(tmp_path, job.id), store))
    store.cancel(jobs[2].id)
    results = runner.together(contexts[:3])
    assert type(results[2]).__name__ == "JobCancelledError"
    for number in range(2):
        together, alone = results[number], runner(contexts[3 + number])
        assert together.pop("batch") == 3
        for timing in ("stages", "real_time_factor"):
            together.pop(timing), alone.pop(timing)
        assert together["files"] == alone["files"]
        assert (together["seconds"], together["channels"]) == (alone["seconds"], [1, 2][number])
        waves = [soundfile.read(contexts[place].folder / "audio.wav")[0] for place in (number, 3 + number)]
        assert np.abs(waves[0] - waves[1]).max() < 2e-3
        plans = [(contexts[place].folder / "plan.json").read_text() for place in (number, 3 + number)]
        assert plans[0] == plans[1]
