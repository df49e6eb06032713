"""Tempi that prompts leave open, by the words for tempo within what a style allows."""

from __future__ import annotations

import pytest

from musetune.planning.planner.everyday_words import read_everyday_words
from musetune.planning.planner.tempo_words import tempo_range


@pytest.mark.parametrize(
    ("text", "ranges", "tempi"),
    [
        ("no word", [(100, 200)], (100, 200)),
        ("no word", [], None),
        ("quick", [(100, 200)], (160, 200)),
        ("super fast", [(100, 200)], (175, 200)),
        ("slow", [(100, 200)], (80, 120)),
        ("slow", [(50, 80)], (50, 62)),
        ("laid-back", [(100, 200)], (100, 150)),
        ("laid back", [(100, 200)], (100, 150)),
        ("medium", [(100, 200)], (115, 160)),
        ("not too fast", [(100, 200)], (100, 150)),
        ("not too slow", [(100, 200)], (150, 200)),
        ("slow build", [(100, 200)], (100, 200)),
        ("fast", [], (108, 260)),
        ("presto", [(70, 132)], (168, 200)),
        ("Largo", [], (42, 60)),
        ("allegro ma non troppo", [(70, 132)], (112, 140)),
        ("largo, then presto", [(70, 132)], (70, 132)),
        ("slow, then fast", [], None),
        ("<1><2><0> bpm", [(100, 200)], None),
        ("<0><0><8>-bit", [(100, 200)], (100, 200)),
        ("<0><3><2> bars", [(100, 200)], (100, 200)),
    ],
)
def test_words_move_the_tempo_within_the_style(
    text: str, ranges: list[tuple[int, int]], tempi: tuple[int, int] | None
) -> None:
    assert tempo_range(text, ranges) == tempi


def test_fast_means_the_fastest_of_several_styles_and_slow_the_slowest() -> None:
    ranges = [(60, 100), (150, 250), None]
    assert tempo_range("fast", ranges) == (210, 250)
    assert tempo_range("slow", ranges) == (48, 68)


@pytest.mark.parametrize(
    "prompt", ["funeral march in C minor", "four-part chorale", "8-bit game music", "funky groove"]
)
def test_every_style_gives_its_tempo(prompt: str) -> None:
    assert read_everyday_words(prompt).bpm is not None


def test_funeral_march_is_slow() -> None:
    low, high = read_everyday_words("funeral march").bpm or (0, 0)
    assert low >= 40
    assert high <= 80
