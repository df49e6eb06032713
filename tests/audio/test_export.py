"""Files for listeners: never clipped, −1 dBTP after the codec too, players that add up to their mix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyloudnorm
import pytest

from musetune.audio import load_audio, save_audio
from musetune.audio.export import export_audio, export_mix
from musetune.audio.io import FORMATS
from musetune.audio.loudness import BLOCK, loudness_gain, peak_gain, true_peak

LIMIT = 10 ** (-1 / 20)
RATE = 48000


def loud(seconds: float = 2.0) -> np.ndarray:
    """Clicks and noise far above full scale, (2, samples): what codecs overshoot on."""
    rng = np.random.default_rng(1)
    wave = rng.normal(size=(2, round(seconds * RATE))) * 0.1
    wave[:, :: RATE // 8] += 3 * rng.choice([-1, 1], size=(2, round(seconds * 8)))
    return np.asarray(np.tanh(wave * 4) * 2, np.float32)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("lufs", [None, -14.0])
def test_a_decoded_file_keeps_its_true_peak(kind: str, lufs: float | None, tmp_path: Path) -> None:
    wave, rate = load_audio(export_audio(tmp_path / f"a.{kind}", loud(), RATE, lufs=lufs), mono=False)
    assert rate == RATE
    assert wave.shape[0] == 2
    assert 0.2 < true_peak(wave) <= LIMIT
    if lufs is not None:
        loudness = pyloudnorm.Meter(rate).integrated_loudness(wave.T)
        assert -15.5 < loudness < -13.9  # softer where the codec overshoots


def test_a_codec_alone_would_pass_the_limit(tmp_path: Path) -> None:
    """The measure after the codec is needed: a file scaled to −1 dBTP before it peaks higher after it."""
    wave = loud()
    scaled = wave * peak_gain(true_peak(wave))
    over = {
        kind: true_peak(load_audio(save_audio(tmp_path / f"b.{kind}", scaled, RATE), mono=False)[0]) for kind in FORMATS
    }
    assert over["wav"] <= LIMIT + 1e-4
    assert max(over["mp3"], over["ogg"]) > 1.05 * LIMIT


def test_soft_audio_stays_as_it_is(tmp_path: Path) -> None:
    wave = loud() * 0.05
    written, _ = load_audio(export_audio(tmp_path / "soft.wav", wave, RATE), mono=False)
    assert np.abs(written - wave).max() <= 1 / 32768
    silent, _ = load_audio(export_audio(tmp_path / "none.flac", np.zeros((2, RATE)), RATE, lufs=-14.0), mono=False)
    assert silent.shape == (2, RATE)
    assert not silent.any()


@pytest.mark.parametrize("kind", ["wav", "flac"])
@pytest.mark.parametrize("lufs", [None, -20.0])
def test_players_add_up_to_the_sample(kind: str, lufs: float | None, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    players = {name: rng.normal(size=(2, RATE)).astype(np.float32) * 0.3 for name in ("drums", "bass", "lead")}
    files = {name: tmp_path / f"{name}.{kind}" for name in players}
    export_mix(tmp_path / f"mix.{kind}", files, players, RATE, lufs=lufs)
    mix = load_audio(tmp_path / f"mix.{kind}", mono=False)[0]
    written = {name: load_audio(file, mono=False)[0] for name, file in files.items()}
    assert np.array_equal(mix, np.sum(list(written.values()), axis=0))
    assert 0.1 < true_peak(mix) <= LIMIT
    gains = {name: (written[name] * players[name]).sum() / np.square(players[name]).sum() for name in players}
    assert max(gains.values()) - min(gains.values()) < 1e-4 * max(gains.values())
    if lufs is not None:
        assert pyloudnorm.Meter(RATE).integrated_loudness(mix.T) == pytest.approx(lufs, abs=0.1)


def test_players_that_cancel_each_other_do_not_clip_alone(tmp_path: Path) -> None:
    loud_one = np.sin(np.arange(RATE) / 20) * 1.5
    players = {"a": loud_one, "b": 0.1 - loud_one}
    files = {name: tmp_path / f"{name}.mp3" for name in players}
    export_mix(tmp_path / "mix.mp3", files, players, RATE)
    for file in (*files.values(), tmp_path / "mix.mp3"):
        assert true_peak(load_audio(file)[0]) <= LIMIT


def test_peaks_are_found_in_blocks_as_in_the_whole() -> None:
    from scipy.signal import resample_poly

    wave = np.random.default_rng(3).normal(size=2 * BLOCK + 777)
    wave[BLOCK - 1 : BLOCK + 1] = 9.0, 9.0  # highest between the last sample of a block and the first of the next
    assert true_peak(wave) == pytest.approx(np.abs(resample_poly(wave, 4, 1)).max(), rel=1e-6)


def test_gains_and_errors() -> None:
    assert loudness_gain(np.zeros(RATE), RATE, -14.0) == 1
    assert peak_gain(0.0) == 1
    with pytest.raises(ValueError, match="not finite"):
        export_audio("a.wav", np.array([0.0, np.nan]), RATE)
    with pytest.raises(ValueError, match="'aac' is not one of"):
        export_audio("a.aac", np.zeros(100), RATE)
