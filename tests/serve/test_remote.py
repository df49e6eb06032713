"""The page's work done by a real `musetune serve`: the same takes and analyses as on this machine, and its refusals."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from browser import fill, find_chromium, missing, served
from service_server import free_port, program, wait_until

from musetune import LeadSheet
from musetune.audio import save_audio
from musetune.client import ServiceClient
from musetune.evaluation.preferences import PairBatch
from musetune.formats.songs import load_arrangement, save_song
from musetune.planning.rules.orchestrate import orchestrate
from musetune.serve import listen_work
from musetune.serve.compare_work import ANOTHER_SEED, make_pairs
from musetune.serve.edit_order import EditOrder
from musetune.serve.edit_work import EditSource, edit
from musetune.serve.errand import Errand, StoppedError
from musetune.serve.remote import RemoteAnalyser, connect
from musetune.serve.remote_pipeline import NeedsPipelineError, RemotePipeline
from musetune.serve.service_queue import ServiceQueue
from musetune.serve.song_work import Song, render, resound_player
from musetune.serve.work import Order, finish_order, generate, genres_of, load, play
from musetune.symbols import Arrangement

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


@pytest.fixture(scope="module")
def here(full_base: Path) -> Any:
    """The pipeline of this machine, which plays the base's own sound."""
    pipe = load(str(full_base), None, "cpu")
    pipe.set_progress_bar_config(disable=True)
    pipe.register_modules(upsampler=None)
    return pipe


@pytest.fixture
def mono(remote: Any, monkeypatch: pytest.MonkeyPatch) -> RemotePipeline:
    """The service's pipeline, asked for the base's own sound."""
    monkeypatch.setattr(remote[0], "upsampler", None)
    return remote[0]


@pytest.fixture(scope="module")
def piece(here: Any, tmp_path_factory: pytest.TempPathFactory) -> EditSource:
    """Three bars of 1.5 s, whose latents nobody has."""
    order = Order("| C | Am | F |", bpm=160, bars=3, ending="stops", prompt="pop", seed=2, steps=1)
    take = play(here, order, tmp_path_factory.mktemp("takes"))
    return EditSource("a take", take.files["WAV"], take.sheet, order)


def samples(path: Path, depth: str = "int16") -> np.ndarray:
    return soundfile.read(path, dtype=depth)[0].astype(np.int64)


def assert_same_sound(first: Path, second: Path, rounding: int = 2) -> None:
    """Equal samples, but for those that were written twice with 16 bits."""
    ours, theirs = samples(first), samples(second)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= rounding


def test_a_take_is_the_one_that_this_machine_makes(mono: RemotePipeline, here: Any, tmp_path: Path) -> None:
    assert genres_of(mono) == genres_of(here)
    takes = []
    for name, pipe in (("here", here), ("there", mono)):
        (tmp_path / name).mkdir()
        takes.append(play(pipe, ORDER, tmp_path / name))
    assert_same_sound(takes[0].files["WAV"], takes[1].files["WAV"])
    assert takes[0].sheet == takes[1].sheet
    assert takes[1].seconds > ORDER.sheet().duration_s, "it rings out"


@pytest.mark.parametrize(
    "order",
    [
        EditOrder("repaint", "2", "Dm7 G7", "dark jazz", seed=5, steps=2),
        EditOrder("extend", chords="ii7", before=1, after=1, steps=1),
        EditOrder("vary", amount=0.5, seed=3, steps=2),
        EditOrder("cover", genre="jazz", keep=("chords", "loudness"), steps=1),
        EditOrder("loop", "1-2", loops=2, steps=1),
    ],
    ids=lambda order: order.kind,
)
def test_an_edit_is_the_one_that_this_machine_makes(
    mono: RemotePipeline, here: Any, piece: EditSource, tmp_path: Path, order: EditOrder
) -> None:
    ours, theirs = edit(here, piece, order, tmp_path), edit(mono, piece, order, tmp_path)
    assert len(ours.takes) == len(theirs.takes) == (2 if order.kind == "loop" else 1)
    for one, other in zip(ours.takes, theirs.takes, strict=True):
        assert_same_sound(one.files["WAV"], other.files["WAV"], rounding=3)
        assert one.sheet == other.sheet
    assert ("kept: " in theirs.note) == (order.kind == "cover")
    assert [word for word in theirs.note.split() if word.isalpha()] == [w for w in ours.note.split() if w.isalpha()]


def test_notes_and_a_clip_go_along(
    mono: RemotePipeline, here: Any, piece: EditSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Any] = []  # the tiny base's adapter reads notes, and they change nothing yet
    submit = mono.queue.client.repaint

    def repaint(**fields: Any) -> Any:
        heard.append(load_arrangement(fields["arrangement_file"]) if "arrangement_file" in fields else None)
        return submit(**fields)

    monkeypatch.setattr(mono.queue.client, "repaint", repaint)
    notes = save_song(piece.sheet, orchestrate(piece.sheet, seed=1).arrangement, tmp_path / "notes.mid")
    order = EditOrder("repaint", "2", notes=str(notes), style=str(piece.sound), steps=1)
    (tmp_path / "takes").mkdir()
    (ours,), (theirs,) = (edit(pipe, piece, order, tmp_path / "takes").takes for pipe in (here, mono))
    assert_same_sound(ours.files["WAV"], theirs.files["WAV"], rounding=3)
    (plain,) = edit(mono, piece, EditOrder("repaint", "2", steps=1), tmp_path / "takes").takes
    assert np.abs(samples(plain.files["WAV"]) - samples(theirs.files["WAV"])).max() > 9
    assert heard == [load_arrangement(notes), None]


@pytest.mark.parametrize("kind", ["repaint", "extend"])
def test_what_stays_of_a_recording_stays_to_the_last_bit(
    remote: Any, piece: EditSource, tmp_path: Path, kind: str
) -> None:
    """A service writes 16 bits, and turns down what peaks above 0.99; the recording has 24 bits and peaks at 1."""
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, (2, round(4.5 * 44100))).astype(np.float32)
    wave[:, 100_000] = 8388607 / 8388608
    song = save_audio(tmp_path / "song.wav", wave, 44100, depth="PCM_24")
    order = EditOrder(kind, "1" if kind == "repaint" else "", after=1, steps=1)
    (take,) = edit(remote[0], EditSource("song", song, piece.sheet, piece.order), order, tmp_path).takes
    before, after = samples(song, "int32"), samples(take.files["WAV"], "int32")
    first, last = (round(1.5 * 44100), None) if kind == "repaint" else (0, round(4.45 * 44100))
    assert np.array_equal(before[first:last], after[first : last or len(before)])
    assert len(after) == pytest.approx((4.5 if kind == "repaint" else 6.0) * 44100, abs=2)


def test_a_take_of_the_service_is_edited_from_its_latents(
    mono: RemotePipeline, here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    repaint = mono.queue.client.repaint
    monkeypatch.setattr(mono.queue.client, "repaint", lambda **fields: asked.append(fields) or repaint(**fields))
    order, change = Order("| C | F |", bpm=160, bars=2, steps=1, seed=4), EditOrder("repaint", "2", "G", steps=1)
    edited = []
    for name, pipe in (("here", here), ("there", mono)):
        (tmp_path / name).mkdir()
        source = EditSource.of_take("a take", play(pipe, order, tmp_path / name))
        edited += edit(pipe, source, change, tmp_path / name).takes
    ours, theirs = (samples(take.files["WAV"]) for take in edited)
    kept = slice(0, round(1.45 * 16000))
    assert np.abs(ours[kept] - theirs[kept]).max() <= 2
    new = slice(24000, None)  # perhaps less loud: the service's own audio peaks higher than a take's file
    assert np.corrcoef(ours[new], theirs[new])[0, 1] > 0.9999
    again = EditSource.of_take("the edit", edited[1])  # whose job is that of the edit
    edit(mono, again, change, tmp_path)
    gone = EditSource("old", again.sound, again.sheet, again.order, job="0" * 32)
    assert edit(mono, gone, change, tmp_path).takes
    assert [set(one) & {"source_job", "audio_file"} for one in asked] == [
        {"source_job"}, {"source_job"}, {"source_job"}, {"audio_file"},
    ]  # fmt: skip


def two_players(sheet: LeadSheet) -> Arrangement:
    """Notes of two players, by rule."""
    notes = orchestrate(sheet, seed=1).arrangement
    return replace(notes, stems=dict(list(notes.stems.items())[:2]))


def test_players_sound_as_on_this_machine(mono: RemotePipeline, here: Any, tmp_path: Path) -> None:
    sheet = LeadSheet.parse("| C | F |", bpm=160, genre="pop")
    song = Song(sheet, two_players(sheet), "a song", {}, 0)
    ours, theirs = (render(pipe, song, tmp_path, steps=1) for pipe in (here, mono))
    assert ours.audio is not None
    assert theirs.audio is not None
    first, second = song.arrangement.stems
    assert list(theirs.audio.raw) == [first, second]
    for name, (_, file) in theirs.audio.raw.items():
        assert_same_sound(file, ours.audio.raw[name][1])
    other = render(mono, resound_player(theirs, second, "church organ"), tmp_path, steps=1)
    assert other.audio is not None
    before, after = ({name: file.read_bytes() for name, (_, file) in one.audio.raw.items()} for one in (theirs, other))
    assert {name: sound == before[name] for name, sound in after.items()} == {first: True, second: False}


def test_players_are_stereo_where_the_service_makes_stereo(remote: Any, tmp_path: Path) -> None:
    sheet = LeadSheet.parse("| C |", bpm=160)
    song = Song(sheet, two_players(sheet), "a song", {}, 0)
    audio = render(remote[0], song, tmp_path, steps=1).audio
    assert audio is not None
    players = [samples(file) for file in audio.mix.stems.values()]
    assert soundfile.info(audio.mix.sounds["WAV"]).samplerate == 48000
    assert np.array_equal(sum(players), samples(audio.mix.sounds["WAV"]))
    assert {player.shape for player in players} == {(72000, 2)}


def test_pairs_are_made_by_the_service(remote: Any, service: str, tmp_path: Path) -> None:
    batch = PairBatch(tmp_path / "batch")
    order = Order("| C |", bpm=160, bars=2, ending="stops", steps=1)
    assert make_pairs(remote[0], order, ANOTHER_SEED, 1, batch, remote[0].base_name) == 1
    assert make_pairs(remote[0], order, ANOTHER_SEED, 1, batch, remote[0].base_name) == 0, "it is there already"
    (pair,) = batch.pairs().values()
    assert [side.origin["seed"] for side in pair.sides] == [0, 1]
    assert {side.origin["service"] for side in pair.sides} == {service}
    assert pair.sides[0].sha256 != pair.sides[1].sha256


def test_stereo_comes_from_the_service(remote: Any) -> None:
    if remote[0].upsampler is None:
        pytest.skip("this base's sound cannot be made wide")
    clip = generate_clip(remote[0])
    [mono], rate = clip.audios, clip.sampling_rate
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
    from musetune.serve.live_session import LiveSettings, LiveStage

    with pytest.raises(NeedsPipelineError, match=r"Live needs a pipeline on this machine.*without --server"):
        _ = remote[0].stream
    with pytest.raises(ValueError, match="Live needs a pipeline on this machine"):
        LiveStage(remote[0], threading.Lock()).open("token", LiveSettings())
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


@pytest.fixture(scope="module")
def address(service: str) -> Iterator[str]:
    """The page of `musetune ui --server`."""
    pytest.importorskip("gradio", reason="the page is of the extra ui")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MUSETUNE_API_KEY", KEY)
        with served("--server", service) as address:
            yield address


def test_the_command_serves_a_page_that_works_there(service: str, address: str) -> None:
    gradio_client = pytest.importorskip("gradio_client", reason="the page is of the extra ui")
    config = httpx.get(f"{address}config", trust_env=False, timeout=60).json()
    notes = [
        part["props"].get("value") for part in config["components"] if part["props"].get("elem_id") == "service-note"
    ]
    assert f"Sound is made, and songs are heard, at {service}" in str(notes)
    client = gradio_client.Client(address, verbose=False)
    try:
        fields = ("I V", "C major", 120, "4/4", 2, "seconds", "stops", "any", "x", 5, 1)
        *_, answer = client.submit(*fields, *genre_weights(client), None, 1.0, api_name="/generate")
        assert "Take 1 is ready" in str(answer)
    finally:
        client.close()


@pytest.mark.browser
def test_bars_are_made_anew_in_the_browser_and_live_says_why_it_is_not_there(address: str) -> None:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright drives the browser: pip install -e '.[dev]'")
    program, environment = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, env=environment)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(120_000)
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
        page.goto(address)
        page.locator("#chords-words .mt-chip").first.wait_for()
        fill(page, "chords", "| C | Am | F | G |")
        page.get_by_text("Seed and steps").click()
        fill(page, "steps", "1")
        page.locator("#generate").click()
        page.get_by_role("button", name="Edit: ").click()
        page.locator('#edit-piece .mt-pick[data-bar="3"]').click()
        page.locator("#edit-chords textarea, #edit-chords input").fill("Dm7")
        page.locator("#edit-start").click()
        page.locator("#edit-result .mt-side").first.wait_for()
        after = page.locator('#edit-result [data-side="A"] .mt-chart .mt-chord b')
        assert after.all_inner_texts()[:4] == ["C", "Am", "Dm7", "G"]
        length = "() => document.querySelector('#edit-result audio').duration"
        page.wait_for_function(f"{length} > 7")
        page.get_by_role("tab", name="Live").click()
        absent = page.locator(".mt-live-absent")
        absent.get_by_text("Live is not on this page").wait_for()
        assert "musetune ui" in absent.inner_text()
        assert page.locator("#live button").count() == 0
        assert not faults
        browser.close()


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
