"""Who may talk to the page and how much, over real HTTP; clients that leave; uploads that do not stay.

The pipeline is a stand-in that sleeps.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

gradio = pytest.importorskip("gradio", reason="the page is of the extra ui")

from musetune.serve import errand, guard
from musetune.serve import page as page_module
from musetune.serve.errand import Errand, StoppedError
from musetune.serve.guard import Guard, make_room

FIELDS = ["C G", "C major", 120, "4/4", 4.0, "seconds", "stops"]
ORDER = [None, None, *FIELDS, "any", "words", 0, 50, None, 1.0]  # ticket and history first; no clip at last
WORDS, STEPS = 10, 12
STEP_S = 0.1


class SlowPipe:
    """Fifty steps of a tenth of a second, as far as the page knows.

    Counts who is at work and how many steps were made.
    """

    def __init__(self) -> None:
        self.adapters: dict[str, Any] = {}
        self.steps, self.started, self.at_work = 0, 0, 0

    def __call__(self, prompt: str, *, num_inference_steps: int, callback_on_step_end: Any, **options: Any) -> None:
        self.started += 1
        self.at_work += 1
        assert self.at_work == 1, "two at once"
        try:
            for step in range(num_inference_steps):
                time.sleep(STEP_S)
                self.steps += 1
                callback_on_step_end(self, step, 0, {})
        finally:
            self.at_work -= 1
        raise ValueError(f"{prompt}: done")


class Served(SimpleNamespace):
    """A page that is served on a port of this machine."""

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Host": f"127.0.0.1:{self.port}"} | (headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def post(self, path: str, value: Any, **headers: str) -> tuple[int, bytes]:
        """Send JSON."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.request("POST", path, json.dumps(value).encode(), {"Content-Type": "application/json"} | named)

    def upload(self, name: str, data: bytes) -> tuple[int, bytes]:
        """Send a file as the page does."""
        head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        body = head + data + b"\r\n--x--\r\n"
        return self.request("POST", "/gradio_api/upload", body, {"Content-Type": "multipart/form-data; boundary=x"})

    def start(self, session: str, prompt: str = "words") -> None:
        """Ask for a take."""
        function = next(index for index, fn in self.page.blocks.fns.items() if fn.name == "generate")
        order = [*ORDER[:WORDS], prompt, *ORDER[WORDS + 1 :]]
        status, answer = self.post(
            "/gradio_api/queue/join", {"data": order, "fn_index": function, "session_hash": session}
        )
        assert status == 200, answer

    def listen(self, session: str) -> http.client.HTTPConnection:
        """A connection on which gradio tells this session how far it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", f"/gradio_api/queue/data?session_hash={session}")
        return connection


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("page") / "takes"
    folder.mkdir()
    before = os.environ.get("GRADIO_TEMP_DIR")

    async def launched() -> Any:
        page = page_module.Page(SlowPipe(), folder)
        page_module.launch(page, "127.0.0.1", port, open_browser=False, wait=False, allow_hosts=["music.example"])
        return page

    page = asyncio.run(launched())
    yield Served(page=page, port=port, pipe=page.studio.pipe, uploads=folder.with_name("takes-uploads"))
    page.blocks.close(verbose=False)
    page.studio.analyser.close()
    if before is None:
        os.environ.pop("GRADIO_TEMP_DIR", None)
    else:
        os.environ["GRADIO_TEMP_DIR"] = before


def wait_until(condition: Any, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "", "localhost.evil", "0x7f.1"]
)
def test_a_name_that_somebody_points_here_is_refused(served: Served, host: str) -> None:
    for method, path in (
        ("GET", "/"),
        ("GET", "/config"),
        ("POST", "/gradio_api/queue/join"),
        ("POST", "/gradio_api/upload"),
    ):
        status, answer = served.request(method, path, headers={"Host": host})
        assert (status, answer[:9]) == (403, b"musetune:"), (method, path)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "192.168.1.7", "music.example", "MUSIC.example"])
def test_numbers_and_names_of_its_own_are_answered(served: Served, host: str) -> None:
    assert served.request("GET", "/config", headers={"Host": f"{host}:{served.port}"})[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
def test_another_sites_page_is_refused(served: Served, origin: str) -> None:
    before = served.pipe.started
    function = {"data": ORDER, "fn_index": 0, "session_hash": "cross"}
    assert served.post("/gradio_api/queue/join", function, Origin=origin)[0] == 403
    assert served.request("GET", "/config", headers={"Origin": origin})[0] == 403
    assert served.post("/gradio_api/queue/join", function, Sec_Fetch_Site="cross-site")[0] == 403
    assert served.request("GET", "/config", headers={"Origin": f"http://127.0.0.1:{served.port}"})[0] == 200
    assert served.pipe.started == before


def test_bodies_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert served.request("POST", "/gradio_api/queue/join", headers={"Content-Length": str(10**12)})[0] == 413
    assert served.request("POST", "/gradio_api/upload", headers={"Content-Length": str(guard.UPLOAD + 1)})[0] == 413
    monkeypatch.setattr(guard, "UPLOAD", 100_000)
    assert served.upload("a.mid", bytes(90_000))[0] == 200
    chunks = iter([bytes(60_000)] * 4)  # no length announced
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    head = {"Content-Type": "multipart/form-data; boundary=x", "Host": f"127.0.0.1:{served.port}"}
    connection.request("POST", "/gradio_api/upload", chunks, head, encode_chunked=True)
    assert connection.getresponse().status in (400, 413)
    connection.close()


def test_uploads_do_not_pile_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "UPLOADS", 250_000)
    for index in range(6):
        assert served.upload(f"{index}.mid", bytes([index]) * 100_000)[0] == 200
    left = [path for path in served.uploads.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in left) <= 250_000
    assert "5.mid" in {path.name for path in left}
    assert served.page.blocks.delete_cache == (600, 3600)


def test_the_oldest_go_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old", "older")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "song.mp3").write_bytes(bytes(10))
        os.utime(tmp_path / name / "song.mp3", (1000 - age, 1000 - age))
    make_room(tmp_path, 20)
    assert {path.parent.name for path in tmp_path.rglob("*.mp3")} == {"new", "old"}
    make_room(tmp_path, 0)
    make_room(tmp_path / "nowhere", 0)
    assert not list(tmp_path.rglob("*.mp3"))


def test_who_leaves_is_not_worked_for(served: Served) -> None:
    """The next one waited until all steps were made: 310 seconds."""
    started = served.pipe.started
    served.start("first")
    connection = served.listen("first")
    assert wait_until(lambda: served.pipe.started == started + 1, 20)
    steps = served.pipe.steps
    connection.sock.close() if connection.sock else None
    connection.close()
    served.start("second")
    follower = served.listen("second")
    assert wait_until(lambda: served.pipe.started == started + 2, 20), "the second still waits for the first"
    assert served.pipe.steps - steps < ORDER[STEPS]
    follower.close()
    assert wait_until(lambda: served.pipe.at_work == 0, 30)


@pytest.mark.slow
def test_who_never_opens_a_stream_is_not_worked_for(served: Served) -> None:
    """The next one waited until all steps of all of them were made."""
    started = served.pipe.started
    for index in range(3):
        served.start(f"ghost {index}")
    served.start("guest")
    connection = served.listen("guest")
    assert wait_until(lambda: served.pipe.started == started + 4, 3 * (errand.ABSENCE_S + 3) + 10)
    steps = served.pipe.steps
    assert wait_until(lambda: served.pipe.steps > steps + 40, 30), "the one that is there is worked for"
    connection.close()
    assert wait_until(lambda: served.pipe.at_work == 0, 30)


def test_cancel_stops_the_work_and_says_so(served: Served) -> None:
    studio, generate = served.page.studio, served.page.generate
    started, ticket = served.pipe.started, studio.ticket()
    answers = generate.generate(None, ticket, *ORDER[1:])
    next(answers)
    assert wait_until(lambda: served.pipe.started == started + 1, 20)
    assert all(answer == gradio.skip() for answer in generate.cancel(ticket)), "the work says it itself"
    *_, (told, start, stop, *_) = answers
    assert "Cancelled" in told
    assert (start["interactive"], stop["interactive"]) == (True, False)
    assert wait_until(lambda: served.pipe.at_work == 0, 10)


def test_an_audience_is_counted_by_session_and_event(served: Served) -> None:
    audience = guard.Audience()
    audience.enter("a")
    audience.enter("a")
    audience.leave("a")
    assert audience.has("b", None, "a")
    audience.leave("a")
    assert not audience.has("a", "b", None)
    path = {"type": "http", "method": "GET", "query_string": b"session_hash=s"}
    assert guard._stream(path | {"path": "/x/gradio_api/queue/data"}) == "s"
    assert guard._stream(path | {"path": "/gradio_api/call/generate/e1"}) == "e1"
    assert guard._stream(path | {"path": "/gradio_api/call/v2/generate/e1"}) == "e1"
    assert guard._stream(path | {"path": "/config"}) is None
    assert guard._stream(path | {"path": "/gradio_api/call/generate/e1", "method": "POST"}) is None


def test_work_ends_when_nobody_asks_for_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client may be gone without a word: gradio then asks no more."""
    monkeypatch.setattr("musetune.serve.errand.PATIENCE_S", 2.0)
    ended = threading.Event()

    def work(errand: Errand[None]) -> None:
        try:
            while True:
                errand.check()
                time.sleep(0.01)
        except StoppedError:
            ended.set()
            raise

    asking = iter(Errand(work, threading.Lock()))
    assert next(asking) is None
    assert ended.wait(15)


def test_a_closed_generator_stops_its_work_at_once() -> None:
    steps: list[int] = []

    def work(errand: Errand[None]) -> None:
        for step in range(10_000):
            errand.check()
            steps.append(step)
            time.sleep(0.01)

    asking = iter(Errand(work, threading.Lock()))
    assert next(asking) is None
    asking.close()  # type: ignore[attr-defined]
    time.sleep(0.2)
    count = len(steps)
    time.sleep(0.2)
    assert len(steps) == count < 1000


def test_results_and_errors_come_back() -> None:
    assert [answer for answer in Errand(lambda errand: 7, threading.Lock()) if answer is not None] == [7]

    def fail(errand: Errand[int]) -> int:
        raise ValueError("no chord")

    with pytest.raises(ValueError, match="no chord"):
        list(Errand(fail, threading.Lock()))


def test_eight_long_checks_at_once_block_nobody(served: Served) -> None:
    check = next(index for index, fn in served.page.blocks.fns.items() if fn.name == "check")
    answers: list[bytes] = []

    def ask() -> None:
        value = {"data": ["C G " * 10_000, *FIELDS[1:]], "fn_index": check, "session_hash": "many"}
        answers.append(served.post("/gradio_api/run/predict", value)[1])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started < 20
    assert len(answers) == 8
    assert all(b"40,000 characters" in answer for answer in answers)


def test_websockets_and_numbers(tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("it got through")

    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "headers": [(b"host", b"evil.example")]}
    asyncio.run(Guard(app)(scope, receive, send))
    assert sent[0]["type"] == "websocket.close"
    known = Guard(app, ["Studio"])
    assert [known.knows(host) for host in ("studio:1", "10.0.0.1", "[fe80::1]:80", "2130706433", "[", "a b")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
