"""Exported networks say what torch's do, to a thousandth, in ONNX Runtime and OpenVINO."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler
from small_pipe import genre_folder, make_pipe, seeded
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig
from typer.testing import CliRunner

from musetune import LeadSheet, MuseTunePipeline
from musetune.audio import save_audio
from musetune.cli import sound
from musetune.cli.app import app
from musetune.formats.songs import save_song
from musetune.models.nano.vocoder import NanoVocoder
from musetune.pipeline import exported_unet, optimizing
from musetune.pipeline.exported_unet import ENGINES, ExportedUNet, load_engine
from musetune.pipeline.exporting import VocoderNetwork, export_onnx, other_parts
from musetune.pipeline.onnx_file import Part, write_onnx
from musetune.planning.rules.orchestrate import orchestrate
from musetune.serve.work import load

pytest.importorskip("onnxscript")
ROWS = 10
SECONDS = 1.28


@pytest.fixture(scope="module")
def pipe(tiny_base: Path) -> MuseTunePipeline:
    pipe = make_pipe(tiny_base)
    pipe.load_upsampler()
    return pipe


@pytest.fixture(scope="module")
def folder(pipe: MuseTunePipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of any length."""
    folder = tmp_path_factory.mktemp("onnx")
    files = export_onnx(pipe, folder)
    assert list(files) == ["unet", "decoder", "vocoder", "upsampler"]
    return folder


@pytest.fixture(scope="module")
def jazz(pipe: MuseTunePipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a genre at 1, and of one length."""
    folder = tmp_path_factory.mktemp("onnx_jazz")
    pipe.load_adapter(genre_folders_of(pipe, folder) / "jazz")
    export_onnx(pipe, folder, seconds=SECONDS, names=["unet"])
    pipe.unload_adapter("jazz")
    return folder


@pytest.fixture(scope="module", autouse=True)
def loaded_once() -> Iterator[None]:
    """Engines take seconds to load a file: each keeps what it loaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exported_unet, "load_engine", functools.cache(load_engine))
        yield


@pytest.mark.heavy
@pytest.mark.parametrize("engine", ENGINES)
def test_every_network_is_the_same_to_a_thousandth(
    pipe: MuseTunePipeline, folder: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At another length than the export's example; a whole call whose U-Net runs in that engine, with its LoRA."""
    pytest.importorskip(engine)
    for name, part in other_parts(pipe, ROWS + 7).items():
        run = load_engine(folder / f"{name}.onnx", engine, 1)
        with torch.no_grad():
            wanted = part.module(*part.example.values())
        found = run({key: tensor.numpy() for key, tensor in part.example.items()})
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-3, rtol=1e-3, err_msg=name)

    sheet = LeadSheet.parse("I V ii7", bpm=100, duration_seconds=12 * pipe.row_s)
    request = {"lead_sheet": sheet, "num_inference_steps": 2, "output_type": "latent"}
    wanted = pipe("warm pop", generator=seeded(), **request).audios
    pipe.load_engine(folder, engine, threads=1)
    try:
        with watching(pipe) as rows:
            found = pipe("warm pop", generator=seeded(), **request).audios
        np.testing.assert_allclose(found, wanted, atol=1e-3, rtol=1e-3)
        assert len(rows) >= 2 * request["num_inference_steps"]  # row by row
        with pytest.raises(ValueError, match=r"another base, adapter or mix \(it holds the theory adapter\)"):
            pipe("warm pop", **request, strength=0.5)
        euler = EulerDiscreteScheduler.from_config(pipe.scheduler.config, timestep_spacing="linspace")
        with monkeypatch.context() as patch:
            patch.setattr(pipe, "scheduler", euler)
            with pytest.raises(ValueError, match=r"asks for timestep 749\.25, and whole ones were exported"):
                pipe("warm pop", **request | {"num_inference_steps": 5})
    finally:
        pipe.load_engine(None)
    assert np.array_equal(pipe("warm pop", generator=seeded(), **request).audios, wanted)


@contextmanager
def watching(pipe: MuseTunePipeline) -> Iterator[list[int]]:
    """A context in which a list gets the latent rows of each prediction of the first exported U-Net."""
    (network, *_), rows = pipe.exported_unets, []
    run = network.run
    network.run = lambda arrays: (rows.append(arrays["sample"].shape[2]), run(arrays))[1]
    try:
        yield rows
    finally:
        network.run = run


@pytest.mark.heavy
def test_edits_loops_and_streams_play_in_the_engine(pipe: MuseTunePipeline, folder: Path) -> None:
    """Whatever has music: the same sound as torch's at the same rows, in an engine alone, at every length."""
    pytest.importorskip("onnxruntime")
    unit = 4 * pipe.row_s
    sheet = LeadSheet.parse("I V ii7", bpm=100, duration_seconds=4 * unit)
    around = LeadSheet.parse("I V ii7", bpm=100, duration_seconds=6 * unit)
    piece = pipe("warm pop", lead_sheet=sheet, num_inference_steps=1, generator=seeded())
    bpm = 8 * 60 / (8 * unit)  # 8 beats in as many units
    kinds: dict[str, Callable[..., Any]] = {
        "vary": lambda **few: pipe.vary(piece, prompt="pop", amount=1.0, **few),
        "repaint": lambda **few: pipe.repaint(piece, prompt="pop", seconds=(1.0, 1.6), **few),
        "extend": lambda **few: pipe.extend(piece, prompt="pop", after_seconds=2 * unit, lead_sheet=around, **few),
        "short": lambda **few: pipe("pop", duration_seconds=2 * unit, harmonic_progression="I", **few),
        "long": lambda **few: pipe("pop", lead_sheet=sheet, window_seconds=3 * unit, **few),
        "loop": lambda **few: pipe("pop", harmonic_progression="I V", bpm=bpm, loop=True, **few),
    }

    def stream(**few: Any) -> np.ndarray:
        chunks = pipe.stream(sheet.slice(0, 3), "pop", stereo=False, window_seconds=5 * unit, **few)
        return np.concatenate([one.audio for one in itertools.islice(chunks, 2)])

    for name, play in (kinds | {"stream": stream}).items():
        few = {"num_inference_steps": 2}
        wanted = play(**few, generator=seeded())
        pipe.load_engine(folder, "onnxruntime", threads=1)
        try:
            with watching(pipe) as rows:
                found = play(**few, generator=seeded())
        finally:
            pipe.load_engine(None)
        assert rows, name
        assert all(count % 4 == 0 for count in rows), name
        if name != "stream":
            wanted, found = wanted.audios, found.audios
        np.testing.assert_allclose(found, wanted, atol=2e-3, err_msg=name)


@pytest.mark.heavy
def test_lengths_between_are_rounded_up_and_cut(pipe: MuseTunePipeline, folder: Path) -> None:
    pytest.importorskip("onnxruntime")
    pipe.load_engine(folder, "onnxruntime", threads=1)
    call = {"harmonic_progression": "I V", "bpm": 111, "num_inference_steps": 1}
    try:
        with watching(pipe) as rows:
            odd = pipe("pop", **call, duration_seconds=9 * pipe.row_s)
            assert set(rows) == {12}
            pipe.repaint(odd, prompt="pop", seconds=(0.4, 0.8), num_inference_steps=1)
            pipe("pop", **call, loop=True)
        assert all(count % 4 == 0 for count in rows)
        assert odd.audios.shape == (1, round(9 * pipe.row_s * 16000))
        with pytest.raises(ValueError, match="9 latent rows were asked for, and multiples of 4 were exported"):
            pipe.exported_unets[0](
                torch.zeros(1, 8, 9, 16),
                torch.tensor(1),
                encoder_hidden_states=(torch.zeros(1, 8, 8), None),
                encoder_hidden_states_1=torch.zeros(1, 1, 8),
                encoder_attention_mask_1=torch.ones(1, 1),
            )
    finally:
        pipe.load_engine(None)


@pytest.mark.heavy
def test_of_several_exports_the_one_plays_that_holds_the_mix(pipe: MuseTunePipeline, folder: Path, jazz: Path) -> None:
    """As the page needs it: one for few steps and one without. Of one length: longer in windows, nothing shorter."""
    pytest.importorskip("onnxruntime")
    pipe.load_adapter(jazz / "genres" / "jazz")
    call = {"harmonic_progression": "I V", "num_inference_steps": 1}
    try:
        pipe.load_engine([folder, jazz], "onnxruntime", threads=1)
        with watching(pipe) as rows:
            pipe("warm pop", **call, duration_seconds=2 * SECONDS)
            assert not rows  # it was the second
            with pytest.raises(
                ValueError, match=f"8 latent rows were asked for, and {ROWS} were exported: export with"
            ):
                pipe("warm pop", **call, duration_seconds=SECONDS / 2)
            pipe.set_adapter({"jazz": 0.0})
            pipe("warm pop", **call, duration_seconds=SECONDS / 2)
            assert rows
        pipe.set_adapter({"jazz": 0.5})
        with pytest.raises(ValueError, match=r"it holds the theory adapter, jazz at 1\)"):
            pipe("warm pop", **call)
    finally:
        pipe.load_engine(None)
        pipe.unload_adapter("jazz")


@pytest.mark.heavy
def test_hifigan_is_exported_whole(tmp_path: Path) -> None:
    """AudioLDM 2's vocoder at small widths: waves come out, of any length."""
    pytest.importorskip("onnxruntime")
    shape = {"model_in_dim": 16, "upsample_initial_channel": 16, "upsample_rates": [4, 4]}
    shape |= {"upsample_kernel_sizes": [8, 8], "resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1, 3]]}
    torch.manual_seed(0)
    vocoder = SpeechT5HifiGan(SpeechT5HifiGanConfig(**shape)).eval()
    example = {"spectrogram": torch.randn(1, 20, 16)}
    write_onnx(Part(vocoder, example, {"spectrogram": {1: "frames"}}), tmp_path / "vocoder.onnx")
    longer = torch.randn(1, 33, 16)
    with torch.no_grad():
        wanted = vocoder(longer).numpy()
    found = load_engine(tmp_path / "vocoder.onnx", "onnxruntime", 1)({"spectrogram": longer.numpy()})
    assert wanted.shape == (1, 33 * 16)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.heavy
def test_the_layout_says_what_sound_is_made_of(pipe: MuseTunePipeline, folder: Path) -> None:
    """With it alone a reader gets from noise to latents, from these to the decoder, from frames to seconds."""
    layout = json.loads((folder / "layout.json").read_text())
    assert layout["scaling_factor"] == pipe.vae.config.scaling_factor
    assert layout["frames_per_row"] * layout["hop"] / layout["sampling_rate"] == pipe.row_s
    assert (layout["rows"], layout["row_multiple"], layout["mix"]) == (None, 4, {})
    assert layout["upsampled_rate"] == 48000
    scheduler = DDIMScheduler.from_config(layout["noise"])
    assert torch.equal(scheduler.alphas_cumprod, pipe.scheduler.alphas_cumprod)
    assert scheduler.config.prediction_type == pipe.scheduler.config.prediction_type
    assert layout["ceiling"] is None
    bins = pipe.vocoder.config.model_in_dim
    loud = NanoVocoder(**{**vocoder_shape(pipe), "loudest": [0.5] * bins}).eval()
    loud.load_state_dict(pipe.vocoder.state_dict(), strict=False)
    x = torch.full((1, 4, bins), 3.0)
    with torch.no_grad():
        heard = VocoderNetwork(loud)(x)
        assert torch.equal(heard, VocoderNetwork(loud)(x.clamp(max=0.5)))
        assert not torch.equal(heard, VocoderNetwork(pipe.vocoder)(x))


def vocoder_shape(pipe: MuseTunePipeline) -> dict[str, Any]:
    return {name: value for name, value in pipe.vocoder.config.items() if not name.startswith("_")}


@pytest.mark.heavy
def test_optimize_takes_the_engine_where_it_pays(
    pipe: MuseTunePipeline, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock that says which engine, and whether half precision, is fast."""
    engines = [name for name in ENGINES if importlib.util.find_spec(name)]
    for speeds, kept in (({"bfloat16": 0.8}, engines[-1]), ({"bfloat16": 1.5, engines[-1]: 0.5}, engines[0])):
        turn = iter(["float32", *engines, "bfloat16"])
        fast = {"float32": 1.0, "bfloat16": 1.0, engines[0]: 2.0, engines[-1]: 3.0} | speeds

        def seconds(step: Callable[[], object], turn: Iterator[str] = turn, fast: dict[str, float] = fast) -> float:
            step()
            return 1 / fast[next(turn)]

        monkeypatch.setattr(optimizing, "seconds_of", seconds)
        found = pipe.optimize(engines=folder, threads=1)
        assert (found.engine, found.dtype) == (kept, torch.float32)
        assert kept in str(found)
        assert [one.folder for one in pipe.exported_unets] == [folder]
        pipe.load_engine(None)
    pipe.load_adapter(genre_folders_of(pipe, folder) / "jazz")
    monkeypatch.setattr(optimizing, "seconds_of", lambda step: 1.0)
    found = pipe.optimize(half=False, engines=folder)
    pipe.unload_adapter("jazz")
    assert found.engine is None
    assert pipe.exported_unets == ()
    assert "was exported from another base, adapter or mix" in str(found)


@pytest.mark.heavy
def test_the_command_line_plays_an_export(
    pipe: MuseTunePipeline, folder: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = str(pipe.save_adapter(tmp_path / "theory", "theory"))
    loaded, _ = sound.load_pipeline(str(tiny_base), adapter, "cpu", music=True, engine=folder)
    with loaded.adapter_manager.playing(1.0, music=True):
        assert loaded._denoiser() is loaded.exported_unets[0]
    with pytest.raises(ValueError, match="--engine needs --chords or --sheet"):
        sound.load_pipeline(str(tiny_base), adapter, "cpu", music=False, engine=folder)
    with pytest.raises(ValueError, match="holds no exported U-Net: write one with musetune export onnx"):
        sound.load_pipeline(str(tiny_base), adapter, "cpu", music=True, engine=tmp_path)
    monkeypatch.setattr("musetune.pipeline.exported_unet.is_installed", lambda name: name == "onnxruntime")
    assert exported_unet.fastest_engine() == "onnxruntime"
    sound.check_engine(folder, True)
    monkeypatch.setattr("musetune.pipeline.exported_unet.is_installed", lambda name: False)
    with pytest.raises(ValueError, match="an exported U-Net needs openvino or onnxruntime: pip install"):
        sound.check_engine(folder, True)

    asked: list[object] = []
    monkeypatch.setattr(sound, "load_pipeline", lambda *base, **options: (asked.append(options), (pipe, ""))[1])
    monkeypatch.setattr("musetune.pipeline.exporting.export_onnx", lambda pipe, out, seconds: asked.append(out) or {})
    for flags, fast in ((["--fast"], True), ([], False)):
        done = CliRunner().invoke(app, ["export", "onnx", str(tmp_path / "onnx"), *flags])
        assert done.exit_code == 0, done.output
        assert asked[-2:] == [{"music": True, "fast": fast}, tmp_path / "onnx"]


def test_every_command_that_makes_sound_takes_an_engine(tmp_path: Path) -> None:
    """And says before it loads or writes anything that the folder holds none."""
    audio, sheet, empty = tmp_path / "song.wav", tmp_path / "song.json", tmp_path / "empty"
    save_audio(audio, np.zeros(16000, np.float32), 16000)
    LeadSheet.parse("| C |", bpm=240).save(sheet)
    for player in ("", ".bass"):
        save_audio(tmp_path / f"notes{player}.wav", np.zeros(16000, np.float32), 16000)
    chart = LeadSheet.parse("| C |")
    notes = save_song(chart, orchestrate(chart, seed=3).arrangement, tmp_path / "notes.mid", title="notes")
    empty.mkdir()
    out = ["-o", str(tmp_path / "out.wav")]
    edit = [str(audio), "--sheet", str(sheet)]
    commands = [
        ["generate", "pop", "--chords", "C", *out],
        ["compose", "pop", "--audio", *out],
        ["repaint", *edit, "--seconds", "0-0.5", *out],
        ["extend", *edit, "--after", "1", *out],
        ["vary", *edit, *out],
        ["cover", *edit, *out],
        ["replay", str(notes), "bass", "-o", str(tmp_path / "again")],
        ["watch", str(tmp_path), "--once"],
        ["live", "pop", "--seconds", "1", *out],
    ]
    before = set(tmp_path.iterdir())
    for command in commands:
        done = CliRunner().invoke(app, [*command, "--engine", str(empty)])
        said = done.output + str(done.exception)
        assert "holds no exported U-Net: write one with musetune export onnx" in said, (command, said)
    with pytest.raises(ValueError, match="holds no exported U-Net"):
        load("nano", None, "cpu", engines=[empty])  # the page
    assert set(tmp_path.iterdir()) == before


def genre_folders_of(pipe: MuseTunePipeline, folder: Path) -> Path:
    genre_folder(pipe.unet, folder / "genres" / "jazz", 11)
    return folder / "genres"


def test_what_cannot_be_exported_is_refused(pipe: MuseTunePipeline, tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no theory adapter to export"):
        export_onnx(MuseTunePipeline.from_pretrained(tiny_base), tmp_path)
    with pytest.raises(ValueError, match="'drums' is not one of unet, decoder, vocoder, upsampler"):
        export_onnx(pipe, tmp_path, names=["drums"])
    with pytest.raises(ValueError, match="holds no exported U-Net: write one with musetune export onnx"):
        ExportedUNet(tmp_path)
    (tmp_path / "unet.onnx").touch()
    (tmp_path / "layout.json").write_text("{}")
    with pytest.raises(ValueError, match="engine='tensorrt' is not one of onnxruntime, openvino"):
        load_engine(tmp_path / "unet.onnx", "tensorrt")
