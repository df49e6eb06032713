"""The card of a data set of annotations: what it holds, how it was made, and where its tables lie."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from musetune.hub.licences import UNKNOWN, normal
from musetune.symbols.json_values import JsonObject

HUB_NAMES = re.compile(r"cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-\d\.\d|mit|apache-2\.0|pddl|odc-by|odbl")  # of licences of data
TEXT = """# Annotations of {rows:,} songs

Chords, keys, beats, meter, form and genre of {rows:,} songs, {hours:.1f} hours of music, as the analyser of
MuseTune hears them. The songs themselves are not part of this data set. The key of a song is the SHA-256 of its file's
bytes.

```python
import json
import re
from datasets import load_dataset

songs = load_dataset("this/data-set", split="train")  # its name on the Hub, or its folder
record = json.loads(songs[0]["record"])  # all that was heard, with confidences
```

| column | what it is |
|---|---|
| `sha256`, `file` | the file's hash and its name in the collection |
| `duration_s`, `key`, `bpm`, `time_signature` | of the song; null where the analyser is not certain |
| `genre`, `genre_confidence` | one of six, or "unsure" |
| `chords`, `chord_starts_s` | Harte labels, and where each begins |
| `record` | the whole analysis as JSON |
| `lead_sheet` | chords on beats as JSON, which `LeadSheet.from_json` reads |
| `metadata` | what the manifest said of the song, as JSON |
| `caption`, `clip_starts_s` | words for the song, and where its encoded clips begin, where latents were made |

{latents}Labels are recognised, not written by people; each carries its confidence. Analyser {analyser}.

Licences of the music, as the manifest states them: {licences}. {aside:,} files could not be used.
"""
LATENTS = """`latents/*.safetensors` holds, under `SHA-256/latents`, the latents of each song's clips of {seconds:g} s
by the autoencoder of `{base}`, already scaled, and under `SHA-256/prompt_embeds` and its neighbours the embeddings of
its caption.

"""


def dataset_card(folder: Path, info: JsonObject, unreadable: int = 0) -> str:
    """The README.md of a data set whose shards are written.

    Args:
        folder: The data set's.
        info: What all annotations share.
        unreadable: Files that could not even be read, and so belong to no shard.
    """
    import pyarrow.parquet

    seconds, licences, rows = 0.0, Counter[str](), 0
    marks = [json.loads(path.read_text()) for path in sorted((folder / "done").glob("*.json"))]
    for path in (folder / name for mark in marks for name in mark["files"] if name.startswith("data/")):
        table = pyarrow.parquet.read_table(path, columns=["duration_s", "metadata"])
        seconds += sum(value or 0.0 for value in table["duration_s"].to_pylist())
        fields = [json.loads(text) for text in table["metadata"].to_pylist()]
        licences.update(str(one.get("licence") or one.get("license") or UNKNOWN) for one in fields)
        rows += table.num_rows
    known = UNKNOWN not in licences and bool(licences)
    names = {normal(name) for name in licences} if known else {UNKNOWN}
    one_licence = names.pop() if len(names) == 1 else "other"
    if one_licence != UNKNOWN and not HUB_NAMES.fullmatch(one_licence):
        one_licence = "other"
    latents = ""
    if info.get("latents") is not None:
        latents = LATENTS.format(seconds=info["clip_seconds"], base=info["latents"])
    body = TEXT.format(
        rows=rows,
        hours=seconds / 3600,
        latents=latents,
        analyser=info["analyser"],
        licences=", ".join(f"{name} ({count:,})" for name, count in licences.most_common()) or "none",
        aside=unreadable + sum(len(mark["quarantine"]) for mark in marks),
    )
    head = {
        "license": one_licence,
        "pretty_name": f"Annotations of {rows:,} songs",
        "tags": ["music", "chords", "musetune"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/*.parquet"}]}],
    }
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n{body}"
