"""The teacher's batches of a distillation: conditions, the genre LoRA under them, and the ways from noise to latents,
which are kept and serve several steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from torch import Tensor

from musetune.adapter import MusicAdapter, lora
from musetune.adapter.lora import LoraDelta
from musetune.adapter.lora_files import Lora
from musetune.adapter.merging import merged
from musetune.conditioning import STEM_STREAMS
from musetune.datasets import LatentDataset
from musetune.datasets.latent_dataset import TextEmbedding
from musetune.datasets.tokens import TokenTable
from musetune.pipeline.guidance import Guidance
from musetune.training import seeding
from musetune.training.batch import Batch, Dropout, draw_batch
from musetune.training.denoiser import Denoiser
from musetune.training.teacher import keep_states, read_states, trajectory

Beside = Mapping[str, Sequence[LoraDelta]]  # LoRAs by the plain name of their weight


@dataclass(frozen=True)
class TeacherOptions:
    """What is asked of the teacher.

    Attributes:
        seed: Of the run.
        batch_size: Of a process.
        steps: Of the sampler.
        crop_rows: Latent rows of a random crop; None takes whole clips.
        dropout: How often conditions are hidden; stems are hidden or told together.
        notes_share: Batches in which the players' notes are told, 0…1.
        genre_share: Batches under which a genre LoRA lies, 0…1.
        guidance_scale: Of words and music.
        played_guidance_scale: Of words, music and notes where there are notes.
        guidance_rescale: 0…1.
    """

    seed: int
    batch_size: int
    steps: int
    crop_rows: int | None
    dropout: Dropout
    notes_share: float
    genre_share: float
    guidance_scale: float
    played_guidance_scale: float
    guidance_rescale: float


@dataclass(frozen=True)
class TeacherBatches:
    """Draws batches and asks the teacher, once each.

    Attributes:
        options: What is asked of it.
        denoiser: U-Net and adapter, frozen, the adapter's LoRA merged.
        scheduler: DPM-Solver++ on the base's noise schedule.
        data: The clips, and ``tokens`` of them.
        genres: LoRAs of which one lies under some batches.
        cache: The folder where the ways are kept.
        place: Number of this process, and ``processes``, how many there are.
        device: Where batches go.
        autocast: A context of the arithmetic.
    """

    options: TeacherOptions
    denoiser: Denoiser
    scheduler: SchedulerMixin
    data: LatentDataset
    tokens: TokenTable
    genres: list[Lora]
    cache: Path
    place: int
    processes: int
    device: torch.device
    autocast: Callable[[], AbstractContextManager[None]]

    def draw(self, number: int) -> tuple[Batch, Beside]:
        """The conditions of batch `number` of this process, its latents being noise, and the genre LoRA that lies
        under it, if any.
        """
        options = self.options
        first = (number * self.processes + self.place) * options.batch_size
        indices = seeding.stream(len(self.data), options.seed, first, options.batch_size)
        places = zip(indices, range(options.batch_size), strict=True)
        generators = [
            seeding.generator(options.seed, number, f"{self.data.clips[i].id} {place}") for i, place in places
        ]
        common = seeding.generator(options.seed, number, "teacher")
        shares = torch.tensor([options.notes_share, options.genre_share])
        has_notes, has_genre = torch.rand(2, generator=common) < shares
        chosen = int(torch.randint(max(1, len(self.genres)), (), generator=common))
        batch = draw_batch(
            self.data,
            self.tokens,
            indices,
            generators,
            frames_per_row=self.denoiser.adapter.config.frames_per_row,
            crop_rows=options.crop_rows,
            dropout=replace(options.dropout, arrangement=0.0 if has_notes else 1.0),
        ).to(self.device)
        beside = {}
        if has_genre and self.genres:
            beside = {f"{name}.weight": [part] for name, part in self.genres[chosen].parts.items()}
        noise = seeding.noise(generators, batch.latents.shape[1:]).to(batch.latents)
        return replace(batch, latents=noise), beside

    def states(self, number: int, batch: Batch, beside: Beside) -> Tensor:
        """The teacher's states of batch `number`, (steps + 1, B, channels, rows, cols): kept from before, or made."""
        path = self.cache / f"{number:09d}-{self.place}.safetensors"
        if not path.exists():
            options = self.options
            played = bool(torch.stack([batch.tokens.present[name] for name in STEM_STREAMS]).any())
            scale = options.played_guidance_scale if played else options.guidance_scale
            guidance = Guidance(scale, scale, options.guidance_rescale, stems=scale if played else None)
            wordless = self.data.collate_texts([""])
            with merged(self.denoiser.unet, beside), self.autocast():
                states = trajectory(
                    self.denoiser,
                    self.scheduler,
                    guidance,
                    batch.tokens,
                    batch.text,
                    TextEmbedding(*(t.to(batch.latents.device) for t in vars(wordless).values())),
                    batch.latents,
                    options.steps,
                )
            keep_states(path, states)
        return read_states(path)


def adapters_digest(unet: torch.nn.Module, adapter: MusicAdapter, genres: list[Lora]) -> str:
    """A name for the weights of the theory adapter and the genre LoRAs: trained anew, they teach otherwise."""
    digest = hashlib.blake2b(digest_size=8)
    weights = [*sorted(adapter.state_dict().items()), *sorted(lora.state(unet, "music").items())]
    weights += [
        (name, half) for one in genres for name, part in sorted(one.parts.items()) for half in (part.down, part.up)
    ]
    for name, weight in weights:
        digest.update(name.encode() + weight.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()
