"""From a prompt to a song: plan, arrangement, and what makes a section's return sound like itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from musetune.pipeline.request import positive, reject_arguments
from musetune.symbols.arrangement import Arrangement, Stem

if TYPE_CHECKING:
    from musetune.symbols import LeadSheet

RELATED = 0.9  # correlation of the noise that two sections of one label start from


class Songs:
    """The pipeline's part that writes music before it plays it; each step can be used apart."""

    adapter: Any  # a MusicAdapter or None

    def plan(self, prompt: str, **pins: Any) -> LeadSheet:
        """A song's plan from words, by the structure transformer; ``pins`` as of ``musetune.planning.planner.planner.plan``: key, bpm, chords, …"""
        from musetune.planning.planner.planner import plan

        return plan(prompt, **pins)

    def arrange(self, sheet: LeadSheet, **options: Any) -> Arrangement:
        """Notes of drums, bass, guitar, keys and lead for a plan; ``options`` as of ``musetune.planning.arranger.arranger.arrange``."""
        from musetune.planning.arranger.arranger import arrange

        return arrange(sheet, **options)

    def _writes(self, *music: object) -> bool:
        """Whether a call means a song of its own: an adapter, a duration, the last of ``music``, and nothing else of it."""
        *others, seconds = music
        return self.adapter is not None and seconds is not None and all(other is None for other in others)

    def _write(
        self, prompt: Any, seconds: float | None, pins: dict[str, Any], options: dict[str, Any]
    ) -> tuple[LeadSheet, Arrangement]:
        """The plan and the arrangement of a song of ``seconds``, from the generator's own seed."""
        assert seconds is not None  # or there would be nothing to write
        positive("duration_seconds", seconds)
        reject_arguments(
            {"audio_length_in_s": options.get("audio_length_in_s")}, "and duration_seconds: give one of them"
        )
        if not isinstance(prompt, str):
            raise ValueError(f"prompt={prompt!r}: a song is written from one str; call once for each prompt")
        seed = song_seed(options.get("generator"))
        sheet = self.plan(prompt, duration_seconds=seconds, seed=seed, **pins)
        return sheet, self.arrange(sheet, seed=seed)


def song_seed(generator: torch.Generator | None) -> int:
    """The seed of plan and arrangement: the generator's own, else a random one."""
    return (torch.seed() if generator is None else generator.initial_seed()) % 2**31


def section_noise(
    shape: tuple[int, ...],
    sheet: LeadSheet,
    row_s: float,
    generator: torch.Generator | None,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """Normal noise (n, channels, rows, cols); stretches of ``rows`` in which sections of one label lie begin alike, correlated by RELATED.

    A sheet without recurring labels gets plain noise, the same as without this.
    """
    noise = randn_tensor(shape, generator=generator, device=device, dtype=dtype)
    first: dict[str, Tensor] = {}
    for label, start, end in section_rows(sheet, row_s, shape[2]):
        here = noise[:, :, start:end]
        if label not in first:
            first[label] = here.clone()
            continue
        rows = min(here.shape[2], first[label].shape[2])
        here[:, :, :rows] = RELATED * first[label][:, :, :rows] + (1 - RELATED**2) ** 0.5 * here[:, :, :rows]
    return noise


def section_rows(sheet: LeadSheet, row_s: float, rows: int) -> Iterator[tuple[str, int, int]]:
    """Label, first row and the row after the last of every section that begins within ``rows``."""
    for section in sheet.sections:
        start, end = (float(sheet.grid.time_at(beat)) for beat in (section.start, section.start + section.beats))
        if (first := max(0, round(start / row_s))) < min(rows, last := round(end / row_s)):
            yield section.label, first, min(rows, last)


def solos(arrangement: Arrangement) -> dict[str, Arrangement]:
    """Each player alone, the others silent; those without notes are left out."""
    return {name: Arrangement(arrangement.grid, {name: stem}) for name, stem in arrangement.stems.items() if stem.notes}


def mixed(parts: dict[str, np.ndarray]) -> np.ndarray:
    """The sum of the players' audio, (1, samples)."""
    return np.sum(list(parts.values()), axis=0, keepdims=True)


def solo_prompt(stem: Stem, genre: str | None) -> str:
    """Words for one player alone, as training has them."""
    from musetune.planning.rules.styles import PROGRAM_NAMES

    player = "drums" if stem.is_drum else PROGRAM_NAMES.get(stem.program, "instrument")
    return f"solo {player}" + (f", {genre}" if genre else "")
