"""A production drawn at random: which effects, how strong, in the order of a studio."""

from __future__ import annotations

import numpy as np

from musetune.datasets.effects.colour import boost_peak, limit_band, tilt
from musetune.datasets.effects.dynamics import compress, distort, duck
from musetune.datasets.effects.media import CODECS, add_noise, crackle, through_codec, wow
from musetune.datasets.effects.space import chorus, impulse_response, reverberate, set_width

SHARE = {  # of productions that have it
    "distortion": 0.12, "chorus": 0.15, "ducking": 0.12, "room": 0.5, "equaliser": 0.7, "tilt": 0.4, "band": 0.06,
    "compression": 0.5, "width": 0.5, "wow": 0.1, "crackle": 0.08, "noise": 0.5, "codec": 0.4,
}  # fmt: skip


def produce(
    wave: np.ndarray, rate: int, beats_s: np.ndarray, rng: np.random.Generator, share: dict[str, float] | None = None
) -> tuple[np.ndarray, list[str]]:
    """The recording of what players play.

    Args:
        wave: (2, samples).
        rate: Hz.
        beats_s: (n,) seconds; ducking follows them.
        rng: Draws everything; the same state gives the same sound.
        share: Effect → share of productions that have it, in place of `SHARE`.

    Returns:
        (2, samples) float32 with a peak of 0.1 to 1, and the names of the effects in it.

    Raises:
        ValueError: `wave` is not stereo, or `share` names an unknown effect.

    Example:
        >>> tone = np.sin(np.arange(22050) * 0.1).astype(np.float32)
        >>> sound, names = produce(np.stack([tone, tone]), 22050, np.arange(2) / 2, np.random.default_rng(0))
        >>> sound.shape
        (2, 22050)
    """
    share = SHARE if share is None else share
    if unknown := share.keys() - SHARE.keys():
        raise ValueError(f"no effect is called {', '.join(sorted(unknown))}; they are {', '.join(SHARE)}")
    if wave.ndim != 2 or len(wave) != 2:
        raise ValueError(f"the wave has shape {wave.shape}; a production takes stereo (2, samples)")
    names = [name for name in SHARE if rng.random() < share.get(name, 0.0)]
    for name in names:
        wave = _apply(name, wave, rate, beats_s, rng)
        wave = wave / max(1.0, float(np.abs(wave).max(initial=0.0)))
    peak = float(np.abs(wave).max(initial=0.0))
    loud = 10 ** rng.uniform(-1, 0)
    return np.asarray(wave * (loud / peak if peak else 1.0), np.float32), names


def _apply(name: str, wave: np.ndarray, rate: int, beats_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One effect with values drawn from the range that music has."""
    if name in ("distortion", "compression", "ducking"):
        return _dynamics(name, wave, rate, beats_s, rng)
    if name in ("room", "chorus", "width"):
        return _space(name, wave, rate, rng)
    if name in ("equaliser", "tilt", "band"):
        return _colour(name, wave, rate, rng)
    return _medium(name, wave, rate, rng)


def _dynamics(name: str, wave: np.ndarray, rate: int, beats_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if name == "distortion":
        clean = rng.uniform(0, 0.6)
        return clean * wave + (1 - clean) * distort(wave, float(rng.uniform(0, 20)))
    if name == "compression":
        ratio, threshold, time_s = rng.uniform(1.5, 8), rng.uniform(-15, 3), _log_uniform(rng, 0.008, 0.2)
        return compress(wave, rate, float(ratio), float(threshold), time_s)
    period = float(np.median(np.diff(beats_s))) if len(beats_s) > 1 else 0.5
    release = min(max(period * float(rng.uniform(0.4, 1.0)), 0.05), 1.0)
    return duck(wave, rate, beats_s, float(rng.uniform(4, 15)), release)


def _space(name: str, wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    if name == "chorus":
        depth_s, speed, mix = rng.uniform(0.001, 0.005), _log_uniform(rng, 0.2, 2), rng.uniform(0.3, 0.9)
        return chorus(wave, rate, float(depth_s), speed, float(mix))
    if name == "width":
        return set_width(wave, float(rng.choice([0.0, 0.5, 1.6])))
    response = impulse_response(rate, _log_uniform(rng, 0.15, 2.5), float(rng.uniform(0.1, 1)), rng)
    return reverberate(wave, response, float(rng.uniform(0.05, 0.6)))


def _colour(name: str, wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    if name == "tilt":
        return tilt(wave, rate, _log_uniform(rng, 300, 2000), float(rng.uniform(-12, 12)))
    if name == "band":
        return limit_band(wave, rate, _log_uniform(rng, 60, 250), _log_uniform(rng, 2500, 8000))
    for _ in range(int(rng.integers(1, 4))):
        hz, gain_db, q = _log_uniform(rng, 60, min(7000, 0.4 * rate)), rng.uniform(-12, 10), _log_uniform(rng, 0.5, 3)
        wave = boost_peak(wave, rate, hz, float(gain_db), q)
    return wave


def _medium(name: str, wave: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    if name == "wow":
        return wow(wave, rate, _log_uniform(rng, 0.0003, 0.004), float(rng.uniform(0.4, 1.5)))
    if name == "crackle":
        return crackle(wave, rate, _log_uniform(rng, 1, 25), float(rng.uniform(-12, 8)), rng)
    if name == "noise":
        return add_noise(wave, float(rng.uniform(15, 70)), float(rng.choice([0.0, 0.8, 0.95])), rng)
    codec = str(rng.choice(list(CODECS)))
    return through_codec(wave, rate, codec, float(rng.uniform(0.08, 0.6)))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
