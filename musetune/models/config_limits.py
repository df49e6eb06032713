"""Bounds for the numbers in the configs of a stranger's base: checked on the JSON, then on shapes without memory.

A config.json asks for sizes; what it asks for must lie below plain limits and fit the safetensors beside it. The
network is built on torch's meta device, where a tensor has a shape and no memory.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from musetune.formats.json_object import JSON_BYTES
from musetune.symbols.json_values import JsonObject
from musetune.symbols.limits import read_bytes, shorten

CONFIGS = ("config.json", "preprocessor_config.json", "scheduler_config.json", "tokenizer_config.json")
MOST = 2**20  # of a whole number in a config; vocabularies are the largest
WIDTH, DEPTH, BLOCKS = 65_536, 256, 64
TENSORS, FEW, LAYERS = 8, 32, 512  # that a layer has at least; layers that are always, and never, described
WIDTHS = """
    d_model d_ff d_kv hidden_size intermediate_size n_embd n_inner block_out_channels cross_attention_dim in_channels
    out_channels latent_channels projection_dim text_encoder_dim text_encoder_1_dim langauge_model_dim
    attention_head_dim patch_embeds_hidden_size upsample_initial_channel model_in_dim time_embedding_dim
    time_cond_proj_dim projection_class_embeddings_input_dim spec_size window_size
"""
DEPTHS = """
    num_layers n_layer num_hidden_layers num_decoder_layers layers_per_block transformer_layers_per_block depths
    upsample_rates conv_in_kernel conv_out_kernel
"""
STACKS = ("num_layers", "n_layer", "num_hidden_layers")  # each is a stack of layers by itself
COUNTS = """
    num_heads n_head num_attention_heads solver_order upsample_kernel_sizes resblock_kernel_sizes
    resblock_dilation_sizes feature_size num_mel_bins extra_ids
"""
LENGTHS = "n_positions max_position_embeddings max_seq_length num_train_timesteps"
LIMITS = {  # field → the largest value; what is not named here may be up to MOST
    **dict.fromkeys(WIDTHS.split(), WIDTH),
    **dict.fromkeys(DEPTHS.split(), DEPTH),
    **dict.fromkeys(COUNTS.split(), 1024),
    **dict.fromkeys(LENGTHS.split(), 131_072),
    "fft_window_size": 16_384,
    "nb_frequency_bins": 16_384,
    "sampling_rate": 192_000,
    "max_length_s": 3600,
}
LISTS = """
    block_out_channels down_block_types up_block_types depths upsample_rates upsample_kernel_sizes
    resblock_kernel_sizes resblock_dilation_sizes cross_attention_dim
"""
LIST_LIMITS = dict.fromkeys(LISTS.split(), BLOCKS)  # field → the most entries
ENTRIES = 100_000  # of any other list
SPARE = 2**24  # numbers that a network may keep beside its weights: tables that it computes
TOKENIZER = ("extra_ids",)  # others may be 10^30 there, which stands for "no limit"
REMEDY = "take the file that was saved together with the weights"


def check_base_configs(folder: str | Path, index: Mapping[str, Any], skip: tuple[str, ...] = ()) -> None:
    """Check the configs of a base's parts before anything of them is built.

    Args:
        folder: the base's, on this machine.
        index: its model_index.json, whose libraries are trusted.
        skip: parts that are not read from the folder.

    Raises:
        ValueError: that names file, field, value, limit and fix.

    Example:
        >>> from musetune.hub.places import BASES
        >>> check_base_configs(BASES / "nano", {"scheduler": ["diffusers", "DPMSolverMultistepScheduler"]})
    """
    for part, entry in index.items():
        if part.startswith("_") or part in skip or not isinstance(entry, list) or entry[0] is None:
            continue
        check_configs(Path(folder) / part, *entry)


def check_configs(folder: str | Path, library: str, name: str) -> None:
    """Check the configs of one network's folder before it is built.

    Args:
        folder: the network's, on this machine.
        library: of the network's class, as model_index.json names it.
        name: of the class.

    Raises:
        ValueError: that names file, field, value, limit and fix.

    Example:
        >>> from musetune.hub.places import BASES
        >>> check_configs(BASES / "nano" / "unet", "diffusers", "AudioLDM2UNet2DConditionModel")
    """
    for path in (Path(folder) / config for config in CONFIGS):
        if path.is_file():
            config = _read(path)
            check_config(config, str(path), only=TOKENIZER if path.name.startswith("tokenizer") else None)
            if path.name == "config.json":
                check_against_weights(config, path, library, name)


def check_config(config: JsonObject, source: str, only: tuple[str, ...] | None = None) -> None:
    """Raise ValueError for a number or list in a config that is larger than makes sense; ``only``: these fields."""
    for name, value in _fields(config):
        if only is not None and name not in only:
            continue
        if isinstance(value, list):
            most, size, what = LIST_LIMITS.get(name, ENTRIES), len(value), f"{name} with {len(value)} entries"
        elif isinstance(value, int) or name in LIMITS:
            most, size, what = LIMITS.get(name, MOST), abs(value), f"{name}={shorten(value)}"
        else:
            continue
        if not size <= most:
            raise ValueError(f"{source}: {what} is beyond {most}, the most that is read there; {REMEDY}")


def check_against_weights(config: JsonObject, path: Path, library: str, name: str) -> None:
    """Raise ValueError where a network's config does not fit the safetensors beside it.

    Args:
        config: what ``path`` holds, below the plain limits.
        path: the config.json.
        library: of the network's class, as model_index.json names it.
        name: of the class.
    """
    shapes = weight_shapes(path.parent)
    network = _network(library, name) if shapes else None
    if network is None:  # without weights loading ends before a network is built
        return
    layers, most = _layers(config), min(max(len(shapes) // TENSORS, FEW), LAYERS)
    if layers > most:
        raise ValueError(
            f"{path} asks for {layers} layers, beyond {most}, the most that its weights can fill; {REMEDY}"
        )
    config_shapes = _shapes_asked(network, config, path)
    for key, shape in config_shapes.items():
        if key in shapes and shapes[key] != shape:
            sizes = [new for new, old in zip(shape, shapes[key], strict=False) if new != old]
            raise ValueError(
                f"{path}: {_named(config, sizes)} the shape {list(shape)} for {key}, which its weights hold as "
                f"{list(shapes[key])}; {REMEDY}"
            )
    count, held = (sum(map(math.prod, each.values())) for each in (config_shapes, shapes))
    if count > 2 * held + SPARE:
        raise ValueError(
            f"{path} asks for {count:.4g} numbers, where its weights hold {held:.4g}; {_largest(config)}; {REMEDY}"
        )


def weight_shapes(place: Path) -> dict[str, tuple[int, ...]]:
    """Return name → shape of what a file of safetensors, or all of a folder, hold, by their headers.

    Raises:
        ValueError: for a file whose header cannot be read, or is longer than 4 MiB, and for one that is cut off.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in [place] if place.is_file() else sorted(place.glob("*.safetensors")):
        try:
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if length > JSON_BYTES:
                    raise ValueError(f"its header takes {length} bytes, more than {JSON_BYTES}")
                header = json.loads(file.read(length))
            whole = (
                8 + length + max((e["data_offsets"][1] for k, e in header.items() if k != "__metadata__"), default=0)
            )
            if path.stat().st_size < whole:
                raise ValueError(f"it has {path.stat().st_size} of {whole} bytes")
            shapes |= {
                key: tuple(int(size) for size in entry["shape"])
                for key, entry in header.items()
                if key != "__metadata__"
            }
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path} is damaged or no safetensors ({error}): download it anew") from error
    return shapes


def _read(path: Path) -> JsonObject:
    """The object in a config; unlike other JSON of ours it may say Infinity, as schedulers do."""
    try:
        config = json.loads(read_bytes(path, JSON_BYTES))
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise ValueError(f"{path} is no JSON that can be read ({why}); {REMEDY}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} holds {type(config).__name__}, not an object; {REMEDY}")
    return config


def _fields(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(name, number or list) of all that stands in a config, however deep; entries of a list by the list's name."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _fields(one, key)
    elif isinstance(value, list):
        yield name, value
        for one in value:
            yield from _fields(one, name)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield name, value


def _layers(config: JsonObject) -> int:
    """How many layers of one kind a config asks for: blocks × layers of a block × transformers of a layer."""
    numbers = [(name, abs(int(value))) for name, value in _fields(config) if not isinstance(value, list)]
    sums = {name: sum(size for other, size in numbers if other == name) for name, _ in numbers}
    blocks, layers = config.get("block_out_channels"), config.get("layers_per_block")
    each = len(blocks) if isinstance(blocks, list) and not isinstance(layers, list) else 1
    diffusion = each * sums.get("layers_per_block", 1) * sums.get("transformer_layers_per_block", 1)
    deepest = max((size for name, size in numbers if name in STACKS), default=0)
    return max(diffusion, sums.get("depths", 0), deepest)


def component_class(library: str, name: str) -> type:
    """The class of a pipeline's part, as model_index.json names it.

    Args:
        library: one that is trusted, or a folder of diffusers' pipelines such as "audioldm2".
        name: of the class.

    Raises:
        ValueError: where it is no class that loads from a folder.

    Example:
        >>> component_class("transformers", "T5EncoderModel").__name__
        'T5EncoderModel'
    """
    from diffusers import pipelines

    try:
        module = getattr(pipelines, library, None) or importlib.import_module(library)
        component = getattr(module, name, None)
    except (ImportError, RuntimeError) as error:
        raise ValueError(f"{library}.{name} of model_index.json cannot be imported ({shorten(error)})") from error
    if not isinstance(component, type) or not hasattr(component, "from_pretrained"):
        raise ValueError(f"model_index.json names {library}.{name}, which is no class that loads from a folder")
    return component


def _network(library: str, name: str) -> Any:
    """The class of a network; None for a part that is none, or that only its own code knows."""
    from diffusers import ModelMixin
    from transformers import PreTrainedModel

    try:
        network = component_class(library, name)
    except ValueError:
        return None
    return network if issubclass(network, ModelMixin | PreTrainedModel) else None


def _shapes_asked(network: Any, config: JsonObject, path: Path) -> dict[str, tuple[int, ...]]:
    """Name → shape of the parameters and buffers of the network that a config describes; shared ones once."""
    import torch

    try:
        with torch.device("meta"):
            described = getattr(network, "config_class", None)
            built = network(described.from_dict(config)) if described else network.from_config(dict(config))
    except Exception as error:  # libraries raise what they like for a config that makes no sense
        raise ValueError(f"{path} describes no {network.__name__} ({shorten(error, 200)}); {REMEDY}") from error
    tensors = {id(t): (key, tuple(t.shape)) for key, t in (*built.named_parameters(), *built.named_buffers())}
    return dict(tensors.values())


def _named(config: JsonObject, sizes: list[int]) -> str:
    """The fields that hold one of ``sizes``, and the verb."""
    fields = [f"{name}={value}" for name, value in _fields(config) if not isinstance(value, list) and value in sizes]
    return f"{', '.join(dict.fromkeys(fields))} asks for" if fields else "it asks for"


def _largest(config: JsonObject) -> str:
    """The fields with the largest numbers, for a message."""
    fields = {f"{name}={value}": value for name, value in _fields(config) if isinstance(value, int)}
    return "its largest sizes are " + ", ".join(sorted(fields, key=lambda text: -fields[text])[:3])
