"""Captions name a style where the song is as the planner's table says of it, and no other."""

from __future__ import annotations

import random
from dataclasses import replace

from musetune.datasets.planner.captions import CaptionFacts, caption
from musetune.datasets.planner.style_names import fitting_styles
from musetune.planning.planner.language import Plan
from musetune.planning.planner.song_style import progression_bars
from musetune.symbols import Key, Meter

BOSSA = Plan(
    "jazz",
    Meter(4, 4),
    Key("C", "major"),
    126,
    ("open", 0),
    ("A", "A"),
    {"A": progression_bars("Cmaj7 | D7 | Dm7 | G7", "major", Meter(4, 4))},
)


def test_a_song_fits_the_styles_whose_rows_it_keeps() -> None:
    assert "bossa nova" in fitting_styles(BOSSA)
    assert "bossa nova" not in fitting_styles(replace(BOSSA, bpm=60))
    assert "bossa nova" not in fitting_styles(replace(BOSSA, meter=Meter(3, 4)))
    triads = {"A": progression_bars("C | D | Dm | G", "major", Meter(4, 4))}
    assert "bossa nova" not in fitting_styles(replace(BOSSA, content=triads))
    assert fitting_styles(replace(BOSSA, form=(), content={})) == []


def test_captions_name_the_style_in_about_half() -> None:
    facts = CaptionFacts("jazz", "4/4", "major", "C", 126, None, ("open", 0), style="bossa nova")
    rng = random.Random(0)
    named = sum("bossa nova" in caption(facts, rng)[0].lower() for _ in range(200))
    assert 60 < named < 140
