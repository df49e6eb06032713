"""The sketch lies where a synthesiser's partials lie, is empty where nothing plays, and knows octaves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from musetune.conditioning import STEM_FIELDS
from musetune.conditioning.harmonic_templates import HarmonicTemplateEncoder, harmonic_lines
from musetune.models.nano.spectrogram import LogSpectrogram

HZ = LogSpectrogram().frequencies
ROWS = 4


def sketch() -> HarmonicTemplateEncoder:
    torch.manual_seed(0)
    net = HarmonicTemplateEncoder(hidden=8, map_channels=4, cols=16, bins=8, frames_per_row=4).eval()
    net.draw(HZ)
    return net


def frames(*fields: str, where: slice = slice(None)) -> torch.Tensor:
    stems = torch.zeros(1, 4 * ROWS, len(STEM_FIELDS))
    for field in fields:
        stems[:, where, STEM_FIELDS.index(field)] = 1
    return stems


@pytest.mark.parametrize("pitch", [40, 57, 69, 84])
def test_lines_lie_where_the_spectrogram_has_a_tone(pitch: int) -> None:
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    tone = sum(np.sin(2 * np.pi * k * hertz * np.arange(16000) / 16000) / k for k in range(1, 5))
    heard = LogSpectrogram()(torch.tensor(0.3 * tone)[None].float())[0, 0, 30].exp().numpy()
    lines = harmonic_lines(pitch, HZ)
    assert abs(int(lines.argmax()) - int(heard[: int(lines.argmax()) + 6].argmax())) <= 1
    assert np.corrcoef(lines, heard)[0, 1] > 0.8


def test_an_octave_is_sixteen_bins() -> None:
    low, high = (harmonic_lines(p, HZ) for p in (48, 60))
    np.testing.assert_allclose(low[:96], high[16:112], atol=1e-4)


def test_a_note_is_drawn_at_its_pitch_while_it_sounds() -> None:
    net = sketch()
    lit, struck = net._pictures("lead", frames("lead_pitch_9", "lead_octave_4", where=slice(4, 8)))
    assert abs(HZ[int(lit[0, 5].argmax())] / 440 - 1) < 0.05
    assert not lit[0, :4].any()
    assert not struck.any()
    bass, struck = net._pictures("bass", frames("bass_pitch_9", "bass_octave_2", "bass_onset"))
    assert abs(HZ[int(bass[0, 0].argmax())] / 110 - 1) < 0.05
    assert torch.equal(bass, struck)


def test_what_moves_an_octave_moves_the_map() -> None:
    net = sketch()
    with torch.no_grad():
        here, there = (net(frames("lead_pitch_0", f"lead_octave_{o}"), ROWS) - net(frames(), ROWS) for o in (4, 5))
    assert here.shape == (1, 4, ROWS, 16)
    torch.testing.assert_close(here[..., 7:12], there[..., 9:14], atol=2e-3, rtol=0.05)  # 16 bins are two columns
    assert not torch.allclose(here, there, atol=1e-3)


def test_a_kick_lies_low_and_a_hat_high() -> None:
    kick, hat = (frames(f"drums_{name}")[0, 0, :5] @ sketch().tables["drums"] for name in ("kick", "hat"))
    assert HZ[np.flatnonzero(kick.detach().numpy())].max() < 200 < 2000 < HZ[np.flatnonzero(hat.detach().numpy())].min()


def test_the_spectrum_must_fit() -> None:
    with pytest.raises(ValueError, match="64 bins do not make 16 columns of 8"):
        sketch().draw(HZ[:64])
