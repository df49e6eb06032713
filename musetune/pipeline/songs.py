"""Players of a song: each alone, where each stands, their sum, and the words for one."""

from __future__ import annotations

import numpy as np

from musetune.audio.mixing import Seat, place
from musetune.symbols.arrangement import Arrangement, Stem

SEATS = {"guitar": Seat(pan=-0.4), "keys": Seat(pan=0.4)}  # of a stereo mix; the others stand in the middle


def seat_of(player: str) -> Seat:
    """Return where a player stands in stereo.

    Example:
        >>> seat_of("guitar").pan, seat_of("bass").pan
        (-0.4, 0.0)
    """
    return SEATS.get(player, Seat())


def place_players(stems: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the players' stereo audio, (2, samples) each, with each at its seat; their mono sum stays."""
    return {name: place(wave, seat_of(name)) for name, wave in stems.items()}


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
