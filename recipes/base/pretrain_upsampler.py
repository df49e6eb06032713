"""Train StereoUpsampler (16 kHz mono → 48 kHz stereo) on a folder of stereo audio.

    python recipes/base/pretrain_upsampler.py music/ runs/upsampler recipes/configs/upsampler.yaml held_out=more_music/

FOLDER holds stereo recordings at 44.1 or 48 kHz in any depth (FLAC, WAV, OGG, MP3), or what render_songs.py wrote with
stereo=true, or both. They are decoded once into FOLDER/.upsampler. OUT gets checkpoints and, under upsampler/, the
averaged weights in half precision, as MuseTunePipeline loads them. Stop it at any time; the same command goes on from
the last checkpoint.

`held_out` is a folder of other recordings: when training ends, each band's level difference is scaled by how far it can
be believed on them (`musetune/training/tilt.py`). Without it the network moves players more often than it is right.
recipes/configs/upsampler.yaml has the settings of the shipped weights.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from musetune.datasets.upsampling import Recordings, read_recordings
from musetune.models.upsampler import StereoUpsampler
from musetune.training.checkpoint import pack_state, resume_latest, save_checkpoint
from musetune.training.clock import TrainingClock
from musetune.training.config import folders_and_config
from musetune.training.tilt import fit_tilt, scale_tilt
from musetune.training.upsampling import band_loss, space_loss


@dataclass
class Config:
    """Every option, its default, its meaning."""

    steps: int = 4000  # optimiser steps
    batch: int = 6  # crops a step
    seconds: float = 1.28  # length of a crop
    learning_rate: float = 1e-3  # peak; cosine to a twentieth
    dim: int = 160  # channels of the network
    hidden: int = 480  # channels inside of its blocks
    layers: int = 5  # blocks
    space_weight: float = 0.3  # of the loss of stereo beside that of the band above 8 kHz
    ema: float = 0.995  # averaging of the weights that are kept
    save_every: int = 200
    seed: int = 0
    device: str = "cpu"
    threads: int = 0  # 0: torch decides
    minutes: float = (
        0.0  # stop after this time, over all its continuations, and let the learning rate fall with it; 0: never
    )
    held_out: str = ""  # a folder of recordings by which level differences are scaled; none: they stay as learned
    held_out_clips: int = 40  # clips of 10 s, spread over it


def draw(recordings: Recordings, cfg: Config, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One batch, a function of (seed, step) alone: mono (batch, samples) at 16 kHz, stereo (batch, 2, 3 · samples)."""
    rng = np.random.default_rng([cfg.seed, step])
    samples = round(cfg.seconds * 16000 / 128) * 128
    mono, stereo = recordings.crops(rng.integers(0, 2**62, cfg.batch), samples)
    gain = torch.from_numpy(10 ** (rng.uniform(-12, 3, cfg.batch) / 20)).float()
    return (mono * gain[:, None]).to(cfg.device), (stereo * gain[:, None, None]).to(cfg.device)


def main() -> None:
    (folder, out), cfg = folders_and_config(("FOLDER", "OUT"), Config, __doc__)
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    torch.manual_seed(cfg.seed)
    recordings = read_recordings(folder)
    print(f"{len(recordings.starts)} files, {recordings.seconds / 60:.0f} minutes")
    network, average = (
        StereoUpsampler(dim=cfg.dim, hidden=cfg.hidden, layers=cfg.layers).to(cfg.device) for _ in range(2)
    )
    average.requires_grad_(False).load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), lr=cfg.learning_rate, betas=(0.9, 0.99), weight_decay=0.01)
    named, averages = dict(network.named_parameters()), list(average.parameters())
    begun = resume_latest(out, named, optimizer, averages)
    step, clock = begun.get("step", 0), TrainingClock(cfg.minutes, begun.get("spent_s", 0.0))
    bar = tqdm(total=cfg.steps, initial=step, unit="step", mininterval=5)
    means: dict[str, float] = {}
    while step < cfg.steps and not clock.is_over:
        done = clock.share_done(step, cfg.steps)
        warm = min(1.0, (step + 1) / 50)
        optimizer.param_groups[0]["lr"] = cfg.learning_rate * warm * (0.525 + 0.475 * math.cos(math.pi * done))
        mono, stereo = draw(recordings, cfg, step)
        found = network.predict(mono)
        band, space = band_loss(network, found, stereo), space_loss(network, found, stereo)
        optimizer.zero_grad(set_to_none=True)
        (band + cfg.space_weight * space).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimizer.step()
        torch._foreach_lerp_(averages, [p.detach() for p in network.parameters()], 1 - min(cfg.ema, step / (step + 10)))
        step += 1
        clock.tick()
        for name, value in (("band", band.item()), ("space", space.item())):
            means[name] = 0.98 * means.get(name, value) + 0.02 * value
        bar.update(), bar.set_postfix({name: f"{value:.3f}" for name, value in means.items()})
        if step % cfg.save_every == 0:
            save(out, step, clock.spent_s, network, average, optimizer)
    save(out, step, clock.spent_s, network, average, optimizer)
    if cfg.held_out:  # of a copy: the checkpoint keeps what was learned, so that training can go on
        tempered = copy.deepcopy(average)
        temper(tempered, Path(cfg.held_out), cfg.held_out_clips)
        save_half(tempered, out)


def temper(network: StereoUpsampler, folder: Path, clips: int) -> None:
    """Scale each band's level difference by how far it can be believed on recordings of a folder; say so."""
    recordings = read_recordings(folder)
    samples = min(10 * 16000, int(np.diff(np.array([*recordings.starts, len(recordings.mono)])).max())) // 128 * 128
    places = np.linspace(0, recordings.count_places(samples) - 1, clips).astype(np.int64)
    mono, stereo = recordings.crops(places, samples)
    factors, errors = fit_tilt(network, mono.to(network.device), stereo.to(network.device))
    scale_tilt(network, factors)
    print(f"level differences scaled by {' '.join(f'{factor:.2f}' for factor in factors)}")
    print(f"their error: {errors[-1].mean():.2f} dB before, {errors.min(0).values.mean():.2f} dB after")


def save(
    out: Path,
    step: int,
    spent_s: float,
    network: StereoUpsampler,
    average: StereoUpsampler,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write the checkpoint, and the averaged weights in half precision."""
    state = pack_state(dict(network.named_parameters()), optimizer, list(average.parameters()))
    save_checkpoint(out, step, state, {"step": step, "spent_s": spent_s}, total_limit=1)
    save_half(average, out)


def save_half(network: StereoUpsampler, out: Path) -> None:
    """Write the weights in half precision."""
    half = StereoUpsampler.from_config(network.config)
    half.load_state_dict(network.state_dict())
    half.half().save_pretrained(out / "upsampler")


if __name__ == "__main__":
    main()
