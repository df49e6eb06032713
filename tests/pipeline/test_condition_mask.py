"""Parts of a lead sheet: some of its streams, a stretch of its time.

Long audio in windows of a chosen length and in one pass.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_pipe import make_pipe, play

from musetune import LeadSheet, MuseTunePipeline
from musetune.conditioning import MusicTokens, tokenize
from musetune.evaluation import Report
from musetune.pipeline.condition_mask import TIMED, ConditionMask, condition_mask, hide_outside
from musetune.training.tokens import hide_spans

FRAME_S = 0.032


@pytest.fixture(scope="module")
def pipe(tiny_base: Path) -> MuseTunePipeline:
    return make_pipe(tiny_base)


@pytest.fixture
def tokens() -> MusicTokens:
    return tokenize(LeadSheet.parse("C G Am F", duration_seconds=5.12, genre="jazz"), frame_s=FRAME_S, n_frames=160)


def of_sheet(pipe: MuseTunePipeline, sheet: LeadSheet, **settings) -> np.ndarray:  # type: ignore[no-untyped-def]
    alone = {"harmonic_progression": None, "bpm": None, "duration_seconds": None, "lead_sheet": sheet}
    return play(pipe, **(alone | settings)).audios


def resolve_lead_sheet(chords: str, key: str = "C major", genre: str | None = None) -> LeadSheet:
    return LeadSheet.from_progression(
        chords.split(), key=key, bpm=120, beats_per_chord=1, duration_seconds=2.5, genre=genre
    )


CHORDS = "C F G F C"
OTHERS = {
    "chords": resolve_lead_sheet("C Am G Am C"),
    "key": resolve_lead_sheet(CHORDS, key="F major"),
    "genre": resolve_lead_sheet(CHORDS, genre="jazz"),
    "beats": replace(resolve_lead_sheet(CHORDS), first_downbeat=resolve_lead_sheet(CHORDS).length // 5),
}


@pytest.mark.slow
@pytest.mark.parametrize("followed", ["chords", "beats", "key", "genre"])
def test_only_what_is_followed_is_heard(pipe: MuseTunePipeline, followed: str) -> None:
    sheet = resolve_lead_sheet(CHORDS, genre="pop")
    audio = of_sheet(pipe, sheet, follow=followed)
    for changed, other in OTHERS.items():
        other = other if other.genre else replace(other, genre="pop")
        same = np.allclose(of_sheet(pipe, other, follow=[followed]), audio, atol=1e-5)
        assert same == (changed != followed), changed


def test_following_nothing_is_no_music(pipe: MuseTunePipeline) -> None:
    nothing = of_sheet(pipe, resolve_lead_sheet(CHORDS), follow=(), guidance_rescale=0.0)
    unpushed = of_sheet(pipe, resolve_lead_sheet(CHORDS), music_guidance_scale=0.0, guidance_rescale=0.0)
    np.testing.assert_allclose(nothing, unpushed, atol=1e-5)
    assert np.abs(of_sheet(pipe, resolve_lead_sheet(CHORDS), guidance_rescale=0.0) - nothing).max() > 1e-3


def test_following_everything_changes_nothing(pipe: MuseTunePipeline) -> None:
    sheet = resolve_lead_sheet(CHORDS, genre="pop")
    everything = {"follow": ("chords", "beats", "key", "genre", "function"), "follow_seconds": (0.0, sheet.duration_s)}
    assert np.array_equal(of_sheet(pipe, sheet, **everything), of_sheet(pipe, sheet))


def test_a_stretch_is_deaf_to_the_rest(pipe: MuseTunePipeline) -> None:
    sheets = resolve_lead_sheet("C F G F C"), resolve_lead_sheet("C F G Dm F")  # alike for 1.5 s
    first, second = (of_sheet(pipe, sheet, follow_seconds=(0.0, 1.5)) for sheet in sheets)
    np.testing.assert_allclose(first, second, atol=1e-5)
    first, second = (of_sheet(pipe, sheet, follow_seconds=(0.0, 2.0)) for sheet in sheets)
    assert np.abs(first - second).max() > 1e-3


def test_hidden_as_training_hides(tokens: MusicTokens) -> None:
    """What training takes away of a stretch is what a request for that stretch leaves."""
    trained = hide_spans(tokens, [torch.Generator().manual_seed(1)], FRAME_S, 1.0)
    gone = (trained.frames != tokens.frames).any(-1)[0].nonzero()[:, 0]
    kept = hide_outside(tokens, int(gone[0]), int(gone[-1]) + 1, FRAME_S)
    assert 0 < len(gone) < 160
    assert torch.equal(kept.frames + trained.frames, tokens.frames)
    assert torch.equal(kept.event_mask ^ trained.event_mask, tokens.event_mask)
    assert kept.event_mask.any()
    assert kept.present == tokens.present


@pytest.mark.parametrize("stretch_s", [(0.0, 3.0), (9.0, 12.0)])
def test_a_window_beside_the_stretch_hears_of_no_moment(tokens: MusicTokens, stretch_s: tuple[float, float]) -> None:
    present = ConditionMask(stretch_s=stretch_s).hide(tokens, 3.5, FRAME_S).present  # the window: 3.5 to 8.62 s
    assert {name for name, there in present.items() if there} == {"chords", "beats", "key", "genre", "function"} - set(
        TIMED
    )


def test_a_stretch_is_counted_from_the_windows_start(tokens: MusicTokens) -> None:
    shifted = ConditionMask(stretch_s=(4.5, 6.5)).hide(tokens, 3.5, FRAME_S)
    assert torch.equal(shifted.frames, hide_outside(tokens, 31, 94, FRAME_S).frames)


@pytest.mark.slow
def test_windows_of_any_length(pipe: MuseTunePipeline) -> None:
    calls: list[int] = []
    watch = pipe.unet.register_forward_pre_hook(lambda module, inputs: calls.append(inputs[0].shape[2]))
    whole = play(pipe, window_seconds=100).audios
    one = play(pipe, duration_seconds=30, window_seconds=30, num_inference_steps=1).audios
    play(pipe, duration_seconds=5.12, window_seconds=2.56, num_inference_steps=1)
    watch.remove()
    assert np.array_equal(whole, play(pipe).audios)
    assert one.shape == (1, 480_000)
    assert calls == [20, 20, 235, 20, 20, 20]


def test_candidates_are_ranked_by_what_is_asked() -> None:
    scores = {"majmin": 0.2, "beat_f": 0.8, "key": 0.5}
    asked = (None, ("chords", "key"), ("beats",), ("key",), ("genre",), ("function", "key"))
    assert [ConditionMask(streams).rank(scores) for streams in asked] == pytest.approx([0.5, 0.2, 0.8, 0.5, 0.0, 0.5])
    assert ConditionMask(("chords",)).rank(scores | {"majmin": None}) == 0.0


def test_the_report_is_of_the_stretch(pipe: MuseTunePipeline, monkeypatch) -> None:
    """Of it alone, and ranked by what is asked: here beats, whatever the chords."""
    waves, beats = [], (0.2, 0.9, 0.5)

    def known(wave: np.ndarray, sr: int, sheet: LeadSheet, *, follow: tuple[str, ...] | None) -> Report:
        waves.append(wave)
        beat_f = beats[len(waves) - 1]
        return Report(sheet, None, "known", {"majmin": 1 - beat_f, "beat_f": beat_f, "downbeat_f": beat_f}, follow)

    monkeypatch.setattr("musetune.evaluation.report", known)
    made = play(pipe, follow="beats", follow_seconds=(0.5, 2.0), num_waveforms_per_prompt=3, return_report=True)
    assert [report.sheet.duration_s for report in made.reports] == pytest.approx([1.5] * 3, abs=0.01)
    assert [report.score for report in made.reports] == [0.9, 0.5, 0.2]
    assert made.reports[0].parts == {"beats": 0.9, "bar lines": 0.9}
    assert made.lead_sheet.duration_s == pytest.approx(2.56, abs=0.01)
    assert [report.scores["beat_f"] for report in made.reports] == [0.9, 0.5, 0.2]
    assert np.array_equal(made.audios[:, 8000:32000], np.stack([waves[1], waves[2], waves[0]]))


ALONE = {"harmonic_progression": None, "bpm": None, "duration_seconds": None}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"follow": "chord"},
            "follow='chord' is not one of chords, beats, key, genre, drums, bass, comping, lead; did you mean 'chords'",
        ),
        ({"follow": ("chords", "melody")}, "follow='melody' is not one of"),
        ({"follow": "function"}, "numerals alone are not followed"),
        ({"follow": ("function", "key")}, "numerals alone are not followed"),
        ({"follow": ("genre",)}, "follow names genre, which the lead sheet has not"),
        ({"follow_seconds": (0, 5)}, r"follow_seconds=0–5 is not a stretch of 0–2\.56 s"),
        ({"follow_seconds": (-1, 2)}, "follow_seconds=-1–2 is not"),
        ({"follow_seconds": (2, 1)}, "follow_seconds=2–1 is not"),
        ({"window_seconds": 0}, "window_seconds=0 is not above 0"),
        (ALONE | {"follow": ("chords",)}, r"follow=\('chords',\) needs music"),
        (ALONE | {"follow_seconds": (0, 1)}, r"follow_seconds=\(0, 1\) needs music"),
        (ALONE | {"guidance_interval": (0, 1)}, r"guidance_interval=\(0, 1\) needs music"),
        (ALONE | {"window_seconds": 10}, "window_seconds=10 needs music"),
    ],
)
def test_errors(pipe: MuseTunePipeline, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        play(pipe, **settings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"follow": 3}, r"follow=3 is not a list of names among chords"),
        ({"follow_seconds": (1,)}, r"follow_seconds=\(1,\) is not \(start, end\)"),
        ({"follow_seconds": 3.0}, r"follow_seconds=3\.0 is not \(start, end\)"),
    ],
)
def test_requests_of_the_wrong_kind(options: dict, message: str) -> None:
    sheet = LeadSheet.parse("| C | G |", bpm=120)
    renamed = {"seconds" if k == "follow_seconds" else k: v for k, v in options.items()}
    with pytest.raises(ValueError, match=message):
        condition_mask(sheet, **renamed)


def test_a_stretch_of_less_than_a_frame_asks_for_nothing_timed() -> None:
    sheet = LeadSheet.parse("| C | G |", bpm=120, duration_seconds=2.56)
    shown = condition_mask(sheet, seconds=(1.0, 1.005)).hide(tokenize(sheet, frame_s=0.032, n_frames=80), 0.0, 0.032)
    assert {name: bool(there) for name, there in shown.present.items()} == {
        "chords": False,
        "beats": False,
        "function": False,
        "key": True,
        "genre": False,
        "drums": False,
        "bass": False,
        "comping": False,
        "lead": False,
        "expression": False,
    }
