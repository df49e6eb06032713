"""Drum kits of Hydrogen (a folder with drumkit.xml and samples) played by General MIDI pitches."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pretty_midi

FIRST_PITCH = 36  # Hydrogen's own mapping: instrument number n plays at 36 + n
LONGEST_S = 3.0  # of a sample; cymbals fade then
STAND_INS = (  # pitches of General MIDI that may play for one another, nearest first
    (36, 35), (38, 40, 37, 39), (42, 44, 46, 70, 54), (46, 44, 42), (49, 57, 55, 52, 51), (51, 59, 53, 49, 42),
    (41, 43, 45), (45, 47, 43, 41), (48, 50, 47, 45, 43), (56, 37), (63, 62, 64, 60, 61, 48),
)  # fmt: skip


@dataclass(frozen=True)
class DrumKit:
    """`layers`: pitch → (highest velocity 0…1, sample (2, n)), softest first."""

    name: str
    rate: int
    layers: dict[int, list[tuple[float, np.ndarray]]]

    def sample(self, pitch: int, velocity: int) -> np.ndarray | None:
        """The sample for a stroke (2, n), of a near relative where the kit has no such drum; None where it has none.

        Args:
            pitch: Of General MIDI's percussion.
            velocity: 1 to 127.
        """
        relatives = [other for group in STAND_INS if pitch in group for other in group]
        own = next((p for p in (pitch, *relatives) if p in self.layers), None)
        if own is None:
            return None
        layers = self.layers[own]
        return next((sample for high, sample in layers if velocity / 127 <= high), layers[-1][1])


@lru_cache(maxsize=4)
def load_kit(folder: Path, rate: int) -> DrumKit:
    """A kit's samples at `rate` Hz.

    Args:
        folder: Holds drumkit.xml and what it names.
        rate: Hz.

    Raises:
        FileNotFoundError: The folder has no drumkit.xml.
        ValueError: No instrument has a sample that can be read.
    """
    listing = folder / "drumkit.xml"
    if not listing.is_file():
        raise FileNotFoundError(f"{folder} has no drumkit.xml; give the folder of a kit of Hydrogen's")
    instruments = list(ElementTree.parse(listing).getroot().iter())
    instruments = [node for node in instruments if _tag(node) == "instrument"]
    notes = [_text(node, "midiOutNote") for node in instruments]
    own_notes = len(set(notes)) == len(notes) and None not in notes
    layers: dict[int, list[tuple[float, np.ndarray]]] = {}
    for number, node in enumerate(instruments):
        pitch = int(notes[number] or 0) if own_notes else FIRST_PITCH + number
        files = [(float(_text(at, "max") or 1), _text(at, "filename")) for at in node.iter() if _tag(at) == "layer"]
        files = files or [(1.0, _text(node, "filename"))]
        samples = [(high, _read(folder / name, rate)) for high, name in files if name and (folder / name).is_file()]
        if samples:
            layers[pitch] = sorted(samples, key=lambda layer: layer[0])
    if not layers:
        raise ValueError(f"{folder} names no sample that is there")
    return DrumKit(folder.name, rate, layers)


def play_kit(kit: DrumKit, notes: Iterable[pretty_midi.Note], samples: int) -> np.ndarray:
    """Strokes of drums as sound.

    Args:
        kit: Of `load_kit`.
        notes: Of General MIDI's percussion, times in seconds; those that neither the kit nor a relative in it can play
            are silent.
        samples: Length of the result.

    Returns:
        (2, samples) float32 at the kit's rate, as loud as its samples are.
    """
    out = np.zeros((2, samples), np.float32)
    for note in notes:
        stroke, at = kit.sample(note.pitch, note.velocity), round(note.start * kit.rate)
        if stroke is None or not 0 <= at < samples:
            continue
        size = min(stroke.shape[1], samples - at)
        out[:, at : at + size] += stroke[:, :size] * (note.velocity / 127) ** 1.5
    return out


def _read(path: Path, rate: int) -> np.ndarray:
    import soundfile

    from musetune.audio import resample

    wave, own = soundfile.read(path, dtype="float32", always_2d=True)
    wave = wave[: int(LONGEST_S * own)].T
    wave = np.repeat(wave, 2, axis=0) if len(wave) == 1 else wave[:2]
    wave = resample(wave, own, rate) if own != rate else wave
    fade = min(int(0.02 * rate), wave.shape[1])
    wave[:, wave.shape[1] - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return np.ascontiguousarray(wave, np.float32)


def _tag(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2]


def _text(node: ElementTree.Element, name: str) -> str | None:
    return next((child.text for child in node if _tag(child) == name), None)
