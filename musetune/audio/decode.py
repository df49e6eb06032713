"""Read audio files piece by piece: libsndfile for WAV, FLAC, OGG and MP3, ffmpeg, where there is one, for the rest."""

from __future__ import annotations

import logging
import os
import shutil
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

CHUNK_VALUES = 2**21  # numbers decoded at once, 8 MiB, whatever the rate and the channels
READ_FRAMES = 8192  # asked of libsndfile at once: so many are lost where a file is damaged
PATIENCE_S = 30.0  # ffmpeg may be silent for so long; then it is stopped
MAX_CHANNELS = 64
SAMPLE_RATES = (4000, 384000)  # Hz
# What ffmpeg may read: sound and film. Its playlists and scripts can name other files and addresses.
DEMUXERS = "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,opus,tta,w64,wav,wv"

log = logging.getLogger(__name__)


class Decoder(Protocol):
    """An open file: its rate in Hz, its channels, and its samples (frames, channels) float32, in order and once."""

    rate: int
    channels: int

    def chunks(self) -> Iterator[np.ndarray]:
        """Pieces of at most CHUNK_VALUES numbers; the file is closed after the last or when the iterator is closed."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


def open_decoder(path: str | Path) -> Decoder:
    """Open an audio file. Raises FileNotFoundError where there is no file, ValueError where nothing here decodes it."""
    import soundfile

    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give one audio file")
    if not path.is_file():
        raise FileNotFoundError(f"no such audio file: {path}")
    try:
        decoder: Decoder = SndfileDecoder(path)
    except soundfile.LibsndfileError as error:
        decoder = _other(path, error.error_string)
    low, high = SAMPLE_RATES
    if not 1 <= decoder.channels <= MAX_CHANNELS or not low <= decoder.rate <= high:
        told = f"{decoder.channels} channels at {decoder.rate} Hz"
        decoder.close()
        raise ValueError(f"{path} says it has {told}; 1–{MAX_CHANNELS} channels at {low}–{high} Hz can be read")
    return decoder


def _other(path: Path, reason: str) -> Decoder:
    if path.stat().st_size == 0:
        raise ValueError(f"{path} cannot be decoded: the file is empty")
    program = shutil.which("ffmpeg")
    if program is None:
        raise ValueError(
            f"{path} cannot be decoded ({reason.rstrip('.')}); give a WAV, FLAC, OGG or MP3 file, or install ffmpeg, "
            "which reads M4A, AAC and others"
        )
    return FfmpegDecoder(path, program, reason)


class SndfileDecoder:
    """libsndfile. Opened by descriptor: by name it would take a suffix such as .raw or .vox at its word."""

    def __init__(self, path: Path) -> None:
        import soundfile

        self.path = path
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            self.file = soundfile.SoundFile(descriptor, closefd=False)
            self.file.seekable = lambda: (
                False
            )  # else it seeks after each read, which decodes twice or fails in damaged files
        except BaseException:
            os.close(descriptor)
            raise
        self.descriptor: int | None = descriptor
        self.rate, self.channels = int(self.file.samplerate), int(self.file.channels)

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield float32 samples (n, channels) until the file ends or is damaged."""
        size, done, more = max(READ_FRAMES, CHUNK_VALUES // self.channels), 0, True
        try:
            while more:
                buffer = np.empty((size, self.channels), np.float32)
                filled, more = self._fill(buffer, done)
                done += filled
                if filled:
                    yield buffer[:filled]
        finally:
            self.close()

    def _fill(self, buffer: np.ndarray, done: int) -> tuple[int, bool]:
        """The frames read into `buffer`, after `done` before, and whether there may be more."""
        import soundfile

        filled = 0
        while filled < len(buffer):
            try:
                count = self.file.buffer_read_into(buffer[filled : filled + READ_FRAMES], "float32")
            except soundfile.LibsndfileError as error:
                self._damaged(done + filled, error.error_string)
                return filled, False
            if count == 0:
                return filled, False
            filled += count
        return filled, True

    def _damaged(self, frames: int, why: str) -> None:
        """Say that the rest is lost; raise ValueError where that is everything."""
        if frames == 0:
            raise ValueError(f"{self.path} cannot be decoded ({why})")
        log.warning("%s is damaged at %.1f s (%s): what stands before it is used", self.path, frames / self.rate, why)

    def close(self) -> None:
        """Close the file."""
        if self.descriptor is not None:
            self.file.close()
            os.close(self.descriptor)
            self.descriptor = None


class FfmpegDecoder:
    """ffmpeg writes the first audio stream into a pipe as Sun AU: a header of a few numbers, then big-endian floats."""

    def __init__(self, path: Path, program: str, reason: str) -> None:
        self.path, self.reason, self.stalled = path, reason, False
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 a pipe could fill up and block; closed by close()
        guard = ["-protocol_whitelist", "file,pipe", "-format_whitelist", DEMUXERS]
        source = [*guard, "-i", f"file:{path.resolve()}", "-map", "0:a:0", "-vn", "-sn", "-dn"]
        command = [program, "-nostdin", "-v", "error", *source, "-f", "au", "-c:a", "pcm_f32be", "pipe:1"]
        self.process: subprocess.Popen[Any] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors
        )
        head = self._read(24)
        if len(head) < 24 or head[:4] != b".snd":
            raise ValueError(self._failure())
        offset, _, _, self.rate, self.channels = struct.unpack(">5I", head[4:])
        self._read(offset - 24)

    @property
    def _pipe(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def _read(self, size: int) -> bytes:
        watchdog = threading.Timer(PATIENCE_S, self._stop)
        watchdog.start()
        try:
            return self._pipe.read(size)
        finally:
            watchdog.cancel()

    def _stop(self) -> None:
        self.stalled = True
        self.process.kill()

    def _failure(self) -> str:
        """What to say of a run that gave nothing, with ffmpeg's own last line. Ends the run."""
        self.process.kill()
        self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").strip().splitlines()
        self.close()
        why = f"no sound within {PATIENCE_S:.0f} s" if self.stalled else said[-1] if said else "it gave no sound"
        return f"{self.path} cannot be decoded (libsndfile: {self.reason.rstrip('.')}; ffmpeg: {why})"

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield float32 samples (n, channels) until ffmpeg ends."""
        frame, done = 4 * self.channels, 0
        size = frame * max(1, CHUNK_VALUES // self.channels)
        try:
            while len(data := self._read(size)) >= frame:
                done += len(data) // frame
                wave = np.frombuffer(data[: len(data) // frame * frame], ">f4")
                yield wave.astype(np.float32).reshape(-1, self.channels)
            if done == 0 or self.stalled:
                raise ValueError(self._failure())
            if self.process.wait() != 0:
                told = "%s is damaged (ffmpeg stopped at %.1f s): what stands before it is used"
                log.warning(told, self.path, done / self.rate)
        finally:
            self.close()

    def close(self) -> None:
        """End ffmpeg."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._pipe.close()
        self.errors.close()
