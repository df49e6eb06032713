"""Tokens say what the sheet says; the conditioner stands in for what is missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from musetune.conditioning import EVENT_FIELDS, SHEET_STREAMS, MusicConditioner, MusicTokens, tokenize
from musetune.symbols import LeadSheet

FRAME_S = 0.032
SHEET = LeadSheet.parse(
    "| C | G/B . Am7 . | Dm . . G7 | N |", key="C major", bpm=120, duration_seconds=8.0, genre="jazz"
)
WALTZ = LeadSheet.parse("F C7 Bb", key="F major", bpm=90, time_signature="3/4", duration_seconds=8.0)


def tokens(sheet: LeadSheet) -> MusicTokens:
    return tokenize(sheet, frame_s=FRAME_S, n_frames=256)


def conditioner() -> MusicConditioner:
    torch.manual_seed(0)
    return MusicConditioner(dim=32, hidden=16, map_channels=8, cols=16, frames_per_row=4).eval()


def test_events_are_beats_and_off_beat_changes() -> None:
    off_beat = LeadSheet.parse("| C . . G . . . . |", bpm=120)
    found = tokens(off_beat)
    np.testing.assert_allclose(found.event_times_s[0, :, 0], [0, 0.5, 0.75, 1.0, 1.5], atol=1e-5)
    roots = found.events[0, :, EVENT_FIELDS.index("root")].tolist()
    assert roots == [0, 0, 7, 7, 7]


def test_event_fields_follow_the_sheet() -> None:
    found = tokens(SHEET).events[0]
    columns = {name: found[:, i].tolist() for i, name in enumerate(EVENT_FIELDS)}
    assert columns["root"][:8] == [0, 0, 0, 0, 7, 7, 9, 9]
    assert columns["bass"][4] == 11
    assert columns["root"][12] == 12
    assert columns["beat_in_bar"][:8] == [0, 1, 2, 3, 0, 1, 2, 3]


def test_frames_peak_on_beats_and_carry_the_chord() -> None:
    frames = tokens(SHEET).frames[0].numpy()
    times = (np.arange(256) + 0.5) * FRAME_S
    distance = np.abs((times + 0.25) % 0.5 - 0.25)
    assert frames[(distance < FRAME_S / 2) & (times < 7.9), 0].min() > 0.75
    assert frames[distance > 0.05, 0].max() < 0.15
    c_major = (times > 0) & (times < 2)
    assert (frames[c_major][:, 6:18] == np.eye(12)[[0, 4, 7]].sum(0)).all()


def test_a_crop_gives_the_same_frames_later() -> None:
    whole, part = tokens(SHEET).frames[0], tokens(SHEET.crop(64 * FRAME_S, 3.0)).frames[0]
    torch.testing.assert_close(part[:80, :42], whole[64:144, :42], atol=1e-4, rtol=0)


def test_safetensors_form_and_stacking() -> None:
    one, two = tokens(SHEET), tokens(WALTZ)
    both = MusicTokens.stack([one, two])
    again = MusicTokens.from_tensors(both.tensors())
    assert again.events.shape[0] == 2
    assert not again.event_mask[1, two.events.shape[1] :].any()
    with pytest.raises(ValueError, match="'rhythm'"):
        one.drop(["rhythm"])


def test_a_batch_is_its_parts() -> None:
    net = conditioner()
    one, two = tokens(SHEET), tokens(WALTZ)
    with torch.no_grad():
        both, alone = net(MusicTokens.stack([one, two]), 64, 16), net(two, 64, 16)
    count = alone.events.shape[1]
    torch.testing.assert_close(both.events[1:, :count], alone.events, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(both.frame_map[1:], alone.frame_map, atol=1e-5, rtol=1e-5)


def test_absent_streams_hide_their_contents() -> None:
    net = conditioner()
    with torch.no_grad():
        hidden = [net(tokens(s).drop(), 64, 16) for s in (SHEET, SHEET.transpose(3))]
        shown = [net(tokens(s), 64, 16) for s in (SHEET, SHEET.transpose(3))]
    assert torch.equal(hidden[0].frame_map, hidden[1].frame_map)
    assert not torch.equal(shown[0].frame_map, shown[1].frame_map)
    assert not hidden[0].mask[:, 1:].any()


@pytest.mark.parametrize("stream", SHEET_STREAMS)
def test_every_stream_matters(stream: str) -> None:
    net = conditioner()
    with torch.no_grad():
        full, less = net(tokens(SHEET), 64, 16), net(tokens(SHEET).drop([stream]), 64, 16)
    assert not torch.equal(full.events, less.events)


def test_numerals_speak_without_the_chords() -> None:
    """A Roman numeral alone asks for its degree.

    Its key tells which chord that is, and the chord itself stays hidden.
    """
    net = conditioner()
    sheets = [LeadSheet.parse(c, key="C major", bpm=120, duration_seconds=2.56) for c in ("| I V |", "| I vi |")]
    with torch.no_grad():
        five, six = (net(tokens(s).drop(["chords"]), 64, 16) for s in sheets)
        silent = [net(tokens(s).drop(["chords", "function"]), 64, 16) for s in sheets]
    assert not torch.equal(five.events, six.events)
    assert torch.equal(five.frame_map, six.frame_map)
    assert torch.equal(silent[0].events, silent[1].events)


def test_chords_alone_do_not_tell_the_beats() -> None:
    """The same chords at the same seconds, over two beats each or one: without beats the model is told the same."""
    net = conditioner()
    fast, slow = (
        LeadSheet.parse(c, bpm=b, duration_seconds=8.0) for c, b in (("| C . G . |", 120), ("| C G C G |", 60))
    )
    with torch.no_grad():
        full = [net(tokens(s), 64, 16) for s in (fast, slow)]
        alone = [net(tokens(s).drop(["beats"]), 64, 16) for s in (fast, slow)]
    heard = [m.events[m.mask] for m in alone]
    torch.testing.assert_close(heard[0], heard[1])
    torch.testing.assert_close(alone[0].times_s[alone[0].mask], alone[1].times_s[alone[1].mask])
    assert full[0].mask.sum() > full[1].mask.sum()


def test_wrong_sizes_are_named() -> None:
    with pytest.raises(ValueError, match="need 256 frames"):
        conditioner()(tokenize(SHEET, frame_s=FRAME_S, n_frames=100), 64, 16)
