"""A clip's sound stands in place of the words, or beside them: in CLAP's embedding, and in T5's states where the base
has a style_projection.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pretty_midi
import pytest
import torch
from small_pipe import make_pipe, play, seeded

from musetune import LeadSheet, MuseTunePipeline
from musetune.audio import save_audio, synthesize
from musetune.models.style_projection import StyleProjection
from musetune.pipeline.style import audio_embedding

QUICK: dict[str, Any] = {"num_inference_steps": 1, "duration_seconds": 1.28}


@pytest.fixture(scope="module")
def pipe(tiny_base: Path) -> MuseTunePipeline:
    return make_pipe(tiny_base)


def clip(seed: int, seconds: float = 1.0) -> np.ndarray:
    return (0.2 * np.random.default_rng(seed).normal(size=round(16000 * seconds))).astype(np.float32)


def test_strength_goes_from_the_words_to_the_clip(pipe: MuseTunePipeline, tmp_path: Path) -> None:
    words = play(pipe, **QUICK).audios
    path = save_audio(tmp_path / "clip.wav", clip(0), 16000)
    none, half, full = (play(pipe, style_audio=path, style_strength=s, **QUICK).audios for s in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(none, words, atol=1e-5)
    assert np.abs(half - words).max() > 0
    assert not np.array_equal(half, full)
    again = play(pipe, style_audio=path, **QUICK).audios  # 1 is the default
    assert np.array_equal(full, again)


def test_the_clip_is_heard_by_clap_and_words_by_t5(pipe: MuseTunePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[torch.Tensor, torch.Tensor]] = []
    project = pipe.projection_model.forward

    def watched(hidden_states: torch.Tensor, hidden_states_1: torch.Tensor, **rest: Any) -> Any:
        told.append((hidden_states, hidden_states_1))
        return project(hidden_states=hidden_states, hidden_states_1=hidden_states_1, **rest)

    monkeypatch.setattr(pipe.projection_model, "forward", watched)
    pipe.prompt_cache.clear()  # else words that were encoded before are not encoded again
    play(pipe, style_audio=(clip(1), 16000), num_waveforms_per_prompt=1, **QUICK)
    (words, t5), _, (heard, same) = told
    with torch.no_grad():
        torch.testing.assert_close(heard[0, 0], audio_embedding(pipe, clip(1), 16000))
    assert torch.equal(t5, same)
    assert not torch.equal(words, heard)


def test_a_long_clip_is_heard_in_pieces_and_always_alike(pipe: MuseTunePipeline) -> None:
    wave = np.concatenate([clip(2, 12.0), clip(3, 12.0)])
    with torch.no_grad():
        one, again = (audio_embedding(pipe, wave, 16000) for _ in range(2))
    assert torch.equal(one, again)
    assert float(one.norm()) == pytest.approx(1, abs=1e-5)


def test_prompts_and_edits_take_a_style(pipe: MuseTunePipeline) -> None:
    sheet = LeadSheet.parse("| C | F |", bpm=240)
    both = pipe(["a", "bright pop"], lead_sheet=sheet, style_audio=(clip(4), 16000), generator=seeded(), **QUICK)
    assert both.audios.shape[0] == 2
    options: dict[str, Any] = {"generator": seeded(), "num_inference_steps": 1}
    plain = pipe.vary(clip(5), sheet, amount=1.0, sampling_rate=16000, **options)
    options["generator"] = seeded()
    styled = pipe.vary(clip(5), sheet, amount=1.0, sampling_rate=16000, style_audio=(clip(4), 16000), **options)
    assert not np.array_equal(plain.audios, styled.audios)


@pytest.fixture(scope="module")
def projecting(tiny_base: Path) -> MuseTunePipeline:
    """A pipeline whose base has a style_projection, of random weights."""
    torch.manual_seed(0)
    pipe = make_pipe(tiny_base)
    widths = pipe.text_encoder.config.projection_dim, pipe.text_encoder_2.config.d_model
    pipe.register_modules(style_projection=StyleProjection(*widths, tokens=3, hidden=8).eval())
    return pipe


@pytest.mark.parametrize(("strength", "further"), [(0.0, 0), (0.5, 3), (1.0, None)])
def test_a_projection_tells_the_unet_beside_t5_or_in_its_place(
    projecting: MuseTunePipeline, monkeypatch: pytest.MonkeyPatch, strength: float, further: int | None
) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    forward = projecting.unet.forward

    def watched(*inputs: Any, **rest: Any) -> Any:
        seen.append((rest["encoder_hidden_states_1"], rest["encoder_attention_mask_1"]))
        return forward(*inputs, **rest)

    monkeypatch.setattr(projecting.unet, "forward", watched)
    play(projecting, num_waveforms_per_prompt=1, **QUICK)
    (words, words_mask), *_ = seen
    seen.clear()
    play(projecting, style_audio=(clip(1), 16000), style_strength=strength, num_waveforms_per_prompt=1, **QUICK)
    (states, mask), *_ = seen
    assert torch.equal(states[0][mask[0] > 0], words[0][words_mask[0] > 0])  # no words are no words
    told, own = states[-1][mask[-1] > 0], words[-1][words_mask[-1] > 0]
    if further is None:
        assert len(told) == 3
    else:
        assert len(told) == len(own) + further
        torch.testing.assert_close(told[: len(own)], own)


@pytest.mark.parametrize("whole", [True, False])
def test_a_projection_is_saved_and_loaded_with_the_pipeline(
    projecting: MuseTunePipeline, tiny_base: Path, tmp_path: Path, whole: bool
) -> None:
    projecting.save_pretrained(tmp_path, **({} if whole else {"reference": str(tiny_base)}))
    again = MuseTunePipeline.from_pretrained(tmp_path)
    for name, weight in projecting.style_projection.state_dict().items():
        assert torch.equal(again.style_projection.state_dict()[name], weight)
    one, other = (play(pipe, style_audio=(clip(1), 16000), **QUICK).audios for pipe in (projecting, again))
    np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
def test_nano_plays_with_the_sound_of_the_clip() -> None:
    """By its own CLAP; benchmarks/style.py asks a stranger."""
    pipe = MuseTunePipeline.from_pretrained("nano", adapter="theory")
    pipe.set_progress_bar_config(disable=True)
    sheet = LeadSheet.parse("| C | Am | F | G |", bpm=112, duration_seconds=5.12)
    clips = [rendered(programs) for programs in ((11, 32, 26), (48, 43, 68))]  # vibraphone trio; strings with oboe
    options: dict[str, Any] = {"lead_sheet": sheet, "num_inference_steps": 8}
    takes = [pipe("", style_audio=(clip, 16000), generator=seeded(3), **options).audios[0] for clip in clips]
    with torch.no_grad():
        heard, meant = (torch.stack([audio_embedding(pipe, wave, 16000) for wave in waves]) for waves in (takes, clips))
    likeness = heard @ meant.T  # (takes, clips)
    assert bool((likeness.argmax(dim=0) == torch.arange(2)).all()), likeness


def rendered(programs: tuple[int, ...]) -> np.ndarray:
    """Ten seconds of a chord by General MIDI's instruments, each in its octave, (samples,) at 16 kHz."""
    band = pretty_midi.PrettyMIDI()
    for program, pitches in zip(programs, ((60, 64, 67), (36,), (72, 76)), strict=True):
        player = pretty_midi.Instrument(program)
        beats = np.arange(0, 10, 0.5)
        player.notes = [pretty_midi.Note(90, pitch, t, t + 0.45) for t in beats for pitch in pitches]
        band.instruments.append(player)
    return synthesize(band, 16000, duration_s=10.0)


def test_a_projection_of_other_sizes_is_named() -> None:
    with pytest.raises(ValueError, match="StyleProjection: tokens=0 is not a whole number from 1"):
        StyleProjection(8, 8, tokens=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"style_strength": 0.5}, "needs style_audio"),
        ({"style_audio": (clip(0), 16000), "style_strength": 1.5}, r"style_strength=1\.5 is outside 0–1"),
        ({"style_audio": (np.zeros(800, np.float32), 16000)}, "style_audio is silent"),
        ({"style_audio": (clip(0), 16000), "harmonic_progression": None, "bpm": None}, "style_audio needs music"),
    ],
)
def test_what_is_no_style_is_said(pipe: MuseTunePipeline, arguments: dict[str, Any], message: str) -> None:
    request: dict[str, Any] = {"harmonic_progression": "I V vi IV", "bpm": 120} | arguments
    with pytest.raises(ValueError, match=message):
        pipe("warm pop", audio_length_in_s=1.28, num_inference_steps=1, **request)
