"""The mix of players: who plays the drums, what the compressor does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pretty_midi
import pytest
from kit_folder import write_kit

from musetune.audio import find_soundfont
from musetune.datasets.rendering.stereo import mix_in_stereo


def kicks(velocities: list[int]) -> pretty_midi.PrettyMIDI:
    """A bass drum every quarter of a second."""
    midi = pretty_midi.PrettyMIDI()
    midi.instruments.append(pretty_midi.Instrument(0, is_drum=True))
    times = 0.25 * np.arange(len(velocities))
    midi.instruments[0].notes = [pretty_midi.Note(v, 36, t, t + 0.1) for v, t in zip(velocities, times, strict=True)]
    return midi


def test_a_kit_plays_the_drums_instead_of_the_soundfont(tmp_path: Path) -> None:
    kit, midi = write_kit(tmp_path / "kit"), kicks([110] * 4)
    nowhere = [Path("nowhere.sf2")]  # never opened: nobody but the drummer plays
    by_kit = mix_in_stereo(midi, nowhere, np.random.default_rng(2), kit=kit, rate=16000, seconds=1.0)
    assert 0.2 <= np.abs(by_kit).max() <= 0.95
    spectrum = np.abs(np.fft.rfft(by_kit.mean(axis=0)))
    assert abs(int(spectrum.argmax()) - 60) <= 4  # Hz: the kit's kick is a tone
    by_font = mix_in_stereo(midi, [find_soundfont()], np.random.default_rng(2), rate=16000, seconds=1.0)
    assert not np.allclose(by_font, by_kit, atol=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_a_compressor_brings_soft_strokes_nearer_to_loud_ones(tmp_path: Path, seed: int) -> None:
    kit, midi = write_kit(tmp_path / "kit"), kicks([127, 127, 60, 60])
    ratios = []
    for compressed in (False, True):
        rng = np.random.default_rng(seed)
        wave = mix_in_stereo(midi, [Path("none.sf2")], rng, kit=kit, compressed=compressed, rate=16000, seconds=1.0)
        ratios.append(np.square(wave[:, :8000]).mean() / np.square(wave[:, 8000:]).mean())
    assert 1 < ratios[1] < 0.9 * ratios[0]
