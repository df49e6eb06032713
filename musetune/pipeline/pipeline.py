"""MuseTunePipeline: AudioLDM2Pipeline that plays lead sheets."""

from __future__ import annotations

import inspect
import math
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict, Unpack

import numpy as np
import torch
from diffusers import AudioLDM2Pipeline
from diffusers.pipelines.pipeline_utils import AudioPipelineOutput
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

import musetune.models.nano  # noqa: F401  # diffusers finds nano's classes by name once they are imported
from musetune.adapter import MusicAdapter
from musetune.adapter.metadata import short_name
from musetune.adapter.mixing import LoraMixer
from musetune.hub.locate import find_adapter, find_base, is_lora, read_index
from musetune.hub.options import HubOptions
from musetune.hub.transfer import check_cache
from musetune.models.config_limits import check_base_configs
from musetune.models.style_projection import StyleProjection
from musetune.models.tiny_decoder import TinyDecoder
from musetune.models.upsampler import StereoUpsampler, load_upsampler
from musetune.models.upsampler.network import FACTOR, RATE
from musetune.models.weight_checks import check_weight_indices
from musetune.pipeline.adapter_manager import AdapterInfo, AdapterManager, lora_name
from musetune.pipeline.checks import (
    check_counts,
    check_intervals,
    check_positive,
    check_scales,
    check_shares,
    given_arguments,
    one_a_prompt,
    or_default,
    reject_arguments,
)
from musetune.pipeline.conditions import Conditions, prepare_windows
from musetune.pipeline.decoding import check_decoder, to_frames, to_waves
from musetune.pipeline.folders import (
    CUSTOM_PIPELINE,
    check_components,
    check_index,
    fetch,
    load_adapters,
    read_reference,
    theory_of,
    warn_of_remote_code,
    without_adapters,
    write_reference,
)
from musetune.pipeline.guidance import Interval
from musetune.pipeline.loading import language_model, resolve_dtype
from musetune.pipeline.looping import loop_request, stereo_loop, vocode_loop
from musetune.pipeline.output import MuseTuneOutput
from musetune.pipeline.prompt_cache import ENCODERS, PromptCache
from musetune.pipeline.quantization import finish_quantization, quantization_options, without_advice
from musetune.pipeline.request import (
    NEEDS_MUSIC,
    UNGUIDED,
    GenerationRequest,
    build_request,
    complexity_of,
    remark_on_few_steps,
    remark_on_idle_guidance,
    remark_on_missing_sheet,
)
from musetune.pipeline.sampler import Generators, OnStep, SourceLatents, check_generators, relate_sections, sample
from musetune.pipeline.songs import mix_stems, place_players, solo_arrangements, solo_prompt
from musetune.pipeline.style import StyleReference, load_style, steer
from musetune.symbols import Arrangement, Chord, LeadSheet
from musetune.symbols.expression import Expression

if TYPE_CHECKING:
    from musetune.evaluation import Report
    from musetune.pipeline.edit_options import EditOptions
    from musetune.pipeline.exported_unet import ExportedUNet
    from musetune.pipeline.optimizing import Optimization
    from musetune.pipeline.pieces import StyleAudio
    from musetune.pipeline.stream_score import SheetSource
    from musetune.pipeline.streaming import StreamChunk, StreamOptions

OUTPUT_TYPES = ("np", "pt", "latent")
Callback = Callable[[int, Tensor, Tensor], None]  # step, timestep, latents
StepEndCallback = Callable[["MuseTunePipeline", int, Tensor, dict[str, Tensor]], dict[str, Tensor] | None]


class SamplingOptions(TypedDict):
    """What a call hands on to ``sample`` as it came."""

    eta: float
    cross_attention_kwargs: dict[str, Any] | None
    on_step: OnStep | None


class MuseTunePipeline(AudioLDM2Pipeline):
    """AudioLDM 2 with an optional MusicAdapter and genre LoRAs.

    Without a lead sheet and without active genre LoRAs a call is the stock pipeline's, bit for bit.

    Args:
        vae, text_encoder, …, vocoder: as of ``AudioLDM2Pipeline``.
        adapter: a theory adapter; it is attached to ``unet``.
        loras: the resident genre LoRAs.
        upsampler: makes 48 kHz stereo of the vocoder's 16 kHz, where a call asks for it.
        style_projection: tells the U-Net of ``style_audio`` where T5 tells it of words.
        tiny_decoder: makes waveforms of latents in the place of autoencoder and vocoder.

    Example:
        >>> pipe = MuseTunePipeline.from_pretrained("nano", adapter="theory")  # doctest: +SKIP
        >>> pipe("bright pop song", harmonic_progression="I V vi IV", key="C major", bpm=120)  # doctest: +SKIP
    """

    _optional_components: ClassVar = ["adapter", "loras", "upsampler", "style_projection", "tiny_decoder"]

    def __init__(  # type: ignore[no-untyped-def]
        self,
        vae,
        text_encoder,
        text_encoder_2,
        projection_model,
        language_model,
        tokenizer,
        tokenizer_2,
        feature_extractor,
        unet,
        scheduler,
        vocoder,
        adapter: MusicAdapter | None = None,
        loras: LoraMixer | None = None,
        upsampler: StereoUpsampler | None = None,
        style_projection: StyleProjection | None = None,
        tiny_decoder: TinyDecoder | None = None,
    ) -> None:
        super().__init__(
            vae,
            text_encoder,
            text_encoder_2,
            projection_model,
            language_model,
            tokenizer,
            tokenizer_2,
            feature_extractor,
            unet,
            scheduler,
            vocoder,
        )
        self.register_modules(adapter=adapter, loras=loras, upsampler=upsampler, style_projection=style_projection)
        if tiny_decoder is not None:
            check_decoder(self, tiny_decoder)
        self.register_modules(tiny_decoder=tiny_decoder)
        self.base_name = "unknown"
        self.base_revision: str | None = None
        self.quantization: str | None = None
        self.exported_unets: tuple[ExportedUNet, ...] = ()
        self.prompt_cache = PromptCache()
        self.adapter_manager = AdapterManager(self)
        if loras is not None:
            loras.check(self.adapter_manager.unet)
        if adapter is not None:
            if not adapter.attached_to(self.adapter_manager.unet):  # it is where components are shared
                adapter.attach(self.adapter_manager.unet)
            adapter.silence()

    @classmethod
    @torch.random.fork_rng(devices=[])  # loading draws random numbers; the caller's generator is left alone
    def from_pretrained(
        cls,
        base: str | Path,
        adapter: str | Path | MusicAdapter | None = None,
        adapter_revision: str | None = None,
        quantization: str | None = None,
        **options: Any,
    ) -> MuseTunePipeline:
        """Load a base ("nano", a folder, a Hub id such as cvssp/audioldm2) and an adapter (folder, bundled name, Hub
        id, or object).

        A genre adapter comes with the theory adapter that it was trained on, unless the base has one. A folder that
        ``save_pretrained`` wrote brings its own adapters. Weights come from safetensors only. ``options`` are
        DiffusionPipeline.from_pretrained's; token, cache_dir and local_files_only also serve a Hub adapter, whose
        revision is ``adapter_revision``, by default ``revision`` where the base is not from the Hub. Warns where
        remote code is asked for that is not pinned to a commit.

        ``quantization``: "int8", "int8-dynamic", "fp8" or "int4" holds the matrices of U-Net, text encoders and GPT-2
        in so many bits (``musetune.pipeline.quantization``; extra ``quantization``); adapters stay in the precision
        of ``torch_dtype``, float32 where none is given. It saves memory, and speed on some machines only.
        """
        name_or_path = find_base(base)
        warn_of_remote_code(name_or_path, options)
        if not Path(name_or_path).is_dir():
            options |= check_cache(name_or_path, "model_index.json", **options)
        access = {k: options[k] for k in ("token", "cache_dir", "local_files_only") if k in options}
        if adapter_revision is None and Path(name_or_path).is_dir():
            adapter_revision = options.get("revision")
        name = None
        if isinstance(adapter, str | Path):  # a misspelt name is found before the base is loaded
            folder = find_adapter(adapter, **access, **given_arguments(revision=adapter_revision))
            adapter, name = folder, lora_name(adapter, folder) if is_lora(folder) else None
        options.setdefault("use_safetensors", True)
        quantizing = quantization_options(quantization, options)  # a misspelt name is found before the base is loaded
        options |= {name: resolve_dtype(options[name]) for name in ("dtype", "torch_dtype") if name in options}
        hub = access | given_arguments(revision=options.get("revision"))
        index = read_index(name_or_path, **hub)
        check_index(index, name_or_path, trusted=bool(options.get("trust_remote_code")))
        name_or_path, theory = fetch(name_or_path, index, **hub), theory_of(adapter, index, **access)
        if (reference := read_reference(index, name_or_path, **access)) is not None:
            pipe = cls.from_pretrained(
                reference.name, quantization=quantization, **options | {"revision": reference.revision}
            )
            load_adapters(name_or_path, index, pipe)
        else:
            if not Path(name_or_path).is_dir() and "custom_pipeline" not in options:
                name_or_path = cls.download(
                    name_or_path, **given_arguments(variant=options.get("variant")), use_safetensors=True, **hub
                )
            if Path(name_or_path).is_dir():
                check_weight_indices(name_or_path)
                check_base_configs(name_or_path, index, skip=tuple(options))
            brought = tuple(options)
            if "language_model" not in options:
                dtype = options.get("dtype", options.get("torch_dtype"))
                model = language_model(name_or_path, index, dtype, options.get("variant"), **hub)
                options |= given_arguments(language_model=model)
            with without_adapters(name_or_path, index, options.get("variant")) as plain, without_advice():
                pipe = super().from_pretrained(plain, **quantizing | options)
            finish_quantization(pipe, quantization, skip=brought)
            check_components(pipe.components, name_or_path, skip=brought)
            if plain != name_or_path:
                load_adapters(name_or_path, index, pipe)
            pipe.base_name, pipe.base_revision = short_name(base), options.get("revision")
        if theory is not None:
            pipe.load_adapter(theory)
        if adapter is not None:
            pipe.load_adapter(adapter, name)
        return pipe

    @classmethod
    def from_pipe(cls, pipeline: Any, **options: Any) -> MuseTunePipeline:
        """Make a pipeline of another's components, which both share then; no memory is copied.

        Args:
            pipeline: an AudioLDM2Pipeline or MuseTunePipeline.
            options: components to take instead, and what ``DiffusionPipeline.from_pipe`` takes.
        """
        parts = {name: part for name, part in pipeline.components.items() if name not in options}
        pipe = super().from_pipe(pipeline, **parts | options)
        pipe.base_name = getattr(pipeline, "base_name", pipe.base_name)
        pipe.base_revision = getattr(pipeline, "base_revision", None)
        pipe.quantization = getattr(pipeline, "quantization", None)
        return pipe

    def push_adapter_to_hub(
        self,
        repo_id: str,
        name: str | None = None,
        *,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        message: str | None = None,
        license: str | None = None,
    ) -> str:
        """Push what ``save_adapter`` writes to a repository of the Hub.

        Args:
            repo_id: "me/musetune-jazz".
            name: by default the active genre LoRA, else the theory adapter.
            token, revision, private, message, license: as of ``musetune.hub.push``.

        Returns:
            What the Hub calls the commit.
        """
        from musetune.hub import push

        with tempfile.TemporaryDirectory() as folder:
            adapter_folder = self.save_adapter(folder, name)
            return push(
                adapter_folder,
                repo_id,
                token=token,
                revision=revision,
                private=private,
                message=message,
                license=license,
            )

    # -- adapters
    # ----------------------------------------------------------------------------------------------------------

    @property
    def adapters(self) -> dict[str, AdapterInfo]:
        """The loaded adapters by name: the theory adapter first, then the genre LoRAs."""
        return self.adapter_manager.infos()

    def load_adapter(
        self, adapter: str | Path | MusicAdapter, name: str | None = None, **hub: Unpack[HubOptions]
    ) -> None:
        """Attach a theory adapter in place of the present one, or add a genre LoRA, which is active alone then; the
        base stays loaded.

        A LoRA of few steps, such as "fast", goes beside any genre: while it counts, calls have its scheduler, its steps
        by default, and no guidance, which is in it.

        Args:
            adapter: a folder, a bundled name, a Hub id, or a MusicAdapter. A genre LoRA: ours, or any for this U-Net
                by peft or diffusers.
            name: what to call it, by default as its metadata say, else as its folder or repository; a LoRA of that
                name is replaced.
            hub: revision, token, cache_dir, local_files_only.

        Raises:
            ValueError: that says what differs, and changes nothing, where it was made for another U-Net; while
                adapters are fused.
            FileNotFoundError: where there is no such adapter.
        """
        self.adapter_manager.load(adapter, name, **hub)

    def set_adapter(self, mix: str | Mapping[str, float] | None) -> None:
        """Let genre LoRAs count: one, several with weights 0–2 such as {"jazz": 0.7, "blues": 0.3}, or None: the
        theory adapter alone. A LoRA of few steps stays as it is where ``mix`` does not name it; its weight is 1 or 0,
        {"fast": 0} silences it.

        Raises:
            ValueError: for a name that is not loaded, a weight outside 0–2, and a share of a LoRA of few steps; changes
                nothing then.
        """
        self.adapter_manager.set(mix)

    def unload_adapter(self, name: str | None = None) -> None:
        """Forget the adapter ``name``, theory or genre; None: all of them, the plain base again."""
        self.adapter_manager.unload(name)

    def fuse_adapter(self) -> None:
        """Add all active LoRAs into the U-Net's weights until ``unfuse_adapter``: calls need not do it each time.
        Keeps a copy of the weights.

        Calls of another strength, and those without music, still get what they ask for.

        Raises:
            ValueError: where there is nothing to fuse.
        """
        self.adapter_manager.fuse()

    def unfuse_adapter(self) -> None:
        """Give the U-Net its own weights back, bit for bit.

        Raises:
            ValueError: where nothing is fused.
        """
        self.adapter_manager.unfuse()

    unfuse = unfuse_adapter

    def load_upsampler(self, source: str | Path | None = None, **hub: Unpack[HubOptions]) -> None:
        """Load the network that makes 48 kHz stereo: ``pipe(…, stereo=True)`` and ``pipe.to_stereo`` use it, and the
        pipeline's folder holds it from then on.

        Args:
            source: a folder or a Hub id of a StereoUpsampler; None: the one that MuseTune ships.
            hub: revision, token, cache_dir, local_files_only.
        """
        network = load_upsampler() if source is None else StereoUpsampler.from_pretrained(source, **hub)
        self.register_modules(upsampler=network.float().eval().to(self.unet.device))

    def load_decoder(self, source: str | Path | TinyDecoder | None, **hub: Unpack[HubOptions]) -> None:
        """Let a tiny decoder, as ``recipes/base/distill_decoder.py`` makes one, take the place of autoencoder and
        vocoder where latents become sound.

        Calls with music, loops, edits and streams are decoded by it, and the pipeline's folder holds it from then on.
        Calls without music stay the stock pipeline's. Recordings are still encoded by the autoencoder.

        Args:
            source: a TinyDecoder, its folder, or a Hub id; None: the base's own autoencoder and vocoder again.
            hub: revision, token, cache_dir, local_files_only.

        Raises:
            ValueError: that says what differs, and changes nothing, where it was made for other latents, another rate
                or another scaling factor.
        """
        if source is None:
            self.register_modules(tiny_decoder=None)
            return
        decoder = source if isinstance(source, TinyDecoder) else TinyDecoder.from_pretrained(source, **hub)
        check_decoder(self, decoder)
        self.register_modules(tiny_decoder=decoder.float().eval().to(self.unet.device))

    def load_engine(
        self, folder: str | Path | Sequence[str | Path] | None, engine: str | None = None, threads: int = 0
    ) -> None:
        """Let an exported U-Net play wherever there is music: what ``musetune export onnx`` wrote, in another engine.

        Calls with music, edits, loops and ``stream`` denoise in it; calls without music and everything but the U-Net
        stay in torch. It plays the adapters and the mix that were exported, and any length: latent rows are rounded up
        to a multiple of what its levels halve, and what is too much is cut off the sound. An export of one length
        alone makes longer audio in windows of that length, and nothing shorter.

        Args:
            folder: of the export; None: torch again. Of several, each call takes the first that holds what is active
                then, such as one with the adapter for few steps and one without.
            engine: "openvino" or "onnxruntime"; None: the former where it is installed, else the latter.
            threads: of the processor; 0: as many as the engine likes.

        Raises:
            ValueError: for a folder without an exported U-Net and an engine that is not installed. Calls raise it
                where they ask for another mix, strength or length than was exported.
        """
        from musetune.pipeline.exported_unet import ExportedUNet

        folders = [] if folder is None else [folder] if isinstance(folder, str | Path) else folder
        self.exported_unets = tuple(ExportedUNet(one, engine, threads) for one in folders)

    def _denoiser(self) -> Any:
        """Return what makes predictions for music, while adapters play: the U-Net, or the export that holds them.

        Raises:
            ValueError: where there are exports and none holds them.
        """
        if not self.exported_unets:
            return self.unet
        from musetune.pipeline.exported_unet import choose_exported

        return choose_exported(self.exported_unets, self.adapter_manager.unet, self.adapter)

    @property
    def _row_multiple(self) -> int:
        """The number of which latent rows are multiples: 1, or what exported U-Nets take."""
        return math.lcm(*(one.row_multiple for one in self.exported_unets))

    def optimize(
        self,
        *,
        half: bool | None = None,
        compile: bool | str | Sequence[str] = False,
        engines: str | Path | None = None,
        threads: int = 0,
    ) -> Optimization:
        """Make calls as fast as this machine allows: what may pay is tried and measured here, and kept where it does.

        Tried is the U-Net in half precision (bfloat16, on GPUs float16 too), with ``engines`` an export of it in each
        engine that is installed, and with ``compile`` the compiled U-Net, vocoder and upsampler. Each is kept where a
        step becomes 1.1 times as fast, of engines and half precision the faster one. Half precision moves the sound a
        little; an engine plays the mix and the length that were exported; compiling takes minutes. Adapters that are
        loaded later fit. What is saved afterwards has the weights in that precision: save before.

        Args:
            half: True or False instead of measuring.
            compile: also try ``torch.compile``, which needs a C++ compiler on processors: True, or which of "unet",
                "vocoder" and "upsampler".
            engines: a folder that ``musetune export onnx`` wrote; None: torch alone.
            threads: of an engine; 0: as many as it likes.

        Returns:
            What was tried, how long a step took, what is in force, and why something was not tried; ``print`` shows it.

        Raises:
            ValueError: while the pipeline generates or adapters are fused; for other parts to compile, and a folder
                without an export.
        """
        from musetune.pipeline.optimizing import optimize

        names = compile if isinstance(compile, bool | str) else tuple(compile)
        return optimize(self, half=half, compile=names, engines=engines, threads=threads)

    @torch.no_grad()
    def to_stereo(self, audios: np.ndarray) -> np.ndarray:
        """Make 48 kHz stereo of 16 kHz mono; the mean of both channels stays the input.

        Args:
            audios: floats (n, samples), as a call returns them, or (samples,).

        Returns:
            Float32 (n, 2, 3 · samples), or (2, 3 · samples). It may pass ±1 where the input comes near.

        Raises:
            ValueError: where no upsampler is loaded, or the vocoder's rate is another than 16 kHz.
        """
        self._check_stereo(True)
        return np.asarray(self.upsampler.upsample(torch.from_numpy(np.array(audios, np.float32))).numpy())

    def save_adapter(self, folder: str | Path, name: str | None = None) -> Path:
        """Write an adapter as the Hub holds it, with its metadata.

        Args:
            folder: is made where it is not there.
            name: by default the active genre LoRA, else the theory adapter.

        Returns:
            The folder.

        Raises:
            ValueError: where several are active, or none is loaded.
        """
        return self.adapter_manager.save(folder, name)

    def save_pretrained(self, save_directory: str | Path, reference: bool | str = False, **options: Any) -> None:
        """Write a complete folder: the plain base, the theory adapter with its LoRA under adapter/, genre LoRAs with
        their mix under loras/.

        Args:
            save_directory: is made where it is not there.
            reference: name the base instead of writing it, as nano or a Hub id; True: as it was loaded.
            options: as of ``DiffusionPipeline.save_pretrained``; none with ``reference``.

        Raises:
            ValueError: where ``reference`` is a folder, which nobody else could find; where the base is quantised and
                not only named.
        """
        if self.quantization is not None and not reference:
            raise ValueError(
                f"this base was loaded with quantization={self.quantization!r}, which rounds its weights: save the "
                "pipeline that was loaded without, or give reference=True"
            )
        with self.adapter_manager.detached():
            if reference:
                reject_arguments(options, "means nothing with reference=…: push the folder with musetune push")
                name = self.base_name if reference is True else reference
                write_reference(self, save_directory, name, self.base_revision if name == self.base_name else None)
            else:
                super().save_pretrained(save_directory, **options)
            (Path(save_directory) / "pipeline.py").write_text(CUSTOM_PIPELINE)

    # -- songs
    # -------------------------------------------------------------------------------------------------------------

    def plan(self, prompt: str, **pins: Any) -> LeadSheet:
        """Write a song's plan from words, by the structure transformer.

        Args:
            prompt: what the song should be.
            pins: as of ``musetune.planning.planner.planner.plan``: key, bpm, chords, …
        """
        from musetune.planning.planner.planner import plan

        return plan(prompt, **pins)

    def arrange(self, sheet: LeadSheet, **options: Any) -> Arrangement:
        """Write notes of drums, bass, guitar, keys and lead for a plan.

        Args:
            sheet: the plan.
            options: as of ``musetune.planning.arranger.arranger.arrange``.
        """
        from musetune.planning.arranger.arranger import arrange

        return arrange(sheet, **options)

    # -- editing
    # -----------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def repaint(
        self,
        audio: MuseTuneOutput | np.ndarray | str | Path,
        lead_sheet: LeadSheet | None = None,
        prompt: str = "",
        *,
        seconds: Sequence[float] | Sequence[Sequence[float]] | None = None,
        bars: Sequence[int] | Sequence[Sequence[int]] | None = None,
        harmonic_progression: str | Sequence[str | Chord] | None = None,
        sampling_rate: int | None = None,
        **options: Unpack[EditOptions],
    ) -> MuseTuneOutput:
        """Make stretches of a piece anew under other chords, notes or words; all else stays, sample for sample.

        Beyond the 50 ms before either end of a stretch, in which crossfades of 20 ms lie, the waveform is the input's.
        The model hears the rest of the piece while it works: the kept latents are held at every denoising step.

        Args:
            audio: a result of this pipeline (its latents are used), a recording as floats (samples,) or (channels,
                samples), or a path.
            lead_sheet: of the whole piece, with what the stretches shall have; default the result's own, else what
                ``musetune.analyze`` finds.
            prompt: words for the stretches.
            seconds: (start, end) of the stretch, or a list of them.
            bars: (first, last) instead, counted from 1, the last one included; or a list of them.
            harmonic_progression: chords that share the beats of each stretch evenly, in place of the sheet's there.
            sampling_rate: Hz, of an array.
            options: generator, num_inference_steps, guidance_scale, music_guidance_scale, stem_guidance_scale,
                negative_prompt, strength, arrangement (notes of the whole piece), return_report (one a stretch),
                style_audio, style_strength, callback_on_step_end (as of a call; what it raises ends the edit).

        Returns:
            The whole piece at the input's sampling rate and channels, (1, samples) or (1, channels, samples).

        Raises:
            ValueError: for stretches outside the audio, an array without sampling rate, and values out of range.
        """
        from musetune.pipeline import editing

        return editing.repaint(
            self, audio, lead_sheet, prompt, seconds, bars, harmonic_progression, sampling_rate, options
        )

    @torch.no_grad()
    def extend(
        self,
        audio: MuseTuneOutput | np.ndarray | str | Path,
        lead_sheet: LeadSheet | None = None,
        prompt: str = "",
        *,
        before_seconds: float = 0.0,
        after_seconds: float = 0.0,
        harmonic_progression: str | Sequence[str | Chord] | None = None,
        sampling_rate: int | None = None,
        **options: Unpack[EditOptions],
    ) -> MuseTuneOutput:
        """Play on after the end of a piece, or into its beginning.

        Args:
            audio: as of ``repaint``.
            lead_sheet: of the whole: what comes before, the piece, and what comes after. Default the result's own, else
                what ``musetune.analyze`` finds, played on under ``harmonic_progression``.
            prompt: words for what is new.
            before_seconds: seconds to be put in front; without a lead sheet bars are laid back from the first bar line.
            after_seconds: seconds to be put behind.
            harmonic_progression: without a lead sheet, chords of what is new, repeated; default the piece's own.
            sampling_rate: Hz, of an array.
            options: as of ``repaint``.

        Returns:
            The longer piece; but for the 50 ms before a joint the input is in it, sample for sample.

        Raises:
            ValueError: where neither is above 0, the sheet ends before the whole does, or chords come with it.
        """
        from musetune.pipeline import editing

        return editing.extend(
            self,
            audio,
            lead_sheet,
            prompt,
            before_seconds,
            after_seconds,
            harmonic_progression,
            sampling_rate,
            options,
        )

    @torch.no_grad()
    def vary(
        self,
        audio: MuseTuneOutput | np.ndarray | str | Path,
        lead_sheet: LeadSheet | None = None,
        prompt: str = "",
        *,
        amount: float = 0.4,
        sampling_rate: int | None = None,
        **options: Unpack[EditOptions],
    ) -> MuseTuneOutput:
        """Take a piece again, near or far: noise is added to its latents and taken away again (SDEdit).

        Args:
            audio: as of ``repaint``.
            lead_sheet: default the result's own, else what ``musetune.analyze`` finds.
            prompt: words.
            amount: 0–1, the share of the denoising steps that is done again: 0 is the input through the codec, 1 a
                new take of the sheet.
            sampling_rate: Hz, of an array.
            options: as of ``repaint``.

        Returns:
            The take at the input's sampling rate and channels.

        Raises:
            ValueError: for values out of range.
        """
        from musetune.pipeline import editing

        return editing.vary(self, audio, lead_sheet, prompt, amount, sampling_rate, options)

    @torch.no_grad()
    def cover(
        self,
        audio: MuseTuneOutput | np.ndarray | str | Path,
        prompt: str = "",
        *,
        genre: str | None = None,
        keep: Sequence[str] = ("chords", "beats", "melody", "loudness"),
        lead_sheet: LeadSheet | None = None,
        sampling_rate: int | None = None,
        **options: Unpack[EditOptions],
    ) -> MuseTuneOutput:
        """Play a piece with another sound: what it plays is heard and kept, nothing of its waveform is.

        Songs of minutes are made in overlapping windows. Chords, key and beats are told by ``musetune.analyze``, the
        melody by ``musetune.analysis.listening.melody.hear_melody``; the loudness is brought to the piece's course
        afterwards.

        Args:
            audio: as of ``repaint``.
            prompt: words for the new sound; default "<genre> music".
            genre: one of musetune's genres; default the sheet's own, or what is heard where the piece is analysed.
            keep: which of chords (with the key), beats, melody, loudness; what is left out is left to the model.
            lead_sheet: in place of the one that is heard, where that was corrected.
            sampling_rate: Hz, of an array.
            options: as of ``repaint``; ``arrangement`` holds notes, such as a melody, in place of the one that is
                heard. ``return_report`` is on.

        Returns:
            The cover at the input's sampling rate and channels; in ``reports`` one
            ``musetune.evaluation.likeness.LikenessReport``: how well each was kept.

        Raises:
            ValueError: where nothing is kept of what is played, for an unknown name and for values out of range.
        """
        from musetune.pipeline import covering

        return covering.cover(self, audio, prompt, genre, keep, lead_sheet, sampling_rate, options)

    @torch.no_grad()
    def replay(
        self,
        take: MuseTuneOutput,
        player: str,
        prompt: str | None = None,
        *,
        rewrite: bool = False,
        **options: Unpack[EditOptions],
    ) -> MuseTuneOutput:
        """Let one player of a take play again; the others stay, sample for sample.

        Args:
            take: a result of ``stems=True``.
            player: "drums", "bass", "guitar", "keys" or "lead".
            prompt: words for this player; default as ``stems=True`` has them, such as "solo electric bass, jazz".
            rewrite: write the player new notes first, after those of the others; the generator's seed is theirs.
            options: as of ``repaint``; ``arrangement`` holds the notes in place of the take's.

        Returns:
            The take with the player's new sound, as loud as the old one, softer only where the sum would clip; the
            mix is the sum of the players, as before.

        Raises:
            ValueError: where the take has no players' audio or no notes of this player.
        """
        from musetune.pipeline import replaying

        return replaying.replay(self, take, player, prompt, rewrite, options)

    @torch.no_grad()
    def loop(
        self,
        lead_sheet: LeadSheet,
        prompt: str | Sequence[str] = "",
        *,
        loops: int | None = None,
        stereo: bool = False,
        **options: Unpack[EditOptions],
    ) -> MuseTuneOutput:
        """Generate a set of loops that fit each other: of one sheet, equally long to the sample and equally loud.

        Each flows from its last bar into its first, as ``pipe(…, loop=True)`` makes one.

        Args:
            lead_sheet: whole bars of one meter, from a downbeat at time 0.
            prompt: words, or a list of them: one for each loop, in turn.
            loops: how many; default one for each prompt.
            stereo: 48 kHz stereo, by the upsampler.
            options: as of ``repaint``; with ``arrangement`` its players' notes are looped. ``generator`` may be a list
                of one for each loop.

        Returns:
            Audio (loops, samples) at the pipeline's own sampling rate, or (loops, 2, samples) at 48 kHz.

        Raises:
            ValueError: where the sheet is not whole bars, and for values out of range.
        """
        from musetune.pipeline import loop_sets

        self._check_stereo(stereo)
        return loop_sets.make_loops(self, lead_sheet, prompt, loops, stereo, options)

    # -- live
    # --------------------------------------------------------------------------------------------------------------

    def stream(
        self,
        sheet_source: SheetSource,
        prompt: str = "",
        *,
        stereo: bool = True,
        **options: Unpack[StreamOptions],
    ) -> Generator[StreamChunk, None, None]:
        """Play without end, a bar or a part of one at a time, while chords, tempo, genres, loudness and words change.

        Each chunk is painted on from the latents of the last ones. A chunk is made when it is asked for: what the
        source says then is heard in it, a new lead sheet from the next bar line on. So the delay of a change is what
        lies ready unheard, the time that a chunk takes (``StreamChunk.made_in_s``) and the way to the bar line.

        Args:
            sheet_source: a LeadSheet, which goes round and round; an iterable of LeadSheet or StreamInput, each
                played once to its end; or a function of a StreamPosition, called before every chunk, that returns a
                LeadSheet, a StreamInput, or None for no change. The function ends the stream by raising
                StopIteration. A new lead sheet begins at the next bar line; all else counts from the next chunk on.
            prompt: words, until the source gives others.
            stereo: 48 kHz stereo; needs an upsampler (``load_upsampler``). Else the vocoder's mono.
            options: generator, num_inference_steps (8, of which words and music are pushed in the first half; the
                fewest of an adapter for few steps that counts),
                guidance_scale, music_guidance_scale, negative_prompt, strength, window_seconds (what the model hears
                and makes at once, 5.12), chunk_seconds (a longer bar is played in parts; as much as the window holds,
                3.48) and opening_seconds (a bar's first chunk is as short as that where the rest lasts so long too;
                None: bars are not cut for that).

        Returns:
            An iterator of StreamChunk. Its memory does not grow.

        Raises:
            ValueError: for options out of range, without an adapter, and for what a source says and cannot be played.
            TypeError: for a source that is none.

        Example:
            >>> pipe = MuseTunePipeline.from_pretrained("nano", adapter="theory")  # doctest: +SKIP
            >>> sheet = LeadSheet.parse("| C | F | G | C |", bpm=120)  # doctest: +SKIP
            >>> for chunk in pipe.stream(sheet, "bright pop", stereo=False):  # doctest: +SKIP
            ...     play(chunk.audio, chunk.sampling_rate)
        """
        from musetune.pipeline import streaming

        self._check_stereo(stereo)
        return streaming.stream(self, sheet_source, prompt, stereo, options)

    # -- the call
    # ----------------------------------------------------------------------------------------------------------

    def encode_prompt(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Encode words as ``AudioLDM2Pipeline.encode_prompt`` does; ``prompt_cache`` keeps what it made of the last
        ones.

        Args:
            args, kwargs: as of ``AudioLDM2Pipeline.encode_prompt``.

        Returns:
            T5's states (rows, tokens, width), their mask (rows, tokens), GPT-2's embeddings (rows, 8, width).
        """
        stock = super().encode_prompt
        asked = inspect.signature(stock).bind(*args, **kwargs).arguments
        encoders = [part for name in ENCODERS if (part := getattr(self, name, None)) is not None]
        return self.prompt_cache.get(asked, encoders, lambda: stock(*args, **kwargs))

    @property
    def row_s(self) -> float:
        """Seconds of one latent row."""
        vocoder = self.vocoder.config
        return self.vae_scale_factor * math.prod(vocoder.upsample_rates) / vocoder.sampling_rate

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        transcription: str | list[str] | None = None,
        audio_length_in_s: float | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        negative_prompt: str | list[str] | None = None,
        num_waveforms_per_prompt: int | None = 1,
        eta: float = 0.0,
        generator: Generators = None,
        latents: Tensor | None = None,
        prompt_embeds: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
        generated_prompt_embeds: Tensor | None = None,
        negative_generated_prompt_embeds: Tensor | None = None,
        attention_mask: Tensor | None = None,
        negative_attention_mask: Tensor | None = None,
        max_new_tokens: int | None = None,
        return_dict: bool = True,
        callback: Callback | None = None,
        callback_steps: int | None = 1,
        cross_attention_kwargs: dict[str, Any] | None = None,
        output_type: str | None = "np",
        *,
        lead_sheet: LeadSheet | list[LeadSheet] | None = None,
        harmonic_progression: str | Sequence[str | Chord] | None = None,
        key: str | None = None,
        bpm: float | None = None,
        time_signature: str | None = None,
        genre: str | None = None,
        duration_seconds: float | None = None,
        follow: str | Sequence[str] | None = None,
        follow_seconds: tuple[float, float] | None = None,
        arrangement: Arrangement | list[Arrangement] | None = None,
        stems: bool = False,
        music_guidance_scale: float | None = None,
        stem_guidance_scale: float | None = None,
        guidance_interval: Interval | None = None,
        music_guidance_interval: Interval | None = None,
        guidance_rescale: float | None = None,
        window_seconds: float | None = None,
        strength: float | None = None,
        return_report: bool = False,
        stereo: bool = False,
        loop: bool = False,
        style_audio: StyleAudio | None = None,
        style_strength: float | None = None,
        expression: Expression | Mapping[str, Any] | list | None = None,
        callback_on_step_end: StepEndCallback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> Any:
        """Generate audio that follows a lead sheet, a progression or a plan of its own; without music, as
        AudioLDM2Pipeline does.

        With music the stock arguments mean what they mean there; those that differ are listed.

        Args:
            prompt: words, or a list of them: a batch, with one lead sheet (and arrangement) for each, or one for all.
            audio_length_in_s: seconds; with a lead sheet or a progression the same as ``duration_seconds``.
            num_inference_steps: denoising steps; default 200, with music 20, with an adapter for few steps what that
                was distilled for.
            guidance_scale: how hard the words are pushed; default 3.5, with music 3, with notes 2.5; 1 with an adapter
                for few steps, as of the scales below.
            num_waveforms_per_prompt: candidates; with music the one whose triads and beats follow best comes first.
            generator: one for all, or a list of one for each waveform.
            lead_sheet: the music; it has key, tempo, meter and genre itself and is cut to ``duration_seconds``.
            harmonic_progression: "I V vi IV", "| C | G/B . Am7 . |" or a list, repeated to ``duration_seconds``
                (default 10.24).
            key: of the progression or the song; "C major" where not given.
            bpm: 30–300; 120.
            time_signature: "4/4".
            genre: one of musetune's genres.
            duration_seconds: with neither sheet nor progression, but with an adapter, the prompt is planned
                (``plan``; key, bpm,
                time_signature and genre are pinned where given) to the nearest whole bar, arranged (``arrange``),
                played and reported on.
            follow: which of chords, beats, key, genre and, with an arrangement, drums, bass, comping, lead count;
                default all, and the chords' numerals. Numerals alone are not followed: ``function`` without chords is
                refused.
            follow_seconds: (start, end) of the stretch in which they do; the rest is left to the model.
            arrangement: the players' notes.
            stems: each player's audio too, their sum instead of one take; with ``stereo`` each at its place
                (``musetune.pipeline.songs.SEATS``).
            music_guidance_scale: how hard the music is pushed beside the words; 3, with notes 2.5.
            stem_guidance_scale: how hard the notes are pushed; 2.5.
            guidance_interval: (start, end) of the steps, 0–1, in which words are pushed at all; the other steps are
                faster.
            music_guidance_interval: the like for music and notes.
            guidance_rescale: 0–1; 0.8; only with music.
            window_seconds: longer audio is made in overlapping windows of so much; default the base's own length.
            strength: of the adapters but for one of few steps, 0–1; 1.
            return_report: listen to each waveform and report what was obeyed.
            stereo: return 48 kHz stereo, (n, 2, samples), by the upsampler, with music or from words alone; reports are
                of the mono sound before it.
            loop: the last bar flows into the first, and the audio lasts whole bars to the sample; the sheet is whole
                bars of one meter from a downbeat at time 0. A progression is played once where no length is given.
            style_audio: a clip whose sound is meant: a path, a result, or floats (samples,) or (channels, samples)
                with their rate in Hz. The base's CLAP hears it in place of the words; T5 goes on reading the prompt,
                unless the base has a ``style_projection``.
            style_strength: 0–1, the clip's share beside the words; 1: nothing else is heard of the words by CLAP, nor,
                with a ``style_projection``, by T5.
            expression: how it is played, as an Expression or ``{"loudness_db": [(0, -20), (8, -8)], "swing": 0.62}``:
                loudness over time in LUFS, note_density, syncopation, swing, harmonic_complexity
                (``musetune.symbols.expression``); needs an adapter with a branch that reads it, and is pushed with the
                music. A loop has one level. Where the song is written from the prompt, its chords are chosen for
                harmonic_complexity.
            callback_on_step_end: called as ``f(pipe, step, timestep, {"latents": …})`` after each step; what it
                returns under "latents"
                goes on. ``pipe._interrupt = True`` inside it stops there; the latents so far are decoded.
            callback_on_step_end_tensor_inputs: only "latents".

        Returns:
            MuseTuneOutput with music, else AudioPipelineOutput; a tuple of one array with ``return_dict=False``.

        Raises:
            ValueError: for values out of range and for arguments that would be ignored.
            TypeError: for a lead sheet or a generator that is none.
        """
        self._interrupt = False
        settings = {"key": key, "bpm": bpm, "time_signature": time_signature, "genre": genre}
        intervals = {"guidance_interval": guidance_interval, "music_guidance_interval": music_guidance_interval}
        scales = {"music_guidance_scale": music_guidance_scale, "stem_guidance_scale": stem_guidance_scale}
        check_scales(guidance_scale=guidance_scale, **scales)
        check_shares(guidance_rescale=guidance_rescale, strength=strength, eta=eta)
        check_counts(
            num_inference_steps=num_inference_steps,
            num_waveforms_per_prompt=num_waveforms_per_prompt,
            callback_steps=callback_steps,
        )
        check_intervals(**intervals)
        if duration_seconds is not None:
            reject_arguments({"audio_length_in_s": audio_length_in_s}, "and duration_seconds: give one of them")
        if list(callback_on_step_end_tensor_inputs) != ["latents"]:
            raise ValueError(
                f"callback_on_step_end_tensor_inputs={callback_on_step_end_tensor_inputs!r}: only ['latents']"
            )
        check_generators(generator)
        on_step = self._on_step(callback, callback_steps or 1, callback_on_step_end)
        self._check_stereo(stereo, output_type)
        prompts: list[str | None] = list(prompt) if isinstance(prompt, list) else [prompt]
        waveforms = num_waveforms_per_prompt or 1
        music = (lead_sheet, harmonic_progression, arrangement)
        song = False
        if self.adapter is not None and duration_seconds is not None and all(one is None for one in music):
            song = True
            pins = given_arguments(**settings, harmonic_complexity=complexity_of(expression))
            lead_sheet, arrangement = self._write_song(prompt, duration_seconds, generator, pins)
            settings, duration_seconds, return_report = {}, None, True
        if lead_sheet is None and harmonic_progression is None:
            partial = {"follow": follow, "follow_seconds": follow_seconds, "window_seconds": window_seconds}
            other = {"strength": strength, "arrangement": arrangement, "guidance_rescale": guidance_rescale}
            flags: dict[str, object] = {
                "return_report": return_report or None,
                "stems": stems or None,
                "loop": loop or None,
                "style_audio": style_audio is not None or None,
                "style_strength": style_strength,
                "expression": expression,
            }
            if duration_seconds is not None:
                check_positive("duration_seconds", duration_seconds)
            reject_arguments(flags | settings | scales | partial | intervals | other, NEEDS_MUSIC)
            stock = self._stock_settings(num_inference_steps, guidance_scale, negative_prompt)
            with self.adapter_manager.playing(1.0, music=False):
                return self._stock_call(
                    callback_on_step_end,
                    stereo,
                    prompt=prompt,
                    transcription=transcription,
                    audio_length_in_s=or_default(duration_seconds, audio_length_in_s),
                    negative_prompt=negative_prompt,
                    num_waveforms_per_prompt=num_waveforms_per_prompt,
                    eta=eta,
                    generator=generator,
                    latents=latents,
                    prompt_embeds=prompt_embeds,
                    negative_prompt_embeds=negative_prompt_embeds,
                    generated_prompt_embeds=generated_prompt_embeds,
                    negative_generated_prompt_embeds=negative_generated_prompt_embeds,
                    attention_mask=attention_mask,
                    negative_attention_mask=negative_attention_mask,
                    max_new_tokens=max_new_tokens,
                    return_dict=return_dict,
                    callback=callback,
                    callback_steps=callback_steps,
                    cross_attention_kwargs=cross_attention_kwargs,
                    output_type=output_type,
                    **stock,
                )
        if output_type not in OUTPUT_TYPES:
            raise ValueError(f"output_type={output_type!r} is not one of {', '.join(OUTPUT_TYPES)}")
        if prompt_embeds is not None:
            told = {"prompt": prompt, "transcription": transcription, "style_audio": style_audio is not None or None}
            reject_arguments(told, "and prompt_embeds: give one of them")
            prompts = [None] * len(prompt_embeds)
        request = build_request(
            prompts,
            lead_sheet=lead_sheet,
            harmonic_progression=harmonic_progression,
            settings=settings,
            seconds=or_default(duration_seconds, audio_length_in_s),
            default_seconds=None if loop else self._default_seconds,
            arrangement=arrangement,
            adapter=self.adapter,
            song=song,
            follow=follow,
            follow_seconds=follow_seconds,
            guidance_scale=guidance_scale,
            music_guidance_scale=music_guidance_scale,
            stem_guidance_scale=stem_guidance_scale,
            guidance_rescale=guidance_rescale,
            guidance_interval=guidance_interval,
            music_guidance_interval=music_guidance_interval,
            window_seconds=window_seconds,
            steps=num_inference_steps,
            waveforms=waveforms,
            strength=strength,
            stems=stems,
            sampling=self.adapter_manager.sampling,
            expression=expression,
        )
        request = replace(request, style=load_style(self, style_audio, style_strength))
        reject_arguments(
            {"loop": (loop and output_type == "latent") or None}, "and output_type='latent': give np or pt"
        )
        played = loop_request(request, self.row_s) if loop else request
        sheets = tuple(music.lead_sheet for music in request.music)
        words = {
            "transcription": transcription,
            "negative_prompt": negative_prompt,
            "prompt_embeds": prompt_embeds,
            "negative_prompt_embeds": negative_prompt_embeds,
            "generated_prompt_embeds": generated_prompt_embeds,
            "negative_generated_prompt_embeds": negative_generated_prompt_embeds,
            "attention_mask": attention_mask,
            "negative_attention_mask": negative_attention_mask,
            "max_new_tokens": max_new_tokens,
        }
        options = SamplingOptions(
            eta=eta, cross_attention_kwargs=cross_attention_kwargs, on_step=self._stoppable(on_step)
        )
        with self.adapter_manager.playing(request.strength, music=True):
            if stems:
                solos = self._generate_solos(played, words, generator, latents, **options)
                audios, latents = mix_stems(solos), None
            else:
                solos = None
                output = self._generate(played, prompts, words, generator, latents, **options)
                if output_type == "latent":
                    self.maybe_free_model_hooks()
                    return (
                        MuseTuneOutput(output, self._rate, sheets[0], lead_sheets=tuple(sheets))
                        if return_dict
                        else (output,)
                    )
                audios, latents = self._sound(output, played), None if loop else output
        self.maybe_free_model_hooks()
        reports: list[Report] | None = None
        if return_report or waveforms > 1:
            audios, reports, order = self._rank(audios, request)
            latents = None if latents is None else latents[order]
        audios, solos, rate = self._spread(audios, solos, stereo, played.loop_seconds)
        result = torch.from_numpy(audios) if output_type == "pt" else audios
        if not return_dict:
            return (result,)
        return MuseTuneOutput(
            result,
            rate,
            sheets[0],
            reports if return_report else None,
            arrangement[0] if isinstance(arrangement, list) else arrangement,
            solos,
            sheets,
            latents,
        )

    def _spread(
        self, audios: np.ndarray, solos: dict[str, np.ndarray] | None, stereo: bool, loop_s: float | None = None
    ) -> tuple[np.ndarray, dict[str, np.ndarray] | None, int]:
        """Return waveforms, players and their rate, in stereo where asked; the players' sum stays the waveform.

        ``loop_s``: the length of what is a loop.
        """
        if not stereo:
            return audios, solos, self._rate
        widen = self.to_stereo if loop_s is None else partial(stereo_loop, self, seconds=loop_s)
        if solos is None:
            wide = np.stack([widen(audio) for audio in audios])
            return wide / np.maximum(1.0, np.abs(wide).max(axis=(1, 2), keepdims=True) / 0.99), None, FACTOR * RATE
        solos = place_players({name: widen(solo) for name, solo in solos.items()})
        loudest = max(float(np.abs(wave).max()) for wave in (mix_stems(solos), *solos.values()))
        solos = {name: wave / np.float32(max(1.0, loudest / 0.99)) for name, wave in solos.items()}
        return mix_stems(solos), solos, FACTOR * RATE

    def _check_stereo(self, stereo: bool, output_type: str | None = "np") -> None:
        """Raise ValueError where stereo is asked for and nothing here makes it."""
        if not stereo:
            return
        if output_type == "latent":
            raise ValueError("stereo=True and output_type='latent': latents have no channels; give np or pt")
        if output_type not in OUTPUT_TYPES:
            raise ValueError(f"output_type={output_type!r} has no stereo: give np or pt")
        if self.upsampler is None:
            raise ValueError("stereo needs an upsampler: call pipe.load_upsampler() first")
        if self._rate != RATE:
            raise ValueError(f"the upsampler takes {RATE} Hz; this base's vocoder gives {self._rate} Hz: stereo=False")

    @property
    def _rate(self) -> int:
        """Samples a second."""
        return int(self.vocoder.config.sampling_rate)

    @property
    def _default_seconds(self) -> float:
        """The base's own length."""
        return float(self.unet.config.sample_size * self.row_s)

    def _stock_settings(
        self, steps: int | None, guidance_scale: float | None, negative_prompt: str | list[str] | None
    ) -> dict[str, Any]:
        """Return steps and scale as the stock pipeline takes them, those of a LoRA of few steps where one counts."""
        few_steps = self.adapter_manager.few_steps
        if few_steps is not None and (sampling := few_steps.sampling) is not None:
            remark_on_few_steps(sampling, steps, guidance_scale)
            remark_on_missing_sheet(few_steps)
            if guidance_scale in (None, UNGUIDED):
                remark_on_idle_guidance(negative_prompt=negative_prompt or None)
            steps, guidance_scale = or_default(steps, sampling.steps), or_default(guidance_scale, UNGUIDED)
        return given_arguments(num_inference_steps=steps, guidance_scale=guidance_scale)

    def _stock_call(self, callback_on_step_end: StepEndCallback | None, stereo: bool, **arguments: Any) -> Any:
        """Call the stock pipeline, which has no ``callback_on_step_end``; with ``stereo`` its sound is widened."""
        if callback_on_step_end is not None:
            legacy, every = arguments["callback"], arguments["callback_steps"] or 1

            def callback(step: int, t: Tensor, latents: Tensor) -> None:
                changed = callback_on_step_end(self, step, t, {"latents": latents}) or {}
                latents.copy_(changed.get("latents", latents))
                if self._interrupt:
                    raise ValueError(
                        "a call without music cannot be interrupted: give it music, or raise from the callback"
                    )
                if legacy is not None and step % every == 0:
                    legacy(step, t, latents)

            arguments |= {"callback": callback, "callback_steps": 1}
        if not stereo:
            return super().__call__(**arguments)
        mono = super().__call__(**(arguments | {"output_type": "np", "return_dict": False}))[0]
        audios, _, _ = self._spread(np.asarray(mono, np.float32), None, stereo)
        result = torch.from_numpy(audios) if arguments["output_type"] == "pt" else audios
        return AudioPipelineOutput(audios=result) if arguments["return_dict"] else (result,)

    def _on_step(
        self, callback: Callback | None, callback_steps: int, callback_on_step_end: StepEndCallback | None
    ) -> OnStep | None:
        """Return what the sampler calls after each step: both kinds of callback, and the interrupt; None where there
        is nothing to call.
        """
        if callback is None and callback_on_step_end is None:
            return None

        def on_step(step: int, t: Tensor, latents: Tensor) -> Tensor | None:
            if callback_on_step_end is not None:
                changed = callback_on_step_end(self, step, t, {"latents": latents}) or {}
                latents = changed.get("latents", latents)
            if callback is not None and step % callback_steps == 0:
                callback(step // getattr(self.scheduler, "order", 1), t, latents)
            return latents

        return on_step

    def _write_song(
        self, prompt: Any, seconds: float, generator: Generators, pins: dict[str, Any]
    ) -> tuple[LeadSheet, Arrangement]:
        """Write the plan and the arrangement of a song of ``seconds``; the generator's seed is the song's, else the
        global generator draws one.
        """
        check_positive("duration_seconds", seconds)
        if not isinstance(prompt, str):
            raise ValueError(f"prompt={prompt!r}: a song is written from one str; call once for each prompt")
        first = generator[0] if isinstance(generator, list) else generator
        seed = int(torch.randint(2**31, ())) if first is None else first.initial_seed() % 2**31
        sheet = self.plan(prompt, duration_seconds=seconds, seed=seed, **pins)
        return sheet, self.arrange(sheet, seed=seed)

    def _generate(
        self,
        request: GenerationRequest,
        prompts: list[str | None],
        words: dict[str, Any],
        generator: Generators,
        latents: Tensor | None,
        source: SourceLatents | None = None,
        **sampling: Unpack[SamplingOptions],
    ) -> Tensor:
        """Return the latents of all waveforms, (B, channels, rows, cols)."""
        circular = request.loop_seconds is not None
        denoiser = self._denoiser()
        rows = self._rows(request.seconds, circular=circular)
        own_rows = getattr(denoiser, "rows", None) or (
            self.unet.config.sample_size // self._row_multiple * self._row_multiple
        )
        window_rows = own_rows if request.window_seconds is None else self._rows(request.window_seconds)
        if circular:  # a loop's rows are its own; windows that lie around it are multiples
            window_rows = min(window_rows, rows) // self._row_multiple * self._row_multiple
        if self.adapter_manager.sampling is not None and request.guidance.text == UNGUIDED:
            remark_on_idle_guidance(negative_prompt=any(words.get("negative_prompt") or ()) or None)
        noise = self._noise(request, generator, latents)
        windows = prepare_windows(
            self.adapter, request, rows, window_rows, self.row_s, self._execution_device, circular
        )
        text, generated = self._encode_words(prompts, words, request.waveforms, request.guidance.levels, request.style)
        conditions = Conditions(request.batch_size, request.guidance.levels, text, generated, windows)
        return sample(
            denoiser,
            self.adapter,
            self.scheduler,
            conditions,
            request.guidance,
            noise,
            steps=request.steps,
            window_rows=window_rows,
            generator=generator,
            progress=self.progress_bar,
            source=source,
            circular=circular,
            **sampling,
        )

    def _stoppable(self, on_step: OnStep | None) -> OnStep | None:
        """Return ``on_step`` that also stops the sampler where ``pipe._interrupt`` is set."""
        if on_step is None:
            return None

        def stoppable(step: int, t: Tensor, latents: Tensor) -> Tensor | None:
            changed = on_step(step, t, latents)
            return None if self._interrupt else changed

        return stoppable

    def _generate_solos(
        self,
        request: GenerationRequest,
        words: dict[str, Any],
        generator: Generators,
        latents: Tensor | None,
        **sampling: Unpack[SamplingOptions],
    ) -> dict[str, np.ndarray]:
        """Return audio (samples,) of each player under its own notes and words, from one noise; scaled so that their
        sum does not clip.
        """
        (music,) = request.music
        assert music.arrangement is not None  # _check_music saw to it
        noise = self._noise(request, generator, latents)
        solos = {}
        for name, alone in solo_arrangements(music.arrangement).items():
            prompt = solo_prompt(alone.stems[name], music.lead_sheet.genre)
            own = replace(request, music=(replace(music, arrangement=alone),))
            solo = self._generate(own, [prompt], words, generator, noise, **sampling)
            solos[name] = self._sound(solo, request)[0]
        if not solos:
            raise ValueError("stems=True, and no player of the arrangement has a note")
        peak = float(np.abs(mix_stems(solos)).max())
        return {name: audio / max(1.0, peak / 0.99) for name, audio in solos.items()}

    def _sound(self, latents: Tensor, request: GenerationRequest) -> np.ndarray:
        """Return audio (B, samples) of a request's latents, as long as it asks."""
        if request.loop_seconds is None:
            return self._decode(latents, round(request.seconds * self._rate))
        samples = round(request.loop_seconds * self._rate)
        return np.stack([vocode_loop(self, one[None], samples) for one in latents])

    def _rows(self, seconds: float, circular: bool = False) -> int:
        """Latent rows that hold so many seconds, 8 at least; a multiple of what an exported U-Net takes, unless they
        are a loop's.
        """
        rows, multiple = max(8, math.ceil(seconds / self.row_s - 1e-6)), 1 if circular else self._row_multiple
        return math.ceil(rows / multiple) * multiple

    def _encode_words(
        self,
        prompts: list[str | None],
        words: dict[str, Any],
        waveforms: int,
        levels: int,
        style: StyleReference | None = None,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the U-Net's arguments of the T5 stream, and GPT-2's embeddings: rows of no words, and of words at
        every other level.

        Prompts are encoded one by one: padding would leak into the language model.
        """
        device, dtype = self._execution_device, self.unet.dtype
        if words["prompt_embeds"] is not None:
            parts = [self.encode_prompt(None, device, waveforms, True, **words)]
        else:
            lists = [one_a_prompt(name, words[name], len(prompts)) for name in ("transcription", "negative_prompt")]
            parts = [
                self.encode_prompt(
                    prompt or "",
                    device,
                    waveforms,
                    True,
                    **words | {"transcription": script, "negative_prompt": negative},
                )
                for prompt, script, negative in zip(prompts, *lists, strict=True)
            ]
        if style is not None:
            parts = [steer(self, prompt or "", style, part) for prompt, part in zip(prompts, parts, strict=True)]
        longest = max(mask.shape[1] for _, mask, _ in parts)
        halves: list[list[list[Tensor]]] = [
            [[], []],
            [[], []],
            [[], []],
        ]  # embeddings, masks, GPT-2's; without words and with
        for embeds, mask, generated in parts:
            lacking = longest - mask.shape[1]
            padded = (
                torch.nn.functional.pad(embeds.to(dtype), (0, 0, 0, lacking)),
                torch.nn.functional.pad(mask, (0, lacking)),
            )
            for kind, tensor in zip(halves, (*padded, generated.to(dtype)), strict=True):
                for half, rows in zip(kind, tensor.chunk(2), strict=True):
                    half.append(rows)
        embeds, mask, generated = (torch.cat([*without, *(levels - 1) * with_words]) for without, with_words in halves)
        return {"encoder_hidden_states_1": embeds, "encoder_attention_mask_1": mask}, generated

    def _noise(self, request: GenerationRequest, generator: Generators, latents: Tensor | None) -> Tensor:
        """Return what denoising starts from: ``latents`` where given, else noise that is alike where sections recur.

        Raises:
            ValueError: where their shape is another, or there are not as many generators as waveforms.
        """
        device, dtype, waveforms = self._execution_device, self.unet.dtype, request.waveforms
        shape = (
            request.batch_size,
            self.unet.config.in_channels,
            self._rows(request.seconds, circular=request.loop_seconds is not None),
            self.adapter.config.cols,
        )
        if isinstance(generator, list) and len(generator) != shape[0]:
            raise ValueError(f"generator holds {len(generator)} for {shape[0]} waveforms: give one, or one for each")
        if latents is None:
            noise = randn_tensor(shape, generator=generator, device=device, dtype=dtype)
            for i, music in enumerate(request.music):
                relate_sections(noise[i * waveforms : (i + 1) * waveforms], music.lead_sheet, self.row_s)
            return noise
        if tuple(latents.shape) != shape:
            raise ValueError(
                f"latents of shape {tuple(latents.shape)} do not fit: this call needs {shape} "
                "(num_waveforms_per_prompt of every prompt, channels, latent rows of the duration, columns)"
            )
        return latents.to(device, dtype)

    def _decode(self, latents: Tensor, samples: int) -> np.ndarray:
        """Return audio (B, samples) float32, scaled down where it would clip."""
        audio = to_waves(self, to_frames(self, latents))[:, :samples].float().cpu().numpy()
        return audio / np.maximum(1.0, np.abs(audio).max(axis=1, keepdims=True) / 0.99)

    def _rank(self, audios: np.ndarray, request: GenerationRequest) -> tuple[np.ndarray, list[Report], list[int]]:
        """Return the waveforms and their reports, the most obedient of each prompt first, and where each was; of a
        stretch where only that was asked for.
        """
        from musetune.evaluation import report

        ranked: list[np.ndarray] = []
        reports: list[Report] = []
        places: list[int] = []
        for i, music in enumerate(request.music):
            own = audios[i * request.waveforms : (i + 1) * request.waveforms]
            sheet, audible = music.lead_sheet, own
            if music.mask.stretch_s is not None:
                start, end = music.mask.stretch_s
                sheet = sheet.crop(start, end - start)
                audible = own[:, round(start * self._rate) : round(end * self._rate)]
            listened = [report(audio, self._rate, sheet, follow=music.mask.streams) for audio in audible]
            order = sorted(range(len(listened)), key=lambda j: -music.mask.rank(listened[j].scores))
            ranked.append(own[order])
            reports += [listened[j] for j in order]
            places += [i * request.waveforms + j for j in order]
        return np.concatenate(ranked), reports, places
