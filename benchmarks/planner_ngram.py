"""What the structure transformer is measured against.

An n-gram model with back-off, and a random walk, over the same words.

Interpolated Kneser-Ney smoothing (Kneser & Ney 1995; Chen & Goodman 1999, section 2.7), one discount.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from musetune.planning.planner.constraints import PlanConstraints
from musetune.planning.planner.grammar import song
from musetune.planning.planner.language import Plan, PlanBar, bar_words
from musetune.planning.planner.vocabulary import CHORDS, RANGE, chord_at

HEADING = -1  # stands before the first bar of a section, for every section alike
DISCOUNT = 0.75
Draw = Callable[[Sequence[int], Sequence[int], random.Random], int]  # words before, words allowed → word


def stream(sections: Sequence[Sequence[PlanBar]]) -> list[int]:
    """The words of a song's bars, a HEADING before each section."""
    return [word for bars in sections for word in (HEADING, *(w for bar in bars for w in bar_words(bar)))]


class NGram:
    """P(word | the ``order`` − 1 words before), learned from streams.

    Words that never came share a uniform rest of ``vocabulary`` words.
    """

    def __init__(self, streams: Sequence[Sequence[int]], order: int = 3, vocabulary: int = len(CHORDS) + 25) -> None:
        self.order, self.vocabulary = order, vocabulary
        self.counts: list[dict[tuple[int, ...], Counter[int]]] = [defaultdict(Counter) for _ in range(order)]
        for words in streams:
            padded = [HEADING] * (order - 1) + list(words)
            for at in range(order - 1, len(padded)):
                if padded[at] != HEADING:
                    self.counts[-1][tuple(padded[at - order + 1 : at])][padded[at]] += 1
        for level in range(order - 2, -1, -1):  # lower orders count in how many contexts a word came, not how often
            for context, counter in self.counts[level + 1].items():
                for word in counter:
                    self.counts[level][context[1:]][word] += 1

    def p(self, before: Sequence[int], word: int) -> float:
        """Probability of ``word`` after ``before``."""
        padded = [HEADING] * self.order + list(before)
        value = 1 / self.vocabulary
        for level in range(self.order):
            counter = self.counts[level].get(tuple(padded[len(padded) - level :]))
            if counter:
                total = sum(counter.values())
                value = max(counter[word] - DISCOUNT, 0) / total + DISCOUNT * len(counter) / total * value
        return value

    def draw(self, before: Sequence[int], allowed: Sequence[int], rng: random.Random) -> int:
        """A word of ``allowed``, as likely as this model finds it."""
        return rng.choices(allowed, [self.p(before, word) for word in allowed])[0]


def random_walk(before: Sequence[int], allowed: Sequence[int], rng: random.Random) -> int:
    """A major or minor triad on any degree for each bar, all alike."""
    plain = [word for word in allowed if word in CHORDS and chord_at(word)[1] in ("maj", "min")]
    return rng.choice(plain or list(allowed))


def written(pins: PlanConstraints, draw: Draw, rng: random.Random) -> Plan:
    """A plan whose first line and form are pinned or drawn evenly and whose bars ``draw`` writes."""
    grammar, before = song(pins), []  # type: ignore[var-annotated]
    allowed = next(grammar)
    bars = set(CHORDS) | set(RANGE["bass"]) | set(RANGE["step"])
    while True:
        if bars.isdisjoint(allowed):
            word = rng.choice(allowed)
            before = [*before, HEADING] if word in RANGE["label"] else before
        else:
            word = draw(before, allowed, rng)
            before = [*before, word if word in bars else HEADING]
        try:
            allowed = grammar.send(word)
        except StopIteration as done:
            return done.value


def chords_in(words: Sequence[int]) -> int:
    """How many of ``words`` are chords."""
    return sum(word in RANGE["chord"] for word in words)
