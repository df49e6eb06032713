"""The service as a stranger meets it: `musetune serve` as a program, asked by the client that ships with it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pyloudnorm
import pytest
import soundfile
from prometheus_client.parser import text_string_to_metric_families
from service_server import KEY, OTHER, PATIENCE_S, Program, program

from musetune import LeadSheet
from musetune.client import AsyncServiceClient, ServiceClient, ServiceError

pytestmark = [pytest.mark.slow, pytest.mark.heavy]
CLIP = {"harmonic_progression": "I V", "duration_seconds": 2, "num_inference_steps": 2}


def test_a_clip_from_request_to_files(client: ServiceClient, served: Program, tmp_path: Path) -> None:
    steps = {"num_inference_steps": 8, "previews": 1}
    job = client.generate("jazz trio", key="F major", **CLIP | steps)
    updates = list(client.events(job.id))
    kinds = [update.kind for update in updates if update.kind != "queue"]
    assert kinds[:2] == ["queued", "running"]
    assert kinds[-1] == "succeeded"
    assert "progress" in kinds
    (preview,) = [update for update in updates if update.kind == "preview"]
    assert preview.data["preview"] == f"/v1/jobs/{job.id}/previews/4"
    assert client.preview(job.id, 4).startswith(b"OggS")
    with pytest.raises(ServiceError, match="no preview of step 5"):
        client.preview(job.id, 5)
    done = client.wait(job.id, PATIENCE_S)
    assert set(done.files) == {"audio", "chart", "jams", "midi", "musicxml", "plan", "report"}
    assert (done.task, done.result["sampling_rate"], done.result["channels"]) == ("generation", 48000, 2)
    for kind in ("wav", "flac", "mp3", "ogg"):
        info = soundfile.info(client.save(job.id, "audio", tmp_path / f"take.{kind}", kind))
        assert info.duration == pytest.approx(2, abs=0.2)
        assert (info.samplerate, info.channels) == (48000, 2)
    assert json.loads(client.file(job.id, "report"))["key"]["asked"] == "F major"
    sheet = LeadSheet.load(client.save(job.id, "plan", tmp_path / "plan.json"))
    assert [str(span.chord) for span in sheet.chords] == ["F:maj", "C:maj"][: len(sheet.chords)]
    assert next(event.number for event in client.events(job.id, after=2)) == 3
    with pytest.raises(ServiceError, match="made no stems; it made audio"):
        client.file(job.id, "stems")
    headers = {"Authorization": f"Bearer {KEY}"}
    url = f"{served.url}/v1/jobs/{job.id}/audio"
    part = httpx.get(url, headers=headers | {"Range": "bytes=0-3"}, trust_env=False)
    assert (part.status_code, part.content) == (206, b"RIFF")
    assert part.headers["content-range"].startswith("bytes 0-3/")
    for kind, media in {"flac": "flac", "mp3": "mpeg", "ogg": "ogg", "wav": "wav"}.items():
        whole = httpx.head(url, params={"format": kind}, headers=headers, trust_env=False)
        if whole.status_code == 405:
            whole = httpx.get(url, params={"format": kind}, headers=headers, trust_env=False)
        assert whole.headers["content-type"] == f"audio/{media}"


def test_equal_requests_give_equal_audio_and_one_key_one_job(client: ServiceClient) -> None:
    first = client.generate("a", seed=5, idempotency_key="once", wait_seconds=50, **CLIP)
    again = client.generate("a", seed=5, idempotency_key="once", **CLIP)
    other = client.generate("a", seed=5, wait_seconds=50, **CLIP)
    assert first.id == again.id != other.id
    assert client.file(client.wait(first.id, PATIENCE_S).id) == client.file(client.wait(other.id, PATIENCE_S).id)
    with pytest.raises(ServiceError, match="another request") as caught:
        client.generate("b", idempotency_key="once", **CLIP)
    assert caught.value.problem.status == 409


def test_the_bases_own_sound_and_a_loudness(client: ServiceClient, tmp_path: Path) -> None:
    job = client.wait(client.generate("a", mono16=True, lufs=-30, **CLIP).id, PATIENCE_S)
    wave, rate = soundfile.read(client.save(job.id, "audio", tmp_path / "take.wav"))
    assert (rate, wave.ndim) == (16000, 1)
    assert pyloudnorm.Meter(rate).integrated_loudness(wave) == pytest.approx(-30, abs=0.5)


def test_a_lead_sheet_comes_as_a_file(client: ServiceClient, tmp_path: Path) -> None:
    sheet = LeadSheet.parse("| Dm | G7 |", key="C major", bpm=240)
    for suffix in (".mid", ".musicxml", ".json"):
        path = sheet.save(tmp_path / f"sheet{suffix}")
        job = client.wait(client.generate("b", lead_sheet_file=path, num_inference_steps=1).id, PATIENCE_S)
        assert "Dm" in client.file(job.id, "chart").decode()
    broken = tmp_path / "broken.mid"
    broken.write_bytes(b"MThd, and no more")
    with pytest.raises(ServiceError) as caught:
        client.wait(client.generate("b", lead_sheet_file=broken).id, PATIENCE_S)
    assert caught.value.problem.status == 422
    assert str(tmp_path.parent) not in str(caught.value)


def test_a_song_from_words_to_stems(client: ServiceClient) -> None:
    """Plan, arrangement and audio are three jobs, each going out from the one before."""
    plan = client.wait(client.plan("slow blues", key="D minor", bars=2, bpm=120).id, PATIENCE_S)
    assert (plan.task, plan.result["key"], plan.result["bars"]) == ("plan", "D minor", 2)
    notes = client.wait(client.arrange(lead_sheet_job=plan.id, stems=["drums", "bass"]).id, PATIENCE_S)
    assert set(notes.result["players"]) == {"drums", "bass"}
    assert client.file(notes.id, "midi").startswith(b"MThd")
    fields = {"lead_sheet_job": plan.id, "arrangement_job": notes.id, "stems": True, "num_inference_steps": 1}
    song = client.wait(client.generate("blues", **fields).id, PATIENCE_S)
    assert client.file(song.id, "stems").startswith(b"PK")
    with pytest.raises(ServiceError, match=f"job {plan.id} made no players' notes; it made chart"):
        client.generate("blues", lead_sheet_job=plan.id, arrangement_job=plan.id)


def test_edits_of_a_job_and_of_a_recording(client: ServiceClient, tmp_path: Path) -> None:
    sheet = {"harmonic_progression": "| C | F |", "bpm": 240, "duration_seconds": 2}
    source = client.wait(client.generate("a", num_inference_steps=2, **sheet).id, PATIENCE_S)
    steps = {"num_inference_steps": 2}
    first = client.repaint(source_job=source.id, bars=[[2, 2]], harmonic_progression="G7", **steps)
    second = client.extend(source_job=source.id, after_seconds=1, harmonic_progression="G", **steps)
    third = client.vary(source_job=source.id, amount=0.5, mono16=True, **steps)
    before, _ = soundfile.read(client.save(source.id, "audio", tmp_path / "before.wav"))
    repaint = client.wait(first.id, PATIENCE_S)
    after, rate = soundfile.read(client.save(repaint.id, "audio", tmp_path / "after.wav"))
    assert (rate, after.shape) == (48000, before.shape)
    kept = int(0.95 * rate)
    assert (before[:kept] == after[:kept]).all(), "what was not to change is the same, sample for sample"
    assert (before[rate:] != after[rate:]).any()
    assert "G7" in client.file(repaint.id, "chart").decode()
    assert client.wait(second.id, PATIENCE_S).result["seconds"] == pytest.approx(3, abs=0.01)
    assert client.wait(third.id, PATIENCE_S).result["sampling_rate"] == 16000
    heard = [client.repaint(source_job=source.id, bars=[[2, 2]], previews=1, lufs=-30, num_inference_steps=4)]
    heard += [client.extend(source_job=source.id, after_seconds=1, harmonic_progression="G", previews=1, lufs=-30,
                            num_inference_steps=4)]  # fmt: skip
    heard += [client.cover(source_job=source.id, keep=["chords"], previews=1, lufs=-30, num_inference_steps=4)]
    heard += [client.vary(source_job=source.id, amount=0.5, previews=1, lufs=-30, num_inference_steps=8)]
    for job in heard:
        (preview,) = [update for update in client.events(job.id) if update.kind == "preview"]
        assert (preview.data["step"], preview.data["steps"]) == (2, 4), "of vary's eight steps four are left out"
        assert client.preview(job.id, 2).startswith(b"OggS")
        wave, rate = soundfile.read(client.save(client.wait(job.id, PATIENCE_S).id, "audio", tmp_path / "soft.wav"))
        assert pyloudnorm.Meter(rate).integrated_loudness(wave) == pytest.approx(-30, abs=0.5)
    whole = LeadSheet.parse("| C | F |", bpm=240).save(tmp_path / "whole.mid")
    fine = tmp_path / "fine.wav"
    soundfile.write(fine, after / abs(after).max(), rate, subtype="PCM_24")
    job = client.repaint(fine, lead_sheet_file=whole, seconds=[[0, 0.5]], **steps)
    assert client.wait(job.id, PATIENCE_S).result["channels"] == 2
    edited = client.save(job.id, "audio", tmp_path / "edited.wav")
    assert soundfile.info(edited).subtype == "PCM_24"
    (own, _), (kept, _) = (soundfile.read(path, dtype="int32", start=int(0.6 * rate)) for path in (fine, edited))
    assert (own == kept).all(), "24 bits, and as loud as they were"
    again = client.repaint(source_job=job.id, lead_sheet_file=whole, seconds=[[0, 0.5]], **steps)
    twice = client.save(client.wait(again.id, PATIENCE_S).id, "audio", tmp_path / "twice.wav")
    assert soundfile.info(twice).subtype == "PCM_24"
    noise = tmp_path / "noise.mp3"
    noise.write_bytes(os.urandom(3000))
    with pytest.raises(ServiceError, match=r"audio\.mp3") as caught:
        client.wait(client.vary(noise, lead_sheet_file=whole).id, PATIENCE_S)
    assert (caught.value.problem.status, str(tmp_path.parent) in str(caught.value)) == (422, False)


def test_the_sound_of_a_clip_and_a_loop_of_its_own(client: ServiceClient, served: Program, tmp_path: Path) -> None:
    style = tmp_path / "style.wav"
    soundfile.write(style, np.random.default_rng(0).normal(0, 0.1, 16000), 16000)
    fields = {"harmonic_progression": "| Am |", "duration_seconds": 2, "num_inference_steps": 1, "loop": True}
    job = client.generate("x", style_audio_file=style, style_strength=0.5, **fields)
    assert client.wait(job.id, PATIENCE_S).result["seconds"] == 2.0
    anew = {"source_job": job.id, "amount": 1.0, "num_inference_steps": 1, "mono16": True}
    jobs = [client.vary(**anew), client.vary(style_audio_file=style, **anew)]  # one seed, one sheet
    one, other = (client.file(client.wait(each.id, PATIENCE_S).id) for each in jobs)
    assert one != other


def test_loops_are_one_set(client: ServiceClient, tmp_path: Path) -> None:
    """Equally loud under one gain, and the job's audio is the first of them."""
    fields = {"harmonic_progression": "| Am |", "bpm": 120, "loops": 2, "num_inference_steps": 3, "lufs": -30}
    job = client.loop("house", previews=2, **fields)
    shown = [update.data["step"] for update in client.events(job.id) if update.kind == "preview"]
    assert shown == [2, 5], "each loop is heard once"
    done = client.wait(job.id, PATIENCE_S)
    assert done.result["seconds"] == 2.0
    first, rate = soundfile.read(client.save(done.id, "audio", tmp_path / "first.flac", "flac"))
    with zipfile.ZipFile(client.save(done.id, "loops", tmp_path / "loops.zip")) as archive:
        archive.extractall(tmp_path)
    loops = [soundfile.read(tmp_path / f"{number}.flac")[0] for number in (1, 2)]
    assert (loops[0] == first).all()
    levels = [pyloudnorm.Meter(rate).integrated_loudness(np.concatenate([loop, loop])) for loop in loops]
    assert levels == pytest.approx([-30, -30], abs=0.3)


def test_an_upload_is_analysed_and_a_corrupt_one_fails_alone(client: ServiceClient, tmp_path: Path) -> None:
    song = LeadSheet.parse("| C | F | G7 | C |", bpm=120).save(tmp_path / "my song.mid")
    job = client.wait(client.analyse(song).id, PATIENCE_S)
    record = json.loads(client.file(job.id, "record"))
    assert (record["key"], record["source"]["file"]) == ("C major", "my song.mid")
    bad = tmp_path / "bad.mp3"
    bad.write_bytes(os.urandom(5000))
    with pytest.raises(ServiceError) as caught:
        client.wait(client.analyse(bad).id, PATIENCE_S)
    assert caught.value.problem.status == 422
    assert "bad.mp3" in str(caught.value)
    assert str(tmp_path.parent) not in str(caught.value), "no path of the server is told"


def test_settings_pin_the_plan_of_a_prompt(client: ServiceClient) -> None:
    job = client.generate("slow song", key="D minor", bpm=90, duration_seconds=3, num_inference_steps=1)
    assert client.wait(job.id, PATIENCE_S).state == "succeeded"
    plan = LeadSheet.from_json(json.loads(client.file(job.id, "plan")))
    assert (str(plan.keys[0].key), round(plan.bpm)) == ("D minor", 90)


def test_keys_open_only_their_own_jobs(client: ServiceClient, served: Program) -> None:
    job = client.generate("mine", **CLIP)
    with ServiceClient(served.url, OTHER) as other:
        with pytest.raises(ServiceError) as caught:
            other.job(job.id)
        assert caught.value.problem.status == 404
        with pytest.raises(ServiceError, match="there is no job") as caught:
            other.vary(source_job=job.id)
        assert caught.value.problem.status == 422
    client.wait(job.id, PATIENCE_S)


def test_a_full_queue_says_when_to_come_back_and_cancelling_stops(client: ServiceClient, served: Program) -> None:
    """While a long job runs three wait; when it is cancelled between two steps, what fits together runs together."""
    running = client.generate("long", harmonic_progression="I V", duration_seconds=20, num_inference_steps=1000)
    served.wait_until(lambda: client.job(running.id).progress is not None)
    waiting = [client.generate(str(number), seed=number, **CLIP) for number in range(3)]
    assert [client.job(job.id).position for job in waiting] == [1, 2, 3]
    assert next(update.data["position"] for update in client.events(waiting[2].id) if update.kind == "queue") == 3
    with pytest.raises(ServiceError, match="queue holds 3 jobs") as caught:
        client.generate("one too many", **CLIP)
    assert caught.value.problem.status == 429
    assert caught.value.retry_after >= 1
    assert client.cancel(waiting[0].id).state == "cancelled"
    client.cancel(running.id)
    served.wait_until(lambda: client.job(running.id).final)
    assert client.job(running.id).state == "cancelled"
    assert [client.wait(job.id, PATIENCE_S).result["batch"] for job in waiting[1:]] == [2, 2]


def test_one_of_a_running_batch_is_cancelled_at_once_and_the_other_ends(client: ServiceClient, served: Program) -> None:
    before = client.generate("before", harmonic_progression="I V", duration_seconds=20, num_inference_steps=1000)
    served.wait_until(lambda: client.job(before.id).progress is not None)
    steps = {"num_inference_steps": 150}
    first, second = (client.generate(str(number), seed=number, **CLIP | steps) for number in range(2))
    client.cancel(before.id)
    served.wait_until(lambda: (client.job(second.id).progress or second).model_dump().get("stage") == "denoising")
    client.cancel(second.id)
    done = client.wait(first.id, PATIENCE_S)
    cancelled = client.job(second.id)
    assert (done.result["batch"], cancelled.state) == (2, "cancelled")
    assert cancelled.finished < done.finished, "it did not wait for the other"


def test_a_running_edit_is_cancelled(client: ServiceClient, served: Program, tmp_path: Path) -> None:
    import numpy as np

    soundfile.write(tmp_path / "long.wav", np.random.default_rng(0).normal(0, 0.1, 16000 * 19), 16000)
    sheet = LeadSheet.parse("| C |", bpm=120, duration_seconds=19).save(tmp_path / "sheet.json")
    job = client.vary(tmp_path / "long.wav", lead_sheet_file=sheet, amount=1, num_inference_steps=1000)
    served.wait_until(lambda: (client.job(job.id).progress or job).model_dump().get("stage") == "denoising")
    client.cancel(job.id)
    served.wait_until(lambda: client.job(job.id).final)
    assert client.job(job.id).state == "cancelled"


def test_state_models_and_metrics(client: ServiceClient) -> None:
    assert client.healthy()
    assert client.ready()
    assert {"name": "theory", "kind": "theory"} in [
        {"name": "theory", "kind": one["kind"]} for one in client.adapters()
    ]
    assert client.models()[0]["sampling_rate"] == 16000
    client.wait(client.generate("x", **CLIP).id, PATIENCE_S)
    families = {family.name: family for family in text_string_to_metric_families(client.metrics())}
    ended = {tuple(sample.labels.values()): sample.value for sample in families["musetune_jobs_ended"].samples}
    assert ended[("generation", "succeeded")] >= 1
    assert {"musetune_jobs", "musetune_job_stage_seconds", "musetune_real_time_factor"} <= set(families)


def test_the_client_for_asyncio(served: Program, tmp_path: Path) -> None:
    async def ask() -> None:
        async with AsyncServiceClient(served.url, KEY) as client:
            assert await client.ready()
            assert await client.healthy()
            assert (await client.models())[0]["sampling_rate"] == 16000
            assert await client.adapters()
            assert "musetune_jobs" in await client.metrics()
            steps = {"num_inference_steps": 4, "previews": 1}
            job = await client.generate("x", **CLIP | steps)
            kinds = [update.kind async for update in client.events(job.id)]
            assert kinds[-1] == "succeeded"
            assert (await client.wait(job.id, PATIENCE_S)).state == "succeeded"
            assert await client.file(job.id, "midi")
            assert await client.preview(job.id, 2)
            take = await client.save(job.id, "audio", tmp_path / "take.flac", "flac")
            sheet = await client.save(job.id, "plan", tmp_path / "sheet.json")
            edits = [
                await client.repaint(take, lead_sheet_file=sheet, seconds=[[0, 1]], num_inference_steps=1),
                await client.extend(
                    source_job=job.id, after_seconds=1, harmonic_progression="I", num_inference_steps=1
                ),
                await client.vary(source_job=job.id, num_inference_steps=1),
            ]
            await client.wait(edits[0].id, PATIENCE_S)  # the queue holds three
            keep = ["chords", "beats"]
            edits.append(await client.cover(source_job=job.id, genre="rock", keep=keep, num_inference_steps=1))
            for edit in edits:
                assert (await client.wait(edit.id, PATIENCE_S)).task in ("repaint", "extend", "vary", "cover")
            rest = [
                await client.loop("x", harmonic_progression="| C |", num_inference_steps=1),
                await client.plan("a song", bars=1),
                await client.arrange(harmonic_progression="| C |", stems=["drums"]),
            ]
            for one in rest:
                assert (await client.wait(one.id, PATIENCE_S)).state == "succeeded"
            heard = await client.analyse(await client.save(job.id, "midi", tmp_path / "song.mid"))
            assert (await client.wait(heard.id, PATIENCE_S)).kind == "analysis"
            last = await client.generate("y", harmonic_progression="I", duration_seconds=20, num_inference_steps=1000)
            await client.cancel(last.id)
            with pytest.raises(ServiceError, match="cancelled"):
                await client.wait(last.id, PATIENCE_S)

    asyncio.run(ask())


def test_a_job_that_needs_more_memory_than_a_worker_may_take_fails_alone(full_base: Path, tmp_path: Path) -> None:
    """The worker's own limit refuses the memory: the same process does the next job."""
    options = ("--memory-mb", "1200", "--max-seconds", "900", "--analysers", "1")
    with program(tmp_path / "service", full_base, *options) as service, ServiceClient(service.url) as client:
        large = {"duration_seconds": 900, "num_waveforms_per_prompt": 16, "num_inference_steps": 1}
        with pytest.raises(ServiceError) as caught:
            client.wait(client.generate("a", harmonic_progression="I V", **large).id, PATIENCE_S)
        assert (caught.value.problem.status, caught.value.problem.code) == (507, "out-of-memory")
        assert client.wait(client.generate("b", **CLIP).id, PATIENCE_S).attempt == 1
        assert 'musetune_worker_restarts{kind="generation"} 0.0' in client.metrics()


def test_a_killed_service_goes_on_and_a_stopped_one_finishes(full_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "service"
    with program(folder, full_base) as service, ServiceClient(service.url) as client:
        running = client.generate("a", harmonic_progression="I V", duration_seconds=8, num_inference_steps=60)
        waiting = client.generate("b", **CLIP)
        service.wait_until(lambda: client.job(running.id).progress is not None)
        os.killpg(service.process.pid, signal.SIGKILL)
        service.process.wait()
    with program(folder, full_base) as service, ServiceClient(service.url) as client:
        assert client.wait(running.id, PATIENCE_S).attempt == 2
        assert client.wait(waiting.id, PATIENCE_S).attempt == 1
        last = client.generate("c", harmonic_progression="I V", duration_seconds=8, num_inference_steps=60)
        service.wait_until(lambda: client.job(last.id).state == "running")
        service.process.terminate()
        assert service.process.wait(PATIENCE_S) == 0
    from musetune.serve.service.sqlite_store import SQLiteJobStore

    store = SQLiteJobStore(folder / "jobs.sqlite3")
    assert store.get(last.id).state == "succeeded"
    store.close()
