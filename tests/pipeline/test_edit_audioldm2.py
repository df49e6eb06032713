"""Edits on the classes of the real AudioLDM 2 (its configs, narrower; random weights), by the same code as on nano."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_pipe import quiet, read_stems, seeded

from musetune import LeadSheet, MuseTunePipeline, MusicAdapter
from musetune.models.nano import build_nano
from musetune.models.upsampler import StereoUpsampler
from musetune.planning.rules.orchestrate import orchestrate

CONFIGS = Path(__file__).parents[1] / "data" / "audioldm2"
SHEET = LeadSheet.parse("| C | F |", bpm=240, genre="pop")  # bars of 1 s
QUICK: dict[str, Any] = {"num_inference_steps": 1}


def config(name: str) -> dict[str, Any]:
    return json.loads((CONFIGS / f"{name}.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def pipe() -> MuseTunePipeline:
    from diffusers import AudioLDM2UNet2DConditionModel, AutoencoderKL, DDIMScheduler
    from diffusers.pipelines.audioldm2 import AudioLDM2ProjectionModel
    from transformers import GPT2Config, GPT2LMHeadModel, SpeechT5HifiGan, SpeechT5HifiGanConfig

    torch.manual_seed(0)
    tiny, width = build_nano("tiny"), 16
    language = config("language_model") | {"n_layer": 1, "n_head": 4, "n_embd": width}
    unet = config("unet") | {
        "block_out_channels": [32, 32, 32, 32],
        "layers_per_block": 1,
        "cross_attention_dim": [[None, width, width]] * 4,
    }
    vae = config("vae") | {"block_out_channels": [32, 32, 32], "layers_per_block": 1}
    made = MuseTunePipeline(
        vae=AutoencoderKL.from_config(vae),
        text_encoder=tiny.text_encoder,
        text_encoder_2=tiny.text_encoder_2,
        projection_model=AudioLDM2ProjectionModel(width, width, width),
        language_model=GPT2LMHeadModel(GPT2Config(**language)),
        tokenizer=tiny.tokenizer,
        tokenizer_2=tiny.tokenizer_2,
        feature_extractor=tiny.feature_extractor,
        unet=AudioLDM2UNet2DConditionModel.from_config(unet),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.0015, beta_end=0.0195, clip_sample=False),
        vocoder=SpeechT5HifiGan(SpeechT5HifiGanConfig(**config("vocoder") | {"upsample_initial_channel": 64})),
        upsampler=StereoUpsampler(dim=16, hidden=32, layers=1),
    )
    made.load_adapter(MusicAdapter.for_unet(made.unet, dim=32, hidden=16, map_channels=8, frames_per_row=2))
    for part in made.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    return read_stems(quiet(made))


def test_rows_are_those_of_the_real_one(pipe: MuseTunePipeline) -> None:
    assert pipe.row_s == pytest.approx(0.04)


def test_a_loop_and_its_stereo(pipe: MuseTunePipeline) -> None:
    sheet = LeadSheet.parse("| C | F |", bpm=251)
    made = pipe("pop", lead_sheet=sheet, loop=True, stereo=True, generator=seeded(), **QUICK)
    assert made.audios.shape == (1, 2, round(8 * 60 / 251 * 48000))


def test_a_stretch_a_cover_and_a_style(pipe: MuseTunePipeline) -> None:
    time = np.arange(2 * 48000) / 48000
    wave = np.stack([0.3 * np.sin(2 * np.pi * hertz * time) for hertz in (440, 554)]).astype(np.float32)
    given: dict[str, Any] = {"lead_sheet": SHEET, "sampling_rate": 48000, **QUICK}
    style = (wave[:, :24000], 48000)
    part = pipe.repaint(wave, bars=(2, 2), style_audio=style, generator=seeded(), **given)
    assert np.array_equal(part.audios[0][:, : round(0.95 * 48000)], wave[:, : round(0.95 * 48000)])
    assert not np.array_equal(part.audios[0][:, 48000:], wave[:, 48000:])
    cover = pipe.cover(wave, genre="jazz", generator=seeded(), **given)
    assert cover.audios.shape == (1, *wave.shape)
    assert not np.array_equal(cover.audios[0][0], cover.audios[0][1])
    assert set(cover.reports[0].parts) <= {"chords", "beats", "melody", "loudness"}


def test_one_player_anew(pipe: MuseTunePipeline) -> None:
    notes = orchestrate(SHEET, seed=1).arrangement
    take = pipe("pop", lead_sheet=SHEET, arrangement=notes, stems=True, generator=seeded(), **QUICK)
    made = pipe.replay(take, "bass", generator=seeded(3), **QUICK)
    assert [name for name in take.stems if not np.array_equal(take.stems[name], made.stems[name])] == ["bass"]


def test_more_at_both_ends_another_take_and_a_set_of_loops(pipe: MuseTunePipeline) -> None:
    take = pipe("pop", lead_sheet=SHEET, generator=seeded(), **QUICK)
    longer = pipe.extend(
        take, before_seconds=1.0, after_seconds=1.0, harmonic_progression="G", generator=seeded(), **QUICK
    )
    rate = take.sampling_rate
    assert longer.lead_sheet.chord_labels == ["G:maj", "C:maj", "F:maj", "G:maj"]
    kept = slice(round(0.05 * rate), round(1.95 * rate))
    assert np.array_equal(longer.audios[0][rate:][kept], take.audios[0][kept])
    near = pipe.vary(take, amount=0.5, generator=seeded(2), num_inference_steps=2)
    assert near.audios.shape == take.audios.shape
    assert not np.array_equal(near.audios, take.audios)
    loops = pipe.loop(LeadSheet.parse("| C |", bpm=251), ["drums", "bass"], generator=seeded(), **QUICK)
    assert loops.audios.shape == (2, round(4 * 60 / 251 * rate))


def test_a_stream(pipe: MuseTunePipeline) -> None:
    chunks = list(itertools.islice(pipe.stream(SHEET, "pop", stereo=False, generator=seeded(), **QUICK), 3))
    assert not hasattr(pipe.vocoder, "stream")  # nano's has a fast one of its own
    assert all(np.isfinite(chunk.audio).all() and np.abs(chunk.audio).max() > 0 for chunk in chunks)
    assert sum(chunk.audio.shape[-1] for chunk in chunks) == pytest.approx(3 * chunks[0].sampling_rate, rel=0.05)
