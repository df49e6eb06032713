"""Examples for recipes/analyzer/train.py: a song played and recorded in some manner, what the networks see of it, and
the truth.

Songs: POP909 as written, with another band, in other meters, with a wandering tempo; lead sheets of OpenEWLD
arranged in six genres; made-up chord studies. Sound: several soundfonts, a voice-like lead, detuning, reverb,
equaliser, compression, noise, MP3.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import mir_eval
import numpy as np

from musetune.analysis.listening.features import extract
from musetune.analysis.listening.network_inputs import beat_features, chord_inputs
from musetune.analysis.listening.spectrum import salience
from musetune.analysis.listening.vocabulary import FOLDED, METERS, N_KEYS, NO_BASS, QUALITIES
from musetune.audio import synthesize
from musetune.audio.source import RATE
from musetune.datasets.chord_studies import study
from musetune.datasets.corpus import HALVES, AnnotatedSong, at_tempo, in_meter, load_pop909, rubato

DRUMS_ALONE = 0.04  # examples without a chord, as a share of the others
KINDS = {"plain": 0.3, "band": 0.25, "meter": 0.13, "study": 0.12, "sheet": 0.2}


@dataclass(frozen=True)
class ExampleJob:
    """One example: a function of these values alone. `source` a POP909 folder or a lead sheet; None for a study."""

    number: int
    kind: str
    source: Path | None
    soundfont: Path
    seconds: float


def make_example(job: ExampleJob) -> dict[str, np.ndarray]:
    """What the networks see, and the truth, ready to be stored."""
    rng = np.random.default_rng(job.number)
    song = song_of(job, rng)
    wave, factor = record(song, job.soundfont, rng)
    features = extract([wave])
    pitches = salience(features.spectrum, features.loudness)
    notes, level = chord_inputs(pitches)
    return {
        "notes": notes,
        "level": level,
        "rhythm": beat_features(features.levels(), pitches),
        "beats_s": song.beats_s * factor,
        "downbeats_s": song.downbeats_s * factor,
        "meter": np.array(METERS.index(song.meter)),
        "key": np.array(key_number(song.key)),
        "intervals_s": song.intervals_s * factor,
        "chord": encode_chords(song.labels),
    }


def key_number(key: str) -> int:
    """Index among the keys of the vocabulary; N_KEYS where there is none."""
    if key == "none":
        return N_KEYS
    tonic, _, mode = key.replace(" ", ":").partition(":")
    return int(mir_eval.key.KEY_TO_SEMITONE[tonic.lower()]) + (12 if mode.startswith("min") else 0)


def encode_chords(labels: list[str]) -> np.ndarray:
    """(n, 3): root −1…11, quality index, bass pitch class (NO_BASS for N)."""
    rows = []
    for label in labels:
        root, _, bass = mir_eval.chord.encode(label)
        quality = label.split("/")[0].partition(":")[2] or "maj"
        quality = FOLDED.get(quality, quality)
        valid = root >= 0 and quality in QUALITIES
        rows.append((root, QUALITIES.index(quality), (root + bass) % 12) if valid else (-1, 0, NO_BASS))
    return np.array(rows)


def song_of(job: ExampleJob, rng: np.random.Generator) -> AnnotatedSong:
    """The notes and their truth."""
    if job.kind in ("study", "drums"):
        song = maybe_rubato(study(rng, job.seconds * 0.7), rng)
        return song if job.kind == "study" else drums_alone(song)
    assert job.source is not None
    if job.kind == "sheet":
        return maybe_rubato(arrange_sheet(job.source, job.seconds, rng), rng)
    start = min(float(rng.uniform(0, 100)), max(0.0, last_beat(job.source) - job.seconds))
    song = load_pop909(job.source, start_s=start, duration_s=job.seconds)
    if job.kind == "meter" and song.meter == "4/4" and len(song.beats_s) > 16:
        song = in_meter(song, str(rng.choice(list(HALVES), p=[0.15, 0.3, 0.2, 0.2, 0.15])))
        return at_tempo(song, float(rng.uniform(0.7, 1.4)))
    return maybe_rubato(at_tempo(song, float(rng.uniform(0.85, 1.25)) if rng.random() < 0.5 else 1.0), rng)


def last_beat(folder: Path) -> float:
    """Seconds at which the annotated part of a POP909 song ends."""
    return float((folder / "beats.txt").read_text().split()[-3])


def drums_alone(song: AnnotatedSong) -> AnnotatedSong:
    """No pitched note and no chord."""
    import pretty_midi

    whole = np.array([[0.0, song.duration_s]])
    return replace(song, midi=pretty_midi.PrettyMIDI(), intervals_s=whole, labels=["N"], key="none")


def maybe_rubato(song: AnnotatedSong, rng: np.random.Generator) -> AnnotatedSong:
    """Three songs of ten with rubato of some strength, the others as they are."""
    return rubato(song, rng, float(rng.choice([0.02, 0.05, 0.12]))) if rng.random() < 0.3 else song


def arrange_sheet(path: Path, seconds: float, rng: np.random.Generator) -> AnnotatedSong:
    """A stretch of a lead sheet, arranged by rule in a genre drawn at random."""
    import random

    from musetune.planning.rules.orchestrate import orchestrate, recolour
    from musetune.planning.rules.styles import STYLES
    from musetune.symbols import BeatGrid, LeadSheet

    sheet = LeadSheet.load(path)
    meter = str(sheet.meter)
    genres = [name for name, style in STYLES.items() if style.swing] if sheet.meter.compound else list(STYLES)
    genre = str(rng.choice(genres))
    bpm = float(rng.uniform(*STYLES[genre].tempo)) * (0.6 if sheet.meter.compound else 1.0)
    beats = min(int(seconds * bpm / 60), int(sheet.length))
    start = int(rng.integers(0, int(sheet.length) - beats + 1)) // sheet.meter.beats_per_bar * sheet.meter.beats_per_bar
    sheet = sheet.slice(
        Fraction(start) + sheet.first_downbeat % sheet.meter.beats_per_bar, min(Fraction(start + beats), sheet.length)
    )
    sheet = replace(
        sheet,
        genre=genre,
        grid=BeatGrid.constant(bpm, int(sheet.length) + 1, float(rng.uniform(0, 0.5))),
        first_downbeat=Fraction(0),
    )
    chance = random.Random(int(rng.integers(2**31)))
    if rng.random() < STYLES[genre].sevenths * 0.4:
        sheet = recolour(sheet, chance)
    midi = orchestrate(sheet, seed=chance.randrange(2**31)).arrangement.to_pretty_midi()
    labels = [span.chord.simplify().harte for span in sheet.chords]
    return AnnotatedSong(
        path.stem,
        midi,
        np.array(sheet.chord_intervals_s),
        labels,
        np.array(sheet.beats_s),
        np.array(sheet.downbeats_s),
        str(sheet.keys[0].key).replace(" ", ":"),
        float(sheet.grid.time_at(sheet.length)),
        meter,
    )


def record(song: AnnotatedSong, soundfont: Path, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """The sound (samples,) at RATE, and by which factor it is longer than the song: detuning is done by the speed."""
    from musetune.audio import resample
    from musetune.datasets.band import with_band

    ready = song.name != "study" and any(part.is_drum for part in song.midi.instruments)
    plain = ready or (song.meter == "4/4" and rng.random() < 0.35)
    share = 1.0 if song.labels == ["N"] else 0.6 if song.meter in ("3/4", "4/4") else 0.9
    midi = song.midi if plain and share < 1 else with_band(song, rng, drums=share)
    melody = [part for part in midi.instruments if part.name in ("MELODY", "lead") and part.notes][:1]
    melody = melody if rng.random() < 0.2 else []
    for part in melody:
        midi.instruments.remove(part)
    wave = synthesize(midi, RATE, duration_s=song.duration_s + 0.5, soundfont=soundfont)
    for part in melody:
        wave = wave + sing(part.notes, len(wave), rng) * float(rng.uniform(0.5, 1.5)) * (np.std(wave) + 1e-4)
        midi.instruments.append(part)
    cents = float(rng.uniform(-30, 30)) if rng.random() < 0.6 else 0.0
    rate = round(RATE / 2 ** (cents / 1200))
    if rate != RATE:
        wave = resample(wave, rate, RATE)
    return spoil(wave, rng), RATE / rate


def sing(notes: list, samples: int, rng: np.random.Generator) -> np.ndarray:
    """(samples,) of unit deviation: a gliding, vibrating tone with two formants and some breath on the highest of
    `notes`.
    """
    time = np.arange(samples) / RATE
    pitch, loud = np.zeros(samples), np.zeros(samples)
    for note in sorted(notes, key=lambda note: note.start):
        low, high = int(note.start * RATE), min(int(note.end * RATE), samples)
        pitch[low:], loud[low:high] = note.pitch, 0.5 + note.velocity / 254
        loud[high:] = 0
    glide = np.hanning(int(RATE * rng.uniform(0.04, 0.12)))
    pitch, loud = (np.convolve(row, glide / glide.sum(), "same") for row in (pitch, loud))
    pitch = pitch + rng.uniform(0.1, 0.5) * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * time) * (loud > 0.3)
    frequency = 440 * 2 ** ((np.clip(pitch, 40, 90) - 69) / 12)
    phase = 2 * np.pi * np.cumsum(frequency) / RATE
    formants = rng.uniform((400, 1000), (800, 2200))
    voice = np.zeros(samples)
    for k in range(1, 13):
        colour = sum(np.exp(-(((k * frequency - centre) / (0.25 * centre)) ** 2)) for centre in formants) + 0.15 / k
        voice += colour * np.sin(k * phase) * (k * frequency < RATE / 2)
    voice = loud * (voice + 0.05 * rng.normal(0, 1, samples))
    return (voice / (voice.std() + 1e-9)).astype(np.float32)


def spoil(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Reverb, equaliser, compression, noise and MP3, each in some cases."""
    from scipy.signal import fftconvolve, lfilter

    if rng.random() < 0.4:
        decay = rng.uniform(0.15, 0.9)
        tail = rng.normal(0, 1, int(RATE * decay)) * np.exp(-6.9 * np.arange(int(RATE * decay)) / RATE / decay)
        wet = fftconvolve(wave, tail / np.sqrt(np.square(tail).sum()))[: len(wave)]
        wave = wave + rng.uniform(0.05, 0.5) * wet
    for _ in range(int(rng.integers(0, 4))):
        wave = lfilter(*_peak(float(rng.uniform(-10, 10)), float(np.exp(rng.uniform(np.log(60), np.log(7000))))), wave)
    if rng.random() < 0.4:
        width = int(RATE * 0.05)
        level = np.sqrt(np.convolve(np.square(wave), np.ones(width) / width, "same")) + 1e-4
        wave = wave * (level / level.max()) ** -rng.uniform(0.2, 0.6)
    wave = wave / (np.abs(wave).max() + 1e-9) * float(rng.uniform(0.2, 1.0))
    if rng.random() < 0.15:
        wave = np.clip(wave * 2.5, -1, 1)
    wave = wave + rng.normal(0, 10 ** rng.uniform(-5, -2), len(wave)) * (np.std(wave) + 1e-6)
    return _through_mp3(wave, rng) if rng.random() < 0.3 else wave.astype(np.float32)


def _peak(gain_db: float, frequency: float, q: float = 0.8) -> tuple[list[float], list[float]]:
    """Coefficients of a peaking equaliser (R. Bristow-Johnson, Audio EQ Cookbook)."""
    gain, angle = 10 ** (gain_db / 40), 2 * np.pi * frequency / RATE
    alpha, middle = np.sin(angle) / (2 * q), -2 * np.cos(angle)
    return [1 + alpha * gain, middle, 1 - alpha * gain], [1 + alpha / gain, middle, 1 - alpha / gain]


def _through_mp3(wave: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    import soundfile

    buffer = io.BytesIO()
    wave = wave / max(1.0, np.abs(wave).max())
    soundfile.write(
        buffer, wave, RATE, format="MP3", subtype="MPEG_LAYER_III", compression_level=float(rng.uniform(0.3, 0.99))
    )
    buffer.seek(0)
    decoded = soundfile.read(buffer, dtype="float32")[0]
    lag = _lag(wave, decoded)
    return np.ascontiguousarray(np.pad(decoded[lag:], (0, lag))[: len(wave)])


def _lag(before: np.ndarray, after: np.ndarray) -> int:
    """Samples by which the codec delays."""
    from scipy.signal import fftconvolve

    n = min(len(before), len(after), 10 * RATE)
    match = fftconvolve(after[:n], before[:n][::-1])[n - 1 : n + 4000]
    return int(np.argmax(match))
