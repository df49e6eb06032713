"""Repaint, extend and vary: what is kept is kept exactly, what is made anew is new."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_pipe import make_pipe, play, read_stems, seeded

from musetune import LeadSheet, MuseTunePipeline
from musetune.audio import save_audio
from musetune.pipeline.continuing import precede_sheet, put_chords
from musetune.pipeline.output import MuseTuneOutput
from musetune.pipeline.splicing import FADE_S, crossfade, least_flux, splice
from musetune.pipeline.stretches import clusters, stretches_of
from musetune.symbols.arrangement import Arrangement, Stem, StemNote

SHEET = LeadSheet.parse("| C | F | G | C |", bpm=240)  # bars of 1 s
QUICK: dict[str, Any] = {"num_inference_steps": 1}


@pytest.fixture(scope="module")
def pipe(tiny_base: Path) -> MuseTunePipeline:
    return make_pipe(tiny_base)


@pytest.fixture(scope="module")
def result(pipe: MuseTunePipeline) -> MuseTuneOutput:
    return play(pipe, harmonic_progression=None, bpm=None, duration_seconds=None, lead_sheet=SHEET)


def recording(rate: int, seconds: float = 4.0, channels: int = 2) -> np.ndarray:
    rng = np.random.default_rng(2)
    time = np.arange(round(rate * seconds)) / rate
    tones = [np.sin(2 * np.pi * hertz * time) for hertz in (220.0, 277.2)[:channels]]
    return (0.2 * np.array(tones) + 0.01 * rng.normal(size=(channels, len(time)))).astype(np.float32)


def kept_and_changed(old: np.ndarray, new: np.ndarray, rate: int, *stretches: tuple[float, float]) -> None:
    """Assert that all but the stretches and 50 ms around them is equal, and that each stretch is not."""
    outside = np.ones(old.shape[-1], dtype=bool)
    for start, end in stretches:
        inside = slice(round(start * rate), round(end * rate))
        assert np.abs(old[..., inside] - new[..., inside]).max() > 1e-3
        outside[max(0, round((start - 0.05) * rate)) : round((end + 0.05) * rate)] = False
    assert outside.any()
    assert np.array_equal(old[..., outside], new[..., outside])


def test_a_stretch_of_a_stereo_recording_at_48_khz_is_new_and_the_rest_is_the_same(pipe: MuseTunePipeline) -> None:
    wave = recording(48000)
    made = pipe.repaint(wave, SHEET, "pop", seconds=(1.03, 2.01), sampling_rate=48000, generator=seeded(), **QUICK)
    assert (made.sampling_rate, made.audios.shape) == (48000, (1, *wave.shape))
    kept_and_changed(wave, made.audios[0], 48000, (1.03, 2.01))


def test_several_stretches_of_a_result(pipe: MuseTunePipeline, result: MuseTuneOutput) -> None:
    made = pipe.repaint(result, bars=[(1, 1), (3, 3)], generator=seeded(5), **QUICK)
    kept_and_changed(result.audios[0], made.audios[0], made.sampling_rate, (0.0, 1.0), (2.0, 3.0))
    again = pipe.repaint(made, bars=(4, 4), generator=seeded(6), **QUICK)
    kept_and_changed(made.audios[0], again.audios[0], made.sampling_rate, (3.0, 4.0))


def test_only_the_pieces_around_stretches_of_a_long_recording_are_computed(pipe: MuseTunePipeline) -> None:
    sheet, wave, rows = LeadSheet.parse("| C | F |" * 15, bpm=180), recording(16000, 40.0, 1), []
    generate = pipe._generate

    def watched(request: Any, *rest: Any, **more: Any) -> Any:
        rows.append(pipe._rows(request.seconds))
        return generate(request, *rest, **more)

    pipe._generate = watched  # type: ignore[method-assign]
    try:
        made = pipe.repaint(wave, sheet, seconds=[(5, 6), (30, 31)], sampling_rate=16000, generator=seeded(), **QUICK)
    finally:
        del pipe._generate
    kept_and_changed(wave, made.audios[0], 16000, (5, 6), (30, 31))
    assert len(rows) == 2
    assert max(rows) * pipe.row_s < 25


def test_the_chords_of_a_stretch_are_heeded(pipe: MuseTunePipeline, result: MuseTuneOutput) -> None:
    same, other = (
        pipe.repaint(result, seconds=(1, 2), harmonic_progression=chords, generator=seeded(), **QUICK)
        for chords in ("F", "Bm7b5 E7")
    )
    assert other.lead_sheet.chord_labels == ["C:maj", "B:hdim7", "E:7", "G:maj", "C:maj"]
    assert not np.array_equal(same.audios, other.audios)


def test_a_file_without_a_sheet_is_analysed_first(
    pipe: MuseTunePipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from musetune import analysis

    class Found:
        lead_sheet = SHEET

    monkeypatch.setattr(analysis, "analyze", lambda wave, rate: Found())
    path = save_audio(tmp_path / "song.wav", recording(22050), 22050)
    made = pipe.repaint(path, bars=(2, 2), generator=seeded(), **QUICK)
    assert made.lead_sheet == SHEET
    assert made.audios.shape == (1, 2, 4 * 22050)


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [("recording", 0.0, 1.0), ("recording", 0.7, 0.0), ("result", 1.0, 0.5)],
)
def test_a_longer_piece_holds_the_whole_input(
    pipe: MuseTunePipeline, result: MuseTuneOutput, kind: str, before: float, after: float
) -> None:
    rate = result.sampling_rate if kind == "result" else 44100
    wave = result.audios[0] if kind == "result" else recording(rate, channels=1)[0]
    given: dict[str, Any] = {"audio": result} if kind == "result" else {"audio": wave, "sampling_rate": rate}
    sheet = LeadSheet.parse("| C | F | G | C | Am | F |", bpm=240)
    made = pipe.extend(
        lead_sheet=sheet, before_seconds=before, after_seconds=after, generator=seeded(), **given, **QUICK
    )
    first, edge = round(before * rate), round(0.05 * rate)
    assert made.audios.shape[-1] == first + wave.shape[-1] + round(after * rate)
    inside = slice(edge if before else 0, -edge if after else None)
    assert np.array_equal(made.audios[0][first : first + wave.shape[-1]][inside], wave[inside])
    for new in (made.audios[0][:first], made.audios[0][first + wave.shape[-1] :]):
        assert len(new) == 0 or np.abs(new).max() > 1e-3


def test_a_recording_without_a_sheet_is_analysed_and_played_on_at_both_ends(
    pipe: MuseTunePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    from musetune import analysis

    class Found:
        lead_sheet = replace(SHEET, grid=SHEET.grid.shift(0.1), first_downbeat=Fraction(2))

    monkeypatch.setattr(analysis, "analyze", lambda wave, rate: Found())
    wave = recording(16000, 4.1)
    options: dict[str, Any] = {"sampling_rate": 16000, "generator": seeded(), **QUICK}
    made = pipe.extend(wave, before_seconds=1.0, after_seconds=1.0, harmonic_progression="| Dm | G7 |", **options)
    assert made.audios.shape == (1, 2, round(6.1 * 16000))
    assert made.lead_sheet.chord_labels == ["G:7", "D:min", "C:maj", "F:maj", "G:maj", "C:maj", "D:min"]
    assert made.lead_sheet.downbeats_s[:2] == pytest.approx([0.6, 1.6])
    assert np.array_equal(made.audios[0][:, 16800:80000], wave[:, 800:64000])
    own = pipe.extend(wave, after_seconds=1.0, **options)  # its own chords go round, from its first bar line on
    assert own.lead_sheet.chord_labels == ["C:maj", "F:maj", "G:maj", "C:maj", "C:maj", "F:maj"]
    with pytest.raises(ValueError, match="is in the lead sheet of the whole"):
        pipe.extend(wave, SHEET, after_seconds=1.0, harmonic_progression="F", **options)


@pytest.mark.parametrize(("first", "shift", "seconds"), [(0, 0.0, 2.0), (1, 0.13, 4.0), (-2, 0.4, 1.0), (3, 0.02, 0.1)])
def test_bars_are_laid_back_from_the_first_bar_line(first: int, shift: float, seconds: float) -> None:
    sheet = replace(SHEET, grid=SHEET.grid.shift(shift), first_downbeat=Fraction(first))
    longer = precede_sheet(sheet, "Dm G7", seconds)
    assert longer.duration_s == pytest.approx(sheet.duration_s + seconds)
    old, new = sheet.downbeats_s + seconds, longer.downbeats_s
    np.testing.assert_allclose(new[len(new) - len(old) :], old)
    np.testing.assert_allclose(np.diff(new), 1.0)
    assert 0 <= longer.beats_s[0] < 0.25
    assert longer.chord_labels[-4:] == SHEET.chord_labels


def test_vary_goes_from_the_codec_to_a_new_take(pipe: MuseTunePipeline, result: MuseTuneOutput) -> None:
    options: dict[str, Any] = {"num_inference_steps": 4}
    near = pipe.vary(result, amount=0.0, generator=seeded(3), **options)
    np.testing.assert_allclose(near.audios, result.audios, atol=1e-5)  # its latents, decoded again
    takes = [pipe.vary(result, prompt="warm pop", amount=a, generator=seeded(3), **options) for a in (0.25, 0.75, 1.0)]
    distances = [float(np.abs((take.latents - result.latents).numpy()).mean()) for take in takes]
    assert 0 < distances[0] < distances[1]
    new = pipe("warm pop", lead_sheet=SHEET, generator=seeded(3), **options)
    np.testing.assert_allclose(takes[2].audios, new.audios, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "say what to make anew"),
        ({"seconds": (1, 2), "bars": (1, 1)}, "give one of them"),
        ({"seconds": (3, 9)}, r"0–4\.00 s"),
        ({"bars": (4, 5)}, "1–4"),
        ({"seconds": (1, 2), "lead_sheet": SHEET.slice(0, 2)}, r"ends at 0\.50 s"),
        ({"audio": recording(16000, 2.9), "bars": (3, 4)}, r"0–2\.90 s"),
        ({"seconds": (1, 2), "sampling_rate": None}, "needs sampling_rate"),
        ({"seconds": (1, 2), "num_inference_steps": 0}, "num_inference_steps=0"),
    ],
)
def test_what_cannot_be_repainted_is_said(pipe: MuseTunePipeline, arguments: dict[str, Any], message: str) -> None:
    given = {"audio": recording(16000), "sampling_rate": 16000, "lead_sheet": SHEET} | arguments
    with pytest.raises(ValueError, match=message):
        pipe.repaint(**given)


def test_amounts_and_lengths_out_of_range(pipe: MuseTunePipeline, result: MuseTuneOutput) -> None:
    with pytest.raises(ValueError, match=r"amount=1\.5"):
        pipe.vary(result, amount=1.5)
    with pytest.raises(ValueError, match=r"ends at 2\.00 s, the audio at 4\.00 s: give the sheet of the whole piece"):
        pipe.vary(result, SHEET.slice(0, 8))
    with pytest.raises(ValueError, match="before_seconds=4 or after_seconds"):
        pipe.extend(result, SHEET)
    with pytest.raises(ValueError, match=r"lasts 4\.00 s, the whole 8\.00 s"):
        pipe.extend(result, SHEET, after_seconds=4)


def test_stretches_that_nearly_touch_stay_two_and_what_lies_between_them_stays(pipe: MuseTunePipeline) -> None:
    assert stretches_of(SHEET, 4.0, [(2.08, 3), (1, 2)], None) == [(1, 2), (2.08, 3)]
    assert stretches_of(SHEET, 4.0, [(1, 2), (2, 3)], None) == [(1, 3)]
    wave = recording(16000)
    made = pipe.repaint(wave, SHEET, seconds=[(1, 2), (2.08, 3)], sampling_rate=16000, generator=seeded(), **QUICK)
    kept_and_changed(wave, made.audios[0], 16000, (1, 2), (2.08, 3))
    between = slice(2 * 16000, round(2.03 * 16000))
    assert np.array_equal(wave[:, between], made.audios[0][:, between])


def test_a_cut_may_lie_nearer_to_an_end_than_a_crossfade_reaches(pipe: MuseTunePipeline) -> None:
    wave = recording(16000)
    made = pipe.repaint(wave, SHEET, seconds=(0.03, 3.98), sampling_rate=16000, generator=seeded(), **QUICK)
    assert np.isfinite(made.audios).all()
    assert np.array_equal(wave[:, -320:], made.audios[0][:, -320:])
    assert not np.array_equal(wave[:, 480:-1200], made.audios[0][:, 480:-1200])


def test_a_last_bar_that_the_audio_ends_in_goes_to_its_end(pipe: MuseTunePipeline) -> None:
    assert stretches_of(SHEET, 3.9, None, (4, 4)) == [(3.0, 3.9)]
    wave = recording(16000, 3.9)
    made = pipe.repaint(wave, SHEET, bars=(4, 4), sampling_rate=16000, generator=seeded(), **QUICK)
    kept_and_changed(wave, made.audios[0], 16000, (3.0, 3.9))


def test_new_notes_are_heeded_by_a_stretch_and_by_what_comes_after(tiny_base: Path) -> None:
    band, wave = read_stems(make_pipe(tiny_base)), recording(16000, channels=1)[0]
    longer = LeadSheet.parse("| C | F | G | C | F |", bpm=240)
    calls: dict[str, dict[str, Any]] = {
        "repaint": {"lead_sheet": SHEET, "bars": (2, 2)},
        "extend": {"lead_sheet": longer, "after_seconds": 1.0},
    }
    for kind, call in calls.items():
        own = [
            getattr(band, kind)(
                wave, sampling_rate=16000, arrangement=lead_of(longer, pitch), generator=seeded(), **call, **QUICK
            )
            for pitch in (60, 67)
        ]
        new = slice(16000, 2 * 16000) if kind == "repaint" else slice(4 * 16000, None)
        assert not np.array_equal(own[0].audios[0][new], own[1].audios[0][new]), kind
        assert own[1].arrangement == lead_of(longer, 67)
    band.adapter.stems = None
    with pytest.raises(ValueError, match="reads no notes"):
        band.repaint(wave, SHEET, bars=(2, 2), sampling_rate=16000, arrangement=lead_of(longer, 60), **QUICK)


def lead_of(sheet: LeadSheet, pitch: int) -> Arrangement:
    """A note a bar."""
    notes = tuple(StemNote(float(beat), 4.0, pitch) for beat in range(0, int(sheet.length), 4))
    return Arrangement(sheet.grid, {"lead": Stem(73, notes)})


def test_pieces_hold_their_stretches_and_do_not_overlap() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        duration = float(rng.uniform(3, 90))
        cuts = np.sort(rng.uniform(0, duration, 2 * int(rng.integers(1, 5))))
        stretches = stretches_of(
            SHEET, duration, [pair for pair in zip(cuts[::2], cuts[1::2]) if pair[1] - pair[0] > 0.2] or (0, 1), None
        )
        pieces = clusters(stretches, 2.5, duration, min(10.0, duration))
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(pieces))
        for start, end in stretches:
            assert sum(a - 1e-9 <= start and end <= b + 1e-9 for a, b in pieces) == 1
        assert all(0 <= a < b <= duration for a, b in pieces)


def test_a_crossfade_keeps_the_loudness_of_like_and_unlike_signals() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(2, 4000))
    np.testing.assert_allclose(crossfade(one, one), one)
    assert crossfade(one, other).std() == pytest.approx(1, abs=0.05)
    joined = splice(one, other, 1000, 3000, 16000)
    assert np.array_equal(joined[:200], one[:200])
    assert np.array_equal(joined[1000:2200], other[1000:2200])
    assert np.array_equal(joined[3000:], one[3000:])


def test_a_crossfade_evades_an_attack() -> None:
    old, new = np.zeros((2, 8000))
    old[4000 - 800 : 4000 - 700] = 0.5  # struck 50 to 44 ms before the cut: not cut through
    at = least_flux(old, new, 4000, 16000)
    assert 4000 - 700 <= at <= 4000 - round(FADE_S * 16000)


def test_chords_put_into_a_sheet_keep_their_neighbours() -> None:
    sheet = put_chords(SHEET, 1.5, 3.25, "| Dm7 . A7 . |")
    assert [(str(s.chord), float(s.start), float(s.end)) for s in sheet.chords] == [
        ("C:maj", 0, 4),
        ("F:maj", 4, 6),
        ("D:min7", 6, 9.5),
        ("A:7", 9.5, 13),
        ("C:maj", 13, 16),
    ]


def test_a_stereo_result_gets_its_stretch_in_stereo(pipe: MuseTunePipeline) -> None:
    pipe.load_upsampler()
    try:
        take = pipe("pop", lead_sheet=SHEET, generator=seeded(), stereo=True, **QUICK)
        made = pipe.repaint(take, seconds=(1, 2), generator=seeded(4), **QUICK)
    finally:
        pipe.register_modules(upsampler=None)
    assert (made.sampling_rate, made.audios.shape) == (48000, (1, 2, 4 * 48000))
    kept_and_changed(take.audios[0], made.audios[0], 48000, (1, 2))
    left, right = made.audios[0][:, 50000:90000]
    assert not np.array_equal(left, right)


def test_a_long_stereo_recording_is_varied_in_several_windows(pipe: MuseTunePipeline) -> None:
    seconds = 2.5 * pipe.unet.config.sample_size * pipe.row_s
    sheet, wave = LeadSheet.parse("C F", bpm=180, duration_seconds=seconds), recording(16000, seconds)
    made = pipe.vary(wave, sheet, amount=1.0, sampling_rate=16000, generator=seeded(), **QUICK)
    assert made.audios.shape == (1, *wave.shape)
    third = wave.shape[-1] // 3
    for start in (0, third, 2 * third):
        assert np.abs(made.audios[0][:, start : start + third]).max() > 1e-3
