"""Other players for a rendered clip.

Notes that no pattern explains, and one player alone, so that a model learns to play what is written.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from musetune.planning.rules.orchestrate import CaptionedArrangement, close_voicing, tempo_word
from musetune.planning.rules.styles import DRUM_NOTES, PROGRAM_NAMES, STYLES
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement, Stem, StemNote

SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
RANGES = {"bass": (28, 52), "lead": (52, 91)}  # MIDI pitches
RHYTHMS = ((1.0, 1.0, 2.0), (0.5, 0.5, 1.0, 1.5), (0.25, 0.5, 0.5, 0.75, 1.0), (1 / 3, 2 / 3, 1.0))  # beats


def free(take: CaptionedArrangement, sheet: LeadSheet, rng: random.Random) -> CaptionedArrangement:
    """The take's players with other notes.

    Drum hits, rhythms and lines drawn at random on the beats' grid, chords where the sheet has them.
    """
    stems = dict(take.arrangement.stems)
    if "lead" not in stems and rng.random() < 0.6:
        stems["lead"] = Stem(rng.choice(STYLES[sheet.genre or "pop"].lead_programs), ())
    for name, stem in stems.items():
        if name == "drums":
            notes = drum_hits(sheet, rng)
        elif name in RANGES:
            notes = line(sheet, *RANGES[name], rng)
        else:
            notes = strums(sheet, rng)
        stems[name] = replace(stem, notes=tuple(notes))
    return replace(take, arrangement=Arrangement(take.arrangement.grid, stems))


def solo(take: CaptionedArrangement, sheet: LeadSheet, rng: random.Random) -> CaptionedArrangement:
    """One of the take's players alone, and words that say so."""
    name = rng.choice(sorted(take.arrangement.stems))
    stem = take.arrangement.stems[name]
    player = "drums" if stem.is_drum else PROGRAM_NAMES[stem.program]
    wordings = (
        f"solo {player}",
        f"solo {player}, {sheet.genre}",
        f"{player} alone, {tempo_word(sheet.bpm)} {sheet.genre}",
    )
    return CaptionedArrangement(Arrangement(take.arrangement.grid, {name: stem}), rng.choice(wordings))


def drum_hits(sheet: LeadSheet, rng: random.Random) -> Iterator[StemNote]:
    """Each class of a drawn kit at its own density, a bar's pattern drawn anew every one to four bars."""
    steps = 3 if sheet.meter.compound or rng.random() < 0.2 else 4
    bar = round(float(sheet.meter.beats_per_bar) * steps)
    kit = rng.sample(sorted(DRUM_NOTES), rng.randint(2, 5))
    density = {name: rng.choice((0.06, 0.12, 0.25, 0.5)) for name in kit}
    pattern: list[str] = []
    for step in range(int(float(sheet.length) * steps)):
        if step % bar == 0 and (not pattern or rng.random() < 0.4):
            pattern = [
                " ".join(n for n in kit if rng.random() < density[n] * (2 if i % steps == 0 else 0.8))
                for i in range(bar)
            ]
        for name in pattern[step % bar].split():
            yield StemNote(step / steps, 0.25, DRUM_NOTES[name], rng.randint(70, 110))


def line(sheet: LeadSheet, low: int, high: int, rng: random.Random) -> Iterator[StemNote]:
    """A walk of steps and leaps through the key's scale and the chords' tones, with rests."""
    at, last = 0.0, rng.randint(low, high)
    scale = {(sheet.key.tonic_pc + step) % 12 for step in SCALES[sheet.key.mode]}
    rhythm, rest, tonal = rng.choice(RHYTHMS), rng.choice((0.05, 0.2, 0.4)), rng.choice((0.2, 0.5, 0.9))
    while at < float(sheet.length):
        beats = min(rng.choice(rhythm), float(sheet.length) - at)
        if rng.random() > rest:
            chord = sheet.chord_at(at)
            tones = set(chord.pitch_classes) if chord.root is not None and rng.random() < tonal else scale
            reach = [p for p in range(max(low, last - 12), min(high, last + 12) + 1) if p % 12 in tones]
            last = rng.choice(sorted(reach, key=lambda p: abs(p - last))[:6])
            yield StemNote(at, beats * rng.choice((0.5, 0.9, 1.0)), last, rng.randint(75, 105))
        at += beats


def strums(sheet: LeadSheet, rng: random.Random) -> Iterator[StemNote]:
    """The chords' voicings, or one or two of their tones, at drawn onsets."""
    at, low = 0.0, rng.choice((45, 48, 52, 55, 60))
    rhythm, full = rng.choice(RHYTHMS), rng.random()
    while at < float(sheet.length):
        beats = min(rng.choice(rhythm), float(sheet.length) - at)
        chord = sheet.chord_at(at)
        if chord.root is not None and rng.random() < 0.8:
            voicing = close_voicing(chord, low)
            some = voicing if rng.random() < full else rng.sample(voicing, min(len(voicing), rng.randint(1, 2)))
            velocity = rng.randint(65, 95)
            yield from (StemNote(at, beats * 0.95, pitch, velocity) for pitch in some)
        at += beats
