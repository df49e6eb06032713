"""Stem frames say what the players do and when; absent, silent and hidden are three things."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from musetune.conditioning import STEM_FIELDS, STEM_STREAMS, MusicTokens, StemConditioner, tokenize
from musetune.conditioning.stem_frames import HIDDEN, STEM_COLUMNS, drum_class
from musetune.symbols import BeatGrid, LeadSheet
from musetune.symbols.arrangement import Arrangement, Stem, StemNote

FRAME_S, ROWS = 0.032, 40
SHEET = LeadSheet.parse("C G", bpm=120, duration_seconds=ROWS * 4 * FRAME_S)
PLAYED = Arrangement(
    SHEET.grid,
    {
        "drums": Stem(0, (StemNote(0, 0.25, 36, 127), StemNote(1, 0.25, 38, 64), StemNote(2, 0.25, 51)), is_drum=True),
        "bass": Stem(33, (StemNote(0, 2, 36), StemNote(2, 1, 43))),
        "keys": Stem(0, (StemNote(0, 1, 60), StemNote(0, 1, 64))),
        "lead": Stem(73, (StemNote(1, 1, 84),)),
    },
)


def tokens(arrangement: Arrangement | None = PLAYED) -> MusicTokens:
    return tokenize(SHEET, frame_s=FRAME_S, n_frames=4 * ROWS, arrangement=arrangement)


def net() -> StemConditioner:
    torch.manual_seed(0)
    return StemConditioner(hidden=16, map_channels=8, cols=4, bins=8, frames_per_row=4).eval()


def column(frames: MusicTokens, field: str) -> np.ndarray:
    return frames.stems[0, :, STEM_FIELDS.index(field)].numpy()


def test_every_field_belongs_to_one_stream() -> None:
    assert sorted(i for columns in STEM_COLUMNS.values() for i in columns) == list(range(len(STEM_FIELDS)))
    assert [len(STEM_COLUMNS[s]) for s in STEM_STREAMS] == [5, 17, 13, 19]


def test_hits_onsets_and_pitches_lie_where_they_are_played() -> None:
    found, times = tokens(), (np.arange(4 * ROWS) + 0.5) * FRAME_S
    assert times[column(found, "drums_kick").argmax()] == pytest.approx(0, abs=FRAME_S)
    assert times[column(found, "drums_snare").argmax()] == pytest.approx(0.5, abs=FRAME_S)
    assert column(found, "drums_kick").max() > 1.5 * column(found, "drums_snare").max()  # by velocity
    assert (column(found, "bass_pitch_0") == ((times > 0) & (times < 1.0))).all()
    assert (column(found, "bass_pitch_7") == ((times >= 1.0) & (times < 1.5))).all()
    assert (column(found, "bass_octave_2") == (times < 1.5)).all()
    assert (column(found, "comping_pitch_4") == (times < 0.5)).all()
    assert (column(found, "lead_octave_6") == ((times >= 0.5) & (times < 1.0))).all()
    assert not column(found, "drums_hat").any()


def test_general_midi_drums() -> None:
    names = [drum_class(p) for p in (36, 35, 38, 39, 42, 46, 49, 51, 45, 56)]
    assert names == ["kick", "kick", "snare", "snare", "hat", "cymbal", "cymbal", "cymbal", "other", "other"]


def test_a_crop_tells_the_same_later() -> None:
    grid = BeatGrid(tuple(t - 0.5 for t in SHEET.grid.times_s))
    cropped = PLAYED.crop(0.5, 3.0, grid)
    assert [n.start for n in cropped.stems["bass"].notes] == pytest.approx([0, 2])
    assert len(cropped.stems["drums"].notes) == 2
    part = tokenize(SHEET.crop(0.512, 3.0), frame_s=FRAME_S, n_frames=64, arrangement=PLAYED.shift(-0.512))
    torch.testing.assert_close(part.stems[0], tokens().stems[0, 16:80], atol=1e-5, rtol=0)


def test_transposing_leaves_the_drums() -> None:
    up = PLAYED.transpose(3)
    assert [n.pitch for n in up.stems["bass"].notes] == [39, 46]
    assert up.stems["drums"] == PLAYED.stems["drums"]
    with pytest.raises(ValueError, match="semitones=60 takes notes to pitch 144, outside 0–127"):
        PLAYED.transpose(60)


def test_json_round_trip() -> None:
    assert Arrangement.from_json(PLAYED.to_json(), SHEET.grid) == PLAYED


@pytest.mark.parametrize("stream", STEM_STREAMS)
def test_absent_silent_and_played_differ(stream: str) -> None:
    silent = Arrangement(SHEET.grid, {})
    with torch.no_grad():
        maps = [
            net()(t, ROWS)[0]
            for t in (tokens(), tokens().drop([stream]), tokens(silent), tokens(silent).drop([stream]))
        ]
    assert all(not torch.equal(a, b) for i, a in enumerate(maps) for b in maps[:i])


def test_what_is_hidden_is_as_if_not_given() -> None:
    hidden = replace(tokens(), stems=torch.full_like(tokens().stems, HIDDEN))
    with torch.no_grad():
        told, given = net()(hidden, ROWS)
        assert torch.equal(told, net()(tokens(None), ROWS)[0])
    assert given.all()
    assert not net()(tokens(None), ROWS)[1].any()
