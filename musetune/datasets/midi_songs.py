"""Songs that others arranged: MIDI files with their own players, beats by their tempo map, chords by half bars."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from musetune.analysis.listening.vocabulary import BEATS
from musetune.datasets.corpus import AnnotatedSong, crop_midi
from musetune.datasets.half_bars import HalfBarChord, label_half_bars
from musetune.datasets.song_split import for_tests

CERTAIN = 0.5  # chords below are "X": neither learned nor counted
OFF_GRID = 0.25  # share of notes off the file's own grid from which its beats are not believed
STEPS = (3, 4)  # notes of a beat's grid: triplets, sixteenths


def load_midi_song(path: Path, start_s: float = 0.0, duration_s: float = 60.0) -> tuple[AnnotatedSong, float]:
    """A stretch of a MIDI file with its truth, and how certain that is.

    Args:
        path: A MIDI file.
        start_s: Where the stretch begins; it is moved to the next bar line.
        duration_s: Its length at most, seconds.

    Returns:
        The song, "X" where its chord is unsure (below `CERTAIN`), key "none"; and the mean certainty (0…1) of its
        chords over time, before those below are taken out.

    Raises:
        ValueError: The meter changes or is unknown, the notes keep off the grid, or fewer than 8 beats are left.
    """
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(io.BytesIO(path.read_bytes()))
    meter = _meter(midi, path.name)
    beats, bars = midi.get_beats(), midi.get_downbeats()
    tonal = [note for part in midi.instruments if not part.is_drum for note in part.notes]
    if not tonal or len(beats) < 9:
        raise ValueError(f"{path.name} has {len(tonal)} pitched notes and {len(beats)} beats; a song has more")
    if (off := _off_grid(np.array([note.start for note in tonal]), beats)) > OFF_GRID:
        raise ValueError(f"{path.name}: {off:.0%} of its notes are off its grid; its beats cannot be believed")
    end = min(midi.get_end_time(), float(beats[-1]))
    starts = bars[(bars >= start_s) & (bars < end - 8 * np.median(np.diff(beats)))]
    first = float(starts[0]) if len(starts) else float(bars[0])
    last = min(first + duration_s, end)
    inside = beats[(beats >= first - 1e-6) & (beats < last)] - first
    if len(inside) < 8:
        raise ValueError(f"{path.name} has {len(inside)} beats from {first:.1f} s on; at least 8 are needed")
    lines = bars[(bars >= first - 1e-6) & (bars < last)] - first
    crop_midi(midi, first, last)
    midi.instruments = [part for part in midi.instruments if part.notes]
    notes = np.array(
        [
            (note.start, note.end, note.pitch, note.velocity)
            for part in midi.instruments
            if not part.is_drum
            for note in part.notes
        ]
    ).reshape(-1, 4)
    chords = label_half_bars(notes, _edges(inside, lines, meter, last - first))
    spans = list(_join(chords))
    lengths = [chord.end_s - chord.start_s for chord in chords]
    certainty = float(np.average([chord.certainty for chord in chords], weights=lengths))
    intervals = np.array([span[:2] for span in spans])
    labels = [span[2] for span in spans]
    return AnnotatedSong(path.stem, midi, intervals, labels, inside, lines, "none", last - first, meter), certainty


def split_midi(folder: Path, held_out: bool) -> list[Path]:
    """MIDI files in any depth: those for training, or those held out (`song_split.for_tests` by file name)."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".mid", ".midi"))
    return [path for path in files if for_tests(path.name, "midi") == held_out]


def _meter(midi, name: str) -> str:  # type: ignore[no-untyped-def]
    meters = {f"{s.numerator}/{s.denominator}" for s in midi.time_signature_changes} or {"4/4"}
    if len(meters) > 1 or not meters <= BEATS.keys():
        raise ValueError(f"{name} is in {', '.join(sorted(meters))}; songs are in one of {', '.join(BEATS)}")
    return meters.pop()


def _off_grid(onsets_s: np.ndarray, beats_s: np.ndarray) -> float:
    """Share of onsets further than 4 % of a beat from every step of the grid."""
    position = np.interp(onsets_s, beats_s, np.arange(len(beats_s)))
    distance = np.min([np.abs(position * steps - np.round(position * steps)) / steps for steps in STEPS], axis=0)
    return float(np.mean(distance > 0.04))


def _edges(beats_s: np.ndarray, bars_s: np.ndarray, meter: str, end_s: float) -> np.ndarray:
    """Bar lines, and middles of bars of two, four or more beats that have one."""
    half = BEATS[meter] // 2 if meter in ("4/4",) else BEATS[meter]
    first = int(np.abs(beats_s - bars_s[0]).argmin()) if len(bars_s) else 0
    edges = beats_s[first::half]
    return np.unique(np.concatenate([[0.0], edges, [end_s]]))


def _join(chords: list[HalfBarChord]) -> Iterator[tuple[float, float, str]]:
    """Neighbours of one label as one span; the unsure "X"."""
    named = [(chord, chord.label if chord.certainty >= CERTAIN else "X") for chord in chords]
    for label, group in itertools.groupby(named, key=lambda pair: pair[1]):
        members = [chord for chord, _ in group]
        yield members[0].start_s, members[-1].end_s, label
