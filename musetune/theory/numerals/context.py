"""Numerals in context: what a chord is called depends on the key and on where the chord goes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

from musetune.symbols.chord import Chord
from musetune.symbols.key import SCALES, Key
from musetune.symbols.lead_sheet import LeadSheet
from musetune.symbols.qualities import QUALITY_INTERVALS
from musetune.theory.numerals.roman import NUMERALS, resolve_roman, roman_of, scale_degree

FIGURES = {3: ("", "6", "64"), 4: ("7", "65", "43", "42")}
DIMINISHED = {"dim": "viio", "dim7": "viio", "hdim7": "viiø"}
SUPERTONIC = {"min": "ii", "min7": "ii", "hdim7": "iiø"}
DOMINANTS = ("maj", "7")
SEVENTHS = ("7", "9")


def romans(sheet: LeadSheet) -> list[str]:
    """One numeral for each span of ``sheet`` that sounds, in the key in force and heard with the chords around it.

    Beyond ``roman_of``: applied dominants, leading-tone and ii chords where they resolve (V7/IV, viio7/V, iiø7/ii),
    augmented sixths before the dominant (Ger65, Fr43), N6, the cadential Cad64. ``resolve_roman`` reads each as the
    span's pitch classes and bass; the root may differ where the chord divides the octave evenly.
    """
    spans = [span for span in sheet.chords if span.chord.root is not None]
    chords: list[Chord | None] = [span.chord.simplify() for span in spans] + [None]
    names: list[str] = []
    for i, (here, then) in enumerate(pairwise(chords)):
        assert here is not None
        later = next((c for c in chords[i + 1 :] if c is None or c.root_pc != here.root_pc), None)
        names.append(numeral(here, then, later, sheet.key_at(spans[i].start)))
    return names


def romans_of_spans(sheet: LeadSheet) -> list[str]:
    """One numeral for each span of ``sheet``, as `romans`; "" where the span is N.C.

    Example:
        >>> romans_of_spans(LeadSheet.parse("| C | N.C. | G |"))
        ['I', '', 'V']
    """
    names = iter(romans(sheet))
    return ["" if span.chord.root is None else next(names) for span in sheet.chords]


@lru_cache(maxsize=8192)
def numeral(chord: Chord, then: Chord | None, later: Chord | None, key: Key) -> str:
    """The name of ``chord`` in ``key`` when ``then`` follows at once and ``later`` is the next chord on another root
    (None: the end).
    """
    for name in _readings(chord, then, later, key):
        if name and _reads_as(name, chord, key):
            return name
    if key.mode == "minor" and scale_degree(chord, key) == 5 and chord.quality == "7" and (figures := _figures(chord)):
        return f"IV{figures}"  # the Dorian IV7, since it does not lead to VII
    return roman_of(chord, key)


def _reads_as(name: str, chord: Chord, key: Key) -> bool:
    read = resolve_roman(name, key)
    return set(read.simplify().pitch_classes) == set(chord.pitch_classes) and read.bass_pc == chord.bass_pc


def _readings(chord: Chord, then: Chord | None, later: Chord | None, key: Key) -> Iterator[str]:
    """Names worth a try, the best first; some may not fit the chord."""
    degree, quality = scale_degree(chord, key), chord.quality
    to_dominant = then is not None and (_is_dominant(then, key) or _is_cadential(then, key))
    if _is_cadential(chord, key) and then is not None and _is_dominant(then, key):
        yield "Cad64"
    if quality == "7" and degree == 8 and to_dominant:
        yield "Ger65"
    if quality == "7" and degree == 2 and chord.bass == "b5":
        yield "Fr43"
    if quality == "maj" and degree == 1 and chord.inversion == 1:
        yield "N6"
    if later is not None:
        yield _applied_dominant(chord, later, key)
        yield _applied_leading_tone(chord, later, key)
        yield _applied_supertonic(chord, later, key)


def _is_dominant(chord: Chord, key: Key) -> bool:
    return scale_degree(chord, key) == 7 and chord.quality in (*DOMINANTS, "9", "sus4") and chord.inversion in (0, 3)


def _is_cadential(chord: Chord, key: Key) -> bool:
    return scale_degree(chord, key) == 0 and chord.inversion == 2 and len(QUALITY_INTERVALS[chord.quality]) == 3


def own(chord: Chord, key: Key) -> bool:
    """Whether the key's scale holds the chord; in minor also the dominant's raised seventh."""
    steps = {(pc - key.tonic_pc) % 12 for pc in chord.pitch_classes}
    scale = set(SCALES[key.mode])
    if key.mode == "minor" and scale_degree(chord, key) in (7, 11) and 11 in steps:
        scale = scale - {10} | {11}
    return steps <= scale


def target_of(pc: int, key: Key) -> str:
    """Numeral of the key's own triad on pitch class ``pc``; "" for the tonic, a diminished triad, a foreign degree."""
    step, scale = (pc - key.tonic_pc) % 12, SCALES[key.mode]
    if step == 0 or step not in scale:
        return ""
    number = scale.index(step)
    triad = key.diatonic_triad(number + 1)
    if triad == "dim":
        return ""
    if key.mode == "minor" and step == 7:
        return "V"
    return NUMERALS[number].lower() if triad == "min" else NUMERALS[number]


def _figures(chord: Chord) -> str | None:
    """Figures of a triad or seventh chord in its inversion; None for other chords and for foreign bass notes."""
    figures = FIGURES.get(len(QUALITY_INTERVALS[chord.quality]), ())
    return figures[chord.inversion] if 0 <= chord.inversion < len(figures) else None


def _applied_dominant(chord: Chord, later: Chord, key: Key) -> str:
    """V or V7 of the degree that the next chord stands on."""
    figures, root = _figures(chord), later.root_pc
    if chord.quality not in DOMINANTS or figures is None or own(chord, key) or root is None:
        return ""
    if (root - scale_degree(chord, key) - key.tonic_pc) % 12 != 5:
        return ""
    if key.mode == "minor" and chord.quality == "maj" and scale_degree(chord, key) in (0, 5):
        return ""  # the Picardy third and the Dorian IV: as triads analysts hardly ever hear them as V/iv and V/VII
    target = target_of(root, key)
    return f"V{figures}/{target}" if target else ""


def _applied_leading_tone(chord: Chord, later: Chord, key: Key) -> str:
    """A diminished chord a semitone below the root of the next chord (or of its cadential 6/4, or the chord that it
    is dominant of).
    """
    figures, root = _figures(chord), later.root_pc
    if chord.quality not in DIMINISHED or figures is None or own(chord, key) or root is None or chord.root_pc is None:
        return ""
    if _is_cadential(later, key):
        root = (key.tonic_pc + 7) % 12
    roots = [chord.root_pc] if chord.quality != "dim7" else list(chord.pitch_classes)
    for goal in (root, (root + 5) % 12 if later.quality in SEVENTHS else root):
        if (goal - 1) % 12 in roots and (target := target_of(goal, key)):
            bass = roots.index(chord.bass_pc) - roots.index((goal - 1) % 12) if len(roots) > 1 else chord.inversion  # type: ignore[arg-type]
            size = FIGURES[len(QUALITY_INTERVALS[chord.quality])]
            return f"{DIMINISHED[chord.quality]}{size[bass % len(size)]}/{target}"
    return ""


def _applied_supertonic(chord: Chord, later: Chord, key: Key) -> str:
    """ii of a degree, where the dominant of that degree follows."""
    figures, root = _figures(chord), later.root_pc
    if chord.quality not in SUPERTONIC or figures is None or own(chord, key) or root is None or own(later, key):
        return ""
    if later.quality not in DOMINANTS or (root - scale_degree(chord, key) - key.tonic_pc) % 12 != 5:
        return ""
    target = target_of((root + 5) % 12, key)
    return f"{SUPERTONIC[chord.quality]}{figures}/{target}" if target else ""
