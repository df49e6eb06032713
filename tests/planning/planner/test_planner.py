"""A planner is a folder; the same seed is the same plan; prompts are spelled alike.

The one in the package does what it is told.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from small_planner import small_planner

from musetune.planning.planner.form_detection import derive_form
from musetune.planning.planner.language import bars_of
from musetune.planning.planner.planner import NANO, Planner, plan
from musetune.planning.planner.prompt_text import normalise, shared_words
from musetune.planning.planner.tokenizer import plan_ids, read_prompts
from musetune.symbols import LeadSheet
from musetune.theory.harmony.complexity import progression_complexity
from musetune.theory.numerals.context import romans

shipped = pytest.mark.skipif(
    not (NANO / "model.safetensors").is_file(), reason="the planner's weights are not in this checkout"
)


def test_a_folder_gives_back_the_planner(tmp_path):
    planner = small_planner()
    planner.model.save_pretrained(tmp_path)
    planner.tokenizer.save_pretrained(tmp_path)
    again = Planner.from_pretrained(tmp_path)
    for seed in range(2):
        assert again.plan("a song", bars=8, seed=seed) == planner.plan("a song", bars=8, seed=seed)


def test_seeds_and_temperature(tmp_path):
    planner = small_planner()
    one, two, other = (planner.plan("a song", bars=8, seed=seed) for seed in (5, 5, 6))
    assert one == two != other
    assert planner.plan("a song", bars=4, temperature=0, seed=1) == planner.plan(
        "a song", bars=4, temperature=0, seed=2
    )


@shipped
def test_chords_are_as_plain_or_as_rich_as_asked():
    def complexity(wanted: float | None, prompt: str) -> float:
        song = plan(prompt, bars=16, seed=3, harmonic_complexity=wanted)
        return progression_complexity(song, romans(song)) or 0.0

    for prompt in ("classical piano", "electronic track", "jazz ballad"):
        low, high = complexity(0.0, prompt), complexity(1.0, prompt)
        assert low < high
        middle = (low + high) / 2
        assert abs(complexity(middle, prompt) - middle) < high - middle
    with pytest.raises(ValueError, match=r"harmonic_complexity=1\.5 is outside of 0 to 1"):
        plan("a song", harmonic_complexity=1.5)


def test_a_tokenizer_without_the_plans_words_is_refused():
    tokenizer = small_planner().tokenizer
    tokenizer.convert_tokens_to_ids = lambda tokens: [0] * len(tokens)
    tokenizer.get_vocab = dict
    with pytest.raises(ValueError, match="lacks"):
        plan_ids(tokenizer)


def test_nobody_writes_a_plans_word_into_a_prompt():
    planner = small_planner()
    read = read_prompts(planner.tokenizer, ["a </form> <N> </s> song", "日本語 🎵 ♯"])
    assert set(planner.ids[:-1]).isdisjoint(read.input_ids.flatten().tolist())
    assert planner.tokenizer.decode(read.input_ids[1], skip_special_tokens=True).strip() == "日本語 🎵 #"


@pytest.mark.parametrize(
    ("prompt", "shared"),
    [
        ("jazz in F# minor, 006/008", "<genre:jazz> in <tonic:F#> <mode:minor>, <meter:6/8>"),
        ("three-four, f#m or Am", "<meter:3/4>, <tonic:F#>m or <tonic:A>m"),
        ("IN BB MAJOR", "in <tonic:Bb> <mode:major>"),
        ("a big band, in a minor key, I am", "a big band, in <tonic:A> <mode:minor> key, i am"),
        ("FAST ROCK, Ab", "fast <genre:rock>, <tonic:Ab>"),
        ("97 bpm <genre:pop>", "<0><9><7> bpm  genre:<genre:pop> "),
        ("no number here", "no number here"),
    ],
)
def test_words_that_prompts_and_plans_share_are_one(prompt, shared):
    assert shared_words(normalise(prompt)) == shared


@pytest.mark.parametrize(
    ("prompt", "spelled"),
    [
        ("Slow waltz, F sharp minor, a minute and a half", "Slow waltz, F# minor, 090 seconds"),
        ("thirty-two bars at a hundred and twenty bpm", "032 bars at 120 bpm"),
        ("sixteen bars in three four", "016 bars in 003 004"),
        ("12/8, 1:30, B-flat", "012/008, 090 seconds, Bb"),
        ("two and a half minutes", "150 seconds"),
        ("2 minutes 15 seconds", "135 seconds"),
        ("half a minute, B♭ and F♯", "030 seconds, Bb and F#"),
        ("one hundred forty", "140"),
        ("97.5 bpm", "097 bpm"),
        ("140BPM, 90s, 32-bar", "140 bpm, 090 seconds, 032 bars"),
        ("120 beats a minute for 90 sec", "120 bpm for 090 seconds"),
        ("one twenty-eight bpm, hundred bars", "128 bpm, 100 bars"),
        ("♩ = 72, four hundred seconds", "tempo 072, 400 seconds"),
        ("a dozen measures", "012 bars"),
        ("One minute forty-five.", "105 seconds."),
        ("144 bpm, one minute ten", "144 bpm, 070 seconds"),
        ("two minutes 90 bpm", "120 seconds 090 bpm"),
        ("a minute 4/4", "060 seconds 004/004"),
        ("2m30s or 1'30\" or 3-minute", "150 seconds or 090 seconds or 180 seconds"),
        ("3:20 minutes, 1.5 minutes, half a minute", "200 seconds, 090 seconds, 030 seconds"),
        ("A min, 3 min", "A min, 180 seconds"),
        ("80s rock from the 90s, 1970s style", "decade rock from the decade, decade style"),
        ("90s boy band ballad, a 70s-style groove", "decade boy band ballad, a decade-style groove"),
        ("808s and an 808 kick, 303 seconds", "decade and an decade kick, 303 seconds"),
        ("30s of pop, a 60s loop, pop 30s", "030 seconds of pop, a 060 seconds loop, pop 030 seconds"),
        ("no number here", "no number here"),
    ],
)
def test_numbers_and_notes_are_spelled_alike(prompt, spelled):
    assert normalise(prompt) == spelled


def test_sections_are_found_where_chords_come_back():
    a, b = "| C | Am | F | G | C | Am | Dm | G |", "| Bb | Eb | B | E | Bb | Ab | Db | D |"
    sheet = LeadSheet.parse(a + a + b + a)
    assert derive_form(bars_of(sheet)) == [("A", 8), ("A", 8), ("B", 8), ("A", 8)]
    varied = LeadSheet.parse(a + "| C | Am | F | G | C | E7 | Dm | G |" + b)
    assert derive_form(bars_of(varied)) == [("A", 8), ("A", 8), ("B", 8)]
    assert derive_form([]) == []


def test_importing_the_planner_loads_no_torch():
    code = (
        "import sys, musetune.planning.planner.planner; assert not {'torch', 'transformers', 'music21'} & "
        "set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@shipped
def test_the_shipped_planner_obeys():
    sheet = plan("a slow sad waltz in D minor, 32 bars", seed=1)
    assert str(sheet.key) == "D minor"
    assert str(sheet.meter) == "3/4"
    assert sheet.length == 96
    assert sheet.bpm < 100
    sheet = plan("rock at 140 bpm in E major", chords="I bVII IV I", bars=16, seed=2)
    assert (sheet.genre, str(sheet.key), round(sheet.bpm)) == ("rock", "E major", 140)
    assert [span.chord.root for span in sheet.chords[:4]] == ["E", "D", "A", "E"]


@shipped
def test_the_shipped_planner_is_small():
    assert sum(path.stat().st_size for path in NANO.iterdir()) <= 8_000_000


@pytest.mark.parametrize("chords", ["| C7#9 . F . | Cadd9 | G7(b9,b13) |", "| C7#9 | F |", "| C7 C7#9 C7b9 . | F |"])
def test_exact_chords_of_a_progression_stay(chords: str) -> None:
    own = LeadSheet.parse(chords, key="C major")
    form = [("verse", 5), ("chorus", 2), ("verse", 5)]
    song = small_planner().plan("pop", chords=chords, key="C major", time_signature="4/4", sections=form)
    count = own.length // 4
    for start in (0, 7 * 4):
        for bar in range(5):
            low = (bar % count) * 4
            expected = [(span.start - low, span.chord) for span in own.chords if low <= span.start < low + 4]
            at = start + bar * 4
            assert [(s.start - at, s.chord) for s in song.chords if at <= s.start < at + 4] == expected
    assert all(a.end <= b.start for a, b in zip(song.chords, song.chords[1:], strict=False))
