"""The tokens that the stem transformer reads and writes.

Pitches are relative to the key, positions to the bar (as in REMI, arXiv 2002.00212).

A passage is at most eight bars of one meter. Its text is a head, ``start genre meter mode tempo``, and for each stem,
in the order of ``STEMS``: the stem's own token, then for each bar a bar token and its onsets, then an end token. An
onset of drums is a position and one token for all that is struck; of another stem a position, one or more pitches
upwards, and the length that they share. Twelve steps make a beat; onsets stand on sixteenths and triplets. There are no
chord tokens: every token is read with the harmony that sounds where it stands (``grammar.StemTextReader.context``).
"""

from __future__ import annotations

from dataclasses import dataclass

from musetune.symbols import GENRES, QUALITIES, Key
from musetune.symbols.arrangement import STEMS
from musetune.symbols.beat_grid import check_bpm

STEPS = 12  # a beat
MAX_BARS = 8
METERS = ("2/4", "3/4", "4/4", "6/8", "12/8")
COMPOUND = ("6/8", "12/8")
MAX_BEATS = 4  # in a bar
OFFSETS = (0, 2, 3, 4, 6, 8, 9, 10)  # steps inside a beat at which an onset may stand
SIMPLE_OFFSETS, COMPOUND_OFFSETS = (0, 3, 4, 6, 8, 9), (0, 2, 4, 6, 8, 10)
LENGTHS = (2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 30, 36, 48, 72, 96)  # steps
TEMPO_EDGES = (66, 84, 100, 116, 136, 168)  # bpm; below the first is bucket 0
LOWEST, HIGHEST = 22, 100  # MIDI pitches written in C, see ``tonic_offset``


@dataclass(frozen=True)
class StemRange:
    """What a stem may hold: MIDI pitches ``low`` to ``high``, ``voices`` notes at once, ``onsets`` in a bar of four
    beats.
    """

    low: int
    high: int
    voices: int
    onsets: int


STEM_RANGES = {
    "drums": StemRange(35, 81, 1, 16),
    "bass": StemRange(28, 55, 1, 8),
    "guitar": StemRange(40, 83, 5, 8),
    "keys": StemRange(33, 93, 5, 10),
    "lead": StemRange(53, 88, 1, 10),
}

# Drums: what hands and feet strike together is one token: a set of BODY, one of CYMBALS and one of TOMS.
BODY = ("kick", "snare", "stick")
CYMBALS = ("", "hat", "open", "ride", "crash", "shaker")
TOMS = ("", "low tom", "high tom")
DRUM_CLASSES = {
    "kick": (36, 35),
    "snare": (38, 40),
    "stick": (37, 39, 31),
    "hat": (42, 44),
    "open": (46,),
    "ride": (51, 53, 59),
    "crash": (49, 52, 55, 57),
    "low tom": (43, 41, 45),
    "high tom": (48, 47, 50),
    "shaker": (70,),
}
LOUDER = ("crash", "open", "ride", "hat", "shaker")  # of two cymbals at once the first is kept
HITS = 8 * len(CYMBALS) * len(TOMS)

_at = 0


def _block(size: int) -> int:
    """The first id of the next ``size`` tokens."""
    global _at
    first, _at = _at, _at + size
    return first


START, BAR, END = _block(1), _block(1), _block(1)
GENRE = _block(len(GENRES) + 1)  # the last: no genre told
METER, MODE, TEMPO = _block(len(METERS)), _block(2), _block(len(TEMPO_EDGES) + 1)
STEM = _block(len(STEMS))
POSITION = _block(MAX_BEATS * len(OFFSETS))
PITCH = _block(HIGHEST - LOWEST + 1)
LENGTH = _block(len(LENGTHS))
HIT = _block(HITS)  # HIT itself, nothing struck, is never written
VOCABULARY = _at


@dataclass(frozen=True)
class StemEvent:
    """An onset's note: ``step`` from the passage's start, ``pitch`` as if the tonic were C (drums: a hit, 1–143),
    ``steps`` long.
    """

    step: int
    pitch: int
    steps: int = 3


@dataclass(frozen=True)
class PassageChord:
    """A chord from ``step`` on: root and bass 0–11 above the tonic (12: no chord), quality's place in QUALITIES."""

    step: int
    root: int
    quality: int
    bass: int


@dataclass(frozen=True)
class Passage:
    """What up to eight bars of one meter stand on.

    ``harmony`` starts at step 0 and covers all bars; ``offset`` as ``tonic_offset``.

    Raises ValueError for a meter that the language lacks, a number of bars outside 1–8, or harmony that does not start
    at 0.
    """

    genre: str | None
    meter: str
    mode: str
    bpm: float
    offset: int
    bars: int
    harmony: tuple[PassageChord, ...]

    def __post_init__(self) -> None:
        if self.meter not in METERS:
            raise ValueError(f"meter {self.meter} is not one that the stem transformer knows: {', '.join(METERS)}")
        if not 1 <= self.bars <= MAX_BARS:
            raise ValueError(f"bars={self.bars} is outside 1–{MAX_BARS}: cut the passage")
        if not self.harmony or self.harmony[0].step != 0:
            raise ValueError("a passage's harmony must start at step 0; begin with NO_HARMONY where there is no chord")
        check_bpm(self.bpm)

    @property
    def bar_steps(self) -> int:
        """Steps of a bar."""
        return STEPS * beats_of(self.meter)

    @property
    def steps(self) -> int:
        """Steps of the passage."""
        return self.bars * self.bar_steps

    def head(self) -> list[int]:
        """The tokens before the first stem."""
        genre = GENRES.index(self.genre) if self.genre in GENRES else len(GENRES)
        tempo = sum(self.bpm >= edge for edge in TEMPO_EDGES)
        mode = ("major", "minor").index(self.mode)
        return [START, GENRE + genre, METER + METERS.index(self.meter), MODE + mode, TEMPO + tempo]


NO_HARMONY = PassageChord(0, 12, QUALITIES.index("N"), 12)


def beats_of(meter: str) -> int:
    """Beats in a bar: 6/8 → 2."""
    top = int(meter.split("/")[0])
    return top // 3 if meter in COMPOUND else top


def tonic_offset(key: Key) -> int:
    """Semitones from the nearest C to the key's tonic, −6…5: what is subtracted from MIDI pitches."""
    return (key.tonic_pc + 6) % 12 - 6


def offsets_of(meter: str) -> tuple[int, ...]:
    """Steps inside a beat at which onsets of this meter stand."""
    return COMPOUND_OFFSETS if meter in COMPOUND else SIMPLE_OFFSETS


def position(step: int) -> int:
    """The token of a step inside the bar. Raises ValueError for a step between the grid's."""
    return POSITION + step // STEPS * len(OFFSETS) + OFFSETS.index(step % STEPS)


def position_step(token: int) -> int:
    """The step inside the bar of a position token."""
    beat, offset = divmod(token - POSITION, len(OFFSETS))
    return beat * STEPS + OFFSETS[offset]


def nearest_length(steps: float, room: int) -> int:
    """The length token nearest to ``steps`` that fits into ``room`` steps (2 or more)."""
    return LENGTH + min(
        (i for i, value in enumerate(LENGTHS) if value <= room), key=lambda i: abs(LENGTHS[i] - steps) / LENGTHS[i]
    )


def hit_of(pitches: set[int]) -> int:
    """General MIDI percussion that is struck together → a hit, 1–143. What is in no class counts as shaker."""
    names = {next((name for name, own in DRUM_CLASSES.items() if p in own), "shaker") for p in pitches}
    body = sum(1 << i for i, name in enumerate(BODY) if name in names)
    cymbal = next((CYMBALS.index(name) for name in LOUDER if name in names), 0)
    tom = next((i for i, name in enumerate(TOMS) if name and name in names), 0)
    return body + 8 * (cymbal + len(CYMBALS) * tom)


def drums_in(hit: int) -> list[str]:
    """The drum classes in a hit."""
    rest, tom = hit // 8 % len(CYMBALS), hit // 8 // len(CYMBALS)
    return [n for i, n in enumerate(BODY) if hit >> i & 1] + [n for n in (CYMBALS[rest], TOMS[tom]) if n]
