"""The protocol of recipes/evaluate.py: what is compared, how one clip is judged, how a table is made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from musetune.analysis import analyze
from musetune.evaluation.adherence import MEASURES, adherence
from musetune.evaluation.bootstrap import Mean, bootstrap_mean, cell, reachable_share
from musetune.evaluation.judges import judge_with_hints
from musetune.evaluation.reports import LISTENERS, Report, report
from musetune.symbols.estimate import Estimate
from musetune.symbols.json_values import JsonObject

if TYPE_CHECKING:
    from musetune.evaluation.testset import TestSheet

CONDITIONS = ("floor A", "floor B", "adapter", "no genre", "best of 4", "ceiling A", "ceiling B")
RHYTHM = ("beat_f", "downbeat_f", "tempo_acc1", "tempo_acc2")  # told apart by meter
UNHINTED = RHYTHM  # also without telling the tracker the asked tempo
TEXT = ("genre", "clap")
ROWS = (*MEASURES, *(f"{name} unhinted" for name in UNHINTED), *TEXT)
JUDGED_BY = (
    "Judges, none of which had a part in training: Chordino (root to tetrads, bar_changes), madmom (beat_f, downbeat_f,"
    " "
    "tempo; told the asked tempo, and 6/8 where it is asked; unhinted: told nothing), essentia (key). Ours: "
    "musetune.analysis (genre: the sheet's genre, which the prompt names, is the one heard), the base's own CLAP "
    "(clap: "
    "cosine of prompt and audio), Fréchet distance of MFCC statistics to ceiling A."
)
EXPLAINED = {
    "floor A": "Floor A: the base without adapter, given the prompt alone.",
    "floor B": (
        "Floor B: the adapter's clip of another song's sheet held against this one; sheets are paired by one seeded "
        "shuffle of the whole "
        "test set, each with the next one in it, so that keys, tempi and meters of a pair are as far apart as chance "
        "makes them."
    ),
    "no genre": "No genre: the adapter without the sheet's genre, which the prompt alone then names; every other sheet,"
    " at the adapter's seed.",
    "best of 4": "Best of 4: the first of the adapter's clip and three more seeds by our own report.",
    "ceiling A": "Ceiling A: the sheet arranged by rule and rendered by a synthesiser.",
    "ceiling B": "Ceiling B: that rendering through the base's spectrogram, autoencoder and vocoder.",
}
Clips = Mapping[str, Mapping[str, Mapping[str, Any]]]  # condition → sheet → record
Table = Mapping[str, Mapping[str, Mean | None]]


def judge_clip(wave: np.ndarray, sr: int, tests: Sequence[TestSheet]) -> tuple[list[JsonObject], Estimate]:
    """Listen once to mono ``wave`` (samples,) at ``sr`` Hz and compare it with each of ``tests``.

    One record a sheet, and what the judges heard, told the first one's tempo.

    A record is the judges' `Report.to_json`, whose ``scores`` also hold those of `UNHINTED` and "genre" (0 or 1, null
    where the sheet has none); ``musetune`` is our own analyser's report of the same clip. Raises ImportError where
    judges are missing.
    """
    *hinted, free = judge_with_hints(wave, sr, (*(test.sheet for test in tests), None))
    genre, records = genre_of(wave, sr), []
    for test, estimate in zip(tests, hinted, strict=True):
        scores = adherence(test.sheet, estimate)
        unhinted = adherence(test.sheet, free)
        judges_report = Report(test.sheet, estimate, LISTENERS["judges"], scores)
        record = judges_report.to_json({"id": test.id, "prompt": test.prompt, "seed": test.seed, "source": test.source})
        record["scores"] |= {f"{name} unhinted": unhinted[name] for name in UNHINTED}
        record["scores"]["genre"] = float(genre == test.sheet.genre) if test.sheet.genre else None
        record["genre"] = {"asked": test.sheet.genre, "heard": genre}
        record["musetune"] = report(wave, sr, test.sheet).to_json()
        records.append(record)
    return records, hinted[0]


def genre_of(wave: np.ndarray, sr: int) -> str | None:
    """The genre that our analyser hears in mono ``wave`` (samples,), told nothing.

    None where it is silent, has no pulse or the genre is unsure.
    """
    try:
        return analyze(wave, sr).genre
    except ValueError:
        return None


def mismatched_sheets(every: Sequence[TestSheet], playing: Sequence[TestSheet]) -> list[TestSheet]:
    """For each of ``playing`` the sheet of another song that its clip is held against as floor B.

    Each sheet once, none its own.

    The next in one shuffled ring of ``every``, those that are not played left out: keys, tempi, meters and genres of a
    pair are as far apart as chance makes them. Neighbours cut from one song are shuffled again (given up after 1000
    times: all may be of one song).
    """
    ids = {test.id for test in playing}
    for seed in range(1000):
        order = np.random.default_rng(seed).permutation(len(every))
        ring = [every[i] for i in order if every[i].id in ids]
        following = dict(zip((test.id for test in ring), ring[1:] + ring[:1], strict=True))
        if all(following[test.id].source != test.source for test in ring):
            break
    return [following[test.id] for test in playing]


def three_meters(tests: Iterable[TestSheet]) -> list[TestSheet]:
    """The first sheet in each meter, in the order of ``tests``: what the suite "quick" plays."""
    first: dict[str, TestSheet] = {}
    for test in tests:
        first.setdefault(str(test.sheet.meter), test)
    return list(first.values())


def tabulate(clips: Clips) -> dict[str, dict[str, Mean | None]]:
    """Condition → sheet → record becomes condition → row → mean over the sheets."""
    return {
        condition: {row: bootstrap_mean([record["scores"][row] for record in records.values()]) for row in ROWS}
        for condition, records in clips.items()
    }


def by_meter(clips: Clips, tests: Iterable[TestSheet]) -> dict[str, dict[str, dict[str, Mean | None]]]:
    """`tabulate` of the sheets in simple meters alone, and of those in compound ones: "simple metres" and "6/8" (where
    there are any).
    """
    compound = {test.id for test in tests if test.sheet.meter.compound}
    parts = {
        name: {c: {i: r for i, r in records.items() if (i in compound) is is_compound} for c, records in clips.items()}
        for name, is_compound in (("simple metres", False), ("6/8", True))
    }
    return {name: tabulate(part) for name, part in parts.items() if any(part.values())}


def aims(clips: Clips, *, replicates: int = 10_000, seed: int = 0) -> dict[str, dict[str, Mean | None]]:
    """Row of `MEASURES` → what of `AIMS` can be said of the conditions that are there, with intervals.

    Sheets are drawn again, the same for all conditions of an aim. Counted are the sheets on which all of these have a
    score; None where there is none.
    """
    return {
        row: {
            name: _aim(of, [_column(clips, c, row) for c in conditions], replicates, seed)
            for name, (conditions, of) in AIMS.items()
            if clips.keys() >= set(conditions)
        }
        for row in MEASURES
    }


def _column(clips: Clips, condition: str, row: str) -> list[float | None]:
    """Scores of one condition, one a sheet, in the order of the adapter's."""
    return [clips[condition][sheet]["scores"][row] for sheet in clips["adapter"]]


def _aim(of: Callable[..., Any], columns: Sequence[Sequence[float | None]], replicates: int, seed: int) -> Mean | None:
    """``of`` the columns' means, and its 95 % interval; None where it is undefined."""
    scores = np.array([row for row in zip(*columns, strict=True) if None not in row], dtype=float)
    if not len(scores):
        return None
    draws = np.random.default_rng(seed).integers(0, len(scores), (replicates, len(scores)))
    value, again = (of(*means) for means in (scores.mean(axis=0)[:, None], scores[draws].mean(axis=1).T))
    again = again[np.isfinite(again)]
    if not (np.isfinite(value[0]) and len(again)):
        return None
    low, high = np.percentile(again, [2.5, 97.5])
    return Mean(float(value[0]), float(low), float(high), len(scores))


AIMS: dict[str, tuple[tuple[str, ...], Callable[..., Any]]] = {
    "share of the reachable": (("floor A", "adapter", "ceiling B"), reachable_share),
    "ceiling B − adapter": (("ceiling B", "adapter"), np.subtract),
    "floor B − floor A": (("floor B", "floor A"), np.subtract),
}


def markdown(table: Table, sound: Mapping[str, float | None], count: int) -> str:
    """The table in per cent with 95 % intervals, and above it what its columns are and whose judge each row is."""
    explanations = [text for condition, text in EXPLAINED.items() if condition in table]
    lines = [
        f"{count} lead sheets, one seed each{' (best of 4: four)' if 'best of 4' in table else ''}; %, mean and 95 % "
        f"bootstrap "
        f"interval. {' '.join(explanations)} {JUDGED_BY}",
        "",
    ]
    rows = {row: [cell(scores[row]) for scores in table.values()] for row in ROWS}
    distances = [sound.get(condition) for condition in table]
    rows["Fréchet distance"] = ["—" if value is None else f"{value:.0f}" for value in distances]
    return "\n".join(lines) + "\n" + _grid("", list(table), rows)


def markdown_aims(table: Mapping[str, Mapping[str, Mean | None]]) -> str:
    """`aims` as a table in per cent; nothing where no aim can be stated."""
    names = list(next(iter(table.values())))
    if not names:
        return ""
    head = (
        "Aims, in % and points, with 95 % intervals over sheets drawn again, the same ones for every condition. "
        "Share of the reachable: (adapter − floor A) / (ceiling B − floor A).\n\n"
    )
    return head + _grid("", names, {row: [cell(scores[name]) for name in names] for row, scores in table.items()})


def markdown_meters(tables_by_meter: Mapping[str, Mapping[str, Mapping[str, Mean | None]]]) -> str:
    """`by_meter`'s rows of `RHYTHM`, one a meter."""
    tables = list(tables_by_meter.items())
    rows = {
        f"{row}, {name}": [cell(scores[row]) for scores in table.values()] for row in RHYTHM for name, table in tables
    }
    return "Rhythm by meter; in 6/8 madmom is told the bar.\n\n" + _grid("", list(tables[0][1]), rows)


def _grid(corner: str, heads: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join([corner, *heads]) + " |", "|---" * (len(heads) + 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join([name, *cells]) + " |" for name, cells in rows.items()]) + "\n"


def genre_cost(clips: Clips, row: str) -> Mean | None:
    """What the adapter loses in ``row`` against the base without it where the words alone name the genre, clip by clip.

    Floor A − no genre, 0…1.
    """
    ours = clips["no genre"]
    pairs = [(clips["floor A"][name]["scores"][row], record["scores"][row]) for name, record in ours.items()]
    return bootstrap_mean([a - b for a, b in pairs if a is not None and b is not None])


def scores_of(records: Mapping[str, Mapping[str, Any]]) -> dict[str, JsonObject]:
    """Sheet → its scores and what our own report says of them."""
    return {
        name: {"scores": r["scores"], "overall": r["overall"], "musetune": r["musetune"]["overall"]}
        for name, r in records.items()
    }
