"""Notes for the players in the pipeline: heard, guided, alone and together; recurring sections begin alike."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from small_pipe import make_pipe, play, seeded

from musetune import LeadSheet, MuseTunePipeline
from musetune.audio import mel_frontend
from musetune.pipeline.sampler import RELATED, relate_sections
from musetune.pipeline.songs import solo_prompt
from musetune.planning.rules.orchestrate import orchestrate
from musetune.symbols import Section
from musetune.symbols.arrangement import Arrangement, Stem

SHEET = LeadSheet.parse("I V vi IV", bpm=120, duration_seconds=2.56, genre="pop")
NOTES = orchestrate(SHEET, seed=1).arrangement
MUSIC = {"harmonic_progression": None, "bpm": None, "duration_seconds": None, "lead_sheet": SHEET}


@pytest.fixture(scope="module")
def pipe(tiny_base: Path) -> MuseTunePipeline:
    """With a branch for stems of random weights."""
    pipe = make_pipe(tiny_base)
    torch.manual_seed(4)
    with torch.no_grad():
        for p in pipe.adapter.add_stems(16, 8, mel_frontend(pipe).frequencies).parameters():
            p.normal_(std=0.1)
    return pipe


def with_notes(pipe: MuseTunePipeline, **settings):  # type: ignore[no-untyped-def]
    return play(pipe, **(MUSIC | {"arrangement": NOTES} | settings))


@pytest.mark.slow
def test_notes_are_heard_and_given_back(pipe: MuseTunePipeline) -> None:
    plain, made = play(pipe, **MUSIC), with_notes(pipe)
    assert made.audios.shape == plain.audios.shape
    assert not np.array_equal(made.audios, plain.audios)
    assert np.array_equal(with_notes(pipe).audios, made.audios)
    assert made.arrangement is NOTES
    assert plain.arrangement is None


def test_a_scale_of_zero_and_following_no_stem_are_as_without(pipe: MuseTunePipeline) -> None:
    plain = play(
        pipe, **MUSIC, guidance_scale=2.5, music_guidance_scale=2.5, guidance_rescale=0.0
    ).audios  # notes' defaults
    sheet_only = ["chords", "beats", "key", "genre", "function"]
    np.testing.assert_allclose(with_notes(pipe, follow=sheet_only, guidance_rescale=0.0).audios, plain, atol=2e-3)
    np.testing.assert_allclose(with_notes(pipe, stem_guidance_scale=0.0, guidance_rescale=0.0).audios, plain, atol=2e-3)


def test_players_alone_add_up_to_the_mix(pipe: MuseTunePipeline) -> None:
    made = with_notes(pipe, stems=True)
    assert list(made.stems) == [name for name, stem in NOTES.stems.items() if stem.notes]
    assert made.audios.shape == (1, 40960)
    assert {audio.shape for audio in made.stems.values()} == {(40960,)}
    np.testing.assert_allclose(sum(made.stems.values()), made.audios[0], atol=1e-6)
    assert np.abs(made.audios).max() <= 0.99 + 1e-6
    assert len({audio.tobytes() for audio in made.stems.values()}) == len(made.stems)


def test_words_for_one_player() -> None:
    assert solo_prompt(Stem(0, (), is_drum=True), "rock") == "solo drums, rock"
    assert solo_prompt(Stem(32, ()), None) == "solo upright bass"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stems": True, "arrangement": None}, r"stems=True needs notes .* give arrangement=pipe\.arrange"),
        ({"stems": True, "num_waveforms_per_prompt": 2}, "stems=True makes one waveform"),
        ({"stems": True, "arrangement": Arrangement(SHEET.grid, {})}, "no player of the arrangement has a note"),
        ({"follow": "drums", "arrangement": None}, "follow names drums, of which there are no notes"),
        ({"stem_guidance_scale": -1.0}, "stem_guidance_scale=-1.0 is below 0"),
        ({"lead_sheet": None}, "arrangement=.* needs music"),
    ],
)
def test_requests_that_cannot_be_met(pipe: MuseTunePipeline, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_notes(pipe, **settings)


def test_an_adapter_that_reads_no_stems_says_so(tiny_base: Path) -> None:
    with pytest.raises(ValueError, match="this adapter reads no stems"):
        with_notes(make_pipe(tiny_base))


def test_sections_of_one_label_begin_alike() -> None:
    sheet = LeadSheet.parse("| I | V | vi | IV |", bpm=120, duration_seconds=16)
    parts = tuple(Section(Fraction(8 * i), Fraction(8), label) for i, label in enumerate("ABAC"))
    plain = torch.randn((1, 4, 125, 16), generator=seeded(3))
    noise = relate_sections(plain.clone(), replace(sheet, sections=parts), 0.128)
    a, b, again, c = (noise[:, :, s : s + 31].flatten() for s in (0, 31, 62, 94))

    def alike(x: torch.Tensor, y: torch.Tensor) -> float:
        return torch.corrcoef(torch.stack([x, y]))[0, 1].item()

    assert alike(a, again) == pytest.approx(RELATED, abs=0.03)
    assert max(abs(alike(a, b)), abs(alike(a, c))) < 0.08
    assert again.std().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(relate_sections(plain.clone(), sheet, 0.128), plain)
