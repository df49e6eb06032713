"""Songs whose chords, beats, meter and key are known: POP909 (Wang et al., ISMIR 2020), and songs in time of any kind.

For training and measuring the analyser only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from musetune.analysis.listening.vocabulary import BEATS
from musetune.symbols import BeatGrid, LeadSheet, Meter

if TYPE_CHECKING:
    import pretty_midi

# which eighths of the bars of four are kept to make another meter; beats of 7/8 are eighths, of 6/8 three of them
HALVES = {
    "2/4": "11110000", "3/4": "11111100", "5/4": "1111110011110000", "6/8": "11101110", "7/8": "11111110",
}  # fmt: skip  # each half bar of 6/8 loses one, so that accents fall on dotted quarters
EIGHTHS = {"2/4": 2, "3/4": 2, "4/4": 2, "5/4": 2, "6/8": 3, "7/8": 1}  # in a beat


@dataclass(frozen=True)
class AnnotatedSong:
    """`intervals_s` (n, 2) and Harte `labels`; `beats_s`, `downbeats_s`; `key` as in "Gb:maj", the longest one; all
    from 0 to `duration_s`; `meter` such as "6/8", whose beats are dotted quarters (in 7/8 eighths).
    """

    name: str
    midi: pretty_midi.PrettyMIDI
    intervals_s: np.ndarray
    labels: list[str]
    beats_s: np.ndarray
    downbeats_s: np.ndarray
    key: str
    duration_s: float
    meter: str = "4/4"

    @property
    def beats_per_bar(self) -> int:
        """Beats in a bar."""
        return BEATS[self.meter]

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


def crop_midi(midi: pretty_midi.PrettyMIDI, start_s: float, end_s: float) -> None:
    """Keep the notes between two times, counted from the first; controllers and pitch bends go.

    Args:
        midi: is changed in place.
        start_s, end_s: seconds; notes that end within 30 ms after the start or begin within 30 ms before the end go.
    """
    import pretty_midi

    for part in midi.instruments:
        part.notes = [
            pretty_midi.Note(note.velocity, note.pitch, max(note.start - start_s, 0), min(note.end, end_s) - start_s)
            for note in part.notes
            if note.end > start_s + 0.03 and note.start < end_s - 0.03
        ]
        part.control_changes, part.pitch_bends = [], []


def load_pop909(folder: Path, start_s: float = 0.0, duration_s: float = 60.0) -> AnnotatedSong:
    """The stretch of the song in `folder` from `start_s` on, its time 0 there."""
    import pretty_midi

    end_s = start_s + duration_s
    midi = pretty_midi.PrettyMIDI(str(folder / "arrangement.mid"))
    crop_midi(midi, start_s, end_s)
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
    downbeats = table[table[:, 2] == 1, 0]
    bar = np.median(np.diff(np.flatnonzero(table[:, 2] == 1))) if len(downbeats) > 2 else 4
    return AnnotatedSong(
        folder.name,
        midi,
        np.array([span[:2] for span in spans]).reshape(-1, 2),
        [span[2] for span in spans],
        table[:, 0] - start_s,
        downbeats - start_s,
        keys[int(np.argmax(share))][2],
        duration_s,
        {2: "2/4", 3: "3/4"}.get(int(bar), "4/4"),
    )


def warp(song: AnnotatedSong, moved: Callable[[np.ndarray], np.ndarray]) -> AnnotatedSong:
    """The song with every time t at `moved(t)`, which must not fall; chords and notes that shrink to nothing go."""
    intervals = moved(song.intervals_s)
    whole = intervals[:, 1] - intervals[:, 0] > 1e-3
    return replace(
        song,
        midi=_warp_midi(song.midi, moved),
        intervals_s=intervals[whole],
        labels=[label for label, keeps in zip(song.labels, whole, strict=True) if keeps],
        beats_s=moved(song.beats_s),
        downbeats_s=moved(song.downbeats_s),
        duration_s=float(moved(np.array([song.duration_s]))[0]),
    )


def at_tempo(song: AnnotatedSong, factor: float) -> AnnotatedSong:
    """The song played `factor` times as fast."""
    return warp(song, lambda time: time / factor)


def rubato(song: AnnotatedSong, rng: np.random.Generator, depth: float = 0.15) -> AnnotatedSong:
    """The song with a tempo that wanders by `depth` (standard deviation, smoothed over some six seconds), and in one of
    three with a sudden change."""
    time = np.arange(0, song.duration_s + 1, 0.5)
    wander = np.convolve(rng.normal(0, 1, len(time) + 24), np.hanning(25), "valid")
    pace = np.exp(depth * wander / (wander.std() + 1e-9))
    if rng.random() < 0.33:
        pace[int(rng.integers(len(pace))) :] *= rng.choice([0.75, 0.85, 1.2, 1.35])
    position = np.concatenate([[0], np.cumsum(0.5 / pace)])
    return warp(song, lambda t: np.interp(t, np.append(time, time[-1] + 0.5), position))


def in_meter(song: AnnotatedSong, meter: str) -> AnnotatedSong:
    """A song in four made into one in `meter`: some eighths of each bar (or of each two) are cut out, and what follows
    moves up; what stands before the first bar line goes. HALVES says which eighths stay. Raises ValueError where the
    song is not in four."""
    if song.meter != "4/4":
        raise ValueError(f"{song.name} is in {song.meter}; only songs in 4/4 can be made into {meter}")
    beats = song.beats_s[song.phase :]
    eighths = np.interp(np.arange(0, len(beats) - 0.5, 0.5), np.arange(len(beats)), beats)
    mask = np.array([sign == "1" for sign in HALVES[meter]])
    keep = mask[np.arange(len(eighths) - 1) % len(mask)]
    new = np.concatenate([[0], np.cumsum(np.diff(eighths) * keep)])

    def moved(time: np.ndarray) -> np.ndarray:
        return np.interp(time, eighths, new)

    beats_s = new[:-1][keep]
    beat_at = beats_s[:: EIGHTHS[meter]]
    return replace(
        warp(song, moved),
        beats_s=beat_at,
        downbeats_s=beat_at[:: BEATS[meter]],
        duration_s=float(new[-1]),
        meter=meter,
    )


def _warp_midi(midi: pretty_midi.PrettyMIDI, moved: Callable) -> pretty_midi.PrettyMIDI:
    """Return the notes at other times; those that shrink to nothing are left out."""
    import pretty_midi

    result = pretty_midi.PrettyMIDI()
    for instrument in midi.instruments:
        part = pretty_midi.Instrument(instrument.program, instrument.is_drum, instrument.name)
        times = moved(np.array([[note.start, note.end] for note in instrument.notes]).reshape(-1, 2))
        part.notes = [
            pretty_midi.Note(note.velocity, note.pitch, float(start), float(end))
            for note, (start, end) in zip(instrument.notes, times, strict=True)
            if end - start > 0.03
        ]
        result.instruments.append(part)
    return result


def in_quarters(sheet: LeadSheet) -> LeadSheet:
    """2/2 as 4/4, without melody; other meters as they are."""
    if str(sheet.meter) != "2/2":
        return replace(sheet, melody=())
    chords = tuple(replace(span, start=2 * span.start, beats=2 * span.beats) for span in sheet.chords)
    keys = tuple(replace(span, start=2 * span.start) for span in sheet.keys)
    meters = tuple(replace(span, start=2 * span.start, meter=Meter(4, 4)) for span in sheet.meters)
    return replace(
        sheet,
        chords=chords,
        keys=keys,
        meters=meters,
        melody=(),
        sections=(),
        length=2 * sheet.length,
        grid=BeatGrid.constant(120, int(2 * sheet.length) + 1),
        first_downbeat=2 * sheet.first_downbeat,
    )
