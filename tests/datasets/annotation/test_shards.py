"""The folder of annotations by itself: its card, which base it goes on with, what of it is shared."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import DatasetCard

pytest.importorskip("pyarrow")

from musetune.datasets.annotation.annotator import Annotation
from musetune.datasets.annotation.dataset_card import dataset_card
from musetune.datasets.annotation.manifest import ManifestSong
from musetune.datasets.annotation.shards import COLUMNS, FINGERPRINT, AnnotationFolder
from musetune.hub import dataset_files
from musetune.symbols.json_values import JsonObject

INFO: JsonObject = {"schema": 1, "analyser": "0123456789ab", "beats": "musetune", "latents": None}
ENCODED = INFO | {"latents": "nano", "clip_seconds": 5.12, FINGERPRINT: "vae=abc text_encoder=def"}


def written(out: Path, licences: list[str | None], info: JsonObject = INFO, unreadable: int = 0) -> str:
    """A data set of songs of half an hour, one of these licences each, and one song that was set aside; its card."""
    folder = AnnotationFolder(out, info)
    songs = [
        ManifestSong(f"{number}.wav", f"{number}.wav", {}, f"{number:064x}") for number in range(len(licences) + 1)
    ]
    folder.extend_plan(songs, shard_size=2)
    rows = [{"sha256": song.sha256, "file": song.file, "duration_s": 1800.0,
             "metadata": "{}" if licence is None else f'{{"licence": "{licence}"}}'}
            for song, licence in zip(songs, licences)]  # fmt: skip
    tensors = {} if info["latents"] is None else {"latents": np.zeros((1, 2), np.float16)}
    answers = {row["sha256"]: Annotation(row, tensors) for row in rows}
    for shard, part in folder.shards().items():
        folder.write_shard(shard, part, [answers.get(song.sha256, Annotation(fault="silent")) for song in part])
    card = dataset_card(out, info, unreadable)
    folder.finish([{"file": "gone.wav", "reason": "no such file"}] * unreadable, card)
    return card


@pytest.mark.parametrize(
    ("licences", "licence", "listed"),
    [
        (["CC BY 4.0", "cc-by-4.0"], "cc-by-4.0", "CC BY 4.0 (1), cc-by-4.0 (1)"),
        (["CC0-1.0", "CC-BY-4.0"], "other", "CC0-1.0 (1), CC-BY-4.0 (1)"),
        (["CC0-1.0", None], "unknown", "CC0-1.0 (1), unknown (1)"),
        (["all mine"], "other", "all mine (1)"),
    ],
)
def test_a_card_tells_licences_and_what_was_set_aside(
    tmp_path: Path, licences: list[str | None], licence: str, listed: str
) -> None:
    text = written(tmp_path / "set", licences, unreadable=2)
    assert DatasetCard(text, ignore_metadata_errors=False).data.license == licence
    assert f"as the manifest states them: {listed}. 3 files could not be used." in text
    assert f"genre of {len(licences)} songs, {len(licences) / 2:.1f} hours of music" in text.replace("\n", " ")
    assert len((tmp_path / "set" / "quarantine.jsonl").read_text().splitlines()) == 3


def test_a_card_explains_every_column_and_latents_where_there_are_some(tmp_path: Path) -> None:
    plain, encoded = written(tmp_path / "plain", ["CC0-1.0"]), written(tmp_path / "encoded", ["CC0-1.0"], ENCODED)
    table = [line.split("|")[1] for line in plain.splitlines() if line.startswith("| `")]
    assert re.findall(r"`(\w+)`", " ".join(table)) == list(COLUMNS)
    assert "latents/" not in plain
    assert "clips of 5.12 s by the autoencoder of `nano`" in encoded.replace("\n", " ")
    assert [name for name in dataset_files(tmp_path / "encoded") if name.startswith("latents/")] == [
        "latents/00000.safetensors"
    ]


def test_a_folder_goes_on_with_the_base_that_it_was_begun_with_alone(tmp_path: Path) -> None:
    """A name may come to mean another base; where a base does not lie here, its weights are not known."""
    written(tmp_path / "set", ["CC0-1.0"], ENCODED)
    AnnotationFolder(tmp_path / "set", ENCODED | {FINGERPRINT: ""})
    with pytest.raises(ValueError, match="was begun with latents_fingerprint='vae=abc text_encoder=def', not 'vae=0"):
        AnnotationFolder(tmp_path / "set", ENCODED | {FINGERPRINT: "vae=000 text_encoder=def"})
    written(tmp_path / "other", ["CC0-1.0"], ENCODED | {FINGERPRINT: ""})
    AnnotationFolder(tmp_path / "other", ENCODED)
