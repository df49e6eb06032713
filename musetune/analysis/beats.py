"""When the beats are: onset strength, a tempo, and the sequence of beats that fits both best.

Dynamic programming after Ellis (2007). The tempo octave is chosen by a prior on tempi together with how well the beats of each
candidate catch the onsets, so that 60 is not heard as 120 for want of a louder off-beat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .source import RATE

FPS = 100  # onset frames a second
N_FFT = 1024
BPM_RANGE = (50.0, 220.0)
PRIOR_BPM, PRIOR_OCTAVES = 105.0, 0.6  # centre and width of the log-normal prior on tempi


@dataclass(frozen=True)
class Beats:
    """`times_s` (n,) beats; `bpm` 60 over their median interval; `confidence` 0…1: how much more onset strength the beats hold
    than the time between them does; `strength` (frames,) at FPS, the onset strength they were found in."""

    times_s: np.ndarray
    bpm: float
    confidence: float
    strength: np.ndarray


def onset_strength(wave: np.ndarray) -> np.ndarray:
    """(frames,) ≥ 0 at FPS: rises of the log-mel spectrum against its neighbourhood 20 ms before (SuperFlux, Böck 2013)."""
    import librosa

    if len(wave) < N_FFT:
        wave = np.pad(wave, (0, N_FFT - len(wave)))
    hop = RATE / FPS
    starts = (np.arange(int(len(wave) / hop) + 1) * hop).astype(int)
    padded = np.pad(wave, N_FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[np.minimum(starts, len(padded) - N_FFT)]
    window = np.hanning(N_FFT).astype(np.float32)
    power = np.concatenate([np.abs(np.fft.rfft(frames[i : i + 512] * window)) ** 2 for i in range(0, len(frames), 512)])
    mel = librosa.filters.mel(sr=RATE, n_fft=N_FFT, n_mels=64, fmin=30, fmax=8000)
    level = np.log10(1 + 1e2 * (power @ mel.T))
    wide = np.maximum.reduce([level, np.roll(level, 1, 1), np.roll(level, -1, 1)])
    rise = np.zeros(len(level), np.float32)
    rise[2:] = np.maximum(level[2:] - wide[:-2], 0).mean(axis=1)
    return _standardise(rise)


def _standardise(rise: np.ndarray, seconds: float = 3.0) -> np.ndarray:
    """Take away the local mean and divide by the overall deviation: loud and soft passages count alike."""
    width = min(len(rise), int(seconds * FPS) | 1)
    local = np.convolve(rise, np.hanning(width + 2)[1:-1] / np.hanning(width + 2).sum(), "same")
    excess = np.maximum(rise - local, 0)
    return excess / (excess.std() + 1e-9)


def track_beats(wave: np.ndarray, *, tempo_hint: float | None = None) -> Beats | None:
    """Beats of `wave` (samples,) at RATE; None where there is no pulse (fewer than four onsets, or under 1.5 s).

    `tempo_hint` in bpm settles the octave: the tempo is then looked for within 8 % of it.
    """
    strength = onset_strength(wave)
    if len(strength) < 1.5 * FPS or n_onsets(strength) < 4:
        return None
    candidates = tempo_candidates(strength, tempo_hint)
    tracks = [
        (_score(strength, frames, bpm, tempo_hint), bpm, frames)
        for bpm in candidates
        if len(frames := _follow(strength, bpm)) >= 3
    ]
    if not tracks:
        return None
    _, bpm, frames = max(tracks, key=lambda track: track[0])
    times = cover(_refine(strength, frames) / FPS, *sounding_range(wave))
    if len(times) < 3:
        return None
    bpm = 60 / float(np.median(np.diff(times)))
    return Beats(times, bpm, _contrast(strength, frames), strength)


def sounding_range(wave: np.ndarray) -> tuple[float, float]:
    """(start, end) in seconds of what is within 45 dB of the loud parts (95th percentile of 50 ms blocks)."""
    block = RATE // 20
    padded = np.pad(wave, (0, -len(wave) % block)).reshape(-1, block)
    loudness = np.sqrt(np.square(padded).mean(axis=1))
    loud = np.flatnonzero(loudness > np.percentile(loudness, 95) * 10 ** (-45 / 20))
    if len(loud) == 0:
        return 0.0, len(wave) / RATE
    return float(loud[0] * block / RATE), float(min((loud[-1] + 1) * block, len(wave)) / RATE)


def cover(times_s: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    """Beats from start to end of the sound: those outside dropped, missing ones at either end continued at the pace found there."""
    slack = 0.05
    times = times_s[(times_s >= start_s - slack) & (times_s <= end_s)]
    if len(times) < 2:
        return times
    first, last = np.median(np.diff(times[:5])), np.median(np.diff(times[-5:]))
    before = times[0] - first * np.arange(int((times[0] - start_s + slack) / first), 0, -1)
    after = times[-1] + last * np.arange(1, int((end_s - times[-1]) / last) + 1)
    return np.maximum(np.concatenate([before, times, after]), 0)


def n_onsets(strength: np.ndarray) -> int:
    """Number of distinct rises: local maxima over 100 ms above a quarter of the strongest."""
    if strength.max(initial=0) <= 0:
        return 0
    width = FPS // 10
    window = np.lib.stride_tricks.sliding_window_view(np.pad(strength, width // 2), width + 1).max(axis=1)
    return int(((strength == window[: len(strength)]) & (strength > 0.25 * strength.max())).sum())


def tempo_candidates(strength: np.ndarray, hint: float | None = None) -> list[float]:
    """Up to four tempi in bpm: peaks of the comb-summed autocorrelation under the prior, and their octaves."""
    bpms = np.geomspace(*BPM_RANGE, 240) if hint is None else np.geomspace(hint / 1.08, hint * 1.08, 40)
    score = _periodicity(strength, bpms)
    if hint is not None:
        return [float(bpms[score.argmax()])]
    score = score * np.exp(-0.5 * (np.log2(bpms / PRIOR_BPM) / (2 * PRIOR_OCTAVES)) ** 2)
    peaks = [i for i in range(1, len(bpms) - 1) if score[i] >= score[i - 1] and score[i] > score[i + 1]]
    best = sorted(peaks, key=lambda i: -score[i])[:4] or [int(score.argmax())]
    return [float(bpms[i]) for i in best]


def _periodicity(strength: np.ndarray, bpms: np.ndarray) -> np.ndarray:
    """Autocorrelation summed at one to four beats of each tempo, each lag normalised by how much of the clip it overlaps."""
    n = len(strength)
    smooth = np.convolve(strength, np.hanning(9) / np.hanning(9).sum(), "same")
    smooth = smooth - smooth.mean()
    power = np.abs(np.fft.rfft(smooth, 2 * n)) ** 2
    correlation = np.fft.irfft(power)[:n] / (n - np.arange(n) + FPS)
    score = np.zeros(len(bpms))
    for beats in (1, 2, 3, 4):
        lag = beats * 60 * FPS / bpms
        score += np.interp(lag, np.arange(n), correlation, right=0) * (lag < n * 0.75)
    return np.maximum(score, 0)


def _follow(strength: np.ndarray, bpm: float, tightness: float = 300.0) -> np.ndarray:
    """Frames of the beats at about `bpm` that maximise onset strength minus tightness · log²(interval ratio) (Ellis 2007)."""
    period = 60 * FPS / bpm
    local = np.convolve(strength, np.exp(-0.5 * (np.arange(-6, 7) / 2.5) ** 2), "same")
    local = local / (local.std() + 1e-9)
    lags = np.arange(int(period * 0.6), int(period * 1.6) + 1)
    cost = -tightness * np.log(lags / period) ** 2
    total, before = local.copy(), np.full(len(local), -1)
    for now in range(int(lags[0]), len(local)):
        reach = lags[lags <= now]
        gain = total[now - reach] + cost[: len(reach)]
        best = int(gain.argmax())
        if gain[best] > 0:
            total[now], before[now] = local[now] + gain[best], now - reach[best]
    frame = max(0, len(local) - int(period)) + int(total[-int(period) :].argmax())
    frames = [frame]
    while before[frames[-1]] >= 0:
        frames.append(int(before[frames[-1]]))
    return np.array(frames[::-1])


def _score(strength: np.ndarray, frames: np.ndarray, bpm: float, hint: float | None) -> float:
    """How much onset strength the beats catch, a beat, under the prior on tempi."""
    caught = _caught(strength)[frames].mean()
    return float(np.log(caught + 0.1) - 0.5 * (np.log2(bpm / (hint or PRIOR_BPM)) / PRIOR_OCTAVES) ** 2)


def _caught(strength: np.ndarray) -> np.ndarray:
    """Strongest onset within 30 ms of each frame."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(strength, 3), 7).max(axis=1)


def _contrast(strength: np.ndarray, frames: np.ndarray) -> float:
    caught = _caught(strength)
    on, overall = caught[frames].mean(), caught.mean()
    return float(np.clip((on - overall) / (on + overall + 1e-9), 0, 1))


def _refine(strength: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Beat frames moved to the centre of gravity of the onset within 20 ms."""
    offsets = np.arange(-2, 3)
    weight = np.pad(strength, 2)[frames[:, None] + 2 + offsets] + 1e-3
    return frames + (weight * offsets).sum(axis=1) / weight.sum(axis=1)
