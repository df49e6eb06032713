"""The record of what is written: lead sheets, scores and MIDI through `analyze`."""

from __future__ import annotations

from pathlib import Path

import pretty_midi
import pytest

from musetune.analysis import analyze
from musetune.symbols import LeadSheet

PROGRESSION = ["Dm7", "G7", "Cmaj7", "Cmaj7"] * 4


def agrees(record: dict) -> None:
    """Chord by chord, the record says the same in both places."""
    sounding = [row for row in record["chords"] if row["chord"] != "N"]
    assert [row["roman"] for row in sounding] == record["harmonic_analysis"]["roman_numerals"]
    assert [row["function"] for row in sounding] == record["harmonic_analysis"]["functional_harmony"]


@pytest.mark.parametrize("suffix", [".json", ".jams", ".mid", ".musicxml"])
def test_a_lead_sheet_in_any_format(tmp_path: Path, suffix: str) -> None:
    path = LeadSheet.from_progression(PROGRESSION, key="C major", bpm=132).save(tmp_path / f"sheet{suffix}")
    record = analyze(path).to_json()
    agrees(record)
    assert (record["key"], record["time_signature"]) == ("C major", "4/4")
    assert record["bpm"] == pytest.approx(132, rel=1e-3)
    assert record["harmonic_analysis"]["roman_numerals"][:3] == ["ii7", "V7", "Imaj7"]
    assert record["harmonic_analysis"]["common_patterns"][0]["name"] == "ii-V-I"
    assert record["source"]["sample_rate"] is None
    assert record["genre_analysis"]["primary_genre"] == "jazz"


def test_a_score_without_chord_symbols_is_heard_from_its_notes(tmp_path: Path) -> None:
    """I IV V7 I in G, four parts, a bar each; the fifth in the bass of the third chord."""
    midi, piano = pretty_midi.PrettyMIDI(initial_tempo=120), pretty_midi.Instrument(0)
    chords = ((43, 59, 62, 67), (48, 60, 64, 67), (45, 60, 62, 66), (43, 59, 62, 67))
    for bar in range(8):
        for pitch in chords[bar % 4]:
            piano.notes.append(pretty_midi.Note(80, pitch, 2.0 * bar, 2.0 * bar + 2))
    midi.instruments.append(piano)
    midi.write(str(tmp_path / "score.mid"))
    record = analyze(tmp_path / "score.mid").to_json()
    agrees(record)
    assert record["key"] == "G major"
    assert record["harmonic_analysis"]["roman_numerals"][:4] == ["I", "IV", "V43", "I"]
    assert record["harmonic_analysis"]["voice_leading"]["from"] == "voices"


@pytest.mark.parametrize("name", ["a.mid", "a.musicxml", "a.json", "a.jams"])
def test_garbage_is_a_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match="a\\."):
        analyze(tmp_path / name)


def test_a_sheet_without_chords(tmp_path: Path) -> None:
    path = LeadSheet.from_progression(["N"], key="C major").save(tmp_path / "empty.json")
    with pytest.raises(ValueError, match="holds no chords"):
        analyze(path)
