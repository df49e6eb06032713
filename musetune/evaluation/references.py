"""What an evaluation plays beside the generated clips: the sheet rendered, and that through a base's codec."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from musetune.audio import mel_frontend, synthesize

if TYPE_CHECKING:
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
