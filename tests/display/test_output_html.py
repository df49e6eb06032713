"""What a notebook shows of generated audio."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import soundfile

from musetune import LeadSheet
from musetune.audio import synthesize
from musetune.display.output_html import output_html
from musetune.evaluation import report
from musetune.planning.rules.orchestrate import orchestrate

SHEET = LeadSheet.parse("| C | G |", bpm=120)


@pytest.fixture(scope="module")
def wave() -> np.ndarray:
    return synthesize(orchestrate(SHEET, seed=1).arrangement.to_pretty_midi(), 16000, duration_s=SHEET.duration_s)


@pytest.mark.slow
def test_the_player_holds_the_audio(wave: np.ndarray) -> None:
    html = output_html(np.stack([wave, wave * 0.5]), 16000, SHEET, None)
    kept = [base64.b64decode(data) for data in re.findall(r"data:audio/flac;base64,([^\"]+)", html)]
    for data, expected in zip(kept, (wave, wave * 0.5), strict=True):
        audio, rate = soundfile.read(io.BytesIO(data))
        assert rate == 16000
        assert audio == pytest.approx(expected, abs=1e-4)
    assert html.count("musetune-chart") == 1
    assert html.count("<svg") == 1


def test_what_was_recognised_stands_under_each_chord(wave: np.ndarray) -> None:
    asked = LeadSheet.parse("| C | Ebm |", bpm=120)
    judged = report(wave, 16000, asked)
    html = output_html(wave[None], 16000, asked, [judged])
    assert re.findall(r">(✓|✗[^<]*)<", html) == ["✓", "✗ G"]
    assert judged.summary in html
