"""Genre LoRAs on a pipeline: they stack on the theory adapter, swap at once, mix, fuse, and leave no trace."""

from __future__ import annotations

import gc
import json
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_pipe import GENRES, genre_folder, genre_folders, make_pipe, music, quiet, random_lora, words

from musetune import MuseTunePipeline
from musetune.adapter import lora
from musetune.adapter.metadata import read_adapter_metadata


@pytest.fixture(scope="module")
def genres(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a genre, for the small base."""
    return genre_folders(tiny_base, tmp_path_factory.mktemp("genres"))


@pytest.fixture
def pipe(tiny_base: Path, genres: Path) -> MuseTunePipeline:
    """A theory adapter with a LoRA, and three genres, silent."""
    pipe = make_pipe(tiny_base)
    for name in GENRES:
        pipe.load_adapter(genres / name)
    pipe.set_adapter(None)
    return pipe


def weights_of(pipe: MuseTunePipeline) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in pipe.unet.state_dict().items()}


def untouched(pipe: MuseTunePipeline, before: dict[str, torch.Tensor]) -> bool:
    now = pipe.unet.state_dict()
    return now.keys() == before.keys() and all(torch.equal(weight, before[name]) for name, weight in now.items())


@pytest.mark.slow
def test_a_genre_is_resident_under_its_name_and_active_alone(tiny_base: Path, genres: Path) -> None:
    pipe = make_pipe(tiny_base)
    theory_alone, before = music(pipe), weights_of(pipe)
    pipe.load_adapter(genres / "jazz")
    assert {n: (i.kind, i.genre, i.base, i.weight) for n, i in pipe.adapters.items()} == {
        "theory": ("theory", None, None, 1.0),
        "jazz": ("lora", "jazz", "tiny", 1.0),
    }
    jazz = music(pipe)
    assert not np.array_equal(jazz, theory_alone)
    pipe.load_adapter(genres / "rock", name="my rock")
    assert {name: info.weight for name, info in pipe.adapters.items()} == {"theory": 1, "jazz": 0, "my rock": 1}
    assert not np.array_equal(music(pipe), jazz)
    own = random_lora(pipe.unet, 11)
    assert pipe.adapters["jazz"].parameters == own.parameters > 0
    assert pipe.adapters["theory"].parameters == sum(p.numel() for p in pipe.adapter.trainable_parameters())
    assert untouched(pipe, before)


@pytest.mark.slow
def test_jazz_rock_jazz_is_bit_identical_and_none_is_the_theory_alone(tiny_base: Path, pipe: MuseTunePipeline) -> None:
    before = weights_of(pipe)
    theory_alone = music(make_pipe(tiny_base))
    heard = {}
    for name in ("jazz", "rock", "jazz"):
        pipe.set_adapter(name)
        heard.setdefault(name, []).append(music(pipe))
    assert np.array_equal(*heard["jazz"])
    assert not np.array_equal(heard["jazz"][0], heard["rock"][0])
    pipe.set_adapter(None)
    assert np.array_equal(music(pipe), theory_alone)
    assert untouched(pipe, before)


@pytest.mark.slow
def test_a_mix_is_the_sum_whatever_the_order(pipe: MuseTunePipeline) -> None:
    pipe.set_adapter({"jazz": 0.7, "blues": 0.3})
    assert {name: info.weight for name, info in pipe.adapters.items()} == {
        "theory": 1,
        "jazz": 0.7,
        "rock": 0,
        "blues": 0.3,
    }
    mixed = music(pipe)
    pipe.set_adapter({"rock": 2.0})
    pipe.set_adapter({"blues": 0.3, "jazz": 0.7})
    assert np.array_equal(music(pipe), mixed)
    pipe.set_adapter({"jazz": 0.7})
    assert not np.array_equal(music(pipe), mixed)
    pipe.set_adapter({"jazz": 0.7, "blues": 0.3})
    by_hand = {name: weight.clone() for name, weight in lora.plain_weights(pipe.unet).items()}
    for genre, share in (("jazz", 0.7), ("blues", 0.3)):
        for name, part in pipe.loras.loras[genre].parts.items():
            by_hand[f"{name}.weight"] += share * (part.up.flatten(1) @ part.down.flatten(1)).view_as(
                by_hand[f"{name}.weight"]
            )
    pipe.adapter.strength = 0.0
    with pipe.adapter_manager.playing(1.0, music=False):
        for name, weight in lora.plain_weights(pipe.unet).items():
            torch.testing.assert_close(weight.data, by_hand[name], atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_strength_scales_the_genre_with_the_theory(pipe: MuseTunePipeline) -> None:
    pipe.set_adapter("jazz")
    heard = [music(pipe, strength=strength) for strength in (0.0, 0.5, 1.0)]
    assert len({audio.tobytes() for audio in heard}) == 3
    pipe.unload_adapter("jazz")
    assert np.array_equal(music(pipe, strength=0.0), heard[0])  # at 0 the genre is as silent as the theory
    assert not np.array_equal(music(pipe, strength=0.5), heard[1])


@pytest.mark.slow
def test_words_alone_are_the_stock_pipeline_unless_a_genre_is_active(tiny_base: Path, pipe: MuseTunePipeline) -> None:
    from diffusers import AudioLDM2Pipeline

    stock = words(quiet(AudioLDM2Pipeline.from_pretrained(tiny_base)))
    assert np.array_equal(words(pipe), stock)
    pipe.set_adapter("jazz")
    jazz = words(pipe)
    assert not np.array_equal(jazz, stock)
    pipe.unload_adapter("theory")
    assert np.array_equal(words(pipe), jazz)  # the theory adapter has no part in it
    pipe.unload_adapter()
    assert pipe.adapters == {}
    assert np.array_equal(words(pipe), stock)


def test_unloading_one_leaves_the_others(pipe: MuseTunePipeline) -> None:
    pipe.set_adapter({"jazz": 0.7, "blues": 0.3})
    pipe.unload_adapter("jazz")
    assert {name: info.weight for name, info in pipe.adapters.items()} == {"theory": 1, "rock": 0, "blues": 0.3}
    pipe.unload_adapter("rock")
    pipe.unload_adapter("blues")
    assert list(pipe.adapters) == ["theory"]
    assert pipe.loras is None
    with pytest.raises(ValueError, match="no genre adapter 'jazz' is loaded; there are none"):
        pipe.unload_adapter("jazz")


@pytest.mark.slow
def test_a_new_theory_adapter_keeps_the_genres(tiny_base: Path, pipe: MuseTunePipeline) -> None:
    pipe.set_adapter("jazz")
    wanted, first = music(pipe), pipe.adapter
    other = make_pipe(tiny_base).adapter
    other.detach()
    pipe.load_adapter(other, name="mine")
    assert list(pipe.adapters) == ["mine", *GENRES]
    assert np.array_equal(music(pipe), wanted)  # the same weights
    assert pipe.adapter is not first


@pytest.mark.slow
def test_fused_sounds_the_same_and_unfused_leaves_no_trace(pipe: MuseTunePipeline) -> None:
    before = weights_of(pipe)
    pipe.set_adapter({"jazz": 0.7, "blues": 0.3})
    wanted, softer, plain = music(pipe), music(pipe, strength=0.5), words(pipe)
    pipe.fuse_adapter()
    fused = weights_of(pipe)
    assert not untouched(pipe, before)
    assert np.array_equal(music(pipe), wanted)
    assert np.array_equal(words(pipe), plain)
    assert np.array_equal(music(pipe, strength=0.5), softer)
    assert np.array_equal(music(pipe), wanted)
    assert untouched(pipe, fused)
    pipe.unfuse()
    assert untouched(pipe, before)
    assert np.array_equal(music(pipe), wanted)


def test_fused_adapters_are_not_changed_by_halves(pipe: MuseTunePipeline, genres: Path) -> None:
    with pytest.raises(ValueError, match="nothing is fused: fuse_adapter"):
        pipe.unfuse_adapter()
    pipe.fuse_adapter()  # the theory adapter's LoRA alone
    for act in (
        lambda: pipe.set_adapter("jazz"),
        lambda: pipe.load_adapter(genres / "jazz"),
        pipe.unload_adapter,
        pipe.fuse_adapter,
    ):
        with pytest.raises(ValueError, match=r"unfuse_adapter\(\) first"):
            act()
    pipe.unfuse_adapter()
    pipe.unload_adapter()
    with pytest.raises(ValueError, match="no active LoRA to fuse"):
        pipe.fuse_adapter()


@pytest.mark.slow
def test_fused_pipelines_save_their_plain_base(pipe: MuseTunePipeline, tmp_path: Path) -> None:
    pipe.set_adapter("jazz")
    wanted = music(pipe)
    pipe.fuse_adapter()
    pipe.save_pretrained(tmp_path / "all")
    pipe.save_adapter(tmp_path / "jazz")
    assert np.array_equal(music(pipe), wanted)
    assert np.array_equal(music(quiet(MuseTunePipeline.from_pretrained(tmp_path / "all"))), wanted)
    read_adapter_metadata(tmp_path / "jazz").check(make_pipe(tmp_path / "all").unet)


@pytest.mark.slow
def test_a_thousand_swaps_leak_nothing(pipe: MuseTunePipeline, genres: Path) -> None:
    pipe.set_adapter("jazz")
    wanted, before = music(pipe), weights_of(pipe)

    def swap(i: int) -> None:
        pipe.set_adapter({GENRES[i % 3]: 1.0, GENRES[(i + 1) % 3]: 0.5})
        if i % 5 == 0:
            with pipe.adapter_manager.playing(1.0, music=True):
                pass
        if i % 40 == 0:
            pipe.load_adapter(genres / GENRES[i % 3])

    for i in range(50):
        swap(i)
    gc.collect()
    objects, tensors, memory = len(gc.get_objects()), count_tensors(), rss()
    for i in range(1000):
        swap(i)
    gc.collect()
    assert count_tensors() == tensors
    assert abs(len(gc.get_objects()) - objects) < 200
    assert rss() - memory < 20e6
    assert untouched(pipe, before)
    pipe.set_adapter("jazz")
    assert np.array_equal(music(pipe), wanted)


def count_tensors() -> int:
    return sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())


def rss() -> float:
    """Bytes that the process holds now, or had at most where the system does not tell."""
    status = Path("/proc/self/statm")
    if status.is_file():
        return int(status.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ("folk", r"no genre adapter 'folk' is loaded; there are jazz, rock, blues: load_adapter"),
        ({"jazz": 0.5, "folk": 0.5}, "no genre adapter 'folk'"),
        ({"jazz": -0.1}, r"the weight jazz=-0\.1 is outside 0–2"),
        ({"jazz": 3}, "the weight jazz=3 is outside 0–2"),
        ({"jazz": float("nan")}, "the weight jazz=nan"),
        ({"jazz": "loud"}, "the weight jazz='loud'"),
    ],
)
def test_a_wrong_mix_changes_nothing(pipe: MuseTunePipeline, mix: object, message: str) -> None:
    pipe.set_adapter("rock")
    with pytest.raises(ValueError, match=message):
        pipe.set_adapter(mix)
    assert {name: info.weight for name, info in pipe.adapters.items()} == {
        "theory": 1,
        "jazz": 0,
        "rock": 1,
        "blues": 0,
    }


def spoil(folder: Path, how: str) -> None:
    if how == "schema":
        path = folder / "musetune.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 9}))
    elif how == "base":
        torch.manual_seed(99)
        from musetune.models.nano import build_nano

        genre_folder(build_nano("tiny").unet, folder, 5)
    elif how == "shapes":
        path = folder / "adapter_model.safetensors"
        weights = load_file(path)
        name = sorted(weights)[0]
        save_file(weights | {name: weights[name][:, 1:].contiguous()}, path)
    elif how == "pickle":
        (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("schema", "schema version 9, this musetune reads 1"),
        ("base", r"'folk' was made for another U-Net, that of 'tiny': .* weights differ by \d+ %"),
        ("shapes", r"wrong shapes of down_blocks\.0.*: .* for a weight of"),
        ("pickle", r"no safetensors but adapter_model\.bin: nothing else is read, since a pickle .* run any code"),
    ],
)
def test_a_mismatched_adapter_is_refused_and_the_pipeline_stays(
    pipe: MuseTunePipeline, genres: Path, tmp_path: Path, how: str, message: str
) -> None:
    pipe.set_adapter({"jazz": 0.5})
    wanted, before, adapters = music(pipe), weights_of(pipe), pipe.adapters
    folder = shutil.copytree(genres / "rock", tmp_path / "folk")
    spoil(folder, how)
    with pytest.raises(ValueError, match=message):
        pipe.load_adapter(folder)
    assert pipe.adapters == adapters
    assert untouched(pipe, before)
    assert np.array_equal(music(pipe), wanted)


def test_a_theory_adapter_of_another_base_is_refused_and_the_old_one_stays(pipe: MuseTunePipeline) -> None:
    wanted, before, first = music(pipe), weights_of(pipe), pipe.adapter
    with pytest.raises(ValueError, match="'theory' was made for another U-Net, that of 'nano'"):
        pipe.load_adapter("theory")
    assert pipe.adapter is first
    assert untouched(pipe, before)
    assert np.array_equal(music(pipe), wanted)


@pytest.mark.slow
def test_names(pipe: MuseTunePipeline, genres: Path, tmp_path: Path) -> None:
    for name in ("pop", "keys", "music", "bossa nova"):  # those that would clash with a module's own are fine
        pipe.load_adapter(genres / "jazz", name=name)
        music(pipe)
    for name in ("", "a/b", "..", "a.b"):
        with pytest.raises(ValueError, match="a name has letters"):
            pipe.load_adapter(genres / "jazz", name=name or " ")
    with pytest.raises(ValueError, match="the theory adapter is called 'theory': give another name"):
        pipe.load_adapter(genres / "jazz", name="theory")
    with pytest.raises(ValueError, match="a genre adapter is called 'pop': give another name"):
        pipe.load_adapter(pipe.adapter, name="pop")
    (shutil.copytree(genres / "jazz", tmp_path / "my.lora v1") / "musetune.json").unlink()
    pipe.load_adapter(tmp_path / "my.lora v1")  # a community's LoRA has no card
    info = pipe.adapters["my-lora-v1"]
    assert (info.genre, info.base, info.weight) == (None, None, 1.0)


@pytest.mark.slow
def test_an_adapter_is_saved_as_the_hub_holds_it(pipe: MuseTunePipeline, genres: Path, tmp_path: Path) -> None:
    pipe.set_adapter("jazz")
    wanted = music(pipe)
    pipe.save_adapter(tmp_path / "jazz")
    names = sorted(path.name for path in (tmp_path / "jazz").iterdir())
    assert [n for n in names if n != "README.md"] == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "musetune.json",
        "training.json",
    ]
    pipe.save_adapter(tmp_path / "theory", "theory")
    fresh = quiet(MuseTunePipeline.from_pretrained(pipe_base(pipe), adapter=tmp_path / "theory"))
    fresh.load_adapter(tmp_path / "jazz")
    assert read_adapter_metadata(tmp_path / "theory").kind == "theory"
    assert list(fresh.adapters) == ["theory", "jazz"]
    assert np.array_equal(music(fresh), wanted)
    pipe.set_adapter({"jazz": 0.5, "rock": 0.5})
    with pytest.raises(ValueError, match="several adapters are active, jazz, rock: give name="):
        pipe.save_adapter(tmp_path / "mix")
    pipe.set_adapter(None)
    assert read_adapter_metadata(pipe.save_adapter(tmp_path / "default")).kind == "theory"
    pipe.unload_adapter()
    with pytest.raises(ValueError, match="no adapter is active"):
        pipe.save_adapter(tmp_path / "nothing")


def pipe_base(pipe: MuseTunePipeline) -> str:
    return pipe.config._name_or_path


def test_a_pushed_adapter_is_what_was_saved(pipe: MuseTunePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed = []

    def push(folder: Path, repo_id: str, **hub: object) -> str:
        pushed.append((sorted(p.name for p in Path(folder).iterdir()), repo_id, hub))
        return "commit"

    monkeypatch.setattr("musetune.hub.push", push)
    pipe.set_adapter("rock")
    assert pipe.push_adapter_to_hub("me/musetune-rock", token="t", private=True) == "commit"
    ((names, repo, hub),) = pushed
    assert {"adapter_config.json", "adapter_model.safetensors", "musetune.json", "training.json"} <= set(names)
    given = {option: value for option, value in hub.items() if value is not None}
    assert (repo, given) == ("me/musetune-rock", {"token": "t", "private": True})
