"""Read audio files piece by piece: libsndfile for WAV, FLAC, OGG and MP3, ffmpeg, where there is one, for the rest.

Memory is bounded whatever a header claims: samples are counted as they are decoded, and no file gives more than
MAX_HOURS of sound, so that a few bytes which stand for days of silence end soon.
"""

from __future__ import annotations

import logging
import shutil
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

import numpy as np

from musetune.audio.mpeg import MpegFile, MpegFrames, find_frames

CHUNK_VALUES = 2**21  # numbers decoded at once, 8 MiB, whatever the rate and the channels
READ_FRAMES = 8192  # asked of libsndfile at once: so many are lost where a file is damaged
PATIENCE_S = 30.0  # ffmpeg may be silent for so long; then it is stopped
MAX_CHANNELS = 64
SAMPLE_RATES = (4000, 384000)  # Hz
MAX_HOURS = 12
MPEG = (".mp3", ".mp2", ".mpga")
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
    """Open an audio file for reading piece by piece.

    Args:
        path: A WAV, FLAC, OGG or MP3 file (MP3 also where junk stands before it), or, with ffmpeg, any other sound.

    Returns:
        A decoder of 1–MAX_CHANNELS channels at 4–384 kHz.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is a folder or a device, it is empty, nothing here decodes it, or its channels or its rate lie
            outside what is read.
    """
    import soundfile

    path = Path(path)
    check_regular(path)
    try:
        decoder: Decoder = _sndfile(path)
    except soundfile.LibsndfileError as error:
        # of an MP3 that it cannot open libsndfile says that it may be a pipe
        reason = "no MP3 frames" if "pipe" in error.error_string else error.error_string
        decoder = _with_ffmpeg(path, reason)
    low, high = SAMPLE_RATES
    if not 1 <= decoder.channels <= MAX_CHANNELS or not low <= decoder.rate <= high:
        claim = f"{decoder.channels} channels at {decoder.rate} Hz"
        decoder.close()
        raise ValueError(f"{path} says it has {claim}; 1–{MAX_CHANNELS} channels at {low}–{high} Hz can be read")
    return decoder


def check_regular(path: Path) -> None:
    """Raise FileNotFoundError where there is no file, ValueError for a folder, a pipe, a socket or a device."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give one audio file")
    if not path.exists():
        raise FileNotFoundError(f"no such audio file: {path}")
    if not path.is_file():
        raise ValueError(f"{path} is a pipe, a socket or a device; give an audio file")


def _sndfile(path: Path) -> SndfileDecoder:
    """Return libsndfile's decoder: of the file as it is where that is all of it, else of its MPEG frames alone."""
    import soundfile

    frames = find_frames(path) if path.suffix.lower() in MPEG else None
    if frames is not None and frames.changes:
        log.warning(
            "%s changes its sampling rate or layer after %d frames: what follows is left out", path, frames.count
        )
    if frames is None or frames.whole:
        try:
            return SndfileDecoder(path)
        except soundfile.LibsndfileError:
            if frames is None:
                raise
    log.warning("%s is more than an MP3 stream: its %d frames are read, the rest is skipped", path, frames.count)
    return SndfileDecoder(path, frames)


def _with_ffmpeg(path: Path, reason: str) -> Decoder:
    if path.stat().st_size == 0:
        raise ValueError(f"{path} cannot be decoded: the file is empty")
    program = shutil.which("ffmpeg")
    if program is None:
        raise ValueError(
            f"{path} cannot be decoded ({reason.rstrip('.')}); give a WAV, FLAC, OGG or MP3 file, or install ffmpeg, "
            "which reads M4A, AAC and others"
        )
    return FfmpegDecoder(path, program, reason)


def check_length(path: Path, frames: int, rate: int) -> None:
    """Raise ValueError where so many frames at a rate in Hz are more than MAX_HOURS."""
    if frames > MAX_HOURS * 3600 * rate:
        raise ValueError(f"{path} lasts more than {MAX_HOURS} h: cut it into shorter files")


class SndfileDecoder:
    """An open file of libsndfile's.

    It is opened by descriptor: by name libsndfile would take a suffix such as .raw or .vox at its word.

    Args:
        path: The file.
        frames: Of an MP3 file that has more than these; None: libsndfile reads the file as it is.

    Raises:
        soundfile.LibsndfileError: libsndfile does not know what this is.
    """

    def __init__(self, path: Path, frames: MpegFrames | None = None) -> None:
        import soundfile

        self.path = path
        self.source = path.open("rb", buffering=0) if frames is None else MpegFile(path, frames)
        try:
            source = self.source.fileno() if frames is None else self.source
            self.file = soundfile.SoundFile(source, closefd=False)
            # else it seeks after each read, which decodes twice or fails in damaged files
            self.file.seekable = lambda: False
        except BaseException:
            self.source.close()
            raise
        self.rate, self.channels = int(self.file.samplerate), int(self.file.channels)

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield float32 samples (n, channels) until the file ends or is damaged."""
        size, count, more = max(READ_FRAMES, CHUNK_VALUES // self.channels), 0, True
        try:
            while more:
                buffer = np.empty((size, self.channels), np.float32)
                filled, more = self._fill(buffer, count)
                count += filled
                check_length(self.path, count, self.rate)
                if filled:
                    yield buffer[:filled]
        finally:
            self.close()

    def _fill(self, buffer: np.ndarray, before: int) -> tuple[int, bool]:
        """Read frames into `buffer`, after `before` before; return how many, and whether there may be more."""
        import soundfile

        filled = 0
        while filled < len(buffer):
            try:
                count = self.file.buffer_read_into(buffer[filled : filled + READ_FRAMES], "float32")
            except soundfile.LibsndfileError as error:
                self._report_damage(before + filled, error.error_string)
                return filled, False
            if count == 0:
                return filled, False
            filled += count
        return filled, True

    def _report_damage(self, frames: int, why: str) -> None:
        """Say that the rest is lost; raise ValueError where that is everything."""
        if frames == 0:
            raise ValueError(f"{self.path} cannot be decoded ({why})")
        log.warning("%s is damaged at %.1f s (%s): what stands before it is used", self.path, frames / self.rate, why)

    def close(self) -> None:
        """Close the file."""
        if not self.source.closed:
            self.file.close()
            self.source.close()


class FfmpegDecoder:
    """ffmpeg writes the first audio stream into a pipe as Sun AU: a header of a few numbers, then big-endian floats."""

    def __init__(self, path: Path, program: str, reason: str) -> None:
        self.path, self.reason, self.stalled = path, reason, False
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 a pipe could fill up and block; closed by close()
        guard = ["-protocol_whitelist", "file,pipe", "-format_whitelist", DEMUXERS]
        source = [*guard, "-i", f"file:{path.resolve()}", "-map", "0:a:0", "-vn", "-sn", "-dn"]
        command = [program, "-nostdin", "-v", "error", *source, "-f", "au", "-c:a", "pcm_f32be", "pipe:1"]
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
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
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        self.close()
        why = f"no sound within {PATIENCE_S:.0f} s" if self.stalled else lines[-1] if lines else "it gave no sound"
        return f"{self.path} cannot be decoded (libsndfile: {self.reason.rstrip('.')}; ffmpeg: {why})"

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield float32 samples (n, channels) until ffmpeg ends."""
        frame, count = 4 * self.channels, 0
        size = frame * max(1, CHUNK_VALUES // self.channels)
        try:
            while len(data := self._read(size)) >= frame:
                count += len(data) // frame
                check_length(self.path, count, self.rate)
                wave = np.frombuffer(data[: len(data) // frame * frame], ">f4")
                yield wave.astype(np.float32).reshape(-1, self.channels)
            if count == 0 or self.stalled:
                raise ValueError(self._failure())
            if self.process.wait() != 0:
                message = "%s is damaged (ffmpeg stopped at %.1f s): what stands before it is used"
                log.warning(message, self.path, count / self.rate)
        finally:
            self.close()

    def close(self) -> None:
        """End ffmpeg."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._pipe.close()
        self.errors.close()
