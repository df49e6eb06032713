"""Verdicts on pairs, as lines of preferences.jsonl: each holds all that learning from it needs.

`docs/reference/preferences.md` describes every field.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from musetune import __version__
from musetune.evaluation.preferences.journal import append_line, read_lines
from musetune.symbols.json_values import JsonObject

SCHEMA = 1
VERDICTS = ("A", "B", "equal", "both bad")
REASONS = ("chords", "rhythm", "sound", "words")
JUDGES = ("person", "recogniser")


class Judge(NamedTuple):
    """Who compares: `kind` is one of JUDGES, `name` what the judge goes by."""

    kind: str
    name: str


@dataclass(frozen=True)
class Verdict:
    """What a judge said of two takes.

    Attributes:
        pair: Id of the pair in its batch.
        judge: Who said it.
        verdict: One of VERDICTS.
        a: The take that was shown as A: its side's record, `audio`, `sha256`, `origin` and so on.
        b: The take that was shown as B.
        reasons: Some of REASONS.
        request: What both takes answer.
        heard_s: How long A and B were heard, seconds; None: unknown.
        scores: Of a recogniser: its score of A and of B; None: it has none.
        id: A name that no other verdict has; an equal one is counted once.
        time: When, in UTC, as ISO 8601.

    Raises:
        ValueError: A value is none of those.

    Example:
        >>> takes = [{"audio": f"{x}.wav", "sha256": x * 64, "origin": {"name": x}} for x in "ab"]
        >>> Verdict("1", Judge("person", "anna"), "B", *takes).winner["audio"]
        'b.wav'
    """

    pair: str
    judge: Judge
    verdict: str
    a: JsonObject
    b: JsonObject
    reasons: tuple[str, ...] = ()
    request: JsonObject | None = None
    heard_s: tuple[float, float] | None = None
    scores: tuple[float, float] | None = None
    id: str = ""
    time: str = ""

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"verdict is {self.verdict!r}; give one of {', '.join(VERDICTS)}")
        wrong = [reason for reason in self.reasons if reason not in REASONS]
        if wrong:
            raise ValueError(f"reason {wrong[0]!r} is none of {', '.join(REASONS)}")
        if self.judge.kind not in JUDGES or not self.judge.name:
            raise ValueError(f"judge is {tuple(self.judge)!r}; give a kind, {' or '.join(JUDGES)}, and a name")

    @property
    def winner(self) -> JsonObject | None:
        """The better take; None where neither is."""
        return {"A": self.a, "B": self.b}.get(self.verdict)

    @property
    def loser(self) -> JsonObject | None:
        """The worse take; None where neither is."""
        return {"A": self.b, "B": self.a}.get(self.verdict)

    def append(self, path: Path) -> Verdict:
        """Write the verdict to the end of a file, and return it, with id and time, when it is on the disk."""
        said = replace(self, id=self.id or uuid.uuid4().hex, time=self.time or _now())
        append_line(path, said.to_json())
        return said

    def to_json(self) -> JsonObject:
        """The line of preferences.jsonl; what is unknown is left out."""
        record: JsonObject = {
            "schema": SCHEMA,
            "id": self.id,
            "time": self.time,
            "musetune": __version__,
            "judge": self.judge._asdict(),
            "pair": self.pair,
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "request": self.request or {},
            "a": self.a,
            "b": self.b,
        }
        rest = {"heard_s": self.heard_s, "scores": self.scores}
        return record | {name: list(value) for name, value in rest.items() if value is not None}

    @classmethod
    def from_json(cls, record: JsonObject) -> Verdict:
        """Read a line of preferences.jsonl.

        Raises:
            ValueError: A field is missing or wrong.
        """
        if record.get("schema") != SCHEMA:
            raise ValueError(f"schema is {record.get('schema')!r}, this version reads {SCHEMA}")
        for name in ("a", "b"):
            side = record.get(name)
            if not isinstance(side, dict) or not isinstance(side.get("origin"), dict) or not side.get("sha256"):
                raise ValueError(f"{name} is {str(side)[:60]!r}; it needs audio, sha256 and origin")
        try:
            return cls(
                str(record["pair"]),
                Judge(str(record["judge"]["kind"]), str(record["judge"]["name"])),
                record["verdict"],
                record["a"],
                record["b"],
                tuple(record.get("reasons") or ()),
                record.get("request") or {},
                _two(record, "heard_s"),
                _two(record, "scores"),
                str(record["id"]),
                str(record["time"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"a field is missing or wrong: {error}") from None


def read_verdicts(path: str | Path) -> list[Verdict]:
    """Read the verdicts that count: those that were taken back do not, and each id counts once.

    Args:
        path: A preferences.jsonl; where there is none, there are no verdicts.

    Returns:
        The verdicts in the order in which they were given.

    Raises:
        ValueError: A line is wrong; the message names file and line.

    Example:
        >>> read_verdicts("none-yet.jsonl")
        []
    """
    verdicts: dict[str, Verdict] = {}
    for number, record in read_lines(Path(path)):
        if "retracts" in record:
            verdicts.pop(str(record["retracts"]), None)
            continue
        try:
            verdict = Verdict.from_json(record)
        except ValueError as error:
            raise ValueError(f"{path} line {number}: {error}") from None
        verdicts.setdefault(verdict.id, verdict)
    return list(verdicts.values())


def retract(path: Path, verdict: Verdict) -> None:
    """Take a verdict back: its line stays, a line that says so follows."""
    append_line(path, {"schema": SCHEMA, "id": uuid.uuid4().hex, "time": _now(), "retracts": verdict.id})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _two(record: JsonObject, name: str) -> tuple[float, float] | None:
    numbers: Sequence[float] | None = record.get(name)
    if numbers is None:
        return None
    if not isinstance(numbers, list) or len(numbers) != 2:
        raise ValueError(f"{name} is {numbers!r}; give two numbers, of A and of B")
    return float(numbers[0]), float(numbers[1])
