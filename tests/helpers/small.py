"""A base small enough for tests, a data set for it with random latents, and a recording.

Nothing here needs nano's weights.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from diffusers import AudioLDM2UNet2DConditionModel, DDIMScheduler
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

from musetune.datasets import Clip, DatasetInfo, DatasetWriter, TextEmbedding
from musetune.planning.rules.orchestrate import orchestrate
from musetune.symbols import LeadSheet

REPOSITORY = Path(__file__).parents[2]
FINETUNE = REPOSITORY / "recipes" / "finetune.py"
GPT2, T5, ROWS, COLS, ROW_S = 96, 64, 16, 8, 0.128
SR = 16_000
SONGS = (["I", "V", "vi", "IV"], ["ii7", "V7", "Imaj7", "Imaj7"], ["i", "iv", "V7", "i"])


def make_base(folder: Path, prediction_type: str = "v_prediction") -> Path:
    """unet/, scheduler/ and vocoder/ of a base, with random weights."""
    torch.manual_seed(0)
    AudioLDM2UNet2DConditionModel(
        sample_size=ROWS,
        in_channels=8,
        out_channels=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=((None, GPT2, T5),) * 2,
        attention_head_dim=4,
        transformer_layers_per_block=1,
    ).save_pretrained(folder / "unet")
    DDIMScheduler(
        prediction_type=prediction_type,
        beta_schedule="scaled_linear",
        beta_start=0.0015,
        beta_end=0.0195,
        clip_sample=False,
    ).save_pretrained(folder / "scheduler")
    widths = {"upsample_initial_channel": 16, "upsample_rates": [4], "upsample_kernel_sizes": [8]}
    SpeechT5HifiGan(SpeechT5HifiGanConfig(model_in_dim=8 * COLS, **widths)).save_pretrained(folder / "vocoder")
    index = {"_class_name": "AudioLDM2Pipeline", "vocoder": ["transformers", "SpeechT5HifiGan"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def make_dataset(
    folder: Path,
    n: int,
    *,
    poisoned: tuple[int, ...] = (),
    transposed: tuple[int, ...] = (),
    made_with: str = "0",
    played: bool = False,
    bars: list[list[float]] | None = None,
    expression: dict[str, object] | None = None,
) -> Path:
    """n clips of 2.048 s with random latents, not a number in the poisoned ones; some said to be transposed copies.

    With the players' notes where ``played``; each with these ``bars`` and this ``expression``.
    """
    g = torch.Generator().manual_seed(1)

    def text(length: int) -> TextEmbedding:
        states, generated = torch.randn(length, T5, generator=g), torch.randn(8, GPT2, generator=g)
        return TextEmbedding(states, torch.ones(length, dtype=torch.long), generated)

    with DatasetWriter(folder, DatasetInfo("small", made_with, 8, ROWS, COLS, ROW_S), shard_size=8) as writer:
        for i in range(n):
            key, bpm = ("C minor" if i % 3 == 2 else "F major"), 80 + 7 * i
            genre = ("pop", "jazz")[i % 2]
            sheet = LeadSheet.from_progression(
                SONGS[i % 3], key=key, bpm=bpm, duration_seconds=ROWS * ROW_S, genre=genre
            )
            latents = torch.randn(1, 8, ROWS, COLS, generator=g)
            if i in poisoned:
                latents[:] = torch.nan
            prompt = f"song {i % 3}"
            clip = Clip(
                id=f"clip{i}",
                file=f"{i}.wav",
                sha256="",
                offset_s=0.0,
                duration_s=ROWS * ROW_S,
                text=prompt,
                lead_sheet=sheet.to_json(),
                arrangement=orchestrate(sheet, seed=i).arrangement.to_json() if played else None,
                genre=genre,
                transpose=2 if i in transposed else 0,
                bars=bars,
                expression=expression,
            )
            writer.add([clip], latents, {"": text(1), prompt: text(2 + i % 3)})
    return folder


def tones(sheet: LeadSheet, seconds: float, clicks: float = 0.5) -> np.ndarray:
    """A click on each beat over the sheet's chords as sines: something to analyse."""
    time = np.arange(round(seconds * SR)) / SR
    wave = np.zeros_like(time)
    for (start, end), span in zip(sheet.chord_intervals_s, sheet.chords, strict=True):
        here = (time >= start) & (time < end)
        for pc in span.chord.pitch_classes:
            wave[here] += 0.1 * np.sin(2 * np.pi * 261.63 * 2 ** (pc / 12) * time[here])
    for beat in sheet.beats_s:
        since = time - beat
        wave += np.where(since >= 0, clicks * np.exp(-80 * since.clip(0)) * np.sin(2 * np.pi * 1000 * since), 0)
    return (0.5 * wave).astype(np.float32)
