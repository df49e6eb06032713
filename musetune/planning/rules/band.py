"""A band by rule: the grooves that a style names, played over a lead sheet's bars, chords and sections.

What is written here stands on the grid; ``expression`` adds swing, dynamics and human timing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from musetune.planning.rules.fills import CRASHING, MACHINES, build, filled
from musetune.planning.rules.grooves.bar import BarChord, GrooveBar, Hit, Strike, steps_per_beat
from musetune.planning.rules.grooves.catalogue import BASS, CHORDS, DRUMS, LEAD, check_groove
from musetune.planning.rules.grooves.drums import KIT
from musetune.planning.rules.grooves.lead import LeadSection
from musetune.planning.rules.grooves.voicing import GUITAR, KEYS
from musetune.planning.rules.lead_ins import SUNG, lead_bass_on, lead_in
from musetune.planning.rules.section_shapes import SectionShape, shape_of_section
from musetune.planning.rules.sheet_bars import bars_of
from musetune.symbols import Chord, LeadSheet, Meter
from musetune.symbols.arrangement import StemNote

LONG_SECTION = 12  # bars; a longer one also has a fill after every eight
ENDING_BARS = 8  # a song of so many bars ends on a held chord
SUNG_GENRES = ("pop", "rock")  # whose melodies are silent in a quarter of their bars (POP909); jazz tunes in few
BREATH = 0.85
CRASHES = 0.7  # density from which a section begins with a cymbal


@dataclass(frozen=True)
class BandBar:
    """A bar of the song: where it begins and ends in beats, its steps a beat, and what a groove reads of it."""

    start: Fraction
    end: Fraction
    per_beat: int
    section: int
    label: str
    bar: GrooveBar
    shape: SectionShape

    def beat(self, step: float) -> float:
        """The beat of the song at a step of the bar."""
        return float(self.start) + step / self.per_beat

    @property
    def part(self) -> float:
        """How much of the section lies before the bar, 0–1."""
        return self.bar.number / max(self.bar.count - 1, 1)


def band_bars(sheet: LeadSheet) -> list[BandBar]:
    """The sheet's bars with chords, sections and shapes; bars between sections make sections of their own."""
    bars = bars_of(sheet)
    ends = [bar.start for bar in bars[1:]] + [sheet.length]
    out: list[BandBar] = []
    spans = [span for span in sheet.chords if span.chord.root is not None]
    labels = {section.label for section in sheet.sections}
    for number, (_, group) in enumerate(itertools.groupby(zip(bars, ends), key=lambda pair: pair[0].section)):
        pairs = list(group)
        section = pairs[0][0].section
        label = "" if section is None else sheet.sections[section].label
        alone = section is None or len(labels) < 2  # nothing is an intro by itself
        shape = SectionShape() if alone or section is None else shape_of_section(sheet.sections[section])
        for index, (place, end) in enumerate(pairs):
            meter = Meter.parse(place.meter)
            per_beat = steps_per_beat(meter)
            chords = tuple(
                BarChord(
                    float((max(span.start, place.start) - place.start) * per_beat),
                    float((min(span.end, end) - place.start) * per_beat),
                    span.chord,
                )
                for span in spans
                if span.start < end and span.end > place.start
            )
            after = sheet.chord_at(end) if end < sheet.length else None
            part = index / max(len(pairs) - 1, 1)
            bar = GrooveBar(
                meter,
                chords,
                after if after is not None and after.root is not None else None,
                index,
                len(pairs),
                shape.density_at(part),
                label,
            )
            out.append(BandBar(place.start, end, per_beat, number, label, bar, shape))
    return out


def play(
    sheet: LeadSheet,
    grooves: Mapping[str, str],
    *,
    seed: int = 0,
    lead_range: tuple[int, int] = (60, 84),
) -> dict[str, tuple[StemNote, ...]]:
    """The parts of players by their grooves' names.

    Args:
        sheet: What is played.
        grooves: Name of each player's groove; "none" is silence.
        seed: An equal seed gives equal notes; sections of one label are played alike.
        lead_range: Lowest and highest MIDI pitch of the lead's instrument.

    Returns:
        Notes in beats of the sheet, on the grid, velocities as if every section were equally loud.

    Raises:
        ValueError: A player or a groove is unknown; the message lists those that there are.

    Example:
        >>> notes = play(LeadSheet.parse("| Dm7 | G7 | Cmaj7 | % |", bpm=130), {"bass": "bossa_two"})
        >>> notes["bass"][0].pitch
        38
    """
    bars = band_bars(sheet)
    ending = _has_ending(sheet, bars)
    out = {}
    for player, name in grooves.items():
        check_groove(player, name)
        kept = f"{seed}:{player}" if player in ("drums", "bass") else ""  # one pattern for the song, more or less full
        own = [replace(b, bar=replace(b.bar, seed=f"{seed}:{player}:{b.label}", song=kept)) for b in bars]
        if player == "drums":
            notes = list(_drums(own, name, ending)) if name in DRUMS else []
        elif player == "bass":
            notes = list(_bass(sheet, own, name, ending)) if name in BASS else []
        elif player == "lead":
            notes = list(_lead(sheet, own, name, lead_range, seed)) if name in LEAD else []
        else:
            notes = list(_chords(own, name, player, ending)) if name in CHORDS else []
        out[player] = _in_time(notes, sheet, single=player in ("bass", "lead"))
    return out


def resting(player: str, bar: BandBar, grooves: Mapping[str, str]) -> bool:
    """Whether the section is one in which the player rests; a drum machine's breakdown has no bass either."""
    if player == "bass" and "bass" in bar.shape.resting:
        return grooves.get("drums") in MACHINES
    return player in bar.shape.resting


# -- players -----------------------------------------------------------------------------------------------------------


def _drums(bars: list[BandBar], name: str, ending: bool) -> Iterator[StemNote]:
    groove, crashing = DRUMS[name], name in CRASHING
    for index, place in enumerate(bars):
        bar = place.bar
        if ending and index == len(bars) - 1:
            hits: list[Hit] = [Hit(0, "kick", 0.9), *([Hit(0, "crash", 0.8)] if crashing else [])]
        elif "drums" in place.shape.resting:
            hits = []
        elif place.label.lower().startswith("build") and name in MACHINES:
            hits = list(build(bar))
        else:
            hits = list(groove(bar))
            more = index + 1 < len(bars)
            inside = bar.count >= LONG_SECTION and bar.number % 8 == 7 and not bar.last
            if more and ((bar.last and bar.count > 1) or inside):
                hits = list(filled(name, bar, hits))
            starts = bar.number == 0 and (index == 0 or bars[index - 1].section != place.section)
            if starts and index and crashing and bar.density >= CRASHES:
                hits.append(Hit(0, "crash", 0.85))
        for hit in hits:
            if hit.step < (place.end - place.start) * place.per_beat:
                yield StemNote(place.beat(hit.step), 0.25, KIT[hit.drum], _velocity(hit.loudness))


def _bass(sheet: LeadSheet, bars: list[BandBar], name: str, ending: bool) -> Iterator[StemNote]:
    groove = BASS[name]
    before: tuple[int, ...] = ()
    for index, place in enumerate(bars):
        bar = replace(place.bar, before=before)
        strikes = list(groove(bar))
        if ending and index == len(bars) - 1:
            strikes = _held(strikes[:1], bar)
        elif bar.last and index + 1 < len(bars) and not bar.sparse:
            strikes = lead_bass_on(name, strikes, bar, sheet.key_at(place.end))
        yield from _notes(place, strikes)
        if strikes:
            first = before[:1] if name == "pedal" and before and bar.number else (strikes[0].pitch,)
            before = (*first, strikes[-1].pitch)


def _chords(bars: list[BandBar], name: str, player: str, ending: bool) -> Iterator[StemNote]:
    groove = CHORDS[name]
    before: tuple[int, ...] = ()
    for index, place in enumerate(bars):
        low, high = GUITAR if player == "guitar" else KEYS
        bar = replace(place.bar, before=before, span=(low + place.shape.lift, high + place.shape.lift))
        strikes = list(groove(bar))
        if ending and index == len(bars) - 1 and strikes:
            first = [s for s in strikes if s.step == strikes[0].step]
            strikes = _held(first, bar)
        yield from _notes(place, strikes)
        if strikes:
            final = tuple(s.pitch for s in strikes if s.step == strikes[-1].step)
            before = final if len(final) > 1 else tuple({s.pitch for s in strikes})


def _lead(sheet: LeadSheet, bars: list[BandBar], name: str, span: tuple[int, int], seed: int) -> Iterator[StemNote]:
    before: tuple[BandBar, list[Strike]] | None = None  # the bar before a section, and what is sung in it
    for _, group in itertools.groupby(bars, key=lambda b: b.section):
        places = list(group)
        shape = places[0].shape
        section = LeadSection(
            tuple(place.bar for place in places),
            tuple(sheet.key_at(max(place.start, Fraction(0))) for place in places),
            *span,
            seed=f"{seed}:lead:{places[0].label}",
            height=shape.height,
            density=shape.density_at(0.5),
            breath=BREATH if sheet.genre in SUNG_GENRES else 0.0,
        )
        sung = list(LEAD[name](section))
        if before is not None and sung and name in SUNG and sung[0][0] == 0 and "lead" not in places[0].shape.resting:
            last, strikes = before
            way = f"{seed}:lead in:{last.label}:{places[0].label}"
            yield from _notes(last, lead_in(strikes, last.bar, sung[0][1].pitch, section.keys[0], span, way))
        for index, strike in sung:
            yield from _notes(places[index], [strike])
        before = places[-1], [strike for index, strike in sung if index == len(places) - 1]


def _notes(place: BandBar, strikes: list[Strike]) -> Iterator[StemNote]:
    end = (place.end - place.start) * place.per_beat
    for strike in strikes:
        if strike.step < end - 1e-6:
            steps = min(strike.steps, float(end) - strike.step)
            yield StemNote(place.beat(strike.step), steps / place.per_beat, strike.pitch, _velocity(strike.loudness))


def _velocity(loudness: float) -> int:
    return min(max(round(30 + 88 * loudness), 1), 127)


def _held(strikes: list[Strike], bar: GrooveBar) -> list[Strike]:
    """The strikes at the bar line, until its end."""
    return [replace(strike, step=0, steps=bar.steps) for strike in strikes]


def _has_ending(sheet: LeadSheet, bars: list[BandBar]) -> bool:
    """Whether the last bar is a whole one on the tonic, so that the band ends there."""
    if len(bars) < ENDING_BARS or not bars[-1].bar.chords:
        return False
    chord: Chord = bars[-1].bar.chords[0].chord
    whole = len(bars[-1].bar.chords) == 1 and (bars[-1].end - bars[-1].start) * bars[-1].per_beat == bars[-1].bar.steps
    return whole and chord.root_pc == sheet.key_at(bars[-1].start).tonic_pc


def _in_time(notes: list[StemNote], sheet: LeadSheet, single: bool) -> tuple[StemNote, ...]:
    """Notes inside the sheet in order; of a single voice each ends where the next begins, a pitch where it returns."""
    length = float(sheet.length)
    inside = sorted((n for n in notes if -1e-9 <= n.start < length - 1e-6), key=lambda n: (n.start, n.pitch))
    following: dict[int, float] = {}
    out = []
    for note in reversed(inside):
        voice = -1 if single else note.pitch
        end = min(note.start + note.beats, length, following.get(voice, length))
        if end - note.start > 1e-6:
            following[voice] = note.start
            out.append(replace(note, start=max(note.start, 0.0), beats=end - note.start))
    return tuple(reversed(out))
