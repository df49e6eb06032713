"""Chords: read in Harte, pop, Roman and Nashville notation, written in Harte's (Harte et al., ISMIR 2005)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from musetune.symbols.handover import upstairs
from musetune.symbols.names import NOTE_NAMES, pitch_class, suggest, transpose_name

if TYPE_CHECKING:
    from musetune.symbols.key import Key

# Semitones above the root; the order is the model's vocabulary.
QUALITY_INTERVALS: dict[str, tuple[int, ...]] = {
    "maj": (0, 4, 7), "min": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8), "sus2": (0, 2, 7), "sus4": (0, 5, 7),
    "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "min7": (0, 3, 7, 10), "minmaj7": (0, 3, 7, 11), "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10), "maj6": (0, 4, 7, 9), "min6": (0, 3, 7, 9), "9": (0, 4, 7, 10, 2), "maj9": (0, 4, 7, 11, 2),
    "min9": (0, 3, 7, 10, 2), "5": (0, 7), "N": (),
}  # fmt: skip
QUALITIES = tuple(QUALITY_INTERVALS)
DEGREE_SEMITONES = {"1": 0, "2": 2, "3": 4, "4": 5, "5": 7, "6": 9, "7": 11, "9": 14, "11": 17, "13": 21}
FLAT_DEGREES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")

# Pop suffixes and further Harte shorthands → quality. Extensions above the ninth fold to the seventh that carries them.
ALIASES: dict[str, str] = {
    "": "maj", "M": "maj", "major": "maj", "Maj": "maj", "m": "min", "mi": "min", "minor": "min", "-": "min",
    "o": "dim", "°": "dim", "+": "aug", "#5": "aug", "+5": "aug", "sus": "sus4", "dom7": "7", "dom": "7",
    "M7": "maj7", "Maj7": "maj7", "ma7": "maj7", "^7": "maj7", "^": "maj7", "Δ": "maj7", "Δ7": "maj7", "j7": "maj7",
    "m7": "min7", "mi7": "min7", "-7": "min7", "mM7": "minmaj7", "mMaj7": "minmaj7", "mmaj7": "minmaj7", "m(maj7)": "minmaj7",
    "-maj7": "minmaj7", "min(maj7)": "minmaj7", "o7": "dim7", "°7": "dim7", "m7b5": "hdim7", "ø": "hdim7", "ø7": "hdim7",
    "-7b5": "hdim7", "min7b5": "hdim7", "hdim": "hdim7", "6": "maj6", "M6": "maj6", "add6": "maj6", "m6": "min6", "-6": "min6",
    "M9": "maj9", "Maj9": "maj9", "m9": "min9", "-9": "min9", "add9": "maj", "add2": "maj", "madd9": "min", "2": "sus2",
    "aug7": "7", "+7": "7", "7+": "7", "madd6": "min6", "m69": "min6", "mmaj9": "minmaj7", "maj7#5": "maj7",
    "7sus4": "sus4", "7sus": "sus4", "9sus4": "sus4", "sus4(b7)": "sus4", "sus4(b7,9)": "sus4", "11": "9", "13": "9", "maj11": "maj9",
    "maj13": "maj9", "M13": "maj9", "min11": "min9", "m11": "min9", "min13": "min9", "m13": "min9", "7b9": "7", "7#9": "7", "7b5": "7",
    "7#5": "7", "7#11": "7", "7b13": "7", "7alt": "7", "alt": "7", "maj7#11": "maj7", "69": "maj6", "6/9": "maj6", "power": "5", "1": "5",
}  # fmt: skip
_NAME = re.compile(r"^([A-G](?:##|bb|#|b|♯|♭)?)(.*)$")
_NUMBER = re.compile(r"^([b#]?)([1-7])(?![0-9]*/?[A-G])(.*)$")
_ROMAN = re.compile(
    r"^(?:[b#♭♯]*(?:VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)(?![a-zA-Z]*[A-G])|Ger|Fr|It|N6|N$|N/|Cad(?!d))"
)
NO_CHORD_NAMES = frozenset({"N", "N.C.", "NC", "X", "n.c.", "N.C"})


@dataclass(frozen=True)
class Chord:
    """A chord: ``root`` as spelled ("Bb"; None for no chord), ``quality`` from QUALITIES, ``bass`` as a Harte interval ("1", "b7").

    Raises ValueError for a root, quality or bass that does not exist.
    """

    root: str | None
    quality: str = "maj"
    bass: str = "1"

    def __post_init__(self) -> None:
        if self.quality not in QUALITY_INTERVALS:
            raise ValueError(
                f"chord quality {self.quality!r} is not one of {', '.join(QUALITIES)}{suggest(self.quality, QUALITIES)}"
            )
        if (self.root is None) != (self.quality == "N"):
            raise ValueError(f"root={self.root!r} with quality={self.quality!r}: only N has no root, and N has none")
        if self.root is not None:
            pitch_class(self.root)
        degree_semitones(self.bass)

    @staticmethod
    def parse(text: str, key: Key | None = None) -> Chord:
        """Read ``text``: Harte (``C:min7/b3``), pop (``Cm7/Eb``), Nashville (``2m7``), ``N.C.``; with a ``key`` also Roman (``V7/V``).

        Roman numerals and Nashville numbers need ``key``. Raises ValueError that names the text and the nearest valid spelling.
        """
        return _parse(text.strip(), key)

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
        tones = tuple((self.root_pc + i) % 12 for i in QUALITY_INTERVALS[self.quality])
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
        """0 root position, 1 third in the bass, 2 fifth, 3 seventh; −1 for a bass outside the chord."""
        step = degree_semitones(self.bass) % 12
        intervals = QUALITY_INTERVALS[self.quality]
        return intervals.index(step) if step in intervals else (0 if self.root is None else -1)

    @property
    def harte(self) -> str:
        """Harte's spelling, the bass left out in root position: ``Bb:maj7/3``."""
        if self.root is None:
            return "N"
        return f"{self.root}:{self.quality}" + ("" if self.bass == "1" else f"/{self.bass}")

    def __str__(self) -> str:
        return self.harte

    def transpose(self, semitones: int, key: Key | None = None) -> Chord:
        """The chord ``semitones`` higher; with the ``key`` that it stands in, spelled for the key ``semitones`` higher."""
        if self.root is None:
            return self
        move = transpose_name if key is None else key.transpose_name
        return Chord(move(self.root, semitones), self.quality, self.bass)


def degree_semitones(degree: str) -> int:
    """Semitones of a Harte interval: ``b7`` → 10, ``#4`` → 6, ``9`` → 14. Raises ValueError for anything else."""
    number = degree.lstrip("b#")
    if number not in DEGREE_SEMITONES:
        raise ValueError(
            f"interval {degree!r} is not one of {', '.join(DEGREE_SEMITONES)} with b or #{suggest(degree, FLAT_DEGREES)}"
        )
    return DEGREE_SEMITONES[number] + degree.count("#") - degree.count("b")


NO_CHORD = Chord(None, "N")


def quality_of(suffix: str, harte: bool = False) -> str | None:
    """The quality that a pop suffix or, with ``harte``, a Harte shorthand names, else None.

    Tones in parentheses count: ``min(b7)`` is min7, ``(1,b3,5)`` min, pop's ``m7(b5)`` hdim7; those that no quality has fold away.
    """
    plain = suffix.replace("♭", "b").replace("♯", "#").strip()
    if plain in QUALITY_INTERVALS and plain != "N":
        return plain
    if plain in ALIASES:
        return ALIASES[plain]
    listed = re.fullmatch(r"([^()]*)\(([^()]*)\)", plain)
    if listed is None:
        return None
    if not harte and (joined := quality_of(listed[1] + listed[2])):
        return joined
    stem = None if harte and not listed[1] else quality_of(listed[1])
    return _nearest_quality(stem, listed[2].split(","), harte) if stem or not listed[1] else None


def _nearest_quality(stem: str | None, items: list[str], harte: bool) -> str | None:
    """The quality that shares most tones with ``stem`` (None: the root alone) and the ``items``: 9, b7, *5; pop's add9, no3, omit5.

    A quality's fifth may be missing. In pop, b5 and #5 take the place of the fifth. None where nothing fits.
    """
    tones = {i % 12 for i in QUALITY_INTERVALS[stem]} if stem else {0}
    for item in map(str.strip, items):
        degree = re.sub(r"^(\*|no|omit|add)", "", item)
        if degree.lstrip("b#") not in DEGREE_SEMITONES:
            return None
        if degree in ("b5", "#5") and not harte:
            tones.discard(7)
        change = tones.discard if item[0] in "*no" else tones.add
        change(degree_semitones(degree) % 12)
    tones.add(0)  # *1 leaves the root out; the chord is still the one on it
    fits = [q for q, own in QUALITY_INTERVALS.items() if own and set(own) - {7} <= tones]
    if 7 not in tones and tones != {0}:
        fits.remove("5")
    return max(
        fits,
        key=lambda q: (len(set(QUALITY_INTERVALS[q]) & tones), len(QUALITY_INTERVALS[q]), q == stem),
        default=None,
    )


@lru_cache(maxsize=4096)
def _parse(text: str, key: Key | None) -> Chord:
    if text in NO_CHORD_NAMES:
        return NO_CHORD
    if key is not None and _ROMAN.match(text):
        return upstairs("resolve_roman")(text, key)
    number = _NUMBER.match(text)
    if key is not None and number:
        return _nashville(text, number, key)
    match = _NAME.match(text)
    chord = _absolute(match) if match else None
    if chord is None:
        if key is None and (_ROMAN.match(text) or number):
            raise ValueError(f"chord {text!r} is relative; give a key, for example key='C major'")
        roots = [root + s for root in NOTE_NAMES for s in ("", "m", "7", "maj7", "m7", "dim", "aug", "sus4")]
        raise ValueError(
            f"chord {text!r} is not a chord: a root A–G with # or b, then a quality such as m, 7, maj7, m7b5, sus4 or :{', :'.join(QUALITIES[:6])}, "
            f"then /bass{suggest(text, roots) or suggest('C' + text[1:], roots, otherwise='C')}"
        )
    return chord


def _absolute(match: re.Match[str]) -> Chord | None:
    """Harte or pop from the regular expression's root and rest; None where the rest is no quality."""
    root, rest = match.group(1).replace("♯", "#").replace("♭", "b"), match.group(2)
    if re.fullmatch(r"(m|-|min)?6/9", rest):
        return Chord(root, "maj6" if rest == "6/9" else "min6")
    body, slash, bass = rest.partition("/")
    explicit = body.startswith(":")
    inner = body[1:] if explicit else body
    quality = quality_of(inner, harte=explicit) if inner or not explicit else None
    if quality is None or (slash and not bass):
        return None
    if not slash:
        return Chord(root, quality)
    if bass[0] in "ABCDEFG":
        try:
            interval = (pitch_class(bass) - pitch_class(root)) % 12
        except ValueError:
            return None
        return Chord(root, quality, FLAT_DEGREES[interval])
    return Chord(root, quality, bass) if bass.lstrip("b#") in DEGREE_SEMITONES else None


def _nashville(text: str, match: re.Match[str], key: Key) -> Chord:
    """``2m7``, ``b7``, ``1/3``: a scale number, a pop suffix (none: the key's own triad), and a scale number for the bass."""
    accidental, number, rest = match.groups()
    suffix, slash, bass = rest.partition("/")
    offset = accidental.count("#") - accidental.count("b")
    root = key.degree_name(int(number), offset)
    quality = key.diatonic_triad(int(number)) if suffix == "" and not accidental else quality_of(suffix)
    if quality is None or (slash and not re.fullmatch(r"[b#]?[1-7]", bass)):
        raise ValueError(f"chord {text!r} is not a Nashville number: 1–7, a suffix such as m, 7 or m7, then /1–7")
    if not slash:
        return Chord(root, quality)
    below = key.degree_name(int(bass[-1]), bass.count("#") - bass.count("b"))
    return Chord(root, quality, FLAT_DEGREES[(pitch_class(below) - pitch_class(root)) % 12])
