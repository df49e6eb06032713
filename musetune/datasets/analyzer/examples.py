"""Examples for recipes/analyzer/train.py: a song played and recorded in some manner, what the networks see of it, and
the truth.

Songs: POP909 as written, with another band, in other meters, with a wandering tempo; lead sheets of OpenEWLD
arranged in six genres or played by the band of a style; MIDI files that others arranged; made-up chord studies and
vamps on one chord; all of them at times rearranged (`arrangements`). Sound: players from several soundfonts,
oscillators, a voice-like lead, drum kits, any tuning, a production (`effects`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import mir_eval
import numpy as np

from musetune.analysis.listening.features import extract
from musetune.analysis.listening.network_inputs import beat_features, chord_inputs
from musetune.analysis.listening.spectrum import salience
from musetune.analysis.listening.vocabulary import FOLDED, METERS, N_KEYS, NO_BASS, QUALITIES
from musetune.audio import synthesize
from musetune.audio.source import RATE, listen
from musetune.datasets.analyzer.batches import UNSURE
from musetune.datasets.analyzer.sheet_songs import arrange_sheet, play_in_style
from musetune.datasets.arrangements import rearrange
from musetune.datasets.band import with_band
from musetune.datasets.chord_studies import study
from musetune.datasets.corpus import HALVES, AnnotatedSong, at_tempo, in_meter, load_pop909, rubato
from musetune.datasets.drum_kits import load_kit, play_kit
from musetune.datasets.effects import produce
from musetune.datasets.midi_songs import load_midi_song
from musetune.datasets.oscillators import play_oscillators

DRUMS_ALONE = 0.04  # examples without a chord, as a share of the others
KINDS = {
    "plain": 0.16, "band": 0.16, "meter": 0.12, "study": 0.08, "vamp": 0.04, "sheet": 0.12, "midi": 0.16, "style": 0.16
}  # fmt: skip
TUNING_CENTS = 50.0
SUNG, OSCILLATORS = 0.2, 0.15  # songs whose melody is sung; players that are oscillators


@dataclass(frozen=True)
class ExampleJob:
    """One example: a function of these values alone.

    Attributes:
        number: Its seed.
        kind: One of `KINDS`, or "drums".
        source: A POP909 folder, a lead sheet or a MIDI file; None for what is made up.
        soundfonts: One or more; the first plays most.
        seconds: Its length, roughly.
        kit: A folder of a drum kit; None: the first soundfont's drums.
    """

    number: int
    kind: str
    source: Path | None
    soundfonts: tuple[Path, ...]
    seconds: float
    kit: Path | None = None


def make_example(job: ExampleJob) -> dict[str, np.ndarray]:
    """What the networks see, and the truth, ready to be stored."""
    rng = np.random.default_rng(job.number)
    song = song_of(job, rng)
    song, wave, factor = record(song, job, rng)
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
    """(n, 3): root −1…11 (UNSURE where the label is X or of no known quality), quality index, bass pitch class
    (NO_BASS for N).
    """
    rows = []
    for label in labels:
        root, _, bass = mir_eval.chord.encode(label)
        quality = label.split("/")[0].partition(":")[2] or "maj"
        quality = FOLDED.get(quality, quality)
        valid = root >= 0 and quality in QUALITIES
        silent = (-1 if label == "N" else UNSURE, 0, NO_BASS)
        rows.append((root, QUALITIES.index(quality), (root + bass) % 12) if valid else silent)
    return np.array(rows).reshape(-1, 3)


def song_of(job: ExampleJob, rng: np.random.Generator) -> AnnotatedSong:
    """The notes and their truth."""
    if job.kind in ("study", "vamp", "drums"):
        song = maybe_rubato(study(rng, job.seconds * 0.7, vamp=job.kind == "vamp"), rng)
        return drums_alone(song) if job.kind == "drums" else song
    assert job.source is not None
    if job.kind == "midi":
        return maybe_rubato(load_midi_song(job.source, float(rng.uniform(0, 90)), job.seconds)[0], rng)
    if job.kind == "sheet":
        return maybe_rubato(arrange_sheet(job.source, job.seconds, rng), rng)
    if job.kind == "style":
        return maybe_rubato(play_in_style(job.source, job.seconds, rng), rng)
    start = min(float(rng.uniform(0, 100)), max(0.0, last_beat(job.source) - job.seconds))
    song = load_pop909(job.source, start_s=start, duration_s=job.seconds)
    if job.kind == "meter" and song.meter == "4/4" and len(song.beats_s) > 16:
        song = in_meter(song, str(rng.choice(list(HALVES), p=[0.15, 0.3, 0.15, 0.3, 0.1])))
        faster = 1.5 if song.meter == "6/8" else 1.0  # whose beats have three eighths
        return maybe_rubato(at_tempo(song, faster * float(rng.uniform(0.7, 1.4))), rng)
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


def record(song: AnnotatedSong, job: ExampleJob, rng: np.random.Generator) -> tuple[AnnotatedSong, np.ndarray, float]:
    """What is played and recorded.

    Returns:
        The song as it was arranged; the sound (samples,) at RATE as the analyser folds it to mono; by which factor the
        sound is longer than the song, since tuning is done by the speed.
    """
    from musetune.audio import resample

    song = song if job.kind == "drums" else rearrange(with_players(song, job, rng), rng)
    if job.kind == "drums":
        song = replace(song, midi=with_band(song, rng, drums=1.0))
    wave = play(song, job, rng)
    cents = float(rng.uniform(-TUNING_CENTS, TUNING_CENTS)) if rng.random() < 0.7 else 0.0
    rate = round(RATE / 2 ** (cents / 1200))
    if rate != RATE:
        wave = resample(wave, rate, RATE)
    wave, _ = produce(wave, RATE, song.beats_s * RATE / rate, rng)
    return song, listen(wave, RATE).wave, RATE / rate


def with_players(song: AnnotatedSong, job: ExampleJob, rng: np.random.Generator) -> AnnotatedSong:
    """The song as its own players play it, or with a band."""
    complete = job.kind != "study" and any(part.is_drum for part in song.midi.instruments)
    plain = complete or job.kind in ("midi", "style") or (song.meter == "4/4" and rng.random() < 0.35)
    share = 0.6 if song.meter in ("3/4", "4/4") else 0.9
    return song if plain else replace(song, midi=with_band(song, rng, drums=share))


def play(song: AnnotatedSong, job: ExampleJob, rng: np.random.Generator) -> np.ndarray:
    """(2, samples) at RATE: each player by one of the job's soundfonts or by oscillators, at times a melody sung; drums
    by the kit, where the job has one.
    """
    import pretty_midi

    seconds = song.duration_s + 0.5
    samples = round(seconds * RATE)
    by_player: dict[int, pretty_midi.PrettyMIDI] = {}
    apart: list[np.ndarray] = []
    singer, kit = rng.random() < SUNG, job.kit is not None
    for part in song.midi.instruments:
        if part.is_drum and kit:
            continue
        if singer and part.name in ("MELODY", "lead") and part.notes:
            singer = False
            apart.append(np.tile(sing(part.notes, samples, rng), (2, 1)))
        elif not part.is_drum and rng.random() < OSCILLATORS:
            apart.append(play_oscillators(part.notes, samples, RATE, rng))
        else:
            player = 0 if part.is_drum or rng.random() < 0.65 else int(rng.integers(len(job.soundfonts)))
            by_player.setdefault(player, pretty_midi.PrettyMIDI()).instruments.append(part)
    wave = np.zeros((2, samples), np.float32)
    for player, midi in sorted(by_player.items()):
        sound = synthesize(midi, RATE, duration_s=seconds, soundfont=job.soundfonts[player], stereo=True)
        wave += sound * float(10 ** (rng.uniform(-6, 6) / 20))
    for sound in apart:
        wave += at_level(sound, wave, float(rng.uniform(-10, 3)))
    drums = [note for part in song.midi.instruments if part.is_drum for note in part.notes]
    if job.kit is not None and drums:
        wave += at_level(play_kit(load_kit(job.kit, RATE), drums, samples), wave, float(rng.uniform(-10, 4)))
    return wave / max(1.0, float(np.abs(wave).max(initial=0.0)))


def at_level(sound: np.ndarray, beside: np.ndarray, level_db: float) -> np.ndarray:
    """The sound `level_db` dB louder than what it joins (than −20 dB of full scale beside silence)."""
    size = float(np.std(beside)) or 0.1
    return sound * np.float32(size * 10 ** (level_db / 20) / (float(np.std(sound)) + 1e-9))


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
