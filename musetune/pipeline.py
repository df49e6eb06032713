"""MuseTunePipeline: AudioLDM2Pipeline that plays lead sheets."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import AudioLDM2Pipeline
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

import musetune.nano  # noqa: F401  # diffusers finds nano's classes by name once they are imported
from musetune.adapter import MusicAdapter
from musetune.adapter.identity import short_name
from musetune.adapter.shelf import LoraShelf
from musetune.generation.adapters import Adapters, lora_name
from musetune.generation.conditions import Conditions, prepare_windows
from musetune.generation.folders import fetch, read_reference, theory_of, warn_of_remote_code
from musetune.generation.guidance import ALWAYS, Guidance, Interval, guide, passes
from musetune.generation.loading import find_adapter, find_base, is_lora, language_model, read_index
from musetune.generation.partial import Asked, asked_of
from musetune.generation.request import (
    GUIDANCE_RESCALE,
    MUSIC_GUIDANCE,
    NEEDS_MUSIC,
    TEXT_GUIDANCE,
    check_counts,
    check_intervals,
    check_scales,
    check_share,
    or_default,
    positive,
    refuse,
    sheet_of,
)
from musetune.generation.windows import blend
from musetune.theory import Chord, LeadSheet


@dataclass
class MuseTuneOutput:
    """audios (n, samples) float32 at ``sampling_rate``, the most obedient first; the sheet that was asked for; a report for each."""

    audios: np.ndarray
    sampling_rate: int
    lead_sheet: LeadSheet
    reports: list[Any] | None = None

    def _repr_html_(self) -> str:
        """What a notebook shows: players, the chart with what was recognised, a piano roll."""
        from musetune.generation.notebook import output_html

        return output_html(self.audios, self.sampling_rate, self.lead_sheet, self.reports)


class MuseTunePipeline(Adapters, AudioLDM2Pipeline):
    """AudioLDM 2 with an optional MusicAdapter and genre LoRAs. Without a lead sheet and without active genre LoRAs a call is the stock
    pipeline's, bit for bit."""

    _optional_components: ClassVar = ["adapter", "loras"]

    def __init__(  # type: ignore[no-untyped-def]
        self, vae, text_encoder, text_encoder_2, projection_model, language_model, tokenizer, tokenizer_2,
        feature_extractor, unet, scheduler, vocoder, adapter: MusicAdapter | None = None, loras: LoraShelf | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            vae, text_encoder, text_encoder_2, projection_model, language_model, tokenizer, tokenizer_2,
            feature_extractor, unet, scheduler, vocoder,
        )  # fmt: skip
        self.register_modules(adapter=adapter, loras=loras)
        if loras is not None:
            loras.check(unet)
        if adapter is not None:
            adapter.attach(unet)

    @classmethod
    def from_pretrained(
        cls,
        base: str | Path,
        adapter: str | Path | MusicAdapter | None = None,
        adapter_revision: str | None = None,
        **options: Any,
    ) -> MuseTunePipeline:
        """Load a base ("nano", a folder, a Hub id such as cvssp/audioldm2) and an adapter (folder, bundled name, Hub id, or object).

        A genre adapter comes with the theory adapter that it was trained on, unless the base has one. A folder that ``save_pretrained`` wrote
        brings its own adapters. Weights come from safetensors only. ``options`` are DiffusionPipeline.from_pretrained's; token, cache_dir and
        local_files_only also serve a Hub adapter, whose revision is ``adapter_revision``, by default ``revision`` where the base is not from
        the Hub. Warns where remote code is asked for that is not pinned to a commit.
        """
        place = find_base(base)
        warn_of_remote_code(place, options)
        access = {k: options[k] for k in ("token", "cache_dir", "local_files_only") if k in options}
        if adapter_revision is None and Path(place).is_dir():
            adapter_revision = options.get("revision")
        name = None
        if isinstance(adapter, str | Path):  # a misspelt name is found before the base is loaded
            folder = find_adapter(adapter, **access, **_given(revision=adapter_revision))
            adapter, name = folder, lora_name(adapter, folder) if is_lora(folder) else None
        options.setdefault("use_safetensors", True)
        hub = access | _given(revision=options.get("revision"))
        index = read_index(place, **hub)
        place, theory = fetch(place, index, **hub), theory_of(adapter, index, **access)
        if (reference := read_reference(index)) is not None:
            pipe = cls.from_pretrained(reference.name, **options | {"revision": reference.revision})
            reference.load_adapters(place, index, pipe)
        else:
            if "language_model" not in options:
                model = language_model(place, index, options.get("dtype", options.get("torch_dtype")), **hub)
                options |= _given(language_model=model)
            pipe = super().from_pretrained(place, **options)
            pipe.base_name, pipe.base_revision = short_name(base), options.get("revision")
        if theory is not None:
            pipe.load_adapter(theory)
        if adapter is not None:
            pipe.load_adapter(adapter, name)
        return pipe

    def push_adapter_to_hub(self, repo_id: str, name: str | None = None, **hub: Any) -> str:
        """Push what ``save_adapter`` writes to a repository of the Hub, "me/musetune-jazz". hub: token, revision, private, message.

        Returns what the Hub calls the commit. name: by default the active genre LoRA, else the theory adapter.
        """
        from musetune.hub import push

        with tempfile.TemporaryDirectory() as folder:
            return push(self.save_adapter(folder, name), repo_id, **hub)

    @property
    def row_s(self) -> float:
        """Seconds of one latent row."""
        vocoder = self.vocoder.config
        return self.vae_scale_factor * math.prod(vocoder.upsample_rates) / vocoder.sampling_rate

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | None = None,
        *args: Any,
        lead_sheet: LeadSheet | None = None,
        harmonic_progression: str | Sequence[str | Chord] | None = None,
        key: str | None = None,
        bpm: float | None = None,
        time_signature: str | None = None,
        genre: str | None = None,
        duration_seconds: float | None = None,
        follow: str | Sequence[str] | None = None,
        follow_seconds: tuple[float, float] | None = None,
        music_guidance_scale: float | None = None,
        guidance_interval: Interval | None = None,
        music_guidance_interval: Interval | None = None,
        window_seconds: float | None = None,
        strength: float | None = None,
        return_report: bool = False,
        **options: Any,
    ) -> Any:
        """Generate. With a lead sheet or a progression: MuseTuneOutput that follows it; without: AudioLDM2Pipeline's own call.

        harmonic_progression: "I V vi IV", "| C | G/B . Am7 . |" or a list, in ``key`` (C major), ``bpm`` (30–300; 120), ``time_signature``
        (4/4), ``genre``, repeated to ``duration_seconds`` (default 10.24). A ``lead_sheet`` has all that itself and is cut to
        ``duration_seconds``. follow: which of chords, beats, key, genre, function count (default: all that the sheet gives), follow_seconds:
        (start, end) of the stretch in which they do; the rest is left to the model. music_guidance_scale (3): how hard the music is pushed,
        beside ``guidance_scale`` for the words; music_guidance_interval, guidance_interval: (start, end) of the steps, 0–1, in which they
        are pushed at all; the other steps are faster. window_seconds: longer audio is made in overlapping windows of so much (default:
        the base's own length). strength: of the adapter, 0–1 (1). ``num_waveforms_per_prompt`` = n returns n waveforms, the most obedient
        first. ``num_inference_steps`` (default 20 with music), ``guidance_rescale`` (0.8; 0–1, only with music), ``negative_prompt``,
        ``generator``, ``latents`` as in the stock call.
        Raises ValueError for values out of range and for arguments that would be ignored.
        """
        settings = {"key": key, "bpm": bpm, "time_signature": time_signature, "genre": genre}
        default_seconds = self.unet.config.sample_size * self.row_s
        sheet = sheet_of(lead_sheet, harmonic_progression, duration_seconds, default_seconds, settings)
        check_scales(guidance_scale=options.get("guidance_scale"), music_guidance_scale=music_guidance_scale)
        check_share(guidance_rescale=options.get("guidance_rescale"))
        check_counts(**{name: options.get(name) for name in ("num_inference_steps", "num_waveforms_per_prompt")})
        intervals = {"guidance_interval": guidance_interval, "music_guidance_interval": music_guidance_interval}
        if sheet is None:
            music = {"music_guidance_scale": music_guidance_scale, "strength": strength}
            partial = {"follow": follow, "follow_seconds": follow_seconds, "window_seconds": window_seconds}
            refuse(music | partial | intervals | {"return_report": return_report or None}, NEEDS_MUSIC)
            return self._plain(prompt, args, duration_seconds, options)
        if args:
            raise TypeError("with a lead sheet, give every argument after the prompt by its name")
        if self.adapter is None:
            raise ValueError(
                "a lead sheet needs an adapter: from_pretrained(base, adapter='theory') or load_adapter('theory')"
            )
        if not isinstance(prompt, str | None):
            raise ValueError(f"prompt={prompt!r}: with music it is one str; call once for each prompt")
        check_intervals(**intervals)
        if window_seconds is not None:
            positive("window_seconds", window_seconds)
        asked = asked_of(sheet, follow, follow_seconds)
        strength = or_default(strength, 1.0)
        check_share(strength=strength)
        guidance = Guidance(
            options.pop("guidance_scale", TEXT_GUIDANCE),
            or_default(music_guidance_scale, MUSIC_GUIDANCE),
            options.pop("guidance_rescale", GUIDANCE_RESCALE),
            *(or_default(interval, ALWAYS) for interval in intervals.values()),
        )
        seconds = or_default(duration_seconds, sheet.duration_s)
        with self._sounding(strength, music=True):
            audios = self._play(prompt or "", sheet, seconds, asked, guidance, window_seconds, **options)
        reports = None
        if return_report or len(audios) > 1:
            audios, reports = self._rank(audios, sheet, asked)
        return MuseTuneOutput(audios, self.vocoder.config.sampling_rate, sheet, reports if return_report else None)

    def _plain(self, prompt: Any, args: tuple[Any, ...], seconds: float | None, options: dict[str, Any]) -> Any:
        """The stock pipeline's call."""
        if seconds is not None:
            refuse({"audio_length_in_s": options.get("audio_length_in_s")}, "and duration_seconds: give one of them")
            options["audio_length_in_s"] = seconds
        with self._sounding(1.0, music=False):
            return super().__call__(prompt, *args, **options)

    def _play(
        self, prompt: str, sheet: LeadSheet, seconds: float, asked: Asked, guidance: Guidance, window_seconds: float | None, *,
        num_inference_steps: int = 20, negative_prompt: str | None = None, num_waveforms_per_prompt: int = 1,
        generator: torch.Generator | None = None, latents: Tensor | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Denoise in up to three passes a step, decode: (n, samples)."""
        n, device, rows = num_waveforms_per_prompt, self._execution_device, self._rows(seconds)
        size = self.unet.config.sample_size if window_seconds is None else self._rows(window_seconds)
        latents = self._noise((n, self.unet.config.in_channels, rows, self.adapter.config.cols), generator, latents)
        windows = prepare_windows(self.adapter, sheet, asked, n, (rows, size, self.row_s), device)
        conditions = Conditions(n, *self._words(prompt, negative_prompt, n), windows)
        self.scheduler.set_timesteps(num_inference_steps, device=device)
        latents = latents * self.scheduler.init_noise_sigma
        for step, t in enumerate(self.progress_bar(self.scheduler.timesteps)):
            scales = guidance.at(step, len(self.scheduler.timesteps))
            scaled = self.scheduler.scale_model_input(latents, t)

            def denoise(window: Tensor, index: int, t: Tensor = t, scales: tuple[float, float] = scales) -> Tensor:
                which = passes(*scales)
                told = conditions.told(index, which)
                sample, hidden = self.adapter.inputs(torch.cat([window] * len(which)), told.generated, told.music)
                out = self.unet(sample, t, encoder_hidden_states=hidden, **told.text).sample
                return guide(out, *scales, guidance.rescale)

            predicted = blend(scaled, size, size // 2, denoise)
            latents = self.scheduler.step(predicted, t, latents).prev_sample
        return self._decode(latents, round(seconds * self.vocoder.config.sampling_rate))

    def _rows(self, seconds: float) -> int:
        """Latent rows that hold so many seconds, 8 at least."""
        return max(8, math.ceil(seconds / self.row_s - 1e-6))

    def _words(self, prompt: str, negative_prompt: str | None, n: int) -> tuple[dict[str, Tensor], Tensor]:
        """The U-Net's arguments of the T5 stream, and GPT-2's embeddings; rows of n waveforms: nothing, words, words again."""
        device, dtype = self._execution_device, self.unet.dtype
        embeds, mask, generated = self.encode_prompt(prompt, device, n, True, negative_prompt=negative_prompt)
        embeds, mask, generated = (torch.cat([x, x[n:]]) for x in (embeds.to(dtype), mask, generated.to(dtype)))
        return {"encoder_hidden_states_1": embeds, "encoder_attention_mask_1": mask}, generated

    def _noise(self, shape: tuple[int, ...], generator: torch.Generator | None, latents: Tensor | None) -> Tensor:
        """What denoising starts from: ``latents`` where given. Raises ValueError where their shape is another."""
        device, dtype = self._execution_device, self.unet.dtype
        if latents is None:
            return randn_tensor(shape, generator=generator, device=device, dtype=dtype)
        if tuple(latents.shape) != shape:
            raise ValueError(
                f"latents of shape {tuple(latents.shape)} do not fit: this call needs {shape} "
                "(num_waveforms_per_prompt, channels, latent rows of the duration, columns)"
            )
        return latents.to(device, dtype)

    def _decode(self, latents: Tensor, samples: int) -> np.ndarray:
        """Audio (n, samples) float32, scaled down where it would clip."""
        mel = self.vae.decode(latents.to(self.vae.dtype) / self.vae.config.scaling_factor).sample
        audio = self.mel_spectrogram_to_waveform(mel)[:, :samples].float().cpu().numpy()
        return audio / np.maximum(1.0, np.abs(audio).max(axis=1, keepdims=True) / 0.99)

    def _rank(self, audios: np.ndarray, sheet: LeadSheet, asked: Asked) -> tuple[np.ndarray, list[Any]]:
        """The waveforms and their reports, the most obedient first; of a stretch where only that was asked for."""
        from musetune.evaluation import report

        rate, heard = self.vocoder.config.sampling_rate, audios
        if asked.stretch_s is not None:
            start, end = asked.stretch_s
            sheet, heard = sheet.crop(start, end - start), audios[:, round(start * rate) : round(end * rate)]
        reports = [report(audio, rate, sheet) for audio in heard]
        order = sorted(range(len(reports)), key=lambda i: -asked.score(reports[i].scores))
        return audios[order], [reports[i] for i in order]


def _given(**arguments: Any) -> dict[str, Any]:
    """The arguments that are not None."""
    return {name: value for name, value in arguments.items() if value is not None}
