"""Where the sound goes: nothing is lost, silence is counted, a listener who waits is said. No model."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from mido import Message
from small_pipe import make_pipe
from typer.testing import CliRunner

from musetune import LeadSheet
from musetune.cli.app import app
from musetune.live import performance
from musetune.live.performance import perform
from musetune.live.sinks import AudioQueue, SoundCard, WavSink
from musetune.pipeline.stream_score import StreamPassage, StreamPosition
from musetune.pipeline.streaming import StreamChunk

RATE = 8000
BAR = LeadSheet.parse("| C |", bpm=300)  # 0.8 s


class FakePipe:
    """Gives chunks of a ramp, each after ``making_s``."""

    def __init__(self, making_s: float, length: int = 80, count: int = 6) -> None:
        self.making_s, self.length, self.count = making_s, length, count

    def stream(self, source: Any, prompt: str, **options: Any) -> Iterator[StreamChunk]:
        for i in range(self.count):
            time.sleep(self.making_s)
            audio = (np.arange(self.length) + i * self.length).astype(np.float32)[None] / 32767
            passage = StreamPassage(BAR, i * self.length / RATE, prompt, None, 0.0)
            yield StreamChunk(audio, RATE, i * self.length / RATE, passage, self.making_s)


def keep_time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let seconds go by only where somebody sleeps; returns what the clock says."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_pieces_of_any_size_are_taken_whole() -> None:
    queue, rng = AudioQueue(2), np.random.default_rng(0)
    sound = rng.normal(size=(2, 1000)).astype(np.float32)
    for piece in np.split(sound, [1, 50, 51, 700], axis=1):
        queue.put(piece)
    heard = np.concatenate([queue.take(count) for count in (3, 400, 597)]).T
    assert np.array_equal(heard, sound)
    assert (queue.underruns, queue.taken, queue.ready) == (0, 1000, 0)
    assert not queue.take(7).any()
    assert (queue.underruns, queue.missing) == (1, 7)
    queue.end()
    queue.take(7)
    assert queue.underruns == 1


def test_a_file_holds_all_of_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "live.wav"
    done = perform(FakePipe(0.0), BAR, WavSink(path, RATE, 1))
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    assert np.array_equal(samples, np.arange(480))
    assert (done.chunks, done.underruns, done.seconds) == (6, 0, pytest.approx(0.06))


def test_a_pipe_is_wav_of_unknown_length() -> None:
    pipe = io.BytesIO()
    perform(FakePipe(0.0), BAR, WavSink(pipe, RATE, 1), seconds=0.815)  # the third passage ends after it
    data = pipe.getvalue()
    assert data[4:8] == data[40:44] == b"\xff" * 4
    assert np.array_equal(np.frombuffer(data[44:], "<i2"), np.arange(80 * 3))


def test_one_who_had_to_wait_is_counted_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_time(monkeypatch)
    said: list[str] = []
    sink = WavSink(io.BytesIO(), RATE, 1, in_time=True)
    done = perform(FakePipe(0.05), BAR, sink, say=said.append)  # 10 ms of sound in 50
    assert done.underruns == len(said) == 4
    assert done.ratio == pytest.approx(0.2)
    assert "4 underruns" in done.summary


def test_the_sound_card_plays_what_it_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[np.ndarray] = []

    class Stream:
        latency = 0.025

        def __init__(self, rate: int, *, callback: Any, channels: int, **options: Any) -> None:
            self.callback, self.channels = callback, channels

        def start(self) -> None: ...

        def stop(self) -> None: ...

        def close(self) -> None: ...

        def play(self, frames: int) -> None:
            out = np.full((frames, self.channels), np.nan, np.float32)
            self.callback(out, frames, None, None)
            heard.append(out)

    module = SimpleNamespace(OutputStream=Stream, PortAudioError=RuntimeError)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    now = keep_time(monkeypatch)
    now[0] = 100.0
    card = SoundCard(RATE, 2)
    card._stream.play(10)  # nothing has come yet: no underrun
    card.write(np.ones((2, 100), np.float32))
    card._stream.play(90)
    for passed, frames in ((0, 0), (40, 40), (80, 80), (95, 90), (500, 90)):  # goes on through the block, not beyond
        now[0] = 100.0 + passed / RATE
        assert card.heard_s() == pytest.approx(frames / RATE - 0.025)
    assert card.buffered_s() == pytest.approx(10 / RATE)
    card._stream.play(30)
    card.close()
    assert card.underruns == 1
    assert np.concatenate(heard)[:, 0].tolist() == [0.0] * 10 + [1.0] * 100 + [0.0] * 20


def test_a_machine_without_a_sound_card_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ValueError, match=r"no sound card can be used .* --out live\.wav"):
        SoundCard(RATE, 2)


def test_a_chunk_is_begun_when_it_is_due_and_the_clock_is_told_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    now, begun = keep_time(monkeypatch), []
    pipe = FakePipe(0.0, length=RATE)  # chunks of a second, each made in 0.2 s by this clock

    def stream(source: Any, prompt: str, **options: Any) -> Iterator[StreamChunk]:
        assert options == {"stereo": True, "opening_seconds": 0.5}
        for i, chunk in enumerate(FakePipe.stream(pipe, source, prompt)):
            begun.append(now[0])
            now[0] += 0.2
            yield replace(chunk, made_in_s=0.2, passage=replace(chunk.passage, start_s=float(i)))

    monkeypatch.setattr(pipe, "stream", stream)
    told: list[float] = []
    clock = SimpleNamespace(schedule=lambda passage: told.append(passage.start_s), close=lambda: told.append(-1.0))
    sink = WavSink(io.BytesIO(), RATE, 1, in_time=True)
    done = perform(pipe, BAR, sink, clock=clock)
    lead_s = 1.1 * 0.2 + 0.05
    assert done.look_ahead_s == pytest.approx(lead_s)
    assert done.underruns == 0
    heard_from = 0.4  # two chunks were made before anything was heard
    assert begun == pytest.approx([0.0, 0.2, *(heard_from + i - lead_s for i in (2, 3, 4, 5))], abs=0.011)
    assert told == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, -1.0]


def test_who_had_to_wait_gets_chunks_earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_time(monkeypatch)
    sink = WavSink(io.BytesIO(), RATE, 1, in_time=True)
    done = perform(FakePipe(0.05), BAR, sink)
    assert done.look_ahead_s == pytest.approx(1.1 * 0.05 + 0.05 + 4 * 0.05)


def run_live(monkeypatch: pytest.MonkeyPatch, *options: str) -> dict[str, Any]:
    """Run the command without a model; what it would perform."""
    given: dict[str, Any] = {"adapters": [], "sent": []}
    pipe = SimpleNamespace(upsampler=object(), adapters={}, load_adapter=lambda *names: given["adapters"].append(names))

    def play(pipe: Any, source: Any, sink: Any, **more: Any) -> performance.Performance:
        for note in (60, 64, 67) if "receive" in given else ():
            given["receive"](Message("note_on", note=note))
        given.update(more, sink=sink, due=source(StreamPosition(0.0, 1, Fraction(0))))
        sink.close()
        return performance.Performance(1.0, 1, 0, 0.5, 2.0)

    def load(*arguments: Any, **more: Any) -> tuple[Any, None]:
        given["fast"] = more["fast"]
        return pipe, None

    def open_port(name: str | None, receive: Any = None) -> Any:
        given.update({} if receive is None else {"receive": receive})
        return contextlib.nullcontext(SimpleNamespace(send=given["sent"].append))

    monkeypatch.setattr("musetune.cli.live.load_pipeline", load)
    monkeypatch.setattr("musetune.live.few_steps.load_few_steps", lambda pipe: given["adapters"].append("few"))
    monkeypatch.setattr("musetune.live.midi.open_input", open_port)
    monkeypatch.setattr("musetune.live.midi.open_output", open_port)
    monkeypatch.setattr("musetune.live.performance.perform", play)
    done = CliRunner().invoke(app, ["live", "pop", "--seconds", "1", *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return given | {"output": done.stdout_bytes}


def test_where_a_clock_is_sent_sound_is_written_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = ["-o", str(tmp_path / "live.wav"), "--force"]
    plain, clocked = run_live(monkeypatch, *out), run_live(monkeypatch, "--clock", "any", *out)
    assert (plain["sink"]._in_time, plain["clock"]) == (False, None)
    assert clocked["sink"]._in_time
    assert clocked["clock"]._heard_s == clocked["sink"].heard_s


def test_a_sheet_a_mix_and_a_keyboard_reach_the_stream(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sheet = LeadSheet.parse("| Dm7 | G7 |", bpm=90, key="C major").save(tmp_path / "song.json")
    given = run_live(monkeypatch, "--sheet", str(sheet), "--mix", "jazz=0.5", "--midi", "any", "-o", "-")
    assert given["adapters"] == ["few", ("jazz", "jazz")]
    assert given["output"][:4] == b"RIFF"
    assert given["sink"]._in_time
    due = given["due"]
    assert (due.lead_sheet.chord_labels, due.lead_sheet.bpm, due.mix) == (["C:maj"], pytest.approx(90), {"jazz": 0.5})


@pytest.mark.parametrize(("option", "expected"), [("--fast", (True, [])), ("--no-fast", (False, []))])
def test_the_adapter_for_few_steps_can_be_asked_for_or_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: str, expected: Any
) -> None:
    given = run_live(monkeypatch, option, "-o", str(tmp_path / "live.wav"))
    assert (given["fast"], given["adapters"]) == expected


@pytest.mark.slow
def test_the_command_writes_what_it_played(tiny_base: Path, tmp_path: Path) -> None:
    adapter = make_pipe(tiny_base).save_adapter(tmp_path / "adapter")
    out = tmp_path / "live.wav"
    options = ["--base", str(tiny_base), "--adapter", str(adapter), "--steps", "1", "--seconds", "3", "-o", str(out)]
    done = CliRunner().invoke(
        app, ["live", "pop", "--chords", "Am F", "--bpm", "150", *options], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    wave, rate = soundfile.read(out)
    assert (rate, wave.shape[1]) == (48000, 2)
    assert len(wave) / rate == pytest.approx(3.2 - 0.02, abs=1e-3)


def test_mistakes_are_said_before_anything_is_loaded(tmp_path: Path) -> None:
    for options, expected in (
        ([], "nothing here can end it"),
        (["--seconds", "-1"], "--seconds"),
        (["--seconds", "1", "--mix", "jazz=much"], "is not like jazz=0.7"),
        (["--seconds", "1", "--chords", "Q"], "'Q'"),
    ):
        with pytest.raises(ValueError, match=expected):
            CliRunner().invoke(app, ["live", *options], catch_exceptions=False)
