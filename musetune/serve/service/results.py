"""What a job made, as files: audio in every format, stems, the lead sheet with the players' notes, the report."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musetune.symbols import LeadSheet

if TYPE_CHECKING:
    import numpy as np

    from musetune.evaluation import Report
    from musetune.evaluation.likeness import LikenessReport
    from musetune.pipeline.pipeline import MuseTunePipeline

AUDIO_FORMATS = ("wav", "flac", "mp3", "ogg")
SUFFIXES = {"midi": ".mid", "musicxml": ".musicxml", "jams": ".jams"}
STEREO_RATE = 48000


def check_stereo(pipe: MuseTunePipeline, mono16: bool) -> None:
    """Raise ValueError where stereo is asked for and the base's sound cannot be made stereo."""
    from musetune.models.upsampler.network import RATE

    rate = int(pipe.vocoder.config.sampling_rate)
    if not mono16 and rate != RATE:
        raise ValueError(f"stereo is made of {RATE} Hz, and this base gives {rate} Hz: ask for mono16=true")


def finish_sound(
    pipe: MuseTunePipeline,
    audio: np.ndarray,
    stems: Mapping[str, np.ndarray] | None,
    mono16: bool,
    lufs: float | None,
    loop_s: float | None = None,
) -> tuple[np.ndarray, dict[str, np.ndarray], int]:
    """Bring the base's sound to the format that was asked for, as `musetune generate` does.

    Args:
        pipe: What made it.
        audio: Mono samples (n,) at the base's rate.
        stems: Each player's, whose sum ``audio`` is.
        mono16: Whether it stays so, instead of 48 kHz stereo.
        lufs: Its loudness; None: as it came.
        loop_s: Seconds of what is a loop, and stays one; None: it is none.

    Returns:
        Samples (n,) or (2, n) within ±0.99, stems whose sum they are, and their rate in Hz.
    """
    from musetune.audio.loudness import set_loudness
    from musetune.pipeline.looping import stereo_loop
    from musetune.pipeline.songs import mix_stems

    players = dict(stems or {})
    rate = int(pipe.vocoder.config.sampling_rate)
    if not mono16:
        if pipe.upsampler is None:
            pipe.load_upsampler()
        widen = pipe.to_stereo if loop_s is None else partial(stereo_loop, pipe, seconds=loop_s)
        players = {name: widen(stem) for name, stem in players.items()}
        audio = mix_stems(players)[0] if players else widen(audio)
        rate = STEREO_RATE
    before = float(abs(audio).max(initial=0.0))
    if lufs is not None:
        audio = set_loudness(audio, rate, lufs)
    audio = audio / max(1.0, float(abs(audio).max(initial=0.0)) / 0.99)  # a prompt alone may clip
    gain = float(abs(audio).max(initial=0.0)) / before if before else 1.0
    return audio, {name: stem * gain for name, stem in players.items()}, rate


def finish_loops(
    pipe: MuseTunePipeline, audios: Sequence[np.ndarray], mono16: bool, lufs: float | None, loop_s: float
) -> tuple[np.ndarray, int]:
    """Bring loops that are played together to the format that was asked for: equally loud, under one gain.

    Args:
        pipe: What made them.
        audios: Mono samples (n,) of each at the base's rate.
        mono16: Whether they stay so, instead of 48 kHz stereo.
        lufs: The loudness of each; all stay softer where the true peak of one would pass −1 dB. None: as they came.
        loop_s: Seconds of a loop.

    Returns:
        Samples (loops, n) or (loops, 2, n) within ±0.99, and their rate in Hz.
    """
    import numpy as np

    from musetune.audio.loudness import loudness_gain, peak_gain, true_peak
    from musetune.pipeline.loop_sets import level_loops

    sounds = [finish_sound(pipe, audio, None, mono16, None, loop_s) for audio in audios]
    rate = sounds[0][2]
    level = level_loops(np.stack([audio for audio, _, _ in sounds]), rate)
    if lufs is not None:
        gain = loudness_gain(np.concatenate(level, axis=-1), rate, lufs)
        level = level * np.float32(gain * peak_gain(gain * max(true_peak(audio) for audio in level)))
    return level, rate


def write_audio(
    folder: Path,
    stem: str,
    audio: np.ndarray,
    rate: int,
    formats: Collection[str] = AUDIO_FORMATS,
    *,
    most: float = 0.99,
    depth: str | None = None,
) -> dict[str, str]:
    """Write audio in several formats; names of files by stem and format.

    Args:
        folder: Where to.
        stem: Of the files' names.
        audio: Samples (n,) or (channels, n).
        rate: Theirs, Hz.
        formats: WAV, FLAC, MP3, OGG.
        most: The highest peak; louder sound is turned down to it as a whole.
        depth: Of WAV, and as far as it can of FLAC, as of `save_audio`; None: 16 bit.
    """
    from musetune.audio import save_audio

    peak = float(abs(audio).max()) if audio.size else 0.0
    audio = audio / max(1.0, peak / most)
    depths = {"wav": depth, "flac": "PCM_24" if depth == "FLOAT" else depth}
    paths = {kind: folder / f"{stem}.{kind}" for kind in formats}
    return {path.name: save_audio(path, audio, rate, kind, depths.get(kind)).name for kind, path in paths.items()}


def write_zip(folder: Path, name: str, sounds: Mapping[str, np.ndarray], rate: int) -> dict[str, str]:
    """Write several sounds as FLAC into one zip; its name by its kind."""
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
        for one, audio in sounds.items():
            path = folder / write_audio(folder, f"{name}-{one}", audio, rate, ("flac",))[f"{name}-{one}.flac"]
            archive.write(path, f"{one}.flac")
            path.unlink()
    return {name: f"{name}.zip"}


def write_sheet(folder: Path, sheet: LeadSheet, arrangement: Any = None) -> dict[str, str]:
    """Write a lead sheet, or the players' notes where there are some, as chart, MIDI, MusicXML and JAMS."""
    from musetune.formats.chart_text import chart_text
    from musetune.formats.songs import save_song

    (folder / "chart.txt").write_text(chart_text(sheet) + "\n")
    files = {"chart": "chart.txt", "plan": sheet.save(folder / "plan.json").name}
    if arrangement is not None:
        files["song"] = save_song(sheet, arrangement, folder / "song.json").name
    for kind, suffix in SUFFIXES.items():
        path = folder / f"music{suffix}"
        files[kind] = (sheet.save(path) if arrangement is None else save_song(sheet, arrangement, path)).name
    return files


def write_latents(folder: Path, latents: Any) -> dict[str, str]:
    """Write a result's latents (1, channels, rows, cols), which edits of it go on from."""
    from safetensors.torch import save_file

    if latents is None:
        return {}
    save_file({"latents": latents[:1].float().cpu().contiguous()}, folder / "latents.safetensors")
    return {"latents": "latents.safetensors"}


def write_report(
    folder: Path, report: Report | LikenessReport, settings: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, Any]]:
    """Write a report; its file by kind, and what is shown of it: score, summary, parts."""
    from musetune.evaluation import Report

    text = report.dumps(dict(settings)) if isinstance(report, Report) else json.dumps(report.to_json(), indent=1)
    (folder / "report.json").write_text(text)
    parts = {name: _number(value) for name, value in report.parts.items()}
    return {"report": "report.json"}, {"score": _number(report.score), "summary": report.summary, "parts": parts}


def _number(value: float) -> float | None:
    return None if value is None or value != value else float(value)
