"""Styles whose row a plan fits, for captions: what the structure transformer reads is what the planner's table says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from musetune.planning.planner.language import Plan
from musetune.planning.planner.song_style import SongStyle, chord_kinds
from musetune.planning.planner.song_styles import BUILT_IN, read_styles


@lru_cache(maxsize=1)
def _table() -> tuple[SongStyle, ...]:
    """The styles that say enough to be recognised: tempo, harmonic rhythm and kinds of chords."""
    return tuple(s for s in read_styles(BUILT_IN) if s.genre and s.tempo and s.chords_a_bar and s.vocabulary)


def fitting_styles(plan: Plan, styles: Sequence[SongStyle] | None = None) -> list[str]:
    """Names of the styles whose genre, meter, mode, tempo, harmonic rhythm and kinds of chords a plan keeps.

    Args:
        plan: A song with its chords.
        styles: Rows to compare with; None: those of the package.

    Returns:
        Names in the table's order; empty where no row fits.
    """
    chords = [chord for label in plan.form for bar in plan.content[label] for chord in bar]
    if not chords:
        return []
    rhythm = sum(a[1:] != b[1:] for a, b in zip(chords, [*chords[1:], chords[0]], strict=True)) / plan.bars
    kinds = [chord_kinds(chord, plan.key.mode) for chord in chords]
    shares = {
        kind: sum(kind in one for one in kinds) / len(kinds) for kind in ("sevenths", "outside", "slash", "power")
    }
    return [style.style for style in styles or _table() if _fits(style, plan, rhythm, shares)]


def _fits(style: SongStyle, plan: Plan, rhythm: float, shares: dict[str, float]) -> bool:
    rules = (
        plan.genre in style.genre,
        not style.meters or str(plan.meter) in dict(style.meters),
        style.mode in (None, plan.key.mode),
        style.tempo is None or style.tempo[0] <= plan.bpm <= style.tempo[1],
        style.chords_a_bar is None or style.chords_a_bar[0] <= rhythm <= style.chords_a_bar[2],
        all(low <= shares[kind] <= high for kind, (low, high) in style.vocabulary),
    )
    return all(rules)
