"""From notes on the grid to a performance: the feel's long and short notes, sections' dynamics, human timing.

The swing ratio falls with the tempo as in Friberg & Sundström, Music Perception 19(3), 2002; deviations of hands are of
the size that Hennig et al., PLoS ONE 6(10), 2011, measured: about ten milliseconds, loosely following each other.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from musetune.planning.rules.band import BandBar
from musetune.planning.rules.grooves.bar import STEPS
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import StemNote

STRAIGHT = 0.5
FAST_BPM, EVEN_BPM = 160, 300  # swing evens out between these tempi
SPREAD_S = {"drums": 0.005, "bass": 0.007, "guitar": 0.009, "keys": 0.009, "lead": 0.011}  # standard deviation
MOST_S = 0.025  # no note strays farther
FOLLOWING = 0.6  # how much of a deviation goes on in the next
STRUM_S = 0.011  # from string to string of a guitar
TOUCH = 4.0  # standard deviation of MIDI velocity
NEAR = 0.02  # steps
TRIPLETS = (STEPS / 3, 2 * STEPS / 3)


@dataclass(frozen=True)
class SwingFeel:
    """Long and short notes: ``ratio`` is the share of a pair that its first lasts, 0.5–0.75.

    ``unit`` is 8 where eighths are long and short, 16 where sixteenths are.
    """

    ratio: float = STRAIGHT
    unit: int = 8

    def at_tempo(self, quarters_a_minute: float) -> SwingFeel:
        """The feel at a tempo: the faster, the more even."""
        even = min(max((quarters_a_minute - FAST_BPM) / (EVEN_BPM - FAST_BPM), 0.0), 1.0)
        return replace(self, ratio=self.ratio + (STRAIGHT - self.ratio) * even)

    def move(self, step: float) -> float:
        """A place inside a quarter, 0–4 steps, with this feel; triplets stay where they are.

        Example:
            >>> SwingFeel(2 / 3).move(2.0)
            2.6666666666666665
        """
        if self.ratio == STRAIGHT or any(abs(step - place) < NEAR for place in TRIPLETS):
            return step
        pair = STEPS / 2 if self.unit == 16 else float(STEPS)
        first, inside = divmod(step, pair)
        half = pair / 2
        long = self.ratio * pair
        moved = inside / half * long if inside < half else long + (inside - half) / half * (pair - long)
        return first * pair + moved


def perform(
    sheet: LeadSheet,
    bars: Sequence[BandBar],
    parts: Mapping[str, Sequence[StemNote]],
    *,
    feel: SwingFeel | None = None,
    humanize: bool = True,
    seed: int = 0,
) -> dict[str, tuple[StemNote, ...]]:
    """Give parts their feel, dynamics and human timing.

    Args:
        sheet: What is played.
        bars: Its bars (``band.band_bars``).
        parts: Notes of each player on the grid.
        feel: None is straight.
        humanize: Whether places and velocities stray a little, as hands do.
        seed: What they stray by.

    Returns:
        The parts; nothing begins before beat 0 or sounds after the end, and single voices stay single.
    """
    starts = [float(place.start) for place in bars]
    quarters = sheet.bpm * float(sheet.meter.beat_quarters)
    feel = (feel or SwingFeel()).at_tempo(quarters)
    out = {}
    for player, notes in parts.items():
        swung = [_shaped(note, bars[max(bisect_right(starts, note.start + 1e-6) - 1, 0)], feel) for note in notes]
        if humanize:
            swung = _humanized(player, swung, sheet, random.Random(f"{seed}:{player}:hands"))
        out[player] = _trimmed(swung, float(sheet.length), single=player in ("bass", "lead"))
    return out


def _shaped(note: StemNote, place: BandBar, feel: SwingFeel) -> StemNote:
    """The note with its bar's feel and its section's loudness."""
    start = _swung(note.start, place, feel)
    end = _swung(note.start + note.beats, place, feel)
    level = place.shape.level_at(place.part)
    return replace(note, start=start, beats=max(end - start, 1e-3), velocity=_in_range(note.velocity * level))


def _swung(beat: float, place: BandBar, feel: SwingFeel) -> float:
    step = (beat - float(place.start)) * place.per_beat
    pulse = next((p for p in place.bar.pulses if p.start - 1e-6 <= step < p.start + p.steps - 1e-6), None)
    if pulse is None or pulse.steps != STEPS:
        return beat
    return place.beat(pulse.start + feel.move(max(step - pulse.start, 0.0)))


def _humanized(player: str, notes: list[StemNote], sheet: LeadSheet, chance: random.Random) -> list[StemNote]:
    """Notes struck together stray together; a guitar's strings follow each other."""
    second = sheet.bpm / 60  # beats
    out: list[StemNote] = []
    drift, before, strings = 0.0, -1.0, 0
    for note in sorted(notes, key=lambda n: (n.start, n.pitch)):
        if abs(note.start - before) > 1e-6:
            drift = FOLLOWING * drift + (1 - FOLLOWING**2) ** 0.5 * chance.gauss(0, SPREAD_S[player])
            before, strings = note.start, 0
        late = strings * STRUM_S if player == "guitar" else chance.gauss(0, 0.0015)
        strings += 1
        away = min(max(drift, -MOST_S), MOST_S) + min(late, 2 * MOST_S)
        start = max(note.start + away * second, 0.0)
        beats = max(note.beats - (start - note.start if start > note.start else 0.0), 0.02)
        out.append(replace(note, start=start, beats=beats, velocity=_in_range(note.velocity + chance.gauss(0, TOUCH))))
    return out


def _trimmed(notes: list[StemNote], length: float, single: bool) -> tuple[StemNote, ...]:
    """Nothing after the end; a single voice ends where its next note begins, a pitch where it is struck again."""
    following: dict[int, float] = {}
    out = []
    for note in sorted(notes, key=lambda n: (n.start, n.pitch), reverse=True):
        voice = -1 if single else note.pitch
        end = min(note.start + note.beats, length, following.get(voice, length))
        if note.start < length - 1e-6 and end - note.start > 1e-3:
            following[voice] = note.start
            out.append(replace(note, beats=end - note.start))
    return tuple(reversed(out))


def _in_range(velocity: float) -> int:
    return min(max(round(velocity), 1), 127)
