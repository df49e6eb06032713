"""The stem transformer and its step-by-step twin, and what decoding keeps from repeating."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from musetune.planning.arranger.copy_filter import RUN, CopyFilter, digest, features, runs_of
from musetune.planning.arranger.grammar import CONTEXT, write
from musetune.planning.arranger.language import STEM_RANGES, VOCABULARY, Passage, PassageChord, StemEvent
from musetune.planning.arranger.model import CONFIG, StemDecoder, StemTransformer
from musetune.planning.arranger.sampling import RESTS, StemRequest, compose
from musetune.symbols.arrangement import STEMS

CHORDS = (PassageChord(0, 0, 0, 0), PassageChord(24, 7, 7, 11))
PASSAGES = [
    Passage("rock", meter, mode, 90, offset, bars, CHORDS)
    for meter, mode, offset, bars in (
        ("4/4", "major", 0, 2),
        ("3/4", "minor", -6, 4),
        ("6/8", "major", 5, 3),
        ("12/8", "minor", 2, 1),
        ("2/4", "major", -1, 4),
    )
]


@pytest.fixture(scope="module")
def tiny() -> StemTransformer:
    torch.manual_seed(0)
    model = StemTransformer(dim=16, layers=2, heads=2, ffn=32).eval()
    for weight in model.parameters():  # so large that what is heard makes a difference
        weight.data *= 5 if weight.ndim > 1 else 1
    return model


def some(batch: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    draw = lambda size: torch.randint(0, size, (batch, length), generator=generator)  # noqa: E731
    return draw(VOCABULARY), torch.stack([draw(size) for size in CONTEXT], -1)


def test_steps_equal_the_whole(tiny: StemTransformer) -> None:
    """Token by token, with the cache grown on the way, as transformers computes it at once."""
    tokens, contexts = some(3, 20)
    with torch.no_grad():
        whole = tiny(tokens, contexts)
    steps = StemDecoder(tiny, 3, longest=7)
    single = torch.stack([steps(tokens[:, i], contexts[:, i]) for i in range(20)], 1)
    torch.testing.assert_close(single, whole, atol=1e-5, rtol=1e-4)


def test_every_part_of_the_context_is_heard(tiny: StemTransformer) -> None:
    tokens, contexts = some(1, 6)
    with torch.no_grad():
        before = tiny(tokens, contexts)
        for column, size in enumerate(CONTEXT):
            other = contexts.clone()
            other[0, 3, column] = (other[0, 3, column] + 1) % size
            after = tiny(tokens, other)
            assert torch.equal(after[:, :3], before[:, :3])  # causal
            assert not torch.allclose(after[:, 3:], before[:, 3:])


def test_folder_round_trip(tiny: StemTransformer, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path)
    again = StemTransformer.from_pretrained(tmp_path)
    tokens, contexts = some(2, 8)
    with torch.no_grad():
        torch.testing.assert_close(again(tokens, contexts), tiny(tokens, contexts), atol=2e-2, rtol=1e-2)
    config = tmp_path / CONFIG
    config.write_text(config.read_text().replace(f'"vocabulary": {VOCABULARY}', '"vocabulary": 7'))
    with pytest.raises(ValueError, match="another token language"):
        StemTransformer.from_pretrained(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"model.safetensors|config.json"):
        StemTransformer.from_pretrained(tmp_path / "absent")


@pytest.mark.parametrize("seed", range(4))
def test_random_weights_write_whole_stems(tiny: StemTransformer, seed: int) -> None:
    told: list[tuple[int, int]] = []
    out = compose(
        tiny,
        [StemRequest(p, STEMS) for p in PASSAGES],
        seed=seed,
        temperature=1.5,
        least=0.0,
        progress=lambda *t: told.append(t),
    )
    for passage, stems in zip(PASSAGES, out):
        assert tuple(stems) == STEMS
        for stem, events in stems.items():
            for event in events:
                assert 0 <= event.step < passage.steps
                assert (
                    stem == "drums" or STEM_RANGES[stem].low <= event.pitch + passage.offset <= STEM_RANGES[stem].high
                )
            played = {event.step // passage.bar_steps for event in events}
            silent = "".join(".x"[bar in played] for bar in range(passage.bars))
            assert "." * (RESTS[stem] + 1) not in silent
    assert told[-1] == (25, 25)


def test_same_seed_same_notes_however_many_rows(tiny: StemTransformer) -> None:
    requests = [StemRequest(p, ("bass", "lead")) for p in PASSAGES]
    one = compose(tiny, requests, seed=3)
    assert one == compose(tiny, requests, seed=3)
    assert one != compose(tiny, requests, seed=4)
    assert compose(tiny, requests[:1], seed=3) == one[:1]


def test_what_is_given_is_heard(tiny: StemTransformer) -> None:
    given = {"drums": [StemEvent(0, 1), StemEvent(24, 2)]}
    with_drums = compose(tiny, [StemRequest(PASSAGES[0], ("bass",), given)], seed=0)
    assert tuple(with_drums[0]) == ("bass",)
    assert with_drums != compose(tiny, [StemRequest(PASSAGES[0], ("bass",))], seed=0)


def test_ranges_of_knobs(tiny: StemTransformer) -> None:
    with pytest.raises(ValueError, match=r"temperature=0 .*above 0"):
        compose(tiny, [], temperature=0)
    with pytest.raises(ValueError, match=r"least=2 .*0–1"):
        compose(tiny, [], least=2)


def line(count: int, first: int = 60) -> list[StemEvent]:
    return [StemEvent(12 * i, first + (0, 4, 7, 5)[i % 4] + i, 6) for i in range(count)]


def test_copies_know_transposed_runs_and_little_else() -> None:
    copies = CopyFilter.of(set(runs_of(line(20), "keys")), 4096)
    moved = line(RUN, first=52)
    assert copies.repeats(moved[:-1], moved[-1:], "keys")
    assert not copies.repeats(moved[:-1], [StemEvent(moved[-1].step, moved[-1].pitch, 8)], "keys")
    assert not copies.repeats(moved[:-1], moved[-1:], "lead")
    assert not copies.repeats(moved[1:-1], moved[-1:], "keys")  # twelve notes only
    wrong = sum(
        digest(features([*line(RUN - 1), StemEvent(200, p, s)], "keys"), "keys") in copies
        for p in range(30, 90)
        for s in range(2, 40)
    )
    assert wrong < 20


def test_guard_breaks_off_a_copy(tiny: StemTransformer, tmp_path: Path) -> None:
    """Everything that the model would write at this seed is declared a training song.

    Now no run of thirteen notes comes again.
    """
    requests = [StemRequest(p, ("keys", "lead")) for p in PASSAGES]
    free = compose(tiny, requests, seed=1)
    known = {d for own in free for stem in own for d in runs_of(own[stem], stem)}
    assert known
    CopyFilter.of(known, 20_000).save(tmp_path)
    copies = CopyFilter.load(tmp_path)
    guarded = compose(tiny, requests, seed=1, copies=copies)
    assert guarded != free
    assert not known & {d for own in guarded for stem in own for d in runs_of(own[stem], stem)}
    assert CopyFilter.load(tmp_path / "absent") is None
    assert write("lead", guarded[0]["lead"], PASSAGES[0])
