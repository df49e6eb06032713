"""The application without workers: what is refused and how, what OpenAPI says, what is queued, what is kept."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from service_server import KEY, OTHER
from starlette.testclient import TestClient

from musetune import LeadSheet
from musetune.client import fields
from musetune.client.requests import BODIES
from musetune.client.wire import JobStatus, JobUpdate, Problem
from musetune.serve.service.access import ApiKeys, hash_key
from musetune.serve.service.app import build_app
from musetune.serve.service.jobs import Job
from musetune.serve.service.reading import spool_into
from musetune.serve.service.service import JobService
from musetune.serve.service.settings import ServiceSettings
from musetune.serve.service.tasks import TASKS
from musetune.serve.service.worker import upload_folder

SHEET = LeadSheet.parse("| C |").to_json()
CLIP = {"harmonic_progression": "I V", "duration_seconds": 2}


@pytest.mark.parametrize(
    ("path", "fields", "words"),
    [
        ("generations", {"harmonic_progression": "I H", "key": "C major"}, "H"),
        ("generations", {"harmonic_progression": "I", "bpm": 500}, "bpm=500 is outside 30–300"),
        ("generations", {"key": "C major"}, "needs music"),
        ("generations", {"strength": 0.5}, "needs music"),
        ("generations", {"harmonic_progression": "I", "duration_seconds": 1000}, "more than the 20 s"),
        ("generations", {"harmonic_progression": "I", "strength": 7}, "strength=7.0 is outside 0–1"),
        ("generations", {"harmonic_progression": "I", "stems": True}, "give arrange=true"),
        ("generations", {"harmonic_progression": "I", "lufs": 3}, "lufs=3 is outside of -40 to -5"),
        ("generations", {"lead_sheet_job": "0" * 32}, "lead_sheet_job: there is no job 0000"),
        ("generations", {"lead_sheet_job": "../../etc/passwd"}, "lead_sheet_job: String should match"),
        ("generations", {"adapters": {"jazz": 3}, **CLIP}, "'jazz' has the weight 3, which is outside 0–2"),
        ("generations", {"style_strength": 0.5, **CLIP}, "style_strength needs style_audio"),
        ("generations", {"lead_sheet": SHEET | {"junk": 1}}, "lead_sheet has no field 'junk'; its fields are beats_s"),
        (
            "generations",
            {"harmonic_progression": "I", "expression": {"swing": 2}},
            "swing=2.0 is outside of 0.4 to 0.8",
        ),
        ("generations", {"expression": {"swing": 0.6}}, "needs music"),
        ("generations", {"tempo": 3}, "tempo: Extra inputs are not permitted"),
        ("repaints", {"seconds": [[1, 2]]}, "say what to edit: source_job, or a file audio"),
        ("repaints", {"source_job": "0" * 32}, "say what to make anew"),
        ("extensions", {"source_job": "0" * 32}, "say how much to play on"),
        ("extensions", {"source_job": "0" * 32, "after_seconds": 2}, "needs harmonic_progression"),
        ("extensions", {"source_job": "0" * 32, "after_seconds": 99}, "more than the 20 s"),
        ("variations", {"source_job": "0" * 32, "amount": 2}, "amount: Input should be less than or equal to 1"),
        ("variations", {"source_job": "0" * 32}, "source_job: there is no job"),
        ("covers", {"source_job": "0" * 32, "keep": ["loudness"]}, "keeps nothing of what is played"),
        ("covers", {"source_job": "0" * 32, "genre": "jaz"}, "genre='jaz' is not one of"),
        ("loops", {}, "a loop needs music"),
        ("loops", {"harmonic_progression": "| C | F |", "loops": 8}, "more than the 20 s"),
        ("plans", {}, "say what song in prompt"),
        ("plans", {"prompt": "x", "form": "verse:0"}, "'verse:0' is not like verse:8"),
        ("plans", {"prompt": "x", "bars": 4, "duration_seconds": 9}, "both say how long"),
        ("plans", {"prompt": "x", "style": "basso nova"}, "bossa nova"),
        ("arrangements", {}, "an arrangement needs music"),
        ("arrangements", {"harmonic_progression": "I", "stems": ["tuba"]}, "stems.0: Input should be 'drums'"),
    ],
)
def test_the_librarys_messages_reach_the_client(http: TestClient, path: str, fields: dict, words: str) -> None:
    answer = http.post(f"/v1/{path}", json=fields)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_every_refusal_is_a_problem(http: TestClient) -> None:
    plain = {"content-type": "text/plain"}
    answers = {
        422: http.post("/v1/generations", json={"tempo": 3}),
        415: http.post("/v1/generations", content=b"x", headers=plain),
        404: http.get("/v1/jobs/../../etc/passwd"),
        405: http.put("/v1/generations"),
        413: http.post("/v1/generations", content=b" " * (9 << 20), headers={"content-type": "application/json"}),
        403: http.get("/v1/models", headers={"origin": "https://example.org"}),
        401: http.get("/v1/models", headers={"Authorization": "Bearer wrong"}),
        503: http.get("/v1/models"),
        400: http.post("/v1/plans", json={"prompt": "x"}, headers={"Idempotency-Key": "x" * 300}),
    }
    more = [
        http.get(f"/v1/jobs/{'0' * 32}"),
        http.get(f"/v1/jobs/{'0' * 32}/previews/first"),
        http.post("/v1/generations?wait_seconds=soon", json=CLIP),
        http.post("/v1/generations?wait_seconds=1e9", json=CLIP),
        http.post("/v1/generations", content=b'{"bpm": NaN}', headers={"content-type": "application/json"}),
        http.post("/v1/generations", content=b"{" * 5000, headers={"content-type": "application/json"}),
        http.post("/v1/generations", json={"lead_sheet": {"version": 1}}),
        http.post("/v1/analyses", content=b"x", headers={"content-type": "multipart/form-data"}),
        http.post("/v1/analyses", data={"request": "{}"}, files={"other": ("a.mid", b"x")}),
        http.post("/v1/analyses", data={"file": "no file"}, files={"x": b""}),
        http.post("/v1/repaints", content=b"", headers={"content-type": "multipart/form-data; boundary=x"}),
    ]
    for status, answer in [*answers.items(), *((None, one) for one in more)]:
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        problem = Problem.model_validate_json(json.dumps({k: v for k, v in answer.json().items() if k != "errors"}))
        assert problem.status == answer.status_code
        assert status in (None, answer.status_code)
        assert 400 <= answer.status_code < 500 or answer.status_code == 503
        assert problem.request_id == answer.headers["x-request-id"]
        assert "access-control-allow-origin" not in answer.headers
        assert problem.detail


def test_a_body_without_a_length_is_bounded_too(http: TestClient, idle_service: JobService) -> None:
    def pieces() -> Any:
        for _ in range(9):
            yield b" " * (1 << 20)

    answer = http.post("/v1/plans", content=pieces(), headers={"content-type": "application/json"})
    assert answer.status_code in (413, 507), "longer than a body may be, or than all uploads together"
    assert idle_service.uploads.used == 0


def test_uploads_are_bounded_together(http: TestClient, idle_service: JobService) -> None:
    """A megabyte is the room of all of them: what waits counts, and counts no more when its job is over."""
    song = b"RIFF" + bytes(600_000)
    first = http.post("/v1/analyses", files={"file": ("a.wav", song)})
    assert first.status_code == 202
    refused = http.post("/v1/analyses", files={"file": ("b.wav", song)})
    assert (refused.status_code, refused.json()["code"]) == (507, "uploads-full")
    assert refused.headers["retry-after"]
    assert http.post("/v1/plans", json={"prompt": "what is small is taken"}).status_code == 202
    http.delete(f"/v1/jobs/{first.json()['id']}")
    idle_service.sweep()
    assert http.post("/v1/analyses", files={"file": ("b.wav", song)}).status_code == 202
    assert len(list((idle_service.settings.folder / "uploads").iterdir())) == 1


def test_no_name_from_a_request_reaches_the_file_system(http: TestClient, idle_service: JobService) -> None:
    names = ["../../../tmp/evil.mid", "/etc/passwd.mid", "a\x00b.mid", "..%2f..%2fx.mid", ".mid.mid"]
    for name in names[:4]:
        answer = http.post("/v1/generations", data={"request": "{}"}, files={"lead_sheet": (name, b"MThd")})
        assert answer.status_code == 202
        folder = upload_folder(idle_service.settings.folder, answer.json()["id"])
        assert [path.name for path in folder.iterdir()] == ["lead_sheet.mid"]
    bad = http.post("/v1/generations", data={"request": "{}"}, files={"lead_sheet": ("sheet.docx", b"x")})
    assert (bad.status_code, bad.json()["code"]) == (415, "media-type")


def finish(service: JobService, job_id: str, files: dict[str, str]) -> Job:
    """Do a job by hand."""
    job = service.store.claim("hand", ("generation",))
    assert job is not None
    assert job.id == job_id
    folder = service.settings.folder / "results" / job_id
    folder.mkdir(parents=True)
    for name in files.values():
        (folder / name).write_text(json.dumps(LeadSheet.parse("| C |").to_json()))
    service.store.succeed(job, {"files": files})
    return job


def test_what_a_dead_worker_left_goes_and_the_result_stays(http: TestClient, idle_service: JobService) -> None:
    ids = [http.post("/v1/plans", json={"prompt": "x"}).json()["id"] for _ in range(2)]
    places = [idle_service.settings.folder / "results" / job_id for job_id in ids]
    for place in places:
        for attempt in ("1-dead", "2-alive"):
            (place / attempt).mkdir(parents=True)
            (place / attempt / "plan.json").write_text("{}")
    job = idle_service.store.claim("hand", ("generation",))
    idle_service.store.succeed(job, {"files": {"plan": "2-alive/plan.json"}})
    idle_service.store.claim("hand", ("generation",))
    idle_service.sweep()
    assert [path.name for path in places[0].iterdir()] == ["2-alive"]
    assert len(list(places[1].iterdir())) == 2, "of a job that is being done nothing is touched"


def test_a_jobs_files_stay_for_the_job_that_goes_out_from_it(http: TestClient, idle_service: JobService) -> None:
    plan = http.post("/v1/plans", json={"prompt": "x"}).json()["id"]
    early = http.post("/v1/generations", json={"lead_sheet_job": plan})
    assert early.json()["code"] == "not-done"
    finish(idle_service, plan, {"plan": "plan.json"})
    later = http.post("/v1/generations", json={"lead_sheet_job": plan})
    assert later.status_code == 202
    idle_service.store.expire(-1)
    idle_service.sweep()
    assert http.get(f"/v1/jobs/{plan}").status_code == 404
    kept = list(upload_folder(idle_service.settings.folder, later.json()["id"]).iterdir())
    assert [path.name for path in kept] == ["job-lead_sheet.json"]
    assert LeadSheet.load(kept[0]).chord_labels == ["C:maj"]


def test_ranges_and_heads_of_a_file(http: TestClient, idle_service: JobService) -> None:
    plan = http.post("/v1/plans", json={"prompt": "x"}).json()["id"]
    finish(idle_service, plan, {"plan": "plan.json"})
    url = f"/v1/jobs/{plan}/plan"
    whole = http.get(url).content
    part = http.get(url, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, whole[2:6])
    head = http.head(url)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(whole)))
    for asked, status in (("bytes=99999-", 416), ("bytes=abc", 400), ("bytes=5-2", 400)):
        answer = http.get(url, headers={"Range": asked})
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert answer.json()["code"] == "range"
        assert f"the file has {len(whole)} bytes" in answer.json()["detail"]
        assert answer.headers["content-range"] == f"bytes */{len(whole)}"


def test_every_kind_of_file_has_its_content_type_and_ranges(http: TestClient, idle_service: JobService) -> None:
    plan = http.post("/v1/plans", json={"prompt": "x"}).json()["id"]
    types = {
        "stems": ("stems.zip", "application/zip"),
        "loops": ("loops.zip", "application/zip"),
        "midi": ("song.mid", "audio/midi"),
        "musicxml": ("song.musicxml", "application/vnd.recordare.musicxml+xml"),
        "jams": ("song.jams", "application/json"),
        "report": ("report.json", "application/json"),
        "chart": ("chart.txt", "text/plain; charset=utf-8"),
        "audio.wav": ("audio.wav", "audio/wav"),
        "audio.flac": ("audio.flac", "audio/flac"),
        "audio.mp3": ("audio.mp3", "audio/mpeg"),
        "audio.ogg": ("audio.ogg", "audio/ogg"),
    }
    finish(idle_service, plan, {kind: name for kind, (name, _) in types.items()})
    for kind, (_, media) in types.items():
        name, _, suffix = kind.partition(".")
        url, query = f"/v1/jobs/{plan}/{name}", {"format": suffix} if suffix else {}
        answer = http.get(url, params=query)
        assert answer.headers["content-type"] == media
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["accept-ranges"] == "bytes"
        part = http.get(url, params=query, headers={"Range": "bytes=-2"})
        assert (part.status_code, part.content, part.headers["content-type"]) == (206, answer.content[-2:], media)
        size = len(answer.content)
        assert part.headers["content-range"] == f"bytes {size - 2}-{size - 1}/{size}"


def test_a_disk_that_is_nearly_full_takes_nothing_more(http: TestClient, idle_service: JobService) -> None:
    object.__setattr__(idle_service.settings, "min_free", 2**60)
    refused = http.post("/v1/plans", json={"prompt": "x"})
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (507, "disk-full", "60")
    assert "MB are to stay free" in refused.json()["detail"]
    assert not idle_service.store.ids()
    assert http.get("/healthz").status_code == 200


def test_a_sweep_keeps_requests_and_results_within_the_disks_limit(http: TestClient, idle_service: JobService) -> None:
    object.__setattr__(idle_service.settings, "max_bytes", 3000)
    plans = []
    for _ in range(3):
        plans.append(http.post("/v1/plans", json={"prompt": "x" * 800}).json()["id"])
        finish(idle_service, plans[-1], {"plan": "plan.json"})
    results = idle_service.settings.folder / "results"
    for place in results.iterdir():
        os.utime(place, (0, 0))
    idle_service.sweep()
    assert [http.get(f"/v1/jobs/{plan}").status_code for plan in plans] == [200, 200, 200]
    object.__setattr__(idle_service.settings, "max_bytes", 2000)
    idle_service.sweep()
    assert [http.get(f"/v1/jobs/{plan}").status_code for plan in plans] == [404, 200, 200]
    assert {place.name for place in results.iterdir()} == set(plans[1:])


def test_a_refused_upload_leaves_its_room_at_once(http: TestClient, idle_service: JobService) -> None:
    """The queue is full: songs that are refused for that must not keep later ones out."""
    for number in range(5):
        assert http.post("/v1/plans", json={"prompt": str(number)}).status_code == 202
    for _ in range(3):
        refused = http.post("/v1/analyses", files={"file": ("a.wav", b"RIFF" + bytes(400_000))})
        assert (refused.status_code, refused.json()["code"]) == (429, "queue-full")
    assert idle_service.uploads.used == 0


def test_a_body_counts_no_more_once_it_is_read(http: TestClient, idle_service: JobService) -> None:
    """While a request waits for its job's end its song counts once, as the job's file."""
    song, answers = b"RIFF" + bytes(200_000), []

    def post() -> None:
        answers.append(http.post("/v1/analyses?wait_seconds=30", files={"file": ("a.wav", song)}))

    thread = threading.Thread(target=post)
    thread.start()
    until = time.monotonic() + 20
    while not idle_service.store.counts() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.05)
    used = idle_service.uploads.used
    idle_service.draining = True
    thread.join(20)
    assert used == len(song)
    assert answers[0].status_code == 202


def test_a_song_of_some_megabytes_waits_below_the_services_folder(
    http: TestClient, idle_service: JobService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no memory holds lies in files on the service's own disk; where that is full the answer is 507."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    object.__setattr__(idle_service.settings, "max_uploads", 2**30)
    idle_service.uploads.limit = 2**30
    spool_into(idle_service.settings.spool)
    song = {"file": ("a.wav", b"RIFF" + bytes(3 << 20))}
    assert http.post("/v1/analyses", files=song).status_code == 202
    shutil.rmtree(idle_service.settings.spool)  # as a disk refuses a new file
    refused = http.post("/v1/analyses", files=song)
    assert (refused.status_code, refused.json()["code"]) == (507, "disk-full")


def test_files_are_copied_where_a_file_system_knows_no_second_names(
    http: TestClient, idle_service: JobService, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = http.post("/v1/plans", json={"prompt": "x"}).json()["id"]
    finish(idle_service, plan, {"plan": "plan.json"})

    def link(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", link)
    later = http.post("/v1/generations", json={"lead_sheet_job": plan})
    assert later.status_code == 202
    (copy,) = upload_folder(idle_service.settings.folder, later.json()["id"]).iterdir()
    assert LeadSheet.load(copy).chord_labels == ["C:maj"]


def test_openapi_describes_every_path_with_examples_that_hold(http: TestClient) -> None:
    schema = http.get("/openapi.json").json()
    assert schema["openapi"].startswith("3.1")
    models = {"JobStatus": JobStatus, "JobUpdate": JobUpdate, "Problem": Problem}
    assert {task.path for task in TASKS} <= set(schema["paths"])
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            assert operation["summary"]
            success = next(iter(status for status in operation["responses"] if status.startswith("2")))
            for kind, content in operation["responses"][success].get("content", {}).items():
                reference = content["schema"].get("$ref", "").rpartition("/")[2]
                named = schema["components"]["schemas"].get(reference, {})
                binary = content["schema"].get("format") == "binary"
                assert binary or content.get("examples") or named.get("examples"), (path, kind)
                for example in named.get("examples", ()) if reference in models else ():
                    models[reference].model_validate(example)
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert set(response["content"]) == {"application/problem+json"}
    for path, body in BODIES.items():
        content = schema["paths"][path]["post"]["requestBody"]["content"]
        for example in content.get("application/json", {"examples": {}})["examples"].values():
            body.model_validate(example["value"])
        assert content.get("application/json", {}).get("examples") or "file" in str(content)


def test_the_client_has_a_method_for_every_path(http: TestClient) -> None:
    from musetune.client import AsyncServiceClient, ServiceClient

    assert set(BODIES) == {task.path for task in TASKS}
    assert {BODIES[task.path] for task in TASKS} == {task.body for task in TASKS}
    methods = {name for name in vars(ServiceClient) if not name.startswith("_")}
    assert methods == {name for name in vars(AsyncServiceClient) if not name.startswith("_")}


def test_the_clients_keywords_are_the_fields_of_the_bodies() -> None:
    """For type checkers: what a method takes as keywords beside its files and its prompt."""
    for path, body in BODIES.items():
        keywords = getattr(fields, body.__name__.replace("Body", "Fields")).__annotations__
        apart = {"prompt"} if path in ("/v1/generations", "/v1/loops", "/v1/plans") else set()
        assert set(keywords) == set(body.model_fields) - apart, path


def test_more_requests_at_once_than_there_may_be(http: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("musetune.serve.service.gate.MOST_REQUESTS", 0)
    answer = http.get("/v1/models")
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert http.get("/healthz").status_code == 200


def test_no_key_shuts_out_the_others(idle_service: JobService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open event streams count: a key that holds as many as it may is refused, another is served."""
    monkeypatch.setattr("musetune.serve.service.gate.MOST_OF_A_KEY", 2)
    app = build_app(idle_service, ApiKeys({hash_key(KEY): "me", hash_key(OTHER): "you"}))

    async def ask() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            mine, yours = ({"Authorization": f"Bearer {key}"} for key in (KEY, OTHER))
            job = (await client.post("/v1/plans", json={"prompt": "x"}, headers=mine)).json()["id"]
            streams = [
                asyncio.create_task(client.get(f"/v1/jobs/{job}/events", headers=mine, timeout=30)) for _ in range(2)
            ]
            await asyncio.sleep(0.3)
            refused = await client.get(f"/v1/jobs/{job}", headers=mine)
            assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (429, "busy", "1")
            assert (await client.post("/v1/plans", json={"prompt": "x"}, headers=yours)).status_code == 202
            idle_service.draining = True  # ends the streams
            await asyncio.gather(*streams)
            assert (await client.get(f"/v1/jobs/{job}", headers=mine)).status_code == 200

    asyncio.run(ask())


def test_no_other_site_may_use_it_but_those_that_are_named(tmp_path: Path) -> None:
    """Closed by default, as `test_every_refusal_is_a_problem` holds; opened for one origin."""
    site = "https://music.example.org"
    service = JobService(ServiceSettings(folder=tmp_path / "service", cors_origins=(site,)))
    http = TestClient(build_app(service, ApiKeys({})), base_url="http://127.0.0.1")
    asks = {"origin": site, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    preflight = http.options("/v1/plans", headers=asks)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, site)
    answer = http.post("/v1/plans", json={"prompt": "x"}, headers={"origin": site, "sec-fetch-site": "cross-site"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (202, site)
    assert "location" in answer.headers["access-control-expose-headers"].lower()
    refused = http.post("/v1/plans", json={"prompt": "x"}, headers={"origin": "https://other.example.org"})
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in refused.headers
    service.close()


def test_an_adapter_that_there_is_not_is_refused_before_the_queue(
    http: TestClient, idle_service: JobService, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapters = [
        {"name": "theory", "kind": "theory"},
        {"name": "jazz", "kind": "lora"},
        {"name": "mine", "kind": "lora"},
    ]
    monkeypatch.setattr(idle_service, "loaded", lambda: {"adapters": adapters})
    refused = http.post("/v1/generations", json=CLIP | {"adapters": {"jazz": 1, "polka": 0.5}})
    assert refused.status_code == 422
    assert refused.json()["detail"] == "adapters: there is no 'polka' here; there are: jazz, mine"
    assert http.post("/v1/generations", json=CLIP | {"adapters": {"mine": 1}}).status_code == 202


def test_a_job_keeps_the_id_of_its_request(http: TestClient, idle_service: JobService) -> None:
    """And a request that comes again under the same idempotency key is the same, though its id is another."""
    key = {"Idempotency-Key": "once"}
    first = http.post("/v1/plans", json={"prompt": "x"}, headers=key | {"X-Request-ID": "first-request"})
    again = http.post("/v1/plans", json={"prompt": "x"}, headers=key | {"X-Request-ID": "second-request"})
    assert first.json()["id"] == again.json()["id"]
    assert idle_service.store.get(first.json()["id"]).request["request_id"] == "first-request"
