"""What a player says while a stream goes on: chord, tempo, loudness, genres. A source for ``pipe.stream``."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from musetune.live.bar_source import BarSource
from musetune.pipeline.stream_score import LOUDNESS_DB, StreamInput, StreamPosition
from musetune.symbols import BeatGrid, Chord, Key, LeadSheet
from musetune.symbols.beat_grid import BPM_RANGE
from musetune.symbols.spans import ChordSpan


@dataclass(frozen=True)
class ControlSettings:
    """What holds at the moment.

    Attributes:
        bpm: beats a minute.
        chord: held by the player; None: the chart goes on.
        loudness_db: gain.
        mix: weights of genre adapters; None as they are.
    """

    bpm: float
    chord: Chord | None = None
    loudness_db: float = 0.0
    mix: Mapping[str, float] | None = None


class LiveControls:
    """Settings that any thread may change, and the source of a stream that reads them bar by bar.

    Args:
        chart: played where no chord is held, round and round.
        prompt: words.

    Example:
        >>> controls = LiveControls(LeadSheet.parse("| C | F |", bpm=120))
        >>> from fractions import Fraction
        >>> controls(StreamPosition(0.0, 1, Fraction(0))).lead_sheet.chord_labels
        ['C:maj', 'F:maj']
        >>> controls.hold(Chord.parse("Am7"))
        >>> controls(StreamPosition(2.0, 2, Fraction(0))).lead_sheet.chord_labels  # this bar and the next
        ['A:min7', 'A:min7']
    """

    def __init__(self, chart: LeadSheet, prompt: str = "") -> None:
        self.key: Key = chart.key
        self._chart, self._prompt = chart, prompt
        self._bars = BarSource()
        self._lock = threading.Lock()
        self._settings = ControlSettings(chart.bpm)
        self._stopped = False

    @property
    def settings(self) -> ControlSettings:
        """What holds now."""
        return self._settings

    @property
    def stopped(self) -> bool:
        """Whether the player has ended it."""
        return self._stopped

    def hold(self, chord: Chord | None) -> None:
        """Play a chord from the next bar line on; None goes back to the chart, where it would be by now.

        What comes too late for the bar line counts from the next chunk on, where one begins within the bar.
        """
        self._change(chord=chord)

    def set_bpm(self, bpm: float) -> None:
        """Set the tempo, as ``hold`` sets the chord; it stays within 30–300."""
        self._change(bpm=float(min(max(bpm, BPM_RANGE[0]), BPM_RANGE[1])))

    def set_loudness(self, loudness_db: float) -> None:
        """Set the gain from the next chunk on; it stays within −60 to 12 dB."""
        self._change(loudness_db=float(min(max(loudness_db, LOUDNESS_DB[0]), LOUDNESS_DB[1])))

    def set_mix(self, mix: Mapping[str, float]) -> None:
        """Set the weights of genre adapters from the next chunk on."""
        self._change(mix=dict(mix))

    def stop(self) -> None:
        """End the stream before its next chunk."""
        self._stopped = True

    def __call__(self, position: StreamPosition) -> StreamInput:
        """Return what the next chunk plays; raises StopIteration after ``stop``."""
        if self._stopped:
            raise StopIteration
        settings = self._settings
        due = self._bars.take(position, self._played(settings))
        return replace(due, prompt=self._prompt, mix=settings.mix, loudness_db=settings.loudness_db)

    def _played(self, settings: ControlSettings) -> LeadSheet:
        """Return the chart at the player's tempo and with the chord that is held."""
        chart = self._chart
        if settings.bpm != chart.bpm:
            times = np.asarray(chart.grid.times_s) * (chart.bpm / settings.bpm)
            chart = replace(chart, grid=BeatGrid(tuple(times.tolist())))
        if settings.chord is None:
            return chart
        return replace(chart, chords=(ChordSpan(Fraction(0), chart.length, settings.chord),))

    def _change(self, **values: object) -> None:
        with self._lock:
            self._settings = replace(self._settings, **values)  # type: ignore[arg-type]
