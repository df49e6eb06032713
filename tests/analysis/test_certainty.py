"""What is not certain is said to be so, and nothing that reads a record fails on it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from made_sounds import SR, song

import musetune.datasets.metadata as metadata
import musetune.evaluation.obedience as obedience
import musetune.serve.work as work
from musetune.analysis import Analysis, analyze
from musetune.analysis.certainty import FILE, Calibration, certainty, uncalibrated
from musetune.analysis.export import KINDS, exports
from musetune.analysis.genre.classifier import UNSURE
from musetune.analysis.service.cache import StoredAnalysis
from musetune.cli.analyze import _summary
from musetune.display.analysis_html import summary
from musetune.display.analysis_plot import title
from musetune.symbols import Meter


@pytest.fixture(scope="module")
def sure() -> Analysis:
    heard = analyze(song(["Bb:maj", "F:maj", "G:min", "Eb:maj"] * 2, 112), SR)
    genre = heard.genre_analysis | {"primary_genre": "pop", "confidence": 0.93}
    return replace(heard, meter_confidence=1.0, genre_analysis=genre)


@pytest.fixture(scope="module")
def unsure(sure: Analysis) -> Analysis:
    reasons = ["pop is likeliest, but right with a probability of 0.31 only, below 0.50"]
    genre = sure.genre_analysis | {"primary_genre": UNSURE, "confidence": 0.31, "reasons": reasons}
    return replace(sure, meter_confidence=0.2, genre_analysis=genre)


def test_a_certain_record_states_meter_and_genre(sure: Analysis) -> None:
    record = sure.to_json()
    assert (sure.meter, sure.genre) == (Meter(4, 4), "pop")
    assert record["time_signature"] == record["likeliest_time_signature"] == "4/4"
    assert record["rhythmic_analysis"]["time_signature"] == "4/4"
    assert record["genre_analysis"]["primary_genre"] == "pop"


def test_an_uncertain_record_states_neither_and_keeps_the_likeliest(unsure: Analysis) -> None:
    record = json.loads(unsure.dumps())
    assert (unsure.meter, unsure.genre) == (None, None)
    assert record["time_signature"] is None
    assert record["rhythmic_analysis"]["time_signature"] is None
    assert (record["likeliest_time_signature"], record["time_signature_confidence"]) == ("4/4", 0.2)
    assert (record["genre_analysis"]["primary_genre"], record["genre_analysis"]["confidence"]) == ("unsure", 0.31)
    assert unsure.lead_sheet.meter == Meter(4, 4)
    assert len(record["downbeats_s"]) == 8


def test_no_chords_are_no_genre_rather_than_an_unsure_one(unsure: Analysis) -> None:
    assert replace(unsure, genre_analysis=unsure.genre_analysis | {"primary_genre": None}).genre is None


def test_a_stored_record_is_read_back(unsure: Analysis) -> None:
    stored = StoredAnalysis(unsure.to_json(), unsure.lead_sheet)
    assert StoredAnalysis.unpack(json.loads(json.dumps(stored.pack()))).record["time_signature"] is None


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "plot"])
def test_every_file_is_written(kind: str, unsure: Analysis, tmp_path: Path) -> None:
    for path, write in exports(unsure, kind, tmp_path / "song"):
        write()
        assert path.stat().st_size


def test_summaries_say_unsure(sure: Analysis, unsure: Analysis) -> None:
    record = unsure.to_json()
    assert "meter unsure, 4/4? (20 %) · genre unsure" in summary(record)
    assert title(record).endswith("genre unsure")
    assert "4/4" not in title(record)
    assert "meter unsure, genre unsure" in _summary("song.mp3", unsure, whole=True)
    certain = sure.to_json()
    assert "4/4 (100 %) · pop (93 %)" in summary(certain)
    assert title(certain).endswith("4/4   pop")
    assert "4/4, pop" in _summary("song.mp3", sure, whole=False)


def test_a_report_of_a_clip_has_no_genre(unsure: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(obedience, "analyze", lambda wave, sr: unsure)
    assert obedience.genre_of(np.zeros(16000), 16000) is None


def test_a_clip_to_train_on_gets_no_genre(sure: Analysis, unsure: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "analyse_wave", lambda meta, wave, rate: unsure)
    found = metadata.findings({}, np.zeros(16000), 16000)
    assert (found.sheet.genre, found.genre, found.guess, found.confidence) == (None, None, None, None)
    assert found.sheet.meter == Meter(4, 4)
    monkeypatch.setattr(metadata, "analyse_wave", lambda meta, wave, rate: sure)
    found = metadata.findings({}, np.zeros(16000), 16000)
    assert (found.sheet.genre, found.guess, found.confidence) == ("pop", "pop", 0.93)


def test_the_page_hands_bars_over_without_a_genre(unsure: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer:
        result = StoredAnalysis(unsure.to_json(), unsure.lead_sheet)

    monkeypatch.setattr(work, "_answer", lambda worker, job, errand: Answer())
    record, sheet = work.listen(Path("song.wav"), worker=object())  # type: ignore[arg-type]
    assert record["genre_analysis"]["primary_genre"] == UNSURE
    assert sheet.genre is None
    order = work.hand_over(sheet)
    assert order.genre is None
    assert order.loop().meter == Meter(4, 4)


def test_what_is_read_from_symbols_is_certain(tmp_path: Path, sure: Analysis) -> None:
    record = analyze(sure.lead_sheet.save(tmp_path / "song.mid")).to_json()
    assert (record["time_signature"], record["time_signature_confidence"]) == ("4/4", 1.0)


def test_a_probability_rises_with_the_share_and_leads_back() -> None:
    line = Calibration(slope=0.6, intercept=-0.5)
    share = np.array([0.001, 0.2, 0.5, 0.9, 0.999])
    sure = line.probability(share)
    assert (np.diff(sure) > 0).all()
    assert sure[2] == pytest.approx(1 / (1 + np.exp(0.5)))
    assert line.share(sure) == pytest.approx(share)
    assert line.probability([0.0, 1.0]).tolist() == line.share([0.0, 1.0]).tolist() == [0, 1]


def test_the_shipped_numbers_are_those_of_the_file() -> None:
    assert asdict(certainty()) == json.loads(FILE.read_text())
    assert 0 < certainty().meter_stated_from < 1
    assert min(getattr(certainty(), name).slope for name in ("chord", "tempo", "meter", "key")) > 0


def test_what_is_heard_has_probabilities_and_uncalibrated_the_shares(sure: Analysis) -> None:
    with uncalibrated():
        raw = analyze(song(["Bb:maj", "F:maj", "G:min", "Eb:maj"] * 2, 112), SR)
    assert certainty().chord.probability(raw.chord_confidence) == pytest.approx(sure.chord_confidence)
    assert certainty().tempo.probability(raw.bpm_confidence) == pytest.approx(sure.bpm_confidence)
    assert certainty().key.probability(raw.key_confidence) == pytest.approx(sure.key_confidence)


def test_bars_are_as_sure_with_and_without_calibration(sure: Analysis) -> None:
    with uncalibrated():
        raw = analyze(song(["Bb:maj", "F:maj", "G:min", "Eb:maj"] * 2, 112), SR)
        bars = [bar.confidence for bar in raw.bars]
    assert [bar.confidence for bar in sure.bars] == pytest.approx(bars, abs=1e-6)
