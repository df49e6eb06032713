"""Plans and arrangements: music on paper, without sound."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from musetune.client.bodies import ArrangementBody, PlanBody
from musetune.serve.service.checks import resolve_music
from musetune.serve.service.inputs import Inputs
from musetune.serve.service.results import write_sheet
from musetune.serve.service.worker import JobContext

if TYPE_CHECKING:
    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.symbols import LeadSheet

PINS = ("key", "bpm", "time_signature", "genre", "chords", "bars", "duration_seconds", "style")


def plan(pipe: MuseTunePipeline, context: JobContext, inputs: Inputs, max_seconds: float) -> Mapping[str, Any]:
    """Write a song's plan."""
    from musetune.planning.planner.constraints_from_arguments import form_of

    began = time.perf_counter()
    body = PlanBody.model_validate(context.job.request["body"])
    sheet = inputs.sheet(body)
    context.step("planning")
    pins = {name: value for name in PINS if (value := getattr(body, name)) is not None}
    if body.form is not None:
        pins["sections"] = form_of(body.form)
    if sheet is not None:
        pins["sheet"] = sheet
    written = pipe.plan(body.prompt, seed=body.seed, temperature=body.temperature, **pins)
    return describe(written) | {
        "seed": body.seed,
        "stages": {"plan": time.perf_counter() - began},
        "files": write_sheet(context.folder, written),
    }


def arrange(pipe: MuseTunePipeline, context: JobContext, inputs: Inputs, max_seconds: float) -> Mapping[str, Any]:
    """Write the players' notes for a lead sheet."""
    from musetune.symbols.arrangement import STEMS

    began = time.perf_counter()
    body = ArrangementBody.model_validate(context.job.request["body"])
    sheet, given = resolve_music(body, inputs.sheet(body)), inputs.notes()
    assert sheet is not None  # the request was checked
    stems = tuple(name for name in STEMS if body.stems is None or name in body.stems)
    if given is not None:  # the players that are to be written do not stay
        kept = {
            name: replace(stem, source="given") for name, stem in given.stems.items() if name not in (body.stems or ())
        }
        given = replace(given, stems=kept)
    song = pipe.arrange(
        sheet,
        stems=stems,
        given=given,
        seed=body.seed,
        temperature=body.temperature,
        style=body.style,
        humanize=body.humanize,
        progress=lambda done, of: context.step("arranging", done, of),
    )
    players = {
        name: {"program": stem.program, "notes": len(stem.notes), "source": stem.source, "credit": stem.credit}
        for name, stem in song.stems.items()
    }
    return describe(sheet) | {
        "seed": body.seed,
        "players": players,
        "stages": {"arrange": time.perf_counter() - began},
        "files": write_sheet(context.folder, sheet, song),
    }


def describe(sheet: LeadSheet) -> dict[str, Any]:
    """A lead sheet in a few plain values."""
    return {
        "key": str(sheet.key),
        "bpm": sheet.bpm,
        "time_signature": str(sheet.meter),
        "genre": sheet.genre,
        "style": sheet.style,
        "seconds": sheet.duration_s,
        "bars": len(sheet.downbeats()),
    }
