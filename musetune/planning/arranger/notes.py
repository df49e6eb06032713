"""Events of a passage → notes of a stem.

Pitches in the passage's key, lengths that end where the next note begins, accents by meter.
"""

from __future__ import annotations

from musetune.planning.arranger.language import DRUM_CLASSES, STEM_RANGES, STEPS, Passage, StemEvent, drums_in
from musetune.symbols.arrangement import StemNote

LOUDNESS = {"drums": 84, "bass": 88, "guitar": 74, "keys": 76, "lead": 92}  # MIDI velocity between the beats
DOWNBEAT, BEAT, EIGHTH = 14, 8, 2  # added on the bar line, on another beat, half-way between beats
CLAP = 39  # what stands for the stick in electronic music


def accent(step: int, passage: Passage) -> int:
    """What the place in the bar adds to a note's velocity."""
    in_bar = step % passage.bar_steps
    return DOWNBEAT if in_bar == 0 else BEAT if in_bar % STEPS == 0 else EIGHTH if in_bar % 6 == 0 else 0


def stem_notes(stem: str, events: list[StemEvent], passage: Passage, start: float, end: float) -> list[StemNote]:
    """Notes in beats of a song: the passage begins at beat ``start``, nothing sounds before 0 or after ``end``."""
    if stem == "drums":
        notes = [
            StemNote(start + e.step / STEPS, 0.25, _drum(name, passage), LOUDNESS[stem] + accent(e.step, passage))
            for e in events
            for name in drums_in(e.pitch)
        ]
    else:
        notes = _pitched_notes(stem, events, passage, start)
    return [
        StemNote(n.start, min(n.beats, end - n.start), n.pitch, n.velocity)
        for n in notes
        if -1e-9 <= n.start < end - 1e-6
    ]


def _drum(name: str, passage: Passage) -> int:
    return CLAP if name == "stick" and passage.genre == "electronic" else DRUM_CLASSES[name][0]


def _pitched_notes(stem: str, events: list[StemEvent], passage: Passage, start: float) -> list[StemNote]:
    """A single voice ends where its next note begins; of several, each where its own pitch is struck again."""
    player, notes = STEM_RANGES[stem], []
    following: dict[int, int] = {}  # where a pitch, or anything (−1), sounds next
    for event in sorted(events, key=lambda e: -e.step):
        voice = event.pitch if player.voices > 1 else -1
        steps = min(event.steps, following.get(voice, passage.steps) - event.step)
        following[voice] = event.step
        pitch = event.pitch + passage.offset
        pitch += 12 * (
            -(-(player.low - pitch) // 12)
            if pitch < player.low
            else -((pitch - player.high + 11) // 12)
            if pitch > player.high
            else 0
        )
        velocity = LOUDNESS[stem] + accent(event.step, passage)
        notes.append(StemNote(start + event.step / STEPS, steps / STEPS, pitch, velocity))
    return sorted(notes, key=lambda n: (n.start, n.pitch))
