"""Quantised pipelines: text encoders, GPT-2 and U-Net in 8 or 4 bits a weight, by torchao and diffusers' configs.

Only matrices (``nn.Linear``) are quantised. Convolutions, norms and embeddings stay, and so does what a small error
would reach everywhere from: ``conv_in`` with its condition, the time embedding, CLAP's ear and its projections.
Adapters and LoRAs are never quantised: on a quantised matrix a LoRA is added to the output instead of the weight.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from musetune.pipeline.checks import reject_arguments

if TYPE_CHECKING:
    from diffusers import PipelineQuantizationConfig

# Names of U-Net parts as diffusers' configs match them: a part of the weight's dotted name
KEPT_OF_UNET = ["conv_in", "time_embedding", "time_emb_proj"]
KEPT_OF_CLAP = ("audio_model.", "audio_projection.", "text_projection.")
LOGGER = "diffusers.quantizers.torchao.torchao_quantizer"


def _int8() -> Any:
    from torchao.quantization import Int8WeightOnlyConfig

    return Int8WeightOnlyConfig()


def _int8_dynamic() -> Any:
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig

    return Int8DynamicActivationInt8WeightConfig()


def _fp8() -> Any:
    from torchao.quantization import Float8WeightOnlyConfig

    return Float8WeightOnlyConfig()


def _int4() -> Any:
    from torchao.quantization import Int4WeightOnlyConfig

    return Int4WeightOnlyConfig(group_size=32)


QUANTIZATIONS: dict[str, Callable[[], Any]] = {
    "int8": _int8,
    "int8-dynamic": _int8_dynamic,
    "fp8": _fp8,
    "int4": _int4,
}


def torchao_config(name: str) -> Any:
    """Return torchao's configuration of a quantisation.

    Args:
        name: "int8" (weights in 8 bits), "int8-dynamic" (activations too, for each call), "fp8" (weights), "int4"
            (weights in groups of 32; needs a CUDA GPU and bfloat16).

    Raises:
        ValueError: for another name, where the device has no such arithmetic, and where torchao is not installed.
    """
    if name not in QUANTIZATIONS:
        raise ValueError(f"quantization={name!r} is not one of {', '.join(QUANTIZATIONS)}")
    if name == "int4" and not torch.cuda.is_available():
        raise ValueError("quantization='int4' needs a CUDA GPU, and there is none here: int8 runs everywhere")
    try:
        return QUANTIZATIONS[name]()
    except ImportError as error:
        raise ValueError(
            f"quantization={name!r} needs torchao, which is not installed: pip install 'musetune[quantization]'"
        ) from error


def pipeline_config(name: str) -> PipelineQuantizationConfig:
    """Return what ``DiffusionPipeline.from_pretrained`` takes as ``quantization_config``: U-Net and T5.

    CLAP is not among them, which transformers cannot load so, nor GPT-2, whose matrices are no ``nn.Linear``:
    ``quantize_clap`` and ``quantize_language_model`` do them.

    Args:
        name: as of ``torchao_config``.
    """
    from diffusers import PipelineQuantizationConfig
    from transformers import TorchAoConfig as TransformersTorchAoConfig

    return PipelineQuantizationConfig(
        quant_mapping={"unet": unet_config(name), "text_encoder_2": TransformersTorchAoConfig(torchao_config(name))}
    )


def quantization_options(name: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of ``from_pretrained`` that quantise, {} where nothing shall be.

    Args:
        name: as of ``torchao_config``, or None.
        options: the caller's.

    Raises:
        ValueError: as ``torchao_config`` does; where the caller gives a quantization_config too.
    """
    if name is None:
        return {}
    reject_arguments({"quantization_config": options.get("quantization_config")}, "and quantization: give one of them")
    precision = {} if options.keys() & {"dtype", "torch_dtype"} else {"dtype": torch.float32}
    return {"quantization_config": pipeline_config(name), **precision}


def finish_quantization(pipe: Any, name: str | None, skip: Collection[str]) -> None:
    """Quantise what diffusers left, and note it in ``pipe.quantization``.

    Args:
        pipe: that was loaded with ``quantization_options``.
        name: as of ``torchao_config``, or None.
        skip: components that the caller brought.
    """
    pipe.quantization = name
    for part, quantize in {"text_encoder": quantize_clap, "language_model": quantize_language_model}.items():
        if name is not None and part not in skip:
            quantize(getattr(pipe, part), name)


def unet_config(name: str) -> Any:
    """Return what ``AudioLDM2UNet2DConditionModel.from_pretrained`` takes as ``quantization_config``.

    Args:
        name: as of ``torchao_config``.
    """
    from diffusers import TorchAoConfig

    return TorchAoConfig(torchao_config(name), modules_to_not_convert=list(KEPT_OF_UNET))


def quantize_unet(unet: nn.Module, name: str) -> None:
    """Quantise a U-Net that is loaded already, in place, as ``unet_config`` does while one is loaded.

    Args:
        unet: ``AudioLDM2UNet2DConditionModel``.
        name: as of ``torchao_config``.
    """
    from torchao.quantization import quantize_

    quantize_(
        unet,
        torchao_config(name),
        filter_fn=lambda module, path: isinstance(module, nn.Linear) and not any(part in path for part in KEPT_OF_UNET),
    )


def quantize_clap(model: nn.Module, name: str) -> None:
    """Quantise the text branch of CLAP in place.

    Args:
        model: ``ClapModel``.
        name: as of ``torchao_config``.
    """
    from torchao.quantization import quantize_

    quantize_(
        model,
        torchao_config(name),
        filter_fn=lambda module, path: isinstance(module, nn.Linear) and not f"{path}.".startswith(KEPT_OF_CLAP),
    )


def quantize_language_model(model: nn.Module, name: str) -> None:
    """Quantise GPT-2 in place.

    Its matrices lie transposed in transformers' ``Conv1D``, which torchao does not know: they become ``nn.Linear``.

    Args:
        model: ``GPT2Model`` or ``GPT2LMHeadModel``.
        name: as of ``torchao_config``.
    """
    from torchao.quantization import quantize_
    from transformers.pytorch_utils import Conv1D

    config = torchao_config(name)
    for module in list(model.modules()):
        for child, layer in list(module.named_children()):
            if isinstance(layer, Conv1D):
                inputs, outputs = layer.weight.shape
                linear = nn.Linear(inputs, outputs, dtype=layer.weight.dtype, device="meta")
                linear.weight = nn.Parameter(layer.weight.detach().T.contiguous(), requires_grad=False)
                linear.bias = nn.Parameter(layer.bias.detach(), requires_grad=False)
                quantize_(linear, config)
                setattr(module, child, linear)


@contextmanager
def without_advice() -> Iterator[None]:
    """A context without diffusers' advice to use bfloat16 with integers: torchao's run with float32 too."""
    logger = logging.getLogger(LOGGER)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
