"""Train nano's autoencoder (one fit) and vocoder on rendered music.

    python recipes/base/pretrain_vocoder.py rendered/ runs/vocoder steps=20000 batch=12
    python recipes/base/pretrain_vocoder.py rendered/ runs/timbres recipes/configs/timbres.yaml start=nano

The vocoder sees spectrograms that have passed the autoencoder, as it will when it sings what the U-Net dreams. The
second line goes on with a base's vocoder and keeps its autoencoder as it is: latents mean what they meant, so that
adapters and data sets made with that base still fit. OUT/vocoder then replaces the base's folder of that name.

Stop it at any time; the same command goes on from the last checkpoint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from musetune.datasets.rendering.folder import read_spectrograms, read_waves
from musetune.hub.locate import find_base
from musetune.models.nano import NanoVocoder, PatchAutoencoder
from musetune.training.checkpoint import pack_state, resume_latest, save_checkpoint
from musetune.training.clock import TrainingClock
from musetune.training.config import folders_and_config
from musetune.training.spectral_loss import N_FFTS, spectral_loss


@dataclass
class Config:
    """Every option, its default, its meaning."""

    steps: int = 20000  # optimiser steps
    batch: int = 12  # crops a step
    frames: int = 128  # frames a crop: 2.05 s
    learning_rate: float = 6e-4  # peak; cosine to a twentieth
    warmup: int = 200  # steps in which it rises to the peak
    start: str | None = None  # a base, or OUT of another run, whose vocoder is trained on and whose autoencoder is kept
    latent_channels: int = 16  # principal components kept of each 8×8 patch
    coded_share: float = 0.75  # crops whose spectrogram has passed the autoencoder
    resolutions: int = 4  # of the loss's four STFT lengths, how many are drawn a step: fewer are faster and noisier
    ema: float = 0.999  # averaging of the weights that are kept
    save_every: int = 250
    seed: int = 0
    device: str = "cpu"
    threads: int = 0  # 0: torch decides
    minutes: float = (
        0.0  # stop after this time, over all its continuations, and let the learning rate fall with it; 0: never
    )


HEADROOM = 1.0  # log magnitude, 8.7 dB: so much louder than the loudest rendering a bin may sound


def draw(
    waves: np.ndarray, spectrograms: np.ndarray, vae: PatchAutoencoder, cfg: Config, step: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """One batch, a function of (seed, step) alone: spectrogram crops (batch, frames, bins), waves (batch, samples)."""
    rng = np.random.default_rng([cfg.seed, step])
    clips = rng.integers(0, len(waves), cfg.batch)
    rows = rng.integers(0, (spectrograms.shape[1] - cfg.frames) // 8 + 1, cfg.batch) * 8
    crops = [spectrograms[c, r : r + cfg.frames] for c, r in zip(clips, rows, strict=True)]
    x = torch.from_numpy(np.stack(crops).astype(np.float32)).to(cfg.device)
    played = [waves[c, r * 256 : (r + cfg.frames) * 256] for c, r in zip(clips, rows, strict=True)]
    y = torch.from_numpy(np.stack(played).astype(np.float32) / 32768)
    latents = vae.encode(x[:, None]).latent_dist.mode()  # type: ignore[union-attr]
    coded = vae.decode(latents).sample[:, 0]  # type: ignore[union-attr]
    use = torch.from_numpy(rng.random(cfg.batch) < cfg.coded_share).to(cfg.device)
    return torch.where(use[:, None, None], coded, x), y.to(cfg.device)


def main() -> None:
    (folder, out), cfg = folders_and_config(("RENDERED", "OUT"), Config, __doc__)
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    torch.manual_seed(cfg.seed)
    waves, spectrograms = read_waves(folder), read_spectrograms(folder)
    vae, vocoder = begin(spectrograms, cfg)
    average = NanoVocoder.from_config(vocoder.config).to(cfg.device).requires_grad_(False)
    average.load_state_dict(vocoder.state_dict())
    optimizer = torch.optim.AdamW(vocoder.parameters(), lr=cfg.learning_rate, betas=(0.8, 0.99), weight_decay=0.01)
    named, averages = dict(vocoder.named_parameters()), list(average.parameters())
    begun = resume_latest(out, named, optimizer, averages)
    step, clock = begun.get("step", 0), TrainingClock(cfg.minutes, begun.get("spent_s", 0.0))
    bar, mean = tqdm(total=cfg.steps, initial=step, unit="step", mininterval=5), 0.0
    while step < cfg.steps and not clock.is_over:
        done = clock.share_done(step, cfg.steps)
        warm = min(1.0, (step + 1) / max(1, cfg.warmup))
        optimizer.param_groups[0]["lr"] = cfg.learning_rate * warm * (0.525 + 0.475 * math.cos(math.pi * done))
        x, y = draw(waves, spectrograms, vae, cfg, step)
        with torch.autocast(cfg.device, torch.bfloat16):
            output = vocoder(x)
        n_ffts = np.random.default_rng([cfg.seed, step, 1]).permutation(N_FFTS)[: cfg.resolutions]
        loss = spectral_loss(output.float()[:, 512:-512], y[:, 512:-512], n_ffts.tolist())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vocoder.parameters(), 5.0)
        optimizer.step()
        torch._foreach_lerp_(
            averages,
            [p.detach() for p in vocoder.parameters()],
            1 - min(cfg.ema, (step + 1) / (step + 10)),
        )
        step, mean = step + 1, loss.item() if not mean else 0.98 * mean + 0.02 * loss.item()
        clock.tick()
        bar.update(), bar.set_postfix(loss=f"{mean:.4f}")
        if step % cfg.save_every == 0:
            save(out, step, clock.spent_s, vocoder, average, optimizer, vae)
    save(out, step, clock.spent_s, vocoder, average, optimizer, vae)


def begin(spectrograms: np.ndarray, cfg: Config) -> tuple[PatchAutoencoder, NanoVocoder]:
    """The autoencoder, which stays as it is, and the vocoder to train, of spectrograms (clips, frames, bins)."""
    loudest = [round(float(x), 2) for x in spectrograms.max(axis=(0, 1)) + HEADROOM]
    if cfg.start:
        folder = Path(find_base(cfg.start))
        vae = PatchAutoencoder.from_pretrained(folder / "vae", torch_dtype=torch.float32)
        before = NanoVocoder.from_pretrained(folder / "vocoder", torch_dtype=torch.float32)
        former = before.config.loudest  # None: no bin has a limit, and none gets one
        limits = former and [max(pair) for pair in zip(former, loudest, strict=True)]
        vocoder = NanoVocoder.from_config({**before.config, "loudest": limits})
        vocoder.load_state_dict(before.state_dict())
        return vae.to(cfg.device), vocoder.to(cfg.device)
    vae = PatchAutoencoder(latent_channels=cfg.latent_channels).to(cfg.device)
    some = torch.from_numpy(spectrograms[:: max(1, len(spectrograms) // 400)].astype(np.float32))
    share = vae.fit(some[:, None].to(cfg.device))
    print(f"autoencoder: {cfg.latent_channels} of 64 components keep {share:.4f} of the variance")
    return vae, NanoVocoder(loudest=loudest).to(cfg.device)


def save(
    out: Path,
    step: int,
    spent_s: float,
    vocoder: NanoVocoder,
    average: NanoVocoder,
    optimizer: torch.optim.Optimizer,
    vae: PatchAutoencoder,
) -> None:
    """Write the checkpoint, and the averaged vocoder and the autoencoder as a base has them."""
    named, averages = dict(vocoder.named_parameters()), list(average.parameters())
    save_checkpoint(
        out, step, pack_state(named, optimizer, averages), {"step": step, "spent_s": spent_s}, total_limit=1
    )
    average.save_pretrained(out / "vocoder")
    vae.save_pretrained(out / "vae")


if __name__ == "__main__":
    main()
