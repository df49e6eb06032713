"""A pipeline's networks as ONNX files: the U-Net with adapter and LoRAs in it, the decoder, the upsampler, the vocoder.

What is exported are networks, functions of tensors. What ONNX cannot say stays in torch: complex spectra and seeded
noise. So of nano's vocoder and of the upsampler the learnt network is exported and not the synthesis that follows; of
AudioLDM 2's HiFi-GAN all is.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from musetune.adapter import MusicAdapter, MusicInputs
from musetune.adapter.attention import MusicStream, RowAngles
from musetune.adapter.metadata import weight_fingerprint
from musetune.conditioning import tokenize
from musetune.models.nano.vocoder import NanoVocoder
from musetune.models.upsampler.network import FACTOR, RATE

if TYPE_CHECKING:
    from diffusers import AudioLDM2UNet2DConditionModel

    from musetune.models.upsampler import StereoUpsampler
    from musetune.symbols import LeadSheet

LAYOUT = "layout.json"  # in the exported folder: what the files take and give
EXAMPLE_WORDS = 5


class Part(NamedTuple):
    """A network to export.

    Attributes:
        module: takes and returns tensors.
        example: arguments by name.
        dynamic: axes of the arguments that may be of any size, as {argument: {axis: name}}.
    """

    module: nn.Module
    example: dict[str, Tensor]
    dynamic: dict[str, dict[int, str]]


class MusicUNet(nn.Module):
    """The U-Net as a function of tensors, the adapter's streams among them.

    Args:
        unet: with an adapter attached.
        layout: of the streams, as ``flatten_music`` returns it.
    """

    def __init__(self, unet: nn.Module, layout: dict[str, Any]) -> None:
        super().__init__()
        self.unet, self.layout = unet, layout

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor,
        generated: Tensor,
        states: Tensor,
        mask: Tensor,
        music: dict[str, Tensor],
    ) -> Tensor:
        """Return the prediction, like ``sample`` without the music's channels."""
        stream = restore_music(music, self.layout)
        prediction: Tensor = self.unet(
            sample,
            timestep,
            encoder_hidden_states=(generated, stream),
            encoder_hidden_states_1=states,
            encoder_attention_mask_1=mask,
            return_dict=False,
        )[0]
        return prediction


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


def flatten_music(stream: MusicStream) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return a stream's tensors by name, and what else there is to say of it.

    Args:
        stream: of ``MusicAdapter.prepare``.
    """
    tensors = {"event_mask": stream.mask}
    for i, angles in enumerate(stream.angles):
        tensors |= {f"cos_{i}": angles.cos, f"sin_{i}": angles.sin}
    for i, (keys, values) in enumerate(zip(stream.keys, stream.values, strict=True)):
        if keys is not None and values is not None:
            tensors |= {f"keys_{i}": keys, f"values_{i}": values}
    for i, (scale, shift) in enumerate(stream.modulation):
        tensors |= {f"scale_{i}": scale, f"shift_{i}": shift}
    layout = {
        "queries": [angles.queries for angles in stream.angles],
        "sites": len(stream.keys),
        "modulated": len(stream.modulation),
        "strength": stream.strength,
    }
    return tensors, layout


def restore_music(tensors: Mapping[str, Tensor], layout: Mapping[str, Any]) -> MusicStream:
    """Return the stream of ``flatten_music``'s tensors and layout."""
    sites = range(layout["sites"])
    return MusicStream(
        keys=tuple(tensors.get(f"keys_{i}") for i in sites),
        values=tuple(tensors.get(f"values_{i}") for i in sites),
        mask=tensors["event_mask"],
        angles=tuple(RowAngles(q, tensors[f"cos_{i}"], tensors[f"sin_{i}"]) for i, q in enumerate(layout["queries"])),
        strength=layout["strength"],
        modulation=tuple((tensors[f"scale_{i}"], tensors[f"shift_{i}"]) for i in range(layout["modulated"])),
    )


def prepare_music(adapter: MusicAdapter, sheet: LeadSheet, rows: int, batch: int, row_s: float) -> MusicInputs:
    """Return what an adapter makes of ``batch`` times a sheet, for latents of ``rows``, each of ``row_s`` seconds."""
    shape = adapter.config
    frame_s = row_s / shape.frames_per_row
    tokens = tokenize(sheet, frame_s=frame_s, n_frames=rows * shape.frames_per_row, event_s=shape.event_s)
    stacked = type(tokens).stack([tokens] * batch).to(adapter.device)
    return adapter.prepare(stacked, rows, shape.cols, row_s)


def unet_part(
    unet: AudioLDM2UNet2DConditionModel, adapter: MusicAdapter, sheet: LeadSheet, rows: int, row_s: float
) -> tuple[Part, dict[str, Any]]:
    """Return a U-Net with its adapter as it plays now, for one row of a batch, and its layout.

    Args:
        unet: with all that is active in its weights.
        adapter: attached to it.
        sheet: any; its events are an example.
        rows: of the latents; fixed in the export.
        row_s: seconds of a latent row.
    """
    music = prepare_music(adapter, sheet, rows, 1, row_s)
    shape, (_, gpt2, t5), batch = unet.config, unet.config.cross_attention_dim[0], 1
    latents = torch.randn(batch, shape.in_channels, rows, adapter.config.cols)
    sample, (generated, stream) = adapter.inputs(latents, torch.randn(batch, 8, gpt2), music)
    tensors, layout = flatten_music(stream)
    example = {
        "sample": sample,
        "timestep": torch.tensor(500),
        "generated": generated,
        "states": torch.randn(batch, EXAMPLE_WORDS, t5),
        "mask": torch.ones(batch, EXAMPLE_WORDS, dtype=torch.long),
        **tensors,
    }
    dynamic: dict[str, dict[int, str]] = {name: {1: "words"} for name in ("states", "mask")}
    dynamic |= {"event_mask": {1: "events"}}
    dynamic |= {name: {2: "events"} for name in tensors if name.startswith(("keys", "values"))}
    layout |= {"rows": rows, "cols": adapter.config.cols, "channels": shape.in_channels}
    layout["sketch"] = export_sketch(unet, adapter)
    return Part(_Named(MusicUNet(unet, layout), list(tensors)), example, dynamic), layout


def export_sketch(unet: nn.Module, adapter: MusicAdapter) -> list[float]:
    """Return numbers that tell one exported network from another: of the U-Net's weights with all that is active in
    them, and of the adapter's layers at its sites, which are not among these.
    """
    norms = [float(weight.detach().float().norm()) for _, weight in sorted(adapter.sites.named_parameters())]
    return [*weight_fingerprint(unet), *norms]


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


class _Named(nn.Module):
    """MusicUNet with every tensor an argument of its own, as ONNX has them."""

    def __init__(self, network: MusicUNet, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(
        self, sample: Tensor, timestep: Tensor, generated: Tensor, states: Tensor, mask: Tensor, *music: Tensor
    ) -> Tensor:
        return self.network(sample, timestep, generated, states, mask, dict(zip(self.names, music, strict=True)))


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
        seconds: that the U-Net makes at once; default the base's own length. It takes one row of a batch, with as many
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
    rows = pipe._rows(pipe._default_seconds if seconds is None else seconds)
    sheet = LeadSheet.from_progression(["I", "V", "vi", "IV"], duration_seconds=rows * pipe.row_s)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with pipe.adapter_manager.playing(1.0, music=True), evaluating(pipe):
        unet, layout = unet_part(pipe.adapter_manager.unet, pipe.adapter, sheet, rows, pipe.row_s)
        parts = {"unet": unet, **other_parts(pipe, rows)}
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


def write_onnx(part: Part, path: Path) -> None:
    """Write a network, with weights above 2 GB beside it."""
    sizes = {size: torch.export.Dim(size) for dims in part.dynamic.values() for size in dims.values()}
    axes = {name: {axis: sizes[size] for axis, size in dims.items()} for name, dims in part.dynamic.items()}
    shapes: tuple[Any, ...] = tuple(axes.get(name, {}) for name in part.example)
    if isinstance(part.module, _Named):
        shapes = (*shapes[:5], shapes[5:])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own ways of exporting
        program = torch.onnx.export(
            part.module,
            tuple(part.example.values()),
            input_names=list(part.example),
            output_names=["output"],
            dynamic_shapes=shapes,
            dynamo=True,
            optimize=False,  # engines do it when they load
            verbose=False,
        )
        assert program is not None
        program.save(path)
