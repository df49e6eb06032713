"""Songs whose chords, beats and key are known, as sound: POP909 (Wang et al., ISMIR 2020) rendered plainly or with
a band.

For training and measuring the analyser only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .source import RATE

if TYPE_CHECKING:
    import pretty_midi


@dataclass(frozen=True)
class Song:
    """`intervals_s` (n, 2) and Harte `labels`; `beats_s`, `downbeats_s`; `key` as in "Gb:maj", the longest one; all from 0 to `duration_s`."""

    name: str
    midi: pretty_midi.PrettyMIDI
    intervals_s: np.ndarray
    labels: list[str]
    beats_s: np.ndarray
    downbeats_s: np.ndarray
    key: str
    duration_s: float
    beats_per_bar: int = 4

    @property
    def phase(self) -> int:
        """Index of the first downbeat among the beats, modulo the beats of a bar."""
        if len(self.downbeats_s) == 0:
            return 0
        return int(np.abs(self.beats_s - self.downbeats_s[0]).argmin()) % self.beats_per_bar

    @property
    def bpm(self) -> float:
        """Beats a minute, by the median beat."""
        return 60 / float(np.median(np.diff(self.beats_s)))


def load_pop909(folder: Path, start_s: float = 0.0, duration_s: float = 60.0) -> Song:
    """The stretch of the song in `folder` from `start_s` on, its time 0 there."""
    import pretty_midi

    end_s = start_s + duration_s
    midi = pretty_midi.PrettyMIDI(str(folder / "arrangement.mid"))
    for instrument in midi.instruments:
        instrument.notes = [
            pretty_midi.Note(note.velocity, note.pitch, max(note.start - start_s, 0), min(note.end, end_s) - start_s)
            for note in instrument.notes
            if note.end > start_s + 0.03 and note.start < end_s - 0.03
        ]
        instrument.control_changes, instrument.pitch_bends = [], []
    rows = [line.split() for line in (folder / "chords.txt").read_text().splitlines() if line.strip()]
    spans = [
        (max(float(a), start_s) - start_s, min(float(b), end_s) - start_s, label.replace("sus4(b7)", "sus4"))
        for a, b, label in rows
        if float(b) > start_s and float(a) < end_s
    ]
    table = np.loadtxt(folder / "beats.txt")
    table = table[(table[:, 0] >= start_s) & (table[:, 0] < end_s)]
    keys = [line.split() for line in (folder / "key.txt").read_text().splitlines() if line.strip()]
    share = [min(float(b), end_s) - max(float(a), start_s) for a, b, _ in keys]
    return Song(
        folder.name,
        midi,
        np.array([span[:2] for span in spans]),
        [span[2] for span in spans],
        table[:, 0] - start_s,
        table[table[:, 2] == 1, 0] - start_s,
        keys[int(np.argmax(share))][2],
        duration_s,
    )


def at_tempo(song: Song, factor: float) -> Song:
    """The song played `factor` times as fast."""
    midi = _moved(song.midi, lambda time: time / factor)
    return replace(
        song,
        midi=midi,
        intervals_s=song.intervals_s / factor,
        beats_s=song.beats_s / factor,
        downbeats_s=song.downbeats_s / factor,
        duration_s=song.duration_s / factor,
    )


def as_waltz(song: Song) -> Song:
    """The song in three: the last beat of every bar of four is cut out, and what follows moves up."""
    phase = song.phase
    keep = (np.arange(len(song.beats_s)) - phase) % 4 != 3
    length = np.append(np.diff(song.beats_s), 0)
    old = np.append(song.beats_s, song.duration_s)
    new = song.beats_s[0] + np.concatenate([[0], np.cumsum(length * keep)])
    new[-1] = new[-2] + song.duration_s - song.beats_s[-1]

    def moved(time: np.ndarray) -> np.ndarray:
        return np.where(time < old[0], time, np.interp(time, old, new))

    intervals = moved(song.intervals_s)
    kept = intervals[:, 1] - intervals[:, 0] > 1e-3
    return replace(
        song,
        midi=_moved(song.midi, moved),
        intervals_s=intervals[kept],
        labels=[label for label, keeps in zip(song.labels, kept, strict=True) if keeps],
        beats_s=new[:-1][keep],
        downbeats_s=moved(song.downbeats_s),
        duration_s=float(new[-1]),
        beats_per_bar=3,
    )


def _moved(midi: pretty_midi.PrettyMIDI, moved: Callable) -> pretty_midi.PrettyMIDI:
    """The same notes at other times; those that shrink to nothing are left out."""
    import pretty_midi

    result = pretty_midi.PrettyMIDI()
    for instrument in midi.instruments:
        part = pretty_midi.Instrument(instrument.program, instrument.is_drum, instrument.name)
        for note in instrument.notes:
            start, end = float(moved(note.start)), float(moved(note.end))
            if end - start > 0.03:
                part.notes.append(pretty_midi.Note(note.velocity, note.pitch, start, end))
        result.instruments.append(part)
    return result


def render(song: Song, soundfont: str | Path | None = None, rng: np.random.Generator | None = None) -> np.ndarray:
    """(samples,) at RATE: as written, or with a band where `rng` is given."""
    from musetune.audio import synthesize

    from .band import with_band

    midi = song.midi if rng is None else with_band(song, rng)
    return synthesize(midi, RATE, duration_s=song.duration_s, soundfont=soundfont)
