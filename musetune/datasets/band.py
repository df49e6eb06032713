"""Play a song with other instruments, a bass line and drums: variety for training and for measuring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from musetune.analysis.listening.vocabulary import BEATS
from musetune.audio.source import RATE
from musetune.datasets.corpus import EIGHTHS

if TYPE_CHECKING:
    import pretty_midi

    from musetune.datasets.corpus import AnnotatedSong

KEYS_PROGRAMS = (
    0,
    0,
    1,
    4,
    5,
    6,
    16,
    18,
    24,
    25,
    26,
    27,
    29,
    46,
    48,
    50,
    52,
    61,
    88,
    89,
    90,
)  # General MIDI: what may play the piano's part
LEAD_PROGRAMS = (0, 11, 22, 26, 30, 40, 42, 52, 53, 56, 65, 66, 71, 73, 80, 81)
BASS_PROGRAMS = (32, 33, 34, 35, 36, 38, 39, 43)
KICK, SNARE, STICK, CLAP, HAT, RIDE, SHAKER = 36, 38, 37, 39, 42, 51, 70
GROUPS = {  # eighths on which the bar is felt to begin anew
    "2/4": ((0, 2),),
    "3/4": ((0, 2, 4),),
    "4/4": ((0, 2, 4, 6),),
    "5/4": ((0, 6), (0, 4), (0, 2, 4, 6, 8)),
    "6/8": ((0, 3),),
    "7/8": ((0, 2, 4), (0, 3, 5), (0, 4)),
}
BAR = {"2/4": 4, "3/4": 6, "4/4": 8, "5/4": 10, "6/8": 6, "7/8": 7}  # eighths


def with_band(song: AnnotatedSong, rng: np.random.Generator, drums: float = 0.75) -> pretty_midi.PrettyMIDI:
    """The song played by other instruments, mostly with a bass line and, in a share `drums` of cases, drums.

    What a mixed recording is nearer to.
    """
    import pretty_midi

    band = pretty_midi.PrettyMIDI()
    for instrument in song.midi.instruments:
        lead = instrument.name != "PIANO"
        if lead and rng.random() < 0.25:
            continue
        program = int(rng.choice(LEAD_PROGRAMS if lead else KEYS_PROGRAMS))
        loudness = rng.uniform(0.5, 1.0)
        part = pretty_midi.Instrument(program, name=instrument.name)
        part.notes = [
            pretty_midi.Note(max(1, int(note.velocity * loudness)), note.pitch, note.start, note.end)
            for note in instrument.notes
        ]
        band.instruments.append(part)
    if rng.random() < 0.7:
        band.instruments.append(_bass(song, rng))
    if rng.random() < drums:
        band.instruments.append(_drums(song, rng))
    return band


def _bass(song: AnnotatedSong, rng: np.random.Generator) -> pretty_midi.Instrument:
    """The written bass at each change, and on every beat, every part of a beat, every bar or so, or not again."""
    import mir_eval
    import pretty_midi

    part = pretty_midi.Instrument(int(rng.choice(BASS_PROGRAMS)), name="BASS")
    every = _bass_sixths(song.meter, float(rng.choice([0.5, 1, 2, 4])))
    sixths = np.arange(6 * (len(song.beats_s) - 1) + 1)
    times = np.interp(sixths / 6, np.arange(len(song.beats_s)), song.beats_s)
    velocity, fifths = int(rng.integers(55, 115)), rng.random() < 0.3
    for (start, end), label in zip(song.intervals_s, song.labels, strict=True):
        root, shape, bass = mir_eval.chord.encode(label)
        if root < 0:
            continue
        pitch = 28 + (root + bass - 4) % 12
        within = times[(times > start + 0.02) & (times < end - 0.02) & (sixths % every == 0)]
        onsets = np.append(start, within)
        for index, (a, b) in enumerate(zip(onsets, np.append(within, end), strict=True)):
            fifth = 7 if fifths and index % 2 and bass == 0 and shape[7] else 0
            part.notes.append(pretty_midi.Note(velocity, int(pitch) + fifth, a, max(b - 0.03, a + 0.05)))
    return part


def _bass_sixths(meter: str, beats: float) -> int:
    """How far apart a bass line's notes are, in sixths of a beat, that in 4/4 are `beats` apart.

    Parts of a dotted quarter are thirds; more than a beat is a whole bar where a bar is not made of pairs of beats.
    """
    if beats < 1:
        return 2 if EIGHTHS[meter] == 3 else 3
    return 6 * (BEATS[meter] if beats > 1 and BEATS[meter] % 2 else int(beats))


def _drums(song: AnnotatedSong, rng: np.random.Generator) -> pretty_midi.Instrument:
    """A bar's pattern, repeated: kick on the bar line and perhaps elsewhere, snare on weak places, hats on eighths or
    sixteenths, at times swung."""
    import pretty_midi

    part = pretty_midi.Instrument(0, is_drum=True, name="DRUMS")
    pattern = _pattern(song.meter, rng)
    loud = rng.uniform(0.4, 1.1)
    swing = 2 / 3 if EIGHTHS[song.meter] == 2 and rng.random() < 0.2 else 0.5
    number = np.arange(len(song.beats_s))
    per_beat, bar = EIGHTHS[song.meter], BAR[song.meter]
    for sixteenth in range((len(song.beats_s) - 1) * per_beat * 2):
        step = (sixteenth / 2 - song.phase * per_beat) % bar
        if not (hits := pattern.get(step)):
            continue
        position = sixteenth / 2 / per_beat
        if per_beat == 2 and swing != 0.5:
            part_of = position % 1
            position += np.interp(part_of, [0, 0.5, 1], [0, swing, 1]) - part_of
        at = float(np.interp(position, number, song.beats_s))
        for pitch, velocity in hits:
            part.notes.append(pretty_midi.Note(max(1, int(min(127, velocity * loud))), pitch, at, at + 0.1))
    return part


def _pattern(meter: str, rng: np.random.Generator) -> dict[float, list[tuple[int, int]]]:
    """(pitch, velocity) hits at eighths (and halves of them) of the bar.

    Hats are loudest on quarters; in 6/8 and 7/8 where the bar is felt to begin anew (GROUPS), and of these meters none
    is played in quarters.
    """
    bar = BAR[meter]
    strong = GROUPS[meter][int(rng.integers(len(GROUPS[meter])))]
    kicks = {0.0} | {float(at) for at in range(1, bar) if rng.random() < (0.5 if at in strong[1:] else 0.08)}
    if meter == "4/4":
        backbeat = rng.random()
        kicks = {0.0} | {at for at in (3.0, 4.0, 5.0, 7.0) if rng.random() < (0.6 if at == 4 else 0.2)}
        kicks = {0.0, 2.0, 4.0, 6.0} if rng.random() < 0.2 else kicks
        snares = {2.0, 6.0} if backbeat < 0.75 else {4.0} if backbeat < 0.9 else set()
    elif meter == "3/4":
        snares = {2.0, 4.0} if rng.random() < 0.6 else {4.0}
    elif len(strong) == 2:
        snares = {float(strong[1])}
    else:
        snares = {float(at) for at in strong[1::2]} | ({float(strong[-1])} if rng.random() < 0.4 else set())
    snare = int(rng.choice([SNARE, SNARE, STICK, CLAP]))
    hat, step = int(rng.choice([HAT, HAT, RIDE, SHAKER])), float(rng.choice([0.5, 1, 1, 1, 2]))
    quarters = EIGHTHS[meter] == 2
    step = step if quarters or step < 2 else 3.0 if meter == "6/8" else 1.0
    hats, soft = bool(rng.random() < 0.85), int(rng.integers(50, 80))
    accents = set(range(0, bar, 2)) if quarters else set(strong)
    return {
        at: [(KICK, 100)] * (at in kicks)
        + [(snare, 95)] * (at in snares)
        + [(hat, 78 if at in accents else soft)] * (hats and at % step == 0)
        for at in np.arange(0, bar, 0.5).tolist()
    }


def render(
    song: AnnotatedSong, soundfont: str | Path | None = None, rng: np.random.Generator | None = None
) -> np.ndarray:
    """(samples,) at RATE: as written, or with a band where `rng` is given."""
    from musetune.audio import synthesize

    midi = song.midi if rng is None else with_band(song, rng)
    return synthesize(midi, RATE, duration_s=song.duration_s, soundfont=soundfont)
