"""Strangers' text: a value or a ValueError, soon, never another error."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from musetune.symbols import Chord, Key, Meter
from musetune.symbols.qualities import degree_semitones
from musetune.theory.numerals import resolve_roman

C = Key("C")
READERS: dict[str, Callable[[str], object]] = {
    "chord": Chord.parse,
    "chord in a key": lambda text: Chord.parse(text, C),
    "numeral": lambda text: resolve_roman(text, C),
    "key": Key.parse,
    "meter": Meter.parse,
    "interval": degree_semitones,
}
MUSICAL = st.text("ABCDEFGHabcdefgm#b♯♭0123456789/()+-,*:.^△øo°iIvVMjsunda ", max_size=40)


@pytest.mark.parametrize("reader", READERS)
@given(text=st.one_of(MUSICAL, st.text(max_size=60)))
@example(text="")
@example(text="C" + "(" * 30)
@example(text="/".join("V" * 1000))
@example(text="V/" * 8 + "V")
@example(text="b" * 10**5 + "VII")
@example(text="9" * 5000 + "/4")
def test_any_text_is_read_or_refused(reader: str, text: str) -> None:
    with contextlib.suppress(ValueError):
        READERS[reader](text)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("unit", ["C", "V/", "9", "b", "#", "(", "C7/", "-", "\u2028", "C:maj(", "1/"])
def test_a_million_characters_are_refused_at_once(reader: str, unit: str) -> None:
    start = time.perf_counter()
    with pytest.raises(ValueError) as error:
        READERS[reader](unit * (10**6 // len(unit)))
    assert time.perf_counter() - start < 0.5
    assert len(str(error.value)) < 1000
