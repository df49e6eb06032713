"""MIDI to audio with a General MIDI soundfont, through tinysoundfont."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pretty_midi

BLOCK = 64  # samples: events land within 4 ms at 16 kHz
DRUM_CHANNEL = 9
OPEN_SOUNDFONTS = 8  # that a process keeps, each rate apart: a large one takes seconds to open and up to 0.8 GB
SOUNDFONTS = (
    "/usr/share/sounds/sf3/FluidR3Mono_GM.sf3",
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/sounds/sf2/TimGM6mb.sf2",
)


def find_soundfont(path: str | Path | None = None) -> Path:
    """Return the soundfont to use: ``path``, else $MUSETUNE_SOUNDFONT, else the usual places, else pretty_midi's.

    Raises FileNotFoundError that names what was asked for and how to get one.
    """
    name = path or os.environ.get("MUSETUNE_SOUNDFONT")
    if name is not None:
        if Path(name).is_file():
            return Path(name)
        raise FileNotFoundError(f"soundfont {name} does not exist; give an .sf2 or .sf3 file")
    for candidate in SOUNDFONTS:
        if Path(candidate).is_file():
            return Path(candidate)
    import pretty_midi

    bundled = Path(pretty_midi.__file__).parent / "TimGM6mb.sf2"
    if bundled.is_file():
        return bundled
    raise FileNotFoundError(
        "no General MIDI soundfont found; `apt install fluidr3mono-gm-soundfont` or set MUSETUNE_SOUNDFONT"
    )


@lru_cache(maxsize=OPEN_SOUNDFONTS)
def _synth(sample_rate: int, soundfont: Path):  # type: ignore[no-untyped-def]
    import tinysoundfont

    synth = tinysoundfont.Synth(gain=-6, samplerate=sample_rate)
    return synth, synth.sfload(str(soundfont))


def _timeline(midi: pretty_midi.PrettyMIDI, sample_rate: int) -> list[tuple[int, int, int, int, int]]:
    """All note events as (block, on?, channel, pitch, velocity), note-offs first within a block."""
    channels = [c for c in range(16) if c != DRUM_CHANNEL]
    events = []
    for index, instrument in enumerate(midi.instruments):
        channel = DRUM_CHANNEL if instrument.is_drum else channels[index % len(channels)]
        for note in instrument.notes:
            on, off = (round(t * sample_rate / BLOCK) for t in (note.start, note.end))
            events.append((on, 1, channel, note.pitch, note.velocity))
            events.append((max(off, on + 1), 0, channel, note.pitch, 0))
    return sorted(events)


def synthesize(
    midi: pretty_midi.PrettyMIDI,
    sample_rate: int = 16000,
    *,
    duration_s: float | None = None,
    soundfont: str | Path | None = None,
    stereo: bool = False,
) -> np.ndarray:
    """Render MIDI to audio with a General MIDI soundfont.

    Args:
        midi: What to play; its first 15 pitched instruments each have a channel.
        sample_rate: Hz.
        duration_s: Seconds; None: the last note's end plus one second.
        soundfont: An .sf2 or .sf3 file; None: what `find_soundfont` finds.
        stereo: Whether both channels are returned.

    Returns:
        Audio float32 in −1…1, (samples,) or (2, samples); where the peak would clip it is brought to 0.9.

    Raises:
        FileNotFoundError: There is no soundfont.
        ImportError: tinysoundfont is not installed.

    Example:
        >>> from musetune.symbols import BeatGrid
        >>> from musetune.symbols.arrangement import Arrangement, Stem, StemNote
        >>> bass = Stem(33, (StemNote(0.0, 2.0, 36, 90),))
        >>> midi = Arrangement(BeatGrid.constant(120, 4), {"bass": bass}).to_pretty_midi()
        >>> synthesize(midi, 16000, duration_s=2.0).shape
        (32000,)
    """
    synth, sfid = _synth(sample_rate, find_soundfont(soundfont))
    _silence(synth)
    channels = [c for c in range(16) if c != DRUM_CHANNEL]
    for index, instrument in enumerate(midi.instruments):
        if instrument.is_drum:
            synth.program_select(DRUM_CHANNEL, sfid, 128, 0, True)
        else:
            synth.program_select(channels[index % len(channels)], sfid, 0, instrument.program)
    total = round((midi.get_end_time() + 1.0 if duration_s is None else duration_s) * sample_rate)
    blocks = -(-total // BLOCK)
    parts, at = [], 0
    for block, on, channel, pitch, velocity in _timeline(midi, sample_rate):
        if block >= blocks:
            break
        if block > at:
            parts.append(_generate(synth, block - at))
            at = block
        if on:
            synth.noteon(channel, pitch, velocity)
        else:
            synth.noteoff(channel, pitch)
    parts.append(_generate(synth, blocks - at))
    audio = np.concatenate(parts)[:total]
    peak = float(np.abs(audio).max(initial=0.0))
    if peak > 0.9:
        audio = audio * (0.9 / peak)
    return np.ascontiguousarray(audio.T if stereo else audio.mean(axis=1), dtype=np.float32)


def _silence(synth) -> None:  # type: ignore[no-untyped-def]
    """End what the render before left sounding, its releases too, so that every render begins the same."""
    synth.sounds_off()
    for _ in range(200):
        if not np.any(_generate(synth, 32)):
            return


def _generate(synth, blocks: int) -> np.ndarray:  # type: ignore[no-untyped-def]
    """(blocks · BLOCK, 2) float32 from the synthesiser's state."""
    return np.frombuffer(synth.generate(blocks * BLOCK), dtype=np.float32).reshape(-1, 2).copy()
