"""Prompts as people type them: genre, meter, tempo, mode, harmonic rhythm and length are what the words mean."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from musetune.planning.planner.constraints import PlanConstraints
from musetune.planning.planner.everyday_words import read_everyday_words
from musetune.planning.planner.planner import NANO, Planner
from musetune.planning.planner.prompt_constraints import narrow
from musetune.symbols import Key, LeadSheet, Meter

shipped = pytest.mark.skipif(
    not (NANO / "model.safetensors").is_file(), reason="the planner's weights are not in this checkout"
)


@dataclass(frozen=True)
class Expected:
    """What every listener would take for granted; empty or None where several things would do."""

    genres: str = ""
    meters: str = "4/4"
    bpm: tuple[int, int] = (30, 300)
    mode: str = ""
    chords_a_bar: float = 2.0
    bars: tuple[int, int] = (16, 512)


PROMPTS = {
    "slow sad ballad": Expected("pop", "4/4 6/8", (45, 90), "minor"),
    "happy birthday song for my daughter": Expected("pop", bpm=(100, 140), mode="major"),
    "chill lofi beats to study to": Expected("electronic", bpm=(64, 96)),
    "90s boy band ballad": Expected("pop", "4/4 6/8", (45, 90)),
    "punk rock song about being bored": Expected("rock", bpm=(145, 200)),
    "reggae groove": Expected("pop", bpm=(60, 96)),
    "techno banger for the club": Expected("electronic", bpm=(115, 145)),
    "ambient music for meditation": Expected("electronic", bpm=(50, 85), chords_a_bar=1.0),
    "irish jig": Expected("pop", "6/8", (95, 130), "major"),
    "bluesy rock in A": Expected("rock", chords_a_bar=4.0),
    "dark trap beat with 808s": Expected("electronic", bpm=(120, 165), mode="minor"),
    "epic movie trailer music": Expected("classical"),
    "christmas carol": Expected("pop", "4/4 3/4", mode="major"),
    "video game boss battle music": Expected("electronic", bpm=(120, 180), mode="minor"),
    "not a waltz, just a simple rock song": Expected("rock", chords_a_bar=4.0),
    "a song about an old house by the sea": Expected("pop rock"),
    "three chord country waltz": Expected("pop", "3/4", mode="major"),
    "string quartet in the style of haydn": Expected("classical", "4/4 3/4 2/4 6/8 2/2"),
    "gospel ballad": Expected("pop", "4/4 6/8", (45, 90)),
    "I need 30s of happy ukulele music for an ad": Expected("pop", "4/4 3/4 6/8", mode="major", bars=(8, 24)),
}


@pytest.mark.slow
@shipped
@pytest.mark.parametrize("seed", range(3))
def test_everyday_prompts_become_what_they_say(seed: int) -> None:
    plans = Planner.from_pretrained("nano").write(list(PROMPTS), [PlanConstraints()] * len(PROMPTS), seed=seed)
    wrong = []
    for (prompt, expected), plan in zip(PROMPTS.items(), plans, strict=True):
        sheet = plan.sheet()
        density = len(sheet.chords) / plan.bars
        checks = {
            "genre": sheet.genre in expected.genres.split(),
            "meter": str(sheet.meter) in expected.meters.split(),
            "bpm": expected.bpm[0] <= sheet.bpm <= expected.bpm[1],
            "mode": not expected.mode or sheet.key.mode == expected.mode,
            "chords a bar": density <= expected.chords_a_bar,
            "bars": expected.bars[0] <= plan.bars <= expected.bars[1],
        }
        if missed := [name for name, holds in checks.items() if not holds]:
            wrong.append(f"{prompt}: {missed}, {sheet.genre} {sheet.meter} {sheet.bpm:.0f} {sheet.key} {density:.2f}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("prompt", "field", "value"),
    [
        ("reggae in 3/4", "meters", ("3/4",)),
        ("from 3/4 to 4/4", "meters", ()),
        ("reggae waltz", "meters", ("3/4",)),
        ("disco in three", "meters", ()),
        ("reggae at 120 bpm", "bpm", None),
        ("fast reggae", "bpm", (82, 92)),
        ("reggae, not too fast", "bpm", (66, 79)),
        ("slow, then fast", "bpm", None),
        ("sad christmas song", "modes", ()),
        ("christmas song in D minor", "modes", ()),
        ("jazz ballad", "genres", ("jazz",)),
        ("pop with strings, in 3/4", "genres", ("pop",)),
        ("pop rock ballad", "genres", ()),
        ("rock song with no blues in it", "genres", ("rock",)),
        ("reggae, 8 bars", "least_bars", 0),
        ("reggae loop", "least_bars", 0),
        ("thirty seconds of reggae", "least_bars", 0),
        ("Bach chorale", "chords", None),
        ("", "genres", ()),
    ],
)
def test_what_the_prompt_says_itself_goes_before_its_style(prompt: str, field: str, value: object) -> None:
    found = getattr(read_everyday_words(prompt), field)
    assert (sorted(found) == sorted(value)) if isinstance(value, tuple) else found == value


def test_what_is_pinned_stays() -> None:
    pins = PlanConstraints("jazz", Meter(3, 4), (Key("D#", "minor"),), 150.0, bars=4)
    same = narrow(pins, "reggae song for the beach")
    assert (same.genre, same.meter, same.keys, same.bpm, same.bars) == ("jazz", Meter(3, 4), pins.keys, 150.0, 4)
    assert (same.genres, same.meters, same.tempo, same.least_open) == ((), (), None, 0)


def test_a_length_that_no_meter_of_the_style_holds_is_kept() -> None:
    """Eight bars in five seconds are beyond 4/4 at any tempo, and so beyond reggae's."""
    pins = PlanConstraints(seconds=5, form=(("A", 8),), closed=True)
    short = narrow(pins, "reggae")
    assert short.meters == ()
    assert list(short.tempi(Meter(2, 4))) == list(pins.tempi(Meter(2, 4)))


def test_keys_are_those_that_musicians_write_unless_one_is_named() -> None:
    keys = narrow(PlanConstraints(), "a sad song").keys
    assert keys is not None
    assert Key("D#", "minor") not in keys
    assert Key("Eb", "minor") in keys


@pytest.mark.parametrize(
    ("prompt", "keys"),
    [
        ("a song in D# minor", ("D# minor",)),
        ("F#m, slow", ("F# minor",)),
        ("key E minor, tempo 165", ("E minor",)),
        ("blues in E", ("E major", "E minor")),
        ("E flat, in a minor key", ("Eb minor",)),
    ],
)
def test_a_key_that_the_prompt_names_is_the_plans(prompt: str, keys: tuple[str, ...]) -> None:
    found = narrow(PlanConstraints(), prompt).keys
    assert found is not None
    assert sorted(map(str, found)) == sorted(keys)


def test_of_several_keys_the_transformer_chooses() -> None:
    keys = narrow(PlanConstraints(), "from A minor to C major").keys
    assert keys is not None
    assert len({key.tonic for key in keys}) == 18


@shipped
def test_the_bars_of_a_sheet_keep_all_their_chords() -> None:
    sheet = LeadSheet.parse("| C F G C | Am F G C |", bpm=90)
    longer = Planner.from_pretrained("nano").plan("slow ballad", sheet=sheet, bars=4, seed=1)
    assert longer.chord_labels[:8] == sheet.chord_labels
    assert len(longer.chords) <= 8 + 2 * 2


def test_other_styles_take_the_form_of_the_blues() -> None:
    style = read_everyday_words("fifties rock and roll, 12 bar form").style
    assert style.style == "rock and roll"
    assert style.forms == (("A:12", 1),)
    assert all(text.startswith(("C7", "Am7")) for _, texts in style.progressions for text in texts)
