"""The Generate tab: what to play and how, and the take with its chords."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import gradio as gr

from musetune.serve import markup
from musetune.serve.errand import StoppedError
from musetune.serve.studio import LIVE, ONE_AT_A_TIME, PRIVATE, Studio
from musetune.serve.work import CHORDS, SECONDS, STEPS, WORDS, Order, play
from musetune.symbols import BPM_RANGE, GENRES
from musetune.symbols.meter import METERS

TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "Gb", "G", "Ab", "A", "Bb", "B")
MINOR_TONICS = ("C", "C#", "D", "D#", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
KEYS = [f"{tonic} major" for tonic in TONICS] + [f"{tonic} minor" for tonic in MINOR_TONICS]
ANY = "any"  # no genre asked for
TAB = "play"  # the id of the tab, for gr.Tabs(selected=...)
NOTHING_YET = '<div class="mt-hint">What you generate plays here, its chords moving along.</div>'
CHORDS_INFO = (
    "Roman (ii7 V7), pop (Am7 C/E) or Harte (A:min7). Bars with |; in a bar '.' holds a chord, '%' repeats the bar."
)


class GenerateTab:
    """The Generate tab's components, made inside the tab that is open, and what they do.

    Args:
        studio: what all tabs share.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        with gr.Row():
            with gr.Column(scale=5, min_width=300):
                self._order_fields()
            with gr.Column(scale=6, min_width=300):
                self.take = gr.HTML(NOTHING_YET, elem_id="take")
        self._wire()

    def _order_fields(self) -> None:
        self.chords = gr.Textbox(
            "I V vi IV",
            label="Chords",
            info=CHORDS_INFO,
            elem_id="chords",
            lines=2,
            max_lines=8,
            max_length=CHORDS,
        )
        self.reading = gr.HTML(self.check("I V vi IV", "C major", 120, "4/4", 10.24), elem_id="reading")
        with gr.Row():
            self.key = gr.Dropdown(KEYS, value="C major", label="Key", elem_id="key", min_width=150)
            self.meter = gr.Dropdown(list(METERS), value="4/4", label="Time signature", elem_id="meter", min_width=110)
            self.genre = gr.Dropdown([ANY, *GENRES], value=ANY, label="Genre", elem_id="genre", min_width=140)
        self.bpm = gr.Slider(*BPM_RANGE, value=120, step=1, label="Tempo, beats a minute", elem_id="bpm")
        self.prompt = gr.Textbox(
            "bright pop song with piano and drums",
            label="Prompt",
            info="genre, instruments, mood",
            elem_id="prompt",
            max_length=WORDS,
        )
        with gr.Group(visible=bool(self.studio.genres), elem_id="mix"):
            gr.Markdown("Genre adapters, mixed", container=True)
            self.mix = [gr.Slider(0, 1, value=0, step=0.05, label=name) for name in self.studio.genres]
        self.seconds = gr.Slider(*SECONDS, value=10.24, step=0.01, label="Length, seconds", elem_id="seconds")
        with gr.Accordion("Seed and steps", open=False):
            self.seed = gr.Number(0, label="Seed", info="same seed, same audio", precision=0, minimum=0, elem_id="seed")
            self.dice = gr.Button("Another seed", size="sm")
            self.steps = gr.Slider(
                *STEPS, value=20, step=1, label="Steps", info="more is finer and slower", elem_id="steps"
            )
        self.start = gr.Button("Generate", variant="primary", size="lg", elem_id="generate")

    def _wire(self) -> None:
        fields = [self.chords, self.key, self.bpm, self.meter, self.seconds]
        gr.on([part.change for part in fields], self.check, fields, self.reading, api_name="check", **LIVE)
        self.dice.click(lambda: secrets.randbelow(2**31), None, self.seed, show_progress="hidden", **PRIVATE)
        self.start.click(
            self.generate,
            [*fields, self.genre, self.prompt, self.seed, self.steps, *self.mix],
            [self.take, self.reading],
            api_name="generate",
            show_progress_on=self.take,
            **ONE_AT_A_TIME,
        )

    @property
    def handed_over(self) -> list[Any]:
        """The components that `fill` fills, in its order."""
        return [self.chords, self.key, self.bpm, self.meter, self.genre, self.seconds]

    @staticmethod
    def fill(order: Order) -> tuple[Any, ...]:
        """Values for the components of `handed_over`: an order that another tab hands over."""
        key = gr.update(value=order.key, choices=sorted({*KEYS, order.key}, key=([*KEYS, order.key]).index))
        meter = gr.update(value=order.meter, choices=sorted({*METERS, order.meter}, key=([*METERS, order.meter]).index))
        return order.chords, key, order.bpm, meter, order.genre or ANY, order.seconds

    # -- what the fields do; each can be called without a browser

    def check(self, chords: str, key: str, bpm: float, meter: str, seconds: float) -> str:
        """How a progression is understood, or what is wrong with it, as HTML to stand under its field."""
        order = Order(chords, key, bpm, meter, seconds=seconds)
        try:
            order.sheet()
            return markup.right(order.loop(), seconds)
        except ValueError as error:
            return markup.wrong(error)

    def generate(
        self,
        chords: str,
        key: str,
        bpm: float,
        meter: str,
        seconds: float,
        genre: str,
        prompt: str,
        seed: int,
        steps: int,
        *mix: float,
    ) -> Iterator[tuple[Any, Any]]:
        """Generate: how far it is, and at last the take and what stands under the chord field, as HTML.

        A generator, so that gradio lets go of it when its client leaves; then the work stops at the next step. ``mix``:
        a weight for each of ``genres``.
        """
        genre_or_none = None if genre == ANY else genre
        weights = dict(zip(self.studio.genres, mix, strict=True))
        order = Order(chords, key, bpm, meter, genre_or_none, prompt, seconds, seed, steps, weights)
        errand = self.studio.errand(lambda errand: play(self.studio.pipe, order, self.studio.folder, errand))
        try:
            order.check()
            for take in errand:
                if take is None:
                    yield markup.waiting(errand.progress), gr.skip()
                else:
                    yield markup.take_html(take), self.check(chords, key, bpm, meter, seconds)
        except (ValueError, StoppedError) as error:
            yield NOTHING_YET, markup.wrong(error)
