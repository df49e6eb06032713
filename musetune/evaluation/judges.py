"""Recognisers that we did not train: Chordino for chords, madmom for beats and bars, essentia for the key.

They are tools of the extra ``judge``, never needed to generate. Chordino (Mauch & Dixon, ISMIR 2010; GPL) runs
through vamp, madmom (Böck et al., ISMIR 2016; models CC BY-NC-SA) and essentia (AGPL) in the process. Each function
takes mono float audio (samples,) in −1…1 at ``sr`` Hz.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from musetune.analysis.listening.engines import numpy_1_names
from musetune.audio import resample
from musetune.symbols import LeadSheet
from musetune.symbols.estimate import Estimate

Hint: TypeAlias = (
    float | LeadSheet | None
)  # what the beat tracker is told: a tempo in bpm, a sheet's tempo and meter, nothing
RATE = 44100  # Hz: what the three of them were tuned for
PACKAGES = {"Chordino": "chord-extractor", "madmom": "madmom", "essentia": "essentia"}
MODULES = {"Chordino": "chord_extractor", "madmom": "madmom", "essentia": "essentia"}
INSTALL = (
    'pip install "setuptools<81" numpy cython essentia mido && '
    "pip install --no-build-isolation vamp chord-extractor madmom"
)
INTERVALS = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "#5", "6", "b7", "7")
QUALITIES = {
    "": "maj",
    "m": "min",
    "6": "maj6",
    "7": "7",
    "maj7": "maj7",
    "m7": "min7",
    "m6": "min6",
    "dim": "dim",
    "dim7": "dim7",
    "aug": "aug",
    "m7b5": "hdim7",
    "sus4": "sus4",
    "sus2": "sus2",
}


def missing_judges() -> list[str]:
    """List the judges that are not installed.

    Returns:
        Their names; empty where `judge` can be called.

    Example:
        >>> set(missing_judges()) <= {"Chordino", "madmom", "essentia"}
        True
    """
    return [name for name, module in MODULES.items() if importlib.util.find_spec(module) is None]


def versions() -> dict[str, str]:
    """Judge → version of its package, for reports. Raises ImportError as `judge` does."""
    _demand(*PACKAGES)
    return {name: metadata.version(package) for name, package in PACKAGES.items()}


def judge(wave: np.ndarray, sr: int, *, tempo_hint: Hint = None) -> Estimate:
    """Let recognisers that we did not make listen to a clip: Chordino, madmom and essentia.

    Args:
        wave: Mono audio (samples,) in −1…1.
        sr: Sampling rate in Hz.
        tempo_hint: bpm or a lead sheet; settles the octave of the tempo for the beat tracker (see `madmom_beats`).

    Returns:
        Chords, beats, key and tempo; confidences are NaN, since Chordino gives none.

    Raises:
        ImportError: A judge is missing; the message has the command that installs it.

    Example:
        >>> import numpy as np
        >>> set(judge(np.zeros(32000), 16000).labels)
        {'N'}
    """
    return judge_with_hints(wave, sr, (tempo_hint,))[0]


def judge_with_hints(wave: np.ndarray, sr: int, tempo_hints: Sequence[Hint]) -> list[Estimate]:
    """`judge` once for every tempo hint, at little more than the cost of one: only beats, downbeats and bpm differ."""
    _demand(*PACKAGES)
    audio = _at_rate(wave, sr)
    intervals_s, labels = chordino(audio, RATE)
    confidence, key = np.full(len(labels), np.nan), essentia_key(audio, RATE)
    return [
        Estimate(intervals_s, labels, confidence, beats_s, downbeats_s, key, tempo_of(beats_s))
        for beats_s, downbeats_s in madmom_beats(audio, RATE, tempo_hints=tempo_hints)
    ]


def chordino(wave: np.ndarray, sr: int) -> tuple[np.ndarray, list[str]]:
    """Chord intervals in seconds (n, 2), which cover the clip, and their Harte labels (n)."""
    _demand("Chordino")
    import chord_extractor

    os.environ.setdefault("VAMP_PATH", str(Path(chord_extractor.__file__).parent / "_lib"))  # read when vamp is loaded
    import vamp

    audio = _at_rate(wave, sr)
    listing = vamp.collect(audio, RATE, "nnls-chroma:chordino")["list"]
    duration_s = len(audio) / RATE
    starts = [min(float(item["timestamp"]), duration_s) for item in listing]
    labels = [harte(item["label"]) for item in listing]
    if not starts or starts[0] > 0:
        starts, labels = [0.0, *starts], ["N", *labels]
    intervals_s = np.stack([starts, [*starts[1:], duration_s]], axis=1)
    sounding = intervals_s[:, 1] > intervals_s[:, 0]
    return intervals_s[sounding], [label for label, sounds in zip(labels, sounding, strict=True) if sounds]


def harte(name: str) -> str:
    """Chordino's ``Bbm7/Ab`` as Harte ``Bb:min7/b7``. Raises ValueError for a name that it does not write."""
    if name in ("N", ""):
        return "N"
    head, _, bass = name.partition("/")
    root = head[:2] if head[1:2] in ("b", "#") else head[:1]
    if head[len(root) :] not in QUALITIES:
        raise ValueError(f"{name!r} is none of Chordino's chords; its qualities are {', '.join(QUALITIES)}")
    label = f"{root}:{QUALITIES[head[len(root) :]]}"
    if not bass:
        return label
    step = (_pitch_class(bass) - _pitch_class(root)) % 12
    return label if step == 0 else f"{label}/{INTERVALS[step]}"


def _pitch_class(name: str) -> int:
    """0…11 of a note name with at most one accidental."""
    return ("C.D.EF.G.A.B".index(name[0]) + {"#": 1, "b": -1, "": 0}[name[1:]]) % 12


def madmom_beats(
    wave: np.ndarray, sr: int, *, tempo_hints: Sequence[Hint] = (None,)
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Beat and downbeat times in seconds by madmom's recurrent network and bar model (3 or 4 beats), once for every
    hint.

    A hint in bpm restricts the tempo to two thirds up to one and a half times it: the octave is given, the tempo is
    not. A lead sheet as hint gives its tempo and, where the meter is compound, the bar: madmom looks for bars of 3 or 4
    and would hear 6/8, two beats a bar, as 3/4 at one and a half times the tempo.
    """
    _demand("madmom")
    with numpy_1_names(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # madmom 0.16 speaks the numpy and scipy of 2018
        from madmom.audio.signal import Signal

        activations = _network()(Signal(_at_rate(wave, sr), RATE))
        beats = [np.asarray(_tracker(hint)(activations), dtype=float) for hint in tempo_hints]
    return [(rows[:, 0], rows[rows[:, 1] == 1, 0]) for rows in beats]


@lru_cache(maxsize=1)
def _network() -> Any:
    from madmom.features.downbeats import RNNDownBeatProcessor

    return RNNDownBeatProcessor()


def _tracker(hint: Hint) -> Any:
    """A bar tracker whose tempo range and bars fit the hint (madmom's own range is 55–215 bpm)."""
    from madmom.features.downbeats import DBNDownBeatTrackingProcessor, _process_dbn

    bpm, bars = (hint.bpm, bars_of(hint)) if isinstance(hint, LeadSheet) else (hint, [3, 4])
    low, high = (55.0, 215.0) if bpm is None else (bpm / 1.5, bpm * 1.5)
    tracker = DBNDownBeatTrackingProcessor(beats_per_bar=bars, min_bpm=low, max_bpm=high, fps=100)

    def decode(_: Any, jobs: Iterator[Any]) -> Iterator[np.ndarray]:
        for job in jobs:  # madmom stacks the (path, score) pairs; numpy 2 stacks them only as arrays of objects
            pair = np.empty(2, dtype=object)
            pair[:] = _process_dbn(job)
            yield pair

    tracker.map = decode
    return tracker


def bars_of(sheet: LeadSheet) -> list[int]:
    """Lengths in beats of the bars that madmom shall look for: its own, 3 and 4, where the meter is simple."""
    return [sheet.meter.beats_per_bar] if sheet.meter.compound else [3, 4]


def essentia_key(wave: np.ndarray, sr: int) -> str:
    """The key ("Bb major") by essentia's HPCP and the ``bgate`` profile."""
    _demand("essentia")
    import essentia

    essentia.log.infoActive = False
    essentia.log.warningActive = False
    import essentia.standard as es

    tonic, mode, _ = es.KeyExtractor(profileType="bgate", sampleRate=RATE)(_at_rate(wave, sr))
    return f"{tonic} {mode}"


def tempo_of(beats_s: np.ndarray) -> float | None:
    """Beats a minute: the slope of the line through all beats, finer than a tracker's frame; None below three beats."""
    if len(beats_s) < 3:
        return None
    return 60.0 / float(np.polyfit(np.arange(len(beats_s)), beats_s, 1)[0])


def _at_rate(wave: np.ndarray, sr: int) -> np.ndarray:
    if np.ndim(wave) != 1:
        raise ValueError(f"wave has shape {np.shape(wave)}; the judges take mono audio (samples,)")
    audio = np.asarray(wave, dtype=np.float32)
    return np.ascontiguousarray(audio if sr == RATE else resample(audio, sr, RATE))


def _demand(*names: str) -> None:
    absent = [name for name in names if name in missing_judges()]
    if absent:
        raise ImportError(f"judges not installed: {', '.join(absent)}. Install them with: {INSTALL}")
