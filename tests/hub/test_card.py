"""The model card: what it says comes from the folder, and the Hub's own validation takes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from server import LoopbackHub

from musetune.hub import card, list_adapters

Make = Callable[..., Path]


def test_front_matter_is_what_the_hub_reads(hub: LoopbackHub, make_folder: Make) -> None:
    made = ModelCard(card(make_folder(), repo_id="me/musetune-jazz"))
    data = made.data.to_dict()
    assert data["base_model"] == "musetune/nano"
    assert data["base_model_relation"] == "adapter"
    assert (data["library_name"], data["pipeline_tag"], data["license"]) == ("diffusers", "text-to-audio", "apache-2.0")
    assert {"musetune", "lora", "jazz"} <= set(data["tags"])
    assert data["widget"] == [{"text": "sample", "output": {"url": "sample.flac"}}]
    made.validate()
    assert hub.requests == ["POST /api/validate-yaml"]


def test_validation_refuses_what_it_should(hub: LoopbackHub, make_folder: Make) -> None:
    text = card(make_folder())
    for right, wrong in (("apache-2.0", "apache"), ("text-to-audio", "text-to-sound"), ("musetune/nano", "my nano")):
        with pytest.raises(ValueError, match=r"must be one of|must be a repository"):
            ModelCard(text.replace(right, wrong, 1)).validate()


@pytest.mark.parametrize(
    ("base", "licence", "repo_id", "words"),
    [
        ("nano", "apache-2.0", "musetune/nano", "Apache-2.0, inherited from the base: nano"),
        ("cvssp/audioldm2-music", "cc-by-nc-sa-4.0", "cvssp/audioldm2-music", "share-alike clause holds"),
        ("someone/base", "unknown", "someone/base", "Unknown: whatever the licence of the base, someone/base, allows"),
        ("/home/somebody/bases/mine", "unknown", None, "Unknown: whatever the licence of the base, mine, allows"),
    ],
)
def test_licence_is_the_bases(
    hub: LoopbackHub, make_folder: Make, base: str, licence: str | None, repo_id: str | None, words: str
) -> None:
    text = card(make_folder(base=base))
    made = ModelCard(text)
    assert made.data.get("license") == licence
    assert made.data.get("base_model") == repo_id
    assert words in text.split("## Licence")[1]
    assert "somebody" not in text
    made.validate()


@pytest.mark.parametrize(
    ("music", "licence", "words"),
    [
        (["CC-BY-4.0", "CC0-1.0"], "apache-2.0", "The music is under CC-BY-4.0, CC0-1.0, which allows that"),
        (["own"], "apache-2.0", "The music is under own"),
        (["CC BY-NC 4.0", "MIT"], "cc-by-nc-4.0", "not for commercial use"),
        (["CC-BY-SA-3.0"], "cc-by-sa-3.0", "share-alike clause holds"),
        (["CC-BY-SA-3.0", "CC-BY-NC-4.0"], "unknown", "ask for different licences"),
        (["CC-BY-ND-4.0"], "unknown", "State the adapter's licence yourself"),
        (["all rights reserved"], "unknown", "State the adapter's licence yourself"),
        (["MIT", "unknown"], "unknown", "of some of the music nobody said"),
        ([], "unknown", "of the music nobody said under which licence it is"),
    ],
)
def test_licence_follows_from_base_and_music(make_folder: Make, music: list[str], licence: str, words: str) -> None:
    folder = make_folder()
    record = json.loads((folder / "training.json").read_text())
    record["data"]["licences"] = music
    (folder / "training.json").write_text(json.dumps(record))
    text = card(folder)
    assert ModelCard(text).data.license == licence
    assert words in text.split("## Licence")[1]
    assert f"licence of the music: {', '.join(music) or 'unknown'}" in text


@pytest.mark.parametrize(
    ("music", "licence"),
    [(["CC-BY-NC-4.0"], "cc-by-nc-sa-4.0"), (["CC-BY-SA-4.0"], "unknown"), (["MIT"], "cc-by-nc-sa-4.0")],
)
def test_a_base_that_shares_alike_binds_the_adapter(make_folder: Make, music: list[str], licence: str) -> None:
    folder = make_folder(base="cvssp/audioldm2")
    record = json.loads((folder / "training.json").read_text())
    record["data"]["licences"] = music
    (folder / "training.json").write_text(json.dumps(record))
    assert ModelCard(card(folder)).data.license == licence


def test_who_listened_is_said_and_floors_only_where_there_are_any(make_folder: Make) -> None:
    folder = make_folder()
    results = json.loads((folder / "results.json").read_text())
    results["table"] = {"theory alone": results["table"]["adapter"], "adapter": results["table"]["adapter"]}
    (folder / "results.json").write_text(json.dumps(results | {"listener": "MuseTune's own analyser"}))
    assert set(next(one for one in list_adapters([folder]) if one.source == "folder").adherence.values()) == {None}
    text = card(folder).split("## Adherence")[1]
    assert "Heard by MuseTune's own analyser" in text
    assert "no independent judge listened" in text
    assert "floor" not in text


def test_body_tells_training_figures_and_sounds(make_folder: Make) -> None:
    folder = make_folder()
    (folder / "sample.json").write_text(json.dumps({"settings": {"prompt": "smoky late-night trio"}}))
    text = card(folder, repo_id="me/musetune-jazz", revision="v1")
    assert "| majmin | 5.0 (79–90) | 85.1 (79–90) | 90.0 (79–90) |" in text
    assert "| beat_f | — | 94.2 (79–90) | 85.1 (79–90) |" in text
    assert "| key | — | — | — |" in text
    assert "60 lead sheets" in text
    assert "Made by `python recipes/evaluate.py`." in text
    assert "- 1,200 clips of 10.24 s of the genre jazz\n- 40 songs, 68.3 minutes of music" in text
    assert "- licence of the music: MIT\n- 4,000 steps of 16 clips each\n" in text
    assert "- with the theory adapter theory frozen beneath it\n- LoRA of rank 12\n- learning rate 0.001\n" in text
    assert '/me/musetune-jazz/resolve/v1/sample.flac"></audio>' in text
    assert text.count("smoky late-night trio") == 2  # above the player, and in the widget
    assert "![chart](chart.png)" in text
    assert 'from_pretrained("nano", adapter="me/musetune-jazz", adapter_revision="v1")' in text


def test_card_of_a_bare_folder_says_only_what_is_known(make_folder: Make) -> None:
    folder = make_folder("bare", kind="theory", genre=None, theory=None)
    for name in ("training.json", "results.json", "sample.flac", "chart.png"):
        (folder / name).unlink()
    text = card(folder)
    assert not [part for part in ("## What it was", "## Adherence", "## Hear", "None", "jazz band") if part in text]
    assert "lora" not in ModelCard(text).data.tags


def test_what_is_no_adapter_has_no_card(make_folder: Make, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no adapter"):
        card(tmp_path)
    folder = make_folder()
    (folder / "musetune.json").write_text("{")
    with pytest.raises(ValueError, match=r"musetune\.json is not JSON"):
        card(folder)
    (folder / "musetune.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no musetune\.json, which says what base it is for"):
        card(folder)


GARBAGE = ([], {}, "x", 7, True, float("nan"), 10**400, [[1]], {"mean": []}, "<script>", None)


@pytest.mark.slow
@pytest.mark.parametrize("file", ["musetune.json", "training.json", "results.json", "sample.json"])
def test_any_value_at_any_place_gives_a_card_or_a_value_error(make_folder: Make, file: str) -> None:
    folder = make_folder()
    (folder / "sample.json").write_text(json.dumps({"settings": {"prompt": "trio"}}))
    whole = json.loads((folder / file).read_text())
    cards, messages = 0, []
    for path in places(whole):
        for value in GARBAGE:
            (folder / file).write_text(json.dumps(replaced(whole, path, value)))
            for work in (card, lambda folder: list_adapters([folder])):
                try:
                    work(folder)
                    cards += 1
                except FileNotFoundError:
                    assert (path, value) == ((), {})  # an empty object says no base
                except ValueError as error:
                    messages.append(str(error))
    assert cards > 10
    assert len(messages) > 10
    assert all(file in message for message in messages)


def places(value: object, path: tuple = ()) -> list[tuple]:
    """Return the way to every value within ``value``."""
    inner = value.items() if isinstance(value, dict) else []
    return [path, *(way for key, one in inner for way in places(one, (*path, key)))]


def replaced(value: object, path: tuple, new: object) -> object:
    if not path:
        return new
    assert isinstance(value, dict)
    return value | {path[0]: replaced(value[path[0]], path[1:], new)}


@pytest.mark.parametrize("text", [b"[" * 100_000, b"\xff\xfe", b'{"kind": "lora"', b'{"n": ' + b"9" * 5000 + b"}"])
def test_text_that_is_no_json_is_a_value_error(make_folder: Make, text: bytes) -> None:
    folder = make_folder()
    (folder / "musetune.json").write_bytes(text)
    with pytest.raises(ValueError, match=r"musetune\.json is not JSON"):
        card(folder)


def test_words_and_names_cannot_leave_their_place(make_folder: Make) -> None:
    folder = make_folder()
    (folder / "sample.flac").rename(folder / 'a" onerror="x.flac')
    (folder / 'a" onerror="x.json').write_text(json.dumps({"settings": {"prompt": "<img src=x>\n# trio"}}))
    body = card(folder).split("---\n", 2)[2]
    assert 'src="a%22%20onerror%3D%22x.flac"' in body
    assert "&lt;img src=x&gt; # trio" in body


def test_a_damaged_weights_file_is_named(make_folder: Make) -> None:
    folder = make_folder()
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:20])
    with pytest.raises(ValueError, match=r"adapter_model\.safetensors is not a whole safetensors file"):
        card(folder)


def test_an_adapter_for_few_steps_says_so(make_folder: Make) -> None:
    folder = make_folder()
    path = folder / "musetune.json"
    metadata = json.loads(path.read_text()) | {"name": "fast", "genre": None}
    metadata["sampling"] = {"scheduler": {"_class_name": "DDIMScheduler"}, "steps": 4, "fewest": 4, "most": 8}
    path.write_text(json.dumps(metadata))
    text = card(folder)
    assert "# fast: a MuseTune adapter for few steps" in text
    assert "play in 4 steps of one pass, without guidance" in text
    assert "genre adapter\n" not in text
