"""Players that a prompt excludes are silent, instruments that it names are played, and the plan carries both."""

from __future__ import annotations

from fractions import Fraction

import pytest

from musetune.planning.arranger.style_band import style_band
from musetune.planning.planner.constraints import PlanConstraints
from musetune.planning.planner.everyday_words import read_everyday_words
from musetune.planning.planner.planner import NANO, Planner
from musetune.planning.planner.player_words import player_words
from musetune.planning.planner.prompt_constraints import narrow
from musetune.planning.planner.song_styles import check_styles, style_called
from musetune.planning.rules.instruments import program_called
from musetune.symbols import LeadSheet

shipped = pytest.mark.skipif(
    not (NANO / "model.safetensors").is_file(), reason="the planner's weights are not in this checkout"
)


@pytest.mark.parametrize(
    ("prompt", "players"),
    [
        ("cinematic ambient, no drums", "no drums"),
        ("acoustic pop without drums or bass", "no drums, no bass"),
        ("no drums and no guitar, just calm", "no drums, no guitar"),
        ("drumless jazz for flute and piano", "no drums, keys on piano, lead on flute"),
        ("solo piano waltz", "no drums, no guitar, bass on piano, keys on piano, lead on piano"),
        ("waltz for solo cello", "no drums, no bass, no guitar, no keys, lead on cello"),
        ("ska punk with horns", "lead on brass"),
        ("trance with strings", "lead on strings"),
        ("jig on guitar", "with guitar"),
        ("pop with a piano solo", "keys on piano"),
        ("drum and bass", ""),
        ("a song about nothing", ""),
    ],
)
def test_words_for_players(prompt: str, players: str) -> None:
    assert ", ".join(player_words(prompt, prompt.replace("no drums and no guitar", ""))) == players


@pytest.mark.parametrize(
    ("prompt", "players"),
    [
        ("rock ballad, no guitar solo", ""),
        ("pop, no lead vocals", ""),
        ("live jazz, no drum machine", ""),
        ("techno, no drum fills", ""),
        ("jazz, no bass drum", ""),
        ("folk, no electric guitar", ""),
        ("just piano, bass and drums", "keys on piano"),
        ("film score featuring solo violin", "lead on violin"),
        ("strings, then a solo trumpet", "keys on strings, lead on trumpet"),
    ],
)
def test_words_that_silence_nobody(prompt: str, players: str) -> None:
    styled = read_everyday_words(prompt).styled.split(", ")
    assert ", ".join(name for name in styled if name.startswith("no ") or " on " in name) == players


def test_pinned_players_go_before_those_of_the_prompt() -> None:
    styled = read_everyday_words("with horns and guitar", pinned="bossa nova, no guitar, lead on flute").styled
    assert styled.startswith("bossa nova, ")
    assert styled.endswith(", no guitar, lead on flute")


def test_players_alone_are_named() -> None:
    style = style_called("lead on flute")
    assert style is not None
    assert (style.style, style.instrument("lead")) == ("lead on flute", "flute")


def test_a_plan_carries_the_players_and_the_band_plays_them() -> None:
    style = narrow(PlanConstraints(), "bluegrass waltz without bass, with piano and flute").style
    assert style is not None
    assert style.endswith("no bass, keys on piano, lead on flute")
    called = style_called(style)
    assert called is not None
    band = style_band(called, 0)
    assert band.grooves["bass"] == "none"
    assert "keys" not in band.grooves or band.grooves["keys"] != "none"
    assert (band.programs["keys"], band.programs["lead"]) == (program_called("piano"), program_called("flute"))


def test_a_caller_may_say_who_plays() -> None:
    assert check_styles("Bossa nova, No drums, lead on tenor sax") == "bossa nova, no drums, lead on tenor sax"
    with pytest.raises(ValueError, match="not one of the"):
        check_styles("bossa nova, lead on a cloud")


@shipped
def test_an_arrangement_has_no_drums_where_the_prompt_has_none() -> None:
    from musetune.planning.arranger.style_band import write_by_rule

    sheet: LeadSheet = Planner.from_pretrained("nano").plan("acoustic pop without drums, 8 bars", seed=0)
    assert sheet.length == Fraction(8 * sheet.meter.beats_per_bar)
    style = style_called(sheet.style)
    assert style is not None
    assert write_by_rule(sheet, style_band(style, 0), ("drums",), 0)["drums"].notes == ()
