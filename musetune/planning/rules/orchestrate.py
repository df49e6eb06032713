"""LeadSheet → Arrangement by rule: the patterns of ``styles`` played on the sheet's chords, beats and meter.

It makes training data and reference renderings. It is a rule-made pattern, never a model's invention.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from musetune.planning.rules.styles import (
    COMPOUND_BASS,
    COMPOUND_COMPING,
    COMPOUND_DRUMS,
    DRUM_NOTES,
    PROGRAM_NAMES,
    STYLES,
    Style,
)
from musetune.symbols import Chord, LeadSheet
from musetune.symbols.arrangement import Arrangement, Stem, StemNote


@dataclass(frozen=True)
class CaptionedArrangement:
    """An arrangement and the words that describe it."""

    arrangement: Arrangement
    prompt: str


def orchestrate(sheet: LeadSheet, *, genre: str | None = None, seed: int = 0) -> CaptionedArrangement:
    """Arrange a lead sheet by rule, and put it into words.

    Args:
        sheet: What is played.
        genre: One of `styles.STYLES`; None: the sheet's own, else pop.
        seed: Draws patterns, players and words.

    Returns:
        The arrangement, and a prompt that names genre, mood, tempo and instruments.

    Raises:
        ValueError: The genre has no style.

    Example:
        >>> from musetune import LeadSheet
        >>> take = orchestrate(LeadSheet.parse("| C | F |", bpm=120), genre="jazz")
        >>> "bass" in take.arrangement.stems, "jazz" in take.prompt
        (True, True)
    """
    name = genre or sheet.genre or "pop"
    if name not in STYLES:
        raise ValueError(f"genre={name!r} has no style; choose one of {', '.join(STYLES)}")
    style, rng = STYLES[name], random.Random(seed)
    if sheet.meter.compound:
        kits = COMPOUND_DRUMS if style.drum_share else style.drums
        style = replace(style, drums=kits, bass=COMPOUND_BASS, comping=COMPOUND_COMPING)
    player = RulePlayer(sheet, style, rng)
    stems: dict[str, Stem] = {}
    if rng.random() < style.drum_share:
        stems["drums"] = Stem(0, tuple(player.drums(rng.choice(style.drums))), is_drum=True)
    stems["bass"] = Stem(rng.choice(style.bass_programs), tuple(player.bass(rng.choice(style.bass))))
    roles = rng.choice((("keys",), ("guitar",), ("keys", "guitar"), ("keys", "guitar")))
    for role in roles:
        programs = style.keys_programs if role == "keys" else style.guitar_programs
        low = rng.choice((48, 52, 55, 58))
        stems[role] = Stem(rng.choice(programs), tuple(player.comp(rng.choice(style.comping), low)))
    if rng.random() < 0.6:
        lead = tuple(player.lead()) if sheet.melody and rng.random() < 0.7 else tuple(player.improvise())
        stems["lead"] = Stem(rng.choice(style.lead_programs), lead)
    prompt = describe(name, style, stems, sheet.bpm, str(sheet.meter), rng)
    return CaptionedArrangement(Arrangement(sheet.grid, stems), prompt)


def tempo_word(bpm: float) -> str:
    """Slow below 80 bpm, medium below 115, fast below 145, very fast above."""
    return "slow" if bpm < 80 else "medium tempo" if bpm < 115 else "fast" if bpm < 145 else "very fast"


def describe(genre: str, style: Style, stems: dict[str, Stem], bpm: float, meter: str, rng: random.Random) -> str:
    """A caption that names genre, mood, tempo and instruments, worded at random."""
    players = ["drums" if s.is_drum else PROGRAM_NAMES[s.program] for s in stems.values()]
    rng.shuffle(players)
    players = list(dict.fromkeys(players))[: rng.randint(2, 5)]
    band = players[0] if len(players) == 1 else ", ".join(players[:-1]) + " and " + players[-1]
    mood = rng.choice(style.moods)
    kind = (
        f"{genre} waltz"
        if meter == "3/4" and rng.random() < 0.5
        else f"{genre} {rng.choice(('music', 'song', 'track', 'piece'))}"
    )
    wordings = (
        f"{mood} {kind} with {band}, {tempo_word(bpm)}",
        f"a {tempo_word(bpm)} {mood} {kind}, {band}",
        f"{kind} with {band}",
        f"{mood} {kind}, {round(bpm)} bpm, {band}",
        f"{mood} {kind}",
    )
    return rng.choice(wordings)


class RulePlayer:
    """Reads a sheet and a style and yields notes; one method a role."""

    def __init__(self, sheet: LeadSheet, style: Style, rng: random.Random) -> None:
        self.sheet, self.rng = sheet, rng
        self.steps = 3 if style.swing or sheet.meter.compound else 4
        self.bar = float(sheet.meter.beats_per_bar)
        self.length = float(sheet.length)
        self.first = float(sheet.first_downbeat)
        self.spans = [
            (float(s.start), float(s.start + s.beats), s.chord) for s in sheet.chords if s.chord.root is not None
        ]

    def drums(self, kit: dict[str, str]) -> Iterator[StemNote]:
        """The kit's patterns, and in most takes a cymbal on the first bar line."""
        for name, pattern in kit.items():
            for beat, _, symbol in self._steps(pattern):
                velocity = (105 if symbol == "X" else 78) + self.rng.randint(-8, 8)
                yield StemNote(beat, 0.25, DRUM_NOTES[name], velocity)
        if self.rng.random() < 0.7:
            yield StemNote(self.first, 1.0, DRUM_NOTES["crash"], 88)

    def bass(self, pattern: str) -> Iterator[StemNote]:
        """One note a step, struck again where the harmony changes under it."""
        for beat, beats, symbol in self._steps(pattern, holds=True):
            for start, end, chord in self._chords_in(beat, beats):
                restrike = start > beat
                pitch = self._bass_pitch(chord, "R" if restrike else symbol, start, beat)
                yield StemNote(start, end - start, pitch, 92 + self.rng.randint(-8, 8))

    def comp(self, pattern: str, low: int) -> Iterator[StemNote]:
        """Close voicings from MIDI pitch ``low`` up, whole or one tone after another."""
        count = 0
        for beat, beats, symbol in self._steps(pattern, holds=True):
            for start, end, chord in self._chords_in(beat, beats):
                voicing = close_voicing(chord, low)
                pitches = [voicing[count % len(voicing)]] if symbol == "a" else voicing
                count += 1
                velocity = 80 + self.rng.randint(-10, 10)
                for pitch in pitches:
                    yield StemNote(start, end - start, pitch, velocity)

    def lead(self) -> Iterator[StemNote]:
        """The sheet's own melody."""
        for note in self.sheet.melody:
            yield StemNote(float(note.start), float(note.beats), note.pitch, 90)

    def improvise(self) -> Iterator[StemNote]:
        """Chord tones on the beat or held over two, one in four left out: a plain tune that fits the harmony."""
        beat, last = 0.0, self.rng.randint(67, 79)
        while beat < self.length:
            beats = self.rng.choice((0.5, 1.0, 1.0, 2.0))
            for start, end, chord in list(self._chords_in(beat, beats))[:1]:
                if self.rng.random() < 0.75:
                    tones = [p for p in range(62, 86) if p % 12 in chord.pitch_classes]
                    near = sorted(tones, key=lambda p: abs(p - last))[:4]
                    last = self.rng.choice(near)
                    yield StemNote(start, end - start, last, 88 + self.rng.randint(-8, 8))
            beat += beats

    def _steps(self, pattern: str, holds: bool = False) -> Iterator[tuple[float, float, str]]:
        """(beat, length in beats, symbol) of every struck step in all bars, a bar line at ``first_downbeat``."""
        bar_steps = round(self.bar * self.steps)
        cycle = (pattern * (1 + bar_steps // len(pattern)))[:bar_steps]
        bar_start = self.first - (self.bar if self.first > 0 else 0.0)
        while bar_start < self.length:
            for index, symbol in enumerate(cycle):
                if symbol in ".-":
                    continue
                beat, steps = bar_start + index / self.steps, 1
                while holds and index + steps < bar_steps and cycle[index + steps] == "-":
                    steps += 1
                if 0 <= beat < self.length:
                    yield beat, steps / self.steps, symbol
            bar_start += self.bar

    def _chords_in(self, beat: float, beats: float) -> Iterator[tuple[float, float, Chord]]:
        """The chords inside [beat, beat + beats): a held chord is struck again where the harmony changes."""
        for start, end, chord in self.spans:
            if start < beat + beats - 1e-6 and end > beat + 1e-6:
                yield max(start, beat), min(end, beat + beats), chord

    def _bass_pitch(self, chord: Chord, symbol: str, start: float, beat: float) -> int:
        assert chord.root_pc is not None
        assert chord.bass_pc is not None
        root = 36 + (chord.bass_pc - 4) % 12 + 4 - (12 if (chord.bass_pc - 4) % 12 > 8 else 0)
        if symbol == "8":
            return root + 12
        if symbol == "5":
            fifth = [p for p in chord.pitch_classes if (p - chord.root_pc) % 12 in (6, 7, 8)]
            return root + ((fifth[0] if fifth else chord.bass_pc) - root) % 12
        if symbol == "w" and not any(abs(s - start) < 1e-6 for s, _, _ in self.spans):
            tone = self.rng.choice(chord.pitch_classes)
            return root + (tone - root) % 12
        return root


def close_voicing(chord: Chord, low: int) -> list[int]:
    """MIDI pitches of the chord's tones, each in the octave that starts at ``low``, ascending."""
    return sorted(low + (pc - low) % 12 for pc in chord.pitch_classes)


def recolour(sheet: LeadSheet, rng: random.Random) -> LeadSheet:
    """Major and minor triads become sevenths: dominant on V and on secondary dominants, else maj7 and min7.

    A secondary dominant is a major triad whose root lies a fifth above the next chord's root.
    """
    spans = list(sheet.chords)
    for i, span in enumerate(spans):
        chord = span.chord
        following = spans[i + 1].chord if i + 1 < len(spans) else None
        if chord.quality == "maj" and chord.root_pc is not None:
            fifth = (
                following is not None
                and following.root_pc is not None
                and (chord.root_pc - following.root_pc) % 12 == 7
            )
            on_five = (chord.root_pc - sheet.key.tonic_pc) % 12 == 7
            quality = "7" if fifth or on_five or sheet.genre == "blues" else "maj7"
        elif chord.quality == "min":
            quality = "min7"
        else:
            continue
        spans[i] = replace(span, chord=replace(chord, quality=quality, intervals=()))
    return replace(sheet, chords=tuple(spans))
