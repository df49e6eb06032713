"""Load and save whole audio files: soundfile and soxr do the work."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from musetune.audio.decode import open_decoder

FORMATS = ("wav", "flac", "mp3", "ogg")
DEPTHS = {"wav": ("PCM_16", "PCM_24", "FLOAT"), "flac": ("PCM_16", "PCM_24")}  # that float32 samples fill exactly


def load_audio(path: str | Path, sr: int | None = None, mono: bool = True) -> tuple[np.ndarray, int]:
    """Read a whole audio file.

    Args:
        path: WAV, FLAC, OGG or MP3; other formats where ffmpeg is installed (see `musetune.audio.decode`).
        sr: Hz to resample to; None: the file's own rate.
        mono: Whether the channels are averaged.

    Returns:
        Samples float32 in −1…1, (samples,) for mono, else (channels, samples); and the sampling rate in Hz.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be decoded, or lasts more than 12 h.

    Example:
        >>> import numpy as np
        >>> wave, rate = load_audio(save_audio("tone.wav", np.zeros(16000), 16000), sr=8000)
        >>> wave.shape, rate
        ((8000,), 8000)
    """
    decoder = open_decoder(path)
    rate, pieces = decoder.rate, list(decoder.chunks())
    wave = np.concatenate(pieces) if pieces else np.empty((0, decoder.channels), np.float32)
    audio = wave.mean(axis=1) if mono else wave.T
    if sr is not None and sr != rate:
        audio = resample(audio, rate, sr)
        rate = sr
    return np.ascontiguousarray(audio, dtype=np.float32), rate


def resample(audio: np.ndarray, rate: int, sr: int) -> np.ndarray:
    """Resample along the last axis, band-limited (soxr, high quality).

    Args:
        audio: Floats (…, samples).
        rate: Its sampling rate in Hz.
        sr: Sampling rate in Hz that is wanted.

    Returns:
        Float32 (…, samples · sr / rate).

    Example:
        >>> import numpy as np
        >>> resample(np.zeros((2, 44100)), 44100, 16000).shape
        (2, 16000)
    """
    import soxr

    return np.asarray(soxr.resample(np.asarray(audio, np.float32).T, rate, sr).T, dtype=np.float32)


def bit_depth(path: str | Path) -> str:
    """Return the depth of a WAV or FLAC file's samples, "PCM_16", "PCM_24" or "FLOAT"; "PCM_16" of any other.

    Example:
        >>> import numpy as np
        >>> bit_depth(save_audio("tone.wav", np.zeros(16000), 16000, depth="PCM_24"))
        'PCM_24'
    """
    import soundfile

    try:
        found = soundfile.info(str(path))
    except soundfile.LibsndfileError:  # one of the formats that ffmpeg reads
        return "PCM_16"
    return found.subtype if found.subtype in DEPTHS.get(found.format.lower(), ()) else "PCM_16"


def save_audio(
    path: str | Path, audio: np.ndarray, sr: int, format: str | None = None, depth: str | None = None
) -> Path:
    """Write an audio file; WAV and FLAC are 16 bit where nothing else is asked for.

    Args:
        path: The file; missing folders are made.
        audio: Floats (samples,) or (channels, samples) in −1…1; or int16, which WAV and FLAC hold as they are.
        sr: Sampling rate in Hz.
        format: "wav", "flac", "mp3" or "ogg"; None: as the suffix says.
        depth: "PCM_16", "PCM_24" or, of WAV, "FLOAT"; None: 16 bit. MP3 and OGG have none.

    Returns:
        The path.

    Raises:
        ValueError: The format or the depth is another, or values are not finite or beyond ±1.

    Example:
        >>> import numpy as np
        >>> save_audio("tone.flac", 0.5 * np.sin(np.arange(16000) / 6), 16000).name
        'tone.flac'
    """
    import soundfile

    path = Path(path)
    kind = (format or path.suffix.lstrip(".")).lower()
    if kind not in FORMATS:
        raise ValueError(f"format={kind!r} is not one of {', '.join(FORMATS)}")
    data = np.asarray(audio)
    data = data if data.dtype == np.int16 else data.astype(np.float32)
    if data.dtype != np.int16 and (not np.isfinite(data).all() or np.abs(data).max(initial=0.0) > 1.0001):
        raise ValueError(
            f"audio must be finite and within −1…1 (peak {np.abs(data).max():.3g}); scale it before saving"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    depths = DEPTHS.get(kind, ())
    if depth is not None and depths and depth not in depths:
        raise ValueError(f"depth={depth!r} is not one of {', '.join(depths)}, which {kind} has")
    subtype = (depth or "PCM_16") if depths else None
    soundfile.write(str(path), data.T, sr, format=kind.upper(), subtype=subtype)
    return path
