"""Chords: read in Harte, pop, Roman and Nashville notation, written in Harte's (Harte et al., ISMIR 2005)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from musetune.symbols.chord_suffix import plain_signs, quality_tones, read_harte, read_suffix, split_bass, write_list
from musetune.symbols.handover import upstairs
from musetune.symbols.limits import quote
from musetune.symbols.names import NOTE_NAMES, pitch_class, suggest, transpose_name
from musetune.symbols.qualities import (
    FLAT_DEGREES,
    QUALITIES,
    QUALITY_INTERVALS,
    degree_semitones,
    nearest_quality,
    normal_intervals,
)

if TYPE_CHECKING:
    from musetune.symbols.key import Key

LONGEST = 100  # characters of a chord's text
_NAME = re.compile(r"([A-G](?:##|bb|#|b)?)(.*)", re.DOTALL)
_NUMBER = re.compile(r"^([b#]?)([1-7])(?![0-9]*/?[A-G])(.*)$")
_ROMAN = re.compile(
    r"^(?:[b#♭♯]*(?:VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)(?![a-zA-Z]*[A-G])|Ger|Fr|It|N6|N$|N/|Cad(?!d))"
)
NO_CHORD_NAMES = frozenset({"N", "N.C.", "NC", "X", "n.c.", "N.C"})
# Names of notes in German and in Romance languages, for hints; the longest first
_FOREIGN = {
    "Cis": "C#", "Dis": "D#", "Fis": "F#", "Gis": "G#", "Ais": "A#", "Des": "Db", "Ges": "Gb", "Hes": "Bb", "Es": "Eb",
    "As": "Ab", "H": "B", "Sol": "G", "Do": "C", "Ré": "D", "Re": "D", "Mi": "E", "Fa": "F", "La": "A", "Si": "B",
}  # fmt: skip


@dataclass(frozen=True)
class Chord:
    """A chord is its notes: a root, the intervals above it and a bass, with the nearest quality that the model knows.

    Two chords are equal where root spelling, notes and bass are.

    Args:
        root: Note name as spelled, "Bb"; None for no chord.
        quality: One of QUALITIES, the model's vocabulary; "N" for no chord.
        bass: Interval of the bass above the root as Harte writes it: "1", "b7".
        intervals: Semitones above the root, 0–21, in rising order, where ``quality`` does not say them all; empty
            where it does.

    Raises:
        ValueError: For a root, quality, bass or interval that does not exist, and for a quality that is not the
            intervals' nearest.

    Example:
        >>> chord = Chord.parse("C7#9/E")
        >>> chord.harte, chord.quality, chord.intervals, chord.folded
        ('C:7(#9)/3', '7', (0, 4, 7, 10, 15), True)
        >>> chord.transpose(2)
        Chord(root='D', quality='7', bass='3', intervals=(0, 4, 7, 10, 15))
    """

    root: str | None
    quality: str = "maj"
    bass: str = "1"
    intervals: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.quality not in QUALITY_INTERVALS:
            raise ValueError(
                f"chord quality {quote(self.quality)} is not one of {', '.join(QUALITIES)}"
                f"{suggest(self.quality, QUALITIES)}"
            )
        if (self.root is None) != (self.quality == "N"):
            raise ValueError(
                f"root={quote(self.root)} with quality={self.quality!r}: only N has no root, and N has none"
            )
        if self.root is not None:
            pitch_class(self.root)
        degree_semitones(self.bass)
        if len(self.intervals):
            self._check_intervals()

    def _check_intervals(self) -> None:
        """Bring the intervals into their normal form; they are empty where the quality says them."""
        if self.root is None:
            raise ValueError(f"intervals={quote(self.intervals)} with no root: no chord has no notes")
        tones = _with_bass(normal_intervals(self.intervals), self.bass)
        if self.quality != nearest_quality(tones):
            raise ValueError(
                f"quality={self.quality!r} is not the nearest of intervals={tones}, which is "
                f"{nearest_quality(tones)!r}; "
                f"use Chord.from_intervals"
            )
        same = {i % 12 for i in tones} == {i % 12 for i in QUALITY_INTERVALS[self.quality]}
        object.__setattr__(self, "intervals", () if same else tones)

    @staticmethod
    def from_intervals(root: str, intervals: Iterable[int], bass: str = "1") -> Chord:
        """Chord of exactly these notes, with the nearest quality that the model knows.

        Args:
            root: Note name, "Bb".
            intervals: Semitones above the root, 0–127; those above a thirteenth (21) are read octaves lower.
            bass: Harte interval of the bass, "b3".

        Raises:
            ValueError: For a root, interval or bass that does not exist, or no interval.

        Example:
            >>> str(Chord.from_intervals("G", [0, 5, 7, 10, 14])), str(Chord.from_intervals("G", [0, 4, 7, 10]))
            ('G:sus4(b7,9)', 'G:7')
        """
        tones = _with_bass(normal_intervals(intervals), bass)
        return Chord(root, nearest_quality(tones), bass, tones)

    @staticmethod
    def from_notes(notes: Iterable[int], key: Key | None = None) -> Chord:
        """Chord that sounds when these notes do, as a hand on a keyboard holds them; the lowest is the bass.

        The root is the note above which the others are nearest to a quality of the vocabulary; of equals the bass,
        then one of the key: C E G A is C6, A C E G is Am7.

        Args:
            notes: MIDI notes 0–127; none is no chord.
            key: Key that the root is spelled for.

        Raises:
            ValueError: For notes outside these.

        Example:
            >>> [str(Chord.from_notes(notes)) for notes in ([52, 60, 67], [60, 64, 67, 69], [57, 60, 64, 67])]
            ['C:maj/3', 'C:maj6', 'A:min7']
        """
        chord: Chord = upstairs("name_notes")(notes, key)
        return chord

    @staticmethod
    def parse(text: str, key: Key | None = None) -> Chord:
        """Chord that ``text`` names: Harte, pop, Nashville or ``N.C.``; with a ``key`` also a Roman numeral.

        Args:
            text: ``C:min7/b3`` or ``C:7(#9)`` (Harte), ``Cm7/Eb``, ``C7(b9,#11)``, ``Am7/9``, ``C△7`` (pop), ``2m7``
                (Nashville),
                ``V7/V`` (Roman); at most 100 characters.
            key: Key that Roman numerals and Nashville numbers count from.

        Raises:
            ValueError: For what is none of these; it names the text and the chord that was probably meant.

        Example:
            >>> [str(Chord.parse(text)) for text in ("Cm7/Eb", "F#m7b5", "C13sus4", "N.C.")]
            ['C:min7/b3', 'F#:hdim7', 'C:sus4(b7,9,13)', 'N']
        """
        if not isinstance(text, str) or len(text) > LONGEST:
            raise ValueError(f"chord {quote(text)} is not a text of at most {LONGEST} characters, such as 'Cm7/Eb'")
        return _parse(text.strip(), key)

    @property
    def folded(self) -> bool:
        """Whether ``quality`` is only the nearest: the chord has notes that it does not say, or lacks some."""
        return bool(self.intervals)

    def simplify(self) -> Chord:
        """Chord that the quality alone says: ``C:7`` of ``C:7(#9)``."""
        return replace(self, intervals=()) if self.intervals else self

    @cached_property
    def tones(self) -> tuple[int, ...]:
        """Semitones above the root, 0–21, in rising order, of the exact chord; () for N. A bass outside the chord is
        not among them.
        """
        return self.intervals or quality_tones(self.quality)

    @cached_property
    def root_pc(self) -> int | None:
        """Pitch class of the root, 0–11; None for N."""
        return None if self.root is None else pitch_class(self.root)

    @cached_property
    def bass_pc(self) -> int | None:
        """Pitch class of the sounding bass, 0–11; None for N."""
        return None if self.root_pc is None else (self.root_pc + degree_semitones(self.bass)) % 12

    @cached_property
    def pitch_classes(self) -> tuple[int, ...]:
        """Pitch classes from the root upwards, a foreign bass note last."""
        if self.root_pc is None:
            return ()
        tones = tuple((self.root_pc + i) % 12 for i in self.intervals or QUALITY_INTERVALS[self.quality])
        return tones if self.bass_pc in tones else (*tones, self.bass_pc)  # type: ignore[arg-type]

    @property
    def chroma(self) -> np.ndarray:
        """12 floats, 1 where a pitch class sounds."""
        out = np.zeros(12, np.float32)
        out[list(self.pitch_classes)] = 1.0
        return out

    @property
    def quality_index(self) -> int:
        """Place of the quality in QUALITIES."""
        return QUALITIES.index(self.quality)

    @property
    def inversion(self) -> int:
        """0 root position, 1 third (or what is suspended) in the bass, 2 fifth, 3 sixth or seventh, 4 another tone of
        the chord.

        −1 for a bass outside the chord.
        """
        step = degree_semitones(self.bass) % 12
        if step in self.intervals:
            suspended = step in (2, 5) and not {3, 4} & set(self.intervals)
            return 1 if suspended else _POSITIONS.get(step, 4)
        if step in {i % 12 for i in self.intervals}:
            return 4
        named = QUALITY_INTERVALS[self.quality]
        return named.index(step) if step in named else (0 if self.root is None else -1)

    @property
    def harte(self) -> str:
        """Harte's spelling, exact, the bass left out in root position: ``Bb:maj7/3``, ``C:7(#9)``."""
        if self.root is None:
            return "N"
        bass = "" if self.bass == "1" else f"/{self.bass}"
        return f"{self.root}:{write_list(self.quality, self.intervals)}{bass}"

    def __str__(self) -> str:
        return self.harte

    def transpose(self, semitones: int, key: Key | None = None) -> Chord:
        """Chord ``semitones`` higher; with the ``key`` that it stands in, spelled for the key ``semitones`` higher.

        Example:
            >>> str(Chord.parse("C7(#9)").transpose(2))
            'D:7(#9)'
        """
        if self.root is None:
            return self
        move = transpose_name if key is None else key.transpose_name
        return replace(self, root=move(self.root, semitones))


_POSITIONS = {0: 0, 3: 1, 4: 1, 6: 2, 7: 2, 8: 2, 9: 3, 10: 3, 11: 3}  # inversion of a tone in the lowest octave


def _with_bass(tones: tuple[int, ...], bass: str) -> tuple[int, ...]:
    """``tones`` with the root where it is the bass: a chord that leaves its root out has another one."""
    return tones if degree_semitones(bass) % 12 or 0 in tones else (0, *tones)


NO_CHORD = Chord(None, "N")


@lru_cache(maxsize=4096)
def _parse(text: str, key: Key | None) -> Chord:
    if text in NO_CHORD_NAMES:
        return NO_CHORD
    if key is not None and _ROMAN.match(text):
        chord: Chord = upstairs("resolve_roman")(text, key)
        return chord
    number = _NUMBER.match(text)
    if key is not None and number:
        return _nashville(text, number, key)
    if (absolute := _absolute(text)) is not None:
        return absolute
    if key is None and (_ROMAN.match(text) or number):
        raise ValueError(f"chord {quote(text)} is relative; give a key, for example key='C major'")
    hint_text = next((hint for hint in _suggestions(text) if _absolute(hint)), "")
    roots = [root + s for root in NOTE_NAMES for s in ("", "m", "7", "maj7", "m7", "dim", "aug", "sus4")]
    hint = f"; did you mean {hint_text!r}?" if hint_text else suggest(text, roots, otherwise="C")
    raise ValueError(
        f"chord {quote(text)} is not a chord: a root A–G with # or b, then a quality such as m, 7, maj7, m7b5, sus4 or "
        f":{', :'.join(QUALITIES[:6])}, then /bass{hint}"
    )


def _absolute(text: str) -> Chord | None:
    """Chord in Harte or pop; None for another text."""
    match = _NAME.fullmatch(plain_signs(text))
    if match is None:
        return None
    root, rest = match[1], match[2]
    if rest.startswith(":"):
        body, slash, bass = rest[1:].partition("/")
        intervals = read_harte(body)
        if slash and not bass:
            return None
    else:
        body, bass = split_bass(rest)
        intervals = read_suffix(body)
    if intervals is None:
        return None
    try:
        return Chord.from_intervals(root, intervals, _bass(root, bass))
    except ValueError:
        return None


def _bass(root: str, bass: str) -> str:
    """Harte interval of a bass that is written as a note or an interval."""
    if not bass:
        return "1"
    return FLAT_DEGREES[(pitch_class(bass) - pitch_class(root)) % 12] if bass[0] in "ABCDEFG" else bass


def _suggestions(text: str) -> Iterator[str]:
    """What ``text`` may have meant, the likeliest first: German and Romance note names, small letters, signs too
    many.
    """
    head = text[:1].upper() + text[1:]
    for name, plain in _FOREIGN.items():
        if head.startswith(name):
            yield plain + head[len(name) :]
    body, slash, bass = head.rpartition("/")
    if slash:
        yield f"{body}/{bass[:1].upper()}{bass[1:]}"
        yield f"{body}/{plain_signs(bass).replace('H', 'B')}"
    if text[:1].islower():
        minor = re.fullmatch(r"([A-G][#b]?)(6|7|9|11|13)?", plain_signs(head))
        yield f"{minor[1]}m{minor[2] or ''}" if minor else head  # a small letter is a minor chord in German
    yield head
    yield head[:1] + head[1:].lower()
    for end in range(len(head) - 1, 1, -1):
        yield head[:end]


def _nashville(text: str, match: re.Match[str], key: Key) -> Chord:
    """``2m7``, ``b7``, ``1/3``: a scale number, a pop suffix (none: the key's own triad), and a scale number for the
    bass.
    """
    accidental, number, rest = match.groups()
    suffix, slash, bass = rest.partition("/")
    offset = accidental.count("#") - accidental.count("b")
    root = key.degree_name(int(number), offset)
    own = suffix == "" and not accidental
    intervals = quality_tones(key.diatonic_triad(int(number))) if own else read_suffix(suffix)
    if intervals is None or (slash and not re.fullmatch(r"[b#]?[1-7]", bass)):
        raise ValueError(f"chord {quote(text)} is not a Nashville number: 1–7, a suffix such as m, 7 or m7, then /1–7")
    if not slash:
        return Chord.from_intervals(root, intervals)
    below = key.degree_name(int(bass[-1]), bass.count("#") - bass.count("b"))
    return Chord.from_intervals(root, intervals, FLAT_DEGREES[(pitch_class(below) - pitch_class(root)) % 12])
