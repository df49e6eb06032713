"""A chart that goes round and round and may change at any time, handed out bar by bar to a stream that asks."""

from __future__ import annotations

from fractions import Fraction

from musetune.pipeline.stream_score import StreamInput, StreamPosition, join_sheets
from musetune.symbols import LeadSheet

LATE_S = 1.2  # so soon after its bar line a bar may still become another one; later a change waits for the next line


class BarSource:
    """What of a chart is due where a stream asks.

    A bar is handed out at its bar line, with the chart as it is then. A change that came too late for the bar line is
    taken up at the first chunk within the bar, if that begins within LATE_S of it. The bar counts on through changes of
    tempo and key.

    Example:
        >>> chart, source = LeadSheet.parse("| C | F |", bpm=120), BarSource()
        >>> line, within = StreamPosition(0.0, 1, Fraction(0)), StreamPosition(0.5, 1, Fraction(1))
        >>> source.take(line, chart).lead_sheet.chord_labels
        ['C:maj', 'F:maj']
        >>> source.take(within, chart).lead_sheet is None  # nothing new
        True
        >>> source.take(StreamPosition(2.0, 2, Fraction(0)), chart).lead_sheet.chord_labels
        ['F:maj', 'C:maj']
    """

    def __init__(self) -> None:
        self._bar = -1  # counted from the chart's first, round and round
        self._chart: LeadSheet | None = None  # as the bar that is playing was handed out
        self._line_s: float | None = None  # where in the stream it began; None once a chunk began within it
        self._restart = False

    def restart(self) -> None:
        """Begin the chart from its first bar with the next change that is taken up."""
        self._restart = True

    def take(self, position: StreamPosition, chart: LeadSheet) -> StreamInput:
        """Return what is new where ``position`` is: the bar that is due and the one after it, or what is left of them.

        Args:
            position: where the next chunk begins.
            chart: whole beats, as it shall be played now.
        """
        if position.beat == 0:
            self._bar = 0 if self._restart else self._bar + 1
            self._line_s, self._chart, self._restart = position.seconds, chart, False
            return StreamInput(two_bars(chart, self._bar))
        line_s, self._line_s = self._line_s, None
        if line_s is None or position.seconds - line_s > LATE_S or chart == self._chart:
            return StreamInput()
        bar = 0 if self._restart else self._bar
        if position.beat >= bar_length(chart, bar):
            return StreamInput()  # its bars are shorter: it waits for the bar line
        self._bar, self._chart, self._restart = bar, chart, False
        return StreamInput(two_bars(chart, bar, position.beat), at_once=True)


def bar_lines(chart: LeadSheet) -> list[Fraction]:
    """Return where bars begin, and the end; what comes before the first bar line is a bar of its own.

    Example:
        >>> bar_lines(LeadSheet.parse("| C | F |", time_signature="3/4"))
        [Fraction(0, 1), Fraction(3, 1), Fraction(6, 1)]
    """
    return [Fraction(0), *(line for line in chart.downbeats() if 0 < line < chart.length), chart.length]


def bar_length(chart: LeadSheet, bar: int) -> Fraction:
    """Return how many beats a bar has; bars are counted round and round."""
    lines = bar_lines(chart)
    index = bar % (len(lines) - 1)
    return lines[index + 1] - lines[index]


def two_bars(chart: LeadSheet, bar: int, beat: Fraction = Fraction(0)) -> LeadSheet:
    """Return a bar from one of its beats on, and the bar after it, so that its end is made for what follows.

    Example:
        >>> two_bars(LeadSheet.parse("| C | F | G |"), 5, Fraction(2)).chord_labels
        ['G:maj', 'C:maj']
    """
    lines = bar_lines(chart)
    count = len(lines) - 1
    first, second = bar % count, (bar + 1) % count
    if second > first:
        return chart.slice(lines[first] + beat, lines[second + 1])
    rest = chart.slice(lines[first] + beat, lines[first + 1])
    return join_sheets([rest, chart.slice(lines[second], lines[second + 1])])
