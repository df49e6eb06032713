"""Pictures: a clip's log-mel with what was asked over it and what was recognised beneath; scores as bars.

Two listeners' scores as points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from musetune.symbols.estimate import Estimate
from musetune.theory.harmony.comparison import chords_agree, longest

if TYPE_CHECKING:
    from musetune.symbols import LeadSheet

HOP = 256
GOOD, BAD, ASKED = "#3a9e5c", "#c8553d", "#5b7fb8"
CONDITIONS = ("#b8b8b8", "#8a8a8a", "#3a6ea5", "#b39ddb", "#7ba7d1", "#9cc69b", "#5a9367")


class Interval(Protocol):
    """A mean with its interval, each 0…1."""

    @property
    def mean(self) -> float:
        """Middle of the interval."""

    @property
    def low(self) -> float:
        """Lower end of the interval."""

    @property
    def high(self) -> float:
        """Upper end of the interval."""


def draw_chart(
    path: str | Path,
    wave: np.ndarray,
    sr: int,
    sheet: LeadSheet,
    heard: Estimate | None = None,
    *,
    title: str | None = None,
) -> Path:
    """Draw a clip's log-mel spectrogram with the chords and beats of its lead sheet over it.

    Args:
        path: Where to: .png, .pdf or .svg; folders are made.
        wave: Mono audio (samples,) in −1…1.
        sr: Sampling rate in Hz.
        sheet: What was asked for.
        heard: What a listener heard, such as `Report.estimate`; drawn beneath: its chords, green where they agree with
            the asked one, and its beats.
        title: Heading; None: key, tempo and meter of the sheet.

    Returns:
        The picture's path.

    Example:
        >>> import numpy as np
        >>> from musetune import LeadSheet
        >>> draw_chart("clip.png", np.zeros(32000), 16000, LeadSheet.parse("| C |", bpm=120)).stat().st_size > 0
        True
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5.4 if heard else 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    mel_axis, asked_axis, *rest = figure.subplots(
        3 if heard else 2, 1, sharex=True, height_ratios=[8, 1, 1.0][: 3 if heard else 2]
    )
    duration_s = len(wave) / sr
    _mel(mel_axis, wave, sr)
    _over(mel_axis, sheet, duration_s)
    _boxes(asked_axis, sheet.chord_intervals_s, sheet.chord_labels, [ASKED] * len(sheet.chord_labels), "asked")
    if heard:
        colours = [
            _verdict(sheet, low, high, label)
            for (low, high), label in zip(heard.intervals_s, heard.labels, strict=True)
        ]
        _boxes(rest[0], heard.intervals_s, heard.labels, colours, "heard")
        rest[0].vlines(heard.beats_s, 1.0, 1.25, color="black", linewidth=1.0, clip_on=False)
    (rest[0] if heard else asked_axis).set_xlabel("seconds")
    mel_axis.set_xlim(0, duration_s)
    mel_axis.set_title(title or f"{sheet.key}, {sheet.bpm:.0f} bpm, {sheet.meter}", loc="left", fontsize=11)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return Path(path)


def draw_table(
    path: str | Path, table: Mapping[str, Mapping[str, Interval | None]], measures: Sequence[str], *, title: str
) -> Path:
    """Draw means with their intervals as bars in per cent, a group a measure and a colour a condition.

    Args:
        path: Where to: .png, .pdf or .svg, in a folder that exists.
        table: Condition → measure → mean in 0…1 with its interval, or None where there is none.
        measures: The measures that are drawn, in order.
        title: Heading.

    Returns:
        The picture's path.

    Example:
        >>> from musetune.evaluation import bootstrap_mean
        >>> scores = {"floor": {"beats": bootstrap_mean([0.1, 0.3])}, "ours": {"beats": bootstrap_mean([0.7, 0.9])}}
        >>> draw_table("scores.png", scores, ["beats"], title="Beats, F-measure").stat().st_size > 0
        True
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 * len(measures) + 2, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    width = 0.8 / len(table)
    for index, (condition, scores) in enumerate(table.items()):
        points = [(x, score) for x, measure in enumerate(measures) if (score := scores.get(measure)) is not None]
        x = [position + (index - (len(table) - 1) / 2) * width for position, _ in points]
        means = np.array([100 * score.mean for _, score in points])
        spread = np.array([[100 * (s.mean - s.low), 100 * (s.high - s.mean)] for _, s in points]).reshape(-1, 2).T
        colour = CONDITIONS[index % len(CONDITIONS)]
        axis.bar(
            x, means, width, yerr=np.maximum(spread, 0), label=condition, color=colour, error_kw={"linewidth": 0.8}
        )
    axis.set_xticks(range(len(measures)), measures)
    axis.set_ylim(0, 105)
    axis.set_ylabel("%")
    axis.set_title(title, loc="left", fontsize=11)
    axis.legend(ncols=len(table), fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.1), frameon=False)
    figure.savefig(path, dpi=110)
    return Path(path)


def draw_scatter(
    path: str | Path, points: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]], *, axes: tuple[str, str]
) -> Path:
    """Draw pairs of scores as points, a panel a quantity and a colour a set.

    Args:
        path: Where to: .png, .pdf or .svg, in a folder that exists.
        points: Quantity → set → (x, y), each (n,) in 0…1.
        axes: What x and y are.

    Returns:
        The picture's path.

    Example:
        >>> import numpy as np
        >>> pairs = {"chords": {"test": (np.array([0.4, 0.8]), np.array([0.5, 0.7]))}}
        >>> draw_scatter("pairs.png", pairs, axes=("judges", "our report")).stat().st_size > 0
        True
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(points), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, (quantity, sets) in zip(figure.subplots(1, len(points), squeeze=False)[0], points.items(), strict=True):
        axis.plot([0, 100], [0, 100], color="black", linewidth=0.6)
        for colour, (name, (x, y)) in zip((ASKED, "#b8b8b8", GOOD, BAD), sets.items()):
            axis.scatter(100 * x, 100 * y, s=18, color=colour, alpha=0.7, label=name)
        axis.set(xlim=(-3, 103), ylim=(-3, 103), title=quantity, xlabel=f"{axes[0]}, %", ylabel=f"{axes[1]}, %")
        axis.set_aspect("equal")
        axis.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)
    return Path(path)


def _mel(axis: Any, wave: np.ndarray, sr: int) -> None:
    import librosa

    mel = librosa.feature.melspectrogram(y=np.asarray(wave, np.float32), sr=sr, n_fft=2048, hop_length=HOP, n_mels=128)
    db = librosa.power_to_db(mel, ref=np.max, top_db=70)
    axis.imshow(db, origin="lower", aspect="auto", cmap="magma", extent=(0, len(wave) / sr, 0, 128))
    ticks = [f for f in (110, 440, 1760, 7040) if f < sr / 2]
    low, high = librosa.hz_to_mel([0, sr / 2])
    axis.set_yticks([128 * (librosa.hz_to_mel(f) - low) / (high - low) for f in ticks], [f"{f} Hz" for f in ticks])


def _over(axis: Any, sheet: LeadSheet, duration_s: float) -> None:
    """Chord names and beats of the sheet over the picture; bar lines whole, beats as ticks from below."""
    for time in sheet.beats_s[sheet.beats_s < duration_s]:
        axis.axvline(time, 0, 0.06, color="white", linewidth=0.8)
    for time in sheet.downbeats_s[sheet.downbeats_s < duration_s]:
        axis.axvline(time, color="white", linewidth=0.9, alpha=0.7)
    for (start, _), label in zip(sheet.chord_intervals_s, sheet.chord_labels, strict=True):
        if start < duration_s:
            axis.text(start + 0.03, 122, label, color="white", fontsize=9, va="top", weight="bold")


def _boxes(axis: Any, intervals_s: np.ndarray, labels: Sequence[str], colours: Sequence[str], name: str) -> None:
    for (start, end), label, colour in zip(intervals_s, labels, colours, strict=True):
        axis.broken_barh([(start, end - start)], (0, 1), facecolors=colour, edgecolors="white", linewidth=1)
        if end - start > 0.25:
            axis.text((start + end) / 2, 0.5, label, ha="center", va="center", fontsize=8, color="white")
    axis.set_ylim(0, 1)
    axis.set_yticks([0.5], [name])
    axis.tick_params(left=False)
    for spine in axis.spines.values():
        spine.set_visible(False)


def _verdict(sheet: LeadSheet, start_s: float, end_s: float, label: str) -> str:
    """Green where the recognised chord agrees with what the sheet asks for most of that time."""
    truth = Estimate(
        np.asarray(sheet.chord_intervals_s),
        list(sheet.chord_labels),
        np.ones(len(sheet.chord_labels)),
        np.zeros(0),
        np.zeros(0),
        None,
        None,
    )
    return GOOD if chords_agree(longest(truth, start_s, end_s)[0], label) else BAD
