"""The grammar of stems: what may follow, what harmony a token stands on, and the notes that it means.

One walker reads one text.
"""

from __future__ import annotations

from functools import cache, cached_property

import numpy as np

from musetune.planning.arranger.language import (
    BAR,
    COMPOUND,
    END,
    HIT,
    HITS,
    LENGTH,
    LENGTHS,
    LOWEST,
    MAX_BARS,
    MAX_BEATS,
    OFFSETS,
    PITCH,
    POSITION,
    STEM,
    STEM_RANGES,
    STEPS,
    VOCABULARY,
    Passage,
    StemEvent,
    beats_of,
    nearest_length,
    offsets_of,
    position,
    position_step,
)
from musetune.symbols import QUALITIES
from musetune.symbols.arrangement import STEMS

NOWHERE = MAX_BEATS * len(OFFSETS)  # the place of tokens that stand at no position
# Sizes of what comes with a token: stem, bar, bars left, place, chord's root, quality, bass, next chord's root,
# quality, beats until then.
CONTEXT = (
    len(STEMS) + 1, MAX_BARS + 1, MAX_BARS + 1, NOWHERE + 1, 13, len(QUALITIES), 13, 14, len(QUALITIES) + 1, 6,
)  # fmt: skip


class StemTextReader:
    """Follows a passage's text token by token: ``push`` what is written, ask ``allowed`` and ``context`` on the way."""

    def __init__(self, passage: Passage) -> None:
        self.passage, self.stem = passage, ""
        self.bar, self.step = -1, -1  # the bar, and the onset's step inside it (−1: none yet)
        self.onsets, self.rests = 0, 0  # of this bar; empty bars before it
        self.pitches: list[int] = []  # of the open onset
        self.closed = True  # no onset is open
        self.events: dict[str, list[StemEvent]] = {}

    @cached_property
    def _chords(self) -> list[tuple[int, int, int, int, int, int]]:
        return _chord_features(self.passage)

    def push(self, token: int) -> None:
        """Read one token. The head's tokens change nothing."""
        if STEM <= token < STEM + len(STEMS):
            self.stem, self.bar, self.step, self.closed = STEMS[token - STEM], -1, -1, True
            self.onsets, self.rests = 1, 0
            self.events[self.stem] = []
        elif token == BAR:
            self.rests = 0 if self.onsets else self.rests + 1
            self.bar, self.step, self.onsets = self.bar + 1, -1, 0
        elif token == END:
            self.stem, self.bar, self.step = "", -1, -1
        elif POSITION <= token < PITCH:
            self.step, self.onsets, self.pitches, self.closed = position_step(token), self.onsets + 1, [], False
        elif PITCH <= token < LENGTH:
            self.pitches.append(token - PITCH + LOWEST)
        elif LENGTH <= token < HIT:
            self._close(self.pitches, LENGTHS[token - LENGTH])
        elif HIT <= token < VOCABULARY:
            self._close([token - HIT], 3)

    def _close(self, pitches: list[int], steps: int) -> None:
        start, self.closed = self.bar * self.passage.bar_steps + self.step, True
        self.events[self.stem] += [StemEvent(start, pitch, steps) for pitch in pitches]

    def context(self) -> list[int]:
        """What comes with the token that was pushed last, indices below ``CONTEXT``."""
        if not self.stem:
            return [0, MAX_BARS, 0, NOWHERE, *self._chords[0]]
        stem, bar = STEMS.index(self.stem) + 1, max(self.bar, 0)
        step = NOWHERE if self.step < 0 else position(self.step) - POSITION
        beat_step = bar * self.passage.bar_steps + max(self.step, 0)
        where = MAX_BARS if self.bar < 0 else bar
        return [stem, where, self.passage.bars - bar, step, *self._chords[beat_step]]

    def allowed(self) -> np.ndarray:
        """(VOCABULARY,) true where a token may follow inside a stem.

        Raises RuntimeError between stems, where the caller decides.
        """
        if not self.stem:
            raise RuntimeError("no stem is being written: push a stem token first")
        p, player = self.passage, STEM_RANGES[self.stem]
        if self.bar < 0:
            return _only(BAR)
        if self.closed:
            most = player.onsets * beats_of(p.meter) * (3 if p.meter in COMPOUND else 2) // 8
            last = self.bar + 1 == p.bars
            return _onset_mask(p.meter, self.step if self.onsets < most else p.bar_steps, END if last else BAR)
        if self.stem == "drums":
            return _hit_mask()
        low = max(player.low - p.offset, self.pitches[-1] + 1 if self.pitches else 0)
        more = len(self.pitches) < player.voices
        room = p.steps - self.bar * p.bar_steps - self.step if self.pitches else 0
        return _note_mask(low if more else 128, player.high - p.offset, room)


@cache
def _only(token: int) -> np.ndarray:
    mask = np.zeros(VOCABULARY, bool)
    mask[token] = True
    return mask


@cache
def _onset_mask(meter: str, after: int, close: int) -> np.ndarray:
    """A later position in the bar, or ``close``."""
    mask = _only(close).copy()
    for step in (beat * STEPS + offset for beat in range(beats_of(meter)) for offset in offsets_of(meter)):
        if step > after:
            mask[position(step)] = True
    return mask


@cache
def _hit_mask() -> np.ndarray:
    mask = np.zeros(VOCABULARY, bool)
    mask[HIT + 1 : HIT + HITS] = True
    return mask


@cache
def _note_mask(low: int, high: int, room: int) -> np.ndarray:
    """Pitches ``low`` to ``high`` as written in C, and lengths that fit into ``room`` steps (0: no length yet)."""
    mask = np.zeros(VOCABULARY, bool)
    mask[PITCH + max(low - LOWEST, 0) : PITCH + max(high - LOWEST + 1, 0)] = True
    mask[LENGTH:HIT] = [steps <= room for steps in LENGTHS]
    return mask


def _chord_features(passage: Passage) -> list[tuple[int, int, int, int, int, int]]:
    """For each step: root, quality and bass of the chord; root and quality of the next (13 and the last: none).

    Beats until it, up to 5.
    """
    out: list[tuple[int, int, int, int, int, int]] = []
    for i, chord in enumerate(passage.harmony):
        following = passage.harmony[i + 1] if i + 1 < len(passage.harmony) else None
        end = min(following.step if following else passage.steps, passage.steps)
        then = (following.root, following.quality) if following else (13, len(QUALITIES))
        out += [
            (chord.root, chord.quality, chord.bass, *then, min(-(-(end - step) // STEPS), 5))
            for step in range(len(out), end)
        ]
    return out


def write(stem: str, events: list[StemEvent], passage: Passage) -> list[int]:
    """The tokens of a stem that plays ``events``, from its stem token to its end.

    Events off the grid, out of the stem's range or beyond what it may hold in a bar or at once are left out; of an
    onset's lengths the median counts.
    """
    onsets: dict[int, list[StemEvent]] = {}
    for event in sorted(events, key=lambda e: (e.step, e.pitch)):
        onsets.setdefault(event.step, []).append(event)
    walker, out = StemTextReader(passage), [STEM + STEMS.index(stem), BAR]
    for token in out:
        walker.push(token)

    def put(*tokens: int) -> None:
        for token in tokens:
            walker.push(token)
            out.append(token)

    for step, notes in onsets.items():
        if not 0 <= step < passage.steps:
            continue
        while walker.bar < step // passage.bar_steps:
            put(BAR)
        here = step % passage.bar_steps
        if here % STEPS not in offsets_of(passage.meter) or not walker.allowed()[position(here)]:
            continue
        tokens = _onset_tokens(stem, notes, passage, step)
        if tokens:
            put(position(here), *tokens)
    while walker.bar + 1 < passage.bars:
        put(BAR)
    return [*out, END]


def _onset_tokens(stem: str, notes: list[StemEvent], passage: Passage, step: int) -> list[int]:
    """What follows an onset's position; nothing where no note is left."""
    if stem == "drums":
        return [HIT + notes[0].pitch]
    player = STEM_RANGES[stem]
    pitches = sorted({n.pitch for n in notes if player.low <= n.pitch + passage.offset <= player.high})
    if not pitches:
        return []
    if len(pitches) > player.voices:  # the outer voices count most
        pitches = [pitches[0], *pitches[len(pitches) - player.voices + 1 :]]
    if player.voices == 1:
        pitches = [pitches[0] if stem == "bass" else pitches[-1]]
    steps = sorted(n.steps for n in notes)[len(notes) // 2]
    return [PITCH + p - LOWEST for p in pitches] + [nearest_length(steps, passage.steps - step)]


def contexts(tokens: list[int], passage: Passage) -> list[list[int]]:
    """The context of each token of a text, see ``CONTEXT``."""
    walker, out = StemTextReader(passage), []
    for token in tokens:
        walker.push(token)
        out.append(walker.context())
    return out


def read_events(tokens: list[int], passage: Passage) -> dict[str, list[StemEvent]]:
    """The notes that a text means, by stem: the inverse of ``write``."""
    walker = StemTextReader(passage)
    for token in tokens:
        walker.push(token)
    return walker.events
