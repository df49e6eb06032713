"""A folder as cvssp/audioldm2 lies on the Hub, true sizes, random weights.

It loads, trains a step, generates a step.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from memory import give_back

from musetune import LeadSheet, MuseTunePipeline, MusicAdapter
from musetune.adapter.lora import ATTENTION
from musetune.conditioning import tokenize
from musetune.datasets import Clip, DatasetInfo, DatasetWriter, TextEmbedding
from musetune.datasets.preference_set import PreferencePair, write_preferences

REPOSITORY = Path(__file__).parents[2]
CONFIGS = Path(__file__).parents[1] / "data" / "audioldm2"
SMALL = 64  # width of the text encoders whose size does not matter here


def config(name: str) -> dict:
    return json.loads((CONFIGS / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Hub's layout: GPT2Model in the index; U-Net, autoencoder and vocoder at their true sizes, GPT-2 less deep."""
    from diffusers import AudioLDM2UNet2DConditionModel, AutoencoderKL, DDIMScheduler
    from diffusers.pipelines.audioldm2 import AudioLDM2ProjectionModel
    from transformers import GPT2Config, GPT2Model, SpeechT5HifiGan, SpeechT5HifiGanConfig, T5Config, T5EncoderModel

    from musetune.models.nano import build_nano

    out = tmp_path_factory.mktemp("audioldm2")
    torch.manual_seed(0)
    tiny = build_nano("tiny")
    t5 = T5Config(vocab_size=400, d_model=1024, d_kv=16, d_ff=SMALL, num_layers=1, num_heads=4)
    parts = {
        "unet": lambda: AudioLDM2UNet2DConditionModel.from_config(config("unet")),
        "vae": lambda: AutoencoderKL.from_config(config("vae")),
        "vocoder": lambda: SpeechT5HifiGan(SpeechT5HifiGanConfig(**config("vocoder"))),
        "language_model": lambda: GPT2Model(GPT2Config(**config("language_model") | {"n_layer": 2})),
        "text_encoder": lambda: tiny.text_encoder,
        "text_encoder_2": lambda: T5EncoderModel(t5),
        "projection_model": lambda: AudioLDM2ProjectionModel(tiny.text_encoder.config.projection_dim, 1024, 768),
        "scheduler": lambda: DDIMScheduler(
            beta_schedule="scaled_linear", beta_start=0.0015, beta_end=0.0195, clip_sample=False
        ),
        "tokenizer": lambda: tiny.tokenizer,
        "tokenizer_2": lambda: tiny.tokenizer_2,
        "feature_extractor": lambda: tiny.feature_extractor,
    }
    for name, build in parts.items():  # one after the other: together they take 2 GB
        build().save_pretrained(out / name)
    give_back()
    (out / "model_index.json").write_text((CONFIGS / "model_index.json").read_text())
    return out


@pytest.mark.slow
@pytest.mark.real_size
def test_the_real_thing_loads_trains_and_plays(folder: Path) -> None:
    pipe = MuseTunePipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    unet = pipe.unet.requires_grad_(False)
    assert sum(p.numel() for p in unet.parameters()) == pytest.approx(346.9e6, rel=0.01)
    assert pipe.row_s == pytest.approx(0.04)
    plain = pipe(
        "warm pop", num_inference_steps=1, audio_length_in_s=0.64, generator=torch.Generator().manual_seed(0)
    ).audios
    assert plain.shape == (1, 10240)

    adapter = MusicAdapter.for_unet(unet, frames_per_row=2)
    pipe.load_adapter(adapter)
    adapter.add_lora(8, ATTENTION)
    trained = adapter.trainable_parameters()
    assert sum(p.numel() for p in trained) <= 20e6
    sheet = LeadSheet.parse("I V", bpm=120, duration_seconds=0.64)
    music = adapter.prepare(tokenize(sheet, frame_s=0.02, n_frames=32), 16, 16, pipe.row_s)
    sample, hidden = adapter.inputs(torch.randn(1, 8, 16, 16), torch.randn(1, 8, 768), music)
    out = unet(sample, 500, encoder_hidden_states=hidden, encoder_hidden_states_1=torch.randn(1, 4, 1024)).sample
    out.square().mean().backward()
    assert sum(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in trained) > 10
    torch.optim.AdamW(trained, 1e-3).step()

    made = pipe("warm pop", lead_sheet=sheet, num_inference_steps=1, generator=torch.Generator().manual_seed(0))
    assert made.audios.shape == (1, 10240)
    again = pipe(
        "warm pop", num_inference_steps=1, audio_length_in_s=0.64, generator=torch.Generator().manual_seed(0)
    ).audios
    assert (again == plain).all()


# Runs a recipe and says how much memory its process held at most.
METER = """
import runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.real_size
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux' /proc")
def test_preference_tuning_of_the_real_thing_fits_in_8_gb(folder: Path, tmp_path: Path) -> None:
    from diffusers import AudioLDM2UNet2DConditionModel

    with torch.device("meta"):  # shapes alone
        unet = AudioLDM2UNet2DConditionModel.from_config(config("unet"))
    MusicAdapter.for_unet(unet, cols=16, frames_per_row=2).save_pretrained(tmp_path / "adapter")
    sheet = LeadSheet.parse("I V", bpm=120, duration_seconds=2.56).to_json()
    text = TextEmbedding(torch.randn(4, 1024), torch.ones(4, dtype=torch.long), torch.randn(8, 768))
    with DatasetWriter(tmp_path / "takes", DatasetInfo("audioldm2", "", 8, 64, 16, 0.04)) as writer:
        clips = [Clip(f"take{i}", "a request", "", 0.0, 2.56, "pop", sheet) for i in range(2)]
        writer.add(clips, torch.randn(2, 8, 64, 16), {"": text, "pop": text})
    write_preferences(tmp_path / "takes", "recogniser", [PreferencePair("take0", "take1")], {}, {})
    options = [f"pretrained_model_name_or_path={folder}", f"adapter={tmp_path / 'adapter'}", "rank=8", "rounds=1"]
    options += [f"preferences=[{tmp_path / 'takes'}]", f"output_dir={tmp_path / 'run'}", "development_sheets=0"]
    options += ["max_train_steps=2", "train_batch_size=1", "gradient_checkpointing=true", "cpu=true", "report_to=null"]
    recipe = REPOSITORY / "recipes" / "align" / "tune.py"
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", METER, str(recipe), *options],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout.split()[-2]) < 8e6  # kB
    steps = [json.loads(line) for line in (tmp_path / "run" / "round-1" / "loss.jsonl").read_text().splitlines()]
    assert [step["step"] for step in steps] == [1, 2]
    assert all(step["loss"] > 0 for step in steps)
    assert (tmp_path / "run" / "adapter" / "adapter_model.safetensors").is_file()
