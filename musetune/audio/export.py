"""Audio as files for listeners: loudness on request, a true peak of −1 dBTP at most after the codec too, never clipped.

Lossy codecs (MP3, Vorbis) overshoot: what they give back may peak higher than what went in. So a file is decoded again
and measured, and made anew, softer by what is too much, until it keeps the limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from musetune.audio.io import load_audio, save_audio
from musetune.audio.loudness import loudness_gain, peak_gain, true_peak
from musetune.audio.mixing import sum_waves

LOSSY = ("mp3", "ogg")
ROUNDS = 8  # of encoding; two are the rule
SPARE = 0.999  # 0.009 dB for rounding to 16 bit
PCM = 32768  # steps of 16 bit in full scale


def export_audio(
    path: str | Path,
    audio: np.ndarray,
    rate: int,
    format: str | None = None,
    lufs: float | None = None,
    depth: str | None = None,
) -> Path:
    """Write audio that nobody needs to turn down.

    Args:
        path: The file; missing folders are made.
        audio: Floats (samples,) or (channels, samples), of any level.
        rate: Sampling rate in Hz.
        format: "wav", "flac", "mp3" or "ogg"; None: as the suffix says.
        lufs: Integrated loudness, −40 to −5 (EBU R128); None: as it is. It stays softer where the peak forbids more.
        depth: As of `save_audio`; None: 16 bit.

    Returns:
        The path. The file's true peak, decoded, is −1 dBTP at most.

    Raises:
        ValueError: The format or the loudness is another, or values are not finite.

    Example:
        >>> loud = 3 * np.sin(np.arange(48000) / 5)
        >>> decoded, _ = load_audio(export_audio("loud.ogg", loud, 48000))
        >>> bool(true_peak(decoded) <= 10 ** (-1 / 20))
        True
    """
    export({"": Path(path)}, {"": audio}, rate, format, lufs, depth)
    return Path(path)


def export_mix(
    mix: str | Path,
    files: Mapping[str, Path],
    players: Mapping[str, np.ndarray],
    rate: int,
    format: str | None = None,
    lufs: float | None = None,
) -> None:
    """Write players and their sum, all by one gain: loudness and peak of the sum, and every player's peak, decide it.

    In WAV and FLAC the players' samples add up to those of the mix, exactly; MP3 and OGG change each a little.

    Args:
        mix: The file of the sum.
        files: The file of each player.
        players: Floats (samples,) or (2, samples) of each player, equally long.
        rate: Sampling rate in Hz.
        format: As of `export_audio`.
        lufs: Of the sum.

    Raises:
        ValueError: As by `export_audio`; or lengths differ.

    Example:
        >>> tones = {name: 0.4 * np.sin(np.arange(9600) / n) for n, name in ((9, "bass"), (3, "lead"))}
        >>> export_mix("song.wav", {name: Path(f"{name}.wav") for name in tones}, tones, 48000)
        >>> song, bass, lead = (load_audio(f"{name}.wav")[0] for name in ("song", "bass", "lead"))
        >>> bool(np.array_equal(song, bass + lead))
        True
    """
    export({"": Path(mix), **files}, {"": sum_waves(players.values()), **players}, rate, format, lufs, mix=True)


def export(
    files: Mapping[str, Path],
    waves: Mapping[str, np.ndarray],
    rate: int,
    format: str | None,
    lufs: float | None,
    depth: str | None = None,
    mix: bool = False,
) -> None:
    """Write waves by one gain: it sets the loudness of that called "", and every peak keeps the limit.

    With ``mix`` that called "" is written as the sum of the other files' samples, where the codec keeps samples.
    """
    for wave in waves.values():
        if not np.isfinite(wave).all():
            raise ValueError("the audio has values that are not finite: infinity or NaN cannot be written")
    gain = loudness_gain(waves[""], rate, lufs)
    gain *= _share(gain * max(map(true_peak, waves.values())))
    kind = (format or files[""].suffix.lstrip(".")).lower()
    if kind not in LOSSY:
        _save(files, waves, gain, rate, kind, depth, mix)
        return
    for _ in range(ROUNDS):
        _save(files, waves, gain, rate, kind)
        share = _share(max(true_peak(load_audio(file, mono=False)[0]) for file in files.values()))
        if share == 1:
            return
        gain *= share
    raise ValueError(f"{files['']}: {kind} peaks higher than −1 dBTP after {ROUNDS} attempts; take wav or flac")


def _share(peak: float) -> float:
    """What a true peak is to be multiplied by, 1 where it keeps the limit."""
    gain = peak_gain(peak)
    return 1.0 if gain == 1 else SPARE * gain


def _save(
    files: Mapping[str, Path],
    waves: Mapping[str, np.ndarray],
    gain: float,
    rate: int,
    kind: str,
    depth: str | None = None,
    mix: bool = False,
) -> None:
    if not mix or kind in LOSSY:
        for name, file in files.items():
            save_audio(file, waves[name] * gain, rate, kind, depth)
        return
    steps = {name: np.rint(wave * (gain * PCM)).astype(np.int16) for name, wave in waves.items() if name}
    steps[""] = sum_waves(steps.values()).astype(np.int16)  # float32 holds sums of 16 bit exactly
    for name, file in files.items():
        save_audio(file, steps[name], rate, kind)
