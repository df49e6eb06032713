"""Lead lines that breathe: motifs that come back over other chords, phrases that close, and rests between them.

A motif is a rhythm in a bar and moves along the scale. Played again it keeps both; notes on strong beats go to the
nearest tone of the chord that sounds.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from musetune.planning.rules.grooves.bar import GrooveBar, Strike
from musetune.symbols import Chord, Key
from musetune.symbols.key import SCALES

PHRASE = 4  # bars
SCALE_STEP = 12 / 7  # semitones
# What a pulse of four steps sings, by how many notes it has, and how often; a pulse of six stretches it
SUNG = {
    "-": ((), 1.0),  # the note before goes on
    "q": ((0,), 3.2),
    "e": ((0, 2), 3.0),
    "s": ((2,), 1.1),
    "d": ((0, 3), 0.5),
    "t": ((0, 2, 3), 0.35),
}
MOVES = {0: 2.6, 1: 2.8, -1: 3.1, 2: 1.2, -2: 1.2, 3: 0.5, -3: 0.35, 4: 0.3, -4: 0.15}  # scale steps from note to note
LEANING = 0.78  # share of notes that may lean
PASSING = 0.75  # share of a fast line's beats after the first that may have any tone of the scale
PULL = 0.4  # how far each bar goes back to where its motif lies in the middle; a phrase begins there
CANDIDATES = 6  # motifs of which the one is sung that has nearest to as many notes as the section's density asks
FULLER = 0.6  # how much fuller a line is that rests in between, as a share of its density at a breath of 1
FEWEST, MORE = 0.3, 1.05  # notes a pulse at density 0, and what density 1 adds
PLANS = ("abac", "aabc", "abbc", "abcd")  # motifs of a phrase's bars; the last one closes


@dataclass(frozen=True)
class LeadSection:
    """What a lead knows of the section that it plays.

    Attributes:
        bars: The section's bars in order.
        keys: The key in force in each.
        low: Lowest MIDI pitch of the instrument.
        high: Highest.
        seed: What random choices follow from; equal in sections that come back.
        height: 0–1, where in the range it lies: a chorus above a verse.
        density: How much is played, 0–1.
        breath: Share of the phrases that close a bar early and rest in their last bar, 0–1.
    """

    bars: tuple[GrooveBar, ...]
    keys: tuple[Key, ...]
    low: int = 60
    high: int = 84
    seed: str = "0"
    height: float = 0.45
    density: float = 0.7
    breath: float = 0.0

    @property
    def fullness(self) -> float:
        """How much it plays in bars in which it does not rest: lines that rest sing more in between."""
        return self.density * (1 + FULLER * self.breath)

    @property
    def middle(self) -> float:
        """The pitch around which it moves."""
        return self.low + (self.high - self.low) * (0.22 + 0.52 * self.height)


@dataclass(frozen=True)
class Motif:
    """Places of a bar's notes in steps, the moves along the scale to each of them, and which may lean.

    A note that leans stays beside the chord's tone on a strong beat; the next one goes down to it.
    """

    places: tuple[float, ...]
    moves: tuple[int, ...]
    leaning: tuple[bool, ...] = ()

    @property
    def rise(self) -> float:
        """Semitones by which its notes lie above where it comes from, in the mean."""
        return SCALE_STEP * sum(itertools.accumulate(self.moves)) / max(len(self.moves), 1)


def phrases(section: LeadSection) -> Iterator[tuple[int, Strike]]:
    """Four-bar phrases of two or three motifs, closed by a long note and a breath."""
    chance = random.Random(f"{section.seed}:phrases")
    plan = chance.choice(PLANS)
    breath = section.breath * min(2 * (1.3 - section.density), 1.2)  # a full section leaves out fewer bars
    motifs: dict[tuple[str, int], Motif] = {}
    last: float = section.middle
    for start in range(0, len(section.bars), PHRASE):
        bars = section.bars[start : start + PHRASE]
        final = start + PHRASE >= len(section.bars)
        rests = chance.random() < breath
        if rests and len(bars) == PHRASE:
            bars = bars[:-1]
        for offset, bar in enumerate(bars):
            closes = offset == len(bars) - 1
            name = "close" if closes else plan[offset]
            key = (name + ("!" if closes and final else ""), len(bar.pulses))
            if key not in motifs:
                own = random.Random(f"{section.seed}:{key}")
                motifs[key] = _closing(bar, own, final) if closes else _motif(bar, own, section.fullness)
            away = section.middle - motifs[key].rise - last
            last += away * (PULL if offset else 1)
            for strike in _sing(section, start + offset, motifs[key], last):
                last = strike.pitch
                yield start + offset, strike


def riff(section: LeadSection) -> Iterator[tuple[int, Strike]]:
    """One bar or two of a short figure, again and again, moved to each chord; every fourth bar answers or rests."""
    chance = random.Random(f"{section.seed}:riff")
    bars = section.bars
    size = chance.choice((1, 2, 2))
    figures = {
        (i, n): _nearest([_figure(bar, chance) for _ in range(CANDIDATES)], bar, section.fullness)
        for i in range(size)
        for n, bar in {len(b.pulses): b for b in bars}.items()
    }
    rests = [chance.random() < section.breath for _ in range(0, len(bars), PHRASE)]
    answers = {n: _closing(bar, chance, False) for n, bar in {len(b.pulses): b for b in bars}.items()}
    for index, bar in enumerate(bars):
        answer = index % PHRASE == PHRASE - 1
        if answer and rests[index // PHRASE]:
            continue
        motif = answers[len(bar.pulses)] if answer else figures[index % size, len(bar.pulses)]
        for strike in _sing(section, index, motif, section.middle - motif.rise, pentatonic=True):
            yield index, strike


def bebop_line(section: LeadSection) -> Iterator[tuple[int, Strike]]:
    """Lines of eighths over two or three bars: chord tones on most beats, steps between; then a rest."""
    chance, rhythm = random.Random(f"{section.seed}:bebop"), random.Random(f"{section.seed}:bebop lines")
    last, index, direction = section.middle, 0, -1
    while index < len(section.bars):
        length = min(rhythm.choice((2, 2, 3)), len(section.bars) - index)
        for offset in range(length):
            bar = section.bars[index + offset]
            final = offset == length - 1
            places = [pulse.start + half for pulse in bar.pulses for half in (0, pulse.steps - 2)]
            if offset == 0:
                places = places[rhythm.choice((0, 1, 2, 3)) :]
            if final:
                going = round(len(places) * (0.1 + 0.6 * section.density))
                places = places[: max(2, going + rhythm.choice((-1, 0, 1)))]
            for at, step in enumerate(places):
                chord = bar.chord_at(step)
                if chord is None or chord.root is None:
                    continue
                strong = any(step == pulse.start for pulse in bar.pulses)
                if not section.low + 3 < last < section.high - 3 or chance.random() < 0.12:
                    direction = -1 if last > section.middle else 1
                settled = strong and (step == 0 or chance.random() > PASSING)
                tones = chord.pitch_classes if settled else _scale(section.keys[index + offset], chord)
                near = [p for p in range(section.low, section.high + 1) if p % 12 in tones and p != last]
                ahead = [p for p in near if 0 < (p - last) * direction <= 5] or near
                pitch = min(ahead, key=lambda p: (abs(p - last), p))
                if strong and chance.random() < 0.2:
                    pitch = min(ahead, key=lambda p: (abs(abs(p - last) - 4), p))
                end = places[at + 1] if at + 1 < len(places) else step + 3
                yield index + offset, Strike(step, max(1.0, (end - step) * 0.95), pitch, 0.6 + 0.12 * (not strong))
                last = pitch
        index += length


def call_and_response(section: LeadSection) -> Iterator[tuple[int, Strike]]:
    """Blues: a two-bar call on the blues scale, sung twice and then answered, with as much silence after each."""
    chance = random.Random(f"{section.seed}:blues")
    motifs: dict[tuple[str, int], Motif] = {}
    for index, bar in enumerate(section.bars):
        line, place = divmod(index, PHRASE)
        name = ("call" if line % 3 < 2 else "answer") + str(place)
        if place > 2 or (place == 2 and len(section.bars) > 2):
            if place == 2:
                continue
            name = "fill"
        key = (name, len(bar.pulses))
        if key not in motifs:
            motifs[key] = (
                _closing(bar, chance, False)
                if place == 1
                else _tail(bar, chance)
                if name == "fill"
                else _motif(bar, random.Random(f"{section.seed}:{key}"), section.density)
            )
        for strike in _sing(section, index, motifs[key], section.middle - motifs[key].rise, blues=True):
            yield index, strike


# -- motifs ------------------------------------------------------------------------------------------------------------


def _places(bar: GrooveBar, cells: Sequence[str]) -> tuple[float, ...]:
    return tuple(
        pulse.start + (place if pulse.steps <= 4 else {0: 0, 2: 4 if cell == "e" else 2, 3: 5}[place])
        for pulse, cell in zip(bar.pulses, cells)
        for place in SUNG[cell][0]
        if place < pulse.steps
    )


def _draw_moves(count: int, chance: random.Random) -> tuple[int, ...]:
    moves = []
    for _ in range(count):
        moves.append(chance.choices(list(MOVES), list(MOVES.values()))[0])
        if len(moves) > 1 and abs(moves[-2]) > 2:  # a leap turns back by step
            moves[-1] = -1 if moves[-2] > 0 else 1
    return tuple(moves)


def _motif(bar: GrooveBar, chance: random.Random, density: float) -> Motif:
    """A bar that moves: of several with at least two notes the one that has nearest to as many as the density asks."""
    weights = {cell: weight for cell, (_, weight) in SUNG.items()}
    drawn: list[Motif] = []
    while len(drawn) < CANDIDATES:
        cells = chance.choices(list(weights), list(weights.values()), k=len(bar.pulses))
        places = _places(bar, cells)
        if len(places) >= min(2, len(bar.pulses)) and (places[0] <= 4 or len(bar.pulses) == 1):
            leaning = tuple(chance.random() < LEANING for _ in places[:-1])
            drawn.append(Motif(places, _draw_moves(len(places), chance), leaning))
    return _nearest(drawn, bar, density)


def _nearest(motifs: Sequence[Motif], bar: GrooveBar, density: float) -> Motif:
    """The motif whose number of notes is nearest to what a density asks for; of two the one with more."""
    wanted = len(bar.pulses) * (FEWEST + MORE * density)
    return min(motifs, key=lambda motif: (abs(len(motif.places) - wanted), -len(motif.places)))


def _closing(bar: GrooveBar, chance: random.Random, final: bool) -> Motif:
    """A bar that closes: one to three notes, the last one long, silence after it; now and then a pick-up."""
    cells = ["-"] * len(bar.pulses)
    if len(bar.pulses) > 2 and not final:
        cells[0] = chance.choice("qeqs")
        cells[1] = "q"
    else:
        cells[0] = "q"
    if not final and len(bar.pulses) > 2 and chance.random() < 0.35:
        cells[-1] = chance.choice("es")
    places = _places(bar, cells)
    return Motif(places, tuple(chance.choice((-1, -1, 1, 0)) for _ in places))


def _tail(bar: GrooveBar, chance: random.Random) -> Motif:
    cells = ["-"] * len(bar.pulses)
    cells[-1] = chance.choice("eset")
    places = _places(bar, cells)
    return Motif(places, _draw_moves(len(places), chance))


def _figure(bar: GrooveBar, chance: random.Random) -> Motif:
    """A riff's bar: syncopated, the last beat often silent."""
    cells = [chance.choices("qesdt-", (2.0, 2.6, 2.0, 1.6, 1.0, 0.8))[0] for _ in bar.pulses]
    cells[0] = chance.choice("qedt")
    if len(cells) > 2 and chance.random() < 0.6:
        cells[-1] = "-"
    places = _places(bar, cells)
    return Motif(places, _draw_moves(len(places), chance), tuple(chance.random() < LEANING for _ in places[:-1]))


# -- pitches -----------------------------------------------------------------------------------------------------------


def _scale(key: Key, chord: Chord) -> tuple[int, ...]:
    """The key's scale with the chord's tones; what lies a half-step from a foreign chord tone makes way for it."""
    scale = {(key.tonic_pc + step) % 12 for step in SCALES[key.mode]}
    tones = set(chord.pitch_classes)
    foreign = tones - scale
    return tuple(sorted(tones | {pc for pc in scale if not {(pc + 1) % 12, (pc - 1) % 12} & foreign}))


def _pentatonic(key: Key, chord: Chord) -> tuple[int, ...]:
    five = (0, 2, 4, 7, 9) if key.mode == "major" else (0, 3, 5, 7, 10)
    return tuple(
        sorted({(key.tonic_pc + step) % 12 for step in five} & set(_scale(key, chord)) | set(chord.pitch_classes))
    )


def _blues(key: Key) -> tuple[int, ...]:
    return tuple(sorted((key.tonic_pc + step) % 12 for step in (0, 3, 5, 6, 7, 10)))


def _sing(
    section: LeadSection, index: int, motif: Motif, last: float, *, pentatonic: bool = False, blues: bool = False
) -> Iterator[Strike]:
    """A motif in a bar, from the pitch before it; nothing where no chord sounds."""
    bar, key = section.bars[index], section.keys[index]
    strong = {pulse.start for pulse in bar.pulses if pulse.quarter % 2 == 0}
    places, leaned = motif.places, False
    for at, (step, move) in enumerate(zip(places, motif.moves)):
        chord = bar.chord_at(step)
        if chord is None or chord.root is None:
            continue
        following = places[at + 1] if at + 1 < len(places) else None
        room = (following if following is not None else bar.steps) - step
        lasting = min(room, 4 if following is not None or not strong & {step} else max(6, bar.steps * 0.6))
        important = step in strong or lasting >= 4
        tones = _blues(key) if blues else _pentatonic(key, chord) if pentatonic else _scale(key, chord)
        ladder = [pitch for pitch in range(section.low, section.high + 1) if pitch % 12 in tones]
        here = min(range(len(ladder)), key=lambda i: (abs(ladder[i] - last), ladder[i]))
        if (last - section.middle > 4 and move > 0) or (section.middle - last > 4 and move < 0):
            move = -move
        pitch = ladder[min(max(here + (-1 if leaned else move), 0), len(ladder) - 1)]
        leans = at < len(motif.leaning) and motif.leaning[at] and lasting < 8
        leans = leans and not (blues and at % 2)  # the blues has its own leaning notes
        leaned = important and leans and pitch % 12 not in chord.pitch_classes
        if important and not leaned and pitch % 12 not in chord.pitch_classes:
            own = [p for p in range(section.low, section.high + 1) if p % 12 in chord.pitch_classes]
            pitch = min(own, key=lambda p: (abs(p - pitch), (p < pitch) == (move > 0)))
        yield Strike(step, lasting * 0.96, pitch, 0.66 + 0.12 * (step in strong))
        last = pitch
