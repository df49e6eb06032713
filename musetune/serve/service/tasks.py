"""What the service does: a task for each kind of request, with its path, its body, its files and its check.

A new task is a body in `musetune.client.bodies`, a check, a row here, and what does it in `runner.MAKERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from musetune.analysis.service.batch import AUDIO
from musetune.client.bodies import (
    AnalysisBody,
    ArrangementBody,
    CoverBody,
    ExtendBody,
    GenerationBody,
    LoopBody,
    PlanBody,
    RepaintBody,
    VaryBody,
)
from musetune.formats.files import SUFFIXES
from musetune.formats.songs import READ
from musetune.serve.service import checks

Check = Callable[[Any, Collection[str], float], float]
SHEET = {"lead_sheet": SUFFIXES}
NOTES = {"arrangement": READ}
SONG = {"audio": AUDIO}
STYLE = {"style_audio": AUDIO}
ANY_SONG = {"file": (*AUDIO, *SUFFIXES)}


@dataclass(frozen=True)
class Task:
    """A kind of request.

    Attributes:
        name: What `JobStatus.task` says.
        path: Where it is posted to.
        body: What it asks for.
        check: Checks a body, the names of the files beside it and the longest audio; gives its cost.
        summary: The first line of its documentation.
        files: Parts of a multipart request that are files, and the suffixes of their names.
        required: Files without which there is no request.
        kind: Whose workers do it.
    """

    name: str
    path: str
    body: type[BaseModel]
    check: Check
    summary: str
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    kind: str = "generation"

    @property
    def sound(self) -> bool:
        """Whether recordings may come with it."""
        return bool({"audio", "file", "style_audio"} & set(self.files))


TASKS = (
    Task(
        "generation",
        "/v1/generations",
        GenerationBody,
        checks.check_generation,
        "Submit a clip to generate: words, chords, a lead sheet, players' notes.",
        SHEET | NOTES | STYLE,
    ),
    Task(
        "repaint",
        "/v1/repaints",
        RepaintBody,
        checks.check_repaint,
        "Submit stretches of a recording to make anew under other chords or words.",
        SONG | SHEET | NOTES | STYLE,
    ),
    Task(
        "extend",
        "/v1/extensions",
        ExtendBody,
        checks.check_extend,
        "Submit a recording to play on after its end or before its beginning.",
        SONG | SHEET | NOTES | STYLE,
    ),
    Task(
        "vary",
        "/v1/variations",
        VaryBody,
        checks.check_vary,
        "Submit a recording to take again, near or far.",
        SONG | SHEET | NOTES | STYLE,
    ),
    Task(
        "cover",
        "/v1/covers",
        CoverBody,
        checks.check_cover,
        "Submit a recording to play with another sound: chords, beats, melody and loudness stay.",
        SONG | SHEET | NOTES | STYLE,
    ),
    Task(
        "loop",
        "/v1/loops",
        LoopBody,
        checks.check_loop,
        "Submit loops to generate, whose last bar flows into the first.",
        SHEET | STYLE,
    ),
    Task(
        "plan",
        "/v1/plans",
        PlanBody,
        checks.check_plan,
        "Submit words of which a song's plan is written: form, chords, key, tempo, meter.",
        SHEET,
    ),
    Task(
        "arrangement",
        "/v1/arrangements",
        ArrangementBody,
        checks.check_arrangement,
        "Submit a lead sheet for which every player's notes are written.",
        SHEET | NOTES,
    ),
    Task(
        "analysis",
        "/v1/analyses",
        AnalysisBody,
        checks.check_analysis,
        "Upload a song (`file`) to analyse: audio, MIDI, MusicXML or a lead sheet.",
        ANY_SONG,
        required=("file",),
        kind="analysis",
    ),
)
BY_NAME = {task.name: task for task in TASKS}
