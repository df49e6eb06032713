"""Hear what an adapter makes of some clips' lead sheets: audio, charts, scores. Called by finetune.py."""

from __future__ import annotations

from pathlib import Path

import torch

from musetune.audio import save_audio
from musetune.datasets import Clip
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement


def listen(
    base: str, adapter: Path, clips: list[Clip], folder: Path, seed: int, theory: str | None = None
) -> dict[str, float]:
    """Generate each clip's lead sheet, and its players' notes where the adapter reads them, at a fixed seed into `folder` (n.wav, n.png);
    returns mean scores by name. theory: what a LoRA stacks on.

    A pipeline of its own, loaded for the purpose: nothing of training is touched.
    """
    from musetune.display.evaluation_charts import draw_chart
    from musetune.pipeline.pipeline import MuseTunePipeline

    pipe = MuseTunePipeline.from_pretrained(base, adapter=theory or adapter)
    if theory:
        pipe.load_adapter(adapter)
    pipe.set_progress_bar_config(disable=True)  # type: ignore[attr-defined]
    scores = []
    for i, clip in enumerate(clips):
        sheet, generator = LeadSheet.from_json(clip.lead_sheet), torch.Generator().manual_seed(seed + i)
        notes = None
        if pipe.adapter.stems is not None and clip.arrangement is not None:
            notes = Arrangement.from_json(clip.arrangement, sheet.grid)
        made = pipe(
            clip.text, lead_sheet=sheet, arrangement=notes, duration_seconds=clip.duration_s, generator=generator, return_report=True
        )  # fmt: skip
        wave, rate, report = made.audios[0], made.sampling_rate, made.reports[0]
        save_audio(folder / f"{i}.wav", wave, rate)
        draw_chart(folder / f"{i}.png", wave, rate, sheet, report.heard, title=clip.text)
        scores.append(report.scores)
    known = {name: [s[name] for s in scores if s[name] is not None] for name in scores[0]}
    return {f"validation/{name}": sum(values) / len(values) for name, values in known.items() if values}
