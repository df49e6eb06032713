"""What `fast.py` asks for: kinds of calls and edits on a lead sheet, and the sheet that the result is held against."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from musetune.evaluation import TestSheet
from musetune.evaluation.references import render_sheet
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.pipeline.stream_score import join_sheets
from musetune.planning.rules.orchestrate import orchestrate
from musetune.symbols import LeadSheet

EDITS = ("repaint", "vary")  # of a rendering of the sheet
KINDS = ("sheet", "chords", "beats", "words", "notes", "stems", "jazz", "mix", "long", "loop", "text", *EDITS)
MIXES = {"jazz": {"jazz": 1.0}, "mix": {"jazz": 0.5, "blues": 0.5}}
AMOUNT = 0.5  # of `vary`


def play(pipe: MuseTunePipeline, test: TestSheet, kind: str, steps: int) -> np.ndarray:
    """The clip of a kind at the sheet's own seed, (samples,)."""
    options: dict[str, Any] = {"num_inference_steps": steps, "generator": torch.Generator().manual_seed(test.seed)}
    if kind not in EDITS:
        prompt, call = request(test, kind)
        return pipe(prompt, **call, **options).audios[0]
    rate = pipe.vocoder.config.sampling_rate
    audio = render_sheet(test.sheet, rate, seed=test.seed)
    options |= {"lead_sheet": test.sheet, "prompt": test.prompt, "sampling_rate": rate}
    if kind == "vary":
        return pipe.vary(audio, amount=AMOUNT, **options).audios[0]
    length = min(test.sheet.duration_s, len(audio) / rate)
    return pipe.repaint(audio, seconds=(length / 4, 3 * length / 4), **options).audios[0]


def request(test: TestSheet, kind: str) -> tuple[str, dict[str, Any]]:
    """Prompt and arguments of a call."""
    if kind == "text":
        return test.prompt, {"audio_length_in_s": test.sheet.duration_s}
    call: dict[str, Any] = {"lead_sheet": sheet_of(test, kind)}
    if kind in ("chords", "beats"):
        call["follow"] = kind
    if kind in ("notes", "stems"):
        call["arrangement"] = orchestrate(test.sheet, seed=test.seed).arrangement
    if kind in ("stems", "loop"):
        call[kind] = True
    return "" if kind == "words" else test.prompt, call


def sheet_of(test: TestSheet, kind: str) -> LeadSheet:
    """The sheet; for long ones its whole bars three times round, for loops once."""
    times = {"long": 3, "loop": 1}
    return around(test.sheet, times[kind]) if kind in times else test.sheet


def around(sheet: LeadSheet, times: int) -> LeadSheet:
    """The whole bars of a sheet, so many times."""
    bar = sheet.meter.beats_per_bar
    whole = sheet.slice(sheet.first_downbeat, sheet.first_downbeat + (sheet.length - sheet.first_downbeat) // bar * bar)
    return join_sheets([whole] * times)
