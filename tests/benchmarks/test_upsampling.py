"""benchmarks/upsampling.py: what its measures say of sounds whose answer is known, and a short run."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from musetune.audio import save_audio
from musetune.models.upsampler import StereoUpsampler

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield __import__("upsampling")
    sys.modules.pop("upsampling", None)


def hiss(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).normal(size=(channels, round(seconds * rate))).clip(-4, 4).astype(np.float32)


def test_a_recording_is_at_no_distance_from_itself(bench) -> None:  # type: ignore[no-untyped-def]
    truth = hiss(2, 48000, 2)
    assert bench.spectral_distance(truth, truth) == 0
    assert bench.space_errors(truth, truth) == (0, 0)
    assert bench.spectral_distance(truth, truth * 0.1) == pytest.approx(2, abs=0.05)  # 20 dB are two decades of power
    louder_left = truth * np.array([[1.0], [0.5]], np.float32)
    coherence, level = bench.space_errors(truth, louder_left)
    assert coherence == pytest.approx(0, abs=1e-6)
    assert level == pytest.approx(6.02, abs=0.05)


def test_a_mono_recording_is_told_by_its_coherence(bench) -> None:  # type: ignore[no-untyped-def]
    """What is brought back to two equal channels is at no distance, though it has no highs; a delay is."""
    truth = np.repeat(hiss(2, 48000), 2, axis=0)
    mono = bench.resample(truth.mean(0), 48000, 16000)
    plain, late = (bench.space_errors(truth, wave)[0] for wave in (np.stack([bench.sinc(mono)] * 2), bench.delay(mono)))
    assert plain == pytest.approx(0, abs=1e-3)
    assert late > 0.3
    wide = hiss(2, 48000, 2)  # nothing in common: two equal channels are as far off as can be, with highs or without
    sinc, copied = (bench.space_errors(wide, np.stack([way(mono)] * 2))[0] for way in (bench.sinc, bench.copies))
    assert sinc == pytest.approx(copied, abs=1e-3)
    assert sinc > 0.9


def test_the_simple_ways_do_what_they_are_named_for(bench) -> None:  # type: ignore[no-untyped-def]
    mono = hiss(2, 16000)[0]
    plain, copied, late = bench.sinc(mono), bench.copies(mono), bench.delay(mono)
    assert plain.shape == copied.shape == (96000,)
    assert late.shape == (2, 96000)
    highs = [np.square(np.abs(np.fft.rfft(x))[2 * 9000 :]).sum() for x in (plain, copied)]
    assert highs[1] > 1000 * highs[0]
    assert 10 < bench.fold_down(np.stack([plain, plain]), mono) < 40  # the resampler softens the last 600 Hz
    assert bench.fold_down(late, mono) < 10


def test_told_where_everybody_stands_level_differences_are_right(bench) -> None:  # type: ignore[no-untyped-def]
    mono = hiss(2, 16000)[0]
    truth = np.stack([bench.sinc(mono), 0.5 * bench.sinc(mono)])
    levels, sounds = bench.band_levels(bench.told(mono, truth))
    assert np.median(levels[sounds]) == pytest.approx(6.02, abs=0.05)
    assert bench.space_errors(truth, bench.told(mono, truth))[1] < 0.3


@pytest.mark.judge
@pytest.mark.slow
def test_judges_agree_with_themselves(bench) -> None:  # type: ignore[no-untyped-def]
    time = np.arange(6 * 16000) / 16000
    chord = sum(np.sin(2 * np.pi * hz * time) for hz in (261.6, 329.6, 392.0)) * np.exp(-6 * (time % 0.5)) / 6
    mono = chord.astype(np.float32)
    wide = np.stack([bench.sinc(mono)] * 2)
    assert bench.agreement(mono, wide) == pytest.approx([1, 1, 1, 1], abs=0.05)


@pytest.mark.slow
def test_a_run_prints_a_table(
    bench,  # type: ignore[no-untyped-def]
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save_audio(tmp_path / "set" / "a.wav", hiss(2, 48000, 2), 48000)
    save_audio(tmp_path / "set" / "mono.wav", hiss(2, 48000), 48000)
    StereoUpsampler(dim=16, hidden=32, layers=1).half().save_pretrained(tmp_path / "weights")
    sets = ["--set", f"hiss={tmp_path / 'set'}", "--set", "noise=", "--seconds", "2", "--visqol", "0"]
    options = [*sets, "--weights", str(tmp_path / "weights"), "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["upsampling.py", *options])
    bench.main()
    out = capsys.readouterr().out.splitlines()
    lines = [line for line in out if line.startswith("| hiss")]
    assert [line.split(" | ")[1] for line in lines] == ["sinc", "copies", "delay", "StereoUpsampler", "told"]
    noise = [line.split(" | ") for line in out if line.startswith("| noise")]
    assert [row[1] for row in noise] == ["sinc", "copies", "delay", "StereoUpsampler"]
    assert float(noise[-1][6].split()[0]) > 40
    assert (tmp_path / "upsampling.json").is_file()
