"""Folders of a whole pipeline with genres, or with a base by reference; from_pretrained with a genre; remote code.

Pickles.
"""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from diffusers import DiffusionPipeline
from small_pipe import GENRES, genre_folder, genre_folders, make_pipe, music, quiet, random_lora, words

from musetune import MuseTunePipeline
from musetune.adapter.lora_files import DIFFUSERS, PEFT
from musetune.hub.locate import find_adapter
from musetune.pipeline.folders import warn_of_remote_code


@pytest.fixture(scope="module")
def made(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """theory and a folder a genre, trained on it, for the small base."""
    out = genre_folders(tiny_base, tmp_path_factory.mktemp("made"))
    make_pipe(tiny_base).save_adapter(out / "theory")
    return out


@pytest.fixture
def pipe(tiny_base: Path, made: Path) -> MuseTunePipeline:
    pipe = make_pipe(tiny_base)
    for name in GENRES:
        pipe.load_adapter(made / name)
    pipe.set_adapter({"jazz": 0.7, "blues": 0.3})
    return pipe


def mix_of(pipe: MuseTunePipeline) -> dict[str, float]:
    return {name: info.weight for name, info in pipe.adapters.items()}


@pytest.mark.slow
def test_a_folder_holds_everything_and_loads_both_ways(pipe: MuseTunePipeline, tmp_path: Path) -> None:
    wanted, mix, plain = music(pipe), mix_of(pipe), words(pipe)
    pipe.save_pretrained(tmp_path / "all")
    assert np.array_equal(music(pipe), wanted)
    ours = quiet(MuseTunePipeline.from_pretrained(tmp_path / "all"))
    theirs = quiet(
        DiffusionPipeline.from_pretrained(
            tmp_path / "all", custom_pipeline=str(tmp_path / "all"), trust_remote_code=True
        )
    )
    for loaded in (ours, theirs):
        assert mix_of(loaded) == mix
        assert np.array_equal(music(loaded), wanted)
        assert np.array_equal(words(loaded), plain)
        loaded.set_adapter("rock")
        assert not np.array_equal(music(loaded), wanted)
    kinds = {path.suffix for path in (tmp_path / "all").rglob("*") if path.is_file()}
    assert kinds <= {".json", ".safetensors", ".txt", ".py", ".model", ".md"}


@pytest.mark.slow
def test_what_was_unloaded_is_not_in_the_folder_any_more(pipe: MuseTunePipeline, tmp_path: Path) -> None:
    pipe.save_pretrained(tmp_path / "all")
    pipe.unload_adapter("rock")
    pipe.save_pretrained(tmp_path / "all")
    assert mix_of(MuseTunePipeline.from_pretrained(tmp_path / "all")) == {"theory": 1, "jazz": 0.7, "blues": 0.3}


@pytest.mark.slow
def test_a_folder_may_name_its_base(pipe: MuseTunePipeline, tiny_base: Path, tmp_path: Path) -> None:
    wanted, mix = music(pipe), mix_of(pipe)
    pipe.save_pretrained(tmp_path / "light", reference=str(tiny_base))
    assert sorted(p.name for p in (tmp_path / "light").iterdir()) == [
        "adapter",
        "loras",
        "model_index.json",
        "pipeline.py",
    ]
    loaded = quiet(MuseTunePipeline.from_pretrained(tmp_path / "light"))
    assert mix_of(loaded) == mix
    assert np.array_equal(music(loaded), wanted)
    assert np.array_equal(music(pipe), wanted)


@pytest.mark.slow
def test_a_reference_that_nobody_else_could_find_is_refused(pipe: MuseTunePipeline, tmp_path: Path) -> None:
    wanted = music(pipe)
    with pytest.raises(ValueError, match=r"others cannot find the base 'tiny.*give reference='nano' or its Hub id"):
        pipe.save_pretrained(tmp_path / "light", reference=True)
    assert np.array_equal(music(pipe), wanted)


@pytest.mark.slow
def test_nano_is_referred_to_by_its_name(tmp_path: Path) -> None:
    pipe = MuseTunePipeline.from_pretrained("nano", adapter="theory")
    pipe.save_pretrained(tmp_path, reference=True)
    assert json.loads((tmp_path / "model_index.json").read_text())["_base"] == {"name": "nano", "revision": None}
    assert list(MuseTunePipeline.from_pretrained(tmp_path).adapters) == ["theory"]


@pytest.mark.slow
def test_a_genre_adapter_brings_its_theory(
    tiny_base: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musetune.hub.locate.BUNDLED_ADAPTERS", (made,))
    pipe = quiet(MuseTunePipeline.from_pretrained(tiny_base, adapter=made / "jazz"))
    assert mix_of(pipe) == {"theory": 1, "jazz": 1}
    assert np.array_equal(music(pipe), music(quiet(MuseTunePipeline.from_pretrained(tiny_base, adapter="jazz"))))
    pipe.save_pretrained(tmp_path / "all")
    again = MuseTunePipeline.from_pretrained(tmp_path / "all", adapter="rock")  # the folder has its own theory adapter
    assert mix_of(again) == {"theory": 1, "jazz": 0, "rock": 1}


def test_a_theory_that_is_not_at_hand_is_named(tiny_base: Path, tmp_path: Path) -> None:
    genre_folder(MuseTunePipeline.from_pretrained(tiny_base).unet, tmp_path / "jazz", 1, theory="private")
    with pytest.raises(ValueError, match="'jazz' was trained on the theory adapter 'private', which is not at hand"):
        MuseTunePipeline.from_pretrained(tiny_base, adapter=tmp_path / "jazz")


@pytest.mark.parametrize("options", [{"revision": "v1"}, {"adapter_revision": "v1", "revision": "other"}])
def test_the_revision_goes_to_the_adapter_where_the_base_is_local(
    tiny_base: Path, made: Path, monkeypatch, options: dict
):  # type: ignore[no-untyped-def]
    asked = []
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download",
        lambda name, **hub: asked.append((name, hub["revision"])) or str(made / "theory"),
    )
    MuseTunePipeline.from_pretrained(tiny_base, adapter="me/theory", **options)
    assert asked == [("me/theory", "v1")]


def test_a_community_lora_of_the_hub_is_called_as_its_repository(tiny_base: Path, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    random_lora(MuseTunePipeline.from_pretrained(tiny_base).unet, 4).write(tmp_path / "0123abc")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **hub: str(tmp_path / "0123abc"))
    pipe = MuseTunePipeline.from_pretrained(tiny_base, adapter="me/bossa-nova")
    pipe.load_adapter("you/samba.v2")
    assert mix_of(pipe) == {"bossa-nova": 0, "samba-v2": 1}


@pytest.mark.slow
def test_a_community_lora_in_diffusers_format_loads(pipe: MuseTunePipeline, made: Path, tmp_path: Path) -> None:
    pipe.set_adapter("jazz")
    wanted = music(pipe)
    (tmp_path / "theirs").mkdir()
    shutil.copy(made / "jazz" / PEFT, tmp_path / "theirs" / DIFFUSERS)
    pipe.load_adapter(tmp_path / "theirs")
    assert mix_of(pipe)["theirs"] == 1.0
    assert np.array_equal(music(pipe), wanted)


@pytest.mark.parametrize(
    "files",
    [
        ("pytorch_lora_weights.bin",),
        ("config.json", "diffusion_pytorch_model.bin"),
        ("adapter_config.json", "adapter_model.bin"),
    ],
)
def test_pickles_are_refused_unread(tmp_path: Path, files: tuple[str, ...]) -> None:
    for name in files:
        (tmp_path / name).write_bytes(b"\x80\x04never read")
    with pytest.raises(ValueError, match=rf"no safetensors but {files[-1]}: nothing else is read, since a pickle"):
        find_adapter(tmp_path)


@pytest.mark.slow
def test_a_hub_pipeline_with_adapters_is_fetched_whole(pipe: MuseTunePipeline, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """diffusers' own download would leave out the theory adapter's LoRA."""
    wanted = music(pipe)
    pipe.save_pretrained(tmp_path / "all")
    asked = []

    def snapshot(name: str, allow_patterns: list[str], **hub: object) -> str:
        asked.append((name, hub))
        return str(tmp_path / "all")

    monkeypatch.setattr("musetune.hub.transfer._unreachable", lambda: None)  # as if the Hub answered
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda name, file, **hub: str(tmp_path / "all" / file))
    loaded = quiet(MuseTunePipeline.from_pretrained("me/song", revision="v1", token="t"))
    assert asked == [("me/song", {"revision": "v1", "token": "t"})]
    assert np.array_equal(music(loaded), wanted)


@pytest.mark.slow
def test_an_adapter_without_the_lora_that_it_had_is_refused(pipe: MuseTunePipeline, tmp_path: Path) -> None:
    pipe.save_pretrained(tmp_path / "all")
    shutil.rmtree(tmp_path / "all" / "adapter" / "lora")
    with pytest.raises(ValueError, match=r"has lost its lora/: .* musetune pull"):
        DiffusionPipeline.from_pretrained(
            tmp_path / "all", custom_pipeline=str(tmp_path / "all"), trust_remote_code=True
        )


PINNED = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("place", "options", "said"),
    [
        ("me/song", {"trust_remote_code": True}, "me/song holds at main today: pin it, revision='<commit hash>'"),
        ("me/song", {"trust_remote_code": True, "revision": "v1"}, "me/song holds at v1 today"),
        ("me/song", {"trust_remote_code": True, "revision": PINNED}, None),
        ("me/song", {"trust_remote_code": True, "custom_pipeline": "me/song", "revision": PINNED}, None),
        (".", {"trust_remote_code": True, "custom_pipeline": "me/code"}, "pin it, custom_revision='<commit hash>'"),
        (".", {"trust_remote_code": True, "custom_pipeline": "me/code", "custom_revision": PINNED}, None),
        (".", {"trust_remote_code": True, "custom_pipeline": "."}, None),
        ("me/song", {}, None),
    ],
)
def test_unpinned_remote_code_warns(place: str, options: dict, said: str | None) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_remote_code(place, options)
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == (said is not None)
    assert said is None or said in messages[0]


def test_from_pretrained_warns_of_unpinned_code(tiny_base: Path) -> None:
    with (
        pytest.warns(UserWarning, match="me/code holds at main today"),
        pytest.raises(FileNotFoundError, match="nowhere"),
    ):
        MuseTunePipeline.from_pretrained(
            tiny_base, adapter="nowhere", custom_pipeline="me/code", trust_remote_code=True
        )
