"""The chain of numerals: what it is made of, and that it follows what the heads say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from musetune.analysis.numerals.decode import DecodingWeights, decode
from musetune.analysis.numerals.vocabulary import (
    QUALITIES,
    bass_above_root,
    cadential,
    chord_number,
    chords,
    n_chords,
    states,
)

SIZES = {
    "key": 24,
    "applied": 12,
    "root": 12,
    "bass": 12,
    "quality": 12,
    "inversion": 4,
    "chord": n_chords(),
    "starts": 2,
}


def state(key: int, name: str, inversion: int = 0) -> int:
    """The number of a numeral in a key."""
    table = states()
    number = next(i for i, (mode, entry) in enumerate(chords()) if entry.name == name and mode == key % 2)
    rows = (table.key == key) & (table.chord == number) & (table.inversion == inversion)
    return int(np.flatnonzero(rows)[0])


def heads_for(path: list[int], certainty: float = 4.0) -> dict[str, np.ndarray]:
    """Heads that say what `path` says."""
    table, heads = states(), {}
    for name, size in SIZES.items():
        said = np.full((len(path), size), -certainty, np.float32)
        if name == "starts":
            begins = np.array([True, *(a != b for a, b in itertools.pairwise(path))])
            said[np.arange(len(path)), begins.astype(int)] = 0.0
        else:
            said[np.arange(len(path)), getattr(table, name)[path]] = 0.0
        heads[name] = said
    return heads


def test_every_numeral_is_consistent() -> None:
    table = states()
    assert len(np.unique(np.stack([table.key, table.chord, table.inversion], 1), axis=0)) == len(table.key)
    for number in range(0, len(table.key), 37):
        quality, inversion = QUALITIES[table.quality[number]], int(table.inversion[number])
        assert (table.root[number] + bass_above_root(quality, inversion)) % 12 == table.bass[number]
        tonic, mode = divmod(int(table.key[number]), 2)
        degree = ((table.root[number] - table.applied[number]) % 12, (table.applied[number] - tonic) % 12)
        assert chord_number(mode, degree, quality) == table.chord[number]


def test_a_chord_that_keys_do_not_have_has_no_number() -> None:
    assert chord_number(0, (6, 0), "aug") == -1
    assert cadential(0).name == "Cad64"


def test_the_path_is_what_the_heads_say() -> None:
    c, g = 0, 14
    path = (
        [state(c, "I")] * 4 + [state(c, "V7", 1)] * 2 + [state(c, "I")] * 2 + [state(g, "V7")] * 4 + [state(g, "I")] * 8
    )
    np.testing.assert_array_equal(decode(heads_for(path), np.ones(len(path), bool)), path)


def test_numerals_begin_only_where_notes_do() -> None:
    path = [state(0, "I")] * 4 + [state(0, "V")] * 4
    starts = np.ones(8, bool)
    starts[4] = False
    found = decode(heads_for(path), starts)
    assert found[4] == found[3]
    assert found[7] == path[7]


@pytest.mark.parametrize(("cost", "keys"), [(0.0, 2), (1000.0, 1)])
def test_a_dear_change_of_key_holds_keys_together(cost: float, keys: int) -> None:
    path = [state(0, "I")] * 6 + [state(14, "I")] * 2 + [state(0, "I")] * 6
    found = decode(heads_for(path, 1.0), np.ones(14, bool), DecodingWeights(key=cost))
    assert len(np.unique(states().key[found])) == keys


def test_long_scores_are_read_in_pieces() -> None:
    path = ([state(0, "I")] * 4 + [state(0, "IV")] * 4 + [state(0, "V")] * 8) * 80
    np.testing.assert_array_equal(decode(heads_for(path), np.ones(len(path), bool)), path)
