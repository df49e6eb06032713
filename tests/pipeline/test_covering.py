"""Covers keep what they are told to keep, at the input's rate and in its channels, and say how well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_pipe import make_pipe, read_stems, seeded

from musetune import LeadSheet, MuseTunePipeline
from musetune.audio.dynamics import loudness_curve
from musetune.symbols.arrangement import Arrangement, Stem, StemNote

SHEET = LeadSheet.parse("| C | F | G | C |", bpm=240, genre="pop")
QUICK: dict[str, Any] = {"num_inference_steps": 1}


@pytest.fixture(scope="module")
def pipe(tiny_base: Path) -> MuseTunePipeline:
    return read_stems(make_pipe(tiny_base))


def tune(rate: int, *pitches: int) -> np.ndarray:
    """Each note a second, the second half of them softer, in both channels."""
    time = np.arange(rate) / rate
    notes = [sum(np.sin(2 * np.pi * 440 * 2 ** ((p - 69) / 12) * k * time) / k for k in range(1, 6)) for p in pitches]
    wave = 0.2 * np.concatenate(notes)
    wave[len(wave) // 2 :] *= 0.25
    return np.stack([wave, 0.8 * wave]).astype(np.float32)


def watch(pipe: MuseTunePipeline, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    requests: list[Any] = []
    generate = pipe._generate

    def watched(request: Any, *rest: Any, **more: Any) -> Any:
        requests.append(request)
        return generate(request, *rest, **more)

    monkeypatch.setattr(pipe, "_generate", watched)
    return requests


def test_a_stereo_recording_is_covered(pipe: MuseTunePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    wave, requests = tune(22050, 72, 76, 74, 71), watch(pipe, monkeypatch)
    made = pipe.cover(wave, genre="jazz", lead_sheet=SHEET, sampling_rate=22050, generator=seeded(), **QUICK)
    assert (made.sampling_rate, made.audios.shape) == (22050, (1, *wave.shape))
    assert made.lead_sheet.genre == "jazz"
    (music,) = requests[0].music
    assert music.mask.streams == ("chords", "key", "function", "beats", "lead", "genre")
    lead = made.arrangement.stems["lead"]
    assert [note.pitch for note in lead.notes] == [72, 76, 74, 71]
    assert [round(note.start) for note in lead.notes] == [0, 4, 8, 12]
    loud, soft = (loudness_curve(made.audios[0], 22050)[places].mean() for places in (slice(3, 17), slice(23, 37)))
    assert loud - soft == pytest.approx(12, abs=4)  # as in the original, within what one step of noise allows
    (report,) = made.reports
    assert set(report.parts) <= {"chords", "beats", "melody", "loudness"}
    assert report.parts["loudness"] > 0.9
    assert report.loudness_db < 3
    assert report.summary in made._repr_html_()
    assert report.to_json()["kept"] == {name: round(value, 4) for name, value in report.parts.items()}


def test_what_is_not_kept_is_left_to_the_model(pipe: MuseTunePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    wave, requests = tune(16000, 72, 76, 74, 71)[0], watch(pipe, monkeypatch)
    options: dict[str, Any] = {"lead_sheet": SHEET, "sampling_rate": 16000, "return_report": False, **QUICK}
    made = pipe.cover(wave, keep=("beats",), generator=seeded(), **options)
    assert made.audios.shape == (1, len(wave))
    assert requests[0].music[0].mask.streams == ("beats", "genre")
    assert made.arrangement is None
    assert made.reports is None
    mine = Arrangement(SHEET.grid, {})
    pipe.cover(wave, keep=("melody",), arrangement=mine, generator=seeded(), **options)
    assert requests[1].music[0].arrangement is mine


def test_an_adapter_without_players_says_so(pipe: MuseTunePipeline) -> None:
    branch, pipe.adapter.stems = pipe.adapter.stems, None
    try:
        with pytest.raises(ValueError, match="reads no melody"):
            pipe.cover(tune(16000, 60), lead_sheet=SHEET, sampling_rate=16000)
    finally:
        pipe.adapter.stems = branch


def test_a_recording_is_analysed(pipe: MuseTunePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    from musetune import analysis

    class Found:
        lead_sheet = replace(SHEET, genre=None)  # a lead sheet that was heard has none
        genre: str | None = "blues"

    monkeypatch.setattr(analysis, "analyze", lambda wave, rate: Found())
    requests = watch(pipe, monkeypatch)
    wave = tune(16000, 60, 64, 67, 72)
    made = pipe.cover(wave, sampling_rate=16000, keep="chords", **QUICK)
    assert made.lead_sheet == replace(SHEET, genre="blues")  # as heard
    assert requests[0].music[0].mask.streams[-1] == "genre"
    assert set(made.reports[0].parts) == {"chords"}
    for heard in ("world", None):  # what adapters do not know, and what the analyser is not sure of
        Found.genre = heard
        plain = pipe.cover(wave, sampling_rate=16000, keep="chords", return_report=False, **QUICK)
        assert plain.lead_sheet.genre is None
        assert "genre" not in requests[-1].music[0].mask.streams


def test_a_result_keeps_its_own_lead_over_several_windows(
    pipe: MuseTunePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 1.7 * pipe.unet.config.sample_size * pipe.row_s
    sheet = LeadSheet.parse("C F", bpm=180, genre="pop", duration_seconds=seconds)
    band = Arrangement(
        sheet.grid, {"lead": Stem(73, (StemNote(0.0, 2.0, 65),)), "bass": Stem(33, (StemNote(0.0, 1.0, 36),))}
    )
    take = pipe("pop", lead_sheet=sheet, arrangement=band, generator=seeded(), **QUICK)
    requests = watch(pipe, monkeypatch)
    made = pipe.cover(take, genre="jazz", return_report=False, generator=seeded(), **QUICK)
    assert requests[0].music[0].arrangement.stems == {"lead": band.stems["lead"]}
    assert made.audios.shape == take.audios.shape
    assert made.lead_sheet.genre == "jazz"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep": ("chords", "melodie")}, "did you mean 'melody'"),
        ({"keep": ("loudness",)}, "keeps nothing of what is played"),
        ({"genre": "jass"}, "did you mean 'jazz'"),
        ({"audio": tune(16000, 60, 60, 60, 60, 60)}, r"ends at 4\.00 s, the audio at 5\.00 s"),
    ],
)
def test_what_cannot_be_covered_is_said(pipe: MuseTunePipeline, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pipe.cover(**{"audio": tune(16000, 60), "lead_sheet": SHEET, "sampling_rate": 16000} | arguments)
