"""Stems from the transformer.

Several passages are written side by side, stem after stem, each token drawn from what the grammar allows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from musetune.planning.arranger.copy_filter import CopyFilter
from musetune.planning.arranger.grammar import StemTextReader, write
from musetune.planning.arranger.language import BAR, END, HIT, LENGTH, LENGTHS, LOWEST, PITCH, STEM, Passage, StemEvent
from musetune.planning.arranger.model import StemDecoder, StemTransformer
from musetune.symbols.arrangement import STEMS

ROWS = 16  # passages side by side
RESTS = {"drums": 0, "bass": 0, "guitar": 1, "keys": 1, "lead": 2}  # empty bars in a row, at most


@dataclass
class StemRequest:
    """A passage, the stems to write, and what other stems already play there."""

    passage: Passage
    stems: tuple[str, ...]
    context: dict[str, list[StemEvent]] = field(default_factory=dict)


class _PassageWriter:
    """One passage on its way: forced tokens wait in ``queue``; where it is empty a token is drawn."""

    def __init__(self, request: StemRequest, seed: int, copies: CopyFilter | None) -> None:
        self.walker, self.rng, self.copies = StemTextReader(request.passage), np.random.default_rng(seed), copies
        self.request, self.finished, self.stem_count = request, False, 0
        self.todo = deque(s for s in STEMS if s in request.stems or s in request.context)
        self.queue = deque(request.passage.head())

    def next(self, logits: np.ndarray | None, temperature: float, least: float) -> int:
        """Push the next token and return it; ``logits`` (VOCABULARY,) are of this place."""
        if not self.queue and not self.walker.stem:
            self._open()
        if self.finished:
            return 0
        token = self.queue.popleft() if self.queue else self._draw(logits, temperature, least)
        self.stem_count += token == END and self.walker.stem in self.request.stems
        self.walker.push(token)
        return token

    def _open(self) -> None:
        """Begin the next stem, a given one in whole."""
        if not self.todo:
            self.finished = True
            return
        stem = self.todo.popleft()
        events = self.request.context.get(stem)
        self.queue.extend([STEM + STEMS.index(stem)] if events is None else write(stem, events, self.request.passage))

    def _draw(self, logits: np.ndarray | None, temperature: float, least: float) -> int:
        """A token that the grammar allows and that repeats no training song, where there is such a one."""
        assert logits is not None
        choices = np.flatnonzero(self.walker.allowed())
        if self._rests_too_long() and len(choices) > 1:
            choices = choices[(choices != BAR) & (choices != END)]
        scaled = logits[choices] / temperature
        chances = np.exp(scaled - scaled.max())
        chances[chances < least] = 0.0
        while True:
            total = np.cumsum(chances)
            pick = int(np.searchsorted(total, self.rng.random() * total[-1], side="right").clip(0, len(choices) - 1))
            if not self._is_copy(int(choices[pick])):
                return int(choices[pick])
            scaled[pick] = -np.inf
            if not np.isfinite(scaled).any():  # every way on is a copy
                return int(choices[pick])
            chances[pick] = 0.0
            if not chances.any():
                chances = np.exp(scaled - scaled.max())

    def _rests_too_long(self) -> bool:
        """Whether the bar that is open must not stay empty.

        Who is asked to play does not leave out more bars in a row than ``RESTS``.
        """
        walker = self.walker
        most = min(RESTS[walker.stem], walker.passage.bars - 1)
        return walker.bar >= 0 and walker.closed and not walker.onsets and walker.rests >= most

    def _is_copy(self, token: int) -> bool:
        """Whether the token completes a note that ends a run from the training songs.

        A pitch of lead, a length of the others.
        """
        walker, stem = self.walker, self.walker.stem
        if self.copies is None or not (PITCH <= token < LENGTH if stem == "lead" else LENGTH <= token < HIT):
            return False
        start = walker.bar * walker.passage.bar_steps + walker.step
        steps = 0 if stem == "lead" else LENGTHS[token - LENGTH]
        pitches = [token - PITCH + LOWEST] if stem == "lead" else walker.pitches
        return self.copies.repeats(walker.events[stem], [StemEvent(start, p, steps) for p in pitches], stem)


def compose(
    model: StemTransformer,
    requests: list[StemRequest],
    *,
    seed: int = 0,
    temperature: float = 0.9,
    least: float = 0.05,
    copies: CopyFilter | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, list[StemEvent]]]:
    """Write what each request asks for; the same seed, the same notes.

    temperature: above 0; lower is plainer. least: tokens whose chance is below this share of the likeliest one's are
    never drawn, 0–1. copies: runs of notes that are not to be written again. progress: told (stems written, stems in
    all). Returns for each request its stems' events. Raises ValueError outside these ranges.
    """
    if not temperature > 0:
        raise ValueError(f"temperature={temperature} is not above 0; 0.9 is usual")
    if not 0 <= least <= 1:
        raise ValueError(f"least={least} is outside 0–1; 0.05 is usual")
    out: list[dict[str, list[StemEvent]]] = []
    total = sum(len(r.stems) for r in requests)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the matrices are small: a second thread costs more than it brings
    try:
        for first in range(0, len(requests), ROWS):
            rows = [
                _PassageWriter(r, seed * 1_000_003 + first + i, copies)
                for i, r in enumerate(requests[first : first + ROWS])
            ]
            before = sum(len(r.stems) for r in requests[:first])
            tell = None if progress is None else partial(_tell, progress, before, total)
            _run(model, rows, temperature, least, tell)
            out += [{s: row.walker.events[s] for s in row.request.stems} for row in rows]
    finally:
        torch.set_num_threads(threads)
    return out


def _tell(progress: Callable[[int, int], None], before: int, total: int, count: int) -> None:
    progress(before + count, total)


def _run(
    model: StemTransformer,
    rows: list[_PassageWriter],
    temperature: float,
    least: float,
    tell: Callable[[int], None] | None,
) -> None:
    """Step all rows until the last has ended."""
    steps, logits, count = StemDecoder(model, len(rows)), None, 0
    tokens, contexts = torch.zeros(len(rows), dtype=torch.long), torch.zeros(len(rows), 10, dtype=torch.long)
    while True:
        for i, row in enumerate(rows):
            tokens[i] = row.next(None if logits is None else logits[i], temperature, least)
            if not row.finished:
                contexts[i] = torch.tensor(row.walker.context())
        if all(row.finished for row in rows):
            return
        logits = steps(tokens, contexts).numpy()
        now = sum(row.stem_count for row in rows)
        if tell and now > count:
            tell(now)
        count = now
