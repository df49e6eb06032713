"""The page's work done by a real `musetune serve`: the same takes and analyses as on this machine, and its refusals."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from browser import served
from service_server import free_port, program, wait_until

from musetune import LeadSheet
from musetune.client import ServiceClient
from musetune.serve import listen_work
from musetune.serve.errand import Errand, StoppedError
from musetune.serve.remote import NeedsPipelineError, RemoteAnalyser, RemotePipeline, ServiceQueue, connect
from musetune.serve.work import Order, finish_order, generate, genres_of, load, play

pytestmark = [pytest.mark.slow, pytest.mark.heavy]
KEY = "the-page-has-this-key"
ORDER = Order("| C | F G |", bpm=120, bars=2, ending="rings out", prompt="pop", seed=3, steps=2)


@pytest.fixture(scope="module")
def service(full_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("remote") / "service"
    with program(folder, full_base, "--max-seconds", "30", keys=f"page:{KEY}") as (_, url):
        yield url


@pytest.fixture(scope="module")
def remote(service: str) -> Iterator[tuple[RemotePipeline, RemoteAnalyser]]:
    pipe, analyser = connect(service, KEY)
    yield pipe, analyser
    pipe.queue.client.close()


def test_a_take_is_the_one_that_this_machine_makes(
    remote: Any, full_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = load(str(full_base), None, "cpu")
    here.register_modules(upsampler=None)
    assert genres_of(remote[0]) == genres_of(here)
    monkeypatch.setattr(remote[0], "upsampler", None)  # the base's own sound
    takes = []
    for name, pipe in (("here", here), ("there", remote[0])):
        (tmp_path / name).mkdir()
        takes.append(play(pipe, ORDER, tmp_path / name))
    sounds = [soundfile.read(take.files["WAV"], dtype="int16")[0].astype(int) for take in takes]
    assert sounds[0].shape == sounds[1].shape
    assert np.abs(sounds[0] - sounds[1]).max() <= 2, "written twice with 16 bits"
    assert takes[0].sheet == takes[1].sheet
    assert takes[1].seconds > ORDER.sheet().duration_s, "it rings out"


def test_stereo_comes_from_the_service(remote: Any) -> None:
    if remote[0].upsampler is None:
        pytest.skip("this base's sound cannot be made wide")
    [mono], rate = vars(generate_clip(remote[0])).values()
    wide = remote[0].to_stereo(mono)
    assert (rate, wide.shape) == (16000, (2, 3 * len(mono)))
    assert np.corrcoef(wide.mean(axis=0)[::3], mono)[0, 1] > 0.9
    with pytest.raises(NeedsPipelineError):
        remote[0].to_stereo(mono.copy())


def generate_clip(pipe: RemotePipeline) -> Any:
    import torch

    seed = torch.Generator().manual_seed(1)
    return pipe("pop", lead_sheet=ORDER.sheet(), num_inference_steps=1, generator=seed)


def test_an_analysis_is_the_one_that_this_machine_makes(remote: Any, tmp_path: Path) -> None:
    song = LeadSheet.parse("| C | Am | F | G7 |", bpm=100).save(tmp_path / "my song.mid")
    (tmp_path / "takes").mkdir()
    here = listen_work.analyse_song(song, tmp_path / "takes")
    there = listen_work.analyse_song(song, tmp_path / "takes", remote[1])
    assert there.record == here.record
    assert there.sheet == here.sheet
    for name, file in here.files.items():
        assert there.files[name].is_file(), name
        if file.suffix in (".json", ".jams", ".mid"):  # music21 gives every part of a MusicXML file a new id
            assert there.files[name].read_bytes() == file.read_bytes(), name


def metrics(service: str) -> str:
    return httpx.get(f"{service}/metrics", trust_env=False, timeout=60).text


def errand_of(work: Any) -> Errand[Any]:
    return Errand(work, threading.Lock())


def test_a_cancelled_take_is_cancelled_at_the_service(remote: Any, service: str, tmp_path: Path) -> None:
    long = Order("I V", seconds=30, steps=50)
    errand = errand_of(lambda errand: play(remote[0], long, tmp_path, errand))
    answers = iter(errand)
    while "/50 steps" not in errand.progress:
        assert next(answers) is None
    errand.cancel()
    with pytest.raises(StoppedError):
        for _ in answers:
            pass
    wait_until(lambda: 'musetune_jobs_ended_total{kind="generation",state="cancelled"} 1.0' in metrics(service))


def test_what_the_service_says_is_said(remote: Any, service: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mid"
    bad.write_bytes(b"MThd, and no more")
    with pytest.raises(ValueError, match=r"the service at http.*bad\.mid"):
        listen_work.analyse_song(bad, tmp_path, remote[1])
    with pytest.raises(ValueError, match="more than the 30 s"):
        play(remote[0], Order("I", seconds=60, steps=1), tmp_path)
    with pytest.raises(ValueError, match="give a key"):
        connect(service, "a-key-of-somebody-else")
    with pytest.raises(ValueError, match=r"does not answer .*: start it"):
        connect(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ValueError, match="is no address"):
        connect("127.0.0.1:8000")


def test_what_only_a_pipeline_here_can_do_says_so(remote: Any) -> None:
    from musetune.serve.compare_work import ANOTHER_SEED, make_pairs

    with pytest.raises(NeedsPipelineError, match="need a pipeline on this machine: start musetune ui without --server"):
        _ = remote[0].adapter
    with pytest.raises(ValueError, match="Compare's new pairs"):
        make_pairs(remote[0], ORDER, ANOTHER_SEED, 1, SimpleNamespace(pairs=dict), "nano")
    assert not hasattr(remote[0], "upsample")


def test_a_rate_that_is_used_up_for_a_moment_ends_no_job() -> None:
    """The service answers the question after a job with 429; the job goes on and is asked for again."""
    answers = iter(["running", 429, "running", "succeeded"])

    def answer(request: httpx.Request) -> httpx.Response:
        state = next(answers)
        if state == 429:
            problem = {"title": "t", "status": 429, "detail": "later", "code": "rate"}
            return httpx.Response(429, json=problem, headers={"Retry-After": "1"})
        return httpx.Response(200, json={"id": "a", "kind": "generation", "state": state, "created": 0})

    client = ServiceClient("http://service", transport=httpx.MockTransport(answer))
    queue = ServiceQueue(client, "http://service")
    assert queue.follow(client.job("a"), lambda job: None).state == "succeeded"
    client.close()


def test_the_command_serves_a_page_that_works_there(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gradio_client = pytest.importorskip("gradio_client", reason="the page is of the extra ui")
    monkeypatch.setenv("MUSETUNE_API_KEY", KEY)
    with served("--server", service) as address:
        config = httpx.get(f"{address}config", trust_env=False, timeout=60).json()
        notes = [
            part["props"].get("value")
            for part in config["components"]
            if part["props"].get("elem_id") == "service-note"
        ]
        assert f"Generate and Listen work at {service}" in str(notes)
        client = gradio_client.Client(address, verbose=False)
        try:
            fields = ("I V", "C major", 120, "4/4", 2, "seconds", "stops", "any", "x", 5, 1)
            *_, answer = client.submit(*fields, *genre_weights(client), None, 1.0, api_name="/generate")
            assert "Take 1 is ready" in str(answer)
        finally:
            client.close()


def genre_weights(client: Any) -> list[float]:
    """A weight of 0 for each genre of the page."""
    parameters = client.view_api(return_format="dict")["named_endpoints"]["/generate"]["parameters"]
    return [0.0] * (len(parameters) - 13)  # eleven fields before them, a clip and its share after


def test_a_loop_is_asked_of_the_service_as_one() -> None:
    asked: list[str] = []
    sound = io.BytesIO()
    wave = 0.1 * np.random.default_rng(0).normal(size=(96000, 2))
    soundfile.write(sound, wave, 48000, format="WAV", subtype="FLOAT")

    def submit(kind: str) -> Any:
        return lambda prompt, **fields: asked.append(kind) or SimpleNamespace(id=kind)

    client = SimpleNamespace(
        adapters=list,
        models=lambda: [{"name": "nano", "sampling_rate": 16000}],
        loop=submit("loop"),
        generate=submit("generate"),
        file=lambda *place: sound.getvalue(),
    )
    queue = SimpleNamespace(client=client, ask=lambda question: question(), follow=lambda job, check: job)
    pipe: Any = RemotePipeline(queue)  # type: ignore[arg-type]
    for ending in ("loops", "stops"):
        order = Order("| C |", bpm=120, bars=1, ending=ending, steps=1)
        heard, rate = finish_order(pipe, order, generate(pipe, order))
        assert (rate, heard.shape) == (48000, (2, 96000))
        np.testing.assert_allclose(heard, wave.T, atol=1e-6)  # as the service made it
    assert asked == ["loop", "generate"]
