"""What the training songs hold, as runs of notes, so that decoding can keep from repeating more than twelve of them in
a row.

A note counts as its interval to the note before (notes of a chord from the lowest up), the steps since that note began,
and its length: transposed copies are copies. For lead the length does not count: a tune is the same with its notes cut
short. Runs of thirteen are kept in a Bloom filter, a set that never misses what it holds and is wrong about one in some
hundreds of what it does not hold.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from musetune.planning.arranger.language import StemEvent

RUN = 13  # notes; one fewer may be alike
GUARDED = ("bass", "guitar", "keys", "lead")
PROBES = 5
FILE = "copies.npz"
_PRIME, _MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1

Feature = tuple[int, int, int]  # interval in semitones, steps since the note before, length in steps


def features(events: Iterable[StemEvent], stem: str) -> list[Feature]:
    """A passage's notes after the first as intervals, steps since the note before and lengths (0 for lead)."""
    notes = sorted(events, key=lambda e: (e.step, e.pitch))
    return [feature(before, now, stem) for before, now in itertools.pairwise(notes)]


def feature(before: StemEvent, now: StemEvent, stem: str) -> Feature:
    """What two notes in a row are compared by: their interval, the later one's onset and, but for the lead, length."""
    return now.pitch - before.pitch, now.step - before.step, 0 if stem == "lead" else now.steps


def digest(run: Iterable[Feature], stem: str) -> int:
    """64 bits of a run of notes of a stem."""
    value = GUARDED.index(stem) + 1
    for interval, steps, length in run:
        value = ((value ^ ((interval + 128) << 24 | steps << 8 | length)) * _PRIME) & _MASK
        value ^= value >> 29
    return value


class CopyFilter:
    """The runs of thirteen notes (twelve features) of the training songs; ``in`` asks for a digest."""

    def __init__(self, bits: np.ndarray) -> None:
        self.bits = bits  # (n,) bytes

    @staticmethod
    def of(digests: set[int], size: int) -> CopyFilter:
        """A filter of ``size`` bytes."""
        bits = np.zeros(size, np.uint8)
        for value in digests:
            for byte, bit in _places(value, size):
                bits[byte] |= 1 << bit
        return CopyFilter(bits)

    def __contains__(self, value: int) -> bool:
        return all(self.bits[byte] >> bit & 1 for byte, bit in _places(value, len(self.bits)))

    def repeats(self, events: list[StemEvent], fresh: list[StemEvent], stem: str) -> bool:
        """Whether one of ``fresh``, the notes of the onset that follows ``events``, ends a run of thirteen from the
        training songs.
        """
        if stem not in GUARDED or len(events) + len(fresh) < RUN:
            return False
        notes = [*events[-(RUN - 1) :], *sorted(fresh, key=lambda e: e.pitch)]
        run = [feature(before, now, stem) for before, now in itertools.pairwise(notes)]
        ends = range(max(RUN - 1, len(run) - len(fresh) + 1), len(run) + 1)
        return any(digest(run[end - RUN + 1 : end], stem) in self for end in ends)

    def save(self, folder: Path) -> None:
        """Write the table into a folder."""
        np.savez_compressed(folder / FILE, bits=self.bits)

    @staticmethod
    def load(folder: Path) -> CopyFilter | None:
        """What ``save`` wrote; None where the folder has no such file."""
        if not (folder / FILE).is_file():
            return None
        with np.load(folder / FILE) as file:
            return CopyFilter(file["bits"])


def runs_of(events: Iterable[StemEvent], stem: str) -> Iterable[int]:
    """Digests of all runs of thirteen notes in a passage."""
    run = features(events, stem)
    return (digest(run[i : i + RUN - 1], stem) for i in range(len(run) - RUN + 2))


def _places(value: int, size: int) -> Iterable[tuple[int, int]]:
    """(byte, bit) of each probe."""
    first, second = value & 0xFFFFFFFF, value >> 32 | 1
    for i in range(PROBES):
        bit = (first + i * second) % (size * 8)
        yield bit >> 3, bit & 7
