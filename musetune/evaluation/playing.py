"""What an evaluation plays beside the generated clips, and what its audio and its figures depend on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from musetune import __version__, analysis
from musetune.audio import find_soundfont, mel_frontend, synthesize
from musetune.evaluation.bootstrap import Mean
from musetune.evaluation.judges import versions
from musetune.symbols.json_values import JsonObject

if TYPE_CHECKING:
    import torch
    from diffusers import AudioLDM2Pipeline

    from musetune.symbols import LeadSheet


def render_sheet(sheet: LeadSheet, sr: int, *, seed: int, soundfont: str | Path | None = None) -> np.ndarray:
    """The sheet arranged by rule and played by the soundfont (default: what `find_soundfont` finds).

    Mono (samples,) at ``sr`` Hz.
    """
    from musetune.planning.rules.orchestrate import orchestrate

    midi = orchestrate(sheet, seed=seed).arrangement.to_pretty_midi()
    return synthesize(midi, sr, duration_s=sheet.duration_s, soundfont=soundfont)


def through_codec(pipe: AudioLDM2Pipeline, wave: np.ndarray) -> np.ndarray:
    """Mono waveform (samples,) at the vocoder's rate → spectrogram → latents → spectrogram → waveform, by the base's
    own modules.
    """
    import torch

    with torch.no_grad():
        mel = mel_frontend(pipe).to(pipe.device)(torch.from_numpy(wave)[None].to(pipe.device))
        whole = mel.shape[2] // pipe.vae_scale_factor * pipe.vae_scale_factor
        latents = pipe.vae.encode(mel[:, :, :whole]).latent_dist.mode()
        audio = pipe.mel_spectrogram_to_waveform(pipe.vae.decode(latents).sample).float().cpu().numpy()[0]
    return limit_peak(audio)


def limit_peak(wave: np.ndarray) -> np.ndarray:
    """The wave as float32, scaled down where it would clip."""
    return np.asarray(wave / max(1.0, np.abs(wave).max() / 0.99), dtype=np.float32)


def fingerprint(module: torch.nn.Module) -> str:
    """A hash of all weights, whatever type they are kept in."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}".encode() + value.float().cpu().numpy().tobytes())
    return digest.hexdigest()


def provenance(pipe: AudioLDM2Pipeline, soundfont: str | Path | None = None) -> JsonObject:
    """What audio and figures depend on beside the request.

    Every network of ``pipe`` (text encoders and adapter too) and our analyser's weights by their hashes, the scheduler,
    the judges' versions, the soundfont's name and MuseTune's version.

    Raises ImportError where judges are missing.
    """
    import torch

    parts = {**pipe.components, "adapter": getattr(pipe, "adapter", None)}
    scheduler = repr((type(pipe.scheduler).__name__, sorted(pipe.scheduler.config.items())))
    return {
        "weights": {name: fingerprint(part) for name, part in parts.items() if isinstance(part, torch.nn.Module)},
        "scheduler": hash_of(scheduler.encode()),
        "analyser": hash_of(*(path.read_bytes() for path in _analyser_files())),
        "judges": versions(),
        "soundfont": find_soundfont(soundfont).name,
        "musetune": __version__,
    }


def hash_of(*parts: bytes) -> str:
    """16 hexadecimal digits of ``parts`` in their order."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def remember(out: Path, now: JsonObject) -> None:
    """Write what the audio depends on to settings.json in ``out``.

    Raises ValueError where it holds audio that depends on something else.
    """
    path = out / "settings.json"
    if path.exists() and (before := json.loads(path.read_text())) != now:
        differing = [key for key in sorted(now.keys() | before.keys()) if before.get(key) != now.get(key)]
        raise ValueError(f"{out} holds audio made with another {', '.join(differing)}; give another --out or remove it")
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(now, indent=1))


def cell(mean: Mean | None) -> str:
    """Write "85.1 (79–90)" of 0…1; a dash where there is nothing."""
    return "—" if mean is None else f"{100 * mean.mean:.1f} ({100 * mean.low:.0f}–{100 * mean.high:.0f})"


def _analyser_files() -> list[Path]:
    """The analyser's weights and genre conventions."""
    folder = Path(analysis.__file__).parent
    return sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".npz", ".yaml"))
