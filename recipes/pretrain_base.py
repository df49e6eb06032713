"""Train nano's U-Net and text encoders on rendered music: text in, latents out.

    python recipes/render_songs.py SONGS rendered/
    python recipes/pretrain_vocoder.py rendered/ runs/vocoder
    python recipes/pretrain_base.py rendered/ runs/vocoder runs/base steps=6000

The text encoders (T5, GPT-2, projection) train with the U-Net; CLAP stays as it is given (``clap=FOLDER``), else random. The base hears words only:
no chord, key or beat reaches it. Stop it at any time; the same command goes on from the last checkpoint.
"""

from __future__ import annotations

import math
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AudioLDM2Pipeline
from diffusers.models.attention_processor import AttnProcessor
from omegaconf import OmegaConf
from rendered import read_metadata, read_spectrograms
from tqdm import tqdm

from musetune.nano import NanoVocoder, PatchAutoencoder, build_nano
from musetune.nano.folder import save_half


@dataclass
class Config:
    """Every knob, its default, its meaning."""

    steps: int = 6000  # optimiser steps
    batch: int = 16  # crops a step
    rows: int = 40  # latent rows a crop: 5.12 s
    learning_rate: float = 1e-3  # peak; linear warm-up over 200 steps, cosine to a twentieth
    text_dropout: float = 0.1  # share of prompts replaced by "" (classifier-free guidance)
    ema: float = 0.9995  # averaging of the weights that are kept
    save_every: int = 200
    clap: str | None = None  # folder with text_encoder/ and tokenizer/ of a trained CLAP; without it CLAP stays random
    seed: int = 0
    device: str = "cpu"
    threads: int = 0  # 0: torch decides
    bf16: bool = False  # autocast: faster on accelerators, slower on most CPUs
    minutes: float = 0.0  # stop after this time; 0: never


class Trained(torch.nn.Module):
    """What is trained, under one roof."""

    def __init__(self, pipe: AudioLDM2Pipeline) -> None:
        super().__init__()
        self.unet, self.t5, self.gpt2 = pipe.unet, pipe.text_encoder_2, pipe.language_model
        self.projection = pipe.projection_model


@torch.no_grad()
def encode_latents(folder: Path, vae: PatchAutoencoder) -> torch.Tensor:
    """float16 (clips, channels, rows, columns) of the whole folder."""
    spectrograms, parts = read_spectrograms(folder), []
    for i in tqdm(range(0, len(spectrograms), 64), desc="latents", unit="batch"):
        x = torch.from_numpy(spectrograms[i : i + 64].astype(np.float32))[:, None]
        parts.append(vae.encode(x).latent_dist.mode().half())  # type: ignore[union-attr]
    return torch.cat(parts)


def assemble(voice: Path, captions: list[str], clap: str | None) -> AudioLDM2Pipeline:
    """nano with random U-Net and text encoders, the trained autoencoder and vocoder, and CLAP where there is one."""
    from transformers import ClapModel, RobertaTokenizerFast

    pipe = build_nano("nano", captions)
    parts = {
        "vae": PatchAutoencoder.from_pretrained(voice / "vae", use_safetensors=True),
        "vocoder": NanoVocoder.from_pretrained(voice / "vocoder", use_safetensors=True),
    }
    if clap:
        parts["text_encoder"] = ClapModel.from_pretrained(f"{clap}/text_encoder", use_safetensors=True)
        parts["tokenizer"] = RobertaTokenizerFast.from_pretrained(f"{clap}/tokenizer")
    pipe.register_modules(**parts)
    pipe.text_encoder.requires_grad_(False).eval()
    return pipe


def main() -> None:
    if len(sys.argv) < 4 or sys.argv[1] in ("-h", "--help"):
        raise SystemExit(__doc__ + "\n" + OmegaConf.to_yaml(OmegaConf.structured(Config)))
    folder, voice, out = (Path(a) for a in sys.argv[1:4])
    cfg = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.from_dotlist(sys.argv[4:])))
    assert isinstance(cfg, Config)
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    torch.manual_seed(cfg.seed)
    prompts = [row["text"] for row in read_metadata(folder)]
    pipe = assemble(voice, sorted(set(prompts)), cfg.clap).to(cfg.device)
    latents = encode_latents(folder, pipe.vae.cpu())
    model = Trained(pipe).train()
    pipe.unet.to(memory_format=torch.channels_last)
    if cfg.device == "cpu":
        pipe.unet.set_attn_processor(AttnProcessor())  # on CPUs a third faster in training than the fused kernel
    kept = {k: v.detach().clone() for k, v in model.state_dict().items()}  # exponential moving average
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.learning_rate, weight_decay=0.01)
    step, state = 0, out / "state.pt"
    if state.is_file():
        saved = torch.load(state, weights_only=True, map_location=cfg.device)
        model.load_state_dict(saved["model"]), optimizer.load_state_dict(saved["optimizer"])
        kept, step = saved["kept"], saved["step"]
    alphas = pipe.scheduler.alphas_cumprod.to(cfg.device)
    began, mean, bar = time.time(), 0.0, tqdm(total=cfg.steps, initial=step, unit="step", mininterval=5)
    while step < cfg.steps and not (cfg.minutes and time.time() - began > 60 * cfg.minutes):
        rate = min(1.0, (step + 1) / 200) * (0.525 + 0.475 * math.cos(math.pi * step / cfg.steps))
        optimizer.param_groups[0]["lr"] = cfg.learning_rate * rate
        clean, words, noise, t = draw(latents, prompts, cfg, step)
        with torch.autocast(cfg.device, torch.bfloat16, enabled=cfg.bf16):
            prompt_embeds, mask, generated = pipe.encode_prompt(words, cfg.device, 1, False)
            alpha, sigma = (x.sqrt()[:, None, None, None] for x in (alphas[t], 1 - alphas[t]))
            noisy = (alpha * clean + sigma * noise).to(memory_format=torch.channels_last)
            velocity = pipe.unet(
                noisy,
                t,
                encoder_hidden_states=generated,
                encoder_hidden_states_1=prompt_embeds,
                encoder_attention_mask_1=mask,
            ).sample
        loss = torch.nn.functional.mse_loss(velocity.float(), alpha * noise - sigma * clean)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        decay = min(cfg.ema, (step + 1) / (step + 10))
        current = model.state_dict()
        with torch.no_grad():
            for name, value in kept.items():
                value.lerp_(current[name], 1 - decay)
        step, mean = step + 1, loss.item() if not mean else 0.98 * mean + 0.02 * loss.item()
        (
            bar.update(),
            bar.set_postfix(
                loss=f"{mean:.4f}",
                clips_per_s=f"{bar.format_dict['rate'] * cfg.batch:.1f}" if bar.format_dict["rate"] else "",
            ),
        )
        if step % cfg.save_every == 0:
            save(out, step, pipe, model, kept, optimizer)
    save(out, step, pipe, model, kept, optimizer)


def draw(
    latents: torch.Tensor, prompts: list[str], cfg: Config, step: int
) -> tuple[torch.Tensor, list[str], torch.Tensor, torch.Tensor]:
    """One batch, a function of (seed, step) alone: latents, prompts, noise, timesteps."""
    rng = random.Random(cfg.seed * 1_000_003 + step)
    generator = torch.Generator().manual_seed(rng.getrandbits(62))
    clips = [rng.randrange(len(latents)) for _ in range(cfg.batch)]
    starts = [rng.randrange(latents.shape[2] - cfg.rows + 1) for _ in clips]
    clean = torch.stack([latents[c, :, s : s + cfg.rows] for c, s in zip(clips, starts, strict=False)]).float()
    words = ["" if rng.random() < cfg.text_dropout else prompts[c] for c in clips]
    noise = torch.randn(clean.shape, generator=generator)
    # one draw in each of `batch` equal slices of 0…999: same distribution, less noise in the gradient
    slices = (torch.arange(cfg.batch) + torch.rand(cfg.batch, generator=generator)) / cfg.batch
    return clean.to(cfg.device), words, noise.to(cfg.device), (slices * 1000).long().clamp_max(999).to(cfg.device)


def save(out: Path, step: int, pipe: AudioLDM2Pipeline, model: Trained, kept: dict, optimizer) -> None:  # type: ignore[no-untyped-def]
    """The checkpoint, and the pipeline with averaged weights in fp16 under ``out``/base."""
    out.mkdir(parents=True, exist_ok=True)
    torch.save(
        {"step": step, "model": model.state_dict(), "kept": kept, "optimizer": optimizer.state_dict()},
        out / "state.tmp",
    )
    (out / "state.tmp").replace(out / "state.pt")
    current = {k: v.detach().clone() for k, v in model.state_dict().items()}
    model.load_state_dict(kept)
    save_half(pipe, out / "base")
    model.load_state_dict(current)


if __name__ == "__main__":
    main()
