"""The page: what to play and how, a player with its chords.

And a song to listen to, whose progression can be played anew.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from starlette.middleware import Middleware

from musetune.analysis.service.worker import AnalysisWorker, WorkerDied
from musetune.formats.files import SUFFIXES
from musetune.serve import markup
from musetune.serve.errand import Errand, StoppedError
from musetune.serve.guard import UPLOAD, Guard
from musetune.serve.work import CHORDS, SECONDS, STEPS, WORDS, Order, genres_of, hand_over, listen, play
from musetune.symbols import BPM_RANGE, GENRES
from musetune.symbols.meter import METERS

if TYPE_CHECKING:
    from musetune.pipeline.pipeline import MuseTunePipeline

HERE = Path(__file__).parent
TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "Gb", "G", "Ab", "A", "Bb", "B")
MINOR_TONICS = ("C", "C#", "D", "D#", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
KEYS = [f"{tonic} major" for tonic in TONICS] + [f"{tonic} minor" for tonic in MINOR_TONICS]
ANY = "any"  # no genre asked for
AUDIO = ["audio", ".wav", ".mp3", ".flac", ".ogg", ".m4a", *SUFFIXES]
FONTS = ["system-ui", "-apple-system", "Segoe UI", "DejaVu Sans", "sans-serif"]
NOTHING_YET = '<div class="mt-hint">What you generate plays here, its chords moving along.</div>'
NO_SONG_YET = '<div class="mt-hint">Upload a song: its chords, key, beats and genre appear here.</div>'
UPLOADS_KEPT_S = 3600  # a song that was uploaded stays for so long, and less where many are
CHORDS_INFO = (
    "Roman (ii7 V7), pop (Am7 C/E) or Harte (A:min7). Bars with |; in a bar '.' holds a chord, '%' repeats the bar."
)


class Page:
    """The page's parts over one pipeline; takes are written to ``folder``. ``blocks`` is what gradio serves."""

    def __init__(self, pipe: MuseTunePipeline, folder: Path) -> None:
        self.pipe, self.folder, self.genres = pipe, folder, genres_of(pipe)
        self.turn, self.analyser = threading.Lock(), AnalysisWorker()
        cleaning = (UPLOADS_KEPT_S // 6, UPLOADS_KEPT_S)  # how often, and how old what goes is; seconds
        with gr.Blocks(title="MuseTune", analytics_enabled=False, delete_cache=cleaning) as self.blocks:
            gr.HTML('<div class="mt-title"><h1>MuseTune</h1><p>Music that plays your chords.</p></div>')
            with gr.Tabs() as self.tabs:
                with gr.Tab("Play", id="play"), gr.Row():
                    with gr.Column(scale=5, min_width=300):
                        self._order_fields()
                    with gr.Column(scale=6, min_width=300):
                        self.take = gr.HTML(NOTHING_YET, elem_id="take")
                with gr.Tab("Listen", id="listen"):
                    self._song_fields()
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
            self.meter = gr.Dropdown(list(METERS), value="4/4", label="Meter", elem_id="meter", min_width=110)
            self.genre = gr.Dropdown([ANY, *GENRES], value=ANY, label="Genre", elem_id="genre", min_width=140)
        self.bpm = gr.Slider(*BPM_RANGE, value=120, step=1, label="Tempo, beats a minute", elem_id="bpm")
        self.prompt = gr.Textbox(
            "bright pop song with piano and drums",
            label="Prompt",
            info="genre, instruments, mood",
            elem_id="prompt",
            max_length=WORDS,
        )
        with gr.Group(visible=bool(self.genres), elem_id="mix"):
            gr.Markdown("Genre adapters, mixed", container=True)
            self.mix = [gr.Slider(0, 1, value=0, step=0.05, label=name) for name in self.genres]
        self.seconds = gr.Slider(*SECONDS, value=10.24, step=0.01, label="Length, seconds", elem_id="seconds")
        with gr.Accordion("Seed and steps", open=False):
            self.seed = gr.Number(0, label="Seed", info="same seed, same audio", precision=0, minimum=0, elem_id="seed")
            self.dice = gr.Button("Another seed", size="sm")
            self.steps = gr.Slider(
                *STEPS, value=20, step=1, label="Steps", info="more is finer and slower", elem_id="steps"
            )
        self.start = gr.Button("Generate", variant="primary", size="lg", elem_id="generate")

    def _song_fields(self) -> None:
        self.song_sheet = gr.State(None)
        with gr.Row():
            with gr.Column(scale=4, min_width=300):
                self.song = gr.File(
                    label="Song: audio, MIDI, MusicXML or JAMS",
                    file_types=AUDIO,
                    type="filepath",
                    elem_id="song",
                    height=150,
                )
                self.hand = gr.Button("Play this progression in another genre →", interactive=False, elem_id="hand")
            with gr.Column(scale=7, min_width=300):
                self.findings = gr.HTML(NO_SONG_YET, elem_id="findings")

    def _wire(self) -> None:
        fields = [self.chords, self.key, self.bpm, self.meter, self.seconds]
        live: dict[str, Any] = {"queue": False, "show_progress": "hidden", "trigger_mode": "always_last"}
        gr.on([part.change for part in fields], self.check, fields, self.reading, api_name="check", **live)
        private: dict[str, Any] = {"queue": False, "api_visibility": "private"}
        self.dice.click(lambda: secrets.randbelow(2**31), None, self.seed, show_progress="hidden", **private)
        order = [*fields, self.genre, self.prompt, self.seed, self.steps, *self.mix]
        one_at_a_time: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "work"}
        self.start.click(
            self.generate,
            order,
            [self.take, self.reading],
            api_name="generate",
            show_progress_on=self.take,
            **one_at_a_time,
        )
        findings = [self.findings, self.song_sheet, self.hand]
        self.song.upload(
            self.analyse, self.song, findings, api_name="analyse", show_progress_on=self.findings, **one_at_a_time
        )
        taken_over = [self.chords, self.key, self.bpm, self.meter, self.genre, self.seconds, self.tabs]
        self.hand.click(self.take_over, self.song_sheet, taken_over, **private)

    # -- what the fields do; each can be called without a browser
    # --------------------------------------------------------

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
        weights = dict(zip(self.genres, mix, strict=True))
        order = Order(chords, key, bpm, meter, genre_or_none, prompt, seconds, seed, steps, weights)
        errand = Errand(lambda errand: play(self.pipe, order, self.folder, errand), self.turn)
        try:
            order.check()
            for take in errand:
                if take is None:
                    yield markup.waiting(errand.progress), gr.skip()
                else:
                    yield markup.take_html(take), self.check(chords, key, bpm, meter, seconds)
        except (ValueError, StoppedError) as error:
            yield NOTHING_YET, markup.wrong(error)

    def analyse(self, path: str) -> Iterator[tuple[Any, Any, Any]]:
        """Analyse a song: how far it is, and at last what was recognised as HTML, its lead sheet as JSON for
        `take_over`, and the button that does that, pressable or not.
        """
        errand = Errand(lambda errand: listen(path, self.analyser, errand), self.turn)
        try:
            for answer in errand:
                if answer is None:
                    yield markup.waiting(errand.progress), None, gr.update(interactive=False)
                else:
                    record, sheet = answer
                    html = markup.song_html(Path(path), record, sheet)
                    yield html, sheet.to_json(), gr.update(interactive=True)
        except (ValueError, OSError, WorkerDied, StoppedError) as error:
            yield markup.wrong(error), None, gr.update(interactive=False)

    def take_over(self, sheet: dict[str, Any]) -> tuple[Any, ...]:
        """The lead sheet of a song in the fields of the first tab.

        Chords, key, tempo, meter, genre, length; and that tab.
        """
        from musetune.symbols import LeadSheet

        order = hand_over(LeadSheet.from_json(sheet))
        key = gr.update(value=order.key, choices=sorted({*KEYS, order.key}, key=([*KEYS, order.key]).index))
        meter = gr.update(value=order.meter, choices=sorted({*METERS, order.meter}, key=([*METERS, order.meter]).index))
        return order.chords, key, order.bpm, meter, order.genre or ANY, order.seconds, gr.update(selected="play")


def launch(
    page: Page, host: str, port: int, *, open_browser: bool, wait: bool = True, allow_hosts: Iterable[str] = ()
) -> str:
    """Serve a page until interrupted, one piece of work at a time, asking nothing of any other server.

    Args:
        page: the page.
        host: address to serve on.
        port: port to serve on.
        open_browser: whether to open it in the browser.
        wait: whether to return when it has ended; else at once.
        allow_hosts: further names by which the page may be opened, such as a proxy's.

    Returns:
        The address.
    """
    uploads = page.folder.with_name(f"{page.folder.name}-uploads")
    uploads.mkdir(exist_ok=True)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)  # where gradio writes uploads
    page.blocks.queue(max_size=16)
    _, address, _ = page.blocks.launch(
        server_name=host,
        server_port=port,
        inbrowser=open_browser,
        prevent_thread_lock=not wait,
        quiet=True,
        share=False,
        show_error=True,
        allowed_paths=[str(page.folder)],
        max_file_size=UPLOAD,
        app_kwargs={"middleware": [Middleware(Guard, names=[host, *allow_hosts], uploads=uploads)]},
        ssr_mode=False,
        footer_links=[],
        run_history=False,
        css_paths=[HERE / "page.css"],
        head=f"<script>{(HERE / 'page.js').read_text()}</script>",
        theme=_theme(),
    )
    return address


def _theme() -> gr.Theme:
    """Quiet, with the fonts of the reader's machine: none is fetched."""
    theme = gr.themes.Soft(primary_hue="blue", neutral_hue="slate", font=FONTS, font_mono=["ui-monospace", "monospace"])
    plain = {f"block_{part}_background_fill{dark}": "none" for part in ("title", "label") for dark in ("", "_dark")}
    colours = {
        f"block_{part}_text_color{dark}": "*body_text_color" for part in ("title", "label") for dark in ("", "_dark")
    }
    return theme.set(**plain, **colours, block_title_padding="0", body_background_fill="*neutral_50")
