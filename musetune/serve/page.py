"""The page: what to play and how, a player with its chords; and a song to listen to, whose progression can be played anew."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from musetune.formats.files import SUFFIXES
from musetune.serve import markup
from musetune.serve.work import SECONDS, Order, genres_of, hand_over, listen, play
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
CHORDS_INFO = (
    "Roman (ii7 V7), pop (Am7 C/E) or Harte (A:min7). Bars with |; in a bar '.' holds a chord, '%' repeats the bar."
)


class Page:
    """The page's parts over one pipeline; takes are written to ``folder``. ``blocks`` is what gradio serves."""

    def __init__(self, pipe: MuseTunePipeline, folder: Path) -> None:
        self.pipe, self.folder, self.genres = pipe, folder, genres_of(pipe)
        with gr.Blocks(title="MuseTune", analytics_enabled=False) as self.blocks:
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
        self.chords = gr.Textbox("I V vi IV", label="Chords", info=CHORDS_INFO, elem_id="chords", lines=2, max_lines=8)
        self.told = gr.HTML(self.check("I V vi IV", "C major", 120, "4/4", 10.24), elem_id="told")
        with gr.Row():
            self.key = gr.Dropdown(KEYS, value="C major", label="Key", elem_id="key", min_width=150)
            self.meter = gr.Dropdown(list(METERS), value="4/4", label="Metre", elem_id="meter", min_width=110)
            self.genre = gr.Dropdown([ANY, *GENRES], value=ANY, label="Genre", elem_id="genre", min_width=140)
        self.bpm = gr.Slider(*BPM_RANGE, value=120, step=1, label="Tempo, beats a minute", elem_id="bpm")
        self.prompt = gr.Textbox(
            "bright pop song with piano and drums", label="Prompt", info="genre, instruments, mood", elem_id="prompt"
        )
        with gr.Group(visible=bool(self.genres), elem_id="mix"):
            gr.Markdown("Genre adapters, mixed", container=True)
            self.mix = [gr.Slider(0, 1, value=0, step=0.05, label=name) for name in self.genres]
        self.seconds = gr.Slider(*SECONDS, value=10.24, step=0.01, label="Length, seconds", elem_id="seconds")
        with gr.Accordion("Seed and steps", open=False):
            self.seed = gr.Number(0, label="Seed", info="same seed, same audio", precision=0, minimum=0, elem_id="seed")
            self.dice = gr.Button("Another seed", size="sm")
            self.steps = gr.Slider(
                1, 50, value=20, step=1, label="Steps", info="more is finer and slower", elem_id="steps"
            )
        self.start = gr.Button("Generate", variant="primary", size="lg", elem_id="generate")

    def _song_fields(self) -> None:
        self.heard = gr.State(None)
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
        asked = [self.chords, self.key, self.bpm, self.meter, self.seconds]
        live: dict[str, Any] = {"queue": False, "show_progress": "hidden", "trigger_mode": "always_last"}
        gr.on([part.change for part in asked], self.check, asked, self.told, api_name="check", **live)
        self.dice.click(
            lambda: secrets.randbelow(2**31),
            None,
            self.seed,
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
        order = [*asked, self.genre, self.prompt, self.seed, self.steps, *self.mix]
        one_at_a_time: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "work", "show_progress_on": None}
        self.start.click(
            self.generate,
            order,
            [self.take, self.told],
            api_name="generate",
            **(one_at_a_time | {"show_progress_on": self.take}),
        )
        self.song.upload(
            self.analyse, self.song, [self.findings, self.heard, self.hand], api_name="analyse",
            **(one_at_a_time | {"show_progress_on": self.findings}),
        )  # fmt: skip
        fields = [self.chords, self.key, self.bpm, self.meter, self.genre, self.seconds, self.tabs]
        self.hand.click(self.take_over, self.heard, fields, queue=False, api_visibility="private")

    # -- what the fields do; each can be called without a browser ----------------------------------------------------------

    def check(self, chords: str, key: str, bpm: float, meter: str, seconds: float) -> str:
        """How a progression is understood, or what is wrong with it, as HTML to stand under its field."""
        order = Order(chords, key, bpm, meter, seconds=seconds)
        try:
            order.sheet()
            return markup.right(order.loop(), seconds)
        except ValueError as error:
            return markup.wrong(error)

    def generate(
        self, chords: str, key: str, bpm: float, meter: str, seconds: float, genre: str, prompt: str, seed: int, steps: int,
        progress: gr.Progress = gr.Progress(track_tqdm=True), *mix: float,  # noqa: B008  # gradio finds it here and shows the denoising
    ) -> tuple[str, str]:  # fmt: skip
        """The take and what is under the chord field, as HTML; ``mix``: a weight for each of ``genres``."""
        asked = None if genre == ANY else genre
        order = Order(
            chords,
            key,
            bpm,
            meter,
            asked,
            prompt,
            seconds,
            int(seed),
            int(steps),
            dict(zip(self.genres, mix, strict=True)),
        )
        try:
            made = play(self.pipe, order, self.folder)
        except ValueError as error:
            return NOTHING_YET, markup.wrong(error)
        return markup.take_html(made), self.check(chords, key, bpm, meter, seconds)

    def analyse(self, path: str) -> tuple[str, dict[str, Any] | None, Any]:
        """What was heard in a song as HTML, its lead sheet as JSON for `take_over`, and whether that can be done."""
        try:
            record, sheet = listen(path)
        except (ValueError, OSError) as error:
            return markup.wrong(error), None, gr.update(interactive=False)
        return markup.song_html(Path(path), record, sheet), sheet.to_json(), gr.update(interactive=True)

    def take_over(self, sheet: dict[str, Any]) -> tuple[Any, ...]:
        """A heard lead sheet in the fields of the first tab: chords, key, tempo, metre, genre, length; and that tab."""
        from musetune.symbols import LeadSheet

        order = hand_over(LeadSheet.from_json(sheet))
        key = gr.update(value=order.key, choices=sorted({*KEYS, order.key}, key=([*KEYS, order.key]).index))
        meter = gr.update(value=order.meter, choices=sorted({*METERS, order.meter}, key=([*METERS, order.meter]).index))
        return order.chords, key, order.bpm, meter, order.genre or ANY, order.seconds, gr.update(selected="play")


def launch(page: Page, host: str, port: int, *, open_browser: bool, wait: bool = True) -> str:
    """Serve until interrupted, one piece of work at a time; returns the address at once where not ``wait``. Asks nothing of any other server."""
    page.blocks.queue(max_size=16)
    _, address, _ = page.blocks.launch(
        server_name=host, server_port=port, inbrowser=open_browser, prevent_thread_lock=not wait, quiet=True, share=False, show_error=True,
        allowed_paths=[str(page.folder)], ssr_mode=False, footer_links=[], run_history=False,
        css_paths=[HERE / "page.css"], head=f"<script>{(HERE / 'page.js').read_text()}</script>",
        theme=_theme(),
    )  # fmt: skip
    return address


def _theme() -> gr.Theme:
    """Quiet, with the fonts of the reader's machine: none is fetched."""
    theme = gr.themes.Soft(primary_hue="blue", neutral_hue="slate", font=FONTS, font_mono=["ui-monospace", "monospace"])
    plain = {f"block_{part}_background_fill{dark}": "none" for part in ("title", "label") for dark in ("", "_dark")}
    colours = {
        f"block_{part}_text_color{dark}": "*body_text_color" for part in ("title", "label") for dark in ("", "_dark")
    }
    return theme.set(**plain, **colours, block_title_padding="0", body_background_fill="*neutral_50")
