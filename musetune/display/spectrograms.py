"""Pictures of stereo: both channels' spectrograms up to half the sampling rate, and their level difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np

FRAME = 2048
FLOOR_DB = -100.0
SPREAD_DB = 12.0  # of the level difference that is told apart


def draw_channels(path: str | Path, wave: np.ndarray, rate: int, *, title: str = "") -> Path:
    """Draw the spectrograms of left and right, and where which of them is louder.

    Args:
        path: Where to: .png, .pdf or .svg; folders are made.
        wave: Floats (2, samples) in −1…1.
        rate: Hz; the pictures reach to its half.
        title: Heading.

    Returns:
        The path.

    Raises:
        ValueError: The audio is not stereo, or shorter than a frame of 2048 samples.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=(2, 48000)) * 0.1
        >>> draw_channels("both.png", noise, 48000).stat().st_size > 10_000
        True
    """
    from matplotlib.figure import Figure

    if wave.ndim != 2 or len(wave) != 2 or wave.shape[1] < FRAME:
        raise ValueError(f"audio of shape {wave.shape} is no stereo of at least {FRAME} samples: give (2, samples)")
    left, right = levels = [channel_levels(channel) for channel in wave]
    figure = Figure(figsize=(9, 7.5), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True, sharey=True)
    extent = (0, wave.shape[1] / rate, 0, rate / 2000)
    look = {"origin": "lower", "aspect": "auto", "extent": extent, "interpolation": "nearest"}
    for axis, name, level in zip(axes[:2], ("left", "right"), levels, strict=True):
        image = axis.imshow(level, vmin=FLOOR_DB, vmax=0, cmap="magma", **look)
        axis.set_ylabel(f"{name}, kHz")
    figure.colorbar(image, ax=axes[:2], label="dB")
    sounding = np.maximum(left, right) > FLOOR_DB + 10
    difference = np.where(sounding, left - right, 0)
    image = axes[2].imshow(difference, vmin=-SPREAD_DB, vmax=SPREAD_DB, cmap="RdBu", **look)
    figure.colorbar(image, ax=axes[2], label="left louder by, dB")
    axes[2].set_ylabel("left − right, kHz")
    axes[2].set_xlabel("seconds")
    axes[0].set_title(title)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    return path


def channel_levels(channel: np.ndarray) -> np.ndarray:
    """Levels in dB, at least −100, of one channel: (frequencies, frames); a full-scale sine has 0 dB."""
    count = 1 + (len(channel) - FRAME) // (FRAME // 2)
    window = np.hanning(FRAME)
    starts = np.arange(count) * (FRAME // 2)
    frames = np.stack([channel[at : at + FRAME] for at in starts]) * window
    magnitude = np.abs(np.fft.rfft(frames, axis=1)) * (2 / window.sum())
    return np.asarray(20 * np.log10(np.maximum(magnitude, 10 ** (FLOOR_DB / 20))).T)
