"""Run one suite of the evaluation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from musetune.evaluation.judges import versions
from musetune.pipeline.request import MUSIC_GUIDANCE, PLAYED_GUIDANCE, TEXT_GUIDANCE
from musetune.suites import genres as genre_suite
from musetune.suites import obedience, stems
from musetune.suites.settings import EvaluationSettings
from musetune.symbols.lead_sheet import GENRES

SUITES = {"obedience": obedience.run, "quick": obedience.run, "genres": genre_suite.run, "stems": stems.run}
ARRANGERS = ("rule", "model")


def run_suite(
    suite: str = "obedience",
    *,
    base: str = "nano",
    adapter: str = "theory",
    genres: Sequence[str] | None = None,
    arranger: str = "rule",
    sheets: str | None = None,
    out: str | Path = "out/evaluation",
    limit: int | None = None,
    steps: int = 20,
    guidance: float | None = None,
    music_guidance: float | None = None,
    played_guidance: float | None = None,
    soundfont: str | None = None,
    device: str | None = None,
    workers: int | None = None,
) -> None:
    """Play a suite's lead sheets, let the judges hear them, write and print the tables; a killed run goes on where it
    was.

    Args:
        suite: obedience, quick, genres or stems.
        base: Bundled name, folder or Hub id.
        adapter: Bundled name, folder or Hub id.
        genres: Of the suite genres: adapters to stack; None: all six.
        arranger: Of the suite stems: whose notes, `rule` or `model`.
        sheets: Folder or file of lead sheets; None: the test set of `musetune.evaluation`.
        out: Gets audio, reports, charts and tables.
        limit: Only the first so many lead sheets, at least 2; None: all.
        steps: Denoising steps.
        guidance: Of the words; None: the pipeline's default.
        music_guidance: Of the lead sheet; None: the pipeline's default.
        played_guidance: Of the suite stems: of words, sheet and notes where notes are given; None: the pipeline's
            default.
        soundfont: Of the renderings; None: what `musetune.audio.find_soundfont` finds.
        device: Such as cpu or cuda:1; None: cuda where there is one.
        workers: Processes; 0: this one; None: one a core.

    Raises:
        ValueError: The suite or arranger is none of these, there are fewer than 2 lead sheets, or `out` was made with
            other settings.
        ImportError: A judge is not installed.
    """
    if suite not in SUITES:
        raise ValueError(f"suite={suite!r} is not one of {', '.join(SUITES)}")
    if arranger not in ARRANGERS:
        raise ValueError(f"arranger={arranger!r} is not one of {', '.join(ARRANGERS)}")
    versions()  # before minutes of work: are the judges installed?
    settings = EvaluationSettings(
        suite=suite,
        base=base,
        adapter=adapter,
        genres=tuple(GENRES if genres is None else genres),
        arranger=arranger,
        sheets=sheets,
        out=Path(out),
        limit=limit,
        steps=steps,
        guidance=TEXT_GUIDANCE if guidance is None else guidance,
        music_guidance=MUSIC_GUIDANCE if music_guidance is None else music_guidance,
        played_guidance=PLAYED_GUIDANCE if played_guidance is None else played_guidance,
        soundfont=soundfont,
        device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
        workers=(os.cpu_count() or 1) if workers is None else workers,
    )
    SUITES[suite](settings)
