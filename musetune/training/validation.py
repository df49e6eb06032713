"""Hear what an adapter makes of some clips' lead sheets: audio, charts, scores. Called by finetune.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from musetune.audio import save_audio
from musetune.datasets import Clip
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement


def generate_and_score(
    base: str, adapter: Path, clips: Sequence[Clip], folder: Path, seed: int, theory: str | None = None
) -> dict[str, float]:
    """Generate clips' lead sheets, and their players' notes where the adapter reads them, and score what comes out.

    A pipeline of its own is loaded for the purpose: nothing of training is touched.

    Args:
        base: Folder or Hub id.
        adapter: The adapter's folder.
        clips: Whose prompts and lead sheets are played.
        folder: Gets n.wav and n.png of each clip.
        seed: Of the first clip; each next one's is one higher.
        theory: The adapter that a LoRA stacks on; None: `adapter` stands by itself.

    Returns:
        Mean scores, 0…1, by `validation/<measure>`.
    """
    from musetune.display.evaluation_charts import draw_chart
    from musetune.pipeline.pipeline import MuseTunePipeline

    pipe = MuseTunePipeline.from_pretrained(base, adapter=theory or adapter)
    if theory:
        pipe.load_adapter(adapter)
    pipe.set_progress_bar_config(disable=True)
    scores = []
    for i, clip in enumerate(clips):
        sheet, generator = LeadSheet.from_json(clip.lead_sheet), torch.Generator().manual_seed(seed + i)
        notes = None
        if pipe.adapter.stems is not None and clip.arrangement is not None:
            notes = Arrangement.from_json(clip.arrangement, sheet.grid)
        output = pipe(
            clip.text,
            lead_sheet=sheet,
            arrangement=notes,
            duration_seconds=clip.duration_s,
            generator=generator,
            return_report=True,
        )
        wave, rate, report = output.audios[0], output.sampling_rate, output.reports[0]
        save_audio(folder / f"{i}.wav", wave, rate)
        draw_chart(folder / f"{i}.png", wave, rate, sheet, report.estimate, title=clip.text)
        scores.append(report.scores)
    by_measure = {name: [s[name] for s in scores if s[name] is not None] for name in scores[0]}
    return {f"validation/{name}": sum(values) / len(values) for name, values in by_measure.items() if values}
