"""A style as a prior over the grammar: what it shifts in the transformer's thoughts as a plan is written.

The transformer still chooses each word. How likely it holds a meter, a chord that stays, a further chord in the bar, or
a chord of some kind is shifted (in nats) by what the style wants and the plan so far lacks, so that a plan ends near
the share or the harmonic rhythm that was drawn for it. Chords as a whole stay as likely as they were beside what else
may come.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache

import torch
from torch import Tensor

from musetune.planning.planner.constraints import StylePrior
from musetune.planning.planner.language import PlanChord, steps_per_beat
from musetune.planning.planner.song_styles import chord_kinds
from musetune.planning.planner.vocabulary import FIRST, MODES, RANGE, SOUNDING, TOKENS, chord_at, chord_index
from musetune.symbols import Meter
from musetune.symbols.meter import METERS

NEVER = 30.0  # nats: leaves a word only where no other may come
SHARE_PULL = 12.0  # nats for each unit of share that is lacking
SLASH_PULL = 30.0  # the same for chords over another bass, which are rare
RHYTHM_PULL = 5.0  # nats for each chord that is lacking
OFF_BEAT = 6.0  # nats against a chord between two beats
SMOOTHING = 2.0  # chords of the wanted share that count as written at the start
LEARNED = {"sevenths": 0.35, "outside": 0.15, "slash": 0.1}  # shares in the songs that the transformer learned from
HEAD_START = 4.0  # nats for each unit of share that the style wants beyond these
_CHORDS = range(RANGE["chord"][0], RANGE["chord"][-1])
_STEPS = range(RANGE["step"][0], RANGE["step"][-1] + 1)
_BASSES = range(RANGE["bass"][0], RANGE["bass"][-1] + 1)
_METERS = range(RANGE["meter"][0], RANGE["meter"][-1] + 1)
_LABELS = range(RANGE["label"][0], RANGE["label"][-1] + 1)


@lru_cache(maxsize=8)
def _of_kind(kind: str, mode: str) -> Tensor:
    """(words,) 1 where a word is a chord of the kind, else 0."""
    out = torch.zeros(len(TOKENS) + 1)
    for word in _CHORDS:
        out[word] = kind in chord_kinds(PlanChord(0, *chord_at(word)), mode)
    return out


class StyleSteering:
    """What a plan has so far, and how the style shifts its next word.

    Args:
        prior: What the style wants of this plan.
    """

    def __init__(self, prior: StylePrior) -> None:
        self.prior = prior
        self.mode, self.meter = "major", Meter(4, 4)
        self.in_bars = self.in_step = False
        self.bars = self.changes = self.chords = self.run = 0
        self.last: int | None = None  # word of the chord that sounds; None at the start of a section
        self.kinds: Counter[str] = Counter()
        self.palette: set[int] = set()  # degrees of the chords so far

    def observe(self, word: int) -> None:
        """Take account of the word that came."""
        if word in _METERS:
            self.meter = Meter.parse(METERS[word - _METERS[0]])
        elif word in RANGE["mode"]:
            self.mode = MODES[word - FIRST["mode"]]
        elif word == FIRST["formed"]:
            self.in_bars = True
        elif not self.in_bars:
            return
        elif word in _LABELS:
            self.last, self.run, self.in_step = None, 0, False
        elif word in _STEPS:
            self.in_step = True
        elif word in _BASSES:
            self.kinds["slash"] += 1
        elif word in _CHORDS:
            self._observe_chord(word)

    def _observe_chord(self, word: int) -> None:
        same = word == self.last
        self.bars += not self.in_step
        self.changes += not same
        self.run = self.run + (not self.in_step) if same else 1
        self.chords += 1
        self.kinds.update(chord_kinds(PlanChord(0, *chord_at(word)), self.mode))
        self.palette.add(chord_at(word)[0])
        self.last, self.in_step = word, False

    def shift(self, scores: Tensor, choices: tuple[int, ...]) -> Tensor:
        """Shift scores.

        Args:
            scores: (words,) what the transformer thinks, in nats up to a constant.
            choices: Words that may come.

        Returns:
            (words,) the scores with the style's shifts.
        """
        scores = scores.clone()
        if choices[0] in _METERS:
            for meter, weight in self.prior.meters:
                scores[_METERS[0] + METERS.index(meter)] += math.log(weight)
            return scores
        if not self.in_bars:
            return scores
        chords = [word for word in choices if word in _CHORDS]
        if len(chords) > 1:
            places = torch.tensor(chords)
            shifted = self._shift_chords(scores)[places]
            scores[places] = shifted + scores[places].logsumexp(0) - shifted.logsumexp(0)
        for word in (word for word in choices if word in _STEPS):
            scores[word] += self._step_shift(word)
        if "slash" in self.prior.shares:
            scores[_BASSES[0] : _BASSES[-1] + 1] += self._share_shift("slash")
        return scores

    def _shift_chords(self, scores: Tensor) -> Tensor:
        scores = scores.clone()
        if "power" in self.prior.shares:
            self._set_power(scores)
        for kind in ("sevenths", "outside"):
            if kind in self.prior.shares:
                scores += self._share_shift(kind) * _of_kind(kind, self.mode)
        if self.last is not None:
            scores[self.last] += self._stay_shift()
        if self.prior.palette is not None and len(self.palette) >= self.prior.palette:
            others = [word for word in _CHORDS if chord_at(word)[0] not in self.palette]
            scores[others] -= 2 * NEVER
        return scores

    def _set_power(self, scores: Tensor) -> None:
        """Power chords, which the transformer has hardly seen, are as likely as triads on their root times odds."""
        wanted = self.prior.shares["power"]
        share = min(max(2 * wanted - self._share("power", wanted), 0.02), 0.98) if 0 < wanted < 1 else wanted
        for degree in range(12):
            triads = scores[[chord_index(degree, "maj"), chord_index(degree, "min")]].logsumexp(0)
            odds = math.log(share / (1 - share)) if 0 < share < 1 else math.copysign(NEVER, share - 0.5)
            scores[chord_index(degree, SOUNDING[SOUNDING.index("5")])] = triads + odds

    def _share(self, kind: str, wanted: float) -> float:
        return (self.kinds[kind] + SMOOTHING * wanted) / (self.chords + SMOOTHING)

    def _share_shift(self, kind: str) -> float:
        wanted = self.prior.shares[kind]
        if wanted in (0, 1):
            return math.copysign(NEVER, wanted - 0.5)
        pull = SLASH_PULL if kind == "slash" else SHARE_PULL
        return HEAD_START * (wanted - LEARNED[kind]) + pull * (wanted - self._share(kind, wanted))

    def _stay_shift(self) -> float:
        """How much likelier the chord that sounds begins the next bar; never in the middle of a bar."""
        if self.in_step or (self.prior.hold is not None and self.run >= self.prior.hold):
            return -2 * NEVER
        return 0.0 if self.prior.changes is None else -RHYTHM_PULL * self._lacking(self.bars + 1)

    def _step_shift(self, word: int) -> float:
        off = (word - _STEPS[0] + 1) % steps_per_beat(self.meter) != 0
        rhythm = 0.0 if self.prior.changes is None else RHYTHM_PULL * min(self._lacking(self.bars), 1.0)
        return rhythm - off * OFF_BEAT

    def _lacking(self, bars: int) -> float:
        """Chords that the first so many bars lack."""
        return (self.prior.changes or 0) * bars - self.changes
