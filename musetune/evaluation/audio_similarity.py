"""Sound beside obedience: how far a copy is from its original, a Fréchet distance on a fixed embedding, and the
similarity of prompt and audio by a base's own CLAP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from musetune.audio import resample

if TYPE_CHECKING:
    from diffusers import AudioLDM2Pipeline

WINDOW_S = 1.0
COEFFICIENTS = 20
N_FFT, HOP = 2048, 512
FLOOR = 1e-5  # of mel magnitudes, as in AudioLDM 2's log-mel
HARMONICS = (1, 2, 3, 4)


def copy_distances(original: np.ndarray, copy: np.ndarray, sr: int) -> dict[str, float]:
    """How far mono ``copy`` (samples,) is from ``original`` (samples,) at ``sr`` Hz, phases aside.

    The longer one is cut.

    spectral_convergence: ‖|X| − |Y|‖ / ‖|X|‖ of the magnitudes (Arik et al. 2018), 0 alike. log_mel_l1: mean difference
    of 80 log-mel bands in nepers, 0 alike. pitch_salience: cosine of the two maps of harmonic salience (librosa), 1
    alike. Neither may be silent.
    """
    import librosa

    samples = min(len(original), len(copy))
    spectra = [
        np.abs(librosa.stft(np.asarray(w[:samples], np.float32), n_fft=N_FFT, hop_length=HOP)) for w in (original, copy)
    ]
    mels = [np.log(np.maximum(librosa.feature.melspectrogram(S=s, sr=sr, n_mels=80), FLOOR)) for s in spectra]
    x, y = (_salience(s, sr) for s in spectra)
    return {
        "spectral_convergence": float(np.linalg.norm(spectra[0] - spectra[1]) / np.linalg.norm(spectra[0])),
        "log_mel_l1": float(np.abs(mels[0] - mels[1]).mean()),
        "pitch_salience": float((x * y).sum() / (np.linalg.norm(x) * np.linalg.norm(y))),
    }


def _salience(magnitudes: np.ndarray, sr: int) -> np.ndarray:
    """(bins, frames) ≥ 0: how much energy lies at each frequency's first harmonics, at spectral peaks alone."""
    import librosa

    frequencies = librosa.fft_frequencies(sr=sr, n_fft=N_FFT)
    return librosa.salience(magnitudes, freqs=frequencies, harmonics=list(HARMONICS), fill_value=0.0)


def timbre(wave: np.ndarray, sr: int) -> np.ndarray:
    """(seconds, 40): means and standard deviations of 20 MFCCs in each whole second of mono ``wave`` (samples,).

    A fixed embedding that needs no network; it sees spectra and how much they move, neither pitch nor rhythm.
    """
    import librosa

    hop = round(0.02 * sr)
    mfcc = librosa.feature.mfcc(
        y=np.asarray(wave, np.float32), sr=sr, n_mfcc=COEFFICIENTS, n_fft=2048, hop_length=hop, n_mels=64
    )
    frames = round(WINDOW_S * sr / hop)
    count = mfcc.shape[1] // frames
    blocks = mfcc[:, : count * frames].reshape(COEFFICIENTS, count, frames)
    return np.concatenate([blocks.mean(axis=2), blocks.std(axis=2)]).T


def frechet_distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """|μ₁−μ₂|² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½) of two sets of embeddings (n, d) (Heusel et al. 2017; for audio Kilgour et
    al. 2019).

    Raises ValueError where a set has fewer members than dimensions: its covariance would be singular.
    """
    for points in (ours, theirs):
        if len(points) <= points.shape[1]:
            raise ValueError(f"{len(points)} embeddings of {points.shape[1]} dimensions are too few; give more audio")
    moments = (moment for points in (ours, theirs) for moment in (points.mean(axis=0), np.cov(points, rowvar=False)))
    return gaussian_distance(*moments)


def gaussian_distance(
    mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray
) -> float:
    """Fréchet distance of two Gaussians by their means (d,) and covariances (d, d) (Dowson & Landau 1982).

    Example:
        >>> round(gaussian_distance(np.zeros(2), np.eye(2), np.ones(2), np.eye(2)), 6)
        2.0
    """
    from scipy import linalg

    eigenvalues = linalg.eigvals(covariance @ other_covariance)  # the root's trace is the sum of the roots of these
    root = np.sqrt(np.clip(eigenvalues.real, 0, None)).sum()
    shift = mean - other_mean
    return float(shift @ shift + np.trace(covariance) + np.trace(other_covariance) - 2 * root)


def timbre_distance(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> float | None:
    """`frechet_distance` of two sets of clips, each clip's `timbre` given; None with too little audio."""
    sets = [np.concatenate(list(clips)) for clips in (ours, theirs)]
    enough = all(len(points) > points.shape[1] for points in sets)
    return frechet_distance(sets[0], sets[1]) if enough else None


def clap_similarity(
    pipe: AudioLDM2Pipeline, prompts: Sequence[str], waves: Sequence[np.ndarray], sr: int
) -> np.ndarray:
    """Cosine (n,) of each prompt and its mono wave at ``sr`` Hz by the CLAP inside ``pipe``: −1…1, a column that the
    base is not independent of."""
    import torch

    rate = pipe.feature_extractor.sampling_rate
    inputs = pipe.tokenizer(list(prompts), return_tensors="pt", padding=True)
    sound = [resample(wave, sr, rate) if rate != sr else wave for wave in waves]
    features = pipe.feature_extractor(sound, return_tensors="pt", sampling_rate=rate)
    with torch.no_grad():
        out = pipe.text_encoder(**inputs, input_features=features.input_features.to(pipe.text_encoder.dtype))
    return torch.nn.functional.cosine_similarity(out.text_embeds, out.audio_embeds).float().numpy()
