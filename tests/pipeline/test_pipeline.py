"""The pipeline on a small base with random weights: identities, files, guidance, windows, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AudioLDM2Pipeline, DiffusionPipeline
from small_pipe import make_pipe, play, quiet, seeded

from musetune import LeadSheet, MuseTunePipeline, MusicAdapter
from musetune.evaluation import Report
from musetune.pipeline.windows import blend, window_starts


@pytest.fixture
def pipe(tiny_base: Path) -> MuseTunePipeline:
    return make_pipe(tiny_base)


@pytest.fixture(scope="module")
def shared_pipe(tiny_base: Path) -> MuseTunePipeline:
    """For tests that leave it as it is."""
    return make_pipe(tiny_base)


@pytest.mark.slow
def test_prompt_only_is_the_stock_pipeline_bit_for_bit(tiny_base: Path, pipe: MuseTunePipeline) -> None:
    stock = quiet(AudioLDM2Pipeline.from_pretrained(tiny_base))
    call = {"num_inference_steps": 2, "audio_length_in_s": 2.56}
    wanted = stock("warm pop", generator=seeded(), **call).audios
    assert np.array_equal(
        MuseTunePipeline.from_pretrained(tiny_base)("warm pop", generator=seeded(), **call).audios, wanted
    )
    assert np.array_equal(pipe("warm pop", generator=seeded(), **call).audios, wanted)


@pytest.mark.slow
def test_same_seed_same_audio_and_music_matters(pipe: MuseTunePipeline) -> None:
    first = play(pipe).audios
    assert first.shape == (1, 40960)
    assert np.array_equal(play(pipe).audios, first)
    assert not np.array_equal(play(pipe, harmonic_progression="ii V I I").audios, first)
    assert not np.array_equal(play(pipe, generator=seeded(2)).audios, first)


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_several_candidates_come_most_obedient_first(pipe: MuseTunePipeline, monkeypatch) -> None:
    waves, scores = [], (0.2, 0.9, 0.5)

    def known(wave: np.ndarray, sr: int, sheet: LeadSheet, *, follow: tuple[str, ...] | None) -> Report:
        waves.append(wave)
        return Report(sheet, None, "known", {"majmin": scores[len(waves) - 1], "beat_f": scores[len(waves) - 1]})

    monkeypatch.setattr("musetune.evaluation.report", known)
    made = play(pipe, num_waveforms_per_prompt=3, return_report=True)
    assert [report.scores["majmin"] for report in made.reports] == [0.9, 0.5, 0.2]
    assert np.array_equal(made.audios, np.stack([waves[1], waves[2], waves[0]]))
    assert not np.array_equal(waves[0], waves[1])


def hard_cuts(latents, size, hop, denoise):  # type: ignore[no-untyped-def]
    """What `blend` must be better than: the later window wins."""
    out = torch.empty_like(latents)
    for index, start in enumerate(window_starts(latents.shape[2], size, hop)):
        out[:, :, start : start + size] = denoise(latents[:, :, start : start + size], index)
    return out


@pytest.mark.slow
@pytest.mark.parametrize(("join", "seamless"), [(blend, True), (hard_cuts, False)])
def test_thirty_seconds_in_windows_without_seams(pipe: MuseTunePipeline, monkeypatch, join, seamless: bool) -> None:
    """Neighbouring windows that disagree in level: no seam may stand out in the mel; where they are cut, it does."""
    torch.manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.randn(16, 1, 16, 16), size=(64, 128), mode="bilinear")
    pipe.vae.fit(smooth)
    mels, decode = [], pipe.vae.decode

    def disagree(latents, size, hop, denoise, circular):  # type: ignore[no-untyped-def]
        return join(latents, size, hop, lambda window, index: denoise(window, index) + 12.0 * (-1) ** index)

    def keep(latents):  # type: ignore[no-untyped-def]
        mels.append(decode(latents).sample[0, 0])
        return decode(latents)

    monkeypatch.setattr("musetune.pipeline.sampler.blend", disagree)
    monkeypatch.setattr(pipe.vae, "decode", keep)
    made = play(pipe, duration_seconds=30)
    assert made.audios.shape == (1, 480_000)
    rows, size = len(mels[0]) // 8, pipe.unet.config.sample_size
    jumps = (mels[0][8::8] - mels[0][7:-1:8]).abs().mean(1).numpy()  # over the edge before each row but the first
    starts = window_starts(rows, size, size // 2)
    seams = np.array(sorted({*starts[1:], *(start + size for start in starts[:-1])})) - 1
    elsewhere = np.delete(jumps, seams)
    assert (jumps[seams].max() <= np.quantile(elsewhere, 0.99)) == seamless


def test_a_longer_sheet_is_cut(shared_pipe: MuseTunePipeline) -> None:
    made = shared_pipe("pop", lead_sheet=FIVE, duration_seconds=2.0, num_inference_steps=1)
    assert made.audios.shape == (1, 32000)
    assert made.lead_sheet.duration_s == pytest.approx(2.0, abs=0.01)


FIVE = LeadSheet.parse("C G", duration_seconds=5.0)
ALONE = {"harmonic_progression": None, "bpm": None, "duration_seconds": None}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lead_sheet": FIVE}, "not both"),
        ({"bpm": 900}, "bpm=900 is outside 30–300"),
        ({"harmonic_progression": "H7"}, "'H7'"),
        ({"strength": 2.0}, "outside 0–1"),
        ({"duration_seconds": -1}, "duration_seconds=-1 is not above 0"),
        ({"duration_seconds": 0}, "duration_seconds=0 is not above 0"),
        ({"num_waveforms_per_prompt": 0}, "num_waveforms_per_prompt=0 must be"),
        ({"num_inference_steps": 0}, "num_inference_steps=0 must be"),
        ({"music_guidance_scale": -3}, "music_guidance_scale=-3 is below 0"),
        ({"guidance_scale": -1.5}, "guidance_scale=-1.5 is below 0"),
        ({"latents": torch.zeros(1, 4, 3, 16)}, r"\(1, 4, 3, 16\) do not fit: this call needs \(1, 4, 20, 16\)"),
        (ALONE | {"lead_sheet": FIVE, "key": "D major"}, "key='D major' is the lead sheet's own"),
        (ALONE | {"lead_sheet": FIVE, "bpm": 100}, "bpm=100 is the lead sheet's own"),
        (ALONE | {"lead_sheet": FIVE, "time_signature": "3/4"}, "time_signature='3/4' is"),
        (ALONE | {"lead_sheet": FIVE, "genre": "jazz"}, "genre='jazz' is the lead"),
        (ALONE | {"lead_sheet": FIVE, "duration_seconds": 20}, r"duration_seconds=20 is past .* lasts 5\.00 s"),
        (ALONE | {"bpm": 100}, "bpm=100 needs music: give harmonic_progression"),
        (ALONE | {"strength": 0.5}, "strength=0.5 needs music"),
        (ALONE | {"music_guidance_scale": 0.0}, "music_guidance_scale=0.0 needs music"),
        (ALONE | {"return_report": True}, "return_report needs music"),
        (ALONE | {"duration_seconds": 0}, "duration_seconds=0 is not above 0"),
        (ALONE | {"duration_seconds": 2, "audio_length_in_s": 3}, "give one of them"),
    ],
)
def test_errors(shared_pipe: MuseTunePipeline, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        play(shared_pipe, **settings)


def test_wrong_kinds_of_prompt_and_sheet(shared_pipe: MuseTunePipeline) -> None:
    with pytest.raises(ValueError, match="is not a str or a list of str"):
        shared_pipe(["pop", 3], lead_sheet=FIVE)
    with pytest.raises(TypeError, match="not a LeadSheet: chords go in as harmonic_progression"):
        shared_pipe("pop", lead_sheet="I V")


def test_music_without_an_adapter_says_what_to_do(tiny_base: Path) -> None:
    with pytest.raises(ValueError, match="load_adapter"):
        play(MuseTunePipeline.from_pretrained(tiny_base))


def test_unknown_names_are_refused(tiny_base: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no base"):
        MuseTunePipeline.from_pretrained("nanoo")
    with pytest.raises(FileNotFoundError, match="no adapter 'theorie'"):
        MuseTunePipeline.from_pretrained(tiny_base, adapter="theorie")


def test_a_misspelt_adapter_is_found_before_the_base_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no adapter 'theorie'"):
        MuseTunePipeline.from_pretrained(tmp_path, adapter="theorie")


@pytest.mark.slow
def test_an_adapter_from_the_hub_is_fetched_as_asked(pipe: MuseTunePipeline, tiny_base: Path, tmp_path, monkeypatch):  # type: ignore[no-untyped-def]
    pipe.adapter.save_pretrained(tmp_path / "adapter")
    asked = []

    def fetch(name: str, allow_patterns: list[str], **options) -> str:  # type: ignore[no-untyped-def]
        asked.append((name, options))
        return str(tmp_path / "adapter")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    access = {"token": "t", "cache_dir": str(tmp_path / "cache"), "local_files_only": True}
    loaded = MuseTunePipeline.from_pretrained(tiny_base, adapter="someone/jazz", adapter_revision="v1", **access)
    loaded.load_adapter("someone/jazz", revision="v2", **access)
    assert asked == [("someone/jazz", access | {"revision": v}) for v in ("v1", "v2")]


def test_windows_cover_and_blend_to_what_all_agree_on() -> None:
    assert window_starts(80, 80, 40) == [0]
    assert window_starts(235, 80, 40) == [0, 40, 80, 120, 155]
    latents = torch.randn(2, 3, 100, 4)
    torch.testing.assert_close(blend(latents, 40, 20, lambda window, index: 2 * window), 2 * latents)
    steps = blend(torch.zeros(1, 1, 60, 1), 40, 20, lambda window, index: torch.full_like(window, float(index)))[
        0, 0, :, 0
    ]
    assert steps.diff().abs().max() < 0.06
