"""A network as an ONNX file: what it takes, and which of its axes may be of any size."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Part(NamedTuple):
    """A network to export.

    Attributes:
        module: takes and returns tensors.
        example: arguments by name.
        dynamic: axes of the arguments that may be of any size, as {argument: {axis: name}}; or, as
            {argument: {axis: (8, name)}}, of eight times any size.
        plain: how many arguments the module names; those after them are its ``*args``. None: it names all.
    """

    module: nn.Module
    example: dict[str, Tensor]
    dynamic: Mapping[str, Mapping[int, str | tuple[int, str]]]
    plain: int | None = None


def write_onnx(part: Part, path: Path) -> None:
    """Write a network, with weights above 2 GB beside it."""
    sizes: dict[str, Any] = {}

    def dim(size: str | tuple[int, str]) -> Any:
        factor, name = (1, size) if isinstance(size, str) else size
        sizes.setdefault(name, torch.export.Dim(name, min=1))
        return sizes[name] if factor == 1 else factor * sizes[name]

    axes = {name: {axis: dim(size) for axis, size in dims.items()} for name, dims in part.dynamic.items()}
    shapes: tuple[Any, ...] = tuple(axes.get(name, {}) for name in part.example)
    if part.plain is not None:
        shapes = (*shapes[: part.plain], shapes[part.plain :])
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
