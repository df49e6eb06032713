"""Play a song with other instruments, a bass line and drums: variety for training and for measuring."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pretty_midi

    from .corpus import Song

KEYS_PROGRAMS = (0, 0, 1, 4, 5, 16, 24, 25, 27, 46, 48, 89)  # General MIDI: what may play the piano's part
LEAD_PROGRAMS = (0, 11, 22, 26, 40, 53, 56, 65, 73, 80)
BASS_PROGRAMS = (32, 33, 34, 38, 43)
KICK, SNARE, STICK, HAT, OPEN_HAT, RIDE = 36, 38, 37, 42, 46, 51


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
    """A bar's pattern on eighths, repeated: kick on the bar line and perhaps elsewhere, snare on the weak beats, hats."""
    import pretty_midi

    part = pretty_midi.Instrument(0, is_drum=True, name="DRUMS")
    pattern = _pattern(song.beats_per_bar, rng)
    loud, swing = rng.uniform(0.5, 1.1), 0.5 if rng.random() < 0.8 else 2 / 3
    for index, (start, end) in enumerate(pairwise(song.beats_s)):
        for half in (0.0, 0.5):
            place = (index - song.phase) % song.beats_per_bar + half
            at = start + (end - start) * (swing if half else 0.0)
            for pitch, velocity in pattern.get(place, []):
                part.notes.append(pretty_midi.Note(int(min(127, velocity * loud)), pitch, at, at + 0.1))
    return part


def _pattern(beats: int, rng: np.random.Generator) -> dict[float, list[tuple[int, int]]]:
    """(pitch, velocity) hits at each half beat of the bar."""
    halves = np.arange(0, beats, 0.5).tolist()
    kicks = {0.0} | {at for at in halves[1:] if rng.random() < (0.5 if at == beats / 2 else 0.12)}
    if rng.random() < 0.2:
        kicks = {float(at) for at in range(beats)}
    snares = {1.0, 2.0} if beats == 3 else {1.0, 3.0} if rng.random() < 0.8 else {2.0}
    snare = int(rng.choice([SNARE, SNARE, STICK] if beats == 4 else [SNARE, STICK, HAT]))
    hat, step = int(rng.choice([HAT, HAT, RIDE])), float(rng.choice([0.5, 0.5, 1.0]))
    hats = bool(rng.random() < 0.85)
    return {
        at: [(KICK, 100)] * (at in kicks)
        + [(snare, 95)] * (at in snares)
        + [(hat, 75 if at % 1 == 0 else 55)] * (hats and at % step == 0)
        for at in halves
    }
