"""What makes old AudioLDM 2 folders work with current libraries, and where a pipeline runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

if TYPE_CHECKING:
    import torch
    from transformers import GPT2LMHeadModel

    from musetune.hub.options import HubOptions


def language_model(
    base: str,
    index: dict[str, Any],
    dtype: torch.dtype | dict[str, torch.dtype] | None = None,
    variant: str | None = None,
    **hub: Unpack[HubOptions],
) -> GPT2LMHeadModel | None:
    """The folder's GPT-2 with its generation methods where the index names plain ``GPT2Model``, else None.

    dtype: of the weights, as DiffusionPipeline.from_pretrained takes it: one for all, or by component with a "default".
    Plain GPT2Model has lost what AudioLDM2Pipeline calls (diffusers issue 12630); GPT2LMHeadModel loads the same
    weights.
    """
    if index.get("language_model", ["", ""])[1] != "GPT2Model":
        return None
    import torch
    from transformers import GPT2LMHeadModel

    if isinstance(dtype, dict):
        dtype = dtype.get("language_model", dtype.get("default", torch.float32))
    return GPT2LMHeadModel.from_pretrained(
        base, subfolder="language_model", use_safetensors=True, dtype=dtype, variant=variant, **hub
    )


def resolve_dtype(dtype: Any) -> Any:
    """Return ``dtype`` with names such as "float16" or "torch.float16" as torch.dtype: every part then means the same
    by it.

    Raises:
        ValueError: for what is no dtype.
    """
    import torch

    if isinstance(dtype, dict):
        return {part: resolve_dtype(one) for part, one in dtype.items()}
    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    value = getattr(torch, dtype.removeprefix("torch."), None) if isinstance(dtype, str) else None
    if not isinstance(value, torch.dtype):
        raise ValueError(f"dtype={dtype!r} is no dtype: give torch.float32, torch.float16 or torch.bfloat16")
    return value


def pick_device(name: str | None) -> str:
    """``name`` where it can be used, by default cuda where there is one, else cpu."""
    import torch

    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name).cpu()
    except Exception as error:  # torch raises what it likes: RuntimeError, AssertionError, NotImplementedError
        raise ValueError(f"device={name!r} cannot be used here; cpu always can ({error})") from error
    return name


def quiet() -> None:
    """No bars and notices while weights are loaded; the bar of denoising stays."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    for library in (of_diffusers, of_transformers):
        library.set_verbosity_error()
        library.disable_progress_bar()
