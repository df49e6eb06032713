"""The pipeline on a small base with random weights: identities, files, guidance, windows, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AudioLDM2Pipeline, DiffusionPipeline

from musetune import LeadSheet, MuseTunePipeline, MusicAdapter
from musetune.generation.guidance import guide
from musetune.generation.windows import blend, window_starts


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def quiet(pipe):  # type: ignore[no-untyped-def]
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def pipe(tiny_base: Path) -> MuseTunePipeline:
    """With an adapter and a LoRA of random weights: they do something."""
    pipe = quiet(MuseTunePipeline.from_pretrained(tiny_base))
    adapter = MusicAdapter.for_unet(pipe.unet, dim=32, hidden=16, map_channels=8)
    pipe.load_adapter(adapter)
    adapter.add_lora(2)
    torch.manual_seed(3)
    with torch.no_grad():
        for p in adapter.trainable_parameters():
            p.normal_(std=0.1)
    return pipe


def play(pipe: MuseTunePipeline, **settings):  # type: ignore[no-untyped-def]
    request = {
        "harmonic_progression": "I V vi IV",
        "bpm": 120,
        "duration_seconds": 2.56,
        "num_inference_steps": 2,
        "generator": seeded(),
    }
    return pipe("warm pop", **(request | settings))


def test_prompt_only_is_the_stock_pipeline_bit_for_bit(tiny_base: Path, pipe: MuseTunePipeline) -> None:
    stock = quiet(AudioLDM2Pipeline.from_pretrained(tiny_base))
    call = {"num_inference_steps": 2, "audio_length_in_s": 2.56}
    wanted = stock("warm pop", generator=seeded(), **call).audios
    assert np.array_equal(
        MuseTunePipeline.from_pretrained(tiny_base)("warm pop", generator=seeded(), **call).audios, wanted
    )
    assert np.array_equal(pipe("warm pop", generator=seeded(), **call).audios, wanted)


def test_same_seed_same_audio_and_music_matters(pipe: MuseTunePipeline) -> None:
    first = play(pipe).audios
    assert first.shape == (1, 40960)
    assert np.array_equal(play(pipe).audios, first)
    assert not np.array_equal(play(pipe, harmonic_progression="ii V I I").audios, first)
    assert not np.array_equal(play(pipe, generator=seeded(2)).audios, first)


def test_folder_round_trip(pipe: MuseTunePipeline, tmp_path: Path) -> None:
    wanted = play(pipe).audios
    pipe.save_pretrained(tmp_path / "all")
    assert np.array_equal(play(pipe).audios, wanted)
    assert np.array_equal(play(quiet(MuseTunePipeline.from_pretrained(tmp_path / "all"))).audios, wanted)
    plain = quiet(
        DiffusionPipeline.from_pretrained(
            tmp_path / "all", custom_pipeline=str(tmp_path / "all"), trust_remote_code=True
        )
    )
    assert np.array_equal(play(plain).audios, wanted)


def test_adapters_switch_on_one_base(pipe: MuseTunePipeline) -> None:
    wanted, unet, first = play(pipe).audios, pipe.unet, pipe.adapter
    pipe.load_adapter(MusicAdapter.for_unet(unet, dim=32, hidden=16, map_channels=8))
    assert not np.array_equal(play(pipe).audios, wanted)
    pipe.load_adapter(first)
    assert pipe.unet is unet
    assert np.array_equal(play(pipe).audios, wanted)
    with pytest.raises(ValueError, match="another U-Net"):
        pipe.load_adapter(MusicAdapter())
    assert np.array_equal(play(pipe).audios, wanted)


def test_several_candidates_come_most_obedient_first(pipe: MuseTunePipeline) -> None:
    made = play(pipe, num_waveforms_per_prompt=2, return_report=True)
    assert made.audios.shape[0] == 2
    assert made.reports[0].score >= made.reports[1].score


def test_thirty_seconds_in_windows_without_seams(pipe: MuseTunePipeline) -> None:
    audio = play(pipe, duration_seconds=30).audios[0]
    assert len(audio) == 480_000
    energy = np.square(audio[: 1024 * 468]).reshape(468, 1024).mean(1)
    jumps = np.abs(np.diff(np.log(energy + 1e-9)))
    hop = 40 * pipe.row_s * 16000 / 1024
    seams = [int(hop * i) for i in range(1, 5)]
    assert max(jumps[s - 1 : s + 2].max() for s in seams) <= np.quantile(jumps, 0.999)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lead_sheet": LeadSheet.parse("C")}, "not both"),
        ({"bpm": 900}, "bpm=900 is outside 30–300"),
        ({"harmonic_progression": "H7"}, "'H7'"),
        ({"strength": 2.0}, "outside 0–1"),
    ],
)
def test_errors(pipe: MuseTunePipeline, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        play(pipe, **settings)


def test_music_without_an_adapter_says_what_to_do(tiny_base: Path) -> None:
    with pytest.raises(ValueError, match="load_adapter"):
        play(MuseTunePipeline.from_pretrained(tiny_base))


def test_unknown_names_are_refused(tiny_base: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no base"):
        MuseTunePipeline.from_pretrained("nanoo")
    with pytest.raises(FileNotFoundError, match="no adapter 'theorie'"):
        MuseTunePipeline.from_pretrained(tiny_base, adapter="theorie")


def test_guidance_of_two_conditions() -> None:
    nothing, text, both = torch.randn(3, 1, 4).unbind(0)
    stacked = torch.cat([nothing, text, both])
    torch.testing.assert_close(guide(stacked, 1.0, 1.0), both)
    torch.testing.assert_close(guide(stacked, 1.0, 0.0), text)
    torch.testing.assert_close(guide(stacked, 0.0, 0.0), nothing)


def test_windows_cover_and_blend_to_what_all_agree_on() -> None:
    assert window_starts(80, 80, 40) == [0]
    assert window_starts(235, 80, 40) == [0, 40, 80, 120, 155]
    latents = torch.randn(2, 3, 100, 4)
    torch.testing.assert_close(blend(latents, 40, 20, lambda window, index: 2 * window), 2 * latents)
    steps = blend(torch.zeros(1, 1, 60, 1), 40, 20, lambda window, index: torch.full_like(window, float(index)))[
        0, 0, :, 0
    ]
    assert steps.diff().abs().max() < 0.06
