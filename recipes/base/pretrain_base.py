"""Train nano on rendered music: words in, latents out.

    python recipes/base/render_songs.py SONGS rendered/
    python recipes/base/pretrain_vocoder.py rendered/ runs/vocoder
    python recipes/base/pretrain_clap.py rendered/ runs/clap
    python recipes/base/pretrain_base.py rendered/ runs/vocoder runs/base recipes/configs/nano.yaml clap=runs/clap

Options: a YAML file and `key=value` overrides, all fields of `Config` below.

The text encoders (T5, GPT-2, projection) train with the U-Net; CLAP stays as it is given. The base hears words alone,
no chord and no beat: that is what AudioLDM 2 has heard too, and what finetune.py's adapters must make do with. The
second folder holds vae/ and vocoder/; that of a finished base will do. Stop it at any time; the same command goes on
from the last checkpoint.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AudioLDM2Pipeline
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from musetune.datasets.rendering.folder import read_metadata, read_rendering, read_spectrograms
from musetune.hub.locate import find_base
from musetune.models.nano import NanoVocoder, PatchAutoencoder, build_nano
from musetune.models.nano.folder import save_half
from musetune.training import seeding
from musetune.training.checkpoint import pack_state, resume_latest, save_checkpoint
from musetune.training.clock import TrainingClock
from musetune.training.config import folders_and_config
from musetune.training.loss import add_noise, target
from musetune.training.run_info import save_run_info, with_averages
from musetune.training.tokens import draw_crops


@dataclass
class Config:
    """Every option, its default, its meaning."""

    steps: int = 6000  # optimiser steps
    batch: int = 16  # crops a step
    rows: int = 40  # latent rows a crop: 5.12 s
    learning_rate: float = 1e-3  # peak; linear warm-up over 200 steps, cosine to a twentieth
    text_dropout: float = 0.1  # share of prompts replaced by "" (classifier-free guidance)
    prediction_type: str = (
        "v_prediction"  # or epsilon: what the U-Net answers; a base that goes on from `init` keeps its own
    )
    ema: float = 0.999  # averaging of the weights that are kept
    save_every: int = 200
    init: str | None = None  # a base of the same sizes to start from: nano, or a folder
    clap: str | None = None  # folder with text_encoder/ and tokenizer/ of a trained CLAP; without it CLAP stays random
    seed: int = 0
    device: str = "cpu"
    threads: int = 0  # 0: torch decides
    bf16: bool = False  # autocast: faster on accelerators and on CPUs with bf16 instructions, slower on others
    minutes: float = 0.0  # stop after this time, over all its continuations; 0: never


class TrainableParts(nn.Module):
    """What is trained, under one roof: the pipeline's U-Net and text encoders."""

    def __init__(self, pipe: AudioLDM2Pipeline) -> None:
        super().__init__()
        self.unet, self.t5, self.gpt2 = pipe.unet, pipe.text_encoder_2, pipe.language_model
        self.projection = pipe.projection_model
        self._pipe = [pipe]  # a list: CLAP, autoencoder and vocoder do not train

    def forward(self, noisy: Tensor, t: Tensor, words: list[str]) -> Tensor:
        """noisy (B, channels, rows, columns), t (B,) → what the scheduler's prediction type says, like noisy."""
        prompt_embeds, mask, generated = self._pipe[0].encode_prompt(words, noisy.device, 1, False)
        return self.unet(
            noisy.to(memory_format=torch.channels_last),
            t,
            encoder_hidden_states=generated,
            encoder_hidden_states_1=prompt_embeds,
            encoder_attention_mask_1=mask,
        ).sample


@torch.no_grad()
def encode_latents(folder: Path, vae: PatchAutoencoder) -> Tensor:
    """float16 (clips, channels, rows, columns) of the whole folder; computed once, kept in latents.safetensors."""
    cache = folder / "latents.safetensors"
    if cache.is_file():
        return load_file(cache)["latents"]
    spectrograms, parts = read_spectrograms(folder), []
    for i in tqdm(range(0, len(spectrograms), 64), desc="latents", unit="batch"):
        x = torch.from_numpy(spectrograms[i : i + 64].astype(np.float32))[:, None]
        parts.append(vae.encode(x).latent_dist.mode().half())  # type: ignore[union-attr]
    latents = torch.cat(parts).contiguous()
    save_file({"latents": latents}, cache)
    return latents


def assemble(voice: Path, captions: list[str], cfg: Config) -> AudioLDM2Pipeline:
    """nano with random U-Net and text encoders (or ``init``'s), the trained autoencoder and vocoder, and CLAP where
    there is one.
    """
    from transformers import ClapModel, RobertaTokenizerFast

    if cfg.init:
        pipe = AudioLDM2Pipeline.from_pretrained(find_base(cfg.init), use_safetensors=True)
    else:
        pipe = build_nano("nano", captions)
        pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, prediction_type=cfg.prediction_type)
    parts = {
        "vae": PatchAutoencoder.from_pretrained(voice / "vae", use_safetensors=True),
        "vocoder": NanoVocoder.from_pretrained(voice / "vocoder", use_safetensors=True),
    }
    if cfg.clap:
        parts["text_encoder"] = ClapModel.from_pretrained(f"{cfg.clap}/text_encoder", use_safetensors=True)
        parts["tokenizer"] = RobertaTokenizerFast.from_pretrained(f"{cfg.clap}/tokenizer")
    pipe.register_modules(**parts)
    pipe.text_encoder.requires_grad_(False).eval()
    return pipe


def build(pipe: AudioLDM2Pipeline, cfg: Config) -> TrainableParts:
    """The modules that train, in training mode, arranged for speed."""
    pipe.unet.to(memory_format=torch.channels_last)
    if cfg.device == "cpu":
        pipe.unet.set_attn_processor(AttnProcessor())  # on CPUs a third faster in training than the fused kernel
    return TrainableParts(pipe).train()


def main() -> None:
    (folder, voice, out), cfg = folders_and_config(("RENDERED", "VOCODER", "OUT"), Config, __doc__)
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    torch.manual_seed(cfg.seed)
    rows = read_metadata(folder)
    prompts = [row["text"] for row in rows]
    pipe = assemble(voice, sorted(set(prompts)), cfg).to(cfg.device)
    latents = encode_latents(folder, pipe.vae.cpu())
    model = build(pipe, cfg)
    named = dict(model.named_parameters())
    averages = [p.detach().clone() for p in named.values()]
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.learning_rate, weight_decay=0.01, fused=True)
    begun = resume_latest(out, named, optimizer, averages)
    step, clock = begun.get("step", 0), TrainingClock(cfg.minutes, begun.get("spent_s", 0.0))
    info = {"config": asdict(cfg), "data": {"clips": len(rows), "rendering": read_rendering(folder)}}
    kind, alphas = pipe.scheduler.config.prediction_type, pipe.scheduler.alphas_cumprod.to(cfg.device)
    bar = tqdm(total=cfg.steps, initial=step, unit="step", mininterval=5)
    mean = math.nan
    while step < cfg.steps and not clock.is_over:
        rate = min(1.0, (step + 1) / 200) * (0.525 + 0.475 * math.cos(math.pi * step / cfg.steps))
        optimizer.param_groups[0]["lr"] = cfg.learning_rate * rate
        torch.manual_seed(seeding.generator(cfg.seed, step, "model").initial_seed())  # dropout inside the text encoders
        clean, words, noise, t = draw(latents, prompts, cfg, step, len(alphas))
        with torch.autocast(cfg.device, torch.bfloat16, enabled=cfg.bf16):
            predicted = model(add_noise(clean, noise, alphas, t), t, words)
        loss = nn.functional.mse_loss(predicted.float(), target(clean, noise, alphas, t, kind))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        decay = min(cfg.ema, (step + 1) / (step + 10))
        torch._foreach_lerp_(averages, [p.detach() for p in named.values()], 1 - decay)
        step, mean = step + 1, loss.item() if math.isnan(mean) else 0.98 * mean + 0.02 * loss.item()
        clock.tick()
        bar.update(), bar.set_postfix(loss=f"{mean:.4f}", refresh=False)
        if step % cfg.save_every == 0 and step < cfg.steps:
            save(out, step, clock.spent_s, pipe, named, averages, optimizer, info)
    save(out, step, clock.spent_s, pipe, named, averages, optimizer, info)


def draw(
    latents: Tensor, prompts: list[str], cfg: Config, step: int, n_timesteps: int
) -> tuple[Tensor, list[str], Tensor, Tensor]:
    """One batch, a function of (seed, step) alone: latents, prompts, noise, timesteps."""
    clips = seeding.stream(len(latents), cfg.seed, step * cfg.batch, cfg.batch)
    generators = [seeding.generator(cfg.seed, step, str(i)) for i in range(cfg.batch)]
    starts = draw_crops(generators, latents.shape[2], cfg.rows)
    clean = torch.stack([latents[c, :, s : s + cfg.rows] for c, s in zip(clips, starts.tolist(), strict=True)]).float()
    wordless = seeding.chance(generators, cfg.text_dropout).tolist()
    words = ["" if hide else prompts[c] for c, hide in zip(clips, wordless, strict=True)]
    noise = seeding.noise(generators, tuple(clean.shape[1:]))
    t = seeding.timesteps(generators, n_timesteps, sampling="stratified")
    return clean.to(cfg.device), words, noise.to(cfg.device), t.to(cfg.device)


def save(
    out: Path,
    step: int,
    spent_s: float,
    pipe: AudioLDM2Pipeline,
    named: dict[str, nn.Parameter],
    averages: list[Tensor],
    optimizer: torch.optim.Optimizer,
    info: dict[str, Any],
) -> None:
    """Write the checkpoint, and with averaged weights in fp16 the pipeline ``out``/base with its run info."""
    save_checkpoint(
        out, step, pack_state(named, optimizer, averages), {"step": step, "spent_s": spent_s}, total_limit=1
    )
    with with_averages(list(named.values()), averages):
        save_half(pipe, out / "base")
    save_run_info(out / "base", info | {"step": step})


if __name__ == "__main__":
    main()
