"""The protocol of recipes/evaluate.py: what is compared, how one clip is judged, how a table is made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from musetune.analysis import Heard, analyze
from musetune.evaluation.adherence import MEASURES, adherence
from musetune.evaluation.bootstrap import Mean, bootstrap_mean, reachable_share
from musetune.evaluation.judges import judge_with_hints
from musetune.evaluation.reports import LISTENERS, Report, report

if TYPE_CHECKING:
    from musetune.evaluation.testset import TestSheet

CONDITIONS = ("floor A", "floor B", "adapter", "best of 4", "ceiling A", "ceiling B")
UNHINTED = ("beat_f", "downbeat_f", "tempo_acc1", "tempo_acc2")  # also without telling the tracker the asked tempo
TEXT = ("genre", "clap")
ROWS = (*MEASURES, *(f"{name} unhinted" for name in UNHINTED), *TEXT)
JUDGED_BY = (
    "Judges, none of which had a part in training: Chordino (root to tetrads, bar_changes), madmom (beat_f, downbeat_f, "
    "tempo; told the asked tempo, and 6/8 where it is asked; unhinted: told nothing), essentia (key). Ours: "
    "musetune.analysis (genre: the sheet's genre, which the prompt names, is the one heard), the base's own CLAP (clap: "
    "cosine of prompt and audio), Fréchet distance of MFCC statistics to ceiling A."
)
Table = Mapping[str, Mapping[str, Mean | None]]


def judge_clip(wave: np.ndarray, sr: int, tests: Sequence[TestSheet]) -> tuple[list[dict[str, Any]], Heard]:
    """Listen once to mono ``wave`` (samples,) at ``sr`` Hz and compare it with each of ``tests``: one record a sheet, and what the
    judges heard, told the first one's tempo.

    A record is the judges' `Report.to_json`, whose ``scores`` also hold those of `UNHINTED` and "genre" (0 or 1, null where the sheet
    has none); ``musetune`` is our own analyser's report of the same clip. Raises ImportError where judges are missing.
    """
    *hinted, free = judge_with_hints(wave, sr, (*(test.sheet for test in tests), None))
    genre, records = genre_of(wave, sr), []
    for test, heard in zip(tests, hinted, strict=True):
        scores = adherence(test.sheet, heard)
        unhinted = adherence(test.sheet, free)
        made = Report(test.sheet, heard, LISTENERS["judges"], scores)
        record = made.to_json({"id": test.id, "prompt": test.prompt, "seed": test.seed, "source": test.source})
        record["scores"] |= {f"{name} unhinted": unhinted[name] for name in UNHINTED}
        record["scores"]["genre"] = float(genre == test.sheet.genre) if test.sheet.genre else None
        record["genre"] = {"asked": test.sheet.genre, "heard": genre}
        record["musetune"] = report(wave, sr, test.sheet).to_json()
        records.append(record)
    return records, hinted[0]


def genre_of(wave: np.ndarray, sr: int) -> str | None:
    """The genre that our analyser hears in mono ``wave`` (samples,), told nothing; None where it is silent or has no pulse."""
    try:
        return analyze(wave, sr).genre_analysis["primary_genre"]
    except ValueError:
        return None


def three_meters(tests: Iterable[TestSheet]) -> list[TestSheet]:
    """The first sheet in each metre, in the order of ``tests``: what the suite "quick" plays."""
    first: dict[str, TestSheet] = {}
    for test in tests:
        first.setdefault(str(test.sheet.meter), test)
    return list(first.values())


def tabulate(clips: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Mean | None]]:
    """Condition → sheet → record becomes condition → row → mean over the sheets."""
    return {
        condition: {row: bootstrap_mean([record["scores"][row] for record in records.values()]) for row in ROWS}
        for condition, records in clips.items()
    }


def markdown(table: Table, sound: Mapping[str, float | None], count: int) -> str:
    """The table in per cent with 95 % intervals, the share of what is reachable where the floor and ceiling are there, and whose judge
    each row is."""
    lines = [f"{count} lead sheets, one seed each; %, mean and 95 % bootstrap interval. {JUDGED_BY}"]
    if {"floor A", "ceiling B"} <= set(table):
        lines[0] += " Share: (adapter − floor A) / (ceiling B − floor A)."
    heads = ["", *table, "share of the reachable"]
    lines += ["", "| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in ROWS:
        cells = [cell(scores[row]) for scores in table.values()]
        lines.append("| " + " | ".join([row, *cells, _share(table, row)]) + " |")
    distances = [sound.get(condition) for condition in table]
    cells = ["—" if value is None else f"{value:.0f}" for value in distances]
    lines.append("| " + " | ".join(["Fréchet distance", *cells, "—"]) + " |")
    return "\n".join(lines) + "\n"


def lost(clips: Mapping[str, Mapping[str, Mapping[str, Any]]], row: str) -> Mean | None:
    """What the adapter loses in ``row`` against the base without it, clip by clip: floor A − adapter, 0…1."""
    pairs = [(clips["floor A"][name]["scores"][row], ours["scores"][row]) for name, ours in clips["adapter"].items()]
    return bootstrap_mean([a - b for a, b in pairs if a is not None and b is not None])


def cell(mean: Mean | None) -> str:
    """ "85.1 (79–90)" of 0…1; a dash where there is nothing."""
    return "—" if mean is None else f"{100 * mean.mean:.1f} ({100 * mean.low:.0f}–{100 * mean.high:.0f})"


def _share(table: Table, row: str) -> str:
    floor, ours, ceiling = (table.get(name, {}).get(row) for name in ("floor A", "adapter", "ceiling B"))
    if row not in MEASURES or not (floor and ours and ceiling):
        return "—"
    share = reachable_share(ours.mean, floor.mean, ceiling.mean)
    return "—" if share is None else f"{100 * share:.0f} %"
