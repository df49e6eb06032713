"""The Edit tab: bars of a take or a recording anew, more before or after it, another take of it, loops of it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import gradio as gr

from musetune.analysis.service.worker import WorkerDeath
from musetune.formats.files import SUFFIXES
from musetune.serve import edit_markup, markup
from musetune.serve.choice import choice
from musetune.serve.edit_order import KEPT, KINDS, LOOPS, STRETCHES, EditOrder
from musetune.serve.edit_work import EditResult, EditSource, correct_source, edit, source_of_recording
from musetune.serve.errand import Errand, StoppedError
from musetune.serve.generate_tab import GenerateTab, clip_fields
from musetune.serve.history import TakeHistory
from musetune.serve.pads import ChartHeader, PadBoard
from musetune.serve.studio import ONE_AT_A_TIME, PRIVATE, Studio
from musetune.serve.work import CHORDS, STEPS, WORDS, Take
from musetune.symbols import GENRES

Result = TypeVar("Result")
Update = dict[Any, Any]  # component → what it shows now
TAB = "edit"  # the id of the tab, for gr.Tabs(selected=...)
LABELS = {"repaint": "Bars anew", "extend": "Longer", "vary": "Another take", "cover": "Cover", "loop": "Loops"}
HEARD = "as heard"  # a cover's genre
NO_PIECE = "there is no piece yet: press Edit beside a take, or drop a recording"
NO_SOURCE = markup.hint(
    "Press Edit beside a take in Generate, or drop a recording here: its bars appear, to be clicked."
)
NOTES_HINT = markup.hint(
    "A file of the whole piece as it will be, new bars included, with a track for each player: as Song and musetune "
    "compose write it. Its notes are played where something is new."
)
NO_RESULT = markup.hint("What comes of it plays here, beside what was.")
log = logging.getLogger(__name__)


class EditTab:
    """The Edit tab's components, made inside the tab that is open, and what they do.

    Args:
        studio: what all tabs share.
        generate: the tab whose takes are edited, and which gets the new ones.
        tabs: all tabs, to open this one.
    """

    def __init__(self, studio: Studio, generate: GenerateTab, tabs: gr.Tabs) -> None:
        self.studio, self.generate, self.tabs = studio, generate, tabs
        self.running: WeakValueDictionary[str | None, Errand[Any]] = WeakValueDictionary()  # by gradio's session
        self.source, self.result = gr.State(None), gr.State(None)  # EditSource, and the Take that came of it
        self.header = gr.State(None)  # the piece's ChartHeader, for the pads
        with gr.Row(elem_classes="mt-columns"):
            with gr.Column(min_width=320):
                self.recording = gr.File(
                    label="A recording", file_types=["audio"], type="filepath", elem_id="edit-file", height=130
                )
                self.piece = gr.HTML(NO_SOURCE, elem_id="edit-piece")
                with gr.Accordion("Heard wrong? Give its lead sheet", open=False, elem_id="edit-sheet-part"):
                    self.sheet = gr.File(
                        label="Lead sheet",
                        file_types=list(SUFFIXES),
                        type="filepath",
                        elem_id="edit-sheet",
                        height=130,
                    )
                self._order_fields()
            with gr.Column(min_width=320):
                with gr.Row(elem_id="edit-work"):
                    self.start = gr.Button(
                        "Make it", variant="primary", interactive=False, elem_id="edit-start", min_width=120, scale=0
                    )
                    self.cancel = gr.Button("Cancel", visible=False, elem_id="edit-cancel", min_width=90, scale=0)
                    self.status = gr.HTML("", elem_id="edit-status", min_width=160)
                self.view = gr.HTML(NO_RESULT, elem_id="edit-result")
                self.go_on = gr.Button("Go on from this", visible=False, elem_id="edit-on")
        self._wire()

    def _order_fields(self) -> None:
        self.kind = gr.Radio(
            [(label, kind) for kind, label in LABELS.items()], value=KINDS[0], label="What to do", elem_id="edit-kind"
        )
        self.stretches = gr.Textbox(
            "",
            label="Stretch",
            info="click bars above, or write bars such as 3-4, 7, or seconds such as 1.5-4 s",
            elem_id="edit-stretch",
            max_length=STRETCHES,
        )
        with gr.Row(visible=False, elem_classes="mt-fields") as self.more_fields:
            self.before = gr.Number(0, label="Bars before", precision=0, elem_id="edit-before", min_width=100)
            self.after = gr.Number(4, label="Bars after", precision=0, elem_id="edit-after", min_width=100)
        self.amount = gr.Slider(
            0, 1, value=0.4, step=0.05, label="How far", info="0 nearly as it was, 1 a new take",
            visible=False, elem_id="edit-amount",
        )  # fmt: skip
        with gr.Row(visible=False, elem_classes="mt-fields") as self.cover_fields:
            self.genre = choice("Genre", [HEARD, *GENRES], HEARD, "edit-genre")
            self.keep = gr.CheckboxGroup(list(KEPT), value=list(KEPT), label="Keep", elem_id="edit-keep", min_width=240)
        self.loops = gr.Slider(*LOOPS, value=1, step=1, label="How many", visible=False, elem_id="edit-loops")
        with gr.Column(elem_id="edit-chords-part") as self.chords_part:
            self.chords = gr.Textbox(
                "",
                label="Chords there",
                info="empty: the chords that the piece has; others share the stretch evenly",
                elem_id="edit-chords",
                lines=1,
                max_lines=4,
                max_length=CHORDS,
            )
            self.board = PadBoard(self.chords, [self.header], _chart_header, None, most=CHORDS)
            with gr.Accordion("Notes there, from a MIDI file", open=False, elem_id="edit-notes-part"):
                gr.HTML(NOTES_HINT)
                self.notes = gr.File(
                    label="Notes",
                    file_types=[".mid", ".midi", ".json"],
                    type="filepath",
                    height=130,
                    elem_id="edit-notes",
                )
        self.prompt = gr.Textbox("", label="Words for what is new", elem_id="edit-prompt", max_length=WORDS)
        with gr.Accordion("Sound like a clip", open=False, elem_id="edit-clip"):
            self.style, self.style_share = clip_fields("edit-clip")
        with gr.Accordion("Seed and steps", open=False, elem_id="edit-more"), gr.Row():
            self.seed = gr.Number(0, label="Seed", precision=0, elem_id="edit-seed", min_width=110)
            self.dice = gr.Button("Another seed", size="sm", elem_id="edit-dice")
            self.steps = gr.Number(20, label="Steps", info="{}–{}".format(*STEPS), elem_id="edit-steps", min_width=110)

    def _wire(self) -> None:
        work: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", **ONE_AT_A_TIME}
        shown = [self.source, self.header, self.piece, self.start, self.stretches, self.prompt, self.seed, self.steps]
        parts = [self.stretches, self.more_fields, self.amount, self.cover_fields, self.loops, self.chords_part]
        self.kind.change(self.show_fields, self.kind, parts, show_progress="hidden", **PRIVATE)
        self.dice.click(lambda: secrets.randbelow(2**31), None, self.seed, show_progress="hidden", **PRIVATE)
        self.generate.takes.click(
            self.take_over, self.generate.history, [*shown, self.tabs], show_progress="hidden", **PRIVATE
        )
        self.recording.upload(self.analyse, self.recording, [*shown, self.status, self.cancel], **work)
        self.sheet.upload(self.correct, [self.sheet, self.source], [*shown, self.status, self.cancel], **work)
        outcome = [self.status, self.cancel, self.start, self.view, self.result, self.go_on]
        outcome += [self.generate.history, self.generate.take, self.generate.takes]
        self.start.click(
            self.make,
            [self.source, self.generate.history, self.kind, self.stretches, self.chords, self.prompt, self.before,
             self.after, self.amount, self.loops, self.seed, self.steps, self.genre, self.keep, self.style,
             self.style_share, self.notes],
            outcome,
            **work,
        )  # fmt: skip
        self.go_on.click(self.continue_from, [self.source, self.result], shown, show_progress="hidden", **PRIVATE)
        self.cancel.click(self.stop, None, None, show_progress="hidden", **PRIVATE)

    # -- what the fields do; each can be called without a browser

    def show_fields(self, kind: str) -> tuple[Any, ...]:
        """Which fields count for what is to be done."""
        return (
            gr.update(visible=kind in ("repaint", "loop")),
            gr.update(visible=kind == "extend"),
            gr.update(visible=kind == "vary"),
            gr.update(visible=kind == "cover"),
            gr.update(visible=kind == "loop"),
            gr.update(visible=kind in ("repaint", "extend")),
        )

    def take_over(self, history: TakeHistory, event: gr.EventData) -> tuple[Any, ...]:
        """What a click on Edit in the list of takes brings here, and this tab; nothing for another click."""
        data = event._data if isinstance(event._data, dict) else {}
        number = data.get("number")
        one = history.get(number) if data.get("action") == "edit" and isinstance(number, int) else None
        if one is None:
            return tuple(gr.skip() for _ in range(9))
        return *self._shown(EditSource.of_take(one.name, one.take)).values(), gr.update(selected=TAB)

    def continue_from(self, source: EditSource | None, take: Take | None) -> tuple[Any, ...]:
        """What came of an edit as what is edited next."""
        if source is None or take is None:
            return tuple(gr.skip() for _ in range(8))
        name = source.name if source.name.endswith(", edited") else f"{source.name}, edited"
        return tuple(self._shown(EditSource.of_take(name, take)).values())

    def analyse(self, path: str, request: gr.Request | None = None) -> Iterator[Update]:
        """Hear a recording: how far it is, and at last its bars."""

        def start() -> Callable[[Errand[EditSource]], EditSource]:
            return lambda errand: source_of_recording(path, self.studio.analyser, errand)

        yield from self._work(start, self._shown, request)

    def correct(self, path: str, source: EditSource | None, request: gr.Request | None = None) -> Iterator[Update]:
        """Put a lead sheet in place of the piece's: how far it is, and at last its bars."""

        def start() -> Callable[[Errand[EditSource]], EditSource]:
            if source is None:
                raise ValueError(NO_PIECE)
            return lambda errand: correct_source(source, path, self.studio.analyser, errand)

        yield from self._work(start, self._shown, request)

    def make(
        self,
        source: EditSource | None,
        history: TakeHistory | None,
        kind: str,
        stretches: str,
        chords: str,
        prompt: str,
        before: float,
        after: float,
        amount: float,
        loops: float,
        seed: float,
        steps: float,
        genre: str = HEARD,
        keep: Sequence[str] = KEPT,
        style: str | None = None,
        style_share: float = 1.0,
        notes: str | None = None,
        request: gr.Request | None = None,
    ) -> Iterator[Update]:
        """Edit: how far it is, and at last what came of it, which is a take like any other."""
        extends = kind == "extend"
        order = EditOrder(
            kind,
            stretches=stretches if kind in ("repaint", "loop") else "",
            chords=chords if extends or kind == "repaint" else "",
            prompt=prompt,
            before=before if extends else 0,
            after=after if extends else 0,
            amount=amount,
            loops=loops,
            seed=seed,
            steps=steps,
            genre=None if genre == HEARD else genre,
            keep=tuple(keep or ()),
            style=style,
            style_share=style_share,
            notes=notes if kind in ("repaint", "extend") else None,
        )

        def start() -> Callable[[Errand[EditResult]], EditResult]:
            if source is None:
                raise ValueError(NO_PIECE)
            order.check()
            return lambda errand: edit(self.studio.pipe, source, order, self.studio.folder, errand)

        def show(result: EditResult) -> Update:
            assert source is not None  # start saw to it
            takes = result.takes
            kept = history or TakeHistory()
            for take in takes:
                kept = kept.add(take)
                kept = kept.rename(kept.made, f"{source.name.split(' · ')[0]} · {order.title()}")
            return {
                self.status: markup.note(result.note) if result.note else "",
                self.view: edit_markup.results_html(source, takes, order.title()),
                self.result: takes[0] if len(takes) == 1 else None,
                self.go_on: gr.update(visible=len(takes) == 1),
                self.generate.history: kept,
                self.generate.take: markup.shown_html(kept),
                self.generate.takes: markup.takes_html(kept),
            }

        yield from self._work(start, show, request)

    def stop(self, request: gr.Request | None = None) -> None:
        """Cancel the work of this visitor, which then says so itself."""
        errand = self.running.get(getattr(request, "session_hash", None))
        if errand is not None:
            errand.cancel()

    # -- how it is shown

    def _shown(self, source: EditSource) -> Update:
        """A piece to be edited: its bars, and fields with what it was made of."""
        return {
            self.source: source,
            self.header: ChartHeader(str(source.sheet.key), str(source.sheet.meter), source.sheet.bpm),
            self.piece: edit_markup.source_html(source),
            self.start: gr.update(interactive=True),
            self.stretches: "",
            self.prompt: source.order.prompt,
            self.seed: source.order.seed,
            self.steps: source.order.steps,
        }

    def _work(
        self,
        start: Callable[[], Callable[[Errand[Result]], Result]],
        show: Callable[[Result], Update],
        request: gr.Request | None,
    ) -> Iterator[Update]:
        """How far the work that ``start`` gives is, and at last what ``show`` makes of its result; or what is wrong."""
        off = {self.cancel: gr.update(visible=False)}
        try:
            errand = self.studio.errand(start(), request)
            self.running[getattr(request, "session_hash", None)] = errand
            for result in errand:
                if result is None:
                    waiting = markup.status(errand.progress or "waiting for its turn", errand.share)
                    yield {self.status: waiting, self.cancel: gr.update(visible=True)}
                else:
                    yield {self.status: ""} | off | show(result)
        except StoppedError:
            yield {self.status: markup.status("Cancelled.", 1)} | off
        except (ValueError, OSError, WorkerDeath) as error:
            yield {self.status: markup.wrong(error)} | off
        except Exception:
            log.exception("an edit could not be made")
            yield {self.status: markup.wrong(markup.SURPRISE)} | off


def _chart_header(header: tuple[Any, ...] | None) -> ChartHeader:
    """What the pads take from a piece; the usual where there is none yet."""
    return ChartHeader(*header) if header else ChartHeader()
