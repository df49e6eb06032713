"""MuseTunePipeline: AudioLDM2Pipeline that plays lead sheets."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import AudioLDM2Pipeline

import musetune.models.nano  # noqa: F401  # diffusers finds nano's classes by name once they are imported
from musetune.adapter import MusicAdapter
from musetune.adapter.metadata import short_name
from musetune.adapter.mixing import LoraMixer
from musetune.hub.locate import find_adapter, find_base, is_lora, read_index
from musetune.pipeline.adapters import Adapters, lora_name
from musetune.pipeline.folders import fetch, read_reference, theory_of, warn_of_remote_code
from musetune.pipeline.guidance import ALWAYS, Guidance, Interval
from musetune.pipeline.loading import language_model
from musetune.pipeline.output import MuseTuneOutput
from musetune.pipeline.partial import ConditionMask, condition_mask
from musetune.pipeline.piece import Piece
from musetune.pipeline.playing import Playing
from musetune.pipeline.request import (
    GUIDANCE_RESCALE,
    MUSIC_GUIDANCE,
    NEEDS_MUSIC,
    PLAYED_GUIDANCE,
    TEXT_GUIDANCE,
    check_counts,
    check_intervals,
    check_scales,
    check_share,
    or_default,
    positive,
    reject_arguments,
    resolve_lead_sheet,
)
from musetune.pipeline.songs import Songs, mixed
from musetune.symbols import Chord, LeadSheet
from musetune.symbols.arrangement import Arrangement


class MuseTunePipeline(Songs, Playing, Adapters, AudioLDM2Pipeline):
    """AudioLDM 2 with an optional MusicAdapter and genre LoRAs. Without a lead sheet and without active genre LoRAs a call is the stock
    pipeline's, bit for bit."""

    _optional_components: ClassVar = ["adapter", "loras"]

    def __init__(  # type: ignore[no-untyped-def]
        self, vae, text_encoder, text_encoder_2, projection_model, language_model, tokenizer, tokenizer_2,
        feature_extractor, unet, scheduler, vocoder, adapter: MusicAdapter | None = None, loras: LoraMixer | None = None,
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
        arrangement: Arrangement | None = None,
        stems: bool = False,
        music_guidance_scale: float | None = None,
        stem_guidance_scale: float | None = None,
        guidance_interval: Interval | None = None,
        music_guidance_interval: Interval | None = None,
        window_seconds: float | None = None,
        strength: float | None = None,
        return_report: bool = False,
        **options: Any,
    ) -> Any:
        """Generate: MuseTuneOutput that follows a lead sheet, a progression or a plan of its own; without, AudioLDM2Pipeline's own call.

        harmonic_progression: "I V vi IV", "| C | G/B . Am7 . |" or a list, in ``key`` (C major), ``bpm`` (30–300; 120), ``time_signature``
        (4/4), ``genre``, repeated to ``duration_seconds`` (default 10.24). A ``lead_sheet`` has all that itself and is cut to
        ``duration_seconds``. With neither, but with ``duration_seconds`` and an adapter, the prompt is planned (``plan``; key, bpm,
        time_signature and genre are pinned where given) to the nearest whole bar, arranged (``arrange``), played and reported on;
        ``audio_length_in_s`` asks for the stock call. arrangement: the players' notes; stems=True: each player's audio too, their sum
        instead of one take. follow: which of chords, beats, key, genre, function and, with an arrangement, drums, bass, comping, lead count
        (default: all there is), follow_seconds: (start, end) of the stretch in which they do; the rest is left to the model.
        music_guidance_scale: how hard the music is pushed, stem_guidance_scale: the players' notes, beside ``guidance_scale`` for the
        words (3 each; with notes 2.5); music_guidance_interval, guidance_interval: (start, end) of the steps, 0–1, in which they are pushed at all; the other
        steps are faster. window_seconds: longer audio is made in overlapping windows of so much (default: the base's own length).
        strength: of the adapter, 0–1 (1). ``num_waveforms_per_prompt`` = n returns n waveforms, the most obedient first.
        ``num_inference_steps`` (default 20 with music), ``guidance_rescale`` (0.8; 0–1, only with music), ``negative_prompt``,
        ``generator``, ``latents`` as in the stock call.
        Raises ValueError for values out of range and for arguments that would be ignored.
        """
        settings = {"key": key, "bpm": bpm, "time_signature": time_signature, "genre": genre}
        scales = {"music_guidance_scale": music_guidance_scale, "stem_guidance_scale": stem_guidance_scale}
        intervals = {"guidance_interval": guidance_interval, "music_guidance_interval": music_guidance_interval}
        check_scales(guidance_scale=options.get("guidance_scale"), **scales)
        check_share(guidance_rescale=options.get("guidance_rescale"), strength=strength)
        check_counts(**{name: options.get(name) for name in ("num_inference_steps", "num_waveforms_per_prompt")})
        check_intervals(**intervals)
        song = self._writes(lead_sheet, harmonic_progression, arrangement, duration_seconds)
        if song:
            lead_sheet, arrangement = self._write(prompt, duration_seconds, _given(**settings), options)
            settings, duration_seconds, return_report = {}, None, True
        default_seconds = self.unet.config.sample_size * self.row_s
        sheet = resolve_lead_sheet(lead_sheet, harmonic_progression, duration_seconds, default_seconds, settings)
        if sheet is None:
            partial = {"follow": follow, "follow_seconds": follow_seconds, "window_seconds": window_seconds}
            music = {"strength": strength, "arrangement": arrangement, "return_report": return_report or None}
            reject_arguments(scales | partial | intervals | music | {"stems": stems or None}, NEEDS_MUSIC)
            return self._plain(prompt, args, duration_seconds, options)
        self._check_music(prompt, args, None if song else arrangement, stems, song, options)
        heard = None if self.adapter.stems is None else arrangement
        if window_seconds is not None:
            positive("window_seconds", window_seconds)
        guidance = Guidance(
            options.pop("guidance_scale", TEXT_GUIDANCE if heard is None else PLAYED_GUIDANCE),
            or_default(music_guidance_scale, MUSIC_GUIDANCE if heard is None else PLAYED_GUIDANCE),
            options.pop("guidance_rescale", GUIDANCE_RESCALE),
            or_default(guidance_interval, ALWAYS),
            or_default(music_guidance_interval, ALWAYS),
            None if heard is None else or_default(stem_guidance_scale, PLAYED_GUIDANCE),
        )
        asked = condition_mask(sheet, follow, follow_seconds, heard)
        piece = Piece(sheet, heard, asked, guidance, or_default(duration_seconds, sheet.duration_s), window_seconds)
        with self._sounding(or_default(strength, 1.0), music=True):
            parts = self._solos(piece, **options) if stems else None
            audios = self._play(prompt or "", piece, **options) if parts is None else mixed(parts)
        reports = None
        if return_report or len(audios) > 1:
            audios, reports = self._rank(audios, sheet, asked)
        rate = self.vocoder.config.sampling_rate
        return MuseTuneOutput(audios, rate, sheet, reports if return_report else None, arrangement, parts)

    def _plain(self, prompt: Any, args: tuple[Any, ...], seconds: float | None, options: dict[str, Any]) -> Any:
        """The stock pipeline's call."""
        if seconds is not None:
            reject_arguments(
                {"audio_length_in_s": options.get("audio_length_in_s")}, "and duration_seconds: give one of them"
            )
            options["audio_length_in_s"] = seconds
        with self._sounding(1.0, music=False):
            return super().__call__(prompt, *args, **options)

    def _check_music(
        self,
        prompt: Any,
        args: tuple[Any, ...],
        arrangement: Arrangement | None,
        stems: bool,
        song: bool,
        options: dict[str, Any],
    ) -> None:
        """Raise ValueError or TypeError for what a call with music cannot do."""
        if args:
            raise TypeError("with a lead sheet, give every argument after the prompt by its name")
        if self.adapter is None:
            raise ValueError(
                "a lead sheet needs an adapter: from_pretrained(base, adapter='theory') or load_adapter('theory')"
            )
        if not isinstance(prompt, str | None):
            raise ValueError(f"prompt={prompt!r}: with music it is one str; call once for each prompt")
        if (arrangement is not None or stems) and self.adapter.stems is None:
            raise ValueError(
                "this adapter reads no stems: load one that does, such as 'theory', or leave out arrangement and stems"
            )
        if stems and not song and arrangement is None:
            raise ValueError("stems=True needs notes for the players: give arrangement=pipe.arrange(sheet)")
        if stems and options.get("num_waveforms_per_prompt", 1) != 1:
            raise ValueError("stems=True makes one waveform: leave out num_waveforms_per_prompt")

    def _rank(self, audios: np.ndarray, sheet: LeadSheet, asked: ConditionMask) -> tuple[np.ndarray, list[Any]]:
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
