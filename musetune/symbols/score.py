"""Notes on paper: voices with metres, key signatures, tempo and pick-up, in beats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from musetune.symbols.beat_grid import BeatGrid
from musetune.symbols.spans import KeySpan, MeterSpan, Note


@dataclass(frozen=True)
class Score:
    """The notes of a piece. Places are beats (rational), which ``grid`` maps to seconds.

    ``voices``: one tuple of notes a voice, in order, no two of a voice at once; ``names``: the part's name of each
    voice. ``percussion``: unpitched notes, pitch by General MIDI. ``signatures``: keys as written, major where no mode
    is written. ``meters`` start at bar lines; one of the same metre as before restarts the count after an irregular
    bar. ``first_downbeat``: beats before the first full bar. ``fifths``: places of the notes' names on the line of
    fifths (C 0, G 1, F −1, B♭ −2, F♯ 6), one tuple a voice; empty where the file has no note names (MIDI).
    """

    voices: tuple[tuple[Note, ...], ...]
    names: tuple[str, ...]
    percussion: tuple[Note, ...]
    meters: tuple[MeterSpan, ...]
    signatures: tuple[KeySpan, ...]
    grid: BeatGrid
    length: Fraction
    first_downbeat: Fraction = Fraction(0)
    fifths: tuple[tuple[int, ...], ...] = ()

    def downbeats(self) -> list[Fraction]:
        """Beats of the bar lines."""
        out: list[Fraction] = []
        for i, span in enumerate(self.meters):
            at = self.first_downbeat if i == 0 else span.start
            end = self.meters[i + 1].start if i + 1 < len(self.meters) else self.length
            count = max(0, math.ceil((end - at) / span.meter.beats_per_bar))
            out += [at + n * span.meter.beats_per_bar for n in range(count)]
        return out
