"""What the players play, drawn where it lies in the base's spectrogram: a note's place is given, not learned."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from musetune.conditioning.stem_frames import DRUM_CLASSES, OCTAVES, PITCH_CLASSES, STEM_FIELDS

PITCHED = ("bass", "comping", "lead")
CHORD_OCTAVES = range(3, 6)  # where a comping pitch class may lie: its octave is not known
PARTIALS = 8
DRUM_BANDS_HZ = {
    "kick": (0, 150),
    "snare": (150, 5000),
    "hat": (4000, 8000),
    "cymbal": (2000, 8000),
    "other": (80, 8000),
}


class HarmonicTemplateEncoder(nn.Module):
    """Stem frames → a map for the latent grid.

    A stream's notes select rows of a table, one a pitch or drum, of what they light up in a spectrum of ``cols`` ·
    ``bins`` bins; ``draw`` fills the tables with harmonic partials and bands, training goes on from there.

    frames_per_row: frames folded into a latent row; bins: of the spectrum in a column of the latent grid; hidden:
    width.
    """

    def __init__(self, *, hidden: int, map_channels: int, cols: int, bins: int, frames_per_row: int) -> None:
        super().__init__()
        self.cols, self.bins, self.frames_per_row = cols, bins, frames_per_row
        sizes = {"drums": len(DRUM_CLASSES)} | {stream: len(_pitches(stream)) for stream in PITCHED}
        self.tables = nn.ParameterDict({s: nn.Parameter(torch.zeros(n, cols * bins)) for s, n in sizes.items()})
        self.look = nn.Conv2d((1 + 2 * len(PITCHED)) * frames_per_row * bins, hidden, 3, padding=1)
        self.out = nn.Conv2d(hidden, map_channels, 3, padding=1)

    @torch.no_grad()
    def draw(self, bin_hz: np.ndarray) -> None:
        """Fill the tables for a spectrum whose bins lie at ``bin_hz`` (cols · bins,) rising hertz.

        Raises ValueError for another number.
        """
        if len(bin_hz) != self.cols * self.bins:
            raise ValueError(f"{len(bin_hz)} bins do not make {self.cols} columns of {self.bins}")
        kinds = {"drums": [band(low, high, bin_hz) for low, high in DRUM_BANDS_HZ.values()]}
        for stream in PITCHED:
            kinds[stream] = [np.mean([harmonic_lines(p, bin_hz) for p in chord], axis=0) for chord in _pitches(stream)]
        for stream, table in self.tables.items():
            table.copy_(torch.from_numpy(np.stack(kinds[stream]).astype(np.float32)))

    def forward(self, stems: Tensor, rows: int) -> Tensor:
        """Draw stem frames into the latent grid.

        Args:
            stems: (B, rows · frames_per_row, 54), columns STEM_FIELDS, 0 where nothing is known.
            rows: of the latents.

        Returns:
            (B, map_channels, rows, cols).
        """
        hits = _columns(stems, "drums_") @ self.tables["drums"]
        pictures = [hits, *(picture for stream in PITCHED for picture in self._pictures(stream, stems))]
        grid = torch.cat([_fold(picture, rows, self.cols) for picture in pictures], 1)
        result: Tensor = self.out(F.gelu(self.look(grid)))
        return result

    def _pictures(self, stream: str, stems: Tensor) -> tuple[Tensor, Tensor]:
        """Return what sounds and what is struck, each (B, frames, cols · bins)."""
        sounding = _columns(stems, f"{stream}_pitch_")
        if stream in OCTAVES:
            sounding = (_columns(stems, f"{stream}_octave_")[..., :, None] * sounding[..., None, :]).flatten(2)
        lit = sounding @ self.tables[stream]
        return lit, lit * _columns(stems, f"{stream}_onset")


def harmonic_lines(pitch: int, bin_hz: np.ndarray) -> np.ndarray:
    """Return (bins,) float32: the partials 1…8 of a MIDI pitch, the k-th 1/k high.

    Each is shared out between the two bins around it.
    """
    hertz = 440.0 * 2 ** ((pitch - 69) / 12) * np.arange(1, PARTIALS + 1)
    bins = np.interp(hertz, bin_hz, np.arange(len(bin_hz)), left=np.nan, right=np.nan)
    near = np.clip(1 - np.abs(np.arange(len(bin_hz))[None] - bins[:, None]), 0, None)
    result: np.ndarray = (np.nan_to_num(near) / np.arange(1, PARTIALS + 1)[:, None]).sum(0).astype(np.float32)
    return result


def band(low: float, high: float, bin_hz: np.ndarray) -> np.ndarray:
    """Return (bins,) float32: 1 from ``low`` to ``high`` hertz, else 0."""
    return ((low <= bin_hz) & (bin_hz < high)).astype(np.float32)


def _pitches(stream: str) -> list[tuple[int, ...]]:
    """Return the MIDI pitches of each row of a stream's table."""
    if stream in OCTAVES:
        return [(12 * (octave + 1) + pc,) for octave in OCTAVES[stream] for pc in PITCH_CLASSES]
    return [tuple(12 * (octave + 1) + pc for octave in CHORD_OCTAVES) for pc in PITCH_CLASSES]


def _columns(stems: Tensor, start: str) -> Tensor:
    return stems[..., [i for i, field in enumerate(STEM_FIELDS) if field.startswith(start)]]


def _fold(picture: Tensor, rows: int, cols: int) -> Tensor:
    """(B, frames, bins) → (B, frames a row · bins a column, rows, cols)."""
    batch, frames, bins = picture.shape
    boxes = picture.reshape(batch, rows, frames // rows, cols, bins // cols)
    return boxes.permute(0, 2, 4, 1, 3).flatten(1, 2)
