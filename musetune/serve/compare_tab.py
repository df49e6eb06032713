"""The Compare tab: two takes, blind; a verdict by mouse or key; further pairs made while one listens."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from musetune.evaluation.preferences import PairBatch, read_verdicts, summarise
from musetune.serve import compare_markup, markup
from musetune.serve.choice import choice
from musetune.serve.compare_work import ANOTHER_SEED, NAME, CompareDesk, make_pairs, other_takes
from musetune.serve.errand import StoppedError
from musetune.serve.generate_tab import GenerateTab
from musetune.serve.player import url
from musetune.serve.studio import ONE_AT_A_TIME, PRIVATE, Studio

TAB = "compare-tab"
KEYS_LABEL = "Keys: a b play and pause, 1 2 3 4 judge, c r s w give reasons, u takes back"
SCRIPT = (Path(__file__).parent / "compare.js").read_text()
log = logging.getLogger(__name__)


class CompareTab:
    """The Compare tab's components, made inside the tab that is open, and what they do.

    Args:
        studio: what all tabs share.
        generate: the tab whose fields say what new pairs are to play.
        batch: the pairs and the verdicts.
        sounds: folder of the sounds that are shown; the server gives its files away.
    """

    def __init__(self, studio: Studio, generate: GenerateTab, batch: PairBatch, sounds: Path) -> None:
        self.studio, self.generate, self.batch = studio, generate, batch
        self.desk = CompareDesk(batch, sounds)
        self.ticket, self.known = gr.State(None), gr.State("")
        with gr.Row(elem_classes="mt-fields"):
            self.name = gr.Textbox(
                "", label="Your name", placeholder="listener", max_length=NAME, elem_id="compare-name", min_width=160
            )
            self.keys = gr.Checkbox(True, label=KEYS_LABEL, interactive=True, elem_id="compare-keys", min_width=200)
            self.back = gr.Button("Take back the last verdict", size="sm", elem_id="compare-back", min_width=160)
        self.problem = gr.HTML("", elem_id="compare-problem")
        self.next_button = gr.Button("Next pair", elem_id="compare-next", elem_classes="mt-hidden")
        self.pair = gr.HTML(compare_markup.EMPTY, elem_id="compare", js_on_load=SCRIPT)
        with gr.Accordion("Make further pairs", open=False, elem_id="compare-make"):
            gr.Markdown("Take A plays what stands in Generate. Listen on while pairs are made: they join the others.")
            with gr.Row(elem_classes="mt-fields"):
                self.count = gr.Number(4, label="Pairs", precision=0, elem_id="compare-count", min_width=90)
                self.other = choice("Take B plays", other_takes(studio.genres), ANOTHER_SEED, "compare-other")
                self.make_button = gr.Button("Make pairs", elem_id="compare-start", min_width=120)
                self.cancel_button = gr.Button("Cancel", interactive=False, elem_id="compare-cancel", min_width=90)
            self.status = gr.HTML("", elem_id="compare-status")
        with gr.Accordion("Results", open=False, elem_id="compare-results"):
            gr.Markdown("Results name the origins: look at them when you are done.")
            self.results_button = gr.Button("Show results", size="sm", elem_id="compare-show")
            self.results = gr.HTML("", elem_id="compare-summary")
        self._wire()

    def wire_tab(self, tab: gr.Tab) -> None:
        """Show the next pair when the tab is opened."""
        tab.select(self.show, self.name, [self.pair, self.problem], show_progress="hidden", **PRIVATE)

    def _wire(self) -> None:
        shown = [self.pair, self.problem]
        quiet: dict[str, Any] = {"show_progress": "hidden", **PRIVATE}
        gr.on([self.name.submit, self.name.blur], self.rename, [self.name, self.known], [*shown, self.known], **quiet)
        self.pair.click(self.act, self.name, shown, **quiet)
        self.back.click(self.take_back, self.name, shown, **quiet)
        self.results_button.click(self.show_results, None, self.results, **quiet)
        buttons = [self.status, self.make_button, self.cancel_button]
        begun = self.make_button.click(self.begin, None, [*buttons, self.ticket], **quiet)
        begun.then(
            self.make,
            [self.ticket, self.count, self.other, *self.generate.fields],
            buttons,
            show_progress="hidden",
            api_visibility="private",
            trigger_mode="multiple",
            **ONE_AT_A_TIME,
        )
        self.next_button.click(self.show, self.name, shown, **quiet)
        self.cancel_button.click(self.cancel, self.ticket, buttons, **quiet)
        gr.api(self.next_pair, api_name="compare_next", queue=False)
        gr.api(self.give_verdict, api_name="compare_verdict", queue=False)

    # -- what the fields do; each can be called without a browser

    def show(self, name: str) -> tuple[Any, Any]:
        """The next pair for a judge, as HTML; and what is wrong."""
        try:
            dealt = self.desk.deal(name)
            if dealt is None:
                return compare_markup.all_judged_html(len(self.batch.pairs())), ""
        except (ValueError, OSError) as error:
            return gr.skip(), markup.wrong(error)
        return compare_markup.pair_html(dealt), ""

    def rename(self, name: str, known: str) -> tuple[Any, Any, str]:
        """The next pair for a judge of another name than before, which is ``known``; and the name."""
        return (gr.skip(), gr.skip(), known) if name == known else (*self.show(name), name)

    def act(self, name: str, event: gr.EventData) -> tuple[Any, Any]:
        """Write the verdict that a click or a key gives, and show the next pair.

        The event has ``token``, ``verdict``, ``reasons`` and ``heard``; or ``action`` "back".
        """
        data = event._data if isinstance(event._data, dict) else {}
        if data.get("action") == "back":
            return self.take_back(name)
        try:
            self.desk.judge(
                str(data.get("token")), str(data.get("verdict")), list(data.get("reasons") or ()), data.get("heard")
            )
        except (ValueError, OSError) as error:
            return self.show(name)[0], markup.wrong(error)
        return self.show(name)

    def take_back(self, name: str) -> tuple[Any, Any]:
        """Take back the judge's last verdict and show its pair again."""
        try:
            taken = self.desk.take_back(name)
        except (ValueError, OSError) as error:
            return gr.skip(), markup.wrong(error)
        html, problem = self.show(name)
        return html, problem or (markup.note("Taken back." if taken else "There is no verdict to take back."))

    def show_results(self) -> str:
        """What all verdicts of the batch amount to, as HTML."""
        try:
            return compare_markup.results_html(summarise(read_verdicts(self.batch.preferences)))
        except (ValueError, OSError) as error:
            return markup.wrong(error)

    def begin(self) -> tuple[Any, ...]:
        """What is shown at once, Make off, Cancel on; and a ticket by which the work can be cancelled."""
        status = markup.status("waiting for its turn")
        return status, gr.update(interactive=False), gr.update(interactive=True), self.studio.ticket()

    def cancel(self, ticket: int | None) -> tuple[Any, ...]:
        """Stop making pairs; those that are whole stay."""
        if self.studio.cancel(ticket):
            return gr.skip(), gr.skip(), gr.skip()
        return markup.status("Cancelled.", 1), *_ready()

    def make(
        self, request: gr.Request | None, ticket: int | None, count: int, other: str, *fields: Any
    ) -> Iterator[tuple[Any, ...]]:
        """Make pairs from what stands in Generate: how far it is, and at last how many there are."""
        if self.studio.is_cancelled(ticket):
            yield gr.skip(), *_ready()
            return
        pipe, base = self.studio.pipe, self.studio.pipe.base_name
        try:
            order = self.generate.order(*fields)
            order.sheet()
            work = self.studio.errand(
                lambda errand: make_pairs(pipe, order, other, count, self.batch, base, errand), request, ticket
            )
            for new in work:
                if new is None:
                    status = markup.status(work.progress or "waiting for its turn", work.share)
                    yield status, gr.update(interactive=False), gr.update(interactive=True)
                else:
                    old = int(count) - new
                    words = f"{new} new pair{'s' * (new != 1)}."
                    if old:
                        words += f" {old} were there: take another seed in Generate."
                    yield markup.status(words, 1), *_ready()
        except StoppedError:
            yield markup.status("Cancelled; pairs that were whole are kept.", 1), *_ready()
        except (ValueError, OSError) as error:
            yield markup.wrong(error), *_ready()
        except Exception:
            log.exception("pairs could not be made")
            yield markup.wrong(markup.SURPRISE), *_ready()

    # -- for programs

    def next_pair(self, judge: str) -> dict:
        """The next pair for a judge: `token`, the addresses of `a` and `b`, `request`; {} where none is left."""
        try:
            dealt = self.desk.deal(judge)
        except (ValueError, OSError) as error:
            raise gr.Error(str(error)) from error
        if dealt is None:
            return {}
        a, b = (url(side.sound) for side in dealt.sides)
        return {"token": dealt.token, "a": a, "b": b, "request": dealt.comparison.pair.request}

    def give_verdict(self, token: str, verdict: str, reasons: list[str]) -> dict:
        """Write a verdict on a pair of `next_pair`; what was written, without the origins."""
        try:
            said = self.desk.judge(token, verdict, reasons)
        except (ValueError, OSError) as error:
            raise gr.Error(str(error)) from error
        return {"id": said.id, "pair": said.pair, "verdict": said.verdict, "time": said.time}


def _ready() -> tuple[Any, Any]:
    """Make on, Cancel off."""
    return gr.update(interactive=True), gr.update(interactive=False)
