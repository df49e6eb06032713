"""The Listen tab: a song's chords, key, beats and genre as files, and bars of it handed over to be generated anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import gradio as gr

from musetune.analysis.service.worker import WorkerDeath
from musetune.formats.files import SUFFIXES
from musetune.serve import generate_tab, markup
from musetune.serve.choice import choice, chosen
from musetune.serve.errand import Errand, StoppedError
from musetune.serve.generate_tab import ANY, GenerateTab
from musetune.serve.listen_work import (
    WHOLE,
    analyse_song,
    hand_over_bars,
    passage,
    passage_text,
    sections_of_song,
)
from musetune.serve.studio import ONE_AT_A_TIME, PRIVATE, Studio, while_typing
from musetune.symbols import GENRES, LeadSheet

AUDIO = ["audio", ".wav", ".mp3", ".flac", ".ogg", ".m4a", *SUFFIXES]
NO_SONG_YET = '<div class="mt-hint">Upload a song: its chords, key, beats and genre appear here.</div>'
Update = dict[Any, Any]  # component → what it shows now


class ListenTab:
    """The Listen tab's components, made inside the tab that is open, and what they do.

    Args:
        studio: what all tabs share.
        generate: the tab that bars of a song are handed over to.
        tabs: all tabs, to open that one.
    """

    def __init__(self, studio: Studio, generate: GenerateTab, tabs: gr.Tabs) -> None:
        self.studio, self.generate, self.tabs = studio, generate, tabs
        self.running: WeakValueDictionary[str | None, Errand[Any]] = WeakValueDictionary()  # by gradio's session
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
                self.cancel = gr.Button("Cancel", variant="stop", visible=False, elem_id="listen-cancel")
                with gr.Column(visible="hidden", elem_id="hand-over") as self.choice:
                    self._choice_fields()
            with gr.Column(scale=7, min_width=300):
                self.findings = gr.HTML(NO_SONG_YET, elem_id="findings")
        self._wire()

    def _choice_fields(self) -> None:
        gr.HTML('<h2 class="mt-part-title">Play its chords anew</h2>')
        with gr.Row(elem_classes="mt-fields"):
            self.genre = choice("Genre", [ANY, *GENRES], ANY, "hand-genre")
            self.section = choice("Section", [WHOLE], WHOLE, "hand-section")
        with gr.Row(elem_classes="mt-fields"):
            self.first = gr.Number(1, label="From bar", precision=0, elem_id="hand-first", min_width=90)
            self.last = gr.Number(1, label="To bar", precision=0, elem_id="hand-last", min_width=90)
        self.chosen = gr.HTML("", elem_id="hand-chosen")
        self.hand = gr.Button("Play these bars in this genre →", variant="primary", elem_id="hand")

    def _wire(self) -> None:
        findings = [
            self.findings, self.song_sheet, self.cancel, self.choice, self.genre, self.section, self.first, self.last,
            self.chosen, self.hand,
        ]  # fmt: skip
        self.song.upload(self.analyse, self.song, findings, api_name="analyse", show_progress="hidden", **ONE_AT_A_TIME)
        self.cancel.click(self.stop, None, None, show_progress="hidden", **PRIVATE)
        bars = [self.song_sheet, self.first, self.last]
        self.section.change(self.choose, [self.song_sheet, self.section], [self.first, self.last], **PRIVATE)
        changes = [self.first.change, self.last.change]
        while_typing(changes, self.explain, bars, [self.chosen, self.hand], api_visibility="private")
        self.hand.click(
            self.take_over,
            [*bars, self.genre],
            [*self.generate.handed_over, self.tabs],
            api_visibility="private",
            show_progress="hidden",
        )

    # -- what the fields do; each can be called without a browser

    def analyse(self, path: str, request: gr.Request | None = None) -> Iterator[Update]:
        """Analyse a song: how far it is, and at last what was recognised as HTML, its lead sheet as JSON for
        `take_over`, and what there is to choose from.
        """
        working = {
            self.song_sheet: None,
            self.choice: gr.update(visible="hidden"),
            self.cancel: gr.update(visible=True),
        }
        errand = self.studio.errand(
            lambda errand: analyse_song(path, self.studio.folder, self.studio.analyser, errand), request
        )
        self.running[getattr(request, "session_hash", None)] = errand
        try:
            for answer in errand:
                if answer is None:
                    yield {self.findings: markup.status(errand.progress or "waiting for its turn")} | working
                else:
                    html = markup.song_html(Path(path), answer.record, answer.sheet, answer.files)
                    yield {self.findings: html, self.cancel: gr.update(visible=False)} | self._choices(answer.sheet)
        except StoppedError:
            yield working | {self.findings: NO_SONG_YET, self.cancel: gr.update(visible=False)}
        except (ValueError, OSError, WorkerDeath) as error:
            yield working | {self.findings: markup.wrong(error), self.cancel: gr.update(visible=False)}

    def choose(self, sheet: dict[str, Any] | None, section: str) -> tuple[int, int]:
        """First and last bar of a section that was chosen by name."""
        if sheet is None:
            return 1, 1
        passages = sections_of_song(LeadSheet.from_json(sheet))
        return passages.get(section, passages[WHOLE])

    def explain(self, sheet: dict[str, Any] | None, first: float, last: float) -> tuple[str, Any]:
        """What will be handed over, or what is wrong with the bars, as HTML; and the button, pressable or not."""
        if sheet is None:
            return "", gr.update(interactive=False)
        song = LeadSheet.from_json(sheet)
        try:
            return markup.note(passage_text(song, passage(song, first, last))), gr.update(interactive=True)
        except ValueError as error:
            return markup.wrong(error), gr.update(interactive=False)

    def take_over(self, sheet: dict[str, Any] | None, first: float, last: float, genre: str) -> tuple[Any, ...]:
        """Bars of a song in the fields of the Generate tab; and that tab. What is left out is said."""
        if sheet is None:
            raise gr.Error("There is no song yet: upload one first.", print_exception=False)
        song = LeadSheet.from_json(sheet)
        try:
            order = hand_over_bars(song, first, last, None if genre == ANY else genre)
            gr.Info(passage_text(song, passage(song, first, last)), duration=20, title="From your song")
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None
        return *self.generate.fill(order), gr.update(selected=generate_tab.TAB)

    def stop(self, request: gr.Request | None = None) -> None:
        """Cancel the analysis of this visitor, which then says so itself."""
        errand = self.running.get(getattr(request, "session_hash", None))
        if errand is not None:
            errand.cancel()

    # -- how it is shown

    def _choices(self, sheet: LeadSheet) -> Update:
        sections = sections_of_song(sheet)
        first, last = sections[WHOLE]
        text, hand = self.explain(sheet.to_json(), first, last)
        return {
            self.song_sheet: sheet.to_json(),
            self.choice: gr.update(visible=True),
            self.genre: chosen(sheet.genre or ANY, [ANY, *GENRES]),
            self.section: chosen(WHOLE, list(sections)),
            self.first: first,
            self.last: last,
            self.chosen: text,
            self.hand: hand,
        }
