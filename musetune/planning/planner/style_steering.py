"""A style as a prior over the grammar: what it shifts in the transformer's thoughts as a plan is written.

The transformer still chooses each word. How likely it holds a meter, a chord that stays, a further chord in the bar, or
a chord of some kind is shifted (in nats) by what the style wants and the plan so far lacks, so that a plan ends near
the share or the harmonic rhythm that was drawn for it. Chords as a whole stay as likely as they were beside what else
may come. So it does with the way that phrases go: a section's last bar comes home or stays open on a dominant, a
dominant seventh leads on, a phrase begins as the one before it, basses move by step, and no chord outstays the style's
longest across sections.
"""

from __future__ import annotations

import math
from collections import Counter

import torch
from torch import Tensor

from musetune.planning.planner.chord_roles import closing, dominant_degrees, group_starts, leading_home, of_kind
from musetune.planning.planner.constraints import PHRASE_BARS, Content, StylePrior
from musetune.planning.planner.language import PlanChord
from musetune.planning.planner.song_style import chord_kinds
from musetune.planning.planner.vocabulary import (
    FIRST,
    LABELS,
    MODES,
    RANGE,
    SOUNDING,
    TOKENS,
    TONICS,
    chord_at,
    chord_index,
)
from musetune.symbols import Key, Meter
from musetune.symbols.meter import METERS
from musetune.symbols.qualities import QUALITY_INTERVALS

NEVER = 30.0  # nats: leaves a word only where no other may come
SHARE_PULL = 12.0  # nats for each unit of share that is lacking
SLASH_PULL = 30.0  # the same for chords over another bass, which are rare
RHYTHM_PULL = 5.0  # nats for each chord that is lacking
CLOSE = 5.0  # nats for a tonic or dominant in a section's last bar
HOME = 16.0  # nats for a tonic in a song's last bar, where the song comes home
ROUND_END = 10.0  # nats for a tonic or dominant there, where the song goes round
LEAD_HOME = 12.0  # nats in the bar before for a chord from which the style comes home: V, IV, or its own
LEAD_ROUND = 4.0  # the same where the song goes round
PATIENCE = 4.0  # nats against a tonic there that goes on for too long: the song ends at home all the same
PHRASE_CLOSE = 1.5  # nats for them at the end of a phrase inside a section
APPROACH = 0.8  # nats for chords that lead to these in the bar before
RESOLVE = 2.0  # nats for the chord a fifth below a dominant seventh, half of it for the one a semitone below
ALIKE = 1.5  # nats for the chord of the phrase before, in the same bar of it
STEP_BASS, STRANGE_BASS = 1.5, 3.0  # nats for a bass by step, and against one that is no chord tone
ONE_TEXTURE = 0.95  # share of power chords in a section that begins with one
OFF_BEAT = 6.0  # nats against a chord between two beats
SMOOTHING = 2.0  # chords of the wanted share that count as written at the start
LEARNED = {"sevenths": 0.35, "outside": 0.15, "slash": 0.1}  # shares in the songs that the transformer learned from
HEAD_START = 4.0  # nats for each unit of share that the style wants beyond these
_CHORDS = range(RANGE["chord"][0], RANGE["chord"][-1])
_STEPS = range(RANGE["step"][0], RANGE["step"][-1] + 1)
_BASSES = range(RANGE["bass"][0], RANGE["bass"][-1] + 1)
_METERS = range(RANGE["meter"][0], RANGE["meter"][-1] + 1)
_LABELS = range(RANGE["label"][0], RANGE["label"][-1] + 1)


class StyleSteering:
    """What a plan has so far, and how the style shifts its next word.

    Args:
        prior: What the style wants of this plan.
        content: Bars that are pinned, by section and number, in a key and meter.
    """

    def __init__(self, prior: StylePrior, content: Content | None = None) -> None:
        self.prior, self.content = prior, content
        self.tonic = "C"
        self.mode, self.meter = "major", Meter(4, 4)
        self.in_bars = self.in_step = False
        self.form: list[int] = []  # words of the sections, in order
        self.counts: dict[int, int] = {}  # bars of each
        self.label = 0  # word of the section that is written
        self.written: list[int] = []  # words of the first chords of its bars
        self.bass: int | None = None  # of the chord that sounds, semitones above the tonic
        self.ends: dict[int, tuple[int, int]] = {}  # last chord of each and how long it has lasted
        self.bars = self.changes = self.chords = self.run = 0
        self.last: int | None = None  # word of the chord that sounds; None at the start of a section
        self.kinds: Counter[str] = Counter()
        self.before_bass: int | None = None  # of the chord before
        self.song: list[tuple[int, int]] = []  # sections' words and numbers of bars, in order
        self.places: dict[tuple[int, int], list[int]] = {}  # where each of them comes in the song
        self.roots: dict[tuple[int, int], list[int]] = {}  # degrees in each bar that is known
        self.palette: set[int] = set()  # degrees of the chords so far

    def observe(self, word: int) -> None:
        """Take account of the word that came."""
        if word in _METERS:
            self.meter = Meter.parse(METERS[word - _METERS[0]])
        elif word in RANGE["mode"]:
            self.mode = MODES[word - FIRST["mode"]]
        elif word in RANGE["tonic"]:
            self.tonic = TONICS[word - FIRST["tonic"]]
        elif word == FIRST["formed"]:
            self.in_bars = True
            self._read_pinned()
        elif not self.in_bars:
            if word in _LABELS:
                self.form.append(word)
            elif word in RANGE["count"]:
                self.counts[self.form[-1]] = word - FIRST["count"] + 1
        elif word in _LABELS:
            self._begin_section(word)
        elif word in _STEPS:
            self.in_step = True
        elif word in _BASSES:
            self.kinds["slash"] += 1
            self.bass = ((self.bass or 0) + word - _BASSES[0] + 1) % 12
        elif word in _CHORDS:
            self._observe_chord(word)

    def _read_pinned(self) -> None:
        """Take account of the form, and of the bars that are pinned in it."""
        self.song = [(label, number) for label in self.form for number in range(self.counts[label])]
        for index, place in enumerate(self.song):
            self.places.setdefault(place, []).append(index)
        names = {label: LABELS[label - FIRST["label"]] for label in self.counts}
        sections = tuple((names[label], self.counts[label]) for label in self.form)
        bars = {} if self.content is None else self.content(Key(self.tonic, self.mode), self.meter, sections)
        for label, number in self.places:
            if bar := bars.get((names[label], number)):
                self.roots[label, number] = [chord.degree for chord in bar]
        if self._comes_home() and self.prior.closes and (self.prior.hold or 0) > 1:
            self.roots.setdefault(self.song[-1], [0])  # what follows the last section elsewhere leaves room for it

    def _begin_section(self, label: int) -> None:
        """Go on from the section that stands before the first one of this label in the song."""
        first = self.form.index(label)
        self.label, self.written, self.in_step = label, [], False
        self.last, self.run = self.ends[self.form[first - 1]] if first else (None, 0)

    def _observe_chord(self, word: int) -> None:
        same = word == self.last or (self._has_power() and chord_at(word)[0] == self._last_root())
        if not self.in_step:
            self.written.append(word)
        self.bars += not self.in_step
        self.changes += not same
        self.run = self.run + (not self.in_step) if same else 1
        place = self.label, len(self.written) - 1
        self.roots[place] = [*(self.roots.get(place, ()) if self.in_step else ()), chord_at(word)[0]]
        self.chords += 1
        self.kinds.update(chord_kinds(PlanChord(0, *chord_at(word)), self.mode))
        self.palette.add(chord_at(word)[0])
        self.last, self.in_step = word, False
        self.before_bass, self.bass = self.bass, chord_at(word)[0]
        self.ends[self.label] = word, self.run

    def _has_power(self) -> bool:
        """Whether the style has power chords, so that C5 and C are one chord."""
        return self.prior.shares.get("power", 0.0) > 0

    def _last_root(self) -> int | None:
        return None if self.last is None else chord_at(self.last)[0]

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
        if any(word in _BASSES for word in choices):
            self._shift_basses(scores)
        return scores

    def _shift_basses(self, scores: Tensor) -> None:
        """Basses that are chord tones and move by step go first; all of them are as likely as the style's share."""
        basses = slice(_BASSES[0], _BASSES[-1] + 1)
        mass = scores[basses].logsumexp(0)
        if self.last is not None and self.prior.closes:
            tones = set(QUALITY_INTERVALS[chord_at(self.last)[1]])
            root = chord_at(self.last)[0]
            for word in _BASSES:
                tone = word - _BASSES[0] + 1
                scores[word] -= STRANGE_BASS * (tone not in tones)
                if self.before_bass is not None and (root + tone - self.before_bass) % 12 in (1, 2, 10, 11):
                    scores[word] += STEP_BASS
        if len(self.written) == self.counts.get(self.label) and (self.prior.closes or self._is_closed()):
            mass -= NEVER  # nothing ends on an inversion
        scores[basses] += mass - scores[basses].logsumexp(0)
        if "slash" in self.prior.shares:
            scores[basses] += self._share_shift("slash")

    def _shift_chords(self, scores: Tensor) -> Tensor:
        scores = scores.clone()
        if "power" in self.prior.shares:
            self._set_power(scores)
        for kind in ("sevenths", "outside"):
            if kind in self.prior.shares:
                scores += self._share_shift(kind) * of_kind(kind, self.mode)
        if self.prior.closes:
            scores += self._phrase_shift()
        elif self._is_final() and self._comes_home():  # chorales, too, end at home
            scores += HOME * closing(self.mode)[0]
        if self.last is not None:
            scores[self.last] += self._stay_shift()
        self._forbid_static(scores)
        if self.prior.palette is not None and len(self.palette) >= self.prior.palette:
            others = [word for word in _CHORDS if chord_at(word)[0] not in self.palette]
            scores[others] -= 2 * NEVER
        return scores

    def _phrase_shift(self) -> Tensor:
        """(words,) what the place in the phrase shifts."""
        out = torch.zeros(len(TOKENS) + 1)
        count = self.counts.get(self.label, 0)
        bar = len(self.written) - self.in_step  # that the chord is in
        home, half, leads = closing(self.mode)
        last = bar == count - 1
        ends = self.label == self.form[-1] and self._comes_home()
        if last and ends:
            out += HOME * home
        elif last:
            out += (ROUND_END if self.label == self.form[-1] else CLOSE) * (home + half)
        elif self._is_before_the_end(bar):
            out += (LEAD_HOME if ends else LEAD_ROUND) * leading_home(self.prior.approaches[self.mode], self.mode)
        elif (bar + 1) % PHRASE_BARS == 0:
            out += PHRASE_CLOSE * (home + half)
        elif bar == count - 2:
            out += APPROACH * leads
        if self.prior.resolves and not last and self.last in dominant_degrees():
            degree = dominant_degrees()[self.last]
            for word in _CHORDS:
                out[word] += RESOLVE * {5: 1.0, 11: 0.5}.get((chord_at(word)[0] - degree) % 12, 0.0)
        if not self.in_step and bar >= PHRASE_BARS and bar < count - 1:
            earlier = 2 * PHRASE_BARS if bar >= 2 * PHRASE_BARS else PHRASE_BARS
            out[self.written[bar - earlier]] += ALIKE
        return out

    def _is_final(self) -> bool:
        """Whether the bar that is written is the song's last."""
        return self.label == self.form[-1] and len(self.written) - self.in_step == self.counts.get(self.label, 0) - 1

    def _is_before_the_end(self, bar: int) -> bool:
        """Whether a bar of the section that is written is the song's last but one, in which a chord leads home."""
        return bar == self.counts.get(self.label, 0) - 2 and self.label == self.form[-1] and bool(self.prior.approaches)

    def _comes_home(self) -> bool:
        """Whether the song ends on the tonic: as its style does, and wherever there is an outro."""
        return self.prior.home or self.form[-1] == FIRST["label"] + LABELS.index("outro")

    def _forbid_static(self, scores: Tensor) -> None:
        """No root for longer than the style's longest, in any place of the song where this bar comes."""
        if self.prior.hold is None:
            return
        bar = len(self.written) - self.in_step
        final = self._comes_home() and self.prior.closes and (self.label, bar) == self.song[-1]
        for degree in range(12):
            if self._longest_run(degree, bar) > self.prior.hold:
                words = [word for word in _CHORDS if chord_at(word)[0] == degree]  # C5 and C are one chord
                scores[words] -= PATIENCE if final and degree == 0 else 2 * NEVER

    def _longest_run(self, degree: int, bar: int) -> int:
        """Bars for which a root would sound in a row, wherever the bar that is written comes in the song."""
        longest, here = 1, (self.label, bar)
        known = self.roots | {here: [*(self.roots.get(here, ()) if self.in_step else ()), degree]}
        for place in self.places[here]:
            run = 1
            earlier = self.song[:place][::-1] if not self.in_step else []
            for around, far in ((earlier, -1), (self.song[place + 1 :], 0)):
                for other in around:
                    roots = known.get(other)
                    if not roots or roots[far] != degree:
                        break
                    run += 1
                    if any(root != degree for root in roots):
                        break
            longest = max(longest, run)
        return longest

    def _set_power(self, scores: Tensor) -> None:
        """Power chords, which the transformer has hardly seen, are as likely as triads on their root times odds."""
        wanted = self.prior.shares["power"]
        share = min(max(2 * wanted - self._share("power", wanted), 0.02), 0.98) if 0 < wanted < 1 else wanted
        if 0 < wanted < 1 and self.written:  # one texture a section, that of its first chord
            share = ONE_TEXTURE if chord_at(self.written[0])[1] == "5" else 1 - ONE_TEXTURE
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
        if self.in_step:
            return -2 * NEVER
        count = self.counts.get(self.label, 0)
        if self.prior.changes is None or (self.prior.closes and len(self.written) == count - 1):
            return 0.0  # what closes a section is no matter of the rhythm
        pull = -RHYTHM_PULL * self._lacking(self.bars + 1)
        if self.prior.closes and self._is_before_the_end(len(self.written)):
            return min(pull, 0.0)  # nor is what leads home: nothing goes on there because the plan has changed enough
        return pull

    def _step_shift(self, word: int) -> float:
        if self._is_closed():
            return -2 * NEVER
        off = word - _STEPS[0] + 1 not in group_starts(str(self.meter))
        rhythm = 0.0 if self.prior.changes is None else RHYTHM_PULL * min(self._lacking(self.bars), 1.0)
        return rhythm - off * OFF_BEAT

    def _is_closed(self) -> bool:
        """Whether the chord that sounds closes its section; the song's last bar may lead home first."""
        if self.last is None or len(self.written) != self.counts.get(self.label):
            return False
        home, half, _ = closing(self.mode)
        final = self.label == self.form[-1] and self._comes_home()
        if not self.prior.closes:
            return final and bool(home[self.last])
        return bool(home[self.last]) or bool(half[self.last] and not final)

    def _lacking(self, bars: int) -> float:
        """Chords that the first so many bars lack."""
        return (self.prior.changes or 0) * bars - self.changes
