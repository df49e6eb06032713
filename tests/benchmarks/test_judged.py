"""The benchmarks that listen or look: what they make of a clip, of weights, of records, is right."""

from __future__ import annotations

from pathlib import Path

import attention_maps
import harmonic_tokens
import numpy as np
import partial
import pytest
import roundtrip
import torch
from small_pipe import make_pipe, quiet

from musetune import LeadSheet, MuseTunePipeline
from musetune.evaluation import TestSheet, missing_judges
from musetune.evaluation.references import render_sheet
from musetune.symbols.estimate import Estimate

SHEET = LeadSheet.parse("C G Am F", duration_seconds=8)  # 120 bpm
BEATS = np.arange(0, 8, 0.5)


def heard(beats_s: np.ndarray, labels: tuple[str, ...] = ("C:maj", "G:maj", "A:min", "F:maj")) -> Estimate:
    edges = np.linspace(0, 8, len(labels) + 1)
    spans = np.stack([edges[:-1], edges[1:]], axis=1)
    return Estimate(spans, list(labels), np.full(len(labels), np.nan), beats_s, BEATS[::4], "C major", 120.0)


# -- harmonic_tokens.py
# ----------------------------------------------------------------------------------------------------


def test_seconds_of_the_last_bar_by_what_is_heard_above_the_tonic(monkeypatch: pytest.MonkeyPatch) -> None:
    spans, labels = np.array([[0, 6.0], [6.0, 7.0], [7.0, 7.5], [7.5, 9.0]]), ["D", "D", "Bm7", "G"]
    monkeypatch.setattr(harmonic_tokens, "chordino", lambda wave, rate: (spans, labels))
    sheet = LeadSheet.parse("I IV V I", key="D major", duration_seconds=8)
    assert harmonic_tokens.last_bar(np.zeros(1), 16000, sheet) == {"I": 1.0, "vi": 0.5, "other": 0.5}


def test_both_endings_are_asked_in_every_key_at_one_seed() -> None:
    authentic, deceptive = (harmonic_tokens.cadences(ending) for ending in harmonic_tokens.ENDINGS)
    assert [test.seed for test in authentic] == [test.seed for test in deceptive]
    assert len({test.sheet.key.tonic_pc for test in authentic}) == len({test.id for test in authentic}) == 12
    assert not {test.id for test in authentic} & {test.id for test in deceptive}
    last = [{(t.sheet.chords[-1].chord.root_pc - t.sheet.key.tonic_pc) % 12 for t in s} for s in (authentic, deceptive)]
    assert last == [{0}, {9}]


@pytest.mark.judge
@pytest.mark.skipif(bool(missing_judges()), reason=f"not installed: {', '.join(missing_judges())}")
def test_a_played_deceptive_cadence_is_heard_as_one() -> None:
    for ending, what in zip(harmonic_tokens.ENDINGS, ("I", "vi"), strict=True):
        sheet = harmonic_tokens.cadences(ending)[0].sheet
        time = harmonic_tokens.last_bar(render_sheet(sheet, 16000, seed=0), 16000, sheet)
        assert time[what] > time.total() / 2


# -- attention_maps.py
# -----------------------------------------------------------------------------------------------------


def test_even_weights_give_even_and_sharp_ones_what_sounds() -> None:
    starts = np.array([0.0, 1.0, 2.0, 3.0])
    sounding, beside, nothing, rest, even = attention_maps.looks(np.full((8, 5), 0.2), starts, 4.0)
    assert sounding == nothing == pytest.approx(even)
    assert beside == pytest.approx(0.2 * 6 / 4)  # the first and the last event have one neighbour
    assert sounding + beside + nothing + rest == pytest.approx(1.0)
    sharp = np.zeros((8, 5))
    sharp[np.arange(8), 1 + np.arange(8) // 2] = 1.0
    assert attention_maps.looks(sharp, starts, 4.0)[:4] == pytest.approx([1, 0, 0, 0])
    with pytest.raises(ValueError, match="5 columns of weights do not fit 3 events"):
        attention_maps.looks(sharp, starts[:3], 4.0)


def test_every_site_is_watched_and_one_without_queries_looks_evenly(tiny_base: Path) -> None:
    pipe = make_pipe(tiny_base)
    test = TestSheet("a", "a", "pop", 0, LeadSheet.parse("C G", bpm=120, duration_seconds=2.56))
    first = sorted(pipe.adapter.sites)[0]
    torch.nn.init.zeros_(pipe.adapter.sites[first].to_q.weight)
    maps, (starts, seconds) = attention_maps.watch(pipe, test), attention_maps.event_starts(pipe, test.sheet)
    assert len(maps) == len(pipe.adapter.sites)
    assert seconds >= test.sheet.duration_s
    shares = {name: attention_maps.looks(weight, starts, seconds) for name, weight in maps.items()}
    for weight in maps.values():
        np.testing.assert_allclose(weight.sum(1), 1.0, atol=1e-5)
    even = shares.pop(f"site {first}")
    assert even[0] == pytest.approx(even[4], abs=1e-5)
    assert any(abs(share[0] - share[4]) > 1e-3 for share in shares.values())
    with pytest.raises(ValueError, match=r"a sheet of 60.00 s is more than one window of .* s: give shorter"):
        attention_maps.event_starts(pipe, LeadSheet.parse("C G", duration_seconds=60))


# -- roundtrip.py
# ----------------------------------------------------------------------------------------------------------


def test_the_stages_are_three_of_one_length_and_differ(tiny_base: Path) -> None:
    pipe = quiet(MuseTunePipeline.from_pretrained(tiny_base))
    wave = (0.1 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)).astype(np.float32)
    made = roundtrip.stages(pipe, wave)
    assert list(made) == ["original", "vocoded", "autoencoded and vocoded"]
    assert made["original"] is wave
    vocoded, coded = made["vocoded"], made["autoencoded and vocoded"]
    assert vocoded.shape == coded.shape
    assert abs(len(vocoded) - len(wave)) < 0.2 * len(wave)
    assert not np.allclose(vocoded, coded)


def test_what_is_lost_is_counted_clip_by_clip(capsys: pytest.CaptureFixture[str]) -> None:
    score = dict.fromkeys((*roundtrip.MEASURES, *roundtrip.DISTANCES), 0.9)
    scores = {"original": [score, score | {"majmin": None}], "vocoded": [score | {"majmin": 0.7}, score]}
    roundtrip.print_table(scores, 2)
    head, _, original, vocoded = (line.split(" | ") for line in capsys.readouterr().out.splitlines())
    lost = head.index("majmin lost")
    assert (original[lost], vocoded[lost]) == ("0.0 (0–0)", "20.0 (20–20)")
    assert vocoded[head.index("beat_f lost")] == "0.0 (0–0)"


# -- partial.py
# ------------------------------------------------------------------------------------------------------------


def test_a_beat_heard_just_before_its_half_is_a_hit_of_that_half() -> None:
    early = np.where(BEATS == 4.0, 3.98, BEATS)
    assert [partial.beat_f_between(SHEET, heard(early), *half) for half in ((0, 4), (4, 8))] == [1.0, 1.0]
    without = BEATS[BEATS != 4.0]
    assert partial.beat_f_between(SHEET, heard(without), 0, 4) == 1.0
    assert partial.beat_f_between(SHEET, heard(without), 4, 8) == pytest.approx(14 / 15)
    more = np.sort(np.append(BEATS, 1.25))
    assert partial.beat_f_between(SHEET, heard(more), 0, 4) == pytest.approx(16 / 17)
    assert partial.beat_f_between(SHEET, heard(more), 4, 8) == 1.0
    assert partial.beat_f_between(SHEET, heard(BEATS), 8, 12) is None
    assert partial.beat_f_between(SHEET, heard(np.array([])), 0, 4) == 0.0


def test_lengths_are_scored_whole_and_in_thirds() -> None:
    sheet = LeadSheet.parse("C G Am F", duration_seconds=6)
    found = heard(np.arange(0, 4, 0.5), ("C:maj", "G:maj", "D:maj", "D:maj"))
    plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(found).items()}
    record = {"heard": plain, "timbre": [[0.0]], "clap": 0.5, "seconds": 3.0}
    figures = partial.length_figures([record], [TestSheet("x", "x", "pop", 0, sheet)], np.zeros((1, 1)))
    thirds = [[figures[f"{name} {i}/3"].mean for i in (1, 2, 3)] for name in ("majmin", "beat_f")]
    assert thirds[0] == pytest.approx([1.0, 1.0, 0.0])
    assert thirds[1] == pytest.approx([1.0, 1.0, 0.0])
    assert figures["majmin"].mean == pytest.approx(2 / 3)
    assert figures["frechet"] is None
    row = {"seconds": 6.0, "window": 5.12, **figures}
    head, _, line = partial.length_table([row]).splitlines()
    assert line.startswith("| 6 | 5.12 s | 66.7")
    assert head.count("|") == line.count("|")
