"""The Listen tab: a song's chords, key, beats and genre, and its progression handed over to be generated anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from musetune.analysis.service.worker import WorkerDeath
from musetune.formats.files import SUFFIXES
from musetune.serve import generate_tab, markup
from musetune.serve.errand import StoppedError
from musetune.serve.generate_tab import GenerateTab
from musetune.serve.studio import ONE_AT_A_TIME, PRIVATE, Studio
from musetune.serve.work import hand_over, listen

AUDIO = ["audio", ".wav", ".mp3", ".flac", ".ogg", ".m4a", *SUFFIXES]
NO_SONG_YET = '<div class="mt-hint">Upload a song: its chords, key, beats and genre appear here.</div>'


class ListenTab:
    """The Listen tab's components, made inside the tab that is open, and what they do.

    Args:
        studio: what all tabs share.
        generate: the tab that a song's progression is handed over to.
        tabs: all tabs, to open that one.
    """

    def __init__(self, studio: Studio, generate: GenerateTab, tabs: gr.Tabs) -> None:
        self.studio, self.generate, self.tabs = studio, generate, tabs
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

        self._wire()

    def _wire(self) -> None:
        findings = [self.findings, self.song_sheet, self.hand]
        self.song.upload(
            self.analyse, self.song, findings, api_name="analyse", show_progress_on=self.findings, **ONE_AT_A_TIME
        )
        self.hand.click(self.take_over, self.song_sheet, [*self.generate.handed_over, self.tabs], **PRIVATE)

    def analyse(self, path: str, request: gr.Request | None = None) -> Iterator[tuple[Any, Any, Any]]:
        """Analyse a song: how far it is, and at last what was recognised as HTML, its lead sheet as JSON for
        `take_over`, and the button that does that, pressable or not.
        """
        errand = self.studio.errand(lambda errand: listen(path, self.studio.analyser, errand), request)
        try:
            for answer in errand:
                if answer is None:
                    yield markup.waiting(errand.progress), None, gr.update(interactive=False)
                else:
                    record, sheet = answer
                    html = markup.song_html(Path(path), record, sheet)
                    yield html, sheet.to_json(), gr.update(interactive=True)
        except (ValueError, OSError, WorkerDeath, StoppedError) as error:
            yield markup.wrong(error), None, gr.update(interactive=False)

    def take_over(self, sheet: dict[str, Any]) -> tuple[Any, ...]:
        """The lead sheet of a song in the fields of the Generate tab; and that tab."""
        from musetune.symbols import LeadSheet

        order = hand_over(LeadSheet.from_json(sheet))
        return *self.generate.fill(order), gr.update(selected=generate_tab.TAB)
