"""The picture of an analysis, read like a score: systems of some thirty seconds that break at bar lines, each with its
chords and numerals over a chromagram with beats and bar lines; cadences, key areas and sections beneath."""

from __future__ import annotations

import math
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from musetune.audio.source import SYMBOLS
from musetune.display.chromagram import chord_tones, chromagram
from musetune.display.unsure import MARK, UNSURE, is_unsure, mark_name, unsure_chords
from musetune.formats.chart_text import pop_name
from musetune.formats.labels import key_areas, section_spans
from musetune.symbols import LeadSheet
from musetune.symbols.estimate import AnalysisResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_S = 30.0  # seconds in a system; longer where there would be more than MAX_ROWS of them
MAX_ROWS = 36
CROWDED_S = 75.0  # in longer systems beats and most bar numbers would be a smear
WIDTH_IN, LEFT_IN, RIGHT_IN, TOP_IN, BOTTOM_IN, GAP_IN = 15.0, 0.55, 0.2, 0.75, 0.45, 0.42
COLUMNS = 900  # of the chromagram in a system: more cannot be seen
# Lanes, in units of which a pitch class takes one: (bottom, top).
CHORDS, PITCHES, CADENCES, KEYS, SECTIONS = (12.2, 16.8), (0.0, 12.0), (-2.0, -0.1), (-4.1, -2.2), (-6.2, -4.3)
UNIT_IN = 0.092
HATCH = "//"  # of an unsure chord
NOTES = {0: "C", 2: "D", 4: "E", 5: "F", 7: "G", 9: "A", 11: "B"}
# The families of harmonic functions (`theory.function`), by how their names begin.
COLOURS = {
    "tonic": "#8fb4dc",
    "subdominant": "#9ccb94",
    "predominant": "#9ccb94",
    "dominant": "#e58f86",
    "applied": "#e8a15c",
    "borrowed": "#b79bd1",
    "chromatic": "#c9c0ad",
    "": "#dddddd",
}
KEY_COLOUR, SECTION_COLOUR, BEAT_COLOUR, BAR_COLOUR, CADENCE_COLOUR = (
    "#f3e3b3",
    "#d5d9e0",
    "#3a6ea5",
    "#16324f",
    "#b03a2e",
)
CADENCE_NAMES = {
    ("authentic", "perfect"): "PAC",
    ("authentic", "imperfect"): "IAC",
    ("authentic", None): "AC",
    ("plagal", None): "PC",
    ("half", None): "HC",
    ("deceptive", None): "DC",
}


@dataclass(frozen=True)
class System:
    """One row of the picture: seconds `start` to `end` on `axis`, which is `width_s` wide."""

    axis: Axes
    start: float
    end: float
    width_s: float

    def clip(self, low: float, high: float) -> tuple[float, float] | None:
        """The part of a span that lies here, None where none does."""
        low, high = max(float(low), self.start), min(float(high), self.end)
        return (low, high) if high - low > 1e-3 else None

    def inches(self, seconds: float) -> float:
        """The width of so many seconds."""
        return seconds / self.width_s * (WIDTH_IN - LEFT_IN - RIGHT_IN)

    def box(self, low: float, high: float, lane: tuple[float, float], colour: str, hatch: str | None = None) -> None:
        """A filled rectangle in a lane, perhaps hatched."""
        from matplotlib.patches import Rectangle

        size = high - low, lane[1] - lane[0]
        self.axis.add_patch(
            Rectangle((low, lane[0]), *size, facecolor=colour, edgecolor="white", lw=0.8, zorder=2, hatch=hatch)
        )

    def text(self, low: float, high: float, y: float, text: str, size: float, **options: Any) -> None:
        """Text in the middle of a span, smaller where it must be, left out where it could not be read."""
        size = min(size, 72 * self.inches(high - low) / (0.62 * max(len(text), 1)))
        if size >= 4.2:
            style: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 6} | options
            self.axis.text((low + high) / 2 if style["ha"] == "center" else low, y, text, fontsize=size, **style)


def draw_analysis(result: AnalysisResult, path: str | PathLike, *, sound: str | PathLike | None = None) -> Path:
    """Draw an analysis on the time axis: chords, beats, keys, cadences, form, and a chromagram beneath.

    Args:
        result: What `analyze` gave.
        path: Where to: .png, .pdf or .svg.
        sound: The file whose chromagram is drawn; without one, or where it is no audio, the tones of the chords are.

    Returns:
        The picture's path.

    Raises:
        ValueError: `sound` cannot be decoded.

    Example:
        >>> from musetune import LeadSheet, analyze
        >>> analysis = analyze(LeadSheet.parse("| Am | F | C | G |", bpm=90).save("loop.mid"))
        >>> draw_analysis(analysis, "loop.png").stat().st_size > 0
        True
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sheet, record = result.lead_sheet, result.to_json()
    end_s = max(sheet.duration_s, (record.get("source") or {}).get("duration_s") or 0.0, 1.0)
    rows, width_s = systems(sheet, end_s)
    bottom = (SECTIONS if sheet.sections else KEYS)[0]
    row_in = (CHORDS[1] - bottom) * UNIT_IN
    height_in = TOP_IN + BOTTOM_IN + len(rows) * (row_in + GAP_IN)
    if sound is not None and Path(sound).suffix.lower() not in SYMBOLS:
        chroma = chromagram(sound, width_s / COLUMNS)
    else:
        chroma = chord_tones(sheet, end_s, width_s / COLUMNS)
    figure = Figure(figsize=(WIDTH_IN, height_in))
    FigureCanvasAgg(figure)
    figure.text(LEFT_IN / WIDTH_IN, 1 - 0.28 / height_in, title(record), fontsize=15, weight="bold", va="center")
    _legend(figure, height_in, any(unsure_chords(record)))
    for number, (start, end) in enumerate(rows):
        low = height_in - TOP_IN - (number + 1) * row_in - number * GAP_IN
        box = (LEFT_IN / WIDTH_IN, low / height_in, 1 - (LEFT_IN + RIGHT_IN) / WIDTH_IN, row_in / height_in)
        system = System(figure.add_axes(box), start, end, width_s)
        system.axis.set_ylim(bottom, CHORDS[1])
        _draw(system, sheet, record, chroma, width_s / COLUMNS)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    return Path(path)


def systems(sheet: LeadSheet, end_s: float) -> tuple[list[tuple[float, float]], float]:
    """(start, end) in seconds of each system, and the seconds that its width stands for.

    A system ends before the bar that would not fit; where bars are too long for that, or there are none, in the midst.
    """
    count = min(max(1, round(end_s / ROW_S)), MAX_ROWS)
    lines = np.asarray(sheet.grid.time_at(np.array(sheet.downbeats(), dtype=float)))
    longest = float(np.diff(lines).max(initial=0.0)) if len(lines) > 1 else 0.0
    width_s = end_s / count if count == 1 else end_s / count + min(longest, 0.25 * end_s / count)
    rows, start = [], 0.0
    while end_s - start > 1e-6:
        end = min(start + width_s, end_s)
        inside = lines[(lines > start + width_s / 2) & (lines <= end)]
        if end < end_s and len(inside):
            end = float(inside[-1])
        rows.append((start, end))
        start = end
    return rows, width_s


def title(record: dict[str, Any]) -> str:
    """File, key, tempo, meter and genre in a line; what is not known is left out."""
    bpm = record.get("bpm")
    parts = [(record.get("source") or {}).get("file"), record.get("key"), None if bpm is None else f"{bpm:.0f} bpm"]
    genre = (record.get("genre_analysis") or {}).get("primary_genre")
    parts += [record.get("time_signature"), "genre unsure" if genre == "unsure" else genre]
    return "   ".join(str(part) for part in parts if part)


def colour_of(function: str | None) -> str:
    """The colour of a harmonic function; `COLOURS` names the families."""
    return next(colour for family, colour in COLOURS.items() if (function or "").startswith(family))


def _draw(system: System, sheet: LeadSheet, record: dict[str, Any], chroma: np.ndarray, column_s: float) -> None:
    axis = system.axis
    part = chroma[:, round(system.start / column_s) : round(system.end / column_s)]
    if part.shape[1]:
        extent = (system.start, system.start + part.shape[1] * column_s, *PITCHES)
        axis.imshow(
            part, origin="lower", aspect="auto", cmap="Greys", vmin=0, vmax=1.25, interpolation="nearest", extent=extent
        )
    axis.set_xlim(system.start, system.start + system.width_s)
    axis.set_yticks([pitch + 0.5 for pitch in NOTES], list(NOTES.values()), fontsize=6)
    step = max(5, 5 * round(system.width_s / 30))
    axis.set_xticks(np.arange(math.ceil(system.start / step) * step, system.end + 1e-6, step))
    axis.xaxis.set_major_formatter(lambda x, _: f"{int(x) // 60}:{int(x) % 60:02d}")
    axis.tick_params(axis="y", length=0, pad=2)
    axis.tick_params(axis="x", labelsize=7.5, length=2, pad=1)
    axis.spines[:].set_visible(False)
    _lines(system, sheet)
    _chords(system, sheet, record)
    _cadences(system, record)
    for spans, lane, colour in (
        (key_areas(sheet), KEYS, KEY_COLOUR),
        (section_spans(sheet), SECTIONS, SECTION_COLOUR),
    ):
        for low, high, label in spans:
            if visible := system.clip(low, high):
                system.box(*visible, lane, colour)
                system.text(*visible, sum(lane) / 2, f" {label}", 8, ha="left")


def _lines(system: System, sheet: LeadSheet) -> None:
    """Beats, bar lines and the numbers of the bars."""
    crowded = system.width_s > CROWDED_S
    if not crowded:
        beats = [time for time in sheet.beats_s if system.start <= time < system.end]
        system.axis.vlines(beats, *PITCHES, color=BEAT_COLOUR, linewidth=0.4, alpha=0.55)
    for number, time in enumerate(sheet.grid.time_at(np.array(sheet.downbeats(), dtype=float)), start=1):
        if system.start - 1e-6 <= time < system.end - 1e-6 and (not crowded or number % 8 == 1):
            system.axis.vlines(time, *PITCHES, color=BAR_COLOUR, linewidth=1.0)
            system.axis.vlines(time, *CHORDS, color="white", linewidth=0.8, alpha=0.6, zorder=3)
            system.axis.text(
                time, CHORDS[1] + 0.3, str(number), fontsize=6.5, color=BAR_COLOUR, ha="center", va="bottom"
            )


def _chords(system: System, sheet: LeadSheet, record: dict[str, Any]) -> None:
    """Boxes in the colour of the function, with name and numeral; hatched and with a question mark where unsure."""
    for span, interval, row in zip(sheet.chords, sheet.chord_intervals_s, record["chords"], strict=True):
        visible = system.clip(*interval)
        if visible is not None and span.chord.root is not None:
            unsure = is_unsure(row.get("confidence"))
            system.box(*visible, CHORDS, colour_of(row.get("function")), HATCH if unsure else None)
            system.text(*visible, CHORDS[0] + 2.9, mark_name(pop_name(span.chord), unsure), 9.5, weight="bold")
            system.text(*visible, CHORDS[0] + 1.0, row.get("roman") or "", 7.5)


def _cadences(system: System, record: dict[str, Any]) -> None:
    """A triangle, the larger the stronger, and the kind of each cadence, where it arrives."""
    middle = sum(CADENCES) / 2
    for row in (record.get("harmonic_analysis") or {}).get("cadences") or []:
        time, kind = row["at_s"], row["type"]
        if system.start - 1e-6 <= time < system.end - 1e-6:
            name = CADENCE_NAMES.get((kind, row.get("subtype"))) or CADENCE_NAMES.get((kind, None), kind)
            size = 3.5 + 3.5 * row["strength"]
            system.axis.plot([time], [middle], marker="^", color=CADENCE_COLOUR, markersize=size, clip_on=False)
            style: dict[str, Any] = {"fontsize": 6.5, "color": CADENCE_COLOUR, "va": "center", "ha": "left"}
            system.axis.annotate(name, (time, middle), xytext=(5, 0), textcoords="offset points", **style)


def _legend(figure: Figure, height_in: float, unsure: bool) -> None:
    from matplotlib.patches import Patch

    named = ("tonic", "subdominant", "dominant", "applied", "borrowed", "chromatic")
    handles = [Patch(color=COLOURS[family], label=family) for family in named]
    handles += [Patch(color=KEY_COLOUR, label="key"), Patch(color=SECTION_COLOUR, label="section")]
    if unsure:
        label = f"{MARK} unsure, below {100 * UNSURE:.0f} %"
        handles.append(Patch(facecolor="#999999", edgecolor="white", hatch=HATCH, label=label))
    figure.legend(
        handles=handles,
        ncols=len(handles),
        fontsize=8,
        frameon=False,
        loc="lower left",
        handlelength=1.2,
        columnspacing=1.4,
        bbox_to_anchor=(LEFT_IN / WIDTH_IN - 0.006, 0.0),
    )
    words = "▲ cadence: PAC, IAC perfect, imperfect authentic; HC half; PC plagal; DC deceptive"
    corner = (1 - RIGHT_IN / WIDTH_IN, 0.15 / height_in)
    figure.text(*corner, words, fontsize=7.5, ha="right", color=CADENCE_COLOUR)
