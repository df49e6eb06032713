"""The words of the plan language, and where each kind of them lies in the list.

A plan is key-relative: chords are semitones above the tonic, so every key has the same words. ``TOKENS`` is their
order; a word's place in it is what the grammar speaks of, and ``END`` is one past the last: the tokenizer's own end of
a sequence.
"""

from __future__ import annotations

from musetune.symbols import GENRES, QUALITIES
from musetune.symbols.meter import METERS

TONICS = ("C", "C#", "Db", "D", "D#", "Eb", "E", "F", "F#", "Gb", "G", "G#", "Ab", "A", "A#", "Bb", "B", "Cb")
MODES = ("major", "minor")
LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWX")
LABELS = (*LETTERS, "intro", "outro")
LENGTHS = ("bars", "seconds", "open")
MOST_SECTION = 64  # bars of a section
STEPS = 14  # places in a bar where a chord may begin: half beats, in compound meters thirds; 7 beats at most
SOUNDING = tuple(q for q in QUALITIES if q != "N")

_KINDS: dict[str, tuple[str, ...]] = {
    "genre": tuple(f"<genre:{g}>" for g in GENRES),
    "meter": tuple(f"<meter:{m}>" for m in METERS),
    "mode": tuple(f"<mode:{m}>" for m in MODES),
    "tonic": tuple(f"<tonic:{t}>" for t in TONICS),
    "digit": tuple(f"<{d}>" for d in range(10)),
    "length": tuple(f"<{name}>" for name in LENGTHS),
    "label": tuple(f"<section:{label}>" for label in LABELS),
    "count": tuple(f"<bars:{n}>" for n in range(1, MOST_SECTION + 1)),
    "formed": ("</form>",),
    "chord": (*(f"<{degree}:{quality}>" for degree in range(12) for quality in SOUNDING), "<N>"),
    "bass": tuple(f"<bass:{semitones}>" for semitones in range(1, 12)),
    "step": tuple(f"<step:{step}>" for step in range(1, STEPS)),
}
TOKENS = tuple(token for kind in _KINDS.values() for token in kind)
END = len(TOKENS)
_INDEX = {token: word_index for word_index, token in enumerate(TOKENS)}
RANGE = {
    kind: tuple(_INDEX[token] for token in tokens) for kind, tokens in _KINDS.items()
}  # kind → places of its words
FIRST = {kind: places[0] for kind, places in RANGE.items()}
CHORDS = RANGE["chord"][:-1]  # what a model may write: no bar without a chord


def word_index(token: str) -> int:
    """The place of a word in TOKENS. Raises KeyError for what is no word."""
    return _INDEX[token]


def chord_index(degree: int, quality: str) -> int:
    """The word for a chord ``degree`` (0–11) semitones above the tonic; N has no degree."""
    return RANGE["chord"][-1] if quality == "N" else FIRST["chord"] + degree * len(SOUNDING) + SOUNDING.index(quality)


def chord_at(index: int) -> tuple[int, str]:
    """Degree and quality of a chord's word; (0, "N") for no chord."""
    if index == RANGE["chord"][-1]:
        return 0, "N"
    degree, quality = divmod(index - FIRST["chord"], len(SOUNDING))
    return degree, SOUNDING[quality]
