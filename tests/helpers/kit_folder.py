"""A drum kit of Hydrogen's with two drums, written to a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE = 22050  # Hz, of the kick's samples


def write_kit(folder: Path, namespace: str = "", notes: tuple[int, ...] = (60, 60)) -> Path:
    """A kick of two layers in mono, a snare of one in stereo at another rate."""
    folder.mkdir()
    tone = lambda hz, rate: 0.5 * np.sin(2 * np.pi * hz * np.arange(rate // 10) / rate)  # noqa: E731
    soundfile.write(folder / "soft.wav", 0.2 * tone(60, RATE), RATE)
    soundfile.write(folder / "hard.wav", tone(60, RATE), RATE)
    soundfile.write(folder / "snare.flac", np.stack([tone(200, 44100), 0 * tone(200, 44100)], 1), 44100)
    kick = "".join(
        f"<layer><filename>{name}.wav</filename><min>{low}</min><max>{high}</max></layer>"
        for name, low, high in (("soft", 0, 0.5), ("hard", 0.5, 1))
    )
    body = (
        f"<instrument><id>0</id><midiOutNote>{notes[0]}</midiOutNote>{kick}</instrument>"
        "<instrument><id>1</id><filename>missing.wav</filename></instrument>"
        f"<instrument><id>2</id><midiOutNote>{notes[1]}</midiOutNote><filename>snare.flac</filename></instrument>"
    )
    text = f"<drumkit_info{namespace}><instrumentList>{body}</instrumentList></drumkit_info>"
    (folder / "drumkit.xml").write_text(text)
    return folder
