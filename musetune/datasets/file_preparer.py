"""What `prepare` does with one file: cut in a process of its own, and encoded in the one that holds the base."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch

from musetune.datasets.encoding_process import DEATH, EncodingProcess
from musetune.datasets.engines import Engine, check_engine, map_items
from musetune.datasets.latent_dataset import Clip, DatasetInfo, TextEmbedding
from musetune.datasets.latent_encoder import EncoderOptions, LatentEncoder, loaded_encoder, new_encoder, one_thread
from musetune.datasets.slicing import SlicedFile, SliceJob, slice_or_reason
from musetune.processes import CrashSafeWorker

CRASH = "killed the process that read it"


@dataclass(frozen=True)
class PreparedFile:
    """What goes into the data set for one file, in half precision, or the reason why nothing does.

    Attributes:
        clips: n of them.
        latents: (n, channels, rows, cols), scaled by the autoencoder's scaling factor.
        texts: By prompt the arrays of its `TextEmbedding`; that of "" among them.
        unsure: How many more clips were left out, copies not counted, because too little of them is heard surely.
        reason: Why there are no clips; None where there are some.
    """

    clips: list[Clip] = field(default_factory=list)
    latents: np.ndarray = field(default_factory=lambda: np.empty(0, np.float16))
    texts: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=dict)
    unsure: int = 0
    reason: str | None = None

    def embeddings(self) -> dict[str, TextEmbedding]:
        """The embeddings of its prompts, as a `DatasetWriter` takes them."""
        return {text: TextEmbedding(*map(torch.from_numpy, arrays)) for text, arrays in self.texts.items()}


class FilePreparer:
    """Prepares file after file. It holds a process that decodes and analyses, and shares with all others of this
    process the one with the encoders. A file that kills either twice is set aside.

    Args:
        options: Which encoders.
    """

    def __init__(self, options: EncoderOptions) -> None:
        self.options, self.slicer, self.encoding = options, CrashSafeWorker(slice_or_reason), EncodingProcess()

    def __call__(self, job: SliceJob, /) -> PreparedFile:
        """Prepare a file; what is wrong with it becomes the reason why nothing of it is used."""
        sliced = self.slicer(job)
        if sliced is None:
            return PreparedFile(reason=CRASH)
        if sliced.reason is not None:
            return PreparedFile(reason=sliced.reason)
        return self.encoding(_encode_loaded, (self.options, sliced)) or PreparedFile(reason=DEATH)

    def close(self) -> None:
        """End the process that cuts, and with the last preparer the one with the encoders."""
        self.slicer.close()
        self.encoding.close()


class Preparers:
    """Those who prepare files on one of the engines; a context manager, so that their processes end.

    Args:
        options: Which encoders.
        workers: Processes that decode and analyse, or actors of Ray that encode too; 0: this process alone, with engine
            "local".
        engine: "local" or "ray".
        address: Of Ray's cluster; see `map_items`.

    Attributes:
        info: What all clips of the base share.

    Raises:
        ValueError: The clip's length does not fit the base, or there is no such engine.
        RuntimeError: The base cannot be loaded: the process that tries dies.
    """

    def __init__(self, options: EncoderOptions, workers: int, engine: Engine, address: str | None = None) -> None:
        check_engine(engine, max(1, workers))
        self.options, self.workers, self.engine, self.address = options, max(1, workers), engine, address
        self._encoder: LatentEncoder | None = None
        self._process: EncodingProcess | None = None
        if engine == "local" and workers < 1:
            self._encoder = new_encoder(options)
            self.info: DatasetInfo = self._encoder.info
            return
        self._process = EncodingProcess()
        if engine == "ray":  # the actors have GPUs, this machine need not
            options = replace(options, device="cpu")
        try:
            info = self._process(describe_base, options)
        except BaseException:
            self.close()
            raise
        if info is None or engine == "ray":
            self.close()
        if info is None:
            raise RuntimeError(f"base {options.base}: the process that loads it died twice: give it more memory")
        self.info = info

    def __call__(self, jobs: Sequence[SliceJob]) -> Generator[tuple[SliceJob, PreparedFile], None, None]:
        """Prepare files: a job and what came of it, in their order."""
        if self._encoder is not None:
            yield from ((job, encode_file(self._encoder, slice_or_reason(job))) for job in jobs)
            return
        make, device = partial(FilePreparer, self.options), self.options.device
        answers = map_items(make, jobs, self.engine, self.workers, self.address, ordered=True, device=device)
        with closing(answers):
            for index, prepared in answers:
                yield jobs[index], prepared

    def close(self) -> None:
        """End the process with the encoders."""
        if self._process is not None:
            self._process.close()

    def __enter__(self) -> Preparers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def encode_file(encoder: LatentEncoder, sliced: SlicedFile) -> PreparedFile:
    """Encode the clips of a file, and their prompts, each by itself."""
    if sliced.reason is not None:
        return PreparedFile(reason=sliced.reason)
    with one_thread():
        latents = encoder.latents(sliced.waves).to(torch.float16).numpy()
        texts = {text: _arrays(encoder.text(text)) for text in sorted({"", *(clip.text for clip in sliced.clips)})}
    return PreparedFile(sliced.clips, latents, texts, sliced.unsure)


def describe_base(options: EncoderOptions) -> DatasetInfo:
    """What all clips of a base share; the encoders stay loaded in this process."""
    return loaded_encoder(options).info


def _encode_loaded(task: tuple[EncoderOptions, SlicedFile]) -> PreparedFile:
    options, sliced = task
    return encode_file(loaded_encoder(options), sliced)


def _arrays(text: TextEmbedding) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arrays of an embedding as a data set holds them."""
    return (
        text.prompt_embeds.to(torch.float16).numpy(),
        text.attention_mask.to(torch.uint8).numpy(),
        text.generated_prompt_embeds.to(torch.float16).numpy(),
    )
