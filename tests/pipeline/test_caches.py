"""What is kept between calls: prompts' encodings and merged weights. Kept or made anew, the sound is the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_pipe import genre_folders, make_pipe, music, seeded, words

from musetune import MuseTunePipeline
from musetune.adapter import lora
from musetune.pipeline.prompt_cache import PromptCache


@pytest.fixture(scope="module")
def genres(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return genre_folders(tiny_base, tmp_path_factory.mktemp("genres"))


@pytest.fixture
def pipe(tiny_base: Path) -> MuseTunePipeline:
    return make_pipe(tiny_base)


class Count:
    """How often a function ran."""

    def __init__(self, function) -> None:  # type: ignore[no-untyped-def]
        self.function, self.calls = function, 0

    def __call__(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        self.calls += 1
        return self.function(*args, **kwargs)


# -- prompts


def test_the_second_call_asks_no_encoder_and_sounds_the_same(pipe: MuseTunePipeline) -> None:
    first = music(pipe)
    encoders = [Count(pipe.text_encoder_2.forward), Count(pipe.text_encoder.get_text_features)]
    pipe.text_encoder_2.forward, pipe.text_encoder.get_text_features = encoders
    language = pipe.generate_language_model = Count(pipe.generate_language_model)
    assert np.array_equal(music(pipe), first)
    assert [one.calls for one in (*encoders, language)] == [0, 0, 0]
    assert pipe.prompt_cache.hits == 1
    other = pipe(
        "slow blues", harmonic_progression="I V", duration_seconds=1.28, num_inference_steps=1, generator=seeded()
    )
    assert encoders[0].calls > 0
    assert not np.array_equal(other.audios, first)


def test_the_stock_call_uses_the_cache_and_is_the_stock_call(pipe: MuseTunePipeline) -> None:
    first = words(pipe)
    assert np.array_equal(words(pipe), first)
    assert pipe.prompt_cache.hits == 1
    pipe.prompt_cache = PromptCache(0)
    assert np.array_equal(words(pipe), first)
    assert pipe.prompt_cache.hits == 0


@torch.no_grad()
def test_every_argument_of_a_prompt_counts(pipe: MuseTunePipeline) -> None:
    asked = [
        (("pop", "cpu", 1, True), {}),
        (("pop", "cpu", 1, False), {}),
        (("pop", "cpu", 2, True), {}),
        (("pop", "cpu", 1, True), {"negative_prompt": "noise"}),
        (("pop", "cpu", 1, True), {"max_new_tokens": 4}),
        ((["pop"], "cpu", 1, True), {}),
    ]
    stock = [super(MuseTunePipeline, pipe).encode_prompt(*args, **kwargs) for args, kwargs in asked]
    for _ in range(2):
        for (args, kwargs), wanted in zip(asked, stock, strict=True):
            for found, tensor in zip(pipe.encode_prompt(*args, **kwargs), wanted, strict=True):
                assert torch.equal(found, tensor)
    assert (pipe.prompt_cache.hits, pipe.prompt_cache.misses) == (7, 5)  # a list of one prompt is that prompt


@torch.no_grad()
def test_changed_encoders_and_callers_that_write_are_noticed(pipe: MuseTunePipeline) -> None:
    first = pipe.encode_prompt("pop", "cpu", 1, True)
    kept = [tensor.clone() for tensor in first]
    first[0].zero_()  # the caller's own copy
    assert all(torch.equal(a, b) for a, b in zip(pipe.encode_prompt("pop", "cpu", 1, True), kept, strict=True))
    next(pipe.text_encoder_2.parameters()).mul_(2.0)
    assert not torch.equal(pipe.encode_prompt("pop", "cpu", 1, True)[0], kept[0])
    assert pipe.prompt_cache.misses == 2
    pipe.text_encoder_2.train()
    pipe.encode_prompt("pop", "cpu", 1, True)
    with torch.enable_grad():
        pipe.text_encoder_2.eval()
        assert pipe.encode_prompt("pop", "cpu", 1, True)[0].requires_grad
    assert (pipe.prompt_cache.hits, pipe.prompt_cache.misses) == (1, 2)


@torch.no_grad()
def test_the_oldest_prompt_is_forgotten_first(pipe: MuseTunePipeline) -> None:
    pipe.prompt_cache = PromptCache(2)
    for prompt in ("a", "b", "a", "c", "a", "b"):
        pipe.encode_prompt(prompt, "cpu", 1, True)
    assert (pipe.prompt_cache.hits, pipe.prompt_cache.misses) == (2, 4)
    with pytest.raises(ValueError, match="size=-1"):
        PromptCache(-1)


# -- merged weights


def merge(pipe: MuseTunePipeline, strength: float = 1.0) -> list[int]:
    """Where the weights lie while something plays."""
    with pipe.adapter_manager.playing(strength, music=True):
        return [weight.data_ptr() for weight in lora.plain_weights(pipe.unet).values()]


def test_the_same_mix_is_merged_once_and_the_base_is_never_written_to(pipe: MuseTunePipeline, genres: Path) -> None:
    pipe.load_adapter(genres / "jazz")
    pipe.load_adapter(genres / "rock")
    pipe.set_adapter({"jazz": 0.7, "rock": 0.3})
    weights = lora.plain_weights(pipe.unet)
    own, versions = [w.data_ptr() for w in weights.values()], [w._version for w in weights.values()]
    before = [w.detach().clone() for w in weights.values()]
    first = merge(pipe)
    assert first != own
    assert merge(pipe) == first  # the same copies
    pipe.set_adapter("jazz")
    pipe.set_adapter({"jazz": 0.7, "rock": 0.3})
    assert merge(pipe) == first
    assert [w.data_ptr() for w in weights.values()] == own
    assert [w._version for w in weights.values()] == versions
    assert all(torch.equal(w, b) for w, b in zip(weights.values(), before, strict=True))


@pytest.mark.slow
def test_copies_follow_whatever_they_are_made_of(pipe: MuseTunePipeline, genres: Path, tiny_base: Path) -> None:
    """Every change between two calls is heard as in a pipeline that keeps nothing."""
    pipe.load_adapter(genres / "jazz")
    site = next(p for n, p in pipe.unet.named_parameters() if "lora_B" in n)
    base = next(p for n, p in pipe.unet.named_parameters() if n.endswith("base_layer.weight"))
    part = next(iter(pipe.loras.loras["jazz"].parts.values()))
    changes = [
        lambda: pipe.set_adapter({"jazz": 0.5}),
        lambda: site.data.add_(0.3),
        lambda: base.mul_(1.2),
        lambda: part.up.mul_(1.5),
        lambda: pipe.load_adapter(genres / "rock"),
        lambda: pipe.set_adapter(None),
        lambda: pipe.unload_adapter("jazz"),
    ]
    heard = [music(pipe)]
    for change in changes:
        with torch.no_grad():
            change()
        heard.append(music(pipe))
        pipe.adapter_manager.merged_weights.clear()
        assert np.array_equal(music(pipe), heard[-1])
    assert len({audio.tobytes() for audio in heard[:-1]}) == len(heard) - 1
    assert np.array_equal(heard[-1], heard[-2])  # a silent genre leaves nothing behind
    assert np.array_equal(music(pipe, strength=0.5), music(pipe, strength=0.5))


def test_unloading_gives_the_copies_back(pipe: MuseTunePipeline) -> None:
    merge(pipe)
    assert pipe.adapter_manager.merged_weights.megabytes > 0
    pipe.unload_adapter()
    assert pipe.adapter_manager.merged_weights.megabytes == 0


def test_weights_that_were_cast_while_fused_come_back_cast(pipe: MuseTunePipeline) -> None:
    before = {name: weight.double() for name, weight in pipe.unet.state_dict().items()}
    pipe.fuse_adapter()
    pipe.unet.double()
    pipe.unfuse_adapter()
    assert all(torch.equal(weight, before[name]) for name, weight in pipe.unet.state_dict().items())


def test_a_merge_that_fails_leaves_the_base(pipe: MuseTunePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    from musetune.adapter import merging

    before = {name: weight.clone() for name, weight in pipe.unet.state_dict().items()}

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(merging, "_merge", fail)
    with pytest.raises(MemoryError), pipe.adapter_manager.playing(1.0, music=True):
        pass
    assert all(torch.equal(weight, before[name]) for name, weight in pipe.unet.state_dict().items())
    assert pipe.adapter_manager.merged_weights.megabytes == 0
