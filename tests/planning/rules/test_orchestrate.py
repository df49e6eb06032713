"""Rule-made arrangements play the sheet's chords."""

from __future__ import annotations

import random

import pytest

from musetune.planning.rules.orchestrate import close_voicing, orchestrate, recolour
from musetune.planning.rules.styles import DRUM_NOTES, STYLES
from musetune.symbols import Chord, LeadSheet

SHEET = LeadSheet.parse("| C | G/B . Am7 . | F | G7 |", bpm=120)


@pytest.mark.parametrize("genre", list(STYLES))
@pytest.mark.parametrize("meter", ["4/4", "3/4", "6/8"])
def test_comping_and_bass_sound_only_the_chord(genre: str, meter: str) -> None:
    sheet = LeadSheet.parse("| C | G/B | F | G7 |", bpm=120, time_signature=meter)
    for seed in range(6):
        take = orchestrate(sheet, genre=genre, seed=seed)
        for name, stem in take.arrangement.stems.items():
            if stem.is_drum or name == "lead":
                continue
            for note in stem.notes:
                chord = sheet.chord_at(note.start + 1e-6)
                assert note.pitch % 12 in chord.pitch_classes
                assert sheet.chord_at(note.start + note.beats - 1e-6) == chord
        assert genre in take.prompt


def test_drums_stay_in_the_kit_and_in_time() -> None:
    stem = orchestrate(SHEET, genre="rock", seed=1).arrangement.stems["drums"]
    assert stem.is_drum
    assert {n.pitch for n in stem.notes} <= set(DRUM_NOTES.values())
    assert all(0 <= n.start < SHEET.length for n in stem.notes)


def test_six_eight_is_played_in_threes() -> None:
    sheet = LeadSheet.parse("| C | F | G | C |", bpm=70, time_signature="6/8")
    drums = orchestrate(sheet, genre="pop", seed=2).arrangement.stems["drums"]
    assert max(abs(round(3 * n.start) / 3 - n.start) for n in drums.notes) < 1e-9
    backbeat = [n.start % 2 for n in drums.notes if n.pitch in (DRUM_NOTES["snare"], DRUM_NOTES["rim"])]
    assert set(backbeat) == {1.0}


def test_same_seed_same_arrangement() -> None:
    assert orchestrate(SHEET, genre="jazz", seed=4) == orchestrate(SHEET, genre="jazz", seed=4)
    assert orchestrate(SHEET, genre="jazz", seed=4) != orchestrate(SHEET, genre="jazz", seed=5)


def test_bass_plays_the_inversion() -> None:
    bass = orchestrate(LeadSheet.parse("C/E"), genre="classical", seed=0).arrangement.stems["bass"]
    assert bass.notes[0].pitch % 12 == 4


def test_recolour_adds_sevenths() -> None:
    coloured = recolour(LeadSheet.parse("| C | Am | D | G |"), random.Random(0))
    assert coloured.chord_labels == ["C:maj7", "A:min7", "D:7", "G:7"]


def test_unknown_genre() -> None:
    with pytest.raises(ValueError, match="genre='polka' has no style"):
        orchestrate(SHEET, genre="polka")


def test_voicing_is_close() -> None:
    assert close_voicing(Chord.parse("Am7"), 52) == [52, 55, 57, 60]
