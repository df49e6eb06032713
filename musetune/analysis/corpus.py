"""Songs whose chords, beats and key are known, as sound: POP909 (Wang et al., ISMIR 2020) rendered plainly or with a band.

For training and measuring the analyser only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .source import RATE

if TYPE_CHECKING:
    import pretty_midi

KEYS_PROGRAMS = (0, 0, 1, 4, 5, 16, 24, 25, 27, 46, 48, 89)  # General MIDI: what may play the piano's part
LEAD_PROGRAMS = (0, 11, 22, 26, 40, 53, 56, 65, 73, 80)
BASS_PROGRAMS = (32, 33, 34, 38, 43)
KICK, SNARE, STICK, HAT, OPEN_HAT, RIDE = 36, 38, 37, 42, 46, 51


@dataclass(frozen=True)
class Song:
    """`intervals_s` (n, 2) and Harte `labels`; `beats_s`, `downbeats_s`; `key` as in "Gb:maj", the longest one; all from 0 to
    `duration_s`."""

    name: str
    midi: pretty_midi.PrettyMIDI
    intervals_s: np.ndarray
    labels: list[str]
    beats_s: np.ndarray
    downbeats_s: np.ndarray
    key: str
    duration_s: float

    @property
    def bpm(self) -> float:
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


def with_band(song: Song, rng: np.random.Generator) -> pretty_midi.PrettyMIDI:
    """The song played by other instruments, mostly with drums and a bass line: what a mixed recording is nearer to."""
    import pretty_midi

    band = pretty_midi.PrettyMIDI()
    for instrument in song.midi.instruments:
        lead = instrument.name != "PIANO"
        if lead and rng.random() < 0.25:
            continue
        program = int(rng.choice(LEAD_PROGRAMS if lead else KEYS_PROGRAMS))
        loudness = rng.uniform(0.6, 1.0)
        part = pretty_midi.Instrument(program, name=instrument.name)
        part.notes = [
            pretty_midi.Note(max(1, int(note.velocity * loudness)), note.pitch, note.start, note.end)
            for note in instrument.notes
        ]
        band.instruments.append(part)
    if rng.random() < 0.7:
        band.instruments.append(_bass(song, rng))
    if rng.random() < 0.75:
        band.instruments.append(_drums(song, rng))
    return band


def _bass(song: Song, rng: np.random.Generator) -> pretty_midi.Instrument:
    """Roots (or the written bass) at each change, and on every beat or every half."""
    import mir_eval
    import pretty_midi

    part = pretty_midi.Instrument(int(rng.choice(BASS_PROGRAMS)), name="BASS")
    every = float(rng.choice([0.5, 1, 2, 4]))
    number = np.arange(0, len(song.beats_s) - 1 + 1e-6, 0.5)
    times = np.interp(number, np.arange(len(song.beats_s)), song.beats_s)
    velocity = int(rng.integers(60, 110))
    for (start, end), label in zip(song.intervals_s, song.labels, strict=True):
        root, _, bass = mir_eval.chord.encode(label)
        if root < 0:
            continue
        pitch = 28 + (root + bass - 4) % 12
        within = times[(times > start + 0.02) & (times < end - 0.02) & (np.abs(number / every % 1) < 1e-6)]
        onsets = np.append(start, within)
        part.notes += [
            pretty_midi.Note(velocity, int(pitch), a, max(b - 0.03, a + 0.05))
            for a, b in zip(onsets, np.append(within, end), strict=True)
        ]
    return part


def _drums(song: Song, rng: np.random.Generator) -> pretty_midi.Instrument:
    """A bar's pattern on eighths, repeated: kick on the bar line and perhaps elsewhere, snare on the off beats, hats."""
    import pretty_midi

    part = pretty_midi.Instrument(0, is_drum=True, name="DRUMS")
    kicks = {0.0} | {float(at) for at in np.arange(0.5, 4, 0.5) if rng.random() < (0.5 if at == 2 else 0.15)}
    if rng.random() < 0.2:
        kicks = {0.0, 1.0, 2.0, 3.0}
    snares = {1.0, 3.0} if rng.random() < 0.7 else {2.0}
    snare = int(rng.choice([SNARE, SNARE, STICK]))
    hat, step, loud = int(rng.choice([HAT, HAT, RIDE])), float(rng.choice([0.5, 0.5, 1.0])), rng.uniform(0.5, 1.1)
    hats = rng.random() < 0.85
    swing = 0.5 if rng.random() < 0.8 else 2 / 3
    phase = _phase(song)
    for index in range(len(song.beats_s) - 1):
        start, length = song.beats_s[index], song.beats_s[index + 1] - song.beats_s[index]
        for half in (0.0, 0.5):
            place, at = (index - phase) % 4 + half, start + length * (swing if half else 0.0)
            hits = [(KICK, 100)] * (place in kicks) + [(snare, 95)] * (place in snares)
            hits += [(hat, 75 if half == 0 else 55)] * (hats and half % step == 0)
            part.notes += [
                pretty_midi.Note(int(min(127, velocity * loud)), pitch, at, at + 0.1) for pitch, velocity in hits
            ]
    return part


def _phase(song: Song) -> int:
    """Index of the first downbeat among the beats, modulo 4."""
    return int(np.abs(song.beats_s - song.downbeats_s[0]).argmin()) % 4 if len(song.downbeats_s) else 0


def render(song: Song, soundfont: str | Path | None = None, rng: np.random.Generator | None = None) -> np.ndarray:
    """(samples,) at RATE: as written, or with a band where `rng` is given."""
    from musetune.audio.synth import synthesize

    midi = song.midi if rng is None else with_band(song, rng)
    return synthesize(midi, RATE, duration_s=song.duration_s, soundfont=soundfont)
