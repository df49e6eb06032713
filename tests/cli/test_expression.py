"""Options of expression: read, checked, and refused before anything is loaded."""

from __future__ import annotations

import pytest

from musetune.cli.expression import curve_of, expression_of
from musetune.symbols.expression import Expression


def test_options_are_an_expression() -> None:
    said = expression_of("0:-20,8:-8", 0.62, 6.0, None)
    assert said == Expression(((0, -20), (8, -8)), note_density=6.0, swing=0.62)
    assert expression_of(None, None, None, None) is None
    assert expression_of("-16", None, None, 0.0) == Expression(((0, -16),), syncopation=0.0)


@pytest.mark.parametrize("text", ["loud", "0:-20,8", "0:-20,4:x", "0:1:2", "8:-20,0:-8", "0:-90"])
def test_a_curve_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="loudness"):
        expression_of(text, None, None, None)


def test_spaces_are_no_matter() -> None:
    assert curve_of("0:-20, 8:-8") == ((0.0, -20.0), (8.0, -8.0))
