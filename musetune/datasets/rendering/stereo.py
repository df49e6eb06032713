"""Players mixed in stereo: each at its place, with its own instrument, level, equaliser and share of the room; then
all through a compressor.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from musetune.audio import synthesize
from musetune.datasets.drum_kits import load_kit, play_kit
from musetune.datasets.effects.colour import boost_peak
from musetune.datasets.effects.dynamics import compress
from musetune.datasets.effects.space import impulse_response, reverberate

if TYPE_CHECKING:
    import pretty_midi

CENTRE = 32  # General MIDI programs 32 to 39 are basses: they stay near the middle, as drums do
KIT_LEVEL = 0.4  # brings a kit's samples to the level of a soundfont's drums


def mix_in_stereo(
    midi: pretty_midi.PrettyMIDI,
    soundfonts: Sequence[Path],
    rng: np.random.Generator,
    *,
    kit: Path | None = None,
    compressed: bool = False,
    rate: int = 48000,
    seconds: float = 10.24,
) -> np.ndarray:
    """A stereo recording of an arrangement, its mix drawn at random.

    Args:
        midi: The players, one instrument each.
        soundfonts: Stereo soundfonts; each player is drawn from one of them.
        rng: Draws everything; the same state gives the same sound.
        kit: A folder of a drum kit of Hydrogen's that plays the drums; None: a soundfont does.
        compressed: Whether loud passages of the whole are made quieter.
        rate: Hz.
        seconds: Length.

    Returns:
        (2, samples) float32 with a peak of 0.2 to 0.95; zeros where nobody plays.

    Raises:
        ValueError: There is no soundfont.

    Example:
        >>> import pretty_midi
        >>> nobody = pretty_midi.PrettyMIDI()
        >>> mix_in_stereo(nobody, [Path("any.sf2")], np.random.default_rng(0), seconds=0.5).shape
        (2, 24000)
    """
    if not soundfonts:
        raise ValueError("no soundfont is given: name at least one .sf2 or .sf3 file")
    samples = round(seconds * rate)
    room = impulse_response(rate, float(np.exp(rng.uniform(np.log(0.2), np.log(1.8)))), float(rng.uniform(0.1, 1)), rng)
    dry, wet = np.zeros((2, samples), np.float32), np.zeros((2, samples), np.float32)
    send = float(rng.uniform(0.0, 0.5))
    for player in midi.instruments:
        soundfont = soundfonts[int(rng.integers(len(soundfonts)))]
        if kit is not None and player.is_drum:
            wave = KIT_LEVEL * play_kit(load_kit(kit, rate), player.notes, samples)
        else:
            wave = _play_alone(player, soundfont, rate, seconds)
        for _ in range(int(rng.integers(0, 3))):
            hz = float(np.exp(rng.uniform(np.log(80), np.log(16000))))
            wave = boost_peak(wave, rate, hz, float(rng.uniform(-8, 8)), float(rng.uniform(0.5, 2)))
        middle = player.is_drum or player.program // 8 == CENTRE // 8
        wave = _place(wave, float(rng.uniform(-0.1, 0.1) if middle else rng.uniform(-0.8, 0.8)))
        wave *= np.float32(10 ** (rng.uniform(-9, 3) / 20))
        dry += wave
        wet += wave * np.float32(rng.uniform(0, 1))
    if rng.random() < 0.7:
        dry = dry + send * (reverberate(wet, room, 1.0) - wet)
    if compressed:
        ratio, threshold_db = float(rng.uniform(1.5, 6)), float(rng.uniform(-12, 3))
        dry = compress(dry, rate, ratio, threshold_db, float(np.exp(rng.uniform(np.log(0.008), np.log(0.2)))))
    peak = float(np.abs(dry).max(initial=0.0))
    return np.asarray(dry * (rng.uniform(0.2, 0.95) / peak if peak else 1.0), np.float32)


def _play_alone(player: pretty_midi.Instrument, soundfont: Path, rate: int, seconds: float) -> np.ndarray:
    """One player's stereo sound."""
    import pretty_midi

    alone = pretty_midi.PrettyMIDI()
    alone.instruments.append(player)
    return synthesize(alone, rate, duration_s=seconds, soundfont=soundfont, stereo=True)


def _place(wave: np.ndarray, pan: float) -> np.ndarray:
    """Balance: the far channel is turned down; pan from −1 (left) to 1 (right)."""
    gains = np.array([[np.cos((pan + 1) * np.pi / 4)], [np.sin((pan + 1) * np.pi / 4)]]) * np.sqrt(2)
    return np.asarray(wave * gains, np.float32)
