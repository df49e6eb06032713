"""The ComfyUI nodes: ComfyUI's documented contract (docs.comfy.org, "Custom nodes"), and the example workflow, run on a
small base by the links and widgets of its file. ComfyUI itself is not needed.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from small_pipe import genre_folders, make_pipe

from musetune import LeadSheet

FOLDER = Path(__file__).parents[2] / "integrations" / "comfyui"
WIDGETS = {"STRING": str, "INT": int, "FLOAT": float, "BOOLEAN": bool}


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The folder, dropped into a folder of custom nodes and loaded as ComfyUI's ``load_custom_node`` does."""
    folder = shutil.copytree(FOLDER, tmp_path_factory.mktemp("custom_nodes") / "musetune")
    name = str(folder).replace(".", "_x_")
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_the_nodes_keep_the_contract(pack: ModuleType) -> None:
    assert set(pack.NODE_CLASS_MAPPINGS) == set(pack.NODE_DISPLAY_NAME_MAPPINGS)
    assert len(pack.NODE_CLASS_MAPPINGS) == 5
    for name, cls in pack.NODE_CLASS_MAPPINGS.items():
        inputs = cls.INPUT_TYPES()
        assert set(inputs) <= {"required", "optional", "hidden"}, name
        taken = {key: value for part in inputs.values() for key, value in part.items()}
        assert list(inspect.signature(getattr(cls, cls.FUNCTION)).parameters)[1:] == list(taken), name
        assert isinstance(cls.RETURN_TYPES, tuple), name
        assert len(cls.RETURN_TYPES) == len(cls.RETURN_NAMES)
        assert cls.CATEGORY == "audio/MuseTune"
        for kind, *options in taken.values():
            if isinstance(kind, list):
                assert options[0]["default"] in kind
            elif kind in WIDGETS:
                assert isinstance(options[0]["default"], WIDGETS[kind])


def api_inputs(node: dict[str, Any], links: dict[int, list[Any]], cls: type) -> dict[str, Any]:
    """A node's inputs as the server gets them from the page: values, or (node, output) of a link."""
    taken: dict[str, Any] = {}
    linked = {one["name"]: one["link"] for one in node["inputs"]}
    widgets = iter(node["widgets_values"])
    for name, (kind, *options) in cls.INPUT_TYPES()["required"].items():  # type: ignore[attr-defined]
        if isinstance(kind, list) or kind in WIDGETS:
            taken[name] = next(widgets)
            if options and options[0].get("control_after_generate"):
                assert next(widgets) in ("fixed", "increment", "decrement", "randomize")
        else:
            _, source, output, target, _, link_kind = links[linked[name]]
            assert (target, link_kind) == (node["id"], kind)
            taken[name] = (source, output)
    assert next(widgets, None) is None, "a value too many"
    return taken


@pytest.mark.slow
def test_the_example_workflow_runs(pack: ModuleType, tiny_base: Path, tmp_path: Path) -> None:
    adapter = make_pipe(tiny_base).save_adapter(tmp_path / "adapter")
    workflow = json.loads((FOLDER / "example_workflows" / "chords.json").read_text())
    links = {link[0]: link for link in workflow["links"]}
    results: dict[int, tuple[Any, ...]] = {}
    for node in sorted(workflow["nodes"], key=lambda node: node["order"]):
        if node["type"] not in pack.NODE_CLASS_MAPPINGS:
            assert node["type"] == "PreviewAudio"
            continue
        cls = pack.NODE_CLASS_MAPPINGS[node["type"]]
        assert [one["type"] for one in node["outputs"]] == list(cls.RETURN_TYPES)
        inputs = {
            name: results[value[0]][value[1]] if isinstance(value, tuple) else value
            for name, value in api_inputs(node, links, cls).items()
        }
        if node["type"] == "MuseTuneLoad":
            inputs |= {"base": str(tiny_base), "adapter": str(adapter)}
        if "steps" in inputs:
            inputs["steps"] = 1
        made = getattr(cls(), cls.FUNCTION)(**inputs)
        results[node["id"]] = made["result"] if isinstance(made, dict) else made
        assert len(results[node["id"]]) == len(cls.RETURN_TYPES)
    clip, edited = results[3][0], results[5][0]
    assert clip["sample_rate"] == edited["sample_rate"] == 48000
    assert clip["waveform"].shape == edited["waveform"].shape == (1, 2, round(10.24 * 48000))
    assert clip["waveform"].dtype == torch.float32
    start = round((4.0 - 0.05) * 48000)  # bars 3 and 4 of 2 s
    assert torch.equal(clip["waveform"][..., :start], edited["waveform"][..., :start])
    assert not torch.equal(clip["waveform"], edited["waveform"])
    summary, score, data = results[6]
    assert isinstance(summary, str)
    assert 0 <= score <= 1
    assert json.loads(data)["schema"] == 2


def test_steps_are_shown_and_stopped_inside_comfyui(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = sys.modules[f"{pack.__name__}.nodes"]._progress
    assert progress(3) is None
    shown: list[int] = []
    stop = RuntimeError("interrupted")

    def check() -> None:
        if len(shown) == 2:
            raise stop

    bar = SimpleNamespace(update=shown.append)
    monkeypatch.setitem(sys.modules, "comfy", ModuleType("comfy"))
    management = SimpleNamespace(throw_exception_if_processing_interrupted=check)
    monkeypatch.setitem(sys.modules, "comfy.model_management", management)
    monkeypatch.setitem(sys.modules, "comfy.utils", SimpleNamespace(ProgressBar=lambda steps: bar))
    on_step = progress(3)
    on_step(None, 0, None, {})
    on_step(None, 1, None, {})
    with pytest.raises(RuntimeError, match="interrupted"):
        on_step(None, 2, None, {})
    assert shown == [1, 1]


def test_a_genre_adapter_is_loaded_with_its_weight(
    pack: ModuleType, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = make_pipe(tiny_base).save_adapter(tmp_path / "adapter")
    genre_folders(tiny_base, tmp_path / "genres")
    monkeypatch.setattr("musetune.hub.locate.BUNDLED_ADAPTERS", (tmp_path / "genres",))
    (pipe,) = pack.NODE_CLASS_MAPPINGS["MuseTuneLoad"]().load(str(tiny_base), str(adapter), "jazz", 0.5)
    assert pipe.adapters["jazz"].weight == 0.5
    assert pipe.upsampler is not None


def test_stop_stops_a_repaint_between_two_steps(
    pack: ModuleType, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []

    def check() -> None:
        if len(shown) == 2:
            raise RuntimeError("interrupted")

    monkeypatch.setitem(sys.modules, "comfy", ModuleType("comfy"))
    management = SimpleNamespace(throw_exception_if_processing_interrupted=check)
    monkeypatch.setitem(sys.modules, "comfy.model_management", management)
    bar = SimpleNamespace(update=shown.append)
    monkeypatch.setitem(sys.modules, "comfy.utils", SimpleNamespace(ProgressBar=lambda steps: bar))
    wave = 0.1 * torch.randn(1, 2, 4 * 16000, generator=torch.Generator().manual_seed(0))
    audio, sheet = {"waveform": wave, "sample_rate": 16000}, LeadSheet.parse("| C | F |", bpm=120)
    repaint = pack.NODE_CLASS_MAPPINGS["MuseTuneRepaint"]().repaint
    with torch.inference_mode(), pytest.raises(RuntimeError, match="interrupted"):  # as ComfyUI runs nodes
        repaint(make_pipe(tiny_base), audio, sheet, 2, 2, "", "pop", 0, 5)
    assert shown == [1, 1]
    shown.clear()
    with torch.inference_mode():
        (made,) = repaint(make_pipe(tiny_base), audio, sheet, 2, 2, "Dm7 G7", "pop", 0, 1)
    assert shown == [1]
    assert torch.equal(made["waveform"][..., : 2 * 16000 - 800], wave[..., : 2 * 16000 - 800])


def test_audio_goes_through_unchanged(pack: ModuleType) -> None:
    nodes = sys.modules[f"{pack.__name__}.nodes"]
    mono = np.random.default_rng(0).normal(size=(2, 50)).astype(np.float32)
    audio = nodes._to_comfy(mono, 16000)
    assert audio["waveform"].shape == (2, 1, 50)
    wave, rate = nodes._from_comfy(audio)
    assert np.array_equal(wave[0], mono[0])
    assert rate == 16000
