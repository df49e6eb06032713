"""Transcribers that we did not train: what notes and drum strokes are heard in a mix.

librosa's median filters (Fitzgerald, DAFx 2010) part it into what holds and what strikes. basic-pitch (Bittner et al.,
ICASSP 2022; Apache-2.0) writes notes of the first at its own thresholds. Of the second ADTLib (Southall et al., ISMIR
2017; BSD) says when kick, snare and metal are struck, madmom's convolutional network (Schlüter & Böck, MML 2013; CC
BY-NC-SA) when anything is. Tools of the extra ``judge``, never needed to generate.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from musetune.analysis.listening.engines import numpy_1_names
from musetune.audio import resample
from musetune.evaluation import adtlib

PACKAGES = {"basic-pitch": "basic-pitch", "ADTLib": "adtlib", "madmom": "madmom"}
MODULES = {"basic-pitch": ("basic_pitch", "onnxruntime", "resampy"), "ADTLib": ("ADTLib",), "madmom": ("madmom",)}
INSTALL = (
    'pip install "setuptools<81" numpy cython mido onnxruntime resampy && '
    "pip install --no-build-isolation --no-deps madmom basic-pitch==0.4.0 adtlib==2.1.2"
)
DRUMS = ("kick", "snare", "metal")
# ADTLib hears recordings of drums, and hears more the louder they are. So each kind is judged at a loudness of its own
# (dB of full scale of the 99th percentile of the percussive part's magnitude: one loud stroke does not count) above an
# activation of its own: where it hears a synthesiser's renderings best and 6 dB more or less matter least
# (benchmarks/drum_judge.py).
LOUD, LOUD_DB = 0.99, {"kick": -30, "snare": -27, "metal": -15}
STRUCK = {"kick": 0.02, "snare": 0.02, "metal": 0.1}
ANY_STROKE = 0.54  # madmom's own threshold


@dataclass(frozen=True)
class Transcription:
    """What is heard: ``notes`` (n, 3) onset and end in seconds and MIDI pitch.

    ``drums`` strokes in seconds (n,) of "kick", "snare" and "metal" (hats, cymbals, shakers: the transcriber does not
    part them); ``strokes`` (n,) strokes of any kind by another judge.
    """

    notes: np.ndarray
    drums: dict[str, np.ndarray]
    strokes: np.ndarray


def missing_transcribers() -> list[str]:
    """Names of the transcribers that are not installed."""
    return [name for name, modules in MODULES.items() if not all(map(importlib.util.find_spec, modules))]


def transcriber_versions() -> dict[str, str]:
    """Transcriber → version of its package, for reports. Raises ImportError as `transcribe` does."""
    _demand()
    return {name: metadata.version(package) for name, package in PACKAGES.items()}


def transcribe(wave: np.ndarray, sr: int) -> Transcription:
    """What is heard in mono ``wave`` (samples,) in −1…1 at ``sr`` Hz.

    Raises ImportError, with the command that installs them, where a transcriber is missing, ValueError for another
    shape.
    """
    _demand()
    if np.ndim(wave) != 1:
        raise ValueError(f"wave has shape {np.shape(wave)}; the transcribers take mono audio (samples,)")
    import librosa

    harmonic, percussive = librosa.effects.hpss(np.asarray(wave, np.float32))
    return Transcription(pitched_notes(harmonic, sr), drum_strokes(percussive, sr), any_strokes(percussive, sr))


def pitched_notes(wave: np.ndarray, sr: int) -> np.ndarray:
    """(n, 3): onset and end in seconds and MIDI pitch of basic-pitch's notes, by its own defaults."""
    import soundfile

    if _silent(wave):
        return np.zeros((0, 3))
    inference, model = _basic_pitch()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():  # it reads files alone
        warnings.simplefilter("ignore", DeprecationWarning)  # of what librosa could read besides
        path = Path(folder) / "wave.wav"
        soundfile.write(path, wave, sr, subtype="FLOAT")
        output = inference.run_inference(path, model)
    shortest = round(0.1277 * inference.AUDIO_SAMPLE_RATE / inference.FFT_HOP)  # predict()'s minimum_note_length
    _, events = inference.infer.model_output_to_notes(
        output, onset_thresh=0.5, frame_thresh=0.3, min_note_len=shortest, include_pitch_bends=False
    )
    return np.array(sorted(event[:3] for event in events), dtype=float).reshape(-1, 3)


@lru_cache(maxsize=1)
def _basic_pitch() -> tuple[Any, Any]:
    """Its module ``inference`` and its model, of the ONNX weights that its wheel holds."""
    with _silence_logging():  # it tells which other runtimes are not there
        import basic_pitch
        from basic_pitch import inference
    weights = basic_pitch.build_icassp_2022_model_path(basic_pitch.FilenameSuffix.onnx)
    return inference, inference.Model(weights)


@contextlib.contextmanager
def _silence_logging() -> Iterator[None]:
    """Nothing is logged, and the logging of who imports us is not set up by an import."""
    root, level, silent = logging.getLogger(), logging.root.manager.disable, logging.NullHandler()
    root.addHandler(silent)
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
        root.removeHandler(silent)


def drum_strokes(wave: np.ndarray, sr: int) -> dict[str, np.ndarray]:
    """Seconds (n,) at which each of `DRUMS` is struck, by ADTLib.

    ``wave`` is scaled to one loudness, so that its own does not matter.
    """
    if _silent(wave):
        return {name: np.zeros(0) for name in DRUMS}
    loud = max(
        np.quantile(np.abs(wave), LOUD), np.abs(wave).max() / 20
    )  # where hardly anything is struck, 26 dB under the peak
    return {name: peaks(activation, STRUCK[name]) for name, activation in activations(wave / loud, sr, LOUD_DB).items()}


def activations(wave: np.ndarray, sr: int, gain_db: Mapping[str, float]) -> dict[str, np.ndarray]:
    """(frames,) 0…1 for each of `DRUMS`: how sure ADTLib is that it is struck where ``wave`` is so much louder."""
    with _as_in_2018():
        from madmom.audio.spectrogram import Spectrogram

        sizes = {"frame_size": adtlib.FRAME, "hop_size": adtlib.HOP, "fft_size": adtlib.FRAME}
        spectrogram = np.asarray(Spectrogram(_signal(wave, sr), **sizes))
    return {name: adtlib.activations(spectrogram * 10 ** (gain_db[name] / 20), name) for name in DRUMS}


def peaks(activation: np.ndarray, threshold: float) -> np.ndarray:
    """Seconds of the local maxima above ``threshold``, as ADTLib picks them."""
    before, here, after = np.pad(activation, 1)[:-2], activation, np.pad(activation, 1)[2:]
    return np.flatnonzero((here > before) & (here >= after) & (here > threshold)) * adtlib.HOP / adtlib.RATE


def any_strokes(wave: np.ndarray, sr: int) -> np.ndarray:
    """Seconds (n,) of onsets of any kind, by madmom's convolutional network and its own peak picking."""
    if _silent(wave):
        return np.zeros(0)
    with _as_in_2018():
        from madmom.features.onsets import OnsetPeakPickingProcessor

        pick = OnsetPeakPickingProcessor(
            threshold=ANY_STROKE, fps=100, smooth=0.05, combine=0.03, pre_max=0.01, post_max=0.01
        )
        return np.asarray(pick(_onset_network()(_signal(wave, sr))), dtype=float)


def _silent(wave: np.ndarray) -> bool:
    """Whether it never leaves −80 dB: there the transcribers would hear rounding."""
    return float(np.abs(wave).max(initial=0)) < 1e-4


@lru_cache(maxsize=1)
def _onset_network() -> Any:
    from madmom.features.onsets import CNNOnsetProcessor

    return CNNOnsetProcessor()


def _signal(wave: np.ndarray, sr: int) -> Any:
    """madmom's at 44.1 kHz; to be called inside `_as_in_2018`."""
    from madmom.audio.signal import Signal

    audio = np.asarray(wave, np.float32)
    return Signal(np.ascontiguousarray(audio if sr == adtlib.RATE else resample(audio, sr, adtlib.RATE)), adtlib.RATE)


@contextlib.contextmanager
def _as_in_2018() -> Iterator[None]:
    """madmom 0.16 speaks the numpy and scipy of 2018."""
    with numpy_1_names(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _demand() -> None:
    if absent := missing_transcribers():
        raise ImportError(f"transcribers not installed: {', '.join(absent)}. Install them with: {INSTALL}")
