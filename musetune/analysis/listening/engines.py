"""Beat trackers of others, for who has installed them: never needed, named where they are absent.

madmom (Böck et al., ISMIR 2016; its models are CC BY-NC-SA) and Beat This! (Foscarin et al., ISMIR 2024; it fetches its
weights when first used)."""

from __future__ import annotations

import collections
import collections.abc
import importlib
import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any

import numpy as np

ENGINES = ("musetune", "madmom", "beat_this")
INSTALL = {
    "madmom": "pip install cython 'setuptools<81' mido && pip install --no-build-isolation --no-deps madmom",
    "beat_this": "pip install https://github.com/CPJKU/beat_this/archive/main.zip",
}
RATE = 44100  # Hz: what madmom was trained on


def beats_of(path: str | PathLike, engine: str) -> np.ndarray | None:
    """Beat times in seconds (n,) by `engine`; None for "musetune", whose own tracker is part of the analysis.

    Raises ValueError for another name, ImportError where the engine is not installed, RuntimeError where it fails.
    """
    check_engine(engine)
    if engine == "musetune":
        return None
    try:
        beats_s = _madmom(path) if engine == "madmom" else _beat_this(path)
    except (ImportError, FileNotFoundError):
        raise
    except Exception as error:  # another's program may raise anything
        raise RuntimeError(f"{engine} fails on {path}: {type(error).__name__}: {error}") from error
    beats = np.unique(np.asarray(beats_s, float))
    if len(beats) < 4:
        raise ValueError(f"{engine} hears {len(beats)} beats in {path}; at least four are needed: try --beats musetune")
    return beats


def check_engine(engine: str) -> None:
    """Raise ValueError where there is no such engine, ImportError where it is not installed and how to install it."""
    if engine not in ENGINES:
        raise ValueError(f"beats={engine!r} is not one of {', '.join(ENGINES)}")
    if engine != "musetune" and importlib.util.find_spec(engine) is None:
        raise ImportError(f"--beats {engine} needs {engine}, which is not installed: {INSTALL[engine]}")


def _engine(module: str, engine: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{engine} cannot be imported ({error}); install it anew: {INSTALL[engine]}") from error


def _beat_this(path: str | PathLike) -> np.ndarray:
    beats, _ = _engine("beat_this.inference", "beat_this").File2Beats(checkpoint_path="final0", device="cpu")(str(path))
    return beats


def _madmom(path: str | PathLike) -> np.ndarray:
    from musetune.audio import load_audio

    with numpy_1_names(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # madmom 0.16 speaks the numpy and scipy of 2018
        beats = _engine("madmom.features.beats", "madmom")
        signal = _engine("madmom.audio.signal", "madmom").Signal
        wave, _ = load_audio(str(path), RATE)
        activation = beats.RNNBeatProcessor()(signal(wave, RATE))
        return beats.DBNBeatTrackingProcessor(fps=100)(activation)


@contextmanager
def numpy_1_names() -> Iterator[None]:
    """The names that madmom 0.16 needs and that numpy 2 and Python 3.10 dropped, for as long as it runs."""
    added: list[tuple[Any, str, Any]] = [
        (np, name, kind) for name, kind in (("float", float), ("int", int), ("object", object), ("complex", complex))
    ]
    added += [
        (collections, name, getattr(collections.abc, name)) for name in ("MutableSequence", "Iterable", "Sequence")
    ]
    added = [(owner, name, value) for owner, name, value in added if name not in vars(owner)]
    for owner, name, value in added:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, _ in added:
            delattr(owner, name)
