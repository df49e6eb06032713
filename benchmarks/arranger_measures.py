"""What is measured of stems, on events of a passage: harmony, density, rhythm, and how long a run of notes the
training songs hold too.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from musetune.planning.arranger.language import COMPOUND, STEPS, Passage, StemEvent
from musetune.symbols import QUALITIES
from musetune.symbols.qualities import QUALITY_INTERVALS

SCALES = {"major": {0, 2, 4, 5, 7, 9, 11}, "minor": {0, 2, 3, 5, 7, 8, 10, 11}}  # minor with its raised seventh
MINE = np.uint64(0x9E3779B97F4A7C15)


@dataclass
class Tally:
    """Counts over passages of one stem."""

    strong: int = 0  # notes that begin on a beat, where a chord is known
    fitting: int = 0  # of these, tones of the chord that sounds
    notes: int = 0
    foreign: int = 0  # of pitches outside the key's scale
    bars: int = 0
    onsets: Counter[tuple[str, int]] = field(default_factory=Counter)  # (meter, step in the bar)
    eighths: int = 0  # onsets on the half of a beat (compound time: its thirds)

    def add(self, events: Iterable[StemEvent], passage: Passage, drums: bool) -> None:
        """Count a passage's notes; drums have no pitch."""
        self.bars += passage.bars
        grid = STEPS // 3 if passage.meter in COMPOUND else STEPS // 2
        for step in {e.step for e in events}:
            self.onsets[passage.meter, step % passage.bar_steps] += 1
            self.eighths += step % grid == 0
        for event in events:
            self.notes += 1
            if drums:
                continue
            self.foreign += event.pitch % 12 not in SCALES[passage.mode]
            tones = tones_at(passage, event.step)
            if event.step % STEPS == 0 and tones:
                self.strong += 1
                self.fitting += event.pitch % 12 in tones

    def shares(self, drums: bool) -> dict[str, float | None]:
        """chord_tones and out_of_key in per cent, notes a bar, eighths: per cent of the onsets on that grid."""
        onsets = sum(self.onsets.values())
        return {
            "chord_tones": None if drums else 100 * self.fitting / max(self.strong, 1),
            "out_of_key": None if drums else 100 * self.foreign / max(self.notes, 1),
            "notes_a_bar": self.notes / max(self.bars, 1),
            "eighths": 100 * self.eighths / max(onsets, 1),
        }


def tones_at(passage: Passage, step: int) -> set[int]:
    """Pitch classes above the tonic that belong to the chord at a step, with its bass; empty where there is none."""
    chord = next(c for c in reversed(passage.harmony) if c.step <= step)
    if chord.root == 12:
        return set()
    return {(chord.root + i) % 12 for i in QUALITY_INTERVALS[QUALITIES[chord.quality]]} | {chord.bass}


def divergence(one: Counter, other: Counter) -> float:
    """Jensen-Shannon divergence of two histograms in bits, 0 (alike) to 1."""
    keys = sorted(set(one) | set(other))
    p, q = (np.array([c[k] for k in keys], float) / max(sum(c.values()), 1) for c in (one, other))
    mean = (p + q) / 2
    halves = [np.sum(x[x > 0] * np.log2(x[x > 0] / mean[x > 0])) for x in (p, q)]
    return float(sum(halves) / 2)


Symbols = list[int]  # one a note


def symbols(events: Iterable[StemEvent], stem: str, lengths: bool) -> Symbols:
    """A passage as notes after the first: interval (drums: what is struck), steps since the note before and, with
    ``lengths``, length.
    """
    notes = sorted(events, key=lambda e: (e.step, e.pitch))
    out = []
    for before, now in itertools.pairwise(notes):
        what = now.pitch if stem == "drums" else now.pitch - before.pitch + 128
        out.append(what << 24 | (now.step - before.step) << 8 | (now.steps if lengths and stem != "drums" else 0))
    return out


class Runs:
    """Runs of symbols that occur in a set of texts, for any length: rolling hashes, compared by length."""

    def __init__(self, texts: Sequence[tuple[str, Symbols]]) -> None:
        """texts: (song, symbols of one passage)."""
        self.texts = texts
        self._known: dict[int, np.ndarray] = {}

    def known(self, length: int) -> np.ndarray:
        """Sorted hashes of all runs of ``length`` symbols."""
        if length not in self._known:
            parts = [_hashes(text, length) for _, text in self.texts if len(text) >= length]
            self._known[length] = np.unique(np.concatenate(parts)) if parts else np.empty(0, np.uint64)
        return self._known[length]

    def longest(self, texts: Sequence[Symbols]) -> int:
        """Symbols of the longest run in ``texts`` that is known too."""
        low, high = 0, max((len(t) for t in texts), default=0)
        while low < high:
            middle = (low + high + 1) // 2
            if self.share(texts, middle)[0]:
                low = middle
            else:
                high = middle - 1
        return low

    def share(self, texts: Sequence[Symbols], length: int) -> tuple[int, int]:
        """(runs of ``length`` symbols in ``texts`` that are known, all of them)."""
        parts = [_hashes(t, length) for t in texts if len(t) >= length]
        if not parts:
            return 0, 0
        own = np.concatenate(parts)
        return int(np.isin(own, self.known(length)).sum()), len(own)

    def songs_with(self, length: int) -> dict[int, int]:
        """For each run of ``length`` symbols in how many songs it occurs, by hash."""
        songs: dict[int, set[str]] = defaultdict(set)
        for song, text in self.texts:
            for value in np.unique(_hashes(text, length)).tolist() if len(text) >= length else ():
                songs[value].add(song)
        return {value: len(own) for value, own in songs.items()}


def _hashes(text: Symbols, length: int) -> np.ndarray:
    """Polynomial hashes, 64 bits, of all runs of ``length``."""
    values = _mixed(np.array(text, np.uint64))
    out = np.zeros(len(text) - length + 1, np.uint64)
    with np.errstate(over="ignore"):
        for i in range(length):
            out = out * MINE + values[i : i + len(out)]
    return _mixed(out)


def _mixed(values: np.ndarray) -> np.ndarray:
    """splitmix64's finaliser."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def commonplace(runs: Runs, texts: Sequence[Symbols], length: int, songs: int = 5) -> dict[str, float]:
    """Of the runs of ``length`` symbols in ``texts``, per cent that are known; of those, per cent that are one note
    (or hit) repeated and per cent that at least ``songs`` training songs share.
    """
    own = [(t[i : i + length], h) for t in texts if len(t) >= length for i, h in enumerate(_hashes(t, length).tolist())]
    known = set(runs.known(length).tolist())
    copied = [(run, h) for run, h in own if h in known]
    spread = runs.songs_with(length) if copied else {}
    one = sum(len(set(run)) == 1 for run, _ in copied)
    return {
        "known": 100 * len(copied) / max(len(own), 1),
        "one_note": 100 * one / max(len(copied), 1),
        "common": 100 * sum(spread[h] >= songs for _, h in copied) / max(len(copied), 1),
    }
