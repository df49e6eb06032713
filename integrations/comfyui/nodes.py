"""Nodes: load a pipeline, write a lead sheet, generate, repaint, report.

ComfyUI's AUDIO is ``{"waveform": float tensor (batch, channels, samples), "sample_rate": Hz}``.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

from musetune import LeadSheet, MuseTunePipeline
from musetune.evaluation import report
from musetune.symbols import GENRES

CATEGORY = "audio/MuseTune"
PIPELINE, SHEET = "MUSETUNE_PIPELINE", "MUSETUNE_SHEET"
PROMPT = ("STRING", {"multiline": True, "default": "bright pop song", "tooltip": "genre, instruments, mood"})
SEED = (
    "INT",
    {"default": 0, "min": 0, "max": 2**32 - 1, "control_after_generate": True, "tooltip": "same seed, same audio"},
)
STEPS = ("INT", {"default": 20, "min": 1, "max": 200, "tooltip": "denoising steps"})
SCALE: dict[str, Any] = {"default": 3.0, "min": 0.0, "max": 20.0, "step": 0.1}


class MuseTuneLoad:
    """Loads a base and its adapters; ComfyUI keeps them while the inputs stay the same."""

    CATEGORY, FUNCTION = CATEGORY, "load"
    RETURN_TYPES, RETURN_NAMES = (PIPELINE,), ("pipeline",)
    DESCRIPTION = (
        "A base (nano, a folder, a Hub id), the adapter that makes it follow lead sheets, and a genre adapter."
    )

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Return what the node takes."""
        return {
            "required": {
                "base": (
                    "STRING",
                    {"default": "nano", "tooltip": "nano, a folder, or a Hub id such as cvssp/audioldm2"},
                ),
                "adapter": ("STRING", {"default": "theory", "tooltip": "bundled name, folder or Hub id"}),
                "genre_adapter": (["none", *GENRES], {"default": "none"}),
                "genre_weight": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 2.0, "step": 0.05}),
            }
        }

    def load(self, base: str, adapter: str, genre_adapter: str, genre_weight: float) -> tuple[MuseTunePipeline]:
        """Return the pipeline, on the GPU where there is one, with the upsampler to 48 kHz stereo."""
        pipe = MuseTunePipeline.from_pretrained(base, adapter=adapter)
        if genre_adapter != "none":
            pipe.load_adapter(genre_adapter, genre_adapter)
            pipe.set_adapter({genre_adapter: genre_weight})
        if pipe.upsampler is None:
            pipe.load_upsampler()
        pipe.set_progress_bar_config(disable=True)
        return (pipe.to("cuda" if torch.cuda.is_available() else "cpu"),)


class MuseTuneSheet:
    """Writes a lead sheet from chords."""

    CATEGORY, FUNCTION = CATEGORY, "write"
    RETURN_TYPES, RETURN_NAMES = (SHEET,), ("lead_sheet",)
    DESCRIPTION = "Chords as 'I V vi IV', 'Am7 F C/E G' or a chart '| C | G/B . Am7 . |', repeated to the length."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Return what the node takes."""
        return {
            "required": {
                "chords": ("STRING", {"multiline": True, "default": "I V vi IV"}),
                "key": ("STRING", {"default": "C major"}),
                "bpm": ("FLOAT", {"default": 120.0, "min": 30.0, "max": 300.0, "step": 0.1}),
                "time_signature": ("STRING", {"default": "4/4"}),
                "genre": (["none", *GENRES], {"default": "none"}),
                "seconds": ("FLOAT", {"default": 10.24, "min": 0.0, "max": 600.0, "step": 0.01, "tooltip": "0: once"}),
            }
        }

    def write(
        self, chords: str, key: str, bpm: float, time_signature: str, genre: str, seconds: float
    ) -> tuple[LeadSheet]:
        """Return the lead sheet."""
        sheet = LeadSheet.parse(
            chords,
            key=key,
            bpm=bpm,
            time_signature=time_signature,
            genre=None if genre == "none" else genre,
            duration_seconds=seconds or None,
        )
        return (sheet,)


class MuseTuneGenerate:
    """Generates audio that follows a lead sheet."""

    CATEGORY, FUNCTION = CATEGORY, "generate"
    RETURN_TYPES, RETURN_NAMES = ("AUDIO",), ("audio",)
    DESCRIPTION = "48 kHz stereo, or the base's own 16 kHz mono."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Return what the node takes."""
        return {
            "required": {
                "pipeline": (PIPELINE,),
                "lead_sheet": (SHEET,),
                "prompt": PROMPT,
                "seed": SEED,
                "steps": STEPS,
                "guidance": ("FLOAT", SCALE | {"tooltip": "how hard the words are pushed"}),
                "music_guidance": ("FLOAT", SCALE | {"tooltip": "how hard the chords are pushed"}),
                "candidates": ("INT", {"default": 1, "min": 1, "max": 16, "tooltip": "the most obedient comes first"}),
                "stereo": ("BOOLEAN", {"default": True}),
            }
        }

    def generate(
        self,
        pipeline: MuseTunePipeline,
        lead_sheet: LeadSheet,
        prompt: str,
        seed: int,
        steps: int,
        guidance: float,
        music_guidance: float,
        candidates: int,
        stereo: bool,
    ) -> tuple[dict[str, Any]]:
        """Return AUDIO, a batch of the candidates."""
        output = pipeline(
            prompt,
            lead_sheet=lead_sheet,
            generator=torch.Generator().manual_seed(seed),
            num_inference_steps=steps,
            guidance_scale=guidance,
            music_guidance_scale=music_guidance,
            num_waveforms_per_prompt=candidates,
            stereo=stereo,
            callback_on_step_end=_progress(steps),
        )
        return (_to_comfy(output.audios, output.sampling_rate),)


class MuseTuneRepaint:
    """Makes bars of a piece anew; the rest stays, sample for sample."""

    CATEGORY, FUNCTION = CATEGORY, "repaint"
    RETURN_TYPES, RETURN_NAMES = ("AUDIO",), ("audio",)
    DESCRIPTION = "Beyond the 50 ms before either end every sample is the input's. Of a batch the first is taken."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Return what the node takes."""
        bar = {"default": 1, "min": 1, "max": 9999}
        return {
            "required": {
                "pipeline": (PIPELINE,),
                "audio": ("AUDIO",),
                "lead_sheet": (SHEET, {"tooltip": "of the whole piece"}),
                "first_bar": ("INT", bar | {"tooltip": "counted from 1"}),
                "last_bar": ("INT", bar | {"tooltip": "included"}),
                "chords": ("STRING", {"default": "", "tooltip": "new chords for the bars; empty: the sheet's"}),
                "prompt": PROMPT,
                "seed": SEED,
                "steps": STEPS,
            }
        }

    def repaint(
        self,
        pipeline: MuseTunePipeline,
        audio: dict[str, Any],
        lead_sheet: LeadSheet,
        first_bar: int,
        last_bar: int,
        chords: str,
        prompt: str,
        seed: int,
        steps: int,
    ) -> tuple[dict[str, Any]]:
        """Return AUDIO of the whole piece."""
        wave, rate = _from_comfy(audio)
        output = pipeline.repaint(
            wave,
            lead_sheet,
            prompt,
            bars=(first_bar, last_bar),
            harmonic_progression=chords.strip() or None,
            sampling_rate=rate,
            generator=torch.Generator().manual_seed(seed),
            num_inference_steps=steps,
            callback_on_step_end=_progress(steps),
        )
        return (_to_comfy(output.audios, output.sampling_rate),)


class MuseTuneReport:
    """Listens to audio and says what of the lead sheet it follows."""

    CATEGORY, FUNCTION, OUTPUT_NODE = CATEGORY, "listen", True
    RETURN_TYPES, RETURN_NAMES = ("STRING", "FLOAT", "STRING"), ("summary", "score", "json")
    DESCRIPTION = "Chords, beats, bar lines and key by MuseTune's analyser. Of a batch the first is heard."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Return what the node takes."""
        return {"required": {"audio": ("AUDIO",), "lead_sheet": (SHEET,)}}

    def listen(self, audio: dict[str, Any], lead_sheet: LeadSheet) -> dict[str, Any]:
        """Return the summary, the score 0–1 and the report; the summary is shown on the node."""
        wave, rate = _from_comfy(audio)
        found = report(wave.mean(axis=0), rate, lead_sheet)
        data = json.loads(found.dumps({}))
        return {
            "ui": {"text": [found.summary]},
            "result": (found.summary, float(found.score), json.dumps(data, indent=1)),
        }


def _to_comfy(audios: np.ndarray, rate: int) -> dict[str, Any]:
    """Return AUDIO of (batch, samples) or (batch, channels, samples)."""
    waveform = torch.from_numpy(np.array(audios, np.float32))
    return {"waveform": waveform[:, None] if waveform.ndim == 2 else waveform, "sample_rate": int(rate)}


def _from_comfy(audio: dict[str, Any]) -> tuple[np.ndarray, int]:
    """Return floats (channels, samples) of the first of a batch, and its rate."""
    return audio["waveform"][0].detach().cpu().float().numpy(), int(audio["sample_rate"])


def _progress(steps: int) -> Any:
    """Return what shows each step in ComfyUI and stops where its user stops; None outside of ComfyUI."""
    try:
        from comfy.model_management import throw_exception_if_processing_interrupted
        from comfy.utils import ProgressBar
    except ImportError:
        return None
    bar = ProgressBar(steps)

    def shown(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        throw_exception_if_processing_interrupted()
        bar.update(1)
        return {}

    return shown


NODE_CLASS_MAPPINGS: dict[str, type] = {
    cls.__name__: cls for cls in (MuseTuneLoad, MuseTuneSheet, MuseTuneGenerate, MuseTuneRepaint, MuseTuneReport)
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "MuseTuneLoad": "MuseTune: load",
    "MuseTuneSheet": "MuseTune: lead sheet",
    "MuseTuneGenerate": "MuseTune: generate",
    "MuseTuneRepaint": "MuseTune: repaint bars",
    "MuseTuneReport": "MuseTune: report",
}
