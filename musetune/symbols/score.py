"""Notes on paper: voices with meters, key signatures, tempo and pick-up, in beats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from musetune.symbols.beat_grid import BeatGrid
from musetune.symbols.spans import KeySpan, MeterSpan, Note


@dataclass(frozen=True)
class Score:
    """Notes of a piece on paper. Places are beats (rational), which ``grid`` maps to seconds.

    Args:
        voices: One tuple of notes a voice, in order, no two of a voice at once.
        names: Name of the part that each voice belongs to.
        percussion: Unpitched notes, pitch by General MIDI.
        meters: Time signatures from their bar lines on; one of the same meter as before restarts the count after an
            irregular bar.
        signatures: Keys as written, major where no mode is written.
        grid: Seconds of the beats.
        length: Beats in all.
        first_downbeat: Beats before the first full bar.
        fifths: Places of the notes' names on the line of fifths (C 0, G 1, F −1, B♭ −2, F♯ 6), one tuple a voice; empty
            where the file has no note names (MIDI).

    Example:
        >>> from musetune.symbols import BeatGrid, Key, KeySpan, Meter, MeterSpan, Note
        >>> tune = tuple(Note(Fraction(beat), Fraction(1), pitch) for beat, pitch in enumerate((67, 60, 62, 64)))
        >>> score = Score(
        ...     voices=(tune,),
        ...     names=("Flute",),
        ...     percussion=(),
        ...     meters=(MeterSpan(Fraction(0), Meter(3, 4)),),
        ...     signatures=(KeySpan(Fraction(0), Key("C")),),
        ...     grid=BeatGrid.constant(bpm=90, n_beats=4),
        ...     length=Fraction(4),
        ...     first_downbeat=Fraction(1),
        ... )
        >>> [int(line) for line in score.downbeats()]
        [1]
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
