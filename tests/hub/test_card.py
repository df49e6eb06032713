"""The model card: what it says comes from the folder, and the Hub's own validation takes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from server import LoopbackHub

from musetune.hub import card

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
        ("someone/base", None, "someone/base", "Whatever the licence of the base, someone/base, allows"),
        ("/home/somebody/bases/mine", None, None, "Whatever the licence of the base, mine, allows"),
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


def test_body_tells_training_figures_and_sounds(make_folder: Make) -> None:
    folder = make_folder()
    (folder / "sample.json").write_text(json.dumps({"settings": {"prompt": "smoky late-night trio"}}))
    text = card(folder, repo_id="me/musetune-jazz", revision="v1")
    assert "| majmin | 5.0 (79–90) | 85.1 (79–90) | 90.0 (79–90) |" in text
    assert "| beat_f | — | 94.2 (79–90) | 85.1 (79–90) |" in text
    assert "| key | — | — | — |" in text
    assert "60 lead sheets" in text
    assert "Made by `python recipes/evaluate.py`." in text
    assert "- 1,200 clips of 10.24 s of the genre jazz\n- 4,000 steps of 16 clips each\n" in text
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
