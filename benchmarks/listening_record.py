"""What a run of analysis.py found, and the JSON file that tools/docs_results.py reads."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from listening_scores import COLUMNS, SONG, Row, comparable_seconds, interval_of, mean_of, name_meter, score
from listening_sets import ListeningSet
from reliability import Belief, bins_of

from musetune.analysis.listening.networks import WEIGHTS
from musetune.datasets.corpus import AnnotatedSong


@dataclass
class Findings:
    """All that a run found.

    Attributes:
        rows: Of each listener and set, the scores of each song.
        meters: Of each listener, what it heard of each meter of `recast`.
        beliefs: Of each set.
        certainty: Of each set, how certain the chords of each song are.
    """

    rows: dict[str, dict[str, list[Row]]]
    meters: dict[str, dict[str, Counter[str]]]
    beliefs: dict[str, Belief]
    certainty: dict[str, list[float]]

    @classmethod
    def of(cls, listeners: Sequence[str]) -> Findings:
        """Nothing heard yet."""
        return cls({name: {} for name in listeners}, {}, {}, {})

    def add(self, some: ListeningSet, song: AnnotatedSong, name: str, said: dict) -> None:
        """What a listener said of a song."""
        self.rows[name].setdefault(some.name, []).append(score(song, said) | {SONG: piece(song)})
        if some.name == "recast" and (meter := name_meter(said)):
            self.meters.setdefault(name, {}).setdefault(song.meter, Counter())[meter] += 1

    def record(self, sets: list[ListeningSet], truths: dict[str, str]) -> dict:
        """As JSON has it: means and bounds of their intervals rounded to 0.01, seconds to 1."""
        means: dict[str, dict[str, dict[str, float]]] = {}
        intervals: dict[str, dict[str, dict[str, list[float]]]] = {}
        for name, per in self.rows.items():
            for of, rows in per.items():
                columns = [column for column in COLUMNS if any(column in row for row in rows)]
                means.setdefault(name, {})[of] = {column: round(mean_of(rows, column), 2) for column in columns}
                bounds = {column: interval_of(rows, column) for column in columns if not column.startswith("×")}
                intervals.setdefault(name, {})[of] = {
                    column: [round(bound, 2) for bound in pair] for column, pair in bounds.items()
                }
        about = {
            some.name: {
                "known": some.known,
                "songs": len(self.certainty[some.name]),
                "truth": truths[some.name],
                "weights": weights_digest(),
                "seconds": {
                    column: round(seconds)
                    for column, seconds in comparable_seconds(self.rows["musetune"].get(some.name, [])).items()
                },
            }
            for some in sets
        }
        bins = {of: {name: bins_of(rows) for name, rows in belief.rows.items()} for of, belief in self.beliefs.items()}
        return {"sets": about, "means": means, "intervals": intervals, "meters": self.meters, "reliability": bins}


def piece(song: AnnotatedSong) -> str:
    """The song's name without where its stretch begins, which recordings add."""
    return re.sub(r" \d+ s$", "", song.name)


def weights_digest() -> str:
    """Which networks hear: the first twelve digits of SHA-256 of their file."""
    return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:12]


def calibration_of(record: dict) -> dict[str, float]:
    """Expected calibration error of each quantity on known and on unknown timbre, of all sets in the record.

    From the bins that each set keeps: statements of the same tenth are added up.
    """
    errors = {}
    for known in (True, False):
        kept = [bins for of, bins in record["reliability"].items() if record["sets"][of]["known"] == known]
        for name in dict.fromkeys(name for bins in kept for name in bins):
            sums = np.sum([bins[name] for bins in kept if name in bins], axis=0)
            weight = sums[:, 0]
            error = np.abs(sums[:, 1] - sums[:, 2]).sum() / weight.sum()
            errors[f"{name}, {'known' if known else 'unknown'} timbre"] = round(float(error), 3)
    return errors


def write_record(path: Path, record: dict) -> None:
    """Put a run's record into the file, whose other entries stay; so do the sets that were not heard this time.

    Of sets that were, nothing stays of listeners that did not hear them this time: a set is one run on one sound.
    """
    old = json.loads(path.read_text()) if path.is_file() else {}
    for name in ("means", "intervals"):
        stored = {
            who: {of: row for of, row in per.items() if of not in record["sets"]}
            for who, per in old.get(name, {}).items()
        }
        whole = stored | {who: stored.get(who, {}) | per for who, per in record[name].items()}
        record = record | {name: {who: per for who, per in whole.items() if per}}
    meters = record["meters"] if "recast" in record["sets"] else old.get("meters", {})
    record = record | {"meters": meters} | {name: old.get(name, {}) | record[name] for name in ("sets", "reliability")}
    record["calibration"] = calibration_of(record)
    kept = {name: value for name, value in old.items() if name not in ("columns", "rows")}
    path.write_text(json.dumps(kept | record, indent=1, ensure_ascii=False) + "\n")
