"""Keys and their changes, from chords and the network's opinion."""

from __future__ import annotations

import numpy as np
import pytest

from musetune.analysis.listening.chords import ChordScores, ChordTrack
from musetune.analysis.listening.keys import find_keys, key_name
from musetune.analysis.listening.vocabulary import N_CHORDS, N_KEYS


def heard(
    labels: list[str], opinion: np.ndarray | None = None
) -> tuple[ChordTrack, ChordScores, np.ndarray, np.ndarray]:
    """One chord a bar of four; `opinion` (bars, N_KEYS) log-probabilities, by default none."""
    bars = len(labels)
    edges = np.arange(0, 4 * bars + 0.5, 0.5)
    spans = np.stack([np.arange(bars) * 4.0, np.arange(1, bars + 1) * 4.0], axis=1)
    key = np.full((bars, N_KEYS), -np.log(N_KEYS)) if opinion is None else opinion
    scores = ChordScores(
        np.zeros((8 * bars, N_CHORDS)), np.zeros((8 * bars, 13)), np.repeat(key, 8, axis=0), np.ones(8 * bars, bool)
    )
    return ChordTrack(spans / 2, labels, np.ones(bars), spans), scores, edges, np.arange(0, 4 * bars + 1, 4)


@pytest.mark.parametrize(
    ("labels", "key"),
    [
        (["C:maj", "F:maj", "G:7", "C:maj"], "C major"),
        (["A:min", "D:min", "E:7", "A:min"], "A minor"),
        (["Db:maj", "Ab:maj/3", "Bb:min", "Gb:maj".replace("Gb", "F#")], "Db major"),
    ],
)
def test_the_chords_alone_tell(labels: list[str], key: str) -> None:
    found = find_keys(*heard(labels * 4))
    assert found.main == key
    assert found.names == (key,)
    assert 1 / N_KEYS < found.confidence < 0.5  # the network holds its peace


def test_a_modulation_is_found_where_it_is() -> None:
    opinion = np.full((28, N_KEYS), np.log(0.5 / (N_KEYS - 1)))  # not sure
    opinion[:12, 0] = opinion[12:, 2] = np.log(0.5)
    labels = ["C:maj", "F:maj", "G:7", "C:maj"] * 3 + ["D:maj", "G:maj", "A:7", "D:maj"] * 4
    found = find_keys(*heard(labels, opinion))
    assert found.names == ("C major", "D major")
    assert abs(found.starts[1] - 48) <= 4
    assert found.main == "D major"


def test_one_foreign_chord_is_no_modulation() -> None:
    found = find_keys(*heard(["C:maj", "D:7", "G:7", "C:maj", "F:min", "C:maj", "A:7", "D:min", "G:7", "C:maj"]))
    assert found.names == ("C major",)


def test_the_network_is_heard() -> None:
    """Four chords that are as well in A minor."""
    opinion = np.full((8, N_KEYS), -8.0)
    opinion[:, 12 + 9] = -0.01
    labels = ["C:maj", "A:min", "F:maj", "G:maj"] * 2
    assert find_keys(*heard(labels)).main == "C major"
    found = find_keys(*heard(labels, opinion))
    assert found.main == "A minor"
    assert found.confidence > 0.9


def test_nothing_tells_without_chords() -> None:
    found = find_keys(*heard(["N", "N"]))
    assert (found.main, found.confidence) == ("C major", 0.0)


def test_names() -> None:
    assert [key_name(number) for number in (0, 10, 12, 13)] == ["C major", "Bb major", "C minor", "C# minor"]
