"""What verdicts amount to: wins by origin with intervals, and whether judges agree with themselves and each other."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from musetune.evaluation.preferences.verdicts import Judge, Verdict
from musetune.symbols.json_values import JsonObject


class Proportion(NamedTuple):
    """A share, `hits` of `total`, with its 95 % interval by Wilson (1927); None where `total` is 0."""

    hits: int
    total: int
    share: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.share is None or self.low is None or self.high is None:
            return "—"
        return f"{100 * self.share:.0f} % ({100 * self.low:.0f}–{100 * self.high:.0f}), {self.hits} of {self.total}"


def wilson(hits: int, total: int) -> Proportion:
    """Give a share its 95 % interval.

    Args:
        hits: How many of `total`.
        total: How many there are.

    Returns:
        The share and the interval of Wilson's score.

    Example:
        >>> print(wilson(15, 20))
        75 % (53–89), 15 of 20
    """
    from scipy.stats import binomtest

    if not total:
        return Proportion(0, 0, None, None, None)
    interval = binomtest(hits, total).proportion_ci(0.95, method="wilson")
    return Proportion(hits, total, hits / total, float(interval.low), float(interval.high))


def summarise(verdicts: Sequence[Verdict]) -> JsonObject:
    """Count wins by origin, and agreement.

    Each judge counts once a pair, by the first verdict; later ones tell only whether the judge agrees with itself. Wins
    are shares of the verdicts that prefer a take. Pairs of one origin count for neither.

    Args:
        verdicts: As `read_verdicts` gives them.

    Returns:
        Of names to values: `verdicts`, `judges`, `pairs`; `origins` and `duels` (two origins against each other), lists
        of rows; `same_origin`, verdicts on pairs of one origin; `reasons`; `repeated_pairs` and `between_judges`, how
        often two verdicts on a pair are the same; `first_shown`, how often A was preferred.

    Example:
        >>> sides = [{"audio": f"{x}.wav", "sha256": x * 64, "origin": {"name": x}} for x in ("old", "new")]
        >>> verdicts = [Verdict(str(n), Judge("person", "anna"), "B", *sides) for n in range(3)]
        >>> [(row["origin"], row["wins"]) for row in summarise(verdicts)["origins"]]
        [('new', 3), ('old', 0)]
    """
    by_judge: dict[tuple[Judge, str], list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_judge[verdict.judge, verdict.pair].append(verdict)
    first = [several[0] for several in by_judge.values()]
    by_pair: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in first:
        by_pair[verdict.pair].append(verdict)
    duels = [verdict for verdict in first if _origin(verdict.a) != _origin(verdict.b)]
    decided = [verdict for verdict in verdicts if verdict.winner is not None]
    return {
        "verdicts": len(verdicts),
        "judges": dict(Counter(verdict.judge.name for verdict in verdicts)),
        "pairs": len(by_pair),
        "origins": _origin_rows(duels),
        "duels": _duel_rows(duels),
        "same_origin": len(first) - len(duels),
        "reasons": dict(Counter(reason for verdict in verdicts for reason in verdict.reasons).most_common()),
        "repeated_pairs": _agreement(several[:2] for several in by_judge.values())._asdict(),
        "between_judges": _agreement(
            list(two) for several in by_pair.values() for two in itertools.combinations(several, 2)
        )._asdict(),
        "first_shown": wilson(sum(verdict.verdict == "A" for verdict in decided), len(decided))._asdict(),
    }


def summary_text(summary: JsonObject) -> str:
    """Write a summary to be read.

    Args:
        summary: As `summarise` gives it.

    Returns:
        Several lines.

    Example:
        >>> print(summary_text(summarise([])))
        no verdicts yet
    """
    if not summary["verdicts"]:
        return "no verdicts yet"
    judges = ", ".join(f"{name} ({n})" for name, n in summary["judges"].items())
    lines = [f"{summary['verdicts']} verdicts on {summary['pairs']} pairs, by {judges}", ""]
    width = max([len(row["origin"]) for row in summary["origins"]], default=0)
    for row in summary["origins"]:
        ties = f"equal {row['equal']}, both bad {row['both_bad']}"
        lines.append(f"{row['origin']:{width}}  preferred {Proportion(**row['preferred'])}; {ties}")
    if len(summary["origins"]) > 2:
        lines += ["", *(f"{r['first']} over {r['second']}: {Proportion(**r['preferred'])}" for r in summary["duels"])]
    if summary["same_origin"]:
        lines.append(f"{summary['same_origin']} verdicts are on two takes of one origin, which no row above counts")
    if summary["reasons"]:
        lines += ["", "reasons: " + ", ".join(f"{reason} {n}" for reason, n in summary["reasons"].items())]
    known = (
        ("repeated_pairs", "repeated pairs with the same verdict: {}"),
        ("between_judges", "two judges with the same verdict: {}"),
        ("first_shown", "A was preferred: {}; far from 50 %, the order decides"),
    )
    lines += ["", *(words.format(Proportion(**summary[name])) for name, words in known if summary[name]["total"])]
    lines.append("Intervals are Wilson's, 95 %, for verdicts that do not depend on each other.")
    return "\n".join(lines)


def _origin(side: JsonObject) -> str:
    return str(side["origin"].get("name", "unknown"))


def _origin_rows(verdicts: Sequence[Verdict]) -> list[JsonObject]:
    """A row an origin, the most preferred first."""
    names = sorted({_origin(side) for verdict in verdicts for side in (verdict.a, verdict.b)})
    rows = []
    for name in names:
        about = [verdict for verdict in verdicts if name in (_origin(verdict.a), _origin(verdict.b))]
        won = sum(verdict.winner is not None and _origin(verdict.winner) == name for verdict in about)
        lost = sum(verdict.loser is not None and _origin(verdict.loser) == name for verdict in about)
        kinds = Counter(verdict.verdict for verdict in about)
        rows.append(
            {
                "origin": name,
                "wins": won,
                "losses": lost,
                "equal": kinds["equal"],
                "both_bad": kinds["both bad"],
                "preferred": wilson(won, won + lost)._asdict(),
            }
        )
    return sorted(rows, key=lambda row: -(row["preferred"]["share"] or 0.0))


def _duel_rows(verdicts: Sequence[Verdict]) -> list[JsonObject]:
    """A row for each two origins that met."""
    won: Counter[tuple[str, str]] = Counter()
    met: set[tuple[str, str]] = set()
    for verdict in verdicts:
        names = sorted((_origin(verdict.a), _origin(verdict.b)))
        met.add((names[0], names[1]))
        if verdict.winner is not None and verdict.loser is not None:
            won[_origin(verdict.winner), _origin(verdict.loser)] += 1
    return [
        {"first": x, "second": y, "preferred": wilson(won[x, y], won[x, y] + won[y, x])._asdict()}
        for x, y in sorted(met)
    ]


def _agreement(several: Iterable[Sequence[Verdict]]) -> Proportion:
    """How often two verdicts on a pair are the same, whichever take was shown as A."""
    same = [_choice(two[0]) == _choice(two[1]) for two in several if len(two) == 2]
    return wilson(sum(same), len(same))


def _choice(verdict: Verdict) -> Hashable:
    return verdict.verdict if verdict.winner is None else verdict.winner["sha256"]
