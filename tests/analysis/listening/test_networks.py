"""The chord network hears a sound in three keys."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from musetune.analysis.listening import networks
from musetune.analysis.listening.spectrum import N_NOTES
from musetune.analysis.listening.vocabulary import LABELS, N_CHORDS, N_KEYS, QUALITIES


class LowestNote(nn.Module):
    """Names the major chord, the bass and the major key of the lowest note that sounds, and is sure of it."""

    def forward(self, notes: torch.Tensor, level: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        lowest = (notes[..., 0] > 0).float().argmax(dim=2) % 12
        rows = [nn.functional.one_hot(lowest * step, size) for step, size in ((len(QUALITIES), N_CHORDS), (1, 13))]
        return tuple(9.0 * row for row in (*rows, nn.functional.one_hot(lowest, N_KEYS)))  # type: ignore[return-value]


@pytest.mark.parametrize("pitch", [0, 1, 11, 23, 30])
def test_what_is_heard_in_another_key_is_moved_back(pitch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "networks", lambda: (LowestNote(), None))
    notes = np.zeros((20, N_NOTES, networks.CHANNELS), np.float16)
    notes[:, pitch] = 1
    chord, bass, key = networks.hear_chords(notes, np.zeros(20, np.float16))
    alone = pitch == 0  # a semitone down it leaves the range: two of three hear it
    root = LABELS[len(QUALITIES) * (pitch % 12)]
    assert {LABELS[i] for i in chord.argmax(axis=1)} == {root}
    assert set(bass.argmax(axis=1)) == {pitch % 12} == set(key.argmax(axis=1))
    for rows, size in ((chord, N_CHORDS), (bass, 13), (key, N_KEYS)):
        sure = np.exp(9.0) / (np.exp(9.0) + size - 1)
        best = np.exp(rows.max(axis=1).astype(np.float32))
        assert (best < sure - 0.005).all() if alone else np.allclose(best, sure, atol=2e-3)
