"""The Song tab: a sentence becomes a plan that one edits, notes of players, and audio that one mixes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import gradio as gr

from musetune.planning.planner.song_styles import all_styles
from musetune.serve import markup, song_markup, song_work
from musetune.serve.choice import choice
from musetune.serve.errand import Errand, StoppedError
from musetune.serve.generate_tab import KEYS
from musetune.serve.pads import ChartHeader, PadBoard
from musetune.serve.song_mix import TEXT
from musetune.serve.song_work import AUDIO_S, CHART, FORM, PlanHeader, Song, SongOrder
from musetune.serve.studio import ONE_AT_A_TIME, PRIVATE, Studio, while_typing
from musetune.serve.work import NAME, STEPS, WORDS
from musetune.symbols import GENRES, LeadSheet
from musetune.symbols.arrangement import STEMS
from musetune.symbols.meter import METERS

Result = TypeVar("Result")
Update = dict[Any, Any]  # component → what it shows now
STYLES = sorted((style.style for style in all_styles()), key=str.lower)
FREE = "any"  # a pin that is left to the planner
NO_PLAN = (
    '<div class="mt-hint mt-next">Say what song and press 1; its chart appears above, to edit, and here, to read.</div>'
)
NO_NOTES = '<div class="mt-hint mt-next">2 writes notes for drums, bass, guitar, keys and lead.</div>'
NO_AUDIO = '<div class="mt-hint mt-next">3 lets you hear them, each player alone or together.</div>'
FADERS = "(song, _) => [song, JSON.stringify(window.mtFaders())]"  # song.js tells where they stand
EARLIER = "The notes below belong to the chart before your edit: press 2 to write them anew."


class SongTab:
    """The Song tab's components, made inside the tab that is open, and what they do.

    Args:
        studio: what all tabs share.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.running: WeakValueDictionary[str | None, Errand[Any]] = WeakValueDictionary()  # by gradio's session
        self.header = gr.State(None)  # the plan's PlanHeader
        self.song = gr.State(None)  # the Song
        with gr.Row():
            with gr.Column(scale=5, min_width=300):
                self._order_fields()
                self._plan_field()
            with gr.Column(scale=7, min_width=300):
                self._results()
        self._wire()

    def _order_fields(self) -> None:
        self.prompt = gr.Textbox(
            "slow sad waltz",
            label="What song",
            info="genre, mood, tempo, key, length, in your words",
            elem_id="song-prompt",
            max_length=WORDS,
        )
        with gr.Accordion("Pin what must be so", open=False, elem_id="song-pins"):
            with gr.Row(elem_classes="mt-fields"):
                self.key = choice("Key", [FREE, *KEYS], FREE, "song-key")
                self.meter = choice("Meter", [FREE, *METERS], FREE, "song-meter")
                self.genre = choice("Genre", [FREE, *GENRES], FREE, "song-genre")
            self.style = choice("Style", [FREE, *STYLES], FREE, "song-style")
            self.styles = gr.File(
                label="Own styles (YAML)",
                file_types=[".yaml", ".yml"],
                type="filepath",
                height=130,
                elem_id="song-styles",
            )
            gr.HTML(
                '<div class="mt-hint">A style says what your words leave open: meter, tempo, form, chords, how each '
                "player plays. To name it in your words does the same. docs/reference/styles.md tells what each says "
                "and how to write a file of your own.</div>"
            )
            with gr.Row(elem_classes="mt-fields"):
                self.bpm = gr.Textbox(
                    "", label="Tempo, bpm", placeholder=FREE, max_length=NAME, elem_id="song-bpm", min_width=90
                )
                self.bars = gr.Textbox(
                    "", label="Bars", placeholder=FREE, max_length=NAME, elem_id="song-bars", min_width=90
                )
                self.form = gr.Textbox(
                    "", label="Form", placeholder="AABA, or verse:8 chorus:8", max_length=FORM, elem_id="song-form",
                    min_width=180,
                )  # fmt: skip
            self.apply_button = gr.Button(
                "Apply the pins to the plan below", size="sm", interactive=False, elem_id="song-apply"
            )
        with gr.Accordion("Seed and steps", open=False):
            self.seed = gr.Number(0, label="Seed", info="same seed, same song", precision=0, elem_id="song-seed")
            self.dice = gr.Button("Another seed", size="sm")
            self.steps = gr.Slider(
                *STEPS, value=20, step=1, label="Steps of the audio", info="more is finer and slower",
                elem_id="song-steps",
            )  # fmt: skip
        self.plan_button = gr.Button("1 Write a plan", variant="primary", elem_id="song-plan")

    def _plan_field(self) -> None:
        self.chart = gr.Textbox(
            "",
            label="Plan, to edit",
            info="[A] begins a section, '.' holds a chord in its bar, '%' repeats the bar, N.C. is silence.",
            lines=4,
            max_lines=16,
            max_length=CHART,
            elem_id="song-chart",
        )
        self.board = PadBoard(self.chart, [self.header], _chart_header, _with_chart_header, most=CHART)
        self.reading = gr.HTML(NO_PLAN, elem_id="song-reading")

    def _results(self) -> None:
        with gr.Row(elem_id="song-work"):
            self.status = gr.HTML("", elem_id="song-status", min_width=200)
            self.cancel = gr.Button(
                "Cancel", variant="stop", visible=False, elem_id="song-cancel", scale=0, min_width=110
            )
        self.notes_button = gr.Button("2 Write the notes", variant="primary", interactive=False, elem_id="song-notes")
        self.cast = gr.HTML(NO_NOTES, elem_id="song-cast")
        self.anew_buttons = {
            player: gr.Button(f"New {player}", elem_id=f"anew-{player}", elem_classes="mt-hidden") for player in STEMS
        }
        self.resound_buttons = {
            player: gr.Button(f"Another sound for {player}", elem_id=f"resound-{player}", elem_classes="mt-hidden")
            for player in STEMS
        }
        self.words = gr.Textbox(
            "",
            label="Words for “Sound”",
            info="how a player's next sound shall be, such as solo tenor sax; empty: as its instrument sounds",
            max_length=WORDS,
            visible=False,
            elem_id="song-words",
        )
        self.first_bar = gr.Number(
            1,
            label="From bar",
            info=f"the page makes {AUDIO_S:g} s of audio at once",
            precision=0,
            visible=False,
            elem_id="song-from",
        )
        self.audio_button = gr.Button("3 Make the audio", variant="primary", interactive=False, elem_id="song-audio")
        self.audio = gr.HTML(NO_AUDIO, elem_id="song-sound")
        self.faders = gr.Textbox("{}", elem_id="song-faders", elem_classes="mt-hidden", max_length=TEXT)
        self.mix_button = gr.Button("Write the mix", size="sm", visible=False, elem_id="song-mix")

    def _wire(self) -> None:
        order = [self.prompt, self.key, self.bpm, self.meter, self.genre, self.form, self.bars, self.seed]
        order += [self.style, self.styles]
        bar = [self.status, self.cancel]
        planned = [*bar, self.chart, self.header, self.reading, self.notes_button, self.apply_button]
        after_notes = [*bar, self.song, self.cast, self.first_bar, self.audio_button, self.audio, self.reading]
        after_notes.append(self.words)
        after_audio = [*bar, self.song, self.audio, self.mix_button, self.words]
        self.dice.click(lambda: secrets.randbelow(2**31), None, self.seed, show_progress="hidden", **PRIVATE)
        while_typing(
            [self.chart.change, self.header.change],
            self.check,
            [self.chart, self.header, self.song],
            [self.reading, self.notes_button, self.apply_button],
            api_visibility="private",
        )
        work: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", **ONE_AT_A_TIME}
        gr.on([self.plan_button.click, self.prompt.submit], self.plan, order, planned, **work)
        self.apply_button.click(self.apply, [self.chart, self.header, *order], planned, **work)
        self.notes_button.click(
            self.notes, [self.chart, self.header, self.prompt, self.seed, self.styles], after_notes, **work
        )
        self.audio_button.click(self.sound, [self.song, self.first_bar, self.steps, self.seed], after_audio, **work)
        self.mix_button.click(self.mix, [self.song, self.faders], [*bar, self.song, self.audio], js=FADERS, **work)
        for player, button in self.anew_buttons.items():
            button.click(self._rewriter(player), self.song, after_notes, **work)
        for player, button in self.resound_buttons.items():
            button.click(self._resounder(player), [self.song, self.words], after_audio, **work)
        self.cancel.click(self.stop, None, None, show_progress="hidden", **PRIVATE)

    # -- what the fields do; each can be called without a browser

    def check(self, chart: str, header: PlanHeader | None, song: Song | None) -> tuple[Any, Any, Any]:
        """How a chart is understood, or what is wrong with it, as HTML; and whether notes can be written for it."""
        if not (isinstance(chart, str) and chart.strip()):
            return NO_PLAN, gr.update(interactive=False), gr.update(interactive=False)
        try:
            sheet = song_work.read_plan(chart, header or PlanHeader())
        except ValueError as error:
            return markup.wrong(error), gr.update(interactive=False), gr.update(interactive=False)
        stale = song is not None and song.sheet != sheet
        return (
            song_markup.plan_html(sheet, EARLIER if stale else ""),
            gr.update(interactive=True),
            gr.update(interactive=True),
        )

    def plan(self, request: gr.Request | None, *order: Any) -> Iterator[Update]:
        """Write a plan: how far it is, and at last its chart."""

        def start() -> Callable[[Errand[LeadSheet]], LeadSheet]:
            wanted = self._order(*order)
            wanted.check()
            return lambda errand: song_work.write_plan(wanted, errand)

        yield from self._work(start, self._planned, request)

    def apply(self, request: gr.Request | None, chart: str, header: PlanHeader | None, *order: Any) -> Iterator[Update]:
        """Apply the pins to the plan: how far it is, and at last its chart."""

        def start() -> Callable[[Errand[LeadSheet]], LeadSheet]:
            wanted, sheet = self._order(*order), song_work.read_plan(chart, header or PlanHeader())
            wanted.check()
            return lambda errand: song_work.apply_pins(sheet, wanted, errand)

        yield from self._work(start, self._planned, request)

    def notes(
        self,
        chart: str,
        header: PlanHeader | None,
        title: str,
        seed: int,
        styles: str | None = None,
        request: gr.Request | None = None,
    ) -> Iterator[Update]:
        """Write the players' notes for the chart, after own styles too: how far it is, and at last their rolls."""

        def start() -> Callable[[Errand[Song]], Song]:
            sheet = song_work.read_plan(chart, header or PlanHeader())
            return lambda errand: song_work.write_notes(sheet, title, seed, self.studio.folder, errand, styles or None)

        yield from self._work(start, lambda song: self._written(song, NO_AUDIO), request)

    def anew(self, player: str, song: Song | None, request: gr.Request | None = None) -> Iterator[Update]:
        """Write one player anew: how far it is, and at last all rolls."""

        def start() -> Callable[[Errand[Song]], Song]:
            if song is None:
                raise ValueError("there are no notes yet: press 2 first")
            return lambda errand: song_work.rewrite_player(song, player, self.studio.folder, errand)

        hint = f'<div class="mt-hint mt-next">New notes for {player}: 3 generates that player alone, and mixes.</div>'
        yield from self._work(start, lambda new: self._written(new, NO_AUDIO if new.audio is None else hint), request)

    def sound(
        self, song: Song | None, first_bar: int, steps: int, seed: int, request: gr.Request | None = None
    ) -> Iterator[Update]:
        """Generate the audio: how far it is, and at last a player with its files."""

        def start() -> Callable[[Errand[Song]], Song]:
            if song is None:
                raise ValueError("there are no notes yet: press 2 first")
            song_work.stretch(song.sheet, first_bar)
            options = {"first_bar": first_bar, "steps": steps, "seed": seed}
            return lambda errand: song_work.render(self.studio.pipe, song, self.studio.folder, errand=errand, **options)

        yield from self._work(start, self._sounding, request)

    def resound(
        self, player: str, song: Song | None, words: str, request: gr.Request | None = None
    ) -> Iterator[Update]:
        """Generate one player alone with another sound of the same notes: at last a player with the audio's files.

        Bars, steps and seed stay those of the audio, so no other player is generated.
        """

        def start() -> Callable[[Errand[Song]], Song]:
            if song is None:
                raise ValueError("there are no notes yet: press 2 first")
            other = song_work.resound_player(song, player, words)
            assert other.audio is not None  # resound_player saw to it
            first_bar, steps, seed = other.audio.settings
            options = {"first_bar": first_bar, "steps": steps, "seed": seed}
            return lambda errand: song_work.render(
                self.studio.pipe, other, self.studio.folder, errand=errand, **options
            )

        yield from self._work(start, self._sounding, request)

    def mix(self, song: Song | None, faders: str, request: gr.Request | None = None) -> Iterator[Update]:
        """Write the mix with the faders as they stand: at last a player with its files."""

        def start() -> Callable[[Errand[Song]], Song]:
            if song is None:
                raise ValueError("there are no notes yet: press 2 first")
            return lambda errand: song_work.mix_anew(song, faders)

        def show(new: Song) -> Update:
            assert new.audio is not None  # mix_anew gives it
            return {self.song: new, self.audio: song_markup.audio_html(new.audio, new.sheet)}

        yield from self._work(start, show, request)

    def stop(self, request: gr.Request | None = None) -> None:
        """Cancel the work of this visitor, which then says so itself."""
        errand = self.running.get(getattr(request, "session_hash", None))
        if errand is not None:
            errand.cancel()

    # -- how it is shown

    @staticmethod
    def _order(
        prompt: str,
        key: str,
        bpm: str,
        meter: str,
        genre: str,
        form: str,
        bars: str,
        seed: int,
        style: str = FREE,
        styles: str | None = None,
    ) -> SongOrder:
        form = form.strip() if isinstance(form, str) else form
        tempo, length = _number("Tempo", bpm), _number("Bars", bars)
        return SongOrder(
            prompt, _pin(key), tempo, _pin(meter), _pin(genre), _pin(form), length, seed, _pin(style), styles or None
        )

    def _rewriter(self, player: str) -> Callable[..., Iterator[Update]]:
        """`anew` of one player, a generator function as gradio wants one."""

        def rewrite(song: Song | None, request: gr.Request | None = None) -> Iterator[Update]:
            yield from self.anew(player, song, request)

        rewrite.__name__ = "anew"
        return rewrite

    def _resounder(self, player: str) -> Callable[..., Iterator[Update]]:
        """`resound` of one player, a generator function as gradio wants one."""

        def resound(song: Song | None, words: str, request: gr.Request | None = None) -> Iterator[Update]:
            yield from self.resound(player, song, words, request)

        return resound

    def _sounding(self, song: Song) -> Update:
        assert song.audio is not None  # render gives it
        shown = song_markup.audio_html(song.audio, song.sheet)
        seen = gr.update(visible=True)
        return {self.song: song, self.audio: shown, self.mix_button: seen, self.words: seen}

    def _work(
        self,
        start: Callable[[], Callable[[Errand[Result]], Result]],
        show: Callable[[Result], Update],
        request: gr.Request | None,
    ) -> Iterator[Update]:
        """How far the work that ``start`` gives is, and at last what ``show`` makes of its result; or what is wrong."""
        try:
            errand = self.studio.errand(start(), request)
            self.running[getattr(request, "session_hash", None)] = errand
            for result in errand:
                if result is None:
                    waiting = markup.status(errand.progress or "waiting for its turn", errand.share)
                    yield {self.status: waiting, self.cancel: gr.update(visible=True)}
                else:
                    yield dict(zip((self.status, self.cancel), self._at_rest())) | show(result)
        except StoppedError:
            yield {self.status: markup.status("Cancelled.", 1), self.cancel: gr.update(visible=False)}
        except ValueError as error:
            yield {self.status: markup.wrong(error), self.cancel: gr.update(visible=False)}

    @staticmethod
    def _at_rest() -> tuple[Any, Any]:
        """The status and Cancel while nothing is done."""
        return "", gr.update(visible=False)

    def _planned(self, sheet: LeadSheet) -> Update:
        return {
            self.chart: song_work.plan_text(sheet),
            self.header: PlanHeader.of(sheet),
            self.reading: song_markup.plan_html(sheet),
            self.notes_button: gr.update(interactive=True),
            self.apply_button: gr.update(interactive=True),
        }

    def _written(self, song: Song, audio: str) -> Update:
        return {
            self.song: song,
            self.cast: song_markup.cast_html(song),
            self.first_bar: gr.update(visible=song.sheet.duration_s > AUDIO_S),
            self.audio_button: gr.update(interactive=True),
            self.audio: audio,
            self.words: gr.update(visible=song.audio is not None),
            self.reading: song_markup.plan_html(song.sheet),
        }


def _chart_header(header: PlanHeader | None) -> ChartHeader:
    """What the pads take from a plan's header; the usual where there is no plan yet."""
    header = header or PlanHeader()
    return ChartHeader(header.key, header.meter, header.bpm)


def _with_chart_header(header: PlanHeader | None, chart: ChartHeader) -> tuple[PlanHeader]:
    """A plan's header with the key and the tempo of the pads."""
    return (replace(header or PlanHeader(), key=chart.key, bpm=chart.bpm or PlanHeader().bpm),)


def _pin(value: str | None) -> str | None:
    """What is pinned; None where the planner chooses."""
    return None if value in (FREE, "", None) else value


def _number(name: str, text: str | None) -> float | None:
    """A number as it is typed; None where the field is empty. Raises ValueError that names the field."""
    text = str(text or "").strip().replace(",", ".")
    if text in (FREE, ""):
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name}: {text[:NAME]!r} is no number; leave it empty for any") from None
