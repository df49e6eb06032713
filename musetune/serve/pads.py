"""Chord pads beside a text that holds chords: the text stays the truth, and both show each other's changes at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gradio as gr

from musetune.serve.chart_words import transpose_chart
from musetune.serve.pads_markup import pads_html, tools_html, words_html
from musetune.serve.studio import PRIVATE, while_typing
from musetune.serve.work import NAME
from musetune.symbols import BPM_RANGE, Key
from musetune.symbols.meter import Meter

MOVES = """
element.addEventListener('click', (event) => {
  const tool = event.target.closest('[data-tool="lower"], [data-tool="raise"]');
  if (tool) trigger('click', { semitones: tool.dataset.tool === 'raise' ? 1 : -1 });
});
element.addEventListener('mt-tell', (event) => trigger('click', event.detail));
"""
PLAIN: dict[str, Any] = {"apply_default_css": False, "padding": False}  # HTML without gradio's look


class ChartHeader(NamedTuple):
    """What of a chart is not in its text: key, meter and tempo, as fields hold them."""

    key: str = "C major"
    meter: str = "4/4"
    bpm: float | None = 120.0


class PadBoard:
    """Pads of a key, the words of a text, and tools, made inside the part of the page that is open.

    Args:
        text: the field with the chords; its ``elem_id`` names the board's parts.
        header: components that say key, meter and tempo.
        read: what the values of ``header`` say.
        write: updates of ``header`` for another key or tempo, from its values and what they shall say; None where both
            are the piece's own: transposing moves the chords alone, and no tempo is tapped.
        most: characters that the text may have.
    """

    def __init__(
        self,
        text: gr.Textbox,
        header: Sequence[Any],
        read: Callable[..., ChartHeader],
        write: Callable[..., tuple[Any, ...]] | None,
        *,
        most: int,
    ) -> None:
        self.most, self._read, self._write = most, read, write
        name, header = str(text.elem_id), list(header)
        values = [part.value for part in header]
        with gr.Column(elem_id=f"{name}-board", elem_classes="mt-board"):
            self.words = gr.HTML(self.show(str(text.value or ""), *values), elem_id=f"{name}-words", **PLAIN)
            self.tools = gr.HTML(
                tools_html(name, tempo=write is not None), elem_id=f"{name}-tools", js_on_load=MOVES, **PLAIN
            )
            self.pads = gr.HTML(self.show_pads(*values), elem_id=f"{name}-pads", **PLAIN)
        fields, changes = [text, *header], [part.change for part in header]
        while_typing([text.change, *changes], self.show, fields, self.words, api_visibility="private")
        while_typing(changes, self.show_pads, header, self.pads, api_visibility="private")
        self.tools.click(self.act, fields, fields, show_progress="hidden", **PRIVATE)

    # -- what the parts do; each can be called without a browser

    def show(self, text: str, *header: Any) -> str:
        """The words of the text as HTML; none where the text is longer than it may be."""
        chart = self._chart(*header)
        text = text if isinstance(text, str) else ""
        return words_html(text if len(text) <= self.most else "", Key.parse(chart.key), chart.meter, chart.bpm or 120.0)

    def show_pads(self, *header: Any) -> str:
        """The pads of the key as HTML."""
        return pads_html(Key.parse(self._chart(*header).key))

    def act(self, event: gr.EventData, text: str, *header: Any) -> tuple[Any, ...]:
        """Text and header after a tool.

        The event has ``semitones``, −12 to 12, to transpose both; or ``bpm`` or ``key``, which the header takes.
        """
        data = event._data if isinstance(event._data, dict) else {}
        semitones, bpm, key = data.get("semitones"), data.get("bpm"), data.get("key")
        chart = self._chart(*header)
        if self._write is None:
            if not isinstance(semitones, int) or abs(semitones) > 12 or len(text or "") > self.most:
                return tuple(gr.skip() for _ in (text, *header))
            moved, _ = transpose_chart(text or "", Key.parse(chart.key), semitones, key_stays=True)
            return moved, *(gr.skip() for _ in header)
        if isinstance(bpm, int | float) and BPM_RANGE[0] <= bpm <= BPM_RANGE[1]:
            return gr.skip(), *self._write(*header, chart._replace(bpm=float(bpm)))
        if isinstance(key, str) and _reads(Key.parse, key):
            return gr.skip(), *self._write(*header, chart._replace(key=key))
        if not isinstance(semitones, int) or abs(semitones) > 12 or len(text or "") > self.most:
            return gr.skip(), *(gr.skip() for _ in header)
        moved, there = transpose_chart(text or "", Key.parse(chart.key), semitones)
        return moved, *self._write(*header, chart._replace(key=str(there)))

    def _chart(self, *header: Any) -> ChartHeader:
        """What the header says; the usual in place of what cannot be read."""
        chart, usual = self._read(*header), ChartHeader()
        key = chart.key if _reads(Key.parse, chart.key) else usual.key
        meter = chart.meter if _reads(Meter.parse, chart.meter) else usual.meter
        in_range = isinstance(chart.bpm, int | float) and BPM_RANGE[0] <= chart.bpm <= BPM_RANGE[1]
        return ChartHeader(key, meter, chart.bpm if in_range else usual.bpm)


def _reads(parse: Callable[[str], object], text: Any) -> bool:
    """Whether a text, of no more than NAME characters, can be read."""
    try:
        parse(text if isinstance(text, str) and len(text) <= NAME else "")
    except ValueError:
        return False
    return True
