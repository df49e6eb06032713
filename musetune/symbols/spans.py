"""What a lead sheet holds at its beats: chords, keys, meters, sections, notes. Each checks its own numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from numbers import Integral, Rational, Real

from musetune.symbols.chord import Chord
from musetune.symbols.key import Key
from musetune.symbols.meter import Meter


@dataclass(frozen=True)
class ChordSpan:
    """Chord at its place.

    Args:
        start: Beat from which it sounds, 0 or later.
        beats: Beats that it lasts, above 0.
        chord: What sounds.

    Raises:
        ValueError: For a start or length outside these, or one that is no int or Fraction.

    Example:
        >>> span = ChordSpan(Fraction(4), Fraction(3, 2), Chord.parse("Am7"))
        >>> span.end
        Fraction(11, 2)
    """

    start: Fraction
    beats: Fraction
    chord: Chord

    def __post_init__(self) -> None:
        check_start(f"chord {self.chord}", self.start)
        check_beats(f"chord {self.chord} at beat {self.start}", self.beats)

    @property
    def end(self) -> Fraction:
        """Beat at which the chord stops."""
        return self.start + self.beats


@dataclass(frozen=True)
class KeySpan:
    """Key from a beat on.

    Args:
        start: Beat from which it holds, 0 or later.
        key: The key.

    Raises:
        ValueError: For a start before 0, or one that is no int or Fraction.

    Example:
        >>> str(KeySpan(Fraction(0), Key("Bb")).key)
        'Bb major'
    """

    start: Fraction
    key: Key

    def __post_init__(self) -> None:
        check_start(f"key {self.key}", self.start)


@dataclass(frozen=True)
class MeterSpan:
    """Meter from a bar line on.

    Args:
        start: Beat of the bar line, 0 or later.
        meter: The meter.

    Raises:
        ValueError: For a start before 0, or one that is no int or Fraction.

    Example:
        >>> str(MeterSpan(Fraction(8), Meter(3, 4)).meter)
        '3/4'
    """

    start: Fraction
    meter: Meter

    def __post_init__(self) -> None:
        check_start(f"time signature {self.meter}", self.start)


@dataclass(frozen=True)
class SectionPurpose:
    """What a section does in its song, for those who play it: each -1–1, 0 as is usual in the song.

    Args:
        dynamics: Louder (1) or softer (-1).
        density: More notes and players (1) or fewer (-1).
        register: Higher (1) or lower (-1), at most by about an octave.

    Raises:
        ValueError: For a value outside -1–1.

    Example:
        >>> SectionPurpose(dynamics=0.4, density=0.3).register
        0.0
    """

    dynamics: float = 0.0
    density: float = 0.0
    register: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("dynamics", self.dynamics), ("density", self.density), ("register", self.register)):
            if isinstance(value, bool) or not isinstance(value, Real) or not -1 <= value <= 1:
                raise ValueError(f"{name}={value!r} of a section is not a number -1–1; 0 is as usual in the song")


@dataclass(frozen=True)
class Section:
    """Part of the form.

    Args:
        start: First beat, 0 or later.
        beats: Beats that it lasts, above 0.
        label: Name such as "A" or "chorus".
        purpose: What it does in the song; None where nothing is known of it.

    Raises:
        ValueError: For a start or length outside these, or one that is no int or Fraction.

    Example:
        >>> Section(Fraction(0), Fraction(32), "chorus").label
        'chorus'
    """

    start: Fraction
    beats: Fraction
    label: str
    purpose: SectionPurpose | None = None

    def __post_init__(self) -> None:
        check_start(f"section {self.label!r}", self.start)
        check_beats(f"section {self.label!r} at beat {self.start}", self.beats)


@dataclass(frozen=True)
class Note:
    """Note of a melody or a voice.

    Args:
        start: Onset in beats, 0 or later.
        beats: Length in beats, above 0.
        pitch: MIDI pitch, 0–127.
        velocity: MIDI velocity, 1–127.

    Raises:
        ValueError: For a value outside these; it says which.

    Example:
        >>> Note(Fraction(1, 2), Fraction(1), 60).transpose(7).pitch
        67
    """

    start: Fraction
    beats: Fraction
    pitch: int
    velocity: int = 90

    def __post_init__(self) -> None:
        check_start(f"note {self.pitch}", self.start)
        check_beats(f"note {self.pitch} at beat {self.start}", self.beats)
        for name, value, low in (("pitch", self.pitch, 0), ("velocity", self.velocity, 1)):
            if not isinstance(value, Integral) or not low <= value <= 127:
                raise ValueError(f"note at beat {self.start}: {name}={value!r} is not a whole number {low}–127")

    def transpose(self, semitones: int) -> Note:
        """Move the note ``semitones`` up, by octaves back where that leaves 0–127."""
        pitch = self.pitch + semitones
        over = max(pitch - 127, 0)
        return replace(self, pitch=pitch % 12 if pitch < 0 else pitch - -(-over // 12) * 12)


def check_start(what: str, start: Fraction) -> None:
    """Raise ValueError where ``start`` is not rational or lies before beat 0."""
    check_rational(f"{what}: start", start)
    if start < 0:
        raise ValueError(f"{what} starts at beat {start}, before beat 0, where a lead sheet begins; count from there")


def check_beats(what: str, beats: Fraction) -> None:
    """Raise ValueError where ``beats`` is not rational or not above 0."""
    check_rational(f"{what}: beats", beats)
    if beats <= 0:
        raise ValueError(f"{what} lasts beats={beats}; it must last more than 0")


def check_rational(what: str, value: Fraction) -> None:
    """Raise ValueError where ``value`` is not an int or a Fraction: a float would not survive files exactly."""
    if not isinstance(value, Rational):
        near = Fraction(value).limit_denominator(48) if isinstance(value, float) and value - value == 0 else None
        hint = "" if near is None else f"; did you mean {near!r}?"
        raise ValueError(f"{what}={value!r} is not a whole number or a Fraction of beats{hint}")


def check_inside(what: str, span: ChordSpan | Note, length: Fraction) -> None:
    """Raise ValueError where ``span`` ends after beat ``length``."""
    end = span.start + span.beats
    if end > length:
        fix = f"cut it to {length - span.start} beats" if span.start < length else "leave it out"
        raise ValueError(f"{what} ends at beat {end}, past the sheet's end at beat {length}; {fix} or set length={end}")


def check_order(what: str, spans: tuple[KeySpan, ...] | tuple[MeterSpan, ...]) -> None:
    """Raise ValueError where there is no span or one starts before the span that precedes it."""
    if not spans:
        raise ValueError(f"a lead sheet needs at least one {what}")
    starts = [span.start for span in spans]
    if starts != sorted(starts):
        raise ValueError(f"{what}s start at beats {', '.join(map(str, starts))}; put them in order of time")
