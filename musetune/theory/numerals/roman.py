"""Roman numerals: text in a key → Chord, and Chord in a key → text."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from functools import lru_cache

from musetune.symbols.chord import LONGEST, Chord
from musetune.symbols.chord_suffix import quality_tones, read_suffix
from musetune.symbols.key import SCALES, Key
from musetune.symbols.limits import quote
from musetune.symbols.names import pitch_class, suggest
from musetune.symbols.qualities import DEGREE_SEMITONES, FLAT_DEGREES, QUALITY_INTERVALS

NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII")
_NUMERAL = "(?:VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)"
_TEXT = re.compile(rf"^([b#♭♯]*)({_NUMERAL})(?![IViv])(.*)$")
_HARD = re.compile(rf"[b#]*(?:{_NUMERAL}|Ger|It|Fr|N|Cad)[0-9o°ø+b#]*(?:/[b#]*{_NUMERAL}[0-9o°ø+b#]*)?")
_SLASHED = re.compile(r"(?<=[IVivo°ø+rt])(6|4)/([5432])(?!\d)")  # V6/5 is V65; add6/5 has its fifth in the bass
FIGURES = {
    "6": (3, 1),
    "64": (3, 2),
    "7": (4, 0),
    "65": (4, 1),
    "43": (4, 2),
    "42": (4, 3),
    "2": (4, 3),
    "": (3, 0),
}  # tones, inversion
EXAMPLES = tuple(
    n + s
    for n in ("I", "ii", "iii", "IV", "V", "vi", "viio", "bVII", "bVI", "bIII", "i", "iv", "v")
    for s in ("", "7", "6")
)
MARKS = {"maj": "", "min": "", "dim": "o", "aug": "+", "7": "7", "min7": "7", "dim7": "o7", "hdim7": "ø7"}
STEMS = MARKS | {
    "minmaj7": "maj7",
    "maj6": "add6",
    "min6": "add6",
    "min9": "9",
}  # what roman_of writes after the numeral
# Chords with names of their own: semitones of the root above the tonic, intervals above the root, bass.
NAMED = {
    "N6": (1, (0, 4, 7), "3"), "It6": (8, (0, 4, 10), "1"), "Ger65": (8, (0, 4, 7, 10), "1"),
    "Ger6": (8, (0, 4, 7, 10), "1"), "Fr43": (2, (0, 4, 6, 10), "b5"), "Fr6": (2, (0, 4, 6, 10), "b5"),
    "Cad64": (0, (0, 4, 7), "5"),
}  # fmt: skip
MOST_SLASHES = 6  # five targets and a bass
EXAMPLES += ("V7/V", "V65", "viio7", "Imaj7", "viiø7", "Ger65", "N6")


def resolve_roman(text: str, key: Key) -> Chord:
    """Chord that a Roman numeral names in ``key``.

    As jazz and pop write it, a bare 7 on a major numeral is the dominant seventh on V and on applied or altered
    degrees, and the key's own seventh elsewhere (``I7`` in major is maj7); ``maj7``, ``m7`` and ``dom7`` say it
    outright. ``6`` is the first inversion; write ``add6`` for the sixth. In minor, vi and vii are those of the
    natural scale, ``viio`` stands on the leading tone. Augmented sixths and N6 stand in NAMED, the rest goes through
    music21.

    Args:
        text: Degree, then figures (6, 64, 7, 65, 43, 42; also 6/5), o ø +, a pop suffix (``maj7``, ``7(b9)``), ``/3``
            for the bass,
            ``/V`` for the degree that the chord is applied to, at most five times.
        key: Key that the degrees count from.

    Raises:
        ValueError: For what no rule reads; it names the text and the nearest numeral.

    Example:
        >>> [str(resolve_roman(text, Key("C"))) for text in ("ii7", "V65", "V7/V", "viiø7", "V7(b9)")]
        ['D:min7', 'G:7/3', 'D:7', 'B:hdim7', 'G:7(b9)']
    """
    if not isinstance(text, str) or len(text) > LONGEST or text.count("/") > MOST_SLASHES:
        raise ValueError(
            f"chord {quote(text)} is not a Roman numeral of at most {LONGEST} characters and {MOST_SLASHES} slashes, "
            "such as V7/V"
        )
    return _resolve(text, key)


@lru_cache(maxsize=4096)
def _resolve(text: str, key: Key) -> Chord:
    head, slash, target = _SLASHED.sub(r"\1\2", text).replace("6/9", "69").partition("/")
    if slash and _TEXT.match(target):
        try:
            return _resolve(head, _target_key(target, key))
        except ValueError as error:
            raise ValueError(f"chord {text!r}: {error}") from error
    match = _TEXT.match(head)
    chord = (_plain(match, key) if match else _special_chord(head, key)) or _through_music21(head, key)
    if chord is None:
        raise ValueError(f"chord {text!r} is not a Roman numeral in {key}{suggest(text, EXAMPLES)}")
    if slash:
        if target.lstrip("b#") not in DEGREE_SEMITONES:
            hint = suggest(target, (*FLAT_DEGREES, *NUMERALS, *map(str.lower, NUMERALS)))
            raise ValueError(
                f"chord {text!r}: after '/' comes a numeral (V7/V) or a bass interval (I/3), not {target!r}{hint}"
            )
        chord = replace(chord, bass=target)
    return chord


def _special_chord(text: str, key: Key) -> Chord | None:
    """N6, Ger65, It6, Fr43, Cad64 (minor where the key is); None for another name."""
    if text not in NAMED:
        return None
    step, intervals, bass = NAMED[text]
    if text == "Cad64" and key.mode == "minor":
        intervals = quality_tones("min")
    return Chord.from_intervals(key.name_of((key.tonic_pc + step) % 12), intervals, bass)


def _target_key(target: str, key: Key) -> Key:
    """The key that an applied chord points to."""
    chord = _resolve(target, key)
    assert chord.root is not None
    return Key(chord.root, "minor" if 3 in QUALITY_INTERVALS[chord.quality] else "major")


def _degree(accidentals: str, numeral: str, mark: str, key: Key) -> str:
    """Name of the root. In minor a diminished vii stands on the raised seventh, bviio on the natural one."""
    number = NUMERALS.index(numeral.upper()) + 1
    offset = accidentals.count("#") + accidentals.count("♯") - accidentals.count("b") - accidentals.count("♭")
    if key.mode == "minor" and offset < 0:  # bVI in minor means the natural sixth, as it does in major
        return key.degree_name(number, offset + SCALES["major"][number - 1] - SCALES["minor"][number - 1])
    if key.mode == "minor" and numeral == "vii" and mark in ("o", "°", "ø"):
        offset = max(offset, 1)
    return key.degree_name(number, offset)


def _plain(match: re.Match[str], key: Key) -> Chord | None:
    accidentals, numeral, rest = match.groups()
    mark = rest[:1] if rest[:1] in ("o", "°", "ø", "+") else ""
    root = _degree(accidentals, numeral, mark, key)
    tail = rest[len(mark) :]
    if tail not in FIGURES:
        minor = numeral.islower() and (tail.startswith("maj") or not tail.startswith(("m", "sus", "-")))
        intervals = None if mark else read_suffix(("m" if minor else "") + tail)
        return None if intervals is None else Chord.from_intervals(root, intervals)
    tones, inversion = FIGURES[tail]
    if mark == "+" and tones == 4:
        intervals = (0, 4, 8, 10)
    else:
        intervals = quality_tones(_figured_quality(numeral, mark, tones, root, accidentals, key))
    return Chord.from_intervals(root, intervals, FLAT_DEGREES[intervals[inversion]])


def _figured_quality(numeral: str, mark: str, tones: int, root: str, accidentals: str, key: Key) -> str:
    if mark:
        if tones == 3:
            return {"o": "dim", "°": "dim", "ø": "dim", "+": "aug"}[mark]
        return {"o": "dim7", "°": "dim7", "ø": "hdim7"}[mark]
    if numeral.islower():
        return "min" if tones == 3 else "min7"
    if tones == 3:
        return "maj"
    diatonic = (pitch_class(root) + 11 - key.tonic_pc) % 12 in SCALES[key.mode]
    own = (pitch_class(root) - key.tonic_pc) % 12 in ((0, 5) if key.mode == "major" else (3, 8))
    return "maj7" if own and diatonic and not accidentals else "7"


def _through_music21(text: str, key: Key) -> Chord | None:
    """music21 reads what our table does not: Ger65, It6, Fr43, N6, Cad64. Qualities it finds are mapped by their
    pitch classes.
    """
    if not _HARD.fullmatch(text):  # music21 skips letters that it does not know
        raise ValueError(f"chord {text!r} is not a Roman numeral in {key}{suggest(text, EXAMPLES)}")
    from music21 import roman as m21roman

    spelled = key.tonic.replace("b", "-")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            numeral = m21roman.RomanNumeral(text, spelled if key.mode == "major" else spelled.lower())
            root, bass = numeral.root().pitchClass, numeral.bass().pitchClass
            tones = {p.pitchClass for p in numeral.pitches}
        except Exception as error:  # music21 raises many kinds for text that it cannot read; ours names the text
            raise ValueError(f"chord {text!r} is not a Roman numeral in {key}{suggest(text, EXAMPLES)}") from error
    return _chord_of(tones, bass, key, root)


def _chord_of(tones: set[int], bass: int, key: Key, root: int | None = None) -> Chord | None:
    """The chord whose tones are exactly ``tones``, the given root tried first, then the bass, then the others; None
    where none fits.
    """
    order = [r for r in (root, bass, *sorted(tones)) if r is not None]
    for candidate in order:
        steps = {(t - candidate) % 12 for t in tones}
        for quality, intervals in QUALITY_INTERVALS.items():
            if intervals and {i % 12 for i in intervals} == steps:
                return Chord(key.name_of(candidate), quality, FLAT_DEGREES[(bass - candidate) % 12])
    for candidate in order:  # Italian and French sixths: a dominant seventh without its fifth, or with a flat one
        steps = {(t - candidate) % 12 for t in tones}
        if {0, 4, 10} <= steps <= {0, 4, 6, 10}:
            return Chord.from_intervals(key.name_of(candidate), steps, FLAT_DEGREES[(bass - candidate) % 12])
    return None


def scale_degree(chord: Chord, key: Key) -> int:
    """Semitones of the chord's root above the tonic, 0–11; 12 for N."""
    return 12 if chord.root_pc is None else (chord.root_pc - key.tonic_pc) % 12


@lru_cache(maxsize=8192)
def roman_of(chord: Chord, key: Key) -> str:
    """Roman numeral of ``chord`` in ``key``: ``V65``, ``V7/V``, ``bVII``, ``viiø7``, ``Imaj7``; N stays N.

    ``resolve_roman`` reads it as the same root, quality and bass. A major or dominant chord that is not the key's own
    and stands a fifth above a scale degree is written as applied to it.
    """
    if chord.root_pc is None:
        return "N"
    applied = applied_target(chord, key)
    if applied:
        return "V" + _suffix(chord) + "/" + applied
    scale = SCALES[key.mode]
    degree = scale_degree(chord, key)
    minor = 3 in QUALITY_INTERVALS[chord.quality]
    diminished = chord.quality in ("dim", "dim7", "hdim7")
    if degree in scale:
        number = scale.index(degree)
        accidental = "b" if diminished and number == 6 and key.mode == "minor" else ""
    elif degree == 11 and key.mode == "minor":
        accidental, number = ("" if diminished else "#"), 6
    else:
        number = next(i for i, s in enumerate(SCALES["major"]) if s >= degree) if degree < 11 else 6
        accidental = "" if SCALES["major"][number] == degree else "b"
        if degree == 6:
            number, accidental = 3, "#"
        if key.mode == "minor" and accidental == "" and SCALES["minor"][number] != degree:
            accidental = "#"
    numeral = NUMERALS[number].lower() if minor else NUMERALS[number]
    dominant = _figured_quality(numeral, "", 4, chord.root or "", accidental, key) == "7"
    return accidental + numeral + _suffix(chord, dominant)


def _suffix(chord: Chord, dominant: bool = True) -> str:
    """Quality mark and inversion figures; ``dominant``: a bare 7 on this numeral is the dominant seventh."""
    quality, inversion = chord.quality, chord.inversion
    stem = STEMS.get(quality, quality) if dominant or quality != "7" else "dom7"
    if inversion > 0 and stem == MARKS.get(quality):
        figures = ("6", "64") if len(QUALITY_INTERVALS[quality]) == 3 else ("65", "43", "42")
        return stem.removesuffix("7") + figures[inversion - 1]
    return stem + ("" if inversion == 0 else f"/{chord.bass}")


def applied_target(chord: Chord, key: Key) -> str:
    """Numeral of the degree that a foreign major or dominant chord is the dominant of; "" where it is none."""
    if chord.quality not in ("maj", "7") or chord.inversion < 0:
        return ""
    degree = scale_degree(chord, key)
    target = (degree - 7) % 12
    scale = SCALES[key.mode]
    if target == 0 or target not in scale or (degree + 4) % 12 in scale or degree not in scale:
        return ""
    if key.mode == "minor" and degree in (0, 5) and chord.quality == "maj":
        # the Picardy third and the IV of the raised sixth are read as I and IV wherever they lead, as from notes
        return ""
    number = scale.index(target)
    triad = key.diatonic_triad(number + 1)
    if triad == "dim":
        return ""
    return NUMERALS[number].lower() if triad == "min" else NUMERALS[number]
