"""The data set on disk: what `prepare` writes and `recipes/finetune.py` reads.

    dataset.json          schema, the base and its latent geometry, versions
    clips.jsonl           one line a clip: id, shard and index, file, sha256, offset_s, duration_s, text, genre,
                          transpose, lead_sheet, licence, provenance, arrangement, bars, expression
    shards/*.safetensors  latents fp16 (n, channels, rows, cols), already scaled by the VAE's scaling factor, and the
                          text embeddings of each distinct prompt of the shard
    quarantine.jsonl      files that could not be used, with the reason

A shard is written whole and renamed into place, then its lines are appended; a writer that opens the folder again drops
whatever a kill left half done. So a clip is either complete or absent.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from musetune.symbols.json_values import JsonObject

SCHEMA = 1


@dataclass(frozen=True)
class DatasetInfo:
    """What all clips share. rows × cols: the latent's time and frequency sizes; row_s: seconds of one latent row."""

    base: str
    base_fingerprint: str
    channels: int
    rows: int
    cols: int
    row_s: float
    versions: dict[str, str] = field(default_factory=dict)
    schema: int = SCHEMA


@dataclass(frozen=True)
class TextEmbedding:
    """One prompt as the U-Net takes it: T5 states (L, 1024), their mask (L,), GPT-2's generated states (S, 768)."""

    prompt_embeds: Tensor
    attention_mask: Tensor
    generated_prompt_embeds: Tensor


@dataclass(frozen=True)
class Clip:
    """One stretch of music, and what is known of it.

    Attributes:
        id: Unique in the data set.
        file: The source file, relative to the source folder.
        sha256: Of that file.
        offset_s: Where the clip begins in it, seconds.
        duration_s: Seconds.
        text: The prompt.
        lead_sheet: LeadSheet JSON whose time 0 is the clip's start.
        genre: A genre's name; None where it is unknown.
        transpose: Semitones by which the recording was moved; 0 for the recording itself.
        licence: Of the recording.
        provenance: What is known of where it comes from.
        arrangement: Arrangement JSON on the lead sheet's beats; None where the players' notes are unknown.
        bars: (start_s, end_s, confidence 0…1) of each bar, from the clip's start; None in data sets of before 0.2,
            whose bars all count fully.
        expression: Expression JSON as it was heard in this clip; None where it was not asked for.
    """

    id: str
    file: str
    sha256: str
    offset_s: float
    duration_s: float
    text: str
    lead_sheet: JsonObject
    genre: str | None = None
    transpose: int = 0
    licence: str | None = None
    provenance: JsonObject = field(default_factory=dict)
    arrangement: JsonObject | None = None
    bars: list[list[float]] | None = None
    expression: JsonObject | None = None


class DatasetWriter:
    """A data set folder, new or begun, to which clips are appended; a context manager, so that the rest is flushed.

    Args:
        folder: Made where it is missing.
        info: What all clips share.
        shard_size: Clips a file of latents, at least 1; a kill costs as many.

    Attributes:
        done: The source files that are in it or set aside.
        provenance: Those files' provenance, as it was when they were added.

    Raises:
        ValueError: The folder holds clips of another base or of another size.

    Example:
        >>> import tempfile, torch
        >>> info = DatasetInfo("nano", "", channels=2, rows=4, cols=3, row_s=0.128)
        >>> clip = Clip("a@0", "a.wav", "", 0.0, 0.512, "a song", lead_sheet={})
        >>> text = TextEmbedding(torch.zeros(1, 8), torch.ones(1), torch.zeros(2, 8))
        >>> folder = tempfile.mkdtemp()
        >>> with DatasetWriter(folder, info) as writer:
        ...     writer.add([clip], torch.zeros(1, 2, 4, 3), {"": text, "a song": text})
        >>> len(LatentDataset(folder))
        1
    """

    def __init__(self, folder: str | Path, info: DatasetInfo, shard_size: int = 256) -> None:
        self.folder, self.info, self.shard_size = Path(folder), info, shard_size
        (self.folder / "shards").mkdir(parents=True, exist_ok=True)
        self._clips: list[Clip] = []
        self._latents: list[Tensor] = []
        self._texts: dict[str, TextEmbedding] = {}
        self._continue()

    def _continue(self) -> None:
        path = self.folder / "dataset.json"
        if path.exists():
            there = _read_info(self.folder)
            for name in ("base_fingerprint", "channels", "rows", "cols", "row_s"):
                old, new = getattr(there, name), getattr(self.info, name)
                if old != new:
                    raise ValueError(
                        f"{self.folder} was made with {name}={old!r}, not {new!r}: "
                        "continue with the same base and clip length, or write to another folder"
                    )
        else:
            _write_atomically(path, json.dumps(asdict(self.info), indent=2))
        for name in ("clips.jsonl", "quarantine.jsonl"):
            _drop_partial_line(self.folder / name)
        clips = self._whole_shards(_read_lines(self.folder / "clips.jsonl"))
        records = [*_read_lines(self.folder / "quarantine.jsonl"), *clips]
        self.provenance: dict[str, JsonObject] = {r["file"]: r.get("provenance", {}) for r in records}
        self.done: set[str] = set(self.provenance)
        shards = {c["shard"] for c in clips}
        for shard in (self.folder / "shards").iterdir():
            if shard.name not in shards:
                shard.unlink()
        self._next_shard = len(shards)

    def _whole_shards(self, lines: list[JsonObject]) -> list[JsonObject]:
        """Drop the last shard's lines where a kill left only some of them."""
        if not lines:
            return lines
        last = lines[-1]["shard"]
        with safe_open(self.folder / "shards" / last, "pt") as shard:
            rows = shard.get_slice("latents").get_shape()[0]
        if sum(line["shard"] == last for line in lines) == rows:
            return lines
        lines = [line for line in lines if line["shard"] != last]
        _write_atomically(self.folder / "clips.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        return lines

    def add(self, clips: list[Clip], latents: Tensor, texts: dict[str, TextEmbedding]) -> None:
        """Add all clips of one source file.

        Args:
            clips: n of them.
            latents: (n, channels, rows, cols), scaled by the autoencoder's scaling factor.
            texts: The embedding of each text that the clips use, and of "".

        Raises:
            ValueError: The latents have another shape, or a text has no embedding.
        """
        expected = (len(clips), self.info.channels, self.info.rows, self.info.cols)
        if tuple(latents.shape) != expected:
            raise ValueError(f"latents have shape {tuple(latents.shape)}, the data set holds {expected}")
        missing = {c.text for c in clips} - texts.keys() - self._texts.keys()
        if missing:
            raise ValueError(f"no text embedding given for {sorted(missing)}")
        self._clips += clips
        self._latents.append(latents.to(torch.float16))
        used = dict.fromkeys(["", *(c.text for c in clips)])  # in this order: a shard's bytes depend on it
        self._texts.update({text: texts[text] for text in used if text in texts})
        self.done |= {c.file for c in clips}
        if len(self._clips) >= self.shard_size:
            self.flush()

    def flush(self) -> None:
        """Write what is pending as one shard."""
        if not self._clips:
            return
        name = f"{self._next_shard:05d}.safetensors"
        order = list(self._texts)
        tensors = {"latents": torch.cat(self._latents)}
        for i, text in enumerate(order):
            embedding = self._texts[text]
            tensors[f"text.{i}.prompt_embeds"] = embedding.prompt_embeds.to(torch.float16)
            tensors[f"text.{i}.generated_prompt_embeds"] = embedding.generated_prompt_embeds.to(torch.float16)
            tensors[f"text.{i}.attention_mask"] = embedding.attention_mask.to(torch.uint8)
        scratch = self.folder / "shards" / f"{name}.tmp"
        save_file({k: v.contiguous() for k, v in tensors.items()}, scratch, {"texts": json.dumps(order)})
        os.replace(scratch, self.folder / "shards" / name)
        lines = [{**asdict(c), "shard": name, "index": i} for i, c in enumerate(self._clips)]
        _append_lines(self.folder / "clips.jsonl", lines)
        self._next_shard += 1
        self._clips, self._latents, self._texts = [], [], {}

    def quarantine(self, file: str, reason: str, provenance: JsonObject | None = None) -> None:
        """Record a file that cannot be used, so that it is not tried again."""
        record = {"file": file, "reason": reason} | ({"provenance": provenance} if provenance else {})
        _append_lines(self.folder / "quarantine.jsonl", [record])
        self.done.add(file)

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()


class LatentDataset:
    """A data set folder in memory.

    Args:
        folder: As `prepare` or a `DatasetWriter` left it.
        transposed: Take copies in other keys too.
        genre: Take this genre's clips alone; None: all.
        held_out: Leave out these source files, and clips given as `file@seconds`, in every transposition.
        clips_alone: Read neither latents nor embeddings, which may be larger than the memory.

    Attributes:
        info: What all clips share.
        clips: n of them.
        latents: (n, channels, rows, cols), fp16; of none with `clips_alone`.
        texts: Embeddings by prompt.

    Raises:
        FileNotFoundError: The folder is no data set.
        ValueError: It has no such clips, or another schema.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        transposed: bool = True,
        genre: str | None = None,
        held_out: Collection[str] = (),
        clips_alone: bool = False,
    ) -> None:
        self.folder = Path(folder)
        self.info = _read_info(self.folder)
        records = _read_lines(self.folder / "clips.jsonl")
        rows = [
            r
            for r in records
            if (transposed or not r["transpose"])
            and (genre is None or r["genre"] == genre)
            and {r["file"], f"{r['file']}@{r['offset_s']:.3f}"}.isdisjoint(held_out)
        ]
        if not rows:
            raise ValueError(_without_clips(self.folder, records, genre))
        names = {f.name for f in fields(Clip)}
        self.clips = [Clip(**{k: v for k, v in r.items() if k in names}) for r in rows]
        count, size = 0 if clips_alone else len(rows), (self.info.channels, self.info.rows, self.info.cols)
        self.latents = torch.empty(count, *size, dtype=torch.float16)
        self.texts: dict[str, TextEmbedding] = {}
        if clips_alone:
            return
        places: dict[str, list[tuple[int, int]]] = {}
        for i, record in enumerate(rows):
            places.setdefault(record["shard"], []).append((i, record["index"]))
        for name, pairs in places.items():
            self._load_shard(self.folder / "shards" / name, pairs)
        if "" not in self.texts:
            raise ValueError(f"{folder} lacks the embeddings of the empty prompt, which text dropout needs")

    def __len__(self) -> int:
        return len(self.clips)

    def digest(self) -> str:
        """A hash of all that training reads of the clips, 16 hex digits: another one means other data."""
        digest = hashlib.blake2b(digest_size=8)
        for clip in self.clips:
            content = asdict(clip)
            if clip.bars is None:  # the digest of a data set of before 0.2 stays
                del content["bars"]
            if clip.expression is None:
                del content["expression"]
            digest.update(json.dumps(content, sort_keys=True).encode())
            digest.update(self.texts[clip.text].prompt_embeds.contiguous().numpy().tobytes())
        digest.update(self.latents.numpy().tobytes())
        return digest.hexdigest()

    def _load_shard(self, path: Path, pairs: list[tuple[int, int]]) -> None:
        with safe_open(path, "pt") as shard:
            latents = shard.get_tensor("latents")
            here, there = zip(*pairs, strict=True)
            self.latents[list(here)] = latents[list(there)]
            for i, text in enumerate(json.loads(shard.metadata()["texts"])):
                if text not in self.texts:
                    names = ("prompt_embeds", "attention_mask", "generated_prompt_embeds")
                    self.texts[text] = TextEmbedding(*(shard.get_tensor(f"text.{i}.{n}") for n in names))

    def collate_texts(self, prompts: list[str]) -> TextEmbedding:
        """The embeddings of a batch of prompts, padded to the longest: (B, L, 1024), (B, L), (B, S, 768)."""
        parts = [self.texts[p] for p in prompts]
        pad = torch.nn.utils.rnn.pad_sequence
        return TextEmbedding(
            pad([p.prompt_embeds.float() for p in parts], batch_first=True),
            pad([p.attention_mask.long() for p in parts], batch_first=True),
            torch.stack([p.generated_prompt_embeds.float() for p in parts]),
        )


def _without_clips(folder: Path, records: list[JsonObject], genre: str | None) -> str:
    """Why no clip is left, what there is, and how to mend it."""
    if not records:
        return f"{folder} has no clips at all: its quarantine.jsonl says what was wrong with each file"
    if genre is None:
        return f"{folder} has no clips that are trained on: none but transposed or held-out ones"
    genres = Counter(r["genre"] or "no genre" for r in records)
    there = ", ".join(f"{count:,} of {name}" for name, count in genres.most_common())
    return (
        f"{folder} has no clips of genre={genre}, but {there}: leave genre= out, or prepare into a new folder with "
        f"--genre {genre}, or with a column genre in metadata.csv"
    )


def _read_info(folder: Path) -> DatasetInfo:
    path = folder / "dataset.json"
    if not path.exists():
        raise FileNotFoundError(f"{folder} is no data set: it has no dataset.json; make one with recipes/prepare.py")
    raw = json.loads(path.read_text())
    if raw.get("schema") != SCHEMA:
        raise ValueError(f"{path} has schema {raw.get('schema')!r}, this version reads {SCHEMA}: run prepare.py again")
    return DatasetInfo(**raw)


def _read_lines(path: Path) -> list[JsonObject]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line] if path.exists() else []


def _append_lines(path: Path, records: list[JsonObject]) -> None:
    with path.open("a") as file:
        file.write("".join(json.dumps(r) + "\n" for r in records))
        file.flush()
        os.fsync(file.fileno())


def _drop_partial_line(path: Path) -> None:
    if path.exists() and not (text := path.read_text()).endswith("\n"):
        _write_atomically(path, text[: text.rfind("\n") + 1])


def _write_atomically(path: Path, text: str) -> None:
    scratch = path.with_name(path.name + ".tmp")
    scratch.write_text(text)
    os.replace(scratch, path)
