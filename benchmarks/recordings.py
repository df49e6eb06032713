"""Recordings whose tempo is known: the songs of the game Frets on Fire, and how their truth was checked.

    python benchmarks/recordings.py --materials .cache/materials

Eight songs of two bands (metal, rock, strings), each of one tempo from its first to its last bar, as the tempo map in
`notes.mid` has it. The command measures again what `RECORDINGS` holds, for each song:

- the offset of the beats: where the onset strength of the mix (spectral flux), folded by the beat, is highest near
  the map's beats, and the same in each quarter of the song, which would differ if the tempo drifted;
- the bar line: at which of four beats the harmony changes most, the guitar has most notes, bass drum and cymbals are
  loudest, and how often resampled stretches of four bars agree (500 draws). It counts as certain where harmony points
  to one beat in at least 90 % of the draws: seven songs of eight. There the notes agree (in one they are undecided).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from musetune.audio import resample
from musetune.audio.source import RATE
from musetune.datasets.corpus import AnnotatedSong
from musetune.datasets.materials import MATERIALS

HOP = 110  # samples of RATE, 5 ms
REACH_S = 0.08  # beats of the sound are looked for this near to the map's
DRAWS = 500


@dataclass(frozen=True)
class Recording:
    """`offset_s`: how much later the sound's beats are than the map's; `first_bar`: the first beat that opens a bar of
    four, None where that is not certain."""

    band: str
    title: str
    bpm: float
    offset_s: float
    first_bar: int | None


RECORDINGS = (
    Recording("sectoid", "Escape from chaosland", 135.0, 0.020, 0),
    Recording("sectoid", "Feelings", 95.0, 0.030, 0),
    Recording("sectoid", "Metal madness", 150.0, 0.035, 0),
    Recording("sectoid", "War of freedom", 140.0, 0.040, 0),
    Recording("muldjord", "armygeddon", 170.0, 0.000, 0),
    Recording("muldjord", "chaos_god", 170.0, 0.000, 0),
    Recording("muldjord", "internal_degeneration", 190.0, 0.000, 0),
    Recording("muldjord", "mutilated_mime", 180.0, 0.000, None),
)


def recordings(materials: Path, seconds: float) -> Iterator[tuple[AnnotatedSong, np.ndarray]]:
    """Every song in whole stretches of `seconds`, with its sound (samples,) at RATE: guitar and band mixed, mono.

    Chords and key are not known: no intervals, key "none". Where the bar line is not certain there are no downbeats.
    """
    for recording in RECORDINGS:
        wave = mix(find(materials, recording))
        for number in range(int(len(wave) / RATE // seconds)):
            part = wave[round(number * seconds * RATE) : round((number + 1) * seconds * RATE)]
            yield stretch(recording, number * seconds, seconds), part


def stretch(recording: Recording, start_s: float, seconds: float) -> AnnotatedSong:
    """The truth from `start_s` on."""
    import pretty_midi

    beat = 60 / recording.bpm
    first = int(np.ceil((start_s - recording.offset_s) / beat - 1e-9))
    number = np.arange(first, int((start_s + seconds - recording.offset_s) / beat) + 1)
    beats_s = recording.offset_s + number * beat - start_s
    downbeats_s = beats_s[:0] if recording.first_bar is None else beats_s[(number - recording.first_bar) % 4 == 0]
    name, nothing = f"{recording.title} {start_s:.0f} s", np.zeros((0, 2))
    return AnnotatedSong(name, pretty_midi.PrettyMIDI(), nothing, [], beats_s, downbeats_s, "none", seconds, "4/4")


def find(materials: Path, recording: Recording) -> Path:
    """The folder of a song."""
    material = next(material for material in MATERIALS if material.name == recording.band)
    return material.locate(materials) / recording.title


def missing(materials: Path) -> str | None:
    """Why there are no recordings, or None."""
    absent = [recording.title for recording in RECORDINGS if not find(materials, recording).is_dir()]
    advice = f"run recipes/analyzer/materials.py cache={materials}"
    return f"{materials} has not {', '.join(absent)}: {advice}" if absent else None


def mix(folder: Path) -> np.ndarray:
    """(samples,) at RATE: guitar.ogg and song.ogg as the game plays them together, mono."""
    import soundfile

    parts = []
    for name in ("guitar.ogg", "song.ogg"):
        samples, rate = soundfile.read(folder / name, dtype="float32", always_2d=True)
        parts.append(resample(samples.mean(axis=1), rate, RATE))
    size = min(len(part) for part in parts)
    return parts[0][:size] + parts[1][:size]


# -- the check
# ------------------------------------------------------------------------------------------------------------


def flux(power: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    """(frames,) rise of the log spectrum over four frames, mean 1; frame k shows what begins at k · HOP / RATE s."""
    hertz = np.linspace(0, RATE / 2, len(power))
    level = np.log1p(100 * power[(hertz >= low_hz) & (hertz < high_hz)])
    rise = np.maximum(level[:, 4:] - level[:, :-4], 0).mean(axis=0)
    return np.pad(rise, (3, 1)) / rise.mean()


def lag(strength: np.ndarray, times_s: np.ndarray) -> float:
    """By how many seconds, at most REACH_S, `times_s` must be moved to meet the onsets."""
    reach = round(REACH_S * RATE / HOP)
    at = np.round(times_s * RATE / HOP).astype(int)
    at = at[(at >= reach) & (at < len(strength) - reach)]
    return float(np.argmax([strength[at + shift].mean() for shift in range(-reach, reach + 1)]) - reach) * HOP / RATE


def phase_shares(values: np.ndarray) -> np.ndarray:
    """(4,) share of draws of four-bar stretches in which each place of the bar has the highest mean of `values`."""
    blocks = values[: len(values) // 16 * 16].reshape(-1, 4, 4).mean(axis=1)
    rng = np.random.default_rng(0)
    best = [blocks[rng.integers(0, len(blocks), len(blocks))].mean(axis=0).argmax() for _ in range(DRAWS)]
    return np.bincount(best, minlength=4) / DRAWS


def check(materials: Path, recording: Recording) -> str:
    """A row: what is measured of the song."""
    import librosa
    import pretty_midi

    folder = find(materials, recording)
    notes = pretty_midi.PrettyMIDI(str(folder / "notes.mid"))
    bpm = float(notes.get_tempo_changes()[1][0])
    wave, beat = mix(folder), 60 / bpm
    seconds = len(wave) / RATE
    sharp = np.abs(librosa.stft(wave, n_fft=512, hop_length=HOP))
    power = np.abs(librosa.stft(wave, n_fft=2048, hop_length=HOP))
    onsets, beats_s = flux(sharp, 30, 11000), np.arange(0, seconds - 1, beat)
    lags = [1000 * lag(onsets, beats_s), *(1000 * lag(onsets, part) for part in np.array_split(beats_s, 4))]
    beats_s = beats_s + recording.offset_s
    frames = (beats_s * RATE / HOP).astype(int)
    evidence = {}
    for name, band in (("bass drum", (30, 130)), ("cymbals", (7000, 11000))):
        strength = flux(power, *band)
        evidence[name] = np.array([strength[max(at - 4, 0) : at + 8].max() for at in frames])
    evidence["harmony"] = harmonic_change(power, beats_s, beat)
    onset = np.array([note.start for part in notes.instruments for note in part.notes])
    evidence["notes"] = np.array([(np.abs(onset / beat - number) < 0.02).sum() for number in range(len(beats_s))])
    places = [
        f"{place.argmax()} ({100 * place.max():.0f} %)" for place in (phase_shares(row) for row in evidence.values())
    ]
    cells = [recording.title, f"{bpm:.1f}", " / ".join(f"{value:.0f}" for value in lags), *places]
    return "| " + " | ".join([*cells, str(recording.first_bar)]) + " |"


def harmonic_change(power: np.ndarray, beats_s: np.ndarray, beat_s: float) -> np.ndarray:
    """(beats,) cosine distance of the chroma of the bar before each beat and the bar after it, bass notes apart."""
    import librosa

    hertz = np.linspace(0, RATE / 2, len(power))[:, None]
    rows = [librosa.feature.chroma_stft(S=part**2, sr=RATE, n_fft=2048) for part in (power, power * (hertz < 300))]
    total = np.pad(np.concatenate(rows).cumsum(axis=1), ((0, 0), (1, 0)))

    def between(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        a, b = (np.clip(np.round(t * RATE / HOP).astype(int), 0, total.shape[1] - 1) for t in (low, high))
        return (total[:, b] - total[:, a]) / (np.linalg.norm(total[:, b] - total[:, a], axis=0) + 1e-9)

    before, after = between(beats_s - 4 * beat_s, beats_s), between(beats_s, beats_s + 4 * beat_s)
    return 1 - (before * after).sum(axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--materials", type=Path, default=Path(__file__).parents[1] / ".cache/materials")
    args = parser.parse_args()
    if reason := missing(args.materials):
        raise SystemExit(reason)
    print("| song | bpm | lag in ms: whole / quarters | bass drum | cymbals | harmony | notes | bar line |")
    print("|---|---|---|---|---|---|---|---|")
    for recording in RECORDINGS:
        print(check(args.materials, recording), flush=True)


if __name__ == "__main__":
    main()
