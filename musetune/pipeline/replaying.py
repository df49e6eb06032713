"""One player of a take anew: other sound, or other notes too, beside the same others."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from musetune.pipeline.edit_options import EditOptions
from musetune.pipeline.edit_request import edit_request, generate_latents
from musetune.pipeline.output import MuseTuneOutput
from musetune.pipeline.pieces import fit_sound
from musetune.pipeline.songs import mix_stems, solo_arrangements, solo_prompt
from musetune.symbols.arrangement import STEMS, Arrangement
from musetune.symbols.names import suggest

LOUDER = 4.0  # a new player is matched to the old one's loudness by no more than this factor
PEAK = 0.99
REACH = 961  # samples over which it turns down where the sum would clip; odd


def replay(
    pipe: Any, take: MuseTuneOutput, player: str, prompt: str | None, rewrite: bool, options: EditOptions
) -> MuseTuneOutput:
    """Let one player play again; see ``MuseTunePipeline.replay``."""
    if player not in STEMS:
        raise ValueError(f"player={player!r} is not one of {', '.join(STEMS)}{suggest(player, STEMS)}")
    notes = options.get("arrangement") or take.arrangement
    if take.stems is None or notes is None:
        raise ValueError("the take has no players: generate it with stems=True and an arrangement")
    if pipe.adapter is None or pipe.adapter.stems is None:
        raise ValueError("this adapter reads no notes of players: load one that does, such as 'theory'")
    if rewrite:
        notes = write_anew(pipe, take, notes, player, options)
    alone = solo_arrangements(notes).get(player)
    if alone is None:
        raise ValueError(f"player={player!r} has no notes: choose of {', '.join(solo_arrangements(notes)) or 'none'}")
    some = np.asarray(next(iter(take.stems.values())))
    seconds = some.shape[-1] / take.sampling_rate
    words = prompt or solo_prompt(alone.stems[player], take.lead_sheet.genre)
    request = edit_request(pipe, take.lead_sheet, alone, words, seconds, options)
    latents = generate_latents(pipe, request, words, options)
    with pipe.adapter_manager.playing(request.strength, music=True):
        wave = pipe._decode(latents, round(seconds * pipe._rate))[0]
    pipe.maybe_free_model_hooks()
    sound = fit_sound(pipe, wave, take.sampling_rate, None if some.ndim == 1 else len(some))[..., : some.shape[-1]]
    sound = np.pad(sound, [(0, 0)] * (sound.ndim - 1) + [(0, some.shape[-1] - sound.shape[-1])])
    others = {name: audio for name, audio in take.stems.items() if name != player}
    new = beside(sound, take.stems.get(player), list(others.values()))
    stems = {name: new if name == player else others[name] for name in STEMS if name == player or name in others}
    return MuseTuneOutput(mix_stems(stems), take.sampling_rate, take.lead_sheet, None, notes, stems, (take.lead_sheet,))


def write_anew(pipe: Any, take: MuseTuneOutput, notes: Arrangement, player: str, options: EditOptions) -> Arrangement:
    """Return the arrangement with new notes of one player, written after the others."""
    generator = options.get("generator")
    first = generator[0] if isinstance(generator, list) else generator
    seed = int(torch.randint(2**31, ())) if first is None else first.initial_seed() % 2**31
    others = Arrangement(notes.grid, {name: stem for name, stem in notes.stems.items() if name != player})
    return pipe.arrange(take.lead_sheet, stems=(player, *others.stems), given=others, seed=seed)  # type: ignore[no-any-return]


def beside(new: np.ndarray, old: np.ndarray | None, others: list[np.ndarray]) -> np.ndarray:
    """Bring a new player to the loudness of the old one, softer where the sum with the others would clip.

    Args:
        new: floats (…, samples).
        old: of the same shape; None where this player was not there.
        others: of the same shape.

    Returns:
        Float32 of the same shape.

    Example:
        >>> tone = np.sin(np.arange(1000) / 5)
        >>> bool(np.allclose(beside(tone, 0.5 * tone, []), 0.5 * tone))
        True
    """
    gain, own = 1.0, float(np.sqrt(np.square(new, dtype=float).mean()))
    if old is not None and own > 0 and (was := float(np.sqrt(np.square(old, dtype=float).mean()))) > 0:
        gain = float(np.clip(was / own, 1 / LOUDER, LOUDER))
    rest = np.sum(others, axis=0) if others else np.zeros_like(new)
    level = new * gain
    room = (PEAK - np.sign(level) * rest) / np.maximum(np.abs(level), 1e-9)  # how much of it fits at each sample
    share = np.clip(room, 0.0, 1.0).reshape(-1, new.shape[-1]).min(axis=0)
    share = uniform_filter1d(minimum_filter1d(share, REACH), REACH)  # smooth, and never above what a sample needs
    return np.asarray(level * share, np.float32)
