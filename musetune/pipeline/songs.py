"""Players of a song: each alone, their sum, and the words for one."""

from __future__ import annotations

import numpy as np

from musetune.symbols.arrangement import Arrangement, Stem


def solo_arrangements(arrangement: Arrangement) -> dict[str, Arrangement]:
    """Return each player alone, the others silent; those without notes are left out."""
    return {name: Arrangement(arrangement.grid, {name: stem}) for name, stem in arrangement.stems.items() if stem.notes}


def mix_stems(stems: dict[str, np.ndarray]) -> np.ndarray:
    """Return the sum of the players' audio, (1, samples), or in stereo (1, 2, samples)."""
    return np.sum(list(stems.values()), axis=0, keepdims=True)


def solo_prompt(stem: Stem, genre: str | None) -> str:
    """Return the words for one player alone, as training has them."""
    from musetune.planning.rules.styles import PROGRAM_NAMES

    player = "drums" if stem.is_drum else PROGRAM_NAMES.get(stem.program, "instrument")
    return f"solo {player}" + (f", {genre}" if genre else "")
