"""Endless audio, chunk by chunk: each is painted on from the latents of the last ones."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np
import torch
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from musetune.audio.limiter import PeakLimiter
from musetune.models.upsampler.network import FACTOR
from musetune.pipeline.checks import check_positive, or_default
from musetune.pipeline.conditions import Conditions, prepare_windows
from musetune.pipeline.decoding import frames_per_row, to_frames, to_waves
from musetune.pipeline.editing import WORDS, edit_request
from musetune.pipeline.request import GenerationRequest
from musetune.pipeline.sampler import Generators, SourceLatents, sample
from musetune.pipeline.splicing import crossfade
from musetune.pipeline.stream_score import SheetSource, StreamPassage, StreamScore
from musetune.symbols.remarks import collected, remark

STEPS = 8
GUIDED = (0.0, 0.5)  # share of the steps in which words and music are pushed; the others take half the time
WINDOW_S = 5.12  # what the model hears and makes at once; nano learned from crops of this length
AHEAD_S = 0.64  # made beyond a chunk and again with the next one: what its last sounds need of the future
BEHIND_S = 1.0  # decoded once more before a chunk, for the decoders' sake
LEAST_S = 0.5  # a window holds a chunk of so many seconds at least
FADE_S = 0.02  # a chunk crosses into the next just before the next begins
GAIN_S = 0.05  # a new loudness is reached after so long


class StreamOptions(TypedDict, total=False):
    """Options of ``stream``; those that a call has too mean what they mean there."""

    generator: Generators
    num_inference_steps: int | None
    guidance_scale: float | None
    music_guidance_scale: float | None
    negative_prompt: str | None
    strength: float | None
    window_seconds: float | None
    chunk_seconds: float | None
    opening_seconds: float | None


@dataclass(frozen=True)
class StreamChunk:
    """The sound of a bar, or of a part of one. Chunks laid end to end are the stream.

    Attributes:
        audio: float32 (2, samples), with ``stereo=False`` (samples,); within ±0.99.
        sampling_rate: samples a second.
        start_s: where the audio begins in the stream: 20 ms before its passage does, which the passage before it
            lacks; the first one at 0.
        passage: what is played: its lead sheet and where that begins.
        made_in_s: seconds that it took.

    Example:
        >>> from musetune.symbols import LeadSheet
        >>> passage = StreamPassage(LeadSheet.parse("| C |", bpm=120), 0.0, "pop", None, 0.0)
        >>> chunk = StreamChunk(np.zeros((2, 95040), np.float32), 48000, 0.0, passage, 0.8)
        >>> round(chunk.passage.end_s - chunk.audio.shape[1] / chunk.sampling_rate, 3)  # 20 ms come with the next chunk
        0.02
    """

    audio: np.ndarray
    sampling_rate: int
    start_s: float
    passage: StreamPassage
    made_in_s: float


@torch.no_grad()
def stream(
    pipe: Any, sheet_source: SheetSource, prompt: str, stereo: bool, options: StreamOptions
) -> Generator[StreamChunk, None, None]:
    """Yield chunks; see ``MuseTunePipeline.stream``."""
    window_s = or_default(options.get("window_seconds"), WINDOW_S)
    given_s, opening_s = options.get("chunk_seconds"), options.get("opening_seconds")
    for name, value in (("chunk_seconds", given_s), ("opening_seconds", opening_s)):
        if value is not None:
            check_positive(name, value)
    least_s = AHEAD_S + BEHIND_S + or_default(given_s, LEAST_S)
    longest_s = pipe.unet.config.sample_size * pipe.row_s
    if not least_s - 1e-6 <= window_s <= longest_s + 1e-6:
        raise ValueError(
            f"window_seconds={window_s:g} is outside {least_s:g}–{longest_s:g}: chunks of "
            f"{or_default(given_s, LEAST_S):g} s with {AHEAD_S + BEHIND_S:g} s around them, up to the base's own length"
        )
    chunk_s = or_default(given_s, window_s - AHEAD_S - BEHIND_S)  # all that the window holds
    score = StreamScore(sheet_source, prompt, chunk_s, opening_s)
    painter, decoder = Painter(pipe, score, window_s, options), ChunkDecoder(pipe, stereo)
    began = time.perf_counter()
    while (passage := score.next()) is not None:
        latents, first_row = painter.paint(passage)
        start_s, audio = decoder.decode(passage, latents, first_row)
        yield StreamChunk(audio, decoder.rate, start_s, passage, time.perf_counter() - began)
        last, began = passage, time.perf_counter()
    if decoder.tail is not None:
        start_s, audio = decoder.end(last)
        yield StreamChunk(audio, decoder.rate, start_s, last, time.perf_counter() - began)


class Painter:
    """Makes latents of a stream, passage by passage, amid the latents that came before.

    What the window holds of a bar is made with its first passage; the others take it as it is where nothing has changed
    meanwhile.

    Args:
        pipe: the pipeline.
        score: what is played.
        window_s: seconds that are denoised at once.
        options: of the stream.
    """

    def __init__(self, pipe: Any, score: StreamScore, window_s: float, options: StreamOptions) -> None:
        self.pipe, self.score = pipe, score
        self.options = options
        self.unit = math.lcm(8, pipe._row_multiple)  # the U-Net halves rows
        self.rows = self.unit * math.ceil(window_s / pipe.row_s / self.unit - 1e-6)
        self._first = 0  # row of the stream where ``_known`` begins
        self._known: Tensor | None = None  # (1, channels, rows, cols), what stays of the last window
        self._window: tuple[tuple[object, ...], Tensor] | None = None  # of what it was made, and all of it
        self._words: tuple[tuple[str, int], tuple[dict[str, Tensor], Tensor]] | None = None
        self._said: deque[str] = deque(maxlen=50)

    def paint(self, passage: StreamPassage) -> tuple[Tensor, int]:
        """Return latents (1, channels, rows, cols) of a passage and of what is around it, and their first row."""
        row_s = self.pipe.row_s
        mixes = (passage.mix, None if self.pipe.loras is None else self.pipe.loras.mix)  # asked for, set
        made_of = (self.score.sheets, passage.prompt, *(None if mix is None else dict(mix) for mix in mixes))
        end_row = math.ceil((passage.end_s + AHEAD_S) / row_s - 1e-6)
        if self._window is None or self._window[0] != made_of or end_row > self._first + self._window[1].shape[2]:
            latents, first = self._paint(passage)
            self._first, self._window = first, (made_of, latents)
        latents = self._window[1]
        self._known = latents[:, :, : math.floor(passage.end_s / row_s + 1e-6) - self._first].clone()
        return latents, self._first

    def _paint(self, passage: StreamPassage) -> tuple[Tensor, int]:
        """Denoise a window that ends behind the passage, or behind its bar where it holds that."""
        pipe, row_s = self.pipe, self.pipe.row_s
        kept_rows = math.floor(passage.start_s / row_s + 1e-6)  # rows of the stream that stay as they are
        bar_end_s, room_s = self.score.bar_end_s, self.rows * row_s - AHEAD_S - BEHIND_S
        end_s = bar_end_s if bar_end_s - passage.start_s <= room_s else passage.end_s
        needed = math.ceil((end_s + AHEAD_S) / row_s - 1e-6) - kept_rows
        rows = max(self.rows, self.unit * math.ceil((needed + BEHIND_S / row_s) / self.unit))
        first = max(0, kept_rows - (rows - needed))
        shape = (1, pipe.unet.config.in_channels, rows, pipe.adapter.config.cols)
        generator, device = self.options.get("generator"), pipe.unet.device
        noise = randn_tensor(shape, generator=generator, device=device, dtype=pipe.unet.dtype)
        manager = pipe.adapter_manager
        with ExitStack() as playing:
            playing.enter_context(manager.mixing(passage.mix))
            request = self._request(passage, first * row_s, rows * row_s)  # of the adapters that count now
            playing.enter_context(manager.playing(request.strength, music=True))
            windows = prepare_windows(pipe.adapter, request, rows, rows, row_s, device)
            text, generated = self._encode(passage.prompt, request)
            latents = sample(
                pipe._denoiser(),
                pipe.adapter,
                pipe.scheduler,
                Conditions(1, request.guidance.levels, text, generated, windows),
                request.guidance,
                noise,
                steps=request.steps,
                window_rows=rows,
                generator=generator,
                source=self._source(noise, kept_rows, first),
            )
        return latents, first

    def _request(self, passage: StreamPassage, start_s: float, seconds: float) -> GenerationRequest:
        """Return what is asked for in a window; what the model cannot name is said once."""
        with collected() as remarks:
            sheet = self.score.window(start_s, seconds)
            sampling = self.pipe.adapter_manager.sampling
            steps = or_default(self.options.get("num_inference_steps"), STEPS if sampling is None else sampling.fewest)
            options = self.options | {"num_inference_steps": steps}
            request = edit_request(self.pipe, sheet, None, passage.prompt, seconds, options)  # type: ignore[arg-type]
        for text in remarks:
            if text not in self._said:
                self._said.append(text)
                remark(text)
        guidance = replace(request.guidance, text_interval=GUIDED, music_interval=GUIDED)
        return replace(request, guidance=guidance)

    def _encode(self, prompt: str, request: GenerationRequest) -> tuple[dict[str, Tensor], Tensor]:
        """Return the words' embeddings, kept while they stay the same."""
        key = (prompt, request.guidance.levels)
        if self._words is None or self._words[0] != key:
            words = dict.fromkeys(WORDS) | {"negative_prompt": self.options.get("negative_prompt")}
            self._words = (key, self.pipe._encode_words([prompt], words, 1, request.guidance.levels))
        return self._words[1]

    def _source(self, noise: Tensor, kept_rows: int, first: int) -> SourceLatents | None:
        """Return the rows that stay, in their places among ``noise``'s; None where there is nothing yet."""
        if self._known is None or kept_rows <= first:
            return None
        known = self._known[:, :, first - self._first : kept_rows - self._first]
        kept = torch.arange(noise.shape[2], device=noise.device) < known.shape[2]
        padded = torch.nn.functional.pad(known, (0, 0, 0, noise.shape[2] - known.shape[2]))
        return SourceLatents(padded, kept)


class ChunkDecoder:
    """Turns latents of a stream into chunks of audio that fit each other without a seam.

    The autoencoder, the vocoder and the upsampler hear what is around a chunk; phases and noise count from the
    stream's beginning. So two chunks agree where they meet but for what only the later one knew, and a crossfade of
    20 ms, just before the later one begins, takes care of that.

    Args:
        pipe: the pipeline.
        stereo: 48 kHz stereo by its upsampler, else the vocoder's own.
    """

    def __init__(self, pipe: Any, stereo: bool) -> None:
        self.pipe, self.stereo = pipe, stereo
        self.rate: int = pipe._rate * (FACTOR if stereo else 1)
        self.fade = round(FADE_S * self.rate)
        self.tail: np.ndarray | None = None  # (channels, fade), as the last chunk would go on
        self._gain = 1.0
        self._limiter = PeakLimiter(2 if stereo else 1, self.fade)

    def decode(self, passage: StreamPassage, latents: Tensor, first_row: int) -> tuple[float, np.ndarray]:
        """Return where a passage's audio begins in the stream, seconds, and the audio."""
        row_s = self.pipe.row_s
        kept_rows = math.floor(passage.start_s / row_s + 1e-6)
        begin = max(first_row, kept_rows - math.ceil(BEHIND_S / row_s))
        end = math.ceil((passage.end_s + AHEAD_S) / row_s - 1e-6)
        wave = self._to_audio(latents[:, :, begin - first_row : end - first_row], begin)
        origin = begin * round(row_s * self.rate)
        start, stop = round(passage.start_s * self.rate), round(passage.end_s * self.rate) - self.fade
        if self.tail is not None:
            start -= self.fade
        audio, after = wave[:, start - origin : stop - origin], wave[:, stop - origin :][:, : self.fade]
        if self.tail is not None:
            audio[:, : self.fade] = crossfade(self.tail, audio[:, : self.fade])
        self.tail = after
        return start / self.rate, self._finish(audio, after, 10 ** (passage.loudness_db / 20))

    def end(self, passage: StreamPassage) -> tuple[float, np.ndarray]:
        """Return the end of the last passage's audio, and where it begins."""
        assert self.tail is not None  # a passage came before
        silence = np.zeros_like(self.tail)
        last = crossfade(self.tail, silence)
        self.tail = None
        return (round(passage.end_s * self.rate) - self.fade) / self.rate, self._finish(last, silence, self._gain)

    def _to_audio(self, latents: Tensor, first_row: int) -> np.ndarray:
        """Return audio (channels, samples) of rows, of which the first is ``first_row`` of the stream."""
        pipe = self.pipe
        wave = to_waves(pipe, to_frames(pipe, latents), first_row * frames_per_row(pipe)).float().cpu()
        if self.stereo:
            upsampler = pipe.upsampler
            first_sample = first_row * round(pipe.row_s * pipe._rate)
            wave = upsampler(wave.to(upsampler.device), first_sample // upsampler.config.hop)[0].cpu()
        return np.asarray(wave.numpy())

    def _finish(self, audio: np.ndarray, after: np.ndarray, gain: float) -> np.ndarray:
        """Bring audio to its loudness and below full scale."""
        gains = np.full(audio.shape[1], gain, np.float32)
        count = min(len(gains), round(GAIN_S * self.rate))
        gains[:count] = np.linspace(self._gain, gain, count)
        self._gain = gain
        out = self._limiter.process(audio * gains, after * gain)
        return out if self.stereo else out[0]
