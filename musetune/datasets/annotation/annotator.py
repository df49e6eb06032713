"""What is done with one song: analysed in a process of the analyser's own, and on demand encoded in another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from musetune.analysis.service.batch import reason
from musetune.analysis.service.cache import StoredAnalysis
from musetune.analysis.service.worker import AnalysisJob, AnalysisWorker, WorkerDeath
from musetune.datasets.annotation.encoding import Encoding, EncodingJob, encode
from musetune.datasets.annotation.manifest import ManifestSong
from musetune.datasets.encoding_process import DEATH, EncodingProcess
from musetune.datasets.latent_encoder import EncoderOptions

TRIALS = 2  # of a song whose process died: another may have killed it, or the memory was short


@dataclass(frozen=True)
class AnnotationOptions:
    """What an annotation depends on beside the bytes of its song.

    Attributes:
        beats: Who hears the beats: "musetune", "madmom" or "beat_this".
        latents: The base whose latents are made too: "nano", a folder or a Hub id; None: none are.
        clip_seconds: Length of the clips that are encoded.
        device: Where they are encoded.
    """

    beats: str = "musetune"
    latents: str | None = None
    clip_seconds: float = 10.24
    device: str = "cpu"


@dataclass(frozen=True)
class Annotation:
    """What is known of one song, or why nothing is.

    Attributes:
        row: Plain values by column of the data set.
        tensors: Arrays by name: ``latents`` (clips, channels, rows, cols) and the embeddings of the caption, fp16.
        fault: Why the song cannot be used; None where it can.
    """

    row: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, np.ndarray] = field(default_factory=dict)
    fault: str | None = None


class Annotator:
    """Annotates song after song; it holds an analyser's process and, where latents are asked for, the one with the
    base's encoders, which all annotators of this process share. A song that kills either twice is set aside.

    Args:
        options: What is asked for.
    """

    def __init__(self, options: AnnotationOptions) -> None:
        self.options, self.worker = options, AnalysisWorker()
        self.encoding = None if options.latents is None else EncodingProcess()

    def __call__(self, song: ManifestSong) -> Annotation:
        """Annotate a song; what is wrong with it becomes the annotation's fault."""
        try:
            stored = self._analyse(song)
        except Exception as error:  # any decoder may raise anything: the reason is kept, the others go on
            return Annotation(fault=reason(error).replace(song.path, song.file))
        heard = stored.record["source"]["sha256"]
        if heard != song.sha256:
            return Annotation(fault=f"its bytes are others than the manifest says: sha256 is {heard}")
        row = row_of(song, stored.with_file(song.file))
        if self.encoding is None:
            return Annotation(row)
        options = self.options
        assert options.latents is not None
        encoders = EncoderOptions(options.latents, options.clip_seconds, options.device)
        encoded = self.encoding(encode, EncodingJob(song, stored, encoders)) or Encoding(fault=DEATH)
        if encoded.fault is not None:
            return Annotation(fault=encoded.fault.replace(song.path, song.file))
        return Annotation(row | dict(encoded.columns), encoded.tensors)

    def _analyse(self, song: ManifestSong) -> StoredAnalysis:
        for trial in range(TRIALS):
            try:
                return self.worker.run(AnalysisJob(song.path, self.options.beats)).result
            except WorkerDeath:
                if trial == TRIALS - 1:
                    raise
        raise AssertionError("TRIALS is at least 1")

    def close(self) -> None:
        """End the analyser's process, and with the last annotator the one with the encoders."""
        self.worker.close()
        if self.encoding is not None:
            self.encoding.close()


def row_of(song: ManifestSong, stored: StoredAnalysis) -> dict[str, Any]:
    """A song's row without clips: the columns of `shards.COLUMNS`."""
    record: Mapping[str, Any] = stored.record
    genre = record.get("genre_analysis") or {}
    return {
        "sha256": song.sha256,
        "file": song.file,
        "duration_s": (record.get("source") or {}).get("duration_s"),
        "key": record.get("key"),
        "bpm": record.get("bpm"),
        "time_signature": record.get("time_signature"),
        "genre": genre.get("primary_genre"),
        "genre_confidence": genre.get("confidence"),
        "chords": [str(chord["chord"]) for chord in record["chords"]],
        "chord_starts_s": [float(chord["start_s"]) for chord in record["chords"]],
        "record": json.dumps(record, ensure_ascii=False, allow_nan=False),
        "lead_sheet": json.dumps(stored.lead_sheet.to_json(), ensure_ascii=False, allow_nan=False),
        "metadata": json.dumps(song.fields, ensure_ascii=False, allow_nan=False, sort_keys=True),
        "caption": None,
        "clip_starts_s": [],
    }
