"""A pipeline's networks as ONNX files: the U-Net with adapter and LoRAs in it, the decoder, the upsampler, the vocoder.

What is exported are networks, functions of tensors. What ONNX cannot say stays in torch: complex spectra and seeded
noise. So of nano's vocoder and of the upsampler the learnt network is exported and not the synthesis that follows; of
AudioLDM 2's HiFi-GAN all is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from musetune.models.nano.vocoder import NanoVocoder
from musetune.models.upsampler.network import FACTOR, RATE
from musetune.pipeline.onnx_file import Part, write_onnx
from musetune.pipeline.unet_export import LAYOUT, row_multiple, unet_part

if TYPE_CHECKING:
    from musetune.models.upsampler import StereoUpsampler


class LatentDecoder(nn.Module):
    """The autoencoder's way out: latents (B, channels, rows, cols) to a log spectrogram."""

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latents: Tensor) -> Tensor:
        """Return the log spectrogram (B, 1, frames, bins)."""
        sample: Tensor = self.vae.decode(latents).sample  # type: ignore[operator]
        return sample


class VocoderNetwork(nn.Module):
    """The learnt part of nano's vocoder, which hears nothing louder than its ceiling, as the vocoder does not."""

    def __init__(self, vocoder: NanoVocoder) -> None:
        super().__init__()
        self.vocoder = vocoder

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Return tones, noise and residual side by side, (B, frames, numbers), of a spectrogram (B, frames, bins)."""
        features = self.vocoder.features(self.vocoder.clamp(spectrogram))
        heads = (self.vocoder.tones, self.vocoder.noise, self.vocoder.residual)
        return torch.cat([head(features) for head in heads], dim=-1)


class UpsamplerNetwork(nn.Module):
    """The learnt part of the upsampler."""

    def __init__(self, upsampler: StereoUpsampler) -> None:
        super().__init__()
        self.upsampler = upsampler

    def forward(self, levels: Tensor) -> Tensor:
        """Return magnitudes, gates and places side by side, (B, frames, numbers), of normalised log magnitudes
        (B, bins, frames).
        """
        network = self.upsampler
        features = network._features(levels)
        return torch.cat([head(features) for head in (network.magnitude, network.gate, network.space)], dim=-1)


def sound_layout(pipe: Any) -> dict[str, Any]:
    """Return what a reader of the files needs to make sound of the U-Net's predictions without this package.

    scaling_factor: latents are divided by it before they are decoded; noise: beta schedule and what the U-Net predicts,
    as diffusers' schedulers name them; frames_per_row, hop (samples a frame) and sampling_rate of the waves; ceiling:
    the loudest natural-log magnitude of each bin that nano's vocoder lets pass, null where there is none;
    upsampled_rate: of the upsampler's waves, null without one.
    """
    scheduler, vocoder = pipe.scheduler.config, pipe.vocoder.config
    noise = {
        name: scheduler[name]
        for name in ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "prediction_type")
        if name in scheduler
    }
    return {
        "scaling_factor": float(pipe.vae.config.scaling_factor),
        "noise": noise,
        "frames_per_row": int(pipe.vae_scale_factor),
        "hop": math.prod(vocoder.upsample_rates),
        "sampling_rate": int(vocoder.sampling_rate),
        "ceiling": None if getattr(vocoder, "loudest", None) is None else [float(x) for x in vocoder.loudest],
        "upsampled_rate": None if pipe.upsampler is None else FACTOR * RATE,
    }


def other_parts(pipe: Any, rows: int) -> dict[str, Part]:
    """Return decoder, vocoder and, where there is one, upsampler, each for any length."""
    shape = pipe.unet.config
    latents = torch.randn(1, shape.in_channels, rows, pipe.adapter.config.cols)
    bins, frames = pipe.vocoder.config.model_in_dim, rows * pipe.vae_scale_factor
    vocoder = VocoderNetwork(pipe.vocoder) if isinstance(pipe.vocoder, NanoVocoder) else pipe.vocoder
    parts = {
        "decoder": Part(LatentDecoder(pipe.vae), {"latents": latents}, {"latents": {2: "rows"}}),
        "vocoder": Part(vocoder, {"spectrogram": torch.randn(1, frames, bins)}, {"spectrogram": {1: "frames"}}),
    }
    if pipe.upsampler is not None:
        levels = torch.randn(1, pipe.upsampler.embed.in_channels, frames)
        parts["upsampler"] = Part(UpsamplerNetwork(pipe.upsampler), {"levels": levels}, {"levels": {2: "frames"}})
    return parts


@torch.no_grad()
def export_onnx(
    pipe: Any, folder: str | Path, *, seconds: float | None = None, names: Sequence[str] | None = None
) -> dict[str, Path]:
    """Write the networks as ONNX, with everything that is active merged into the U-Net's weights.

    Args:
        pipe: with a theory adapter, in float32 on the CPU.
        folder: is made where it is not there. Gets ``unet.onnx``, ``decoder.onnx``, ``vocoder.onnx``, where there is
            one ``upsampler.onnx``, and ``layout.json``.
        seconds: the only length that the U-Net shall make at once, which OpenVINO computes a little faster; default
            any length, in latent rows a multiple of what its levels halve. It takes one row of a batch, with as many
            words and events as there are. The others take any length.
        names: of the parts; default all.

    Returns:
        The files by part.

    Raises:
        ValueError: without a theory adapter; for a quantised pipeline and another precision; where onnx is not
            installed; for other names.
    """
    from musetune.symbols import LeadSheet

    if pipe.adapter is None:
        raise ValueError("there is no theory adapter to export: load_adapter(…) first")
    if pipe.quantization is not None:
        raise ValueError(f"quantization={pipe.quantization!r} cannot be exported: load the pipeline without")
    if pipe.unet.dtype != torch.float32 or pipe.unet.device.type != "cpu":
        raise ValueError(f"the U-Net is in {pipe.unet.dtype} on {pipe.unet.device}: export it in float32 on the CPU")
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ValueError("exporting needs onnx, which is not installed: pip install 'musetune[export]'") from error
    unet = pipe.adapter_manager.unet
    rows = pipe._rows(pipe._default_seconds if seconds is None else seconds)
    if seconds is None:  # an example of any length, of more than one unit: torch takes 1 for a constant
        rows = max(2, math.ceil(rows / row_multiple(unet))) * row_multiple(unet)
    sheet = LeadSheet.from_progression(["I", "V", "vi", "IV"], duration_seconds=rows * pipe.row_s)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with pipe.adapter_manager.playing(1.0, music=True), evaluating(pipe):
        network, layout = unet_part(unet, pipe.adapter, sheet, rows, pipe.row_s, any_length=seconds is None)
        mix = {} if pipe.loras is None else pipe.loras.mix
        layout["mix"] = {name: weight for name, weight in mix.items() if weight}
        parts = {"unet": network, **other_parts(pipe, rows)}
        if strange := sorted(set(names or ()) - parts.keys()):
            raise ValueError(f"{strange[0]!r} is not one of {', '.join(parts)}")
        files = {name: target / f"{name}.onnx" for name in parts if names is None or name in names}
        for name, path in files.items():
            write_onnx(parts[name], path)
            if name == "unet":
                (target / LAYOUT).write_text(json.dumps(layout | sound_layout(pipe), indent=1) + "\n")
    return files


@contextmanager
def evaluating(pipe: Any) -> Iterator[None]:
    """A context in which modules are in evaluation mode, as an export wants them; after it as before."""
    modules = [part for part in pipe.components.values() if isinstance(part, nn.Module)]
    trained = [module for module in modules if module.training]
    for module in trained:
        module.eval()
    try:
        yield
    finally:
        for module in trained:
            module.train()
