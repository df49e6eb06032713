"""Where a stream's sound goes: the sound card, a file, a pipe. Each says how far the listener is."""

from __future__ import annotations

import struct
import threading
import time
from collections import deque
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

UNKNOWN = 0xFFFFFFFF  # a WAV's length where its end is not known: readers take all that comes


class Sink(Protocol):
    """Takes a stream's sound.

    Attributes:
        latency_s: seconds from its own buffer to the ear, as far as it says so.
    """

    latency_s: float

    @property
    def underruns(self) -> int:
        """How many times the listener had to wait."""

    def write(self, audio: np.ndarray) -> None:
        """Take float audio (channels, samples) in −1…1."""

    def buffered_s(self) -> float:
        """Return seconds that lie ready unheard."""

    def heard_s(self) -> float:
        """Return where in the stream is what is heard now, seconds."""

    def close(self) -> None:
        """Let what lies ready be heard, and end."""


class AudioQueue:
    """Sound on its way from the thread that makes it to the one that plays it.

    Args:
        channels: of the sound.

    Attributes:
        underruns: how many times there was too little.
        missing: frames of silence that were played for it.
        taken: frames of sound that were taken.

    Example:
        >>> queue = AudioQueue(1)
        >>> queue.put(np.ones((1, 3), np.float32))
        >>> queue.take(2)[:, 0].tolist(), queue.take(2)[:, 0].tolist(), queue.underruns
        ([1.0, 1.0], [1.0, 0.0], 1)
    """

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self.underruns = self.missing = self.taken = 0
        self._pieces: deque[np.ndarray] = deque()
        self._ready = 0
        self._begun = self._ended = False
        self._lock = threading.Lock()

    def put(self, audio: np.ndarray) -> None:
        """Add sound (channels, frames)."""
        with self._lock:
            self._pieces.append(np.ascontiguousarray(audio.T, np.float32))
            self._ready += audio.shape[1]
            self._begun = True

    def end(self) -> None:
        """Say that no more comes: from here on silence is no underrun."""
        self._ended = True

    @property
    def ready(self) -> int:
        """Frames that lie ready."""
        return self._ready

    def take(self, frames: int) -> np.ndarray:
        """Return sound (frames, channels), silence where there is too little."""
        out = np.zeros((frames, self.channels), np.float32)
        with self._lock:
            place = 0
            while place < frames and self._pieces:
                piece = self._pieces[0]
                count = min(frames - place, len(piece))
                out[place : place + count] = piece[:count]
                place += count
                if count == len(piece):
                    self._pieces.popleft()
                else:
                    self._pieces[0] = piece[count:]
            self._ready -= place
            self.taken += place
            if place < frames and self._begun and not self._ended:
                self.underruns += 1
                self.missing += frames - place
        return out


class SoundCard:
    """Plays a stream through PortAudio (``pip install musetune[live]``).

    Args:
        rate: samples a second.
        channels: of the sound.
        device: name or number; None: the system's own choice.
    """

    def __init__(self, rate: int, channels: int, device: str | int | None = None) -> None:
        try:
            import sounddevice
        except (ImportError, OSError) as error:  # the package, or PortAudio itself
            raise ValueError(
                f"no sound card can be used ({error}): pip install musetune[live] and the system's PortAudio, or write "
                "to a file with --out live.wav, to a pipe with --out -"
            ) from None
        self.queue, self._rate = AudioQueue(channels), rate
        self._block = (0.0, 0, 0)  # when the card took its last block, and frames of sound taken before and after it

        def play(out: np.ndarray, frames: int, times: object, status: object) -> None:
            before, now = self.queue.taken, time.monotonic()
            out[:] = self.queue.take(frames)
            self._block = (now, before, self.queue.taken)

        try:
            self._stream = sounddevice.OutputStream(
                rate, channels=channels, device=device, dtype="float32", callback=play
            )
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise ValueError(f"the sound card does not play {rate} Hz: {error}; write to --out live.wav") from None
        self.latency_s = float(self._stream.latency)

    @property
    def underruns(self) -> int:
        """How many times the card wanted more than there was."""
        return self.queue.underruns

    def write(self, audio: np.ndarray) -> None:
        """Take sound (channels, samples)."""
        self.queue.put(audio)

    def buffered_s(self) -> float:
        """Return seconds that lie ready."""
        return self.queue.ready / self._rate

    def heard_s(self) -> float:
        """Return seconds of the stream that were played, less the card's latency.

        The card takes sound in blocks of some 20 ms; between two of them this goes on with the clock, through the
        last block and no further.
        """
        then, before, after = self._block
        return min(before / self._rate + time.monotonic() - then, after / self._rate) - self.latency_s

    def close(self) -> None:
        """Play what lies ready, and end."""
        self.queue.end()
        while self.queue.ready and self._stream.active:  # a card that is gone takes nothing more
            time.sleep(0.02)
        time.sleep(self.latency_s)
        self._stream.stop()
        self._stream.close()


class WavSink:
    """Writes a stream as 16-bit WAV to a file, whose length is put right at the end, or to a pipe.

    Args:
        out: path, or a binary file such as ``sys.stdout.buffer``.
        rate: samples a second.
        channels: of the sound.
        in_time: take no more than would be heard by the clock, as where hands play along.

    Example:
        >>> import io
        >>> sink = WavSink(pipe := io.BytesIO(), 48000, 2)
        >>> sink.write(np.zeros((2, 480), np.float32))
        >>> sink.close()
        >>> len(pipe.getvalue()), sink.heard_s()
        (1964, 0.01)
    """

    latency_s = 0.0

    def __init__(self, out: Path | BinaryIO, rate: int, channels: int, in_time: bool = False) -> None:
        self._file: BinaryIO = out.open("wb") if isinstance(out, Path) else out
        self._own = isinstance(out, Path)
        self._rate, self._channels, self._in_time = rate, channels, in_time
        self._frames = 0
        self._began: float | None = None
        self.underruns = 0
        self._file.write(wav_header(rate, channels, UNKNOWN))

    def write(self, audio: np.ndarray) -> None:
        """Take sound (channels, samples)."""
        now = time.monotonic()
        if self._began is None:
            self._began = now
        late_s = now - self._began - self._frames / self._rate
        if self._in_time and late_s > 0 and self._frames:
            self.underruns += 1
            self._began += late_s  # the listener waited
        data = np.round(np.clip(audio, -1.0, 1.0) * 32767).astype("<i2")
        self._file.write(data.T.tobytes())
        self._file.flush()
        self._frames += audio.shape[1]

    def buffered_s(self) -> float:
        """Return seconds that were written and would not have been heard yet; 0 where there is no hurry."""
        return self._frames / self._rate - self.heard_s() if self._in_time else 0.0

    def heard_s(self) -> float:
        """Return where a listener would be: by the clock, or at the end of what was written."""
        if self._began is None:
            return 0.0
        written = self._frames / self._rate
        return min(written, time.monotonic() - self._began) if self._in_time else written

    def close(self) -> None:
        """Put the length right in a file, and end."""
        if self._own:
            self._file.seek(0)
            self._file.write(wav_header(self._rate, self._channels, 2 * self._channels * self._frames))
            self._file.close()


def wav_header(rate: int, channels: int, size: int) -> bytes:
    """Return the 44 bytes before 16-bit samples of ``size`` bytes (RIFF WAVE, format 1)."""
    frame = 2 * channels
    return (
        struct.pack("<4sI4s", b"RIFF", min(UNKNOWN, 36 + size), b"WAVE")
        + struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * frame, frame, 16)
        + struct.pack("<4sI", b"data", min(UNKNOWN, size))
    )
