"""Strokes are asked for where the crop of the take has them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small import ROW_S, ROWS, make_dataset

from musetune.datasets.preference_set import PreferenceSet, write_preferences
from musetune.datasets.tokens import load_tokens
from musetune.evaluation.notes import strokes_of
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement
from musetune.training import seeding
from musetune.training.batch import Dropout, draw_batch
from musetune.training.stroke_feedback import labels_of

FRAMES_A_ROW = 8


@pytest.mark.parametrize("crop_rows", [4, None])
def test_labels_are_cropped_as_the_takes_are(tmp_path: Path, crop_rows: int | None) -> None:
    write_preferences(make_dataset(tmp_path, 3, played=True), "recogniser", [], {}, {})
    chosen, places = PreferenceSet(tmp_path), [2, 0, 1, 2]
    chosen.data.latents[:] = torch.arange(ROWS).view(1, 1, ROWS, 1)  # each row is its own number
    frames_per_row = 4

    def generators() -> list[torch.Generator]:
        return [seeding.generator(7, 3, str(place)) for place in range(len(places))]

    batch = draw_batch(
        chosen.data,
        load_tokens(chosen.data, frames_per_row),
        places,
        generators(),
        frames_per_row=frames_per_row,
        crop_rows=crop_rows,
        dropout=Dropout(),
    )
    rows = crop_rows or ROWS
    labels = labels_of(chosen, places, generators(), crop_rows, rows * FRAMES_A_ROW)
    starts = [int(one[0, 0, 0]) for one in batch.latents]
    assert crop_rows is None or len(set(starts)) > 1
    for place, start, own in zip(places, starts, labels, strict=True):
        clip = chosen.data.clips[place]
        assert clip.arrangement is not None
        notes = Arrangement.from_json(clip.arrangement, LeadSheet.from_json(clip.lead_sheet).grid)
        kicks = strokes_of(notes, ROWS * ROW_S)["kick"] / ROW_S
        inside = [kick - start for kick in kicks if 0 <= (kick - start) < rows - 1 / FRAMES_A_ROW]
        assert {round(kick * FRAMES_A_ROW) for kick in inside} == set((own[0] == 1).nonzero().flatten().tolist())
