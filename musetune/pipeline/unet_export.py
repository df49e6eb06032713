"""The U-Net with its adapter as a function of tensors, which is what ONNX can say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from musetune.adapter import MusicAdapter, MusicInputs
from musetune.adapter.attention import MusicStream, RowAngles
from musetune.adapter.metadata import weight_fingerprint
from musetune.conditioning import tokenize
from musetune.pipeline.onnx_file import Part

if TYPE_CHECKING:
    from diffusers import AudioLDM2UNet2DConditionModel

    from musetune.symbols import LeadSheet

LAYOUT = "layout.json"  # in the exported folder: what the files take and give
EXAMPLE_WORDS = 5
LENGTH = "length"  # of latents, in units of `row_multiple`


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
        "levels": len(stream.angles),
        "sites": len(stream.keys),
        "modulated": len(stream.modulation),
        "strength": stream.strength,
    }
    return tensors, layout


def restore_music(tensors: Mapping[str, Tensor], layout: Mapping[str, Any]) -> MusicStream:
    """Return the stream of ``flatten_music``'s tensors and layout."""
    sites, levels = range(layout["sites"]), range(layout["levels"])
    return MusicStream(
        keys=tuple(tensors.get(f"keys_{i}") for i in sites),
        values=tuple(tensors.get(f"values_{i}") for i in sites),
        mask=tensors["event_mask"],
        angles=tuple(RowAngles(tensors[f"cos_{i}"].shape[0], tensors[f"cos_{i}"], tensors[f"sin_{i}"]) for i in levels),
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


def row_multiple(unet: AudioLDM2UNet2DConditionModel) -> int:
    """Latent rows that its levels halve without a rest; an export of any length takes multiples of it."""
    return 2 ** int(unet.num_upsamplers)


def unet_part(
    unet: AudioLDM2UNet2DConditionModel,
    adapter: MusicAdapter,
    sheet: LeadSheet,
    rows: int,
    row_s: float,
    *,
    any_length: bool = False,
) -> tuple[Part, dict[str, Any]]:
    """Return a U-Net with its adapter as it plays now, for one row of a batch, and its layout.

    Args:
        unet: with all that is active in its weights.
        adapter: attached to it.
        sheet: any; its events are an example.
        rows: of the latents; fixed in the export, unless it is for ``any_length``.
        row_s: seconds of a latent row.
        any_length: take latents of any length, a multiple of ``row_multiple``; ``rows`` is then one, and an example.
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
    dynamic: dict[str, dict[int, str | tuple[int, str]]] = {name: {1: "words"} for name in ("states", "mask")}
    dynamic |= {"generated": {1: "heard"}, "event_mask": {1: "events"}}
    dynamic |= {name: {2: "events"} for name in tensors if name.startswith(("keys", "values"))}
    multiple = row_multiple(unet)
    if any_length:
        dynamic["sample"] = {2: (multiple, LENGTH)}
        for name, tensor in tensors.items():  # at each level, places as the rows have them
            if name.startswith(("cos", "sin", "scale", "shift")):
                axis = 0 if name.startswith(("cos", "sin")) else 1
                dynamic[name] = {axis: (tensor.shape[axis] * multiple // rows, LENGTH)}
    layout |= {"rows": None if any_length else rows, "row_multiple": multiple if any_length else 1}
    layout |= {"cols": adapter.config.cols, "channels": shape.in_channels}
    layout["sketch"] = export_sketch(unet, adapter)
    return Part(_Named(MusicUNet(unet, layout), list(tensors)), example, dynamic, plain=5), layout


def export_sketch(unet: nn.Module, adapter: MusicAdapter) -> list[float]:
    """Return numbers that tell one exported network from another: of the U-Net's weights with all that is active in
    them, and of the adapter's layers at its sites, which are not among these.
    """
    norms = [float(weight.detach().float().norm()) for _, weight in sorted(adapter.sites.named_parameters())]
    return [*weight_fingerprint(unet), *norms]


class _Named(nn.Module):
    """MusicUNet with every tensor an argument of its own, as ONNX has them."""

    def __init__(self, network: MusicUNet, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(
        self, sample: Tensor, timestep: Tensor, generated: Tensor, states: Tensor, mask: Tensor, *music: Tensor
    ) -> Tensor:
        return self.network(sample, timestep, generated, states, mask, dict(zip(self.names, music, strict=True)))
