"""Styles that songs' sources name, in the words of captions."""

from __future__ import annotations

import pytest

from musetune.datasets.planner.songs import openewld_styles


@pytest.mark.parametrize(
    ("styles", "meter", "genre", "names"),
    [
        ("Swing:3, Ballad:2, Vocal:1", "4/4", "jazz", ("swing", "jazz ballad")),
        ("Vocal:4, Easy Listening:3", "4/4", "pop", ()),
        ("Musical:2, Soundtrack:1", "3/4", "pop", ("musical theatre", "film score", "waltz")),
        ("Bop:1", "3/4", "jazz", ("bebop", "jazz waltz")),
        ("", "4/4", "pop", ()),
    ],
)
def test_styles_of_the_index_become_words_of_captions(
    styles: str, meter: str, genre: str, names: tuple[str, ...]
) -> None:
    assert openewld_styles(styles, meter, genre) == names
