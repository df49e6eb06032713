"""What a policy does on development sheets: takes that are there are read; the verdict in words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small import SR, tones

from musetune import LeadSheet
from musetune.audio import save_audio
from musetune.evaluation.bootstrap import Mean
from musetune.evaluation.guards import decide
from musetune.suites import alignment
from musetune.suites.candidates import CandidateRequest

REQUEST = CandidateRequest("request-1", "pop", LeadSheet.parse("| C | F |", bpm=120, duration_seconds=4.0))


def test_takes_of_a_run_that_was_killed_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("drawn again")

    monkeypatch.setattr(alignment, "draw_takes", never)
    monkeypatch.setattr(alignment, "clap_similarity", lambda pipe, prompts, waves, rate: np.full(len(waves), 0.5))
    waves = [tones(REQUEST.sheet, 4.0, clicks=clicks) for clicks in (0.1, 0.5)]
    for seed, wave in enumerate(waves):
        save_audio(alignment.audio_path(tmp_path, REQUEST, seed), wave, SR)
    encoder: Any = SimpleNamespace(
        pipe=SimpleNamespace(vocoder=SimpleNamespace(config=SimpleNamespace(sampling_rate=SR)))
    )
    takes = alignment.development_takes(encoder, REQUEST, tmp_path, [0, 1], 1)
    for take, wave in zip(takes, waves, strict=True):
        assert take.wave == pytest.approx(wave, abs=1e-4)
        assert (take.rate, take.prompt, take.text_similarity) == (SR, "pop", 0.5)
    with pytest.raises(AssertionError, match="drawn again"):  # one is missing
        alignment.development_takes(encoder, REQUEST, tmp_path, [0, 1, 2], 1)


def test_the_verdict_is_red_where_the_tuned_adapter_is_refused() -> None:
    up, down = Mean(0.031, 0.01, 0.05, 12), Mean(-0.02, -0.05, 0.01, 12)
    kept = alignment.verdict_text(decide(up, up, []), "round-2")
    assert alignment.RED not in kept
    assert "A's reward +3.1 (+1.0 to +5.0) points" in kept
    assert "adapter/ is that of round-2" in kept
    refused = alignment.verdict_text(decide(up, down, []), "round-2")
    assert refused.startswith(alignment.RED)
    assert "hacked" in refused
    assert "unknown" in alignment.verdict_text(decide(up, None, []), "round-2")
