"""Where the sound goes: nothing is lost, silence is counted, a listener who waits is said. No model."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from small_pipe import make_pipe
from typer.testing import CliRunner

from musetune import LeadSheet
from musetune.cli.app import app
from musetune.live.performance import perform
from musetune.live.sinks import AudioQueue, SoundCard, WavSink
from musetune.pipeline.stream_score import StreamPassage
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
    performance = perform(FakePipe(0.0), BAR, WavSink(path, RATE, 1))
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    assert np.array_equal(samples, np.arange(480))
    assert (performance.chunks, performance.underruns, performance.seconds) == (6, 0, pytest.approx(0.06))


def test_a_pipe_is_wav_of_unknown_length() -> None:
    pipe = io.BytesIO()
    perform(FakePipe(0.0), BAR, WavSink(pipe, RATE, 1), seconds=0.815)  # the third passage ends after it
    data = pipe.getvalue()
    assert data[4:8] == data[40:44] == b"\xff" * 4
    assert np.array_equal(np.frombuffer(data[44:], "<i2"), np.arange(80 * 3))


def test_one_who_had_to_wait_is_counted_and_told() -> None:
    said: list[str] = []
    sink = WavSink(io.BytesIO(), RATE, 1, in_time=True)
    performance = perform(FakePipe(0.05), BAR, sink, say=said.append)  # 10 ms of sound in 50
    assert performance.underruns == len(said) == 4
    assert performance.ratio == pytest.approx(0.2)
    assert "4 underruns" in performance.summary


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
    card = SoundCard(RATE, 2)
    card._stream.play(10)  # nothing has come yet: no underrun
    card.write(np.ones((2, 100), np.float32))
    card._stream.play(90)
    assert card.heard_s() == pytest.approx(90 / RATE - 0.025)
    assert card.buffered_s() == pytest.approx(10 / RATE)
    card._stream.play(30)
    card.close()
    assert card.underruns == 1
    assert np.concatenate(heard)[:, 0].tolist() == [0.0] * 10 + [1.0] * 100 + [0.0] * 20


def test_a_machine_without_a_sound_card_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ValueError, match=r"no sound card can be used .* --out live\.wav"):
        SoundCard(RATE, 2)


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
