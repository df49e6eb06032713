"""A base's autoencoder and text encoders: waves as latents, prompts as embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from musetune.datasets.fingerprint import fingerprint
from musetune.datasets.latent_dataset import DatasetInfo, TextEmbedding
from musetune.datasets.slicing import SAMPLE_RATE
from musetune.datasets.versions import library_versions

TEXTS = 64  # embeddings that are kept: every song of a collection may have words of its own


@dataclass(frozen=True)
class EncoderOptions:
    """Which encoders.

    Attributes:
        base: "nano", a folder or a Hub id.
        clip_seconds: Length of a clip.
        device: Where they compute; None: cuda where there is one.
    """

    base: str
    clip_seconds: float
    device: str | None


class LatentEncoder:
    """The base's autoencoder and text encoders: waves → latents, prompts → embeddings.

    Args:
        base: `nano`, a folder or a Hub id.
        clip_seconds: Length of the waves; a whole number of latent rows.
        device: Where it computes.

    Raises:
        ValueError: `clip_seconds` is no whole number of the base's latent rows.
    """

    def __init__(self, base: str, clip_seconds: float, device: str) -> None:
        from musetune.audio import mel_frontend
        from musetune.hub.locate import find_base
        from musetune.pipeline.pipeline import MuseTunePipeline

        self.pipe, self.device = MuseTunePipeline.from_pretrained(base).to(device), device
        self.frontend = mel_frontend(self.pipe).to(device)
        self.texts: dict[str, TextEmbedding] = {}
        vocoder = self.pipe.vocoder.config
        row_s = self.pipe.vae_scale_factor * float(np.prod(vocoder.upsample_rates)) / vocoder.sampling_rate
        self.rows = round(clip_seconds / row_s)
        if abs(self.rows * row_s - clip_seconds) > row_s / 2:
            raise ValueError(f"clip_seconds={clip_seconds} is no whole number of latent rows of {row_s} s")
        shape = self.latents(np.zeros((1, round(clip_seconds * SAMPLE_RATE)), np.float32)).shape
        self.info = DatasetInfo(
            base=Path(base).name if Path(base).is_dir() else base,
            base_fingerprint=fingerprint(find_base(base)),
            channels=shape[1],
            rows=shape[2],
            cols=shape[3],
            row_s=row_s,
            versions=library_versions(),
        )

    @torch.no_grad()
    def latents(self, waves: np.ndarray, batch: int = 16) -> torch.Tensor:
        """waves (n, samples) → the means of the autoencoder's latents, scaled, (n, channels, rows, cols)."""
        vae, parts = self.pipe.vae, []
        for some in torch.from_numpy(waves).to(self.device).split(batch):
            mel = self.frontend(some.float())[:, :, : self.rows * self.pipe.vae_scale_factor]
            parts.append(vae.encode(mel.to(self.device, vae.dtype)).latent_dist.mode().float().cpu())
        return torch.cat(parts) * vae.config.scaling_factor

    @torch.no_grad()
    def text(self, prompt: str) -> TextEmbedding:
        """The embeddings of one prompt, by itself: padding would leak into the language model."""
        if prompt in self.texts:
            self.texts[prompt] = self.texts.pop(prompt)  # the last one that was used goes last
        else:
            while len(self.texts) >= TEXTS:
                del self.texts[next(iter(self.texts))]
            states, mask, generated = self.pipe.encode_prompt(prompt, self.device, 1, False)
            self.texts[prompt] = TextEmbedding(states[0].cpu(), mask[0].cpu(), generated[0].cpu())
        return self.texts[prompt]


def absolute_base(base: str) -> str:
    """A base's folder as processes find it that work elsewhere; names and Hub ids as they are.

    Raises:
        FileNotFoundError: It looks like a folder and is none.
    """
    from musetune.hub.locate import find_base

    bundled = find_base(base) != base
    return base if bundled or not Path(base).is_dir() else str(Path(base).absolute())


def new_encoder(options: EncoderOptions) -> LatentEncoder:
    """Load encoders."""
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    return LatentEncoder(options.base, options.clip_seconds, device)


@lru_cache(maxsize=1)
def loaded_encoder(options: EncoderOptions) -> LatentEncoder:
    """The encoders of this process, which stay loaded."""
    from musetune.pipeline.loading import quiet

    quiet()
    return new_encoder(options)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread of torch: sums in another order would change the last bits from machine to machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
