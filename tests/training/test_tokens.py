"""The token table: small, true to the tokenizer, cropped as the sheet would be, hidden as asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from musetune.conditioning import (
    EVENT_FIELDS,
    EXPRESSION,
    FRAME_FIELDS,
    STREAMS,
    MusicConditioner,
    MusicTokens,
    tokenize,
)
from musetune.conditioning.stem_frames import HIDDEN
from musetune.conditioning.tokens import METERS
from musetune.datasets import Clip, DatasetInfo, DatasetWriter, LatentDataset, TextEmbedding
from musetune.datasets import tokens as table_module
from musetune.datasets.tokens import load_tokens, tabulate
from musetune.planning.rules.orchestrate import orchestrate
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement
from musetune.symbols.expression import Expression
from musetune.training import Dropout, seeding
from musetune.training.batch import draw_batch
from musetune.training.tokens import (
    crop,
    draw_crops,
    hide_expression,
    hide_spans,
    hide_streams,
    zero_unseen_embeddings,
)

ROWS, ROW_S, FRAMES = 40, 0.128, 4
FRAME_S, SECONDS = ROW_S / FRAMES, ROWS * ROW_S


def sheet(i: int) -> LeadSheet:
    chords = (["I", "V", "vi", "IV"], ["ii7", "V7", "Imaj7"])[i % 2]
    return LeadSheet.from_progression(chords, key="Eb major", bpm=90 + 11 * i, duration_seconds=SECONDS, genre="jazz")


def tokens_of(s: LeadSheet, arrangement: Arrangement | None = None) -> MusicTokens:
    return tokenize(s, frame_s=FRAME_S, n_frames=ROWS * FRAMES, arrangement=arrangement)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> LatentDataset:
    folder = tmp_path_factory.mktemp("data")
    text = TextEmbedding(torch.zeros(1, 4), torch.ones(1, dtype=torch.long), torch.zeros(2, 4))
    with DatasetWriter(folder, DatasetInfo("b", "0", 2, ROWS, 4, ROW_S)) as writer:
        for i in range(5):
            latents = torch.arange(ROWS, dtype=torch.float32)[None, None, :, None].expand(1, 2, ROWS, 4) + 100 * i
            clip = Clip(f"c{i}", f"{i}.wav", "", 0.0, SECONDS, f"text {i}", sheet(i).to_json())
            writer.add(
                [clip],
                latents,
                {
                    "": text,
                    f"text {i}": replace(text, prompt_embeds=torch.ones(2, 4) * i, attention_mask=torch.ones(2)),
                },
            )
    return LatentDataset(folder)


def generators(n: int, step: int = 0) -> list[torch.Generator]:
    return [seeding.generator(0, step, str(i)) for i in range(n)]


def test_table_gives_back_what_the_tokenizer_said(data: LatentDataset) -> None:
    got = load_tokens(data, FRAMES, quiet=True).batch([3, 0])
    expected = MusicTokens.stack([tokens_of(sheet(3)), tokens_of(sheet(0))]).tensors()
    for name, tensor in got.tensors().items():
        assert tensor.dtype == expected[name].dtype, name
        torch.testing.assert_close(tensor, expected[name], atol=5e-4 if name == "frames" else 0, rtol=0, msg=name)


def test_cache_is_read_and_not_believed_when_the_tokenizer_changed(
    data: LatentDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_tokens(data, FRAMES, quiet=True)
    files = set(data.folder.glob("tokens-*"))
    calls: list[LeadSheet] = []

    def counting(s: LeadSheet, **settings: float) -> MusicTokens:
        calls.append(s)
        return tokenize(s, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(table_module, "tokenize", counting)
    again = load_tokens(data, FRAMES, quiet=True)
    assert len(calls) == 3  # only the three that are asked for the fingerprint
    assert all(torch.equal(first.tensors[k], again.tensors[k]) for k in first.tensors)

    def other(s: LeadSheet, **settings: float) -> MusicTokens:
        made = tokenize(s, **settings)  # type: ignore[arg-type]
        return replace(made, globals=made.globals + 1)

    monkeypatch.setattr(table_module, "tokenize", other)
    changed = load_tokens(data, FRAMES, quiet=True)
    assert not torch.equal(changed.tensors["globals"], first.tensors["globals"])
    assert len(set(data.folder.glob("tokens-*")) - files) == 1
    assert load_tokens(data, 2 * FRAMES, write=False, quiet=True).tensors["frames"].shape[1] == 2 * ROWS * FRAMES


@pytest.mark.parametrize("start", [0, 3, 11])
@pytest.mark.parametrize("i", [0, 1, 4])
def test_crop_is_what_the_cropped_sheet_would_say(i: int, start: int) -> None:
    rows = 20
    got = crop(tokens_of(sheet(i)), torch.tensor([start * FRAMES]), rows * FRAMES, FRAME_S)
    there = sheet(i).crop(start * ROW_S, rows * ROW_S)
    expected = tokenize(there, frame_s=FRAME_S, n_frames=rows * FRAMES)
    keep = got.event_mask[0]
    torch.testing.assert_close(got.event_times_s[0][keep], expected.event_times_s[0], atol=2e-4, rtol=0)
    same = [k for k, name in enumerate(EVENT_FIELDS) if name != "cadence"]  # a cadence needs the chord before
    assert torch.equal(got.events[0][keep][:, same], expected.events[0][:, same])
    assert torch.equal(got.event_chroma[0][keep], expected.event_chroma[0])
    # a kernel may reach in from a beat before the crop, and the sine of a phase is rounded otherwise
    columns = [k for k, name in enumerate(FRAME_FIELDS) if "phase" not in name]
    inner = slice(3, -3)
    torch.testing.assert_close(got.frames[0][inner, columns], expected.frames[0][inner, columns], atol=2e-3, rtol=0)


def test_streams_are_hidden_as_often_as_asked() -> None:
    many = MusicTokens.stack([tokens_of(sheet(0), arrangement=orchestrate(sheet(0)).arrangement)] * 400)
    hidden = hide_streams(many, generators(400), stream_dropout=0.5, condition_dropout=0.2)
    given = [s for s in STREAMS if s != EXPRESSION]
    there = torch.stack([hidden.present[s] for s in given])
    assert there.float().mean(1).tolist() == pytest.approx([0.8 * 0.5] * len(given), abs=0.08)
    nothing = (~there).all(0).float().mean().item()
    assert nothing == pytest.approx(0.2 + 0.8 * 0.5 ** len(given), abs=0.07)
    kept = hide_streams(many, generators(400), stream_dropout=0, condition_dropout=0)
    assert all(torch.equal(kept.present[s], many.present[s]) for s in STREAMS)
    stems = hide_streams(many, generators(400), stream_dropout=0, condition_dropout=0, stem_dropout=0.3).present
    assert stems["chords"].all()
    assert stems["drums"].float().mean().item() == pytest.approx(0.7, abs=0.08)
    keyless = hide_streams(many.drop(["key"]), generators(400), stream_dropout=0, condition_dropout=0)
    assert not keyless.present["key"].any()


def test_spans_hide_frames_and_events_of_the_same_time() -> None:
    many = MusicTokens.stack([tokens_of(sheet(1))] * 200)
    hidden = hide_spans(many, generators(200), FRAME_S, 0.5)
    gone = (many.frames != 0).any(2) & (hidden.frames == 0).all(2)  # (B, F)
    struck = gone.any(1)
    assert struck.float().mean().item() == pytest.approx(0.5, abs=0.12)
    share = gone[struck].float().mean(1)
    assert share.min() >= 0.09
    assert 0.6 < share.max() <= 0.91
    for b in struck.nonzero().flatten().tolist():
        at = gone[b].nonzero().flatten() * FRAME_S
        middle = many.event_times_s[b].mean(1)
        inside = (middle >= at.min() - 1e-4) & (middle < at.max() + FRAME_S - 1e-4)
        assert torch.equal(hidden.event_mask[b], many.event_mask[b] & ~inside)
    assert torch.equal(hidden.event_mask[~struck], many.event_mask[~struck])


def test_batch_takes_the_same_stretch_of_latents_and_tokens(data: LatentDataset) -> None:
    table = load_tokens(data, FRAMES, quiet=True)
    never = Dropout(0, 0, 0, 0)
    batch = draw_batch(data, table, [2, 4], generators(2), frames_per_row=FRAMES, crop_rows=8, dropout=never)
    assert batch.ids == ["c2", "c4"]
    assert batch.latents.shape == (2, 2, 8, 4)
    starts = draw_crops(generators(2), ROWS, 8)
    for b, (clip, start) in enumerate(zip((2, 4), starts.tolist(), strict=True)):
        assert batch.latents[b, 0, 0, 0] == 100 * clip + start
        whole = tokens_of(sheet(clip)).frames[0]
        expected = whole[start * FRAMES : (start + 8) * FRAMES]
        torch.testing.assert_close(batch.tokens.frames[b], expected, atol=5e-4, rtol=0)
    assert batch.text.prompt_embeds[:, 0, 0].tolist() == [2, 4]
    whole = draw_batch(data, table, [2], generators(1), frames_per_row=FRAMES, crop_rows=None, dropout=never)
    assert whole.latents.shape[2] == ROWS
    mute = draw_batch(data, table, [2], generators(1), frames_per_row=FRAMES, crop_rows=None, dropout=Dropout(text=1))
    assert mute.text.prompt_embeds.shape[1] == 1


def test_weights_of_rows_are_cropped_with_them(data: LatentDataset) -> None:
    table, never = load_tokens(data, FRAMES, quiet=True), Dropout(0, 0, 0, 0)
    weights = torch.linspace(0, 0.9, ROWS).repeat(len(data), 1)
    weights[4] = 1.0
    drawing = {"frames_per_row": FRAMES, "dropout": never, "row_weights": weights}
    batch = draw_batch(data, table, [2, 4], generators(2), crop_rows=8, **drawing)
    starts = draw_crops(generators(2), ROWS, 8)
    assert batch.row_weights is not None
    assert torch.equal(batch.row_weights[0], weights[2, starts[0] : starts[0] + 8])
    assert torch.equal(batch.row_weights[1], torch.ones(8))
    sure = draw_batch(data, table, [4], generators(1), crop_rows=8, **drawing)
    assert sure.row_weights is None  # then the plain mean is taken, bit for bit


@pytest.mark.parametrize("rows", [0, 41])
def test_impossible_crops(rows: int) -> None:
    with pytest.raises(ValueError, match=rf"crop_rows={rows} is outside 1\.\.40"):
        draw_crops(generators(1), ROWS, rows)


def test_what_no_clip_has_says_nothing() -> None:
    """A song in 4/4 leaves the other meters' embeddings at zero; meters seen and the null keep theirs."""
    table = tabulate([LeadSheet.parse("I V", bpm=120, duration_seconds=2.56).to_json()], [None], 0.032, 80)
    net = MusicConditioner(dim=16, hidden=8, map_channels=4, cols=4, frames_per_row=4)
    zero_unseen_embeddings(net, table)
    meters = net.get_parameter("globals.2.weight").abs().sum(1) > 0
    assert meters.tolist() == [True, *[False] * (len(METERS)), True]
    roots = net.get_parameter("fields.0.weight").abs().sum(1) > 0
    assert roots.nonzero().flatten().tolist() == [0, 7, 13]


def expressive(n: int) -> MusicTokens:
    how = Expression(((0, -30), (SECONDS, -10)), 8.0, 0.2, 0.6, 0.4)
    one = tokenize(sheet(0), frame_s=FRAME_S, n_frames=ROWS * FRAMES, expression=how)
    return MusicTokens.stack([one] * n)


def test_features_of_expression_are_hidden_one_by_one_and_all_at_once() -> None:
    hidden = hide_expression(expressive(400), generators(400), 0.4)
    assert hidden.present[EXPRESSION].float().mean().item() == pytest.approx(0.8, abs=0.08)
    said = (hidden.expression != HIDDEN).all(1).float().mean(0)
    assert said.tolist() == pytest.approx([0.6] * 5, abs=0.09)
    assert torch.equal(hide_expression(expressive(9), generators(9), 0.0).expression, expressive(9).expression)


def test_without_expression_nothing_is_drawn() -> None:
    """A run of before expression repeats bit for bit, whatever stands beside it in the batch."""
    plain = tokens_of(sheet(0))
    mixed, own = MusicTokens.stack([plain, expressive(1)]), generators(2)
    before = [generator.get_state() for generator in own]
    hide_expression(mixed, own, 0.5)
    assert torch.equal(own[0].get_state(), before[0])
    assert not torch.equal(own[1].get_state(), before[1])


def test_a_crop_and_a_hidden_span_cut_expression_too() -> None:
    whole = expressive(2)
    cut = crop(whole, torch.tensor([0, 40]), 80, FRAME_S)
    assert torch.equal(cut.expression[1], whole.expression[1, 40:120])
    spans = hide_spans(whole, generators(2), FRAME_S, 1.0)
    assert torch.equal(spans.expression == HIDDEN, (spans.stems == HIDDEN)[..., :5])
    assert bool((spans.expression == HIDDEN).any())
