"""A tiny decoder in the place of autoencoder and vocoder: in calls, loops, streams, edits and folders; gone again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_pipe import make_pipe, play, quiet, seeded

from musetune import LeadSheet, MuseTunePipeline
from musetune.models.tiny_decoder import TinyDecoder
from musetune.pipeline.decoding import decoder_for
from musetune.pipeline.looping import vocode_loop


def decoder_of(pipe: MuseTunePipeline, **changes: float) -> TinyDecoder:
    """Random weights, of this base's shapes but for ``changes``."""
    torch.manual_seed(6)
    shape = {**decoder_for(pipe, dim=32, layers=1).config, **changes}
    return TinyDecoder(**{name: value for name, value in shape.items() if not name.startswith("_")}).eval()


@pytest.fixture(scope="module")
def plain(tiny_base: Path) -> MuseTunePipeline:
    return make_pipe(tiny_base)


@pytest.fixture
def pipe(plain: MuseTunePipeline, monkeypatch: pytest.MonkeyPatch) -> MuseTunePipeline:
    """With a tiny decoder, and a pair that may not be used."""
    pipe = MuseTunePipeline.from_pipe(plain)
    pipe.load_decoder(decoder_of(pipe))

    def forbidden(*args: object) -> None:
        raise AssertionError("the tiny decoder takes its place")

    monkeypatch.setattr(pipe.vae, "decode", forbidden)
    monkeypatch.setattr(pipe.vocoder, "forward", forbidden)
    monkeypatch.setattr(pipe.vocoder, "stream", forbidden)
    return pipe


def test_a_call_sounds_as_the_decoder_says_until_it_is_taken_out(plain: MuseTunePipeline) -> None:
    pipe = MuseTunePipeline.from_pipe(plain)
    wanted = play(pipe, duration_seconds=1.28)
    pipe.load_decoder(decoder_of(pipe))
    made = play(pipe, duration_seconds=1.28)
    assert torch.equal(made.latents, wanted.latents)
    with torch.no_grad():
        wave = pipe.tiny_decoder(made.latents).numpy()[:, : made.audios.shape[1]]
    np.testing.assert_array_equal(made.audios, wave / max(1.0, np.abs(wave).max() / 0.99))
    pipe.load_decoder(None)
    assert np.array_equal(play(pipe, duration_seconds=1.28).audios, wanted.audios)


def test_loops_and_streams_are_its_too(pipe: MuseTunePipeline) -> None:
    """A loop that begins elsewhere is the same loop: no end is heard in it; stretched, it lasts to the sample."""
    latents = torch.randn(1, pipe.unet.config.in_channels, 24, pipe.tiny_decoder.config.cols, generator=seeded())
    row = pipe.tiny_decoder.samples_per_row
    with torch.no_grad():
        circle = vocode_loop(pipe, latents, 24 * row)
        turned = vocode_loop(pipe, latents.roll(5, 2), 24 * row)
        assert vocode_loop(pipe, latents, 23 * row + 77).shape == (23 * row + 77,)
    np.testing.assert_allclose(np.roll(circle, 5 * row), turned, atol=1e-4)
    chunk = next(
        pipe.stream(LeadSheet.parse("| C |", bpm=240), stereo=False, generator=seeded(), num_inference_steps=1)
    )
    assert np.isfinite(chunk.audio).all()
    assert chunk.audio.std() > 0


def test_edits_of_a_result_and_of_a_recording_keep_the_rest(pipe: MuseTunePipeline) -> None:
    take = play(pipe)
    sheet, rate = take.lead_sheet, take.sampling_rate
    for audio, rest in ((take, {}), (take.audios[0], {"lead_sheet": sheet, "sampling_rate": rate})):
        made = pipe.repaint(audio, seconds=(1.28, 1.92), generator=seeded(2), num_inference_steps=1, **rest)
        changed = np.flatnonzero(made.audios[0] != take.audios[0])
        assert 0.6 < len(changed) / rate < 0.8
        assert changed[0] / rate > 1.2
        assert changed[-1] / rate < 1.93


@pytest.mark.slow
def test_folders_hold_it(pipe: MuseTunePipeline, tiny_base: Path, tmp_path: Path) -> None:
    wanted = play(pipe, duration_seconds=1.28).audios
    pipe.save_pretrained(tmp_path / "all")
    pipe.save_pretrained(tmp_path / "light", reference=str(tiny_base))
    for folder in ("all", "light"):
        loaded = quiet(MuseTunePipeline.from_pretrained(tmp_path / folder))
        assert np.array_equal(play(loaded, duration_seconds=1.28).audios, wanted)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"latent_channels": 3}, r"latent_channels=3 \(here"),
        ({"cols": 5}, r"cols=5 \(here"),
        ({"sampling_rate": 8000}, r"sampling_rate=8000 \(here 16000\)"),
        ({"frames_per_row": 2}, r"hop · frames_per_row=512 \(here"),
        ({"scaling_factor": 0.4110}, r"scaling_factor=0.411 \(here"),
    ],
)
def test_one_of_another_base_is_refused(
    pipe: MuseTunePipeline, changes: dict[str, float], complaint: str, tmp_path: Path
) -> None:
    own = pipe.tiny_decoder
    decoder_of(pipe, **changes).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=complaint):
        pipe.load_decoder(tmp_path)
    assert pipe.tiny_decoder is own
