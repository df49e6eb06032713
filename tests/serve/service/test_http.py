"""The service as a stranger meets it: `musetune serve` as a program, asked by the client that ships with it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from service_server import PATIENCE_S, program, wait_until

from musetune import LeadSheet
from musetune.client import AsyncServiceClient, ServiceClient, ServiceError

pytestmark = [pytest.mark.slow, pytest.mark.heavy]
KEY, OTHER = "the-first-secret-key", "another-secret-key"
CLIP = {"harmonic_progression": "I V", "duration_seconds": 2, "num_inference_steps": 2}


@pytest.fixture(scope="module")
def served(full_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("serve") / "service"
    with program(folder, full_base, "--queue", "3", "--max-seconds", "20", keys=f"me:{KEY},you:{OTHER}") as (_, url):
        yield url


@pytest.fixture
def client(served: str) -> Iterator[ServiceClient]:
    with ServiceClient(served, KEY) as opened:
        yield opened


def test_a_clip_from_request_to_files(client: ServiceClient, tmp_path: Path) -> None:
    import soundfile

    job = client.generate("jazz trio", key="F major", **CLIP)
    kinds = [update.kind for update in client.events(job.id)]
    assert kinds[:2] == ["queued", "running"]
    assert kinds[-1] == "succeeded"
    assert "progress" in kinds
    done = client.wait(job.id, PATIENCE_S)
    assert set(done.files) == {"audio", "chart", "jams", "midi", "musicxml", "plan", "report"}
    for kind in ("wav", "flac", "mp3", "ogg"):
        path = client.save(job.id, "audio", tmp_path / f"take.{kind}", kind)
        assert soundfile.info(path).duration == pytest.approx(2, abs=0.2)
    assert json.loads(client.file(job.id, "report"))["key"]["asked"] == "F major"
    sheet = LeadSheet.load(client.save(job.id, "plan", tmp_path / "plan.json"))
    assert [str(span.chord) for span in sheet.chords] == ["F:maj", "C:maj"][: len(sheet.chords)]
    assert next(event.number for event in client.events(job.id, after=2)) == 3
    with pytest.raises(ServiceError, match="made no stems; it made audio"):
        client.file(job.id, "stems")


def test_equal_requests_give_equal_audio_and_one_key_one_job(client: ServiceClient) -> None:
    first = client.generate("a", seed=5, idempotency_key="once", wait_seconds=50, **CLIP)
    again = client.generate("a", seed=5, idempotency_key="once", **CLIP)
    other = client.generate("a", seed=5, wait_seconds=50, **CLIP)
    assert first.id == again.id != other.id
    assert client.file(first.id) == client.file(other.id)
    with pytest.raises(ServiceError, match="another request") as caught:
        client.generate("b", idempotency_key="once", **CLIP)
    assert caught.value.problem.status == 409


def test_ranges_and_content_types(client: ServiceClient, served: str) -> None:
    job = client.generate("a", wait_seconds=50, **CLIP)
    headers = {"Authorization": f"Bearer {KEY}"}
    url = f"{served}/v1/jobs/{job.id}/audio"
    part = httpx.get(url, headers=headers | {"Range": "bytes=0-3"}, trust_env=False)
    assert (part.status_code, part.content) == (206, b"RIFF")
    assert part.headers["content-range"].startswith("bytes 0-3/")
    kinds = {"flac": "audio/flac", "mp3": "audio/mpeg", "ogg": "audio/ogg", "wav": "audio/wav"}
    for kind, media in kinds.items():
        whole = httpx.get(url, params={"format": kind}, headers=headers, trust_env=False)
        assert whole.headers["content-type"] == media


def test_a_lead_sheet_comes_as_a_file(client: ServiceClient, tmp_path: Path) -> None:
    sheet = LeadSheet.parse("| Dm | G7 |", key="C major", bpm=120)
    for suffix in (".mid", ".musicxml", ".json"):
        path = sheet.save(tmp_path / f"../{tmp_path.name}/sheet{suffix}")
        job = client.generate("b", lead_sheet_file=path, num_inference_steps=1, wait_seconds=50)
        assert job.state == "succeeded", job.error
        assert "Dm" in client.file(job.id, "chart").decode()
    broken = tmp_path / "broken.mid"
    broken.write_bytes(b"MThd, and no more")
    job = client.generate("b", lead_sheet_file=broken, wait_seconds=50)
    assert (job.state, job.error.status) == ("failed", 422)


def test_players_notes_and_stems(client: ServiceClient) -> None:
    job = client.generate("pop", harmonic_progression="I V", duration_seconds=4, arrange=True, stems=True,
                          num_inference_steps=1, wait_seconds=55)  # fmt: skip
    assert job.state == "succeeded", job.error
    assert client.file(job.id, "stems").startswith(b"PK")


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
    text = tmp_path / "words.docx"
    text.write_bytes(b"x")
    with pytest.raises(ServiceError, match=r"ends in '\.docx'; it takes \.mp3") as caught:
        client.analyse(text)
    assert caught.value.problem.status == 415


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"harmonic_progression": "I H", "key": "C major"}, "H"),
        ({"harmonic_progression": "I", "bpm": 500}, "bpm=500 is outside 30–300"),
        ({"key": "C major"}, "needs music"),
        ({"strength": 0.5}, "needs music"),
        ({"harmonic_progression": "I", "duration_seconds": 1000}, "more than the 20 s"),
        ({"harmonic_progression": "I", "strength": 7}, "strength=7.0 is outside 0–1"),
        ({"harmonic_progression": "I", "stems": True}, "give arrange=true"),
    ],
)
def test_the_librarys_messages_reach_the_client(client: ServiceClient, fields: dict, words: str) -> None:
    with pytest.raises(ServiceError) as caught:
        client.generate("x", **fields)
    assert words in str(caught.value)
    assert caught.value.problem.status == 422


def test_settings_pin_the_plan_of_a_prompt(client: ServiceClient) -> None:
    job = client.generate("slow song", key="D minor", bpm=90, duration_seconds=3, num_inference_steps=1)
    assert client.wait(job.id, PATIENCE_S).state == "succeeded"
    plan = LeadSheet.from_json(json.loads(client.file(job.id, "plan")))
    assert (str(plan.keys[0].key), round(plan.bpm)) == ("D minor", 90)


def test_what_is_no_request_is_a_problem_too(served: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=served, headers=headers, trust_env=False) as http:
        answers = {
            422: http.post("/v1/generations", json={"tempo": 3}),
            415: http.post("/v1/generations", content=b"x", headers={"content-type": "text/plain"}),
            404: http.get("/v1/jobs/../../etc/passwd"),
            405: http.put("/v1/generations"),
            413: http.post("/v1/generations", content=b" " * (9 << 20), headers={"content-type": "application/json"}),
            403: http.get("/v1/models", headers={"origin": "https://example.org"}),
        }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        assert "access-control-allow-origin" not in answer.headers
    assert "tempo" in answers[422].json()["detail"]


def test_keys_open_only_their_own_jobs(client: ServiceClient, served: str) -> None:
    job = client.generate("mine", wait_seconds=50, **CLIP)
    with ServiceClient(served, OTHER) as other, pytest.raises(ServiceError) as caught:
        other.job(job.id)
    assert caught.value.problem.status == 404
    for key in (None, "the-wrong-secret-key"):
        with ServiceClient(served, key) as stranger, pytest.raises(ServiceError) as caught:
            stranger.job(job.id)
        assert caught.value.problem.status == 401


def test_a_full_queue_says_when_to_come_back_and_cancelling_stops(client: ServiceClient) -> None:
    running = client.generate("long", harmonic_progression="I V", duration_seconds=20, num_inference_steps=1000)
    wait_until(lambda: client.job(running.id).progress is not None)
    waiting = [client.generate(str(number), **CLIP) for number in range(3)]
    assert [client.job(job.id).position for job in waiting] == [1, 2, 3]
    with pytest.raises(ServiceError, match="queue holds 3 jobs") as caught:
        client.generate("one too many", **CLIP)
    assert caught.value.problem.status == 429
    assert caught.value.retry_after >= 1
    assert client.cancel(waiting[0].id).state == "cancelled"
    client.cancel(running.id)
    wait_until(lambda: client.job(running.id).final)
    assert client.job(running.id).state == "cancelled"
    assert all(client.wait(job.id, PATIENCE_S).state == "succeeded" for job in waiting[1:])


def test_state_models_and_metrics(client: ServiceClient, served: str) -> None:
    assert {"name": "theory", "kind": "theory"} in [
        {"name": "theory", "kind": one["kind"]} for one in client.adapters()
    ]
    assert client.models()[0]["sampling_rate"] > 0
    text = httpx.get(f"{served}/metrics", trust_env=False).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    ended = {tuple(sample.labels.values()): sample.value for sample in families["musetune_jobs_ended"].samples}
    assert ended[("generation", "succeeded")] >= 1
    assert {"musetune_jobs", "musetune_job_stage_seconds", "musetune_real_time_factor"} <= set(families)
    assert (
        httpx.get(f"{served}/openapi.json", headers={"Authorization": f"Bearer {KEY}"}, trust_env=False)
        .json()["openapi"]
        .startswith("3.1")
    )


def test_the_client_for_asyncio(served: str, tmp_path: Path) -> None:
    async def ask() -> tuple[str, list[str], int]:
        async with AsyncServiceClient(served, KEY) as client:
            job = await client.generate("x", **CLIP)
            kinds = [update.kind async for update in client.events(job.id)]
            done = await client.wait(job.id, PATIENCE_S)
            return done.state, kinds, len(await client.file(job.id, "midi"))

    state, kinds, size = asyncio.run(ask())
    assert (state, kinds[-1]) == ("succeeded", "succeeded")
    assert size > 0


def test_a_killed_service_goes_on_and_a_stopped_one_finishes(full_base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "service"
    with program(folder, full_base) as (process, url), ServiceClient(url) as client:
        running = client.generate("a", harmonic_progression="I V", duration_seconds=8, num_inference_steps=60)
        waiting = client.generate("b", **CLIP)
        wait_until(lambda: client.job(running.id).progress is not None)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with program(folder, full_base) as (process, url), ServiceClient(url) as client:
        assert client.wait(running.id, PATIENCE_S).attempt == 2
        assert client.wait(waiting.id, PATIENCE_S).attempt == 1
        last = client.generate("c", harmonic_progression="I V", duration_seconds=8, num_inference_steps=60)
        wait_until(lambda: client.job(last.id).state == "running")
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    from musetune.serve.service.sqlite_store import SQLiteJobStore

    store = SQLiteJobStore(folder / "jobs.sqlite3")
    assert store.get(last.id).state == "succeeded"
    store.close()
