"""What each effect does to level, length and spectrum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from musetune.datasets.effects import produce
from musetune.datasets.effects.chain import SHARE
from musetune.datasets.effects.colour import boost_peak, limit_band, tilt
from musetune.datasets.effects.dynamics import compress, distort, duck
from musetune.datasets.effects.media import CODECS, add_noise, crackle, mp3_quality, through_codec, wow
from musetune.datasets.effects.space import chorus, impulse_response, reverberate, set_width

RATE = 22050


def tone(hz: float, seconds: float = 1.0) -> np.ndarray:
    """(2, samples), peak 0.5."""
    wave = 0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)
    return np.stack([wave, 0.8 * wave]).astype(np.float32)


def power_at(wave: np.ndarray, hz: float, width: float = 8.0) -> float:
    """Power of the first channel within `width` Hz of `hz`."""
    spectrum = np.abs(np.fft.rfft(wave[0] * np.hanning(wave.shape[1]))) ** 2
    at = np.fft.rfftfreq(wave.shape[1], 1 / RATE)
    return float(spectrum[np.abs(at - hz) <= width].sum())


def db(ratio: float) -> float:
    return 10 * float(np.log10(ratio))


def in_room(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return reverberate(wave, impulse_response(RATE, 0.4, 0.5, rng), 0.4)


EFFECTS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "distort": lambda wave, rng: distort(wave, 20),
    "compress": lambda wave, rng: compress(wave, RATE, 4, -10),
    "duck": lambda wave, rng: duck(wave, RATE, np.arange(3) / 3, 12, 0.3),
    "room": in_room,
    "chorus": lambda wave, rng: chorus(wave, RATE, 0.004, 0.8, 0.7),
    "width": lambda wave, rng: set_width(wave, 0.5),
    "peak": lambda wave, rng: boost_peak(wave, RATE, 500, 6),
    "tilt": lambda wave, rng: tilt(wave, RATE, 800, -9),
    "band": lambda wave, rng: limit_band(wave, RATE, 200, 4000),
    "noise": lambda wave, rng: add_noise(wave, 20, 0.8, rng),
    "crackle": lambda wave, rng: crackle(wave, RATE, 10, 0, rng),
    "wow": lambda wave, rng: wow(wave, RATE, 0.004, 0.6),
    **{codec: lambda wave, rng, codec=codec: through_codec(wave, RATE, codec, 0.3) for codec in CODECS},
}


@pytest.mark.parametrize("name", EFFECTS)
def test_an_effect_keeps_shape_is_finite_repeats_and_leaves_its_input_alone(name: str) -> None:
    wave = tone(440) + np.random.default_rng(5).normal(0, 0.05, (2, RATE)).astype(np.float32)
    before = wave.copy()
    first, second = (EFFECTS[name](wave, np.random.default_rng(3)) for _ in range(2))
    assert first.shape == wave.shape
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(wave, before)
    assert not np.allclose(first, wave, atol=1e-4), "it does something"
    assert abs(db(np.square(first).mean() / np.square(wave).mean())) < 12


@pytest.mark.parametrize("name", EFFECTS)
def test_silence_stays_silent(name: str) -> None:
    out = EFFECTS[name](np.zeros((2, 9000), np.float32), np.random.default_rng(3))
    assert np.abs(out).max() < 1e-4


def test_distortion_adds_odd_harmonics_and_keeps_the_level() -> None:
    wave = tone(400)
    out = distort(wave, 20)
    assert power_at(out, 1200) > 100 * power_at(wave, 1200) + 1e-9
    assert power_at(out, 1200) > 1000 * power_at(out, 800)
    assert np.sqrt(np.square(out).mean()) == pytest.approx(np.sqrt(np.square(wave).mean()), rel=1e-3)


def test_compression_brings_loud_and_soft_together() -> None:
    wave = tone(400, 2.0)
    wave[:, :RATE] *= 0.1
    ratio = lambda w: np.square(w[:, RATE + 5000 :]).mean() / np.square(w[:, 5000:RATE]).mean()  # noqa: E731
    assert db(ratio(wave)) == pytest.approx(20, abs=0.1)
    assert 8 < db(ratio(compress(wave, RATE, 4, -10))) < 16
    np.testing.assert_allclose(compress(wave, RATE, 1.0, -10), wave, atol=1e-6)
    with pytest.raises(ValueError, match=r"ratio is 0\.5"):
        compress(wave, RATE, 0.5, 0)


def test_ducking_follows_the_times() -> None:
    out = duck(np.ones((2, RATE), np.float32), RATE, np.array([0.25, 0.75]), 20, 0.2)
    assert out[0, :5000].min() == 1.0
    assert out[0, round(0.25 * RATE)] == pytest.approx(0.1, abs=1e-3)
    assert out[0, round(0.35 * RATE)] == pytest.approx(10**-0.5, abs=1e-2)
    assert out[0, round(0.7 * RATE)] == 1.0


def test_a_room_rings_as_long_as_it_is_said_to() -> None:
    response = impulse_response(RATE, 1.0, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(np.square(response).sum(axis=1), 1, rtol=1e-5)
    early, late = (np.square(response[:, a:b]).mean() for a, b in ((2205, 4410), (13230, 15435)))
    assert db(early / late) == pytest.approx(30, abs=3)  # half a second is half of 60 dB
    assert abs(np.corrcoef(response)[0, 1]) < 0.3
    click = np.zeros((2, RATE), np.float32)
    click[:, 100] = 1
    assert np.abs(reverberate(click, response, 0.3)).argmax() == 100
    with pytest.raises(ValueError, match="1 channels and the response 2"):
        reverberate(click[:1], response, 0.3)


def test_damping_takes_the_highs() -> None:
    def highs(damping: float) -> float:
        response = impulse_response(RATE, 1.0, damping, np.random.default_rng(0))[:, 5000:]
        spectrum = np.abs(np.fft.rfft(response[0])) ** 2
        return float(spectrum[len(spectrum) // 2 :].sum() / spectrum.sum())

    assert highs(1.0) < 0.5 * highs(0.0)


def test_chorus_widens_a_line_of_the_spectrum() -> None:
    wave = tone(1000, 2.0)
    out = chorus(wave, RATE, 0.004, 1.0, 0.8)
    beside = lambda w: (power_at(w, 1010, 7) + power_at(w, 990, 7)) / power_at(w, 1000, 2)  # noqa: E731
    assert beside(out) > 20 * beside(wave)


def test_width_keeps_the_middle() -> None:
    wave = tone(300)
    for width in (0.0, 0.5, 2.0):
        out = set_width(wave, width)
        np.testing.assert_allclose(out.mean(axis=0), wave.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(out[0] - out[1], width * (wave[0] - wave[1]), atol=1e-6)
    with pytest.raises(ValueError, match="stereo"):
        set_width(wave[0], 1.0)


@pytest.mark.parametrize(("hz", "gain_db"), [(500, 6.0), (3000, -9.0)])
def test_a_peak_has_its_gain_at_its_centre(hz: float, gain_db: float) -> None:
    assert db(power_at(boost_peak(tone(hz), RATE, hz, gain_db), hz) / power_at(tone(hz), hz)) == pytest.approx(
        gain_db, abs=0.2
    )


def test_tilt_lowers_one_side_and_raises_the_other() -> None:
    for hz, change in ((50, 6), (10000, -6), (800, 0)):
        assert db(power_at(tilt(tone(hz), RATE, 800, -12), hz) / power_at(tone(hz), hz)) == pytest.approx(
            change, abs=0.7
        )


def test_a_band_passes_its_middle_alone() -> None:
    for hz, low, high in ((1000, -1, 1), (50, -40, -15), (9000, -60, -10)):
        assert low < db(power_at(limit_band(tone(hz), RATE, 300, 3400), hz) / power_at(tone(hz), hz)) < high
    with pytest.raises(ValueError, match="3000 to 300 Hz"):
        limit_band(tone(100), RATE, 3000, 300)
    with pytest.raises(ValueError, match=r"less than 11025"):
        boost_peak(tone(100), RATE, 12000, 3)


@pytest.mark.parametrize("tint", [0.0, 0.9])
def test_noise_has_the_ratio_asked_for(tint: float) -> None:
    wave = tone(440)
    noise = add_noise(wave, 20, tint, np.random.default_rng(1)) - wave
    assert db(np.square(wave).mean() / np.square(noise).mean()) == pytest.approx(20, abs=0.1)
    lows = np.square(np.fft.rfft(noise[0]))[:2000]
    spectrum = np.abs(np.fft.rfft(noise[0])) ** 2
    assert (np.abs(lows).mean() > 3 * spectrum[-2000:].mean()) == (tint > 0)


def test_crackle_is_sparse_and_the_same_in_both_channels() -> None:
    wave = tone(440, 4.0)
    clicks = crackle(wave, RATE, 10, 6, np.random.default_rng(1)) - wave
    np.testing.assert_allclose(clicks[0], clicks[1], atol=1e-5)
    assert 10 < np.sum(np.diff((np.abs(clicks[0]) > 0.05).astype(int)) == 1) < 80
    assert np.mean(np.abs(clicks[0]) > 0.01) < 0.05


def test_wow_sways_the_pitch_and_keeps_the_time() -> None:
    wave = tone(2000, 3.0)
    out = wow(wave, RATE, 0.005, 0.5)
    assert power_at(out, 2000, 1) < 0.7 * power_at(wave, 2000, 1)
    assert power_at(out, 2000, 14) > 0.9 * power_at(wave, 2000, 14)
    click = np.zeros((1, RATE), np.float32)
    click[0, 9000:9010] = 1
    assert abs(int(np.abs(wow(click, RATE, 0.005, 0.5)).argmax()) - 9005) < RATE * 0.005 / np.pi + 6
    with pytest.raises(ValueError, match="speed_hz is 0"):
        wow(wave, RATE, 0.001, 0)


@pytest.mark.parametrize("codec", CODECS)
def test_a_codec_keeps_time_and_loses_something(codec: str) -> None:
    rng = np.random.default_rng(0)
    wave = np.zeros((2, 2 * RATE), np.float32)
    for at in (3000, 20000, 33000):
        wave[:, at : at + 2000] = rng.normal(0, 0.2, (2, 2000)) * np.exp(-np.arange(2000) / 400)
    low, high = (through_codec(wave, RATE, codec, quality) for quality in (0.1, 0.9))
    match = np.correlate(high[0], wave[0, 3000:5000], "valid")
    assert abs(int(match[:9000].argmax()) - 3000) <= 2
    error = lambda out: float(np.square(out - wave).mean())  # noqa: E731
    assert error(low) > error(high)
    assert np.corrcoef(high[0], wave[0])[0, 1] > 0.8
    assert through_codec(wave[0], RATE, codec, 0.5).shape == wave[0].shape


def test_codecs_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValueError, match=r"codec 'aac' .* mp3, vorbis, opus"):
        through_codec(tone(100), RATE, "aac", 0.5)
    with pytest.raises(ValueError, match="500 kbit/s"):
        mp3_quality(500, 44100)


@pytest.mark.parametrize(("rate", "kbit"), [(22050, 64), (44100, 64), (44100, 128)])
def test_mp3_has_the_bit_rate_asked_for(rate: int, kbit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import soundfile

    sizes, write = [], soundfile.write

    def measured(file, *args, **kwargs):  # type: ignore[no-untyped-def]
        write(file, *args, **kwargs)
        sizes.append(file.tell())

    monkeypatch.setattr(soundfile, "write", measured)
    wave = np.random.default_rng(0).normal(0, 0.1, (2, 4 * rate)).astype(np.float32)
    through_codec(wave, rate, "mp3", mp3_quality(kbit, rate))
    assert sizes[0] * 8 / 4 / 1000 == pytest.approx(kbit, rel=0.08)


def test_a_production_is_a_function_of_its_seed() -> None:
    beats = np.arange(0, 1, 0.5)
    one, names = produce(tone(440), RATE, beats, np.random.default_rng(4))
    same, _ = produce(tone(440), RATE, beats, np.random.default_rng(4))
    other, _ = produce(tone(440), RATE, beats, np.random.default_rng(5))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    assert set(names) <= SHARE.keys()


def test_productions_use_every_effect_and_stay_in_range() -> None:
    used: set[str] = set()
    for seed in range(50):
        sound, names = produce(tone(440, 0.5), RATE, np.arange(0, 0.5, 0.25), np.random.default_rng(seed))
        used |= set(names)
        assert np.isfinite(sound).all()
        assert 0.099 < np.abs(sound).max() <= 1.0001
    assert used == SHARE.keys()


def test_a_production_has_only_what_its_shares_allow() -> None:
    _, names = produce(tone(440), RATE, np.zeros(0), np.random.default_rng(0), {"codec": 1.0})
    assert names == ["codec"]
    with pytest.raises(ValueError, match="no effect is called flanger"):
        produce(tone(440), RATE, np.zeros(0), np.random.default_rng(0), {"flanger": 1.0})
    with pytest.raises(ValueError, match="stereo"):
        produce(tone(440)[0], RATE, np.zeros(0), np.random.default_rng(0))
