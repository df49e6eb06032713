"""Teach one small network what a base's autoencoder and vocoder make of latents: latents straight to a waveform.

    python recipes/base/distill_decoder.py BASE DATA OUT steps=100000

BASE is nano, a folder or a Hub id such as cvssp/audioldm2; DATA a data set of latents that recipes/prepare.py made with
it. The teacher is the base's own decoder and vocoder: no recordings are needed. OUT/decoder is a
musetune.models.tiny_decoder.TinyDecoder. The loss is that of recipes/base/pretrain_vocoder.py: several short-time
spectra of teacher and pupil, magnitudes and their logarithms.

Stop it at any time; the same command goes on from the last checkpoint.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AudioLDM2Pipeline
from torch import Tensor
from tqdm import tqdm

from musetune.datasets import LatentDataset
from musetune.datasets.fingerprint import check_base
from musetune.hub.locate import find_base
from musetune.pipeline.decoding import decoder_for
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.training import seeding
from musetune.training.checkpoint import pack_state, resume_latest, save_checkpoint
from musetune.training.config import folders_and_config
from musetune.training.spectral_loss import spectral_loss
from musetune.training.state import begin, differences

RECORDS = ("save_every", "device")  # what a resumed run may have otherwise and still go on as if uninterrupted


@dataclass
class Config:
    """Every option, its default, its meaning."""

    steps: int = 100_000  # optimiser steps
    batch: int = 8  # crops a step
    rows: int = 24  # latent rows a crop
    dim: int = 384  # width of the network
    layers: int = 8  # of its blocks
    learning_rate: float = 5e-4  # falls to zero as a cosine
    warmup: int = 200  # steps in which it rises
    save_every: int = 1000
    seed: int = 0
    device: str = "cpu"


@torch.no_grad()
def teach(pipe: AudioLDM2Pipeline, latents: Tensor) -> Tensor:
    """The waves (B, samples) that the base makes of latents (B, channels, rows, cols)."""
    spectrogram = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
    waves: Tensor = (
        pipe.mel_spectrogram_to_waveform(spectrogram).float().to(latents.device)
    )  # it returns them on the CPU
    return waves


def draw(data: LatentDataset, config: Config, step: int) -> Tensor:
    """Crops of latents (B, channels, rows, cols), a function of (seed, step) alone."""
    indices = seeding.stream(len(data), config.seed, step * config.batch, config.batch)
    generators = [seeding.generator(config.seed, step, str(i)) for i in range(config.batch)]
    latents = data.latents[indices].float()
    room = latents.shape[2] - config.rows
    if room < 0:
        raise ValueError(f"rows={config.rows} are more than the data set's {latents.shape[2]}: give fewer")
    starts = [int(torch.randint(room + 1, (), generator=generator)) for generator in generators]
    return torch.stack([x[:, s : s + config.rows] for x, s in zip(latents, starts, strict=True)])


def train(base: str, data_dir: Path, out: Path, config: Config) -> Path:
    """Distil as `config` says; returns the folder of the decoder."""
    data = LatentDataset(data_dir)
    check_base(find_base(base), data.info.base_fingerprint, data.info.base, data_dir)
    pipe: Any = MuseTunePipeline.from_pretrained(find_base(base)).to(config.device)
    for part in (pipe.vae, pipe.vocoder):
        part.requires_grad_(False)
    torch.manual_seed(config.seed)
    pupil = decoder_for(pipe, config.dim, config.layers).to(config.device).train()
    named = dict(pupil.named_parameters())
    optimizer = torch.optim.AdamW(named.values(), lr=config.learning_rate, betas=(0.8, 0.99), weight_decay=0.01)
    facts = {"clips": len(data), "clips' digest": data.digest()}
    meta = resume_latest(out, named, optimizer)
    step = int(meta.get("step", 0))
    begin(out, step, differences(meta, config=asdict(config), data=facts, records=RECORDS))
    began, bar = time.monotonic(), tqdm(total=config.steps, initial=step, unit="step")
    while step < config.steps:
        latents = draw(data, config, step).to(config.device)
        wanted, found = teach(pipe, latents), pupil(latents)
        samples = min(wanted.shape[1], found.shape[1])
        loss = spectral_loss(found[:, :samples], wanted[:, :samples])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(named.values(), 5.0)
        warm = min(1.0, (step + 1) / max(1, config.warmup))
        optimizer.param_groups[0]["lr"] = (
            config.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / config.steps))
        )
        optimizer.step()
        step += 1
        with (out / "loss.jsonl").open("a") as log:
            log.write(json.dumps({"step": step, "loss": loss.item()}) + "\n")
        bar.update(), bar.set_postfix(loss=f"{loss.item():.4f}", refresh=False)
        if step % config.save_every == 0 or step == config.steps:
            record = {"step": step, "config": asdict(config), "data": facts}
            save_checkpoint(out, step, pack_state(named, optimizer), record, total_limit=2)
    bar.close()
    pupil.eval().save_pretrained(out / "decoder")
    print(f"{out / 'decoder'}: {sum(p.numel() for p in named.values()) / 1e6:.1f} M, {time.monotonic() - began:.0f} s")
    return out / "decoder"


def main() -> None:
    (base, data, out), config = folders_and_config(("BASE", "DATA", "OUT"), Config, __doc__)
    train(str(base), data, out, config)


if __name__ == "__main__":
    main()
