"""Live sessions without a browser: what is played follows what is set, as late as can be; and each one ends."""

from __future__ import annotations

import itertools
import json
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from musetune.pipeline.stream_score import StreamPosition, StreamScore
from musetune.serve.live_session import ABSENCE_S, UNATTENDED_S, BusyError, LiveSession, LiveSettings, LiveStage
from musetune.serve.work import load

BAR = LiveSettings("I", bpm=120.0)  # bars of two seconds


class Drummer:
    """As much of a pipeline as a stream needs: silence of the right length, made in no time of the test's clock."""

    def __init__(self, made_in_s: float = 0.5) -> None:
        self.adapters: dict[str, Any] = {}
        self.made_in_s, self.upsampler, self.closed = made_in_s, None, False

    def stream(self, source: Any, prompt: str, *, stereo: bool, opening_seconds: float) -> Iterator[Any]:
        self.asked: list[Any] = []

        def ask(position: StreamPosition) -> Any:
            self.asked.append(source(position))
            return self.asked[-1]

        score, rate = StreamScore(ask, prompt, 3.48, opening_seconds), 8000
        try:
            while (passage := score.next()) is not None:
                audio = np.zeros(round(passage.sheet.duration_s * rate), np.float32)
                yield SimpleNamespace(
                    audio=audio, sampling_rate=rate, start_s=passage.start_s, passage=passage, made_in_s=self.made_in_s
                )
        finally:
            self.closed = True


class Clock:
    """Seconds that go on when somebody looks, as a client plays that says what it heard."""

    def __init__(self, step_s: float) -> None:
        self.now, self.step_s = 0.0, step_s

    def __call__(self) -> float:
        self.now += self.step_s
        return self.now


def listen(session: LiveSession, clock: Clock, changes: dict[int, LiveSettings], count: int) -> list[tuple[float, str]]:
    """Play ``count`` chunks to a client that hears all in time; make each change before the chunk of that number."""
    played, started = [], None
    for number, chunk in enumerate(session.chunks(), start=1):
        started = clock.now if started is None else started
        played += [(round(at, 3), name) for at, name in chunk.chords]
        session.hear(max(0.01, clock.now - started))
        if number >= 2:
            assert session.ready_s - len(chunk.audio) / chunk.rate <= session.enough_s + 0.2
        if number in changes:
            session.change(changes[number])
        if number == count:
            session.stop()
    return played


def test_a_chunk_is_made_late_and_a_change_is_heard_at_the_bar_line_or_soon_after_it() -> None:
    clock = Clock(0.05)
    session = LiveSession(Drummer(), BAR, clock)  # type: ignore[arg-type]
    played = listen(session, clock, {4: replace(BAR, chords="IV V"), 7: replace(BAR, chords="vi")}, 8)
    assert played == [
        (0.0, "C"),
        (0.5, "C"),
        (2.0, "C"),
        (2.5, "C"),
        (4.0, "F"),  # in time
        (4.5, "F"),
        (6.0, "G"),
        (6.5, "Am"),  # too late for the bar line: with the bar's second chunk
    ]


def test_a_new_tempo_or_key_leaves_a_progression_where_it_is() -> None:
    clock, going_round = Clock(0.05), LiveSettings("| I | V | vi | IV |", bpm=120.0)
    session = LiveSession(Drummer(), going_round, clock)  # type: ignore[arg-type]
    faster = replace(going_round, bpm=240.0)
    played = listen(session, clock, {4: faster, 6: replace(faster, key="D major")}, 10)
    assert [name for _, name in played[::2]] == ["C", "G", "Am", "G", "D"]  # the last two are IV and I of D


def test_a_fader_sends_no_music_anew() -> None:
    clock, drummer = Clock(0.05), Drummer()
    drummer.adapters = {"jazz": SimpleNamespace(name="jazz", kind="lora", steps=None)}
    session = LiveSession(drummer, BAR, clock)  # type: ignore[arg-type]
    assert {name for _, name in listen(session, clock, {3: replace(BAR, mix={"jazz": 0.5}, loudness_db=-6.0)}, 5)} == {
        "C"
    }
    assert [(said.mix, said.loudness_db) for said in drummer.asked[2:4]] == [({}, 0.0), ({"jazz": 0.5}, -6.0)]
    assert drummer.asked[3].lead_sheet is None


def test_the_adapter_for_few_steps_counts_beside_the_genres() -> None:
    drummer, clock = Drummer(), Clock(0.05)
    drummer.adapters = {
        "jazz": SimpleNamespace(name="jazz", kind="lora", steps=None),
        "fast": SimpleNamespace(name="fast", kind="lora", steps=4),
    }
    session = LiveSession(drummer, replace(BAR, mix={"jazz": 0.5}), clock)  # type: ignore[arg-type]
    listen(session, clock, {}, 2)
    assert drummer.asked[0].mix == {"jazz": 0.5, "fast": 1.0}


def test_who_hears_gaps_gets_chunks_earlier() -> None:
    session = LiveSession(Drummer(), BAR)  # type: ignore[arg-type]
    before = session.enough_s
    session.hear(1.0, gaps=2)
    session.hear(1.5, gaps=2)
    assert session.enough_s == pytest.approx(before + 2 * 0.05)


def test_a_session_that_nobody_attends_to_gives_way() -> None:
    stage = LiveStage(Drummer(), threading.Lock())  # type: ignore[arg-type]
    session = stage.open("a", BAR)
    now = session._clock()
    for passed_s, stopped in ((UNATTENDED_S - 60, False), (UNATTENDED_S + 60, True)):
        session._clock = lambda passed_s=passed_s: now + passed_s
        assert not session._left.is_set()
        with pytest.raises(BusyError):
            stage.open("b", BAR)
        assert session._left.is_set() == stopped


def test_meter_tempo_loudness_and_genres_reach_the_stream() -> None:
    drummer = Drummer()
    drummer.adapters = {"jazz": SimpleNamespace(name="jazz", kind="lora")}
    asked: list[Any] = []

    def stream(source: Any, prompt: str, **options: Any) -> Iterator[Any]:
        asked.append(source(StreamPosition(0.0, 1, 0)))  # type: ignore[arg-type]
        yield from ()

    drummer.stream = stream  # type: ignore[assignment,method-assign]
    settings = LiveSettings.of(
        {"chords": "i", "key": "A minor", "meter": "3/4", "bpm": 90, "mix": {"jazz": 0.5}, "loudness_db": -6}
        | {"prompt": "x"}
    )
    assert list(LiveSession(drummer, settings).chunks()) == []  # type: ignore[arg-type]
    (said,) = asked
    assert (said.lead_sheet.duration_s, said.lead_sheet.chord_labels) == (4.0, 2 * ["A:min"])  # and the next bar
    assert (said.prompt, dict(said.mix), said.loudness_db) == ("x", {"jazz": 0.5}, -6)


def test_who_leaves_without_a_word_is_missed() -> None:
    clock = Clock(0.05)
    drummer = Drummer()
    session = LiveSession(drummer, BAR, clock)  # type: ignore[arg-type]
    assert len(list(session.chunks())) <= 4
    assert clock.now == pytest.approx(ABSENCE_S, abs=1.0)
    assert drummer.closed


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"chords": "Hm"}, "'Hm'"),
        ({"chords": "C " * 2000}, "Chords"),
        ({"bpm": 5}, "Tempo"),
        ({"bpm": float("nan")}, "Tempo"),
        ({"loudness_db": 40}, "Loudness"),
        ({"mix": {"jazz": 9}}, "Weight of jazz"),
        ({"mix": "jazz"}, "Genres"),
        ({"key": None}, "Key"),
        ({"surprise": 1}, "settings are an object"),
    ],
)
def test_settings_that_cannot_be_played_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LiveSettings.of(wrong)


def test_one_plays_at_a_time() -> None:
    stage = LiveStage(Drummer(), turn := threading.Lock())  # type: ignore[arg-type]
    session = stage.open("a", BAR)
    with pytest.raises(BusyError, match="somebody plays live"):
        stage.open("b", BAR)
    assert stage.session("a") is session
    assert stage.busy
    stage.close("a")
    stage.close("a")
    assert stage.session("a") is None
    with turn, pytest.raises(BusyError):
        stage.open("c", BAR)
    with pytest.raises(ValueError, match="'Hm'"):
        stage.open("d", LiveSettings("Hm"))
    assert not turn.locked()


def frames(body: bytes) -> list[dict[str, Any]]:
    """The heads of an answer's frames, each with its sound."""
    out = []
    while body:
        (size,) = struct.unpack("<I", body[:4])
        head = json.loads(body[4 : 4 + size])
        end = 4 + size + head["bytes"]
        out.append(head | {"sound": np.frombuffer(body[4 + size : end], "<i2")})
        body = body[end:]
    return out


def test_a_progression_is_read_and_moved_for_its_board() -> None:
    testclient = pytest.importorskip("starlette.testclient", reason="needs httpx")
    from starlette.applications import Starlette

    from musetune.serve.live_routes import LiveRoutes

    stage = LiveStage(Drummer(), threading.Lock())  # type: ignore[arg-type]
    client = testclient.TestClient(Starlette(routes=LiveRoutes(stage).routes()))
    chart = {"text": "| C | V7/V |", "key": "C major"}
    words = client.get("/musetune/words", params=chart | {"meter": "3/4", "bpm": "90"}).text
    assert 'data-text="| C | V7/V |"' in words
    assert 'data-bpm="90"' in words
    moved = client.get("/musetune/transposed", params=chart | {"semitones": "2"})
    assert moved.json() == {"text": "| D | V7/V |", "key": "D major"}
    assert (
        'aria-label="Chord pads, D major"'
        in client.get("/musetune/pads", params={"key": "D", "name": "Chord pads"}).text
    )
    for address, wrong in (
        ("words", {"key": "H"}),
        ("words", {"bpm": "9"}),
        ("words", {"meter": "4/0"}),
        ("words", {"text": "C " * 2000}),
        ("transposed", {"semitones": "13"}),
        ("transposed", {"semitones": "much"}),
    ):
        assert client.get(f"/musetune/{address}", params=chart | {"semitones": "1"} | wrong).status_code == 400, wrong


def test_the_live_tab_has_a_board_for_its_progression() -> None:
    from musetune.serve.live_tab import live_html

    html = live_html(["jazz"], 48000)
    assert 'data-field="live-progression"' in html
    assert 'id="live-progression"' in html
    assert html.count('class="mt-pads"') == 2  # those that play, and those that write


def test_the_routes_play_change_and_stop(full_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real stream of a small pipeline; a busy machine may be slow to say what was heard."""
    monkeypatch.setattr("musetune.serve.live_session.ABSENCE_S", 120.0)
    httpx = pytest.importorskip("httpx", reason="the client of starlette's tests")
    import asyncio

    from starlette.applications import Starlette

    from musetune.serve.live_routes import LiveRoutes

    pipe = load(str(full_base), None, "cpu")
    pipe.set_progress_bar_config(disable=True)
    stage = LiveStage(pipe, turn := threading.Lock())
    app = Starlette(routes=LiveRoutes(stage).routes())

    async def play() -> tuple[Any, ...]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            answer = asyncio.create_task(client.post("/musetune/live", json={"chords": "vi", "bpm": 240}))
            while not stage._sessions:
                await asyncio.sleep(0.01)
            (token,) = stage._sessions
            busy = await client.post("/musetune/live", json={})
            wrong = await client.post(f"/musetune/live/{token}", json={"settings": {"chords": "Hm"}})
            while not stage._sessions[token]._sent_s:  # what it began with is on its way
                await asyncio.sleep(0.01)
            for heard in range(1, 400):
                changed = await client.post(
                    f"/musetune/live/{token}", json={"heard_s": heard, "settings": {"chords": "V", "bpm": 240}}
                )
                if changed.status_code != 200 or (session := stage.session(token)) is None or session._sent_s > 4:
                    break
                await asyncio.sleep(0.05)
            stopped = await client.post(f"/musetune/live/{token}", json={"stop": True})
            body = (await answer).content
            gone = await client.post(f"/musetune/live/{token}", json={})
            pads = await client.get("/musetune/pads", params={"key": "Eb major"})
            refused = await client.post("/musetune/live", content=b"[1]")
            return busy, wrong, changed, stopped, body, gone, pads, refused

    busy, wrong, changed, stopped, body, gone, pads, refused = asyncio.run(play())
    assert (busy.status_code, wrong.status_code, changed.status_code, stopped.status_code) == (409, 400, 200, 200)
    assert "'Hm'" in wrong.json()["error"]
    assert "somebody plays live" in busy.json()["error"]
    head, *chunks, last = frames(body)
    assert set(head) == {"token", "bytes", "sound"}
    assert last["end"] == ""
    names = [name for chunk in chunks for _, name in chunk["chords"]]
    assert names[0] == "Am"
    assert names[-1] == "G"
    assert names == sorted(names)  # Am up to a bar line, then G
    for before, after in itertools.pairwise(chunks):
        assert after["from_s"] == pytest.approx(before["from_s"] + before["samples"] / before["rate"], abs=1e-6)
        assert len(after["sound"]) == after["samples"] * after["channels"]
    assert any(np.abs(chunk["sound"]).max() > 0 for chunk in chunks)
    assert (gone.status_code, pads.status_code, refused.status_code) == (404, 200, 400)
    assert "Eb major" in pads.text
    assert not turn.locked()
