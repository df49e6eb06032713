"""Expression as frames and tokens: scales, nulls, and where swing puts the second half of a beat."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from musetune.conditioning import EXPRESSION, EXPRESSION_FIELDS, MusicTokens, tokenize
from musetune.conditioning.expression_conditioner import ExpressionConditioner, off_beats
from musetune.conditioning.expression_frames import expression_frames
from musetune.conditioning.stem_frames import HIDDEN
from musetune.symbols import LeadSheet
from musetune.symbols.expression import LOUDNESS, RANGES, Expression

FRAME_S, FRAMES = 0.032, 80
SHEET = LeadSheet.parse("I V", bpm=100, duration_seconds=FRAME_S * FRAMES)


def tokens(expression: Expression | None) -> MusicTokens:
    return tokenize(SHEET, frame_s=FRAME_S, n_frames=FRAMES, expression=expression)


@pytest.mark.parametrize("end", [0, 1])
def test_the_ends_of_every_range_are_0_and_1(end: int) -> None:
    ends = {name: pair[end] for name, pair in RANGES.items()}
    frames = expression_frames(Expression(((0.0, LOUDNESS[end]),), **ends), np.zeros(2))
    np.testing.assert_allclose(frames, end)
    assert frames.shape == (2, len(EXPRESSION_FIELDS))


def test_a_curve_runs_and_what_is_not_said_is_hidden() -> None:
    frames = tokens(Expression(loudness_db=((0, -30), (2, -10)))).expression[0]
    rising = frames[:, 0].diff()
    assert bool((rising[:60] > 0).all())
    assert bool((rising[63:] == 0).all())
    assert bool((frames[:, 1:] == HIDDEN).all())


def test_expression_is_absent_where_none_is_given() -> None:
    both = MusicTokens.stack([tokens(None), tokens(Expression(swing=0.6))])
    assert both.present[EXPRESSION].tolist() == [False, True]
    assert bool((both.expression[0] == HIDDEN).all())
    assert not both.drop().present[EXPRESSION].any()
    again = MusicTokens.from_tensors(both.tensors())
    assert torch.equal(again.expression, both.expression)


@pytest.mark.parametrize("swing", [0.5, 0.6, 2 / 3])
def test_off_beats_lie_where_swing_puts_them(swing: float) -> None:
    kernel = off_beats(tokens(Expression(swing=swing)))[0].numpy()
    times = (np.arange(FRAMES) + 0.5) * FRAME_S
    for beat in range(4):
        wanted = (beat + swing) * 0.6  # at 100 bpm
        assert (
            abs(times[np.abs(times - wanted) < 0.25][kernel[np.abs(times - wanted) < 0.25].argmax()] - wanted) < 0.017
        )


def test_the_map_says_where_something_is_said_and_hears_it_alone() -> None:
    torch.manual_seed(0)
    network = ExpressionConditioner(hidden=8, map_channels=4, cols=6, frames_per_row=4)
    said = tokens(Expression(loudness_db=((0, -20),)))
    said.expression[:, :40] = HIDDEN
    frame_map, where = network(said, FRAMES // 4)
    assert frame_map.shape == (1, 4, 20, 6)
    assert where[0].tolist() == [False] * 10 + [True] * 10
    louder = tokens(Expression(loudness_db=((0, -10),)))
    assert not torch.equal(network(louder, 20)[0], network(tokens(Expression(loudness_db=((0, -20),))), 20)[0])
    silent = [network(one.drop([EXPRESSION]), 20) for one in (said, louder)]
    assert torch.equal(silent[0][0], silent[1][0])
    assert not silent[0][1].any()


def test_a_crop_goes_on_with_the_curve() -> None:
    whole = Expression(loudness_db=((0, -30), (4, -10), (6, -20)), swing=0.6)
    later = whole.crop(3.0)
    times = np.linspace(0, 5, 11)
    np.testing.assert_allclose(later.loudness_at(times), whole.loudness_at(times + 3))
    assert later.swing == 0.6
    assert Expression(swing=0.6).crop(2.0) == Expression(swing=0.6)
