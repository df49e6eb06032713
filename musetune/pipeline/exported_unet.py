"""ExportedUNet: an exported U-Net in the place of the pipeline's, run by ONNX Runtime or OpenVINO."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from musetune.adapter.attention import MusicStream
from musetune.pipeline.unet_export import LAYOUT, export_sketch, flatten_music

if TYPE_CHECKING:
    from diffusers import AudioLDM2UNet2DConditionModel

    from musetune.adapter import MusicAdapter

SAME_WEIGHTS = 1e-4  # relative distance of sketches: another mix moves them by a hundred times as much
ENGINES = ("onnxruntime", "openvino")
TORCH = "play in torch: load_engine(None), without --engine"
Run = Callable[[dict[str, np.ndarray]], np.ndarray]


class UNetPrediction(NamedTuple):
    """What a U-Net returns.

    sample: (B, channels, rows, cols).
    """

    sample: Tensor


class ExportedUNet:
    """Calls ``unet.onnx`` as the sampler calls a U-Net; ``pipe.load_engine`` puts it there.

    Args:
        folder: that ``export_onnx`` wrote.
        engine: "onnxruntime" or "openvino"; None: the faster one of those that are installed, OpenVINO before the
            other.
        threads: of the processor; 0: as many as the engine likes.

    Raises:
        ValueError: for another engine, one that is not installed, and a folder without an exported U-Net.

    Attributes:
        rows: of the latents, None: any multiple of ``row_multiple``.
    """

    def __init__(self, folder: str | Path, engine: str | None = None, threads: int = 0) -> None:
        path = Path(folder)
        check_export(path)
        self.layout = json.loads((path / LAYOUT).read_text())
        self.rows: int | None = self.layout["rows"]
        self.row_multiple: int = self.layout.get("row_multiple", 1)
        self.folder = path
        self.run = load_engine(path / "unet.onnx", engine or fastest_engine(), threads)

    def check(self, unet: AudioLDM2UNet2DConditionModel, adapter: MusicAdapter) -> None:
        """Raise ValueError where U-Net and adapter, with what is active in their weights, are not those that were
        exported.
        """
        if unet.dtype != torch.float32:
            raise ValueError(
                f"the U-Net is in {unet.dtype}, the export in float32: load the pipeline in float32, or {TORCH}"
            )
        here, exported = (torch.tensor(sketch) for sketch in (export_sketch(unet, adapter), self.layout["sketch"]))
        if here.shape != exported.shape or float((here - exported).norm()) > SAME_WEIGHTS * float(exported.norm()):
            raise ValueError(
                f"{self.folder} was exported from another base, adapter or mix (it holds {self._adapters()}): export "
                f"this one, play that mix, or {TORCH}"
            )

    def _adapters(self) -> str:
        """Say which adapters were active when it was exported."""
        mix = self.layout.get("mix") or {}
        return ", ".join(["the theory adapter", *(f"{name} at {weight:g}" for name, weight in mix.items())])

    def __call__(
        self,
        sample: Tensor,
        timestep: Tensor,
        *,
        encoder_hidden_states: tuple[Tensor, MusicStream],
        encoder_hidden_states_1: Tensor,
        encoder_attention_mask_1: Tensor,
        cross_attention_kwargs: dict[str, Any] | None = None,
    ) -> UNetPrediction:
        """Predict row by row; arguments as of ``AudioLDM2UNet2DConditionModel``.

        Raises:
            ValueError: for latents of another length than was exported, another strength, a timestep between whole
                ones, and ``cross_attention_kwargs``.
        """
        generated, stream = encoder_hidden_states
        if cross_attention_kwargs:
            raise ValueError("cross_attention_kwargs have no meaning for an exported U-Net: leave them out")
        if self.rows is not None and sample.shape[2] != self.rows:
            raise ValueError(
                f"{sample.shape[2]} latent rows were asked for, and {self.rows} were exported: export without seconds, "
                f"which takes any length, or {TORCH}"
            )
        if sample.shape[2] % self.row_multiple:
            raise ValueError(
                f"{sample.shape[2]} latent rows were asked for, and multiples of {self.row_multiple} were exported: "
                f"ask for such a length, or {TORCH}"
            )
        if stream.strength != self.layout["strength"]:
            raise ValueError(f"strength={stream.strength} was asked for, and {self.layout['strength']} was exported")
        if float(timestep) != int(timestep):
            raise ValueError(
                f"the scheduler asks for timestep {float(timestep):g}, and whole ones were exported: play with a "
                f"scheduler of whole timesteps, such as DDIM or DPM-Solver++, or {TORCH}"
            )
        music, _ = flatten_music(stream)
        shared = {"timestep"} | {name for name in music if name.startswith(("cos", "sin"))}
        tensors = {
            "sample": sample,
            "timestep": timestep.long().reshape(()),
            "generated": generated,
            "states": encoder_hidden_states_1,
            "mask": encoder_attention_mask_1.long(),
            **music,
        }
        arrays = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
        rows = [
            self.run({name: array if name in shared else array[i : i + 1] for name, array in arrays.items()})
            for i in range(len(sample))
        ]
        return UNetPrediction(torch.from_numpy(np.concatenate(rows)).to(sample.device))


def check_export(folder: Path) -> None:
    """Raise ValueError for a folder that holds no exported U-Net."""
    if not (folder / "unet.onnx").is_file() or not (folder / LAYOUT).is_file():
        raise ValueError(f"{folder} holds no exported U-Net: write one with musetune export onnx {folder}")


def choose_exported(
    exported: Sequence[ExportedUNet], unet: AudioLDM2UNet2DConditionModel, adapter: MusicAdapter
) -> ExportedUNet:
    """Return the one that holds what U-Net and adapter play now.

    Raises:
        ValueError: where none does; why, of each.
    """
    reasons = []
    for one in exported:
        try:
            one.check(unet, adapter)
        except ValueError as error:
            reasons.append(str(error))
        else:
            return one
    raise ValueError("; ".join(reasons))


def fastest_engine() -> str:
    """Return the engine to play with: OpenVINO where it is installed, which is the faster one, else ONNX Runtime.

    Raises:
        ValueError: where neither is installed.
    """
    names = [name for name in reversed(ENGINES) if is_installed(name)]
    if not names:
        raise ValueError("an exported U-Net needs openvino or onnxruntime: pip install 'musetune[export]'")
    return names[0]


def is_installed(engine: str) -> bool:
    """Return whether an engine can be imported here."""
    return importlib.util.find_spec(engine) is not None


def load_engine(path: Path, engine: str, threads: int = 0) -> Run:
    """Return a function of named arrays that runs an ONNX file and returns its output.

    Args:
        path: the file.
        engine: one of ENGINES.
        threads: 0: as many as the engine likes.

    Raises:
        ValueError: for another engine, and one that is not installed.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine={engine!r} is not one of {', '.join(ENGINES)}")
    try:
        return _onnxruntime(path, threads) if engine == "onnxruntime" else _openvino(path, threads)
    except ImportError as error:
        raise ValueError(f"{engine} is not installed: pip install 'musetune[export]'") from error


def _onnxruntime(path: Path, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = {one.name for one in session.get_inputs()}  # what a graph does not need is not in it

    def run(arrays: dict[str, np.ndarray]) -> np.ndarray:
        return np.asarray(session.run(None, {name: array for name, array in arrays.items() if name in names})[0])

    return run


def _openvino(path: Path, threads: int) -> Run:
    import openvino

    # float32 as it was exported; by default OpenVINO computes in bfloat16 where the processor can
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    model = openvino.Core().compile_model(str(path), "CPU", settings)
    names = {one.get_any_name() for one in model.inputs}

    def run(arrays: dict[str, np.ndarray]) -> np.ndarray:
        found = model({name: np.asarray(array, order="C") for name, array in arrays.items() if name in names})
        return np.array(found[0])

    return run
