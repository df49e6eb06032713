"""The call as others know it: the stock pipeline's arguments with music, batches, generators, callbacks, threads."""

from __future__ import annotations

import inspect
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AudioLDM2Pipeline, DDIMScheduler, DDPMScheduler
from small_pipe import genre_folders, make_pipe, play, seeded, words

from musetune import LeadSheet, MuseTunePipeline
from musetune.adapter import lora

SHEETS = [LeadSheet.parse(text, bpm=120, duration_seconds=1.28) for text in ("I V", "| Am F . G |")]


@pytest.fixture(scope="module")
def pipe(tiny_base: Path) -> MuseTunePipeline:
    return make_pipe(tiny_base)


def short(pipe: MuseTunePipeline, **settings: Any) -> Any:
    return play(pipe, **({"duration_seconds": 1.28} | settings))


def test_signature_is_the_stock_pipelines_and_more() -> None:
    """Same names in the same order by position, same defaults but for those that differ with music.

    The rest by name, nothing swallowed.
    """
    own, stock = (inspect.signature(cls.__call__).parameters for cls in (MuseTunePipeline, AudioLDM2Pipeline))
    positional = [name for name, one in own.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert positional == list(stock)
    other = {name for name in stock if own[name].default != stock[name].default}
    assert other == {"num_inference_steps", "guidance_scale"}  # None: what is usual with music or without
    assert not [name for name, one in own.items() if one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]


@pytest.mark.slow
def test_each_stock_argument_works_with_music(pipe: MuseTunePipeline) -> None:
    """One by one: an argument that changes what is played changes it, one that says the same again does not."""
    plain = short(pipe).audios
    embeds, mask, generated = pipe.encode_prompt("warm pop", pipe.device, 1, True)
    nothing, some = (slice(0, 1), slice(1, 2))
    spelled = {
        "prompt_embeds": embeds[some],
        "negative_prompt_embeds": embeds[nothing],
        "attention_mask": mask[some],
        "negative_attention_mask": mask[nothing],
        "generated_prompt_embeds": generated[some],
        "negative_generated_prompt_embeds": generated[nothing],
    }
    request = {"harmonic_progression": "I V vi IV", "bpm": 120, "duration_seconds": 1.28, "num_inference_steps": 2}
    np.testing.assert_allclose(pipe(generator=seeded(), **request, **spelled).audios, plain, atol=1e-5)
    same: dict[str, Any] = {
        "max_new_tokens": None,
        "transcription": None,
        "eta": 0.0,
        "cross_attention_kwargs": {},
        "guidance_scale": 3.0,
        "num_waveforms_per_prompt": 1,
        "callback_steps": 2,
    }
    for name, value in same.items():
        assert np.array_equal(short(pipe, **{name: value}).audios, plain), name
    changing: dict[str, Any] = {
        "negative_prompt": "noise",
        "guidance_scale": 1.5,
        "num_inference_steps": 3,
        "latents": torch.ones(1, 4, 10, 16),
    }
    for name, value in changing.items():
        assert not np.array_equal(short(pipe, **{name: value}).audios, plain), name
    assert np.array_equal(short(pipe, duration_seconds=None, audio_length_in_s=1.28).audios, plain)
    (as_tuple,) = short(pipe, return_dict=False)
    assert np.array_equal(as_tuple, plain)
    assert torch.equal(short(pipe, output_type="pt").audios, torch.from_numpy(plain))
    assert short(pipe, output_type="latent").audios.shape == (1, 4, 10, 16)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eta": 0.5}, "eta=0.5 has no meaning for DPMSolver"),
        ({"eta": 2}, "eta=2 is outside 0–1"),
        ({"output_type": "wav"}, "output_type='wav' is not one of np, pt, latent"),
        ({"callback_steps": 0}, "callback_steps=0 must be a whole number"),
        ({"callback_on_step_end_tensor_inputs": ["noise"]}, "only \\['latents'\\]"),
        ({"audio_length_in_s": 2.0}, "audio_length_in_s=2.0 and duration_seconds: give one"),
        ({"prompt_embeds": torch.zeros(1, 2, 64)}, "prompt='warm pop' and prompt_embeds: give one"),
        ({"generator": [seeded(), seeded()]}, "generator holds 2 for 1 waveforms"),
        ({"num_inference_steps": [3]}, r"num_inference_steps=\[3\] must be a whole number"),
        ({"strength": "loud"}, "strength=loud is outside 0–1"),
    ],
)
def test_stock_arguments_that_cannot_be_met_say_so(pipe: MuseTunePipeline, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        short(pipe, **settings)


def test_numpy_numbers_are_numbers(pipe: MuseTunePipeline) -> None:
    assert np.array_equal(short(pipe, strength=np.float32(1)).audios, short(pipe, strength=1).audios)


def test_a_batch_is_its_prompts_one_by_one(pipe: MuseTunePipeline) -> None:
    prompts = ["warm pop", "a long and cold piece of jazz for piano"]
    together = pipe(prompts, lead_sheet=SHEETS, num_inference_steps=2, generator=[seeded(1), seeded(2)])
    assert together.audios.shape[0] == 2
    assert together.lead_sheets == tuple(SHEETS)
    for i, (prompt, sheet) in enumerate(zip(prompts, SHEETS, strict=True)):
        alone = pipe(prompt, lead_sheet=sheet, num_inference_steps=2, generator=seeded(i + 1)).audios[0]
        np.testing.assert_allclose(together.audios[i], alone, atol=2e-3)


def test_a_batch_needs_one_sheet_each_and_one_length(pipe: MuseTunePipeline) -> None:
    with pytest.raises(ValueError, match="lead_sheet holds 2 for 3 prompts"):
        pipe(["a", "b", "c"], lead_sheet=SHEETS)
    longer = LeadSheet.parse("I V", bpm=120, duration_seconds=4)
    with pytest.raises(ValueError, match=r"the lead sheets last 1\.28, 4\.00 s: give duration_seconds"):
        pipe(["a", "b"], lead_sheet=[SHEETS[0], longer])


def test_candidates_of_a_batch_have_their_own_reports(pipe: MuseTunePipeline) -> None:
    made = pipe(["a", "b"], lead_sheet=SHEETS, num_inference_steps=1, num_waveforms_per_prompt=2, return_report=True)
    assert made.audios.shape[0] == len(made.reports) == 4
    assert [report.sheet for report in made.reports] == [SHEETS[0]] * 2 + [SHEETS[1]] * 2


def test_a_generator_for_each_waveform(pipe: MuseTunePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MuseTunePipeline, "_rank", lambda self, audios, request: (audios, [], [0, 1]))
    both = short(pipe, num_waveforms_per_prompt=2, generator=[seeded(1), seeded(5)]).audios
    for i, seed in enumerate((1, 5)):
        np.testing.assert_allclose(both[i], short(pipe, generator=seeded(seed)).audios[0], atol=2e-3)


def test_callbacks_see_each_step_may_change_it_and_may_stop(pipe: MuseTunePipeline) -> None:
    plain, steps, legacy = short(pipe, num_inference_steps=3).audios, [], []

    def watch(given: Any, step: int, t: Any, tensors: dict) -> dict:
        steps.append((step, tuple(tensors["latents"].shape)))
        assert given is pipe
        return {}

    watched = short(
        pipe,
        num_inference_steps=3,
        callback=lambda step, t, latents: legacy.append(step),
        callback_steps=2,
        callback_on_step_end=watch,
    ).audios
    assert np.array_equal(watched, plain)
    assert steps == [(i, (1, 4, 10, 16)) for i in range(3)]
    assert legacy == [0, 2]
    changed = short(pipe, callback_on_step_end=lambda p, i, t, tensors: {"latents": 0 * tensors["latents"]}).audios
    assert not np.array_equal(changed, plain)

    def stop(given: Any, step: int, t: Any, tensors: dict) -> dict:
        given._interrupt = step == 1
        steps.append(step)
        return {}

    steps.clear()
    stopped = short(pipe, num_inference_steps=9, callback_on_step_end=stop)
    assert steps == [0, 1]
    assert stopped.audios.shape == plain.shape
    assert np.array_equal(short(pipe, num_inference_steps=3).audios, plain)  # the next call is not stopped


def test_words_alone_know_the_newer_callback_too(pipe: MuseTunePipeline) -> None:
    wanted, seen = words(pipe), []
    made = pipe(
        "warm pop",
        num_inference_steps=1,
        audio_length_in_s=1.28,
        generator=seeded(),
        callback_on_step_end=lambda p, step, t, tensors: seen.append(step),
    )
    assert np.array_equal(made.audios, wanted)
    assert seen == [0]


def test_stochastic_schedulers_draw_from_the_callers_generator(pipe: MuseTunePipeline) -> None:
    before = pipe.scheduler
    try:
        pipe.scheduler = DDPMScheduler.from_config(before.config, clip_sample=False)
        first = short(pipe, num_inference_steps=3).audios
        torch.rand(3)
        assert np.array_equal(short(pipe, num_inference_steps=3).audios, first)
        pipe.scheduler = DDIMScheduler.from_config(before.config, clip_sample=False)
        drawn = [short(pipe, num_inference_steps=3, eta=eta).audios for eta in (0.0, 1.0, 1.0)]
        assert np.array_equal(drawn[1], drawn[2])
        assert not np.array_equal(drawn[0], drawn[1])
    finally:
        pipe.scheduler = before


def test_a_song_without_generator_draws_from_the_global_one(pipe: MuseTunePipeline) -> None:
    alone = {
        "harmonic_progression": None,
        "bpm": None,
        "duration_seconds": 4,
        "num_inference_steps": 1,
        "generator": None,
    }
    torch.manual_seed(5)
    first = play(pipe, **alone)
    torch.manual_seed(5)
    again = play(pipe, **alone)
    assert first.plan == again.plan
    assert np.array_equal(first.audios, again.audios)


@pytest.mark.slow
def test_threads_wait_for_each_other_and_leave_the_base_alone(tiny_base: Path, tmp_path: Path) -> None:
    pipe = make_pipe(tiny_base)
    genres = genre_folders(tiny_base, tmp_path)
    pipe.load_adapter(genres / "jazz")
    before = {name: weight.clone() for name, weight in lora.plain_weights(pipe.unet).items()}
    wanted = [short(pipe, generator=seeded(seed), strength=strength).audios for seed, strength in ((1, 1.0), (2, 0.5))]
    found: dict[int, np.ndarray] = {}

    def work(i: int, strength: float) -> None:
        for _ in range(2):
            found[i] = short(pipe, generator=seeded(i + 1), strength=strength).audios

    threads = [threading.Thread(target=work, args=(i, strength)) for i, strength in enumerate((1.0, 0.5))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(weight, before[name]) for name, weight in lora.plain_weights(pipe.unet).items())
    for i in (0, 1):
        assert np.array_equal(found[i], wanted[i])


def test_adapters_cannot_change_while_the_pipeline_plays(tiny_base: Path) -> None:
    pipe = make_pipe(tiny_base)
    with pytest.raises(ValueError, match="the pipeline is generating: change adapters after the call"):
        short(pipe, callback_on_step_end=lambda p, i, t, tensors: p.unload_adapter())
    assert short(pipe).audios.shape == (1, 20480)


def test_what_the_model_has_no_word_for_is_said(pipe: MuseTunePipeline) -> None:
    from musetune.symbols.remarks import collected

    odd = LeadSheet.parse("| C7#9 |", time_signature="11/8", bpm=240, duration_seconds=1.28)
    with collected() as remarks:
        pipe("pop", lead_sheet=odd, num_inference_steps=1)
        pipe("pop", lead_sheet=SHEETS[0], num_inference_steps=1)
    assert len(remarks) == 2
    assert "has no name for 11/8" in remarks[0]
    assert "C:7(#9) as C:7" in remarks[1]


def test_contexts_that_overlap_leave_the_base_alone(tiny_base: Path) -> None:
    pipe = make_pipe(tiny_base)
    before = {name: weight.clone() for name, weight in lora.plain_weights(pipe.unet).items()}
    first, second = (pipe.adapter_manager.playing(1.0, music=True) for _ in range(2))
    for step in (first.__enter__, second.__enter__):
        step()
    with pytest.raises(ValueError, match="let that call end first"), pipe.adapter_manager.playing(0.5, music=True):
        pass
    for one in (first, second):
        one.__exit__(None, None, None)
    assert all(torch.equal(weight, before[name]) for name, weight in lora.plain_weights(pipe.unet).items())


@pytest.mark.slow
def test_who_shares_the_unet_hears_the_base(tiny_base: Path) -> None:
    """A stock pipeline of the same components, whatever was called last; and a second MuseTunePipeline of them."""
    stock = words(MuseTunePipeline.from_pretrained(tiny_base))
    pipe = make_pipe(tiny_base)
    music = short(pipe).audios
    parts = {name: part for name, part in pipe.components.items() if name not in MuseTunePipeline._optional_components}
    assert np.array_equal(words(AudioLDM2Pipeline(**parts)), stock)
    for other in (MuseTunePipeline(**pipe.components), MuseTunePipeline.from_pipe(pipe)):
        assert np.array_equal(short(other).audios, music)
    assert np.array_equal(words(AudioLDM2Pipeline(**parts)), stock)


@pytest.mark.slow
def test_others_may_change_the_attention(pipe: MuseTunePipeline, tmp_path: Path) -> None:
    from diffusers.models.attention_processor import AttnProcessor

    wanted = short(pipe).audios
    for change in (
        pipe.enable_attention_slicing,
        pipe.disable_attention_slicing,
        lambda: pipe.unet.set_attn_processor(AttnProcessor()),
    ):
        change()
        np.testing.assert_allclose(short(pipe).audios, wanted, atol=1e-3)
    pipe.unet.set_attn_processor(AttnProcessor())
    pipe.save_pretrained(tmp_path)
    np.testing.assert_allclose(short(pipe).audios, wanted, atol=1e-3)


@pytest.mark.slow
def test_a_compiled_unet_loads_mixes_and_saves(tiny_base: Path, tmp_path: Path) -> None:
    pipe = make_pipe(tiny_base)
    genres = genre_folders(tiny_base, tmp_path / "genres")
    wanted = short(pipe).audios
    pipe.unet = torch.compile(pipe.unet, backend="eager")
    np.testing.assert_allclose(short(pipe).audios, wanted, atol=1e-3)
    pipe.load_adapter(genres / "jazz")
    assert not np.allclose(short(pipe).audios, wanted, atol=1e-3)
    pipe.save_pretrained(tmp_path / "whole")
    pipe.unload_adapter("jazz")
    np.testing.assert_allclose(short(pipe).audios, wanted, atol=1e-3)


@pytest.mark.slow
def test_variants_come_back(pipe: MuseTunePipeline, tmp_path: Path) -> None:
    wanted = short(pipe).audios
    pipe.save_pretrained(tmp_path, variant="fp16")
    loaded = MuseTunePipeline.from_pretrained(tmp_path, variant="fp16")
    np.testing.assert_allclose(short(loaded).audios, wanted, atol=1e-4)
    with pytest.raises(ValueError, match="push_to_hub means nothing with reference"):
        pipe.save_pretrained(tmp_path / "light", reference="nano", push_to_hub=True)


def test_a_dtype_by_name_is_every_parts(tiny_base: Path) -> None:
    loaded = MuseTunePipeline.from_pretrained(tiny_base, dtype="float16")
    kinds = {part.dtype for part in loaded.components.values() if isinstance(part, torch.nn.Module)}
    assert kinds == {torch.float16}
    with pytest.raises(ValueError, match="dtype='float17' is no dtype"):
        MuseTunePipeline.from_pretrained(tiny_base, dtype="float17")
    for wrong in (16, ["float16"], {"unet": 16}):
        with pytest.raises(ValueError, match=r"dtype=.* is no dtype"):
            MuseTunePipeline.from_pretrained(tiny_base, dtype=wrong)


@pytest.mark.parametrize("wrong", [5, "x", [5]])
def test_a_generator_that_is_none(pipe: MuseTunePipeline, wrong: object) -> None:
    for call in ({"lead_sheet": SHEETS[0]}, {"audio_length_in_s": 1.28}, {"duration_seconds": 1.28}):
        with pytest.raises(TypeError, match=r"no torch\.Generator"):
            pipe("pop", generator=wrong, num_inference_steps=1, **call)


@pytest.mark.parametrize("wrong", [["jazz"], None, 5, b"jazz"])
def test_an_adapter_of_another_kind(pipe: MuseTunePipeline, wrong: Any) -> None:
    with pytest.raises(TypeError, match="give one folder, bundled name or Hub id"):
        pipe.load_adapter(wrong)
    with pytest.raises(FileNotFoundError, match="no adapter '/nowhere'"):
        pipe.load_adapter("/nowhere")


WRONG_INDICES: list[tuple[dict[str, object], str]] = [
    ({"vae": "evil.Model"}, "which is not"),
    ({"vae": ["diffusers", "A", "B"]}, "which is not"),
    ({"vae": ["diffusers", "NoSuchModel"]}, "no class that loads from a folder"),
    ({"vae": ["diffusers", "__version__"]}, "no class that loads from a folder"),
    ({"vae": ["diffusers.utils", "logging"]}, "no class that loads from a folder"),
    ({"vae": ["diffusers.no_such_module", "Model"]}, "cannot be imported"),
    ({"_base": "nano"}, "says _base: 'nano'"),
    ({"_base": {"name": 5}}, "says _base"),
]


def test_indices_cannot_name_code_or_pickles(pipe: MuseTunePipeline, tmp_path: Path) -> None:
    import json

    pipe.save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    (tmp_path / "model_index.json").write_text(json.dumps(index | {"vae": ["evil", "Model"]}))
    with pytest.raises(ValueError, match="takes vae from 'evil'"):
        MuseTunePipeline.from_pretrained(tmp_path)
    for change, message in WRONG_INDICES:
        (tmp_path / "model_index.json").write_text(json.dumps(index | change))
        with pytest.raises(ValueError, match=message):
            MuseTunePipeline.from_pretrained(tmp_path)
    (tmp_path / "model_index.json").write_text(json.dumps(index | {"_base": {"name": str(tmp_path)}}))
    with pytest.raises(ValueError, match="holds none but names another"):
        MuseTunePipeline.from_pretrained(tmp_path)
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(ValueError, match="it is no pipeline's"):
        MuseTunePipeline.from_pretrained(tmp_path)
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    shards = {"metadata": {}, "weight_map": {"conv_in.weight": "diffusion_pytorch_model.bin"}}
    (tmp_path / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(shards))
    with pytest.raises(ValueError, match=r"names 'diffusion_pytorch_model\.bin': only safetensors"):
        MuseTunePipeline.from_pretrained(tmp_path)


@pytest.mark.slow
def test_damaged_weights_are_refused_by_name(tiny_base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    genres = genre_folders(tiny_base, tmp_path)
    path = genres / "jazz" / "adapter_model.safetensors"
    weights = load_file(path)
    first = sorted(weights)[0]
    weights[first].view(-1)[0] = float("nan")
    save_file(weights, path)
    pipe = make_pipe(tiny_base)
    with pytest.raises(ValueError, match=r"the LoRA jazz is damaged: .* holds NaN"):
        pipe.load_adapter(genres / "jazz")
    whole = (genres / "rock" / "adapter_model.safetensors").read_bytes()
    (genres / "rock" / "adapter_model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"adapter_model\.safetensors is not a whole safetensors file"):
        pipe.load_adapter(genres / "rock")
    (genres / "blues" / "adapter_config.json").write_text("{")
    with pytest.raises(ValueError, match=r"adapter_config\.json is not JSON"):
        pipe.load_adapter(genres / "blues")
    assert list(pipe.adapters) == ["theory"]
