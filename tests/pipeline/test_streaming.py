"""A stream: chunks fit each other, changes come at bar lines, what lies behind is forgotten."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from small_lora import genre_folder
from small_pipe import make_pipe, seeded

from musetune import LeadSheet, MuseTunePipeline
from musetune.models.upsampler import StereoUpsampler
from musetune.pipeline.stream_score import StreamInput, StreamPosition, StreamScore
from musetune.pipeline.streaming import ChunkDecoder, StreamChunk

SHEET = LeadSheet.parse("| C | F | G | Am |", bpm=150)
SHORT = {"num_inference_steps": 1, "window_seconds": 4.096}


@pytest.fixture(scope="module")
def pipe(tiny_base: Path) -> MuseTunePipeline:
    pipe = make_pipe(tiny_base)
    torch.manual_seed(5)
    pipe.register_modules(upsampler=StereoUpsampler(dim=16, hidden=32, layers=1).eval())
    return pipe


def take(pipe: MuseTunePipeline, count: int, source=SHEET, **options) -> list[StreamChunk]:  # type: ignore[no-untyped-def]
    chunks = pipe.stream(source, "pop", **(SHORT | {"generator": seeded()} | options))
    return list(itertools.islice(chunks, count))


@pytest.mark.slow
def test_chunks_end_to_end_are_the_stream(pipe: MuseTunePipeline) -> None:
    chunks = take(pipe, 4)
    assert [chunk.passage.sheet.chord_labels for chunk in chunks] == [["C:maj"], ["F:maj"], ["G:maj"], ["A:min"]]
    assert [chunk.passage.start_s for chunk in chunks] == pytest.approx([0, 1.6, 3.2, 4.8])
    reached = 0
    for chunk in chunks:
        assert chunk.sampling_rate == 48000
        assert chunk.audio.dtype == np.float32
        assert len(chunk.audio) == 2
        assert chunk.start_s * 48000 == pytest.approx(reached, abs=1e-3)
        assert np.abs(chunk.audio).max() <= 0.99 + 1e-6
        reached += chunk.audio.shape[1]


@pytest.mark.slow
def test_what_was_made_stays_and_what_follows_hears_it(pipe: MuseTunePipeline) -> None:
    same, other = take(pipe, 3), take(pipe, 3, iter([SHEET.slice(0, 4), SHEET.slice(8, 12), SHEET.slice(8, 12)]))
    cut = round(1.5 * 48000)
    assert np.array_equal(same[0].audio[:, :cut], take(pipe, 1)[0].audio[:, :cut])  # same seed, same audio
    assert not np.array_equal(same[1].audio, other[1].audio)


def test_a_piece_decodes_alike_wherever_it_is_cut(pipe: MuseTunePipeline) -> None:
    """What both of two overlapping pieces heard whole is equal in both: phases and noise count from the beginning."""
    latents = torch.randn(1, pipe.unet.config.in_channels, 48, 16, generator=seeded())
    latents = latents[..., : pipe.adapter.config.cols]
    decoder = ChunkDecoder(pipe, stereo=True)
    with torch.no_grad():
        whole, later = decoder._to_audio(latents, 8000), decoder._to_audio(latents[:, :, 16:], 8016)
        elsewhere = decoder._to_audio(latents[:, :, 16:], 8000)
    row = round(pipe.row_s * 48000)
    middle = slice(10 * row, 22 * row)  # of the later one, far from its ends
    expected = whole[:, 16 * row :][:, middle]
    assert np.abs(later[:, middle] - expected).max() < 1e-3 * np.abs(expected).max()
    assert np.abs(elsewhere[:, middle] - expected).max() > 0.05 * np.abs(expected).max()


def test_seams_are_no_steps(pipe: MuseTunePipeline) -> None:
    chunks = take(pipe, 4, stereo=False)
    wave = np.concatenate([chunk.audio for chunk in chunks])
    steps = np.abs(np.diff(wave))
    for chunk in chunks[1:]:
        seam = round(chunk.start_s * 16000)
        assert steps[seam - 2 : seam + 2].max() <= np.percentile(steps, 99.9)


@pytest.mark.slow
def test_the_rest_of_a_bar_is_made_with_its_opening_unless_something_changes(pipe: MuseTunePipeline) -> None:
    passes: list[int] = []
    hook = pipe.unet.register_forward_pre_hook(lambda module, args: passes.append(1))
    made, changed = [], StreamInput(SHEET.slice(0, 8).slice(1, 8), at_once=True)

    def source(position: StreamPosition) -> StreamInput:
        made.append(len(passes))
        if position.beat == 0:
            return StreamInput(SHEET)
        return changed if position.bar == 4 else StreamInput()

    try:
        chunks = take(pipe, 8, source, opening_seconds=0.3)
    finally:
        hook.remove()
    labels = [chunk.passage.sheet.chord_labels[0] for chunk in chunks]
    assert labels == ["C:maj", "C:maj", "F:maj", "F:maj", "G:maj", "G:maj", "A:min", "C:maj"]
    painted = [after > before for before, after in itertools.pairwise([*made, len(passes)])]
    assert painted == [True, False, False, False, True, False, True, True]  # the first window holds two bars
    whole = take(pipe, 1)[0].audio  # the same music, seed and window: the opening is its beginning
    assert np.allclose(chunks[0].audio[:, :9600], whole[:, :9600], atol=1e-4)


@pytest.mark.slow
def test_an_iterator_ends_the_stream_to_the_sample(pipe: MuseTunePipeline) -> None:
    chunks = take(pipe, 99, [SHEET.slice(0, 4), StreamInput(SHEET.slice(4, 8), loudness_db=-60.0)], stereo=False)
    assert len(chunks) == 3
    assert sum(len(chunk.audio) for chunk in chunks) == round(3.2 * 16000)
    loud, soft = (float(np.abs(chunks[i].audio[4000:]).max()) for i in (0, 1))
    assert soft < 0.05 * loud  # 60 dB below what was limited
    assert abs(chunks[2].audio[-1]) < 1e-3  # faded out


@pytest.mark.slow
def test_latents_and_sheets_behind_are_forgotten(pipe: MuseTunePipeline) -> None:
    from musetune.pipeline.streaming import Painter

    score = StreamScore(SHEET, "pop", 2.0)
    painter = Painter(pipe, score, 4.096, {"num_inference_steps": 1})
    with torch.no_grad():
        for _ in range(5):
            painter.paint(score.next())
    assert painter._known.shape[2] <= painter.rows
    assert painter._known.untyped_storage().nbytes() <= 4 * painter._known.numel()
    assert len(score._past) <= 4


@pytest.mark.slow
def test_a_mix_counts_in_its_chunks_alone(pipe: MuseTunePipeline, tmp_path: Path) -> None:
    pipe.load_adapter(genre_folder(pipe.unet, tmp_path / "jazz", 11), "jazz")
    pipe.set_adapter(None)
    try:
        plain = take(pipe, 2)
        mixed = take(pipe, 2, StreamInput(SHEET, mix={"jazz": 1.0}))
        assert pipe.adapters["jazz"].weight == 0
        assert not np.array_equal(plain[0].audio, mixed[0].audio)
        with pytest.raises(ValueError, match="no genre adapter 'polka' is loaded"):
            take(pipe, 1, StreamInput(SHEET, mix={"polka": 1.0}))
    finally:
        pipe.unload_adapter("jazz")


def test_what_cannot_be_streamed_is_refused(pipe: MuseTunePipeline) -> None:
    with pytest.raises(ValueError, match=r"window_seconds=2 is outside 2\.14–"):
        take(pipe, 1, window_seconds=2.0)
    with pytest.raises(ValueError, match=r"window_seconds=3 is outside 3\.64–"):
        take(pipe, 1, window_seconds=3.0, chunk_seconds=2.0)
    with pytest.raises(ValueError, match="opening_seconds"):
        take(pipe, 1, opening_seconds=-1.0)
    with pytest.raises(ValueError, match="there is none: give lead_sheet too"):
        StreamInput(at_once=True)
    with pytest.raises(TypeError, match="sheet_source=7"):
        take(pipe, 1, 7)
    with pytest.raises(ValueError, match="no lead sheet to begin with"):
        take(pipe, 1, lambda position: None)
    with pytest.raises(ValueError, match=r"slice\(0, 3\)"):
        take(pipe, 1, SHEET.slice(0, Fraction(7, 2)))
    with pytest.raises(ValueError, match="loudness_db=40"):
        StreamInput(loudness_db=40.0)


# -- what is played, without a model -----------------------------------------------------------------------------------


def test_a_new_sheet_waits_for_the_bar_line_and_all_else_does_not() -> None:
    waltz = LeadSheet.parse("| Dm |", bpm=60, time_signature="3/4")
    asked: list[StreamPosition] = []

    def source(position: StreamPosition) -> StreamInput:
        asked.append(position)
        if position.seconds < 2.0:
            return StreamInput(SHEET, prompt="first")
        return StreamInput(waltz, prompt="then")

    score = StreamScore(source, longest_s=0.9)
    passages = [score.next() for _ in range(6)]
    assert [(p.start_s, p.sheet.chord_labels[0], p.prompt) for p in passages] == [
        (0.0, "C:maj", "first"),
        (pytest.approx(0.8), "C:maj", "first"),
        (pytest.approx(1.6), "F:maj", "first"),
        (pytest.approx(2.4), "F:maj", "then"),  # the bar goes on; the words are new
        (pytest.approx(3.2), "D:min", "then"),
        (pytest.approx(4.2), "D:min", "then"),
    ]
    assert [(p.bar, p.beat) for p in asked[:5]] == [(1, 0), (1, 2), (2, 0), (2, 2), (3, 0)]


def test_a_bar_that_fits_the_window_is_whole_and_one_with_an_opening_begins_short() -> None:
    slow = LeadSheet.parse("| C |", bpm=108)  # bars of 2.2 s
    whole, opened = StreamScore(slow, longest_s=3.48), StreamScore(slow, longest_s=3.48, opening_s=0.5)
    assert [whole.next().sheet.length for _ in range(2)] == [4, 4]
    assert [opened.next().sheet.length for _ in range(4)] == [1, 3, 1, 3]
    fast = StreamScore(LeadSheet.parse("| C |", bpm=240), longest_s=3.48, opening_s=0.5)
    assert [fast.next().sheet.length for _ in range(3)] == [2, 2, 2]
    faster = StreamScore(LeadSheet.parse("| C |", bpm=300), longest_s=3.48, opening_s=0.5)
    assert [faster.next().sheet.length for _ in range(2)] == [4, 4]  # two parts would not last so long


def test_a_sheet_at_once_begins_within_the_bar_and_begins_none() -> None:
    asked: list[StreamPosition] = []

    def source(position: StreamPosition) -> StreamInput:
        asked.append(position)
        if position.beat == 0:
            return StreamInput(SHEET.slice(0, 8))
        return StreamInput(SHEET.slice(8, 16).slice(2, 8), at_once=True)  # what is left of G, then Am

    score = StreamScore(source, longest_s=0.9)
    passages = [score.next() for _ in range(4)]
    assert [p.sheet.chord_labels for p in passages] == [["C:maj"], ["G:maj"], ["C:maj"], ["G:maj"]]
    assert [(p.bar, p.beat) for p in asked] == [(1, 0), (1, 2), (2, 0), (2, 2)]
    assert score.window(0.0, 3.2).downbeats_s == pytest.approx([0.0, 1.6])


def test_a_bar_that_is_cut_is_asked_for_as_if_it_were_whole() -> None:
    whole, cut = StreamScore(SHEET, longest_s=2.0), StreamScore(SHEET, longest_s=2.0, opening_s=0.3)
    whole.next()
    for _ in range(2):
        cut.next()
        assert cut.bar_end_s == pytest.approx(1.6)
        window, expected = cut.window(0.0, 4.0), whole.window(0.0, 4.0)
        assert window.chords == expected.chords
        assert window.beats_s == pytest.approx(expected.beats_s)


def test_the_window_knows_the_past_and_what_is_to_come() -> None:
    score = StreamScore(SHEET, longest_s=2.0)
    for _ in range(5):
        score.next()
    window = score.window(4.0, 6.4)
    assert window.chord_labels == ["G:maj", "A:min", "C:maj", "F:maj", "G:maj"]
    assert window.duration_s == pytest.approx(6.4)
    assert window.downbeats_s == pytest.approx([0.8, 2.4, 4.0, 5.6])


def test_bars_that_are_not_full_begin_anew() -> None:
    score = StreamScore(LeadSheet.parse("| C | F |", bpm=120).slice(0, 6), longest_s=2.0)
    lengths = [score.next().sheet.length for _ in range(4)]
    assert lengths == [4, 2, 4, 2]
    assert score.window(0.0, 6.0).downbeats() == [0, 4, 6, 10]
