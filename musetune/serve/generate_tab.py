"""The Generate tab: what to play and how, the takes, and a bar with button and progress that is always in view."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr

from musetune.serve import markup
from musetune.serve.choice import choice, chosen
from musetune.serve.errand import StoppedError
from musetune.serve.history import TakeHistory
from musetune.serve.pads import ChartHeader, PadBoard
from musetune.serve.player import percent, url
from musetune.serve.studio import ONE_AT_A_TIME, PRIVATE, Studio, while_typing
from musetune.serve.work import CHORDS, ENDINGS, STEPS, WORDS, Order, play, reads_expression
from musetune.symbols import GENRES
from musetune.symbols.meter import METERS

TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "Gb", "G", "Ab", "A", "Bb", "B")
MINOR_TONICS = ("C", "C#", "D", "D#", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
KEYS = [f"{tonic} major" for tonic in TONICS] + [f"{tonic} minor" for tonic in MINOR_TONICS]
ANY = "any"  # no genre asked for
TAB = "generate"  # the id of the tab, for gr.Tabs(selected=...)
UNITS = ("bars", "seconds")
CHORDS_INFO = "Roman (ii7 V7), pop (Am7 C/E) or Harte (A:min7); in bars '.' holds a chord, '%' repeats the bar."
FIRST = Order("I V vi IV", prompt="bright pop song with piano and drums", bars=4, ending=ENDINGS[0])
CLICKS = """
const send = (event, values) => trigger('click', {
  action: values.dataset.action, number: Number(values.dataset.number || 0), name: values.value || '',
});
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-action]');
  if (button && !button.disabled) send(event, button);
});
element.addEventListener('change', (event) => {
  if (event.target.matches('input[data-action]')) send(event, event.target);
});
"""
SAVE_ZIP = "() => document.querySelector('#zip a')?.click()"
log = logging.getLogger(__name__)


class GenerateTab:
    """The Generate tab's components, made inside the tab that is open, and what they do.

    Args:
        studio: what all tabs share.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.history, self.ticket = gr.State(TakeHistory()), gr.State(None)
        with gr.Row(elem_classes="mt-columns"):
            with gr.Column(min_width=320):
                self._order_fields()
            with gr.Column(min_width=320):
                self.take = gr.HTML(markup.shown_html(TakeHistory()), elem_id="take")
                self.takes = gr.HTML("", elem_id="takes", js_on_load=CLICKS)
                self.zip = gr.HTML("", elem_id="zip", visible="hidden")
        with gr.Row(elem_id="bar", equal_height=True):
            self.start = gr.Button("Generate", variant="primary", elem_id="generate", min_width=140, scale=0)
            self.stop = gr.Button("Cancel", interactive=False, elem_id="cancel", min_width=90, scale=0)
            self.problem = gr.HTML("", elem_id="problem")
            self.status = gr.HTML(markup.status("Ctrl+Enter generates.", 1), elem_id="status")
        self._wire()

    def _order_fields(self) -> None:
        self.chords = gr.Textbox(
            FIRST.chords,
            label="Chords",
            info=CHORDS_INFO,
            elem_id="chords",
            lines=2,
            max_lines=8,
            max_length=CHORDS,
        )
        self.reading = gr.HTML(markup.right(FIRST), elem_id="reading")
        self.key = choice("Key", KEYS, FIRST.key, "key", render=False)
        self.meter = choice("Meter", METERS, FIRST.meter, "meter", render=False)
        self.bpm = gr.Number(FIRST.bpm, label="Tempo", elem_id="bpm", min_width=110, render=False)
        self.board = PadBoard(
            self.chords,
            [self.key, self.meter, self.bpm],
            ChartHeader,
            lambda key, meter, bpm, chart: (chosen(chart.key, KEYS), gr.skip(), chart.bpm),
            most=CHORDS,
        )
        with gr.Row(elem_classes="mt-fields"):
            self.key.render()
            self.meter.render()
            self.bpm.render()
        with gr.Row(elem_classes="mt-fields"):
            self.length = gr.Number(FIRST.bars, label="Length", elem_id="length", min_width=90)
            self.unit = gr.Radio(list(UNITS), value=UNITS[0], label="Length in", elem_id="unit", min_width=180)
            self.ending = gr.Radio(list(ENDINGS), value=FIRST.ending, label="Ending", elem_id="ending", min_width=260)
        with gr.Row(elem_classes="mt-fields"):
            self.genre = choice("Genre", [ANY, *GENRES], ANY, "genre")
            self.prompt = gr.Textbox(
                FIRST.prompt, label="Prompt: instruments, mood", elem_id="prompt", max_length=WORDS, min_width=200
            )
        with gr.Row(elem_classes="mt-fields mt-folds"):
            with gr.Accordion("Genre mix", open=False, visible=bool(self.studio.genres), elem_id="mix"):
                gr.Markdown("How strongly each genre adapter plays, 0 to 1; all 0: only the base and the prompt.")
                with gr.Row():
                    self.mix = [
                        gr.Slider(0, 1, value=0, step=0.05, label=name, min_width=140) for name in self.studio.genres
                    ]
            with gr.Accordion("Sound like a clip", open=False, elem_id="clip"):
                self.style, self.style_share = clip_fields("clip")
            expressive = reads_expression(self.studio.pipe)
            with gr.Accordion("How it is played", open=False, visible=expressive, elem_id="expression"):
                self.expression = expression_fields() if expressive else []
            with gr.Accordion("Seed and steps", open=False, elem_id="more"), gr.Row():
                self.seed = gr.Number(0, label="Seed", info="same seed, same audio", elem_id="seed", min_width=120)
                self.dice = gr.Button("Another seed", size="sm", elem_id="dice")
                low, high = STEPS
                self.steps = gr.Number(
                    20, label="Steps", info=f"{low}–{high}; more is finer and slower", elem_id="steps", min_width=120
                )

    def _wire(self) -> None:
        fields = [self.chords, self.key, self.bpm, self.meter, self.length, self.unit, self.ending]
        checked = [self.reading, self.start, self.problem]
        while_typing([part.change for part in fields], self.check, fields, checked, api_name="check")
        self.dice.click(lambda: secrets.randbelow(2**31), None, self.seed, show_progress="hidden", **PRIVATE)
        outputs = [self.status, self.start, self.stop, self.take, self.takes, self.history]
        buttons = [self.status, self.start, self.stop]
        begun = self.start.click(self.begin, None, [*buttons, self.ticket], show_progress="hidden", **PRIVATE)
        begun.then(
            self.generate,
            [self.ticket, self.history, *self.fields],
            outputs,
            api_name="generate",
            show_progress="hidden",
            trigger_mode="multiple",
            **ONE_AT_A_TIME,
        )
        self.stop.click(self.cancel, self.ticket, buttons, show_progress="hidden", **PRIVATE)
        acted = self.takes.click(
            self.act,
            self.history,
            [self.history, self.take, self.takes, self.zip],
            show_progress="hidden",
            **PRIVATE,
        )
        acted.then(None, None, None, js=SAVE_ZIP, **PRIVATE)

    @property
    def handed_over(self) -> list[Any]:
        """The components that `fill` fills, in its order."""
        return [self.chords, self.key, self.bpm, self.meter, self.genre, self.length, self.unit, self.ending]

    @staticmethod
    def fill(order: Order) -> tuple[Any, ...]:
        """Values for the components of `handed_over`: an order that another tab hands over."""
        key, meter = chosen(order.key, KEYS), chosen(order.meter, METERS)
        length, unit = (order.seconds, UNITS[1]) if order.bars is None else (order.bars, UNITS[0])
        genre = chosen(order.genre or ANY, [ANY, *GENRES])
        return order.chords, key, order.bpm, meter, genre, length, unit, order.ending

    # -- what the fields do; each can be called without a browser

    def check(
        self, chords: str, key: str, bpm: float, meter: str, length: float, unit: str, ending: str
    ) -> tuple[str, Any, Any]:
        """How a progression is understood, or what is wrong with it, as HTML to stand under its field; the Generate
        button, on or off; and the problem once more, for the bar.
        """
        order = Order(chords, key, bpm, meter, **_length(length, unit), ending=ending)
        try:
            return markup.right(order), gr.update(interactive=True), ""
        except ValueError as error:
            return markup.wrong(error), gr.update(interactive=False), markup.wrong(error, alert=False)

    @property
    def fields(self) -> list[Any]:
        """The components whose values `order` takes, in its order."""
        head = [self.chords, self.key, self.bpm, self.meter, self.length, self.unit, self.ending]
        more = [*self.mix, self.style, self.style_share, *self.expression]
        return [*head, self.genre, self.prompt, self.seed, self.steps, *more]

    def order(
        self,
        chords: str,
        key: str,
        bpm: float,
        meter: str,
        length: float,
        unit: str,
        ending: str,
        genre: str,
        prompt: str,
        seed: int,
        steps: int,
        *more: Any,
    ) -> Order:
        """What the fields ask for.

        ``more``: a weight for each of the genres of the studio; then, where there is one, a clip and its share; then
        loudness at the beginning and at the end, and swing, where the adapter reads them.
        """
        genres = self.studio.genres
        weights = dict(zip(genres, more[: len(genres)], strict=True))
        clip, share, *said = more[len(genres) :] or (None, 1.0)
        style = None if genre == ANY else genre
        options = {"seed": seed, "steps": steps, "mix": weights, "ending": ending, **_length(length, unit)}
        options |= played_as(*said)
        return Order(chords, key, bpm, meter, style, prompt, style=clip, style_share=share, **options)

    def begin(self) -> tuple[Any, ...]:
        """What the bar shows at once, Generate off, Cancel on; and a ticket by which the work can be cancelled."""
        status = markup.status("waiting for its turn")
        return status, gr.update(interactive=False), gr.update(interactive=True), self.studio.ticket()

    def cancel(self, ticket: int | None) -> tuple[Any, ...]:
        """Stop the work, which then says so itself; what has not begun never does."""
        if self.studio.cancel(ticket):
            return gr.skip(), gr.skip(), gr.skip()
        return markup.status("Cancelled.", 1), *_ready()

    def generate(
        self,
        request: gr.Request | None,
        ticket: int | None,
        history: TakeHistory | None,
        chords: str,
        key: str,
        bpm: float,
        meter: str,
        length: float,
        unit: str,
        ending: str,
        genre: str,
        prompt: str,
        seed: int,
        steps: int,
        *more: Any,
    ) -> Iterator[tuple[Any, ...]]:
        """Generate: what the bar says, Generate and Cancel on or off, and at last the take, the list, the history.

        A generator, so that gradio lets go of it when its client leaves; the work then stops at the next step.
        ``more``: as of `order`. ``request``: by gradio. ``ticket``: of `begin`.
        """
        order = self.order(chords, key, bpm, meter, length, unit, ending, genre, prompt, seed, steps, *more)
        unchanged = (gr.skip(), gr.skip(), gr.skip())
        if self.studio.is_cancelled(ticket):
            yield *unchanged, *unchanged
            return
        play_it = partial(play, self.studio.pipe, order, self.studio.folder)
        work = self.studio.errand(play_it, request, ticket)
        try:
            order.sheet()
            for take in work:
                if take is None:
                    status = markup.status(work.progress or "waiting for its turn", work.share)
                    yield status, gr.update(interactive=False), gr.update(interactive=True), *unchanged
                else:
                    history = (history or TakeHistory()).add(take)
                    status = markup.status(
                        f"Take {history.made} is ready: {percent(take.report['overall'])} overall.", 1
                    )
                    yield status, *_ready(), markup.shown_html(history), markup.takes_html(history), history
        except StoppedError:
            yield markup.status("Cancelled.", 1), *_ready(), *unchanged
        except ValueError as error:
            yield markup.wrong(error), *_ready(), *unchanged
        except Exception:
            log.exception("a take could not be made: %s", order)
            yield markup.wrong(markup.SURPRISE), *_ready(), *unchanged

    def act(self, history: TakeHistory, event: gr.EventData) -> tuple[Any, ...]:
        """What a click in the list of takes does: the history after it, the take, the list, and a zip to save.

        The event has ``action`` (show, compare, rename, delete, zip), the take's ``number``, and ``name`` for rename.
        """
        data = event._data if isinstance(event._data, dict) else {}
        action, number, name = data.get("action"), data.get("number"), str(data.get("name", ""))
        if action == "edit":  # the Edit tab's own
            return gr.skip(), gr.skip(), gr.skip(), ""
        if action != "zip" and (not isinstance(number, int) or history.get(number) is None):
            return history, gr.skip(), gr.skip(), ""
        saved = ""
        if action == "zip":
            saved = f'<a href="{url(history.zip(self.studio.folder))}" download>zip</a>'
        elif action == "rename":
            history = history.rename(int(number or 0), name)
        elif action in ("show", "compare", "delete"):
            history = getattr(history, action)(number)
        view = gr.skip() if action in ("zip", "rename") else markup.shown_html(history)
        return history, view, gr.skip() if action == "zip" else markup.takes_html(history), saved


def clip_fields(elem_id: str) -> tuple[gr.File, gr.Slider]:
    """Where a clip is dropped whose sound is meant, and how much of it counts."""
    clip = gr.File(
        label="A clip whose sound is meant",
        file_types=["audio"],
        type="filepath",
        elem_id=f"{elem_id}-file",
        height=130,
    )
    share = gr.Slider(
        0, 1, value=1, step=0.05, label="How much of it", info="0 the words alone, 1 the clip in their place",
        elem_id=f"{elem_id}-share",
    )  # fmt: skip
    return clip, share


def played_as(first: float | None = None, last: float | None = None, swing: float | None = None) -> dict[str, Any]:
    """What the fields of `expression_fields` say, as `Order` has it; a field that somebody passed through is 0.

    Example:
        >>> played_as(-30.0, 0, 0)
        {'loudness': (-30.0, None), 'swing': None}
    """
    return {"loudness": (first or None, last or None), "swing": swing or None}


def expression_fields() -> list[gr.Number]:
    """Loudness at the beginning and at the end, and swing; each may stay empty."""
    with gr.Row():
        return [
            gr.Number(None, label=label, info=info, elem_id=elem_id, min_width=120)
            for label, info, elem_id in (
                ("Loudness first", "LUFS, such as -30; empty or 0: as it comes", "loudness-first"),
                ("Loudness last", "LUFS, such as -16", "loudness-last"),
                ("Swing", "0.5 even to 0.7; 0.67 a shuffle", "swing"),
            )
        ]


def _length(length: float, unit: str) -> dict[str, Any]:
    """The length as `Order` has it; a field that is empty stays one."""
    return {"bars" if unit == UNITS[0] else "seconds": "" if length is None else length}


def _ready() -> tuple[Any, Any]:
    """Generate on, Cancel off."""
    return gr.update(interactive=True), gr.update(interactive=False)
