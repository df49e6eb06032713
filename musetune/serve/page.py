"""The page: its tabs over one pipeline, and the server that gives it out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
from starlette.middleware import Middleware

from musetune.evaluation.preferences import PairBatch
from musetune.serve import compare_tab, edit_tab, generate_tab, markup
from musetune.serve.compare_tab import CompareTab
from musetune.serve.edit_tab import EditTab
from musetune.serve.generate_tab import GenerateTab
from musetune.serve.guard import UPLOAD, Guard
from musetune.serve.listen_tab import ListenTab
from musetune.serve.live_routes import LiveRoutes
from musetune.serve.live_tab import LiveTab
from musetune.serve.remote import RemoteAnalyser, note_of
from musetune.serve.remote_pipeline import RemotePipeline
from musetune.serve.song_tab import SongTab
from musetune.serve.studio import Studio

if TYPE_CHECKING:
    from musetune.pipeline.pipeline import MuseTunePipeline

HERE = Path(__file__).parent
FONTS = ["system-ui", "-apple-system", "Segoe UI", "DejaVu Sans", "sans-serif"]
TITLE = '<div class="mt-title"><h1>MuseTune</h1><p>Music that plays your chords.</p></div>'
STYLES = ("page.css", "song.css", "compare.css", "pads.css", "edit.css", "live.css")
SCRIPTS = ("page.js", "song.js", "synth.js", "pads.js", "edit.js", "live.js", "live_board.js")
UPLOADS_KEPT_S = 3600  # a song that was uploaded stays for so long, and less where many are


class Page:
    """The page's tabs over one pipeline; ``blocks`` is what gradio serves.

    Args:
        pipe: the pipeline.
        folder: where takes are written.
        compare: folder of the Compare tab's pairs and verdicts; made when there is something in it;
            None: beside the takes.
        analyser: what analyses songs; None: a process of this machine.
    """

    def __init__(
        self,
        pipe: MuseTunePipeline | RemotePipeline,
        folder: Path,
        compare: Path | None = None,
        analyser: RemoteAnalyser | None = None,
    ) -> None:
        self.studio = Studio(pipe, folder, analyser)
        self.uploads = folder.with_name(f"{folder.name}-uploads")
        self.uploads.mkdir(exist_ok=True)
        self.pairs = folder.with_name(f"{folder.name}-pairs")  # the sounds that the Compare tab shows
        self.pairs.mkdir(exist_ok=True)
        batch = compare or folder.with_name(f"{folder.name}-compare")
        os.environ["GRADIO_TEMP_DIR"] = str(self.uploads)  # gradio's parts, made below, keep uploads there
        cleaning = (UPLOADS_KEPT_S // 6, UPLOADS_KEPT_S)  # how often, and how old what goes is; seconds
        with gr.Blocks(
            title="MuseTune", analytics_enabled=False, delete_cache=cleaning, fill_width=True
        ) as self.blocks:
            gr.HTML(TITLE)
            if (note := note_of(pipe)) != "":
                gr.HTML(markup.note(note), elem_id="service-note")
            with gr.Tabs() as self.tabs:
                with gr.Tab("Generate", id=generate_tab.TAB):
                    self.generate = GenerateTab(self.studio)
                with gr.Tab("Edit", id=edit_tab.TAB):
                    self.edit = EditTab(self.studio, self.generate, self.tabs)
                with gr.Tab("Live", id="live-tab"):
                    self.live = LiveTab(self.studio)
                with gr.Tab("Song", id="song-tab"):
                    self.song = SongTab(self.studio)
                with gr.Tab("Listen", id="listen"):
                    self.listen = ListenTab(self.studio, self.generate, self.tabs)
                with gr.Tab("Compare", id=compare_tab.TAB) as tab:
                    self.compare = CompareTab(self.studio, self.generate, PairBatch(batch), self.pairs)
                self.compare.wire_tab(tab)


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
    uploads = page.uploads
    middleware = Middleware(Guard, names=[host, *allow_hosts], uploads=uploads, audience=page.studio.audience)
    page.blocks.queue(max_size=16)
    _, address, _ = page.blocks.launch(
        server_name=host,
        server_port=port,
        inbrowser=open_browser,
        prevent_thread_lock=not wait,
        quiet=True,
        share=False,
        show_error=True,
        allowed_paths=[str(page.studio.folder), str(page.pairs)],
        max_file_size=UPLOAD,
        app_kwargs={"middleware": [middleware], "routes": LiveRoutes(page.studio.stage).routes()},
        ssr_mode=False,
        footer_links=[],
        run_history=False,
        css_paths=[HERE / name for name in STYLES],
        head="".join(f"<script>{(HERE / name).read_text()}</script>" for name in SCRIPTS),
        theme=_theme(),
    )
    return address


def _theme() -> gr.Theme:
    """Quiet, with the fonts of the reader's machine: none is fetched. Text stands out 4.5:1 in light and dark."""
    theme = gr.themes.Soft(primary_hue="blue", neutral_hue="slate", font=FONTS, font_mono=["ui-monospace", "monospace"])
    plain = {f"block_{part}_background_fill{dark}": "none" for part in ("title", "label") for dark in ("", "_dark")}
    colours = {
        f"{part}_text_color{dark}": "*body_text_color"
        for part in ("block_title", "block_label", "block_info")
        for dark in ("", "_dark")
    }
    strong = {
        f"button_primary_background_fill{state}{dark}": shade
        for state, shade in (("", "*primary_700"), ("_hover", "*primary_800"))
        for dark in ("", "_dark")
    }
    return theme.set(
        **plain,
        **colours,
        **strong,
        checkbox_label_background_fill_selected="*primary_700",
        checkbox_label_background_fill_selected_dark="*primary_700",
        button_secondary_background_fill_hover_dark="*neutral_600",
        checkbox_border_color="*neutral_500",
        checkbox_label_padding="0.35rem 0.5rem",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        color_accent="*primary_700",
        block_title_padding="0",
        block_padding="0.5rem 0.75rem",
        layout_gap="0.5rem",
        body_background_fill="*neutral_50",
    )
