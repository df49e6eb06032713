"""What carries the sound: noise, crackle of vinyl, wow of tape, lossy codecs."""

from __future__ import annotations

import io

import numpy as np

CODECS = {"mp3": ("MP3", "MPEG_LAYER_III"), "vorbis": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS")}
OPUS_RATE = 24000  # Hz; Opus knows few rates
REACH = 6000  # samples; the longest delay of a codec that is looked for
FLUTTER = 7.3  # of wow's speed: a faster, smaller sway beside it


def add_noise(wave: np.ndarray, ratio_db: float, tint: float, rng: np.random.Generator) -> np.ndarray:
    """Hiss below the music.

    Args:
        wave: (…, samples).
        ratio_db: Of music to noise, 10 (bad cassette) to 80.
        tint: 0 white, towards 1 the lows stronger.
        rng: Draws it.

    Returns:
        (…, samples) float32; silence stays silent.

    Example:
        >>> add_noise(np.ones(100, np.float32), 30.0, 0.5, np.random.default_rng(0)).shape
        (100,)
    """
    from scipy.signal import lfilter

    noise = lfilter([1], [1, -min(tint, 0.99)], rng.normal(0, 1, wave.shape), axis=-1)
    size = np.sqrt(np.mean(np.square(wave, dtype=np.float64)) / (np.mean(np.square(noise)) + 1e-12))
    return np.asarray(wave + noise * size * 10 ** (-ratio_db / 20), np.float32)


def crackle(wave: np.ndarray, rate: int, per_second: float, level_db: float, rng: np.random.Generator) -> np.ndarray:
    """Clicks of dust on a disc, short and of uneven strength, the same in all channels.

    Args:
        wave: (…, samples).
        rate: Hz.
        per_second: Clicks a second, 0.5 to 40.
        level_db: Of a usual click over the music's root mean square, −20 to 15.
        rng: Draws them.

    Returns:
        (…, samples) float32; silence stays silent.

    Example:
        >>> crackle(np.ones((2, 2205), np.float32), 22050, 20.0, 0.0, np.random.default_rng(0)).shape
        (2, 2205)
    """
    from scipy.signal import lfilter

    samples = wave.shape[-1]
    clicks = np.zeros(samples)
    at = rng.integers(0, samples, rng.poisson(per_second * samples / rate))
    np.add.at(clicks, at, rng.choice([-1, 1], len(at)) * rng.lognormal(0, 0.6, len(at)))
    clicks = lfilter([1], [1, -np.exp(-1 / (0.0003 * rate))], clicks)
    size = np.sqrt(np.mean(np.square(wave, dtype=np.float64))) * 10 ** (level_db / 20)
    return np.asarray(wave + size * clicks, np.float32)


def wow(wave: np.ndarray, rate: int, depth: float, speed_hz: float) -> np.ndarray:
    """A tape or disc whose speed sways: slowly, and a tenth as much `FLUTTER` times as fast.

    Args:
        wave: (…, samples).
        rate: Hz.
        depth: Deviation of the speed, 0.0002 to 0.01 (17 cents); what sounds stays within depth / (2π speed_hz)
            seconds of where it was.
        speed_hz: 0.3 to 3 Hz.

    Returns:
        (…, samples) float32.

    Raises:
        ValueError: The speed is not above 0.

    Example:
        >>> wow(np.zeros((2, 300), np.float32), 22050, 0.002, 0.55).shape
        (2, 300)
    """
    if speed_hz <= 0:
        raise ValueError(f"speed_hz is {speed_hz}; give more than 0, a disc's is 0.55")
    at = np.arange(wave.shape[-1])
    angle = 2 * np.pi * speed_hz / rate
    shift = depth / angle * (np.sin(angle * at) + 0.1 / FLUTTER * np.sin(FLUTTER * angle * at))
    rows = wave.reshape(-1, wave.shape[-1])
    return np.stack([np.interp(at + shift, at, row) for row in rows]).reshape(wave.shape).astype(np.float32)


def mp3_quality(kbit: float, rate: int) -> float:
    """The `quality` at which `through_codec` writes MP3 of `kbit` kbit/s.

    Args:
        kbit: 8 to 160 below a rate of 32 kHz, 32 to 320 from there on.
        rate: Hz.

    Returns:
        0 to 1.

    Raises:
        ValueError: MP3 has no such bit rate at this rate.

    Example:
        >>> mp3_quality(320, 44100)
        1.0
    """
    low, high = (32, 320) if rate >= 32000 else (8, 160)
    if not low <= kbit <= high:
        raise ValueError(f"{kbit:g} kbit/s is no bit rate of MP3 at {rate} Hz; give {low} to {high}")
    return (kbit - low) / (high - low)


def through_codec(wave: np.ndarray, rate: int, codec: str, quality: float) -> np.ndarray:
    """What is left after encoding and decoding, put back to where it was in time.

    Args:
        wave: (samples,) or (channels, samples).
        rate: Hz.
        codec: One of `CODECS`.
        quality: 0 (the lowest bit rate) to 1.

    Returns:
        Float32 of the same shape.

    Raises:
        ValueError: The codec is unknown or the quality out of range.

    Example:
        >>> through_codec(np.zeros((2, 4410), np.float32), 22050, "vorbis", 0.3).shape
        (2, 4410)
    """
    import soundfile

    from musetune.audio import resample

    if codec not in CODECS or not 0 <= quality <= 1:
        raise ValueError(f"codec {codec!r} at quality {quality}; give one of {', '.join(CODECS)} and 0 to 1")
    rows = np.atleast_2d(np.asarray(wave, np.float32))
    peak = max(1.0, float(np.abs(rows).max(initial=0.0)))
    own_rate = OPUS_RATE if codec == "opus" else rate
    source = (rows / peak if own_rate == rate else resample(rows / peak, rate, own_rate)).T
    kind, subtype = CODECS[codec]
    constant = {"bitrate_mode": "CONSTANT"} if codec == "mp3" else {}
    buffer = io.BytesIO()
    # libsndfile counts compression: 0 is the best
    soundfile.write(buffer, source, own_rate, format=kind, subtype=subtype, compression_level=1 - quality, **constant)
    buffer.seek(0)
    decoded = soundfile.read(buffer, dtype="float32", always_2d=True)[0]
    lag = _delay(source.mean(axis=1), decoded.mean(axis=1))
    decoded = decoded[lag : lag + len(source)]
    decoded = np.pad(decoded, ((0, len(source) - len(decoded)), (0, 0))).T
    if own_rate != rate:
        decoded = resample(np.ascontiguousarray(decoded), own_rate, rate)
        decoded = np.pad(decoded, ((0, 0), (0, max(rows.shape[1] - decoded.shape[1], 0))))[:, : rows.shape[1]]
    return np.ascontiguousarray(decoded * peak, dtype=np.float32).reshape(np.shape(wave))


def _delay(before: np.ndarray, after: np.ndarray) -> int:
    """Samples by which the codec is late: where the two agree best."""
    from scipy.signal import fftconvolve

    n = min(len(before), len(after), 10 * 48000)
    match = fftconvolve(after[: n + REACH], before[:n][::-1])[n - 1 : n + REACH]
    return int(np.argmax(match)) if np.any(match > 1e-9) else 0
