"""Cadences: where phrases close, weighed by meter and by a model of where phrases end."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from statistics import median

from musetune.symbols.chord import Chord
from musetune.symbols.key import Key
from musetune.symbols.lead_sheet import LeadSheet
from musetune.symbols.spans import ChordSpan, Note
from musetune.theory.harmony.function import function_in, functions, is_cadential_six_four
from musetune.theory.numerals.roman import scale_degree
from musetune.theory.rhythm.syncopation import weights

Voice = tuple[Note, ...]
CADENCES = ("authentic", "plagal", "half", "deceptive")
FACTORS = {"perfect": 1.0, "imperfect": 0.8, "plagal": 0.6, "deceptive": 0.6, "half": 0.6}
CLOSED = {"perfect": 0.45, "imperfect": 0.6, "plagal": 0.5, "deceptive": 0.4, "half": 0.55}  # least closure


@dataclass(frozen=True)
class Cadence:
    """The close of a phrase.

    Args:
        type: One of CADENCES.
        subtype: "perfect" or "imperfect" for an authentic cadence, else "".
        at_beat: Beat at which its last chord begins.
        strength: 0–1.
    """

    type: str
    subtype: str
    at_beat: Fraction
    strength: float


def cadences(sheet: LeadSheet, voices: Sequence[Voice] | None = None) -> list[Cadence]:
    """Cadences that close a phrase, in order; a V–I inside a phrase is none.

    Authentic: V or vii° (with the leading tone) or its tritone substitute to I; ``perfect`` where V and I stand in root
    position and, where a melody is at hand, the tonic is on top (Caplin, Classical Form, 1998, ch. 2, calls for all
    three). Plagal: IV–I. Deceptive: V–vi, –VI or –IV6. Half: arrival on V in root position, from what is no V itself or
    from a cadential six-four. Functions are those of the key at the arrival. Of two arrivals within half a bar, and of
    a half cadence and what its dominant resolves to, the stronger stays.

    Args:
        sheet: Chords, keys, meters, sections and perhaps a melody.
        voices: Notes of a score's voices, whose top line counts as the melody; None takes the sheet's own melody.

    Returns:
        Cadences by time. ``strength`` is how sure the phrase ends there (``Phrases.closure``) times how firmly the type
        closes.

    Example:
        >>> from musetune.symbols import LeadSheet
        >>> [(c.type, c.subtype, int(c.at_beat)) for c in cadences(LeadSheet.parse("| C | F | G7 | C |"))]
        [('authentic', 'perfect', 12)]
    """
    phrases = Phrases(sheet, tuple(sheet.melody) if voices is None else _top(voices))
    out: list[Cadence] = []
    for index in range(1, len(phrases.spans)):
        kind = _kind(phrases, index)
        if kind is None:
            continue
        name = kind[1] or kind[0]
        closure = phrases.closure(index, firm=name == "perfect")
        if closure < CLOSED[name]:
            continue
        cadence = Cadence(*kind, phrases.spans[index].start, round(closure * FACTORS[name], 3))
        close = out and out[-1].at_beat > cadence.at_beat - Fraction(sheet.meter.beats_per_bar, 2)
        close = close or (out and out[-1].type == "half" and out[-1].at_beat >= phrases.begin(index - 1))
        if close and out[-1].strength >= cadence.strength:
            continue
        out = [*(out[:-1] if close else out), cadence]
    return out


def _top(voices: Sequence[Voice]) -> Voice:
    """The notes above which nothing sounds when they begin, in order."""
    notes = sorted((note for voice in voices for note in voice), key=lambda n: (n.start, -n.pitch))
    top: list[Note] = []
    for note in notes:
        longer = next((n for n in reversed(top[-4:]) if n.start + n.beats > note.start and n.pitch >= note.pitch), None)
        if longer is None:
            top.append(note)
    return tuple(top)


@dataclass(frozen=True)
class Phrases:
    """Evidence that phrases end, over the sounding chords of ``sheet`` and a ``melody`` (may be empty)."""

    sheet: LeadSheet
    melody: Voice

    @cached_property
    def spans(self) -> list[ChordSpan]:
        """The sounding chords; one that repeats the chord before only prolongs it."""
        out: list[ChordSpan] = []
        for span in self.sheet.chords:
            if span.chord.root is not None and (not out or out[-1].chord != span.chord):
                out.append(span)
        return out

    @cached_property
    def functions(self) -> list[str]:
        """``functions`` of ``spans``."""
        by_start = dict(zip((s.start for s in self.sheet.chords if s.chord.root is not None), functions(self.sheet)))
        return [by_start[span.start] for span in self.spans]

    @cached_property
    def _lines(self) -> list[Fraction]:
        return self.sheet.downbeats() or [Fraction(0)]

    @cached_property
    def _onsets(self) -> list[Fraction]:
        return [note.start for note in self.melody]

    def end(self, index: int) -> Fraction:
        """Beat at which the harmony of chord ``index`` gives way to another root, or a silence begins."""
        root, end = self.spans[index].chord.root_pc, self.spans[index].start
        for at in range(index, len(self.spans)):
            if self.spans[at].chord.root_pc != root:
                return self.spans[at].start
            end = self.spans[at].end
        return max(end, self.sheet.chords[-1].end)

    def begin(self, index: int) -> Fraction:
        """Beat from which on the root of chord ``index`` has sounded."""
        while index > 0 and self.spans[index - 1].chord.root_pc == self.spans[index].chord.root_pc:
            index -= 1
        return self.spans[index].start

    def closure(self, index: int, *, firm: bool = False) -> float:
        """0…1: how sure a phrase ends with the harmony that begins at chord ``index``.

        1 − Π (1 − evidence), times the meter.

        Evidence: 1 for the end of the sheet, 0.9 for the end of a section; 0.7 (0.5 where a melody is at hand) for the
        end of a four-bar group, 0.35 (0.25) of a two-bar group, counted from the section's first bar line; up to 0.5
        (0.35) where the harmony lasts twice the median of the four before; up to 0.8 where a melody note's wait for the
        next one is twice the median wait of the twelve before; 0.5 where ``firm`` (a perfect cadence) and a melody
        bears it out. Meter: 1 on a bar line, less on weaker beats, 0.5 between beats.
        """
        start, end = self.spans[index].start, self.end(index)
        has_melody = bool(self.melody)
        evidence = [
            1.0 if end >= self.sheet.length - Fraction(1, 2) or index == len(self.spans) - 1 else 0.0,
            0.9 if any(start < s.start <= end + 1 for s in self.sheet.sections if s.start > 0) else 0.0,
            self._grouping(start, end) * (5 / 7 if has_melody else 1.0),
            self._slowing(index, end) * (0.35 if has_melody else 0.5),
            self._waiting(start, end) * 0.8,
            0.5 if firm and has_melody else 0.0,
        ]
        doubt = 1.0
        for one in evidence:
            doubt *= 1 - one
        return (1 - doubt) * self.weight_at(start)

    def weight_at(self, beat: Fraction) -> float:
        """Weight of a beat in the bar: 1 on a bar line, 0.75, 0.625 … on weaker beats, 0.5 between beats.

        Half of one plus the beat's weight in the metric hierarchy.
        """
        lines = self._lines
        beat_in_bar = (beat - lines[max(0, bisect_right(lines, beat) - 1)]) % self.sheet.meter.beats_per_bar
        meter = next((m.meter for m in reversed(self.sheet.meters) if m.start <= beat), self.sheet.meter)
        if beat_in_bar.denominator != 1 or beat_in_bar >= meter.beats_per_bar:
            return 0.5
        return 0.5 + 0.5 * 2.0 ** int(weights(meter, 1)[int(beat_in_bar)])

    def _grouping(self, start: Fraction, end: Fraction) -> float:
        """0.7 where the harmony reaches the end of a four-bar group and begins within its last two bars, 0.35 for two
        bars.
        """
        lines = self._lines
        begin = max((s.start for s in self.sheet.sections if s.start <= start), default=lines[0])
        origin = max(0, bisect_right(lines, begin) - 1)
        bar = bisect_right(lines, start) - 1 - origin
        for size, worth in ((4, 0.7), (2, 0.35)):
            number = origin + (bar // size + 1) * size
            edge = lines[number] if number < len(lines) else self.sheet.length
            if bar % size >= size - 2 and bar % size > 0 and end >= edge - 1:
                return worth
        return 0.0

    def _slowing(self, index: int, end: Fraction) -> float:
        """0 where the harmony lasts as the four before, 1 where it lasts twice as long or more."""
        before = [
            b.start - a.start
            for a, b in zip(self.spans[max(0, index - 4) : index], self.spans[1:][max(0, index - 4) :])
        ]
        usual = float(median(before))
        return min(1.0, max(0.0, float(end - self.spans[index].start) / usual - 1))

    def _waiting(self, start: Fraction, end: Fraction) -> float:
        """0…1: the longest wait after a melody note of the harmony, or its first bar, 0 at 1.25 of the median, 1 at
        twice.
        """
        onsets = self._onsets
        last = min(end, start + self.sheet.meter.beats_per_bar)
        low, high = bisect_right(onsets, start) - 1, bisect_right(onsets, last - Fraction(1, 100))
        low = max(low, 0)
        if not onsets or high >= len(onsets) or low >= high:
            return 0.0
        usual = [float(b - a) for a, b in zip(onsets[max(0, low - 12) : low], onsets[max(1, low - 11) :]) if b > a]
        if not usual:
            return 0.0
        wait = max(float(onsets[at + 1] - max(onsets[at], start)) for at in range(low, high))
        return min(1.0, max(0.0, (wait / median(usual) - 1.25) / 0.75))

    def tonic_on_top(self, index: int, tonic: int) -> bool | None:
        """Whether the melody has the pitch class ``tonic`` at chord ``index`` or within a beat, as an appoggiatura
        resolves; None where no melody sounds.
        """
        start = self.spans[index].start
        low, high = bisect_right(self._onsets, start) - 1, bisect_right(self._onsets, start + 1)
        notes = [n for n in self.melody[max(0, low) : high] if n.start + n.beats > start]
        return any(note.pitch % 12 == tonic for note in notes) if notes else None


def _kind(phrases: Phrases, index: int) -> tuple[str, str] | None:
    """Type and subtype of the step to chord ``index``; None where it is no cadence whatever the phrase."""
    before, after = phrases.spans[index - 1].chord, phrases.spans[index].chord
    key = phrases.sheet.key_at(phrases.spans[index].start)
    degree, arrival = scale_degree(after, key), phrases.functions[index]
    first = function_in(before, key, None, (after, arrival))
    six_four = is_cadential_six_four(before, key, after)
    if before.root_pc == after.root_pc:
        return None
    if _leads(before, key, first) and not six_four:
        if degree == 0 and after.inversion in (0, 1) and arrival in ("tonic", "borrowed_tonic"):
            return "authentic", "perfect" if _perfect(phrases, index, key) else "imperfect"
        deceives = degree in (8, 9) and after.inversion == 0 and arrival != "applied_dominant"
        return ("deceptive", "") if deceives or (degree == 5 and after.inversion == 1) else None
    if degree == 0 and after.inversion == 0 and scale_degree(before, key) == 5 and first.endswith("subdominant"):
        return "plagal", ""
    on_dominant = degree == 7 and arrival == "dominant" and after.inversion == 0
    if on_dominant and after.quality in ("maj", "7", "sus4") and (first != "dominant" or six_four):
        return "half", ""
    return None


def _leads(chord: Chord, key: Key, function: str) -> bool:
    """Whether it is a dominant with the leading tone (or a suspended one)."""
    has = (key.tonic_pc + 11) % 12 in chord.pitch_classes
    suspended = scale_degree(chord, key) == 7 and chord.quality in ("sus4", "5")
    return function in ("dominant", "dominant_substitute") and (has or suspended) and scale_degree(chord, key) != 0


def _perfect(phrases: Phrases, index: int, key: Key) -> bool:
    before, after = phrases.spans[index - 1].chord, phrases.spans[index].chord
    rooted = scale_degree(before, key) == 7 and before.inversion == 0 and after.inversion == 0
    return rooted and phrases.tonic_on_top(index, key.tonic_pc) is not False
