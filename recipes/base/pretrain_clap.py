"""Train nano's CLAP on rendered music: which words belong to which sound.

    python recipes/base/render_songs.py SONGS rendered/
    python recipes/base/pretrain_clap.py rendered/ runs/clap steps=1500

Writes text_encoder/ and tokenizer/, which pretrain_base.py takes as clap=runs/clap, and heard.json: how often the right
one of 32 held-out clips is found by its words, and the right words by their clip. Stop it at any time; the same command
goes on.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from musetune.audio import load_audio
from musetune.datasets.rendering.folder import read_metadata
from musetune.models.nano import build_nano
from musetune.processes import parallel_map
from musetune.training import seeding
from musetune.training.checkpoint import pack_state, resume_latest, save_checkpoint
from musetune.training.clock import TrainingClock
from musetune.training.config import folders_and_config

if TYPE_CHECKING:
    from transformers import ClapModel, RobertaTokenizerFast


@dataclass
class Config:
    """Every option, its default, its meaning."""

    steps: int = 1500  # optimiser steps
    batch: int = 48  # clips a step, each told from all others
    learning_rate: float = 1e-3  # peak; linear warm-up over 100 steps, cosine to a twentieth
    held_out: int = 320  # clips at the end of the folder that are only tested on
    save_every: int = 100
    seed: int = 0
    device: str = "cpu"
    threads: int = 0  # 0: torch decides
    bf16: bool = True  # autocast: faster on accelerators and on CPUs with bf16 instructions
    workers: int = 2  # processes that compute spectrograms
    minutes: float = 0.0  # stop after this time, over all its continuations; 0: never


def features_of(path: Path) -> np.ndarray:
    """float16 (frames, bins): what CLAP's own extractor makes of a file's first ten seconds."""
    from transformers import ClapFeatureExtractor

    extractor = ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad")
    rate = extractor.sampling_rate
    wave = load_audio(path, rate)[0][: rate * extractor.max_length_s]
    return extractor(wave, sampling_rate=rate, return_tensors="np")["input_features"][0, 0].astype(np.float16)


def read_features(folder: Path, workers: int) -> np.ndarray:
    """float16 (clips, frames, bins) in metadata's order; computed once, then memory-mapped from clap.npy."""
    cache = folder / "clap.npy"
    if not cache.is_file():
        files = [folder / row["file_name"] for row in read_metadata(folder)]
        work = parallel_map(features_of, files, workers)
        np.save(cache, np.stack(list(tqdm(work, total=len(files), desc="CLAP spectrograms", unit="clip"))))
    return np.load(cache, mmap_mode="r")


def contrast(similarity: Tensor, texts: list[str]) -> Tensor:
    """Symmetric cross-entropy of (B, B) logits (arXiv 2211.06687); clips of the very same words share the target."""
    same = torch.tensor([[a == b for b in texts] for a in texts], device=similarity.device).float()
    target = same / same.sum(1, keepdim=True)
    rows, columns = similarity.log_softmax(1), similarity.T.log_softmax(1)
    return -0.5 * ((target * rows).sum(1) + (target * columns).sum(1)).mean()


def similarity(
    model: ClapModel, tokenizer: RobertaTokenizerFast, sounds: np.ndarray, texts: list[str], device: str
) -> Tensor:
    """Logits (clips, texts) of spectrograms (B, frames, bins) and words."""
    words = tokenizer(texts, padding=True, truncation=True, max_length=64, return_tensors="pt").to(device)
    spectrograms = torch.from_numpy(sounds.astype(np.float32))[:, None].to(device)
    longer = torch.zeros(len(sounds), 1, dtype=torch.bool, device=device)
    return model(input_features=spectrograms, is_longer=longer, **words).logits_per_audio


@torch.no_grad()
def test(model: ClapModel, tokenizer: RobertaTokenizerFast, sounds: np.ndarray, texts: list[str], cfg: Config) -> dict:
    """Retrieval among 32 held-out clips at a time.

    Share of first places for the right one, both ways; chance is 0.031.
    """
    model.eval()
    hits, size = {"clip_by_words": 0, "words_by_clip": 0}, min(32, len(texts))
    groups = [range(i, i + size) for i in range(0, len(texts) - size + 1, size)]
    for group in groups:
        words = [texts[i] for i in group]
        logits = similarity(model, tokenizer, sounds[group.start : group.stop], words, cfg.device)
        same = torch.tensor([[a == b for b in words] for a in words], device=logits.device)
        hits["words_by_clip"] += int(same.gather(1, logits.argmax(1, keepdim=True)).sum())
        hits["clip_by_words"] += int(same.gather(0, logits.argmax(0, keepdim=True)).sum())
    model.train()
    return {name: round(n / (size * len(groups)), 4) for name, n in hits.items()}


def main() -> None:
    (folder, out), cfg = folders_and_config(("RENDERED", "OUT"), Config, __doc__)
    texts = [row["text"] for row in read_metadata(folder)]
    if not 2 <= cfg.held_out <= len(texts) - cfg.batch:
        raise SystemExit(
            f"held_out={cfg.held_out} is outside 2–{len(texts) - cfg.batch}: {folder} has {len(texts)} clips"
        )
    sounds, train = read_features(folder, cfg.workers), len(texts) - cfg.held_out
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    torch.manual_seed(cfg.seed)
    pipe = build_nano("nano", sorted(set(texts)))
    model, tokenizer = pipe.text_encoder.to(cfg.device).train(), pipe.tokenizer
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.learning_rate, weight_decay=0.05)
    named = dict(model.named_parameters())
    begun = resume_latest(out, named, optimizer)
    step, clock = begun.get("step", 0), TrainingClock(cfg.minutes, begun.get("spent_s", 0.0))
    mean, bar = 0.0, tqdm(total=cfg.steps, initial=step, unit="step", mininterval=5)
    while step < cfg.steps and not clock.is_over:
        rate = min(1.0, (step + 1) / 100) * (0.525 + 0.475 * math.cos(math.pi * step / cfg.steps))
        optimizer.param_groups[0]["lr"] = cfg.learning_rate * rate
        clips = sorted(seeding.stream(train, cfg.seed, step * cfg.batch, cfg.batch))
        words = [texts[c] for c in clips]
        with torch.autocast(cfg.device, torch.bfloat16, enabled=cfg.bf16):
            logits = similarity(model, tokenizer, sounds[clips], words, cfg.device)
        loss = contrast(logits.float(), words)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step, mean = step + 1, loss.item() if not mean else 0.98 * mean + 0.02 * loss.item()
        clock.tick()
        bar.update(), bar.set_postfix(loss=f"{mean:.3f}", refresh=False)
        if step % cfg.save_every == 0 or step == cfg.steps or clock.is_over:
            save_checkpoint(
                out, step, pack_state(named, optimizer), {"step": step, "spent_s": clock.spent_s}, total_limit=1
            )
            retrieval = test(model, tokenizer, sounds[train:], texts[train:], cfg)
            tqdm.write(f"step {step}: {retrieval}")
            model.save_pretrained(out / "text_encoder")
            tokenizer.save_pretrained(out / "tokenizer")
            (out / "heard.json").write_text(json.dumps({"steps": step, **retrieval}, indent=1) + "\n")


if __name__ == "__main__":
    main()
