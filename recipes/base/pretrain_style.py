"""Teach a frozen base to hear the sound of a clip in place of words: style_audio's network.

    python recipes/base/render_songs.py SONGS rendered clips=1200
    python recipes/prepare.py rendered data/rendered --transpose
    python recipes/base/pretrain_style.py nano rendered data/rendered runs/style

BASE is nano, a folder or a Hub id such as cvssp/audioldm2. RENDERED is the music, and DATA the latents that
recipes/prepare.py made of it with this base. Base and music adapter stay as they are: what learns is a
musetune.models.style_projection.StyleProjection. It is told a stretch of a clip, by the embedding of the base's own
CLAP, and the U-Net denoises a stretch of the same clip, under its lead sheet: the loss is the base's diffusion loss,
and how far the answer is from what the U-Net answers to the clip's words, which is far less noisy. A share of the
embeddings are those of the words, so that sound and words can be mixed.

OUT/style_projection goes beside the base's other folders. Stop it at any time; the same command goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import mse_loss
from tqdm import tqdm

from musetune.adapter import MusicAdapter
from musetune.audio import load_audio
from musetune.datasets import LatentDataset
from musetune.datasets.fingerprint import check_base
from musetune.datasets.latent_dataset import TextEmbedding
from musetune.hub.locate import find_adapter, find_base
from musetune.models.style_projection import StyleProjection
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.pipeline.style import audio_embedding, word_embedding
from musetune.training import Dropout, TokenTable, draw_batch, load_tokens, seeding
from musetune.training.config import folders_and_config
from musetune.training.denoiser import Denoiser
from musetune.training.loss import add_noise, target
from musetune.training.one_cycle import OneCycle
from musetune.training.setup import load_noise_schedule, load_unet

HEARINGS = 3  # stretches of a clip that are embedded
WORDS = 1_000_000_000  # number of the generators that draw whether words are told


@dataclass
class Config:
    """Every option, its default, its meaning."""

    adapter: str = "theory"  # the music adapter whose lead sheets the U-Net reads: name, folder or Hub id
    tokens: int = 8  # states that a clip becomes
    hidden: int = 384  # width of the network
    words_share: float = 0.2  # of embeddings that are the words', 0…1
    steps: int = 1800
    batch: int = 16  # crops a step
    rows: int = 40  # latent rows a crop
    learning_rate: float = 1e-3  # the highest
    words_weight: float = 10.0  # of the distance to the answer to words, beside the diffusion loss
    save_every: int = 250
    seed: int = 0
    device: str = "cpu"
    bf16: bool = True  # autocast: faster on accelerators and on CPUs with bf16 instructions


@torch.no_grad()
def embed(pipe: MuseTunePipeline, rendered: Path, data: LatentDataset, cache: Path) -> dict[str, Tensor]:
    """CLAP's embeddings of unit length: sound (clips, HEARINGS, width) of stretches of half a clip, from its beginning
    to its end, and words (clips, width). Computed once.
    """
    path = cache / f"clap-{data.digest()}.safetensors"
    if path.is_file():
        return load_file(path)
    sounds = []
    for clip in tqdm(data.clips, desc="CLAP", unit="clip"):
        wave, rate = load_audio(rendered / clip.file)
        wave = wave[round(clip.offset_s * rate) : round((clip.offset_s + clip.duration_s) * rate)]
        half = len(wave) // 2
        starts = [place * half // (HEARINGS - 1) for place in range(HEARINGS)]
        sounds.append(torch.stack([audio_embedding(pipe, wave[start : start + half], rate) for start in starts]))
    words = {text: word_embedding(pipe, text) for text in sorted({clip.text for clip in data.clips})}
    found = {"sound": torch.stack(sounds), "words": torch.stack([words[clip.text] for clip in data.clips])}
    cache.mkdir(parents=True, exist_ok=True)
    save_file(found, path)
    return found


def told(embeddings: dict[str, Tensor], indices: list[int], step: int, cfg: Config) -> Tensor:
    """What each clip of a batch is told by, (B, width): one of its stretches, or its words."""
    generators = [seeding.generator(cfg.seed, WORDS + step, str(place)) for place in range(len(indices))]
    stretches = seeding.integers(generators, HEARINGS)
    by_words = seeding.chance(generators, cfg.words_share)
    sounds = embeddings["sound"][indices, stretches]
    return torch.where(by_words[:, None], embeddings["words"][indices], sounds)


def loss_of(
    network: StyleProjection,
    denoiser: Denoiser,
    data: LatentDataset,
    table: TokenTable,
    embeddings: dict[str, Tensor],
    alphas: Tensor,
    kind: str,
    step: int,
    cfg: Config,
) -> Tensor:
    """The loss of one batch, a function of (seed, step) alone: a scalar."""
    indices = seeding.stream(len(data), cfg.seed, step * cfg.batch, cfg.batch)
    generators = [seeding.generator(cfg.seed, step, str(place)) for place in range(cfg.batch)]
    dropout = Dropout(text=0.0, stream=0.1, condition=0.1, arrangement=0.5)
    frames = denoiser.adapter.config.frames_per_row
    batch = draw_batch(data, table, indices, generators, frames_per_row=frames, crop_rows=cfg.rows, dropout=dropout)
    batch = batch.to(alphas.device)
    states = network(told(embeddings, indices, step, cfg).to(alphas.device))
    mask = batch.text.attention_mask.new_ones(states.shape[:2])
    text = TextEmbedding(states, mask, batch.text.generated_prompt_embeds)
    noise = seeding.noise(generators, tuple(batch.latents.shape[1:])).to(alphas.device)
    t = seeding.timesteps(generators, len(alphas), "stratified").to(alphas.device)
    noisy, wanted = add_noise(batch.latents, noise, alphas, t), target(batch.latents, noise, alphas, t, kind)
    with torch.autocast(alphas.device.type, torch.bfloat16, enabled=cfg.bf16):
        predicted = denoiser(noisy, t, batch.tokens, text).float()
        with torch.no_grad():
            by_words = denoiser(noisy, t, batch.tokens, batch.text).float()
    return mse_loss(predicted, wanted) + cfg.words_weight * mse_loss(predicted, by_words)


def main() -> None:
    (name, rendered, folder, out), cfg = folders_and_config(("BASE", "RENDERED", "DATA", "OUT"), Config, __doc__)
    base, data = find_base(str(name)), LatentDataset(folder, transposed=False)
    check_base(base, data.info.base_fingerprint, data.info.base, folder)
    torch.manual_seed(cfg.seed)
    pipe = MuseTunePipeline.from_pretrained(base)
    embeddings = embed(pipe, rendered, data, out)
    network = StyleProjection(
        embeddings["words"].shape[1], pipe.text_encoder_2.config.d_model, tokens=cfg.tokens, hidden=cfg.hidden
    ).to(cfg.device)
    del pipe
    unet = load_unet(base, data.info.channels, cpu=cfg.device == "cpu").to(cfg.device)
    adapter = MusicAdapter.from_pretrained(find_adapter(cfg.adapter)).requires_grad_(False).to(cfg.device)
    denoiser = Denoiser(unet, adapter.attach(unet), data.info.row_s).eval()
    table = load_tokens(data, adapter.config.frames_per_row, adapter.config.event_s)
    schedule = load_noise_schedule(base)
    alphas, kind = schedule.alphas_cumprod.to(cfg.device), schedule.config.prediction_type
    cycle = OneCycle(
        network,
        cfg.steps,
        learning_rate=cfg.learning_rate,
        memory=0.99,
        folder=out,
        checkpointing_steps=cfg.save_every,
    )
    with adapter.merged():
        for step in cycle.run("style"):
            cycle.learn(loss_of(network, denoiser, data, table, embeddings, alphas, kind, step, cfg))
    mean = cycle.mean
    assert isinstance(mean, StyleProjection)
    mean.half().save_pretrained(out / "style_projection")


if __name__ == "__main__":
    main()
