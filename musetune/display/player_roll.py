"""A player's notes to look at: a piano roll as SVG that is as wide as its place. No scripts, no other files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from musetune.symbols.arrangement import Stem
    from musetune.symbols.beat_grid import BeatGrid

SECOND, ROW = 20, 4  # units of the drawing
FEWEST_ROWS = 8  # a player of few pitches is not drawn in bars as thick as the picture


def player_svg(stem: Stem, grid: BeatGrid, seconds: float, lines_s: Iterable[float], *, name: str = "player") -> str:
    """Draw a player's notes over time, low pitches below.

    Args:
        stem: The notes. Drums have a row for each drum that is struck.
        grid: Seconds of the beats that the notes count in.
        seconds: Length of the picture; what sounds outside it is cut.
        lines_s: Times of the bar lines, seconds.
        name: Who plays, for a screen reader.

    Returns:
        An SVG element that stretches to the width of its place; a note is darker the louder it is.

    Example:
        >>> from musetune.symbols import Arrangement, BeatGrid, Stem, StemNote
        >>> bass = Stem(program=33, notes=(StemNote(0, 2, 36), StemNote(2, 2, 43)))
        >>> player_svg(bass, BeatGrid.constant(bpm=120, n_beats=4), 2.0, [0.0], name="bass").count("<rect")
        2
    """
    pitches = sorted({note.pitch for note in stem.notes})
    if stem.is_drum:
        row_of = {pitch: row for row, pitch in enumerate(pitches)}
    else:
        row_of = {pitch: pitch - pitches[0] for pitch in pitches}
    rows = max([FEWEST_ROWS, *(row + 3 for row in row_of.values())])
    width, height = seconds * SECOND, rows * ROW
    bars = "".join(
        f'<path d="M{time * SECOND:.1f} 0V{height}" stroke="currentColor" opacity=".2"/>' for time in lines_s
    )
    notes = []
    for note in stem.notes:
        start = max(0.0, float(grid.time_at(note.start)))
        end = min(seconds, float(grid.time_at(note.start + note.beats)))
        if end > start:
            y = (rows - 2 - row_of[note.pitch]) * ROW
            notes.append(
                f'<rect x="{start * SECOND:.1f}" y="{y}" width="{max(1.5, (end - start) * SECOND - 1):.1f}" '
                f'height="{ROW}" fill="currentColor" opacity="{0.45 + 0.55 * note.velocity / 127:.2f}"/>'
            )
    return (
        f'<svg class="musetune-player-roll" role="img" aria-label="notes of {name}" preserveAspectRatio="none" '
        f'viewBox="0 0 {width:.1f} {height}" width="100%" height="44">{bars}{"".join(notes)}</svg>'
    )
