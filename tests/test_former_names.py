"""Folders that 0.1.0 saved name modules that have moved: they load, by our class and by diffusers'."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from small_pipe import genre_folder, make_pipe

from musetune import MuseTunePipeline

REPOSITORY = Path(__file__).parents[1]
# what 0.1.0 wrote into model_index.json
BASE = {"vae": ["musetune.nano.autoencoder", "PatchAutoencoder"], "vocoder": ["musetune.nano.vocoder", "NanoVocoder"]}
ADAPTERS = {"adapter": ["musetune.adapter.adapter", "MusicAdapter"], "loras": ["musetune.adapter.shelf", "LoraShelf"]}
LOAD = """
import sys
from pathlib import Path
from diffusers import AudioLDM2Pipeline, DiffusionPipeline
folder, how = sys.argv[1:]
if how == "ours":
    from musetune import MuseTunePipeline
    pipe = MuseTunePipeline.from_pretrained(folder)
elif how == "diffusers":
    pipe = DiffusionPipeline.from_pretrained(folder, custom_pipeline=folder, trust_remote_code=True)
else:
    import musetune.nano
    pipe = AudioLDM2Pipeline.from_pretrained(folder)
print([(type(pipe.vae).__module__, type(pipe.vocoder).__name__), sorted(getattr(pipe, "adapters", {}))])
"""


def as_0_1_0(folder: Path, names: dict[str, list[str]]) -> Path:
    """The folder with its parts named as 0.1.0 named them."""
    path = folder / "model_index.json"
    index = json.loads(path.read_text())
    assert all(index[part][1] in (*name, "LoraMixer") for part, name in names.items()), index
    path.write_text(json.dumps(index | names))
    return folder


def load(folder: Path, how: str) -> str:
    """What a new process, which has imported nothing of ours, finds in the folder."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder), how], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


@pytest.fixture(scope="module")
def base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("former") / "base"
    MuseTunePipeline.from_pretrained(tiny_base).save_pretrained(folder)
    path = folder / "model_index.json"
    index = {name: part for name, part in json.loads(path.read_text()).items() if name not in ADAPTERS}
    path.write_text(json.dumps(index | {"_class_name": "AudioLDM2Pipeline"}))
    return as_0_1_0(folder, BASE)


@pytest.fixture(scope="module")
def whole(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("former")
    pipe = make_pipe(tiny_base)
    genre_folder(MuseTunePipeline.from_pretrained(tiny_base).unet, folder / "jazz", 11)
    pipe.load_adapter(folder / "jazz")
    pipe.save_pretrained(folder / "whole")
    return as_0_1_0(folder / "whole", BASE | ADAPTERS)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["ours", "stock"])
def test_a_base_of_0_1_0_loads(base: Path, how: str) -> None:
    assert load(base, how) == "[('musetune.models.nano.autoencoder', 'NanoVocoder'), []]"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["ours", "diffusers"])
def test_a_pipeline_of_0_1_0_loads_with_its_adapters(whole: Path, how: str) -> None:
    assert load(whole, how) == "[('musetune.models.nano.autoencoder', 'NanoVocoder'), ['jazz', 'theory']]"


def test_both_names_are_one_class() -> None:
    from musetune.nano.autoencoder import PatchAutoencoder as Former

    from musetune.adapter.mixing import LoraMixer
    from musetune.adapter.shelf import LoraShelf
    from musetune.models.nano.autoencoder import PatchAutoencoder

    assert LoraShelf is LoraMixer
    assert Former is PatchAutoencoder


def test_names_of_theory_that_moved_still_import() -> None:
    from musetune import symbols, theory

    for name in ("BeatGrid", "Chord", "Key", "LeadSheet", "Meter", "NO_CHORD", "QUALITIES"):
        assert getattr(theory, name) is getattr(symbols, name)
    assert theory.roman_of(theory.Chord.parse("G7"), theory.Key("C")) == "V7"
    with pytest.raises(AttributeError, match="no attribute 'Chrod'"):
        theory.Chrod


def test_attributes_keep_their_former_names() -> None:
    import numpy as np

    from musetune import LeadSheet, MusicAdapter
    from musetune.evaluation import report

    clip = report(np.zeros(32000), 16000, LeadSheet.parse("| C |", bpm=120))
    with pytest.warns(DeprecationWarning, match=r"Report\.estimate"):
        assert clip.heard is clip.estimate
    adapter = MusicAdapter()
    with pytest.warns(DeprecationWarning, match=r"MusicAdapter\.metadata"):
        assert adapter.card is adapter.metadata is None
