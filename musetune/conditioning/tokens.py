"""MusicTokens: a lead sheet as tensors, and how to make them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from musetune.conditioning.expression_frames import EXPRESSION, EXPRESSION_FIELDS, expression_frames
from musetune.conditioning.stem_frames import HIDDEN, STEM_FIELDS, STEM_STREAMS, stem_frames
from musetune.symbols import GENRES, NO_CHORD, QUALITIES
from musetune.theory.harmony.conditioning_vocabulary import (
    CONDITIONING_CADENCES,
    CONDITIONING_FUNCTIONS,
    conditioning_cadences,
    conditioning_function,
)
from musetune.theory.numerals import scale_degree

if TYPE_CHECKING:
    from musetune.symbols import Chord, LeadSheet
    from musetune.symbols.arrangement import Arrangement
    from musetune.symbols.expression import Expression

SHEET_STREAMS = ("chords", "beats", "key", "genre", "function")
STREAMS = (*SHEET_STREAMS, *STEM_STREAMS, EXPRESSION)
EVENT_FIELDS = ("root", "bass", "quality", "degree", "function", "cadence", "section", "beat_in_bar")
EVENT_SIZES = (
    13,
    13,
    len(QUALITIES),
    13,
    len(CONDITIONING_FUNCTIONS),
    len(CONDITIONING_CADENCES),
    9,
    13,
)  # values of each field; the last ones mean "none"
EVENT_STREAMS = ("chords", "chords", "chords", "function", "function", "function", "function", "beats")
HELD = [
    EVENT_FIELDS.index(n) for n in ("root", "bass", "quality", "degree", "function", "section")
]  # what a held chord keeps
BEAT_COLUMNS, CHORD_COLUMNS = slice(0, 6), slice(6, 43)
FRAME_FIELDS = (
    "beat",
    "downbeat",
    "beat_sin",
    "beat_cos",
    "bar_sin",
    "bar_cos",
    *(f"chroma_{i}" for i in range(12)),
    *(f"bass_{i}" for i in range(12)),
    *(f"root_{i}" for i in range(12)),
    "chord_onset",
)
SHORTEST_EVENT_S = 0.01
METERS = ("4/4", "3/4", "2/4", "6/8", "5/4", "7/8", "12/8")
GLOBAL_FIELDS = ("key_tonic", "mode", "meter", "genre")
GLOBAL_SIZES = (12, 2, len(METERS) + 1, len(GENRES) + 1)
KERNEL_S = 0.025  # width of the beat and onset kernels, seconds
NO_SECTION = 8  # also of a song's ninth and later kinds of section


@dataclass(frozen=True)
class MusicTokens:
    """A lead sheet as tensors, which the adapter reads; batch first, times in seconds from the clip's start.

    Attributes:
        events: (B, N, 8) long, columns EVENT_FIELDS: one event a beat and a chord change.
        event_chroma: (B, N, 12) 0 or 1: the pitch classes of each event's chord.
        event_times_s: (B, N, 2): start and end.
        event_mask: (B, N) bool: False for padding.
        frames: (B, F, 43), columns FRAME_FIELDS, sampled at the frames' centres.
        stems: (B, F, 54), columns STEM_FIELDS: 0 without an arrangement, HIDDEN where nothing is said.
        expression: (B, F, 5), columns EXPRESSION_FIELDS, 0 to 1; HIDDEN where nothing is said.
        globals: (B, 4) long, columns GLOBAL_FIELDS.
        features: (B, 1): log2(bpm / 120).
        present: for each of STREAMS, (B,) bool: whether the condition is given.

    Example:
        >>> from musetune import LeadSheet
        >>> from musetune.conditioning import tokenize
        >>> sheet = LeadSheet.parse("C | F | G | C", key="C major", bpm=120)
        >>> tokens = tokenize(sheet, frame_s=0.04, n_frames=200)
        >>> tuple(tokens.events.shape), tuple(tokens.frames.shape)
        ((1, 16, 8), (1, 200, 43))
    """

    events: Tensor
    event_chroma: Tensor
    event_times_s: Tensor
    event_mask: Tensor
    frames: Tensor
    stems: Tensor
    expression: Tensor
    globals: Tensor
    features: Tensor
    present: dict[str, Tensor]

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name, flat, as safetensors keep them; ``from_tensors`` is the inverse."""
        names = ("events", "event_chroma", "event_times_s", "event_mask", "frames", "stems", "expression")
        given = {f"present.{k}": v for k, v in self.present.items()}
        return {n: getattr(self, n) for n in (*names, "globals", "features")} | given

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> MusicTokens:
        """Build tokens from what ``tensors`` returned."""
        plain = {k: v for k, v in tensors.items() if not k.startswith("present.")}
        return cls(**plain, present={k[8:]: v for k, v in tensors.items() if k.startswith("present.")})

    @classmethod
    def stack(cls, items: Sequence[MusicTokens]) -> MusicTokens:
        """Join several batches into one; events are padded to the longest.

        Args:
            items: tokens with equal numbers of frames, on one device.
        """
        longest = max(item.events.shape[1] for item in items)
        tables = [item.tensors() for item in items]

        def column(name: str) -> Tensor:
            values = [table[name] for table in tables]
            if name.startswith("event"):
                values = [pad(v, [0, 0] * (v.ndim - 2) + [0, longest - v.shape[1]]) for v in values]
            return torch.cat(values)

        return cls.from_tensors({name: column(name) for name in tables[0]})

    def to(self, device: torch.device | str) -> MusicTokens:
        """Return a copy on ``device``."""
        return MusicTokens.from_tensors({k: v.to(device) for k, v in self.tensors().items()})

    def hold(self) -> MusicTokens:
        """Return tokens with one event a chord, not one a beat, in the rows where beats are absent.

        Events on every beat would show the grid that is to stay unknown. Rows where beats are given stay as they are.
        """
        alike = (
            (self.events[:, 1:, HELD] == self.events[:, :-1, HELD]).all(2)
            & self.event_mask[:, 1:]
            & self.event_mask[:, :-1]
        )
        repeats = pad(alike & ~self.present["beats"][:, None], (1, 0))
        times = self.event_times_s.clone()
        for i in range(times.shape[1] - 2, -1, -1):  # a chord lasts as long as its repetitions
            times[:, i, 1] = torch.where(repeats[:, i + 1], times[:, i + 1, 1], times[:, i, 1])
        order = repeats.byte().argsort(dim=1, stable=True)  # repetitions go behind the rest
        return replace(
            self,
            events=self.events.gather(1, order[..., None].expand_as(self.events)),
            event_chroma=self.event_chroma.gather(1, order[..., None].expand_as(self.event_chroma)),
            event_times_s=times.gather(1, order[..., None].expand_as(times)),
            event_mask=(self.event_mask & ~repeats).gather(1, order),
        )

    def drop(self, streams: Iterable[str] = STREAMS) -> MusicTokens:
        """Return tokens in which ``streams`` are declared absent.

        Args:
            streams: some of STREAMS; by default all of them, which is the null condition of guidance.

        Raises:
            ValueError: for a name that is none of STREAMS.

        Example:
            >>> from musetune import LeadSheet
            >>> from musetune.conditioning import tokenize
            >>> tokens = tokenize(LeadSheet.parse("C | G", key="C major", bpm=120), frame_s=0.04, n_frames=100)
            >>> tokens.drop(["beats"]).present["beats"].item(), tokens.present["beats"].item()
            (False, True)
        """
        absent = set(streams)
        unknown = absent - set(STREAMS)
        if unknown:
            raise ValueError(f"streams {sorted(unknown)} are not among {', '.join(STREAMS)}")
        return replace(self, present={k: v & (k not in absent) for k, v in self.present.items()})


def tokenize(
    sheet: LeadSheet,
    *,
    frame_s: float,
    n_frames: int,
    duration_s: float | None = None,
    event_s: float | None = None,
    arrangement: Arrangement | None = None,
    expression: Expression | None = None,
) -> MusicTokens:
    """Turn a lead sheet into tokens, one row.

    Args:
        sheet: its time 0 is where the first frame begins.
        frame_s: seconds of a frame, above 0.
        n_frames: frames; a latent row takes ``MusicAdapter.config.frames_per_row`` of them.
        duration_s: events that begin at or after it are left out; default: the frames' length.
        event_s: seconds between further events; default: one a beat and one a chord change.
        arrangement: notes of the players, on a grid with the sheet's time 0. All stem
            streams are given with it: a stem that it lacks is silent.
        expression: how it is played, with the sheet's time 0.

    Returns:
        Tokens of batch size 1.

    Raises:
        ValueError: for an ``event_s`` that is below SHORTEST_EVENT_S or not finite.

    Example:
        >>> from musetune import LeadSheet
        >>> from musetune.conditioning import tokenize
        >>> sheet = LeadSheet.parse("Am | F | C | G", key="A minor", bpm=90)
        >>> tokens = tokenize(sheet, frame_s=0.04, n_frames=100)
        >>> [name for name, given in tokens.present.items() if given]
        ['chords', 'beats', 'key', 'function']
    """
    if event_s is not None and not SHORTEST_EVENT_S <= event_s < math.inf:
        raise ValueError(
            f"event_s={event_s} must be {SHORTEST_EVENT_S} seconds or more, or None for beats and changes alone"
        )
    seconds = frame_s * n_frames if duration_s is None else duration_s
    starts, ends, chords = _event_grid(sheet, seconds, event_s)
    times = np.stack([sheet.grid.time_at(starts), sheet.grid.time_at(ends)], axis=1)
    events = _event_fields(sheet, starts, chords)
    chroma = np.stack([c.chroma for c in chords]) if chords else np.zeros((0, 12), np.float32)
    frames = _frames(sheet, frame_s, n_frames)
    centres = (np.arange(n_frames) + 0.5) * frame_s
    stems = np.zeros((n_frames, len(STEM_FIELDS)), np.float32)
    if arrangement is not None:
        stems = stem_frames(arrangement, centres, KERNEL_S)
    played = np.full((n_frames, len(EXPRESSION_FIELDS)), HIDDEN, np.float32)
    if expression is not None:
        played = expression_frames(expression, centres)
    meter = METERS.index(str(sheet.meter)) if str(sheet.meter) in METERS else len(METERS)
    genre = GENRES.index(sheet.genre) if sheet.genre in GENRES else len(GENRES)
    globals_ = [sheet.key.tonic_pc, int(sheet.key.mode == "minor"), meter, genre]
    present = {s: torch.tensor([True]) for s in SHEET_STREAMS} | {"genre": torch.tensor([sheet.genre is not None])}
    present |= {s: torch.tensor([arrangement is not None]) for s in STEM_STREAMS}
    present |= {EXPRESSION: torch.tensor([expression is not None])}
    return MusicTokens(
        events=torch.from_numpy(events)[None],
        event_chroma=torch.from_numpy(chroma)[None],
        event_times_s=torch.from_numpy(times.astype(np.float32))[None],
        event_mask=torch.ones(1, len(events), dtype=torch.bool),
        frames=torch.from_numpy(frames)[None],
        stems=torch.from_numpy(stems)[None],
        expression=torch.from_numpy(played)[None],
        globals=torch.tensor([globals_]),
        features=torch.tensor([[float(np.log2(sheet.bpm / 120))]]),
        present=present,
    )


def _event_grid(sheet: LeadSheet, seconds: float, event_s: float | None) -> tuple[np.ndarray, np.ndarray, list[Chord]]:
    """Return starts and ends in beats, and the chord, of every event.

    Events begin at beats, at chord changes between them, and every ``event_s`` seconds.
    """
    length = min(float(sheet.length), float(sheet.grid.beat_at(seconds)))
    beats = np.arange(0, np.ceil(length - 1e-6))
    if event_s is not None:
        regular = np.asarray(sheet.grid.beat_at(np.arange(0, seconds, event_s)))
        beats = np.concatenate([beats, regular[(regular >= 0) & (regular < length)]])
    spans = [(float(s.start), float(s.end), s.chord) for s in sheet.chords]
    changes = [s for s, _, _ in spans if s < length] + [e for _, e, _ in spans if e < length]
    starts = np.unique(np.round(np.concatenate([beats, changes, [0.0]]), 6))
    ends = np.append(starts[1:], length)
    keep = ends > starts
    starts, ends = starts[keep], ends[keep]
    edges = np.array([s for s, _, _ in spans])
    index = np.searchsorted(edges, starts + 1e-6, side="right") - 1
    chords = [
        spans[i][2] if i >= 0 and spans[i][1] > at + 1e-6 else NO_CHORD for i, at in zip(index, starts, strict=False)
    ]
    return starts, ends, chords


def _event_fields(sheet: LeadSheet, starts: np.ndarray, chords: list[Chord]) -> np.ndarray:
    """Return (N, 8) int64, columns EVENT_FIELDS."""
    arrivals = {float(c.at_beat): CONDITIONING_CADENCES.index(c.type) for c in conditioning_cadences(sheet)}
    bars = np.array([float(b) for b in sheet.downbeats()] or [float(sheet.first_downbeat)])
    bar = sheet.meter.beats_per_bar
    labels = list(dict.fromkeys(s.label for s in sheet.sections))  # numbered by first appearance: A B A C is 0 1 0 2
    out = np.empty((len(chords), len(EVENT_FIELDS)), np.int64)
    for i, (at, chord) in enumerate(zip(starts, chords, strict=False)):
        key = sheet.key if len(sheet.keys) == 1 else sheet.key_at(at)
        root = 12 if chord.root_pc is None else chord.root_pc
        bass = 12 if chord.bass_pc is None else chord.bass_pc
        section = next((labels.index(s.label) for s in sheet.sections if s.start <= at < s.start + s.beats), NO_SECTION)
        before = bars[bars <= at + 1e-6]
        in_bar = (at - (before[-1] if len(before) else bars[0] - bar * np.ceil((bars[0] - at) / bar))) % bar
        function = CONDITIONING_FUNCTIONS.index(conditioning_function(chord, key))
        cadence = arrivals.get(round(float(at), 6), 0)
        out[i] = (
            root,
            bass,
            chord.quality_index,
            scale_degree(chord, key),
            function,
            cadence,
            min(section, NO_SECTION),
            min(int(in_bar + 1e-6), 11),
        )
    return out


def _frames(sheet: LeadSheet, frame_s: float, n_frames: int) -> np.ndarray:
    """Return (n_frames, 43) float32, columns FRAME_FIELDS, sampled at the frames' centres."""
    out = np.zeros((n_frames, len(FRAME_FIELDS)), np.float32)
    times = (np.arange(n_frames) + 0.5) * frame_s
    beat = np.asarray(sheet.grid.beat_at(times))
    inside = (beat >= 0) & (beat < float(sheet.length))
    phase = (beat - float(sheet.first_downbeat)) / sheet.meter.beats_per_bar
    out[:, 0] = _kernel(times, np.asarray(sheet.grid.time_at(np.arange(math.ceil(sheet.length)))))
    out[:, 1] = _kernel(times, np.asarray(sheet.grid.time_at(np.array(sheet.downbeats(), dtype=float))))
    out[:, 2], out[:, 3] = np.sin(2 * np.pi * beat), np.cos(2 * np.pi * beat)
    out[:, 4], out[:, 5] = np.sin(2 * np.pi * phase), np.cos(2 * np.pi * phase)
    out[~inside, :6] = 0
    for span in sheet.chords:
        chord = span.chord
        if chord.root_pc is None or chord.bass_pc is None:
            continue
        here = (beat >= float(span.start)) & (beat < float(span.end))
        out[here, 6:18] = chord.chroma
        out[here, 18 + chord.bass_pc] = 1
        out[here, 30 + chord.root_pc] = 1
    onsets = (
        np.asarray(sheet.grid.time_at(np.array([float(s.start) for s in sheet.chords])))
        if sheet.chords
        else np.zeros(0)
    )
    out[:, 42] = _kernel(times, onsets)
    return out


def _kernel(times: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Return exp(−d² / 2σ²) of each time's distance d to the nearest event, σ = KERNEL_S."""
    if len(events) == 0:
        return np.zeros_like(times)
    index = (
        np.clip(np.searchsorted(events, times), 1, len(events) - 1) if len(events) > 1 else np.zeros(len(times), int)
    )
    near = np.abs(times - events[index])
    if len(events) > 1:
        near = np.minimum(near, np.abs(times - events[index - 1]))
    result: np.ndarray = np.exp(-0.5 * (near / KERNEL_S) ** 2)
    return result
