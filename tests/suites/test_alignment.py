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
from musetune.evaluation.guards import PolicyFigures
from musetune.suites import alignment, candidates
from musetune.suites.candidates import CandidateRequest, DrawSettings

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
    takes = alignment.development_takes(encoder, REQUEST, tmp_path, [0, 1], DrawSettings(1))
    for take, wave in zip(takes, waves, strict=True):
        assert take.wave == pytest.approx(wave, abs=1e-4)
        assert (take.rate, take.prompt, take.text_similarity) == (SR, "pop", 0.5)
    with pytest.raises(AssertionError, match="drawn again"):  # one is missing
        alignment.development_takes(encoder, REQUEST, tmp_path, [0, 1, 2], DrawSettings(1))


def test_takes_are_drawn_at_the_guidance_that_they_are_meant_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Drawn(Exception):
        pass

    def pipe(*_: object, **options: object) -> None:
        raise Drawn(options["num_inference_steps"], options["guidance_scale"], options["music_guidance_scale"])

    for how, wanted in ((DrawSettings(3, 5.0, 4.0), (3, 5.0, 4.0)), (DrawSettings(3), (3, None, None))):
        with pytest.raises(Drawn) as told:
            candidates.draw_takes(pipe, REQUEST, [0], how)  # type: ignore[arg-type]
        assert told.value.args == wanted


def test_figures_are_read_as_they_were_written(tmp_path: Path) -> None:
    points = np.arange(6, dtype=np.float32).reshape(3, 2)
    figures = PolicyFigures({"a": 0.5}, {"chords": {"a": 3.0}}, {"a": 0.4}, {"a": points}, {"a": points + 1})
    alignment.write_figures(tmp_path, figures)
    assert sorted(path.name for path in tmp_path.iterdir()) == [alignment.FIGURES, alignment.TIMBRE]
    read = alignment.read_figures(tmp_path)
    assert read.summary() == figures.summary()
    assert (read.timbre["a"] == points).all()
    assert (read.renderings["a"] == points + 1).all()
