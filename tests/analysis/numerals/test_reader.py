"""Numerals from notes: the two readers, what the network is shown, and how keys and 6/4 chords are named."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from musetune import LeadSheet, analyze
from musetune.analysis.numerals import reader
from musetune.analysis.numerals.inputs import SIZE, inputs_of, matrix
from musetune.analysis.numerals.network import read_numbers
from musetune.analysis.numerals.reader import read_numerals, segments_of
from musetune.analysis.numerals.vocabulary import N_KEYS, chords, states
from musetune.formats.scores import read_score
from musetune.symbols import BeatGrid, Key, KeySpan, Meter, MeterSpan, Note, Score
from musetune.symbols.remarks import collected
from musetune.theory.numerals import resolve_roman
from musetune.theory.numerals.decode import ChordSegment, CostWeights, decode
from musetune.theory.numerals.frames import frames_of
from musetune.theory.numerals.score_analysis import analyse
from musetune.theory.numerals.table import entries

HYMN = ((48, 64, 67, 72), (53, 65, 69, 72), (55, 65, 71, 74), (48, 64, 67, 72)) * 4
FIFTHS = {0: 0, 2: 2, 4: 4, 5: -1, 7: 1, 9: 3, 11: 5}


def score_of(bars: tuple[tuple[int, ...], ...] = HYMN, spelled: bool = True, key: str = "C") -> Score:
    """Whole bars of 4/4, one chord each."""
    voices = tuple(tuple(Note(Fraction(4 * i), Fraction(4), bar[n]) for i, bar in enumerate(bars)) for n in range(4))
    fifths = tuple(tuple(FIFTHS[note.pitch % 12] for note in voice) for voice in voices) if spelled else ()
    length = Fraction(4 * len(bars))
    meters, keys = (MeterSpan(Fraction(0), Meter(4, 4)),), (KeySpan(Fraction(0), Key(key)),)
    grid = BeatGrid.constant(bpm=120, n_beats=4 * len(bars))
    return Score(voices, ("",) * 4, (), meters, keys, grid, length, fifths=fifths)


@pytest.mark.parametrize("spelled", [True, False])
def test_the_network_reads_a_plain_hymn(spelled: bool) -> None:
    sheet, names = read_numerals(score_of(spelled=spelled), "network")
    assert [str(span.key) for span in sheet.keys] == ["C major"]
    assert names[:4] in (["I", "IV", "V7", "I"], ["I", "IV", "viio64", "I"])
    for name, span in zip(names, sheet.chords, strict=True):
        assert resolve_roman(name, sheet.key_at(span.start)) == span.chord


def test_the_rules_alone_are_the_theory_rooms_reading() -> None:
    score = score_of()
    assert read_numerals(score, "rules") == analyse(score)


@pytest.mark.parametrize(("spelled", "chosen"), [(True, "network"), (False, "rules")])
def test_the_network_reads_where_note_names_are_written(spelled: bool, chosen: str) -> None:
    score = score_of(spelled=spelled)
    assert read_numerals(score) == read_numerals(score, chosen)  # type: ignore[arg-type]


def test_an_unknown_reader_is_refused() -> None:
    with pytest.raises(ValueError, match="numerals='ears': give one of auto, network, rules"):
        read_numerals(score_of(), "ears")  # type: ignore[arg-type]


def test_silent_voices_are_refused() -> None:
    with pytest.raises(ValueError, match="no pitched notes"):
        read_numerals(Score((), (), (), (), (KeySpan(Fraction(0), Key("C")),), BeatGrid.constant(120, 4), Fraction(4)))


def test_without_weights_the_rules_read_and_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(reader, "WEIGHTS", tmp_path / "weights.safetensors")
    with collected() as remarks:
        assert read_numerals(score_of()) == analyse(score_of())
    assert "the rules read the notes alone" in remarks[0]


def test_analyze_takes_the_reader(tmp_path: Path) -> None:
    import pretty_midi

    path, midi, piano = tmp_path / "hymn.mid", pretty_midi.PrettyMIDI(), pretty_midi.Instrument(0)
    piano.notes = [pretty_midi.Note(80, p, 2.0 * bar, 2.0 * bar + 2) for bar, chord in enumerate(HYMN) for p in chord]
    midi.instruments.append(piano)
    midi.write(str(path))
    assert read_score(path).length == score_of().length
    for name in ("auto", "network", "rules"):
        record = analyze(path, numerals=name)
        assert record.harmonic_analysis["roman_numerals"] == read_numerals(read_score(path), name)[1]
    with pytest.raises(ValueError, match="numerals='no'"):
        analyze(path, numerals="no")  # type: ignore[arg-type]


def test_symbols_are_not_read_from_notes(tmp_path: Path) -> None:
    path = LeadSheet.parse("| C | F | G7 | C |", bpm=100).save(tmp_path / "song.musicxml")
    assert analyze(path, numerals="rules").lead_sheet == analyze(path).lead_sheet


@pytest.mark.parametrize("fifths", [-5, 1, 6])
def test_a_transposed_score_is_shown_as_the_transposition(fifths: int) -> None:
    score = score_of()
    frames = frames_of(score)
    inputs = inputs_of(score, frames, decode(frames, 0, CostWeights()))
    moved = score_of(tuple(tuple(pitch + 7 * fifths % 12 for pitch in bar) for bar in HYMN), spelled=False)
    frames = frames_of(moved)
    again = inputs_of(moved, frames, decode(frames, None, CostWeights()))
    hide = {"spelled": False, "signature": False}
    np.testing.assert_allclose(matrix(inputs, fifths, **hide), matrix(again, 0, **hide), atol=1e-6)


def test_what_is_read_in_other_keys_is_moved_back() -> None:
    class Echo(torch.nn.Module):
        """Says of each head whose classes are pitches what sounds, and of the key its minor."""

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            heard = 9 * x[..., :12]
            return {"root": heard, "key": torch.stack([0 * heard, heard], 3).flatten(2), "quality": heard[..., :3] * 0}

    score = score_of()
    frames = frames_of(score)
    inputs = inputs_of(score, frames, decode(frames, 0, CostWeights()))
    heads = read_numbers(Echo(), inputs)  # type: ignore[arg-type]
    expected = torch.log_softmax(9 * torch.from_numpy(inputs.classes), 1).numpy()
    np.testing.assert_allclose(heads["root"], expected, atol=1e-4)
    assert (heads["key"].argmax(1) % 2 == 1).all()
    assert (heads["key"].argmax(1) // 2 == heads["root"].argmax(1)).all()
    np.testing.assert_allclose(heads["quality"], np.log(1 / 3), atol=1e-6)


def test_what_is_hidden_is_not_shown() -> None:
    score = score_of()
    frames = frames_of(score)
    inputs = inputs_of(score, frames, decode(frames, 0, CostWeights()))
    whole = matrix(inputs)
    assert whole.shape == (len(frames.level), SIZE)
    for name in ("spelled", "signature", "rules"):
        assert (matrix(inputs, **{name: False}) != whole).any(), name


def test_keys_are_spelled_close_to_what_the_rules_read() -> None:
    table = states()
    tonic = next(entry for entry in entries("major") if entry.name == "I")
    number = next(i for i, (mode, entry) in enumerate(chords()) if mode == 0 and entry.name == "I")
    path = np.flatnonzero((table.key == 2 * 6) & (table.chord == number) & (table.inversion == 0))[[0, 0]]
    for fifths in (6, -6):
        read = [ChordSegment(0, 2, (fifths + 1 if fifths < 0 else fifths - 1, "major"), tonic, 0)]
        assert segments_of(path, read)[0].key == (fifths, "major")
    assert len(np.unique(table.key)) == N_KEYS


def test_the_tonics_six_four_before_the_dominant_is_cadential() -> None:
    table = states()

    def state(name: str, inversion: int) -> int:
        number = next(i for i, (mode, entry) in enumerate(chords()) if mode == 0 and entry.name == name)
        return int(np.flatnonzero((table.key == 0) & (table.chord == number) & (table.inversion == inversion))[0])

    tonic = next(entry for entry in entries("major") if entry.name == "I")
    read = [ChordSegment(0, 8, (0, "major"), tonic, 0)]
    path = np.array([state("I", 2), state("I", 2), state("V7", 0), state("I", 0), state("I", 2), state("IV", 0)])
    segments = segments_of(path, read)
    assert [s.entry.named(s.inversion) for s in segments] == ["Cad64", "V7", "I", "I64", "IV"]
