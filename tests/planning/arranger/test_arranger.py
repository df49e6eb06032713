"""Arranging a lead sheet with a tiny transformer of random weights, and by rule where it has never heard the meter."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import mido

from musetune.formats.songs import save_song
from musetune.planning.arranger import arranger as arranging
from musetune.planning.arranger.arranger import SHIPPED, Arranger, arrange, positions_of
from musetune.planning.arranger.exact_chords import voice_exactly
from musetune.planning.arranger.language import METERS, STEM_RANGES
from musetune.planning.arranger.model import StemTransformer
from musetune.symbols import GENRES, Key, KeySpan, LeadSheet, Note, Section, SectionPurpose
from musetune.symbols.arrangement import STEMS, Arrangement, Stem, StemNote


@pytest.fixture(scope="module")
def tiny() -> Arranger:
    torch.manual_seed(0)
    model = StemTransformer(dim=16, layers=1, heads=2, ffn=16).eval()
    for weight in model.parameters():  # so large that what is heard makes a difference
        weight.data *= 10 if weight.ndim > 1 else 1
    return Arranger(model)


def song(
    bars: int = 8, labels: str = "", meter: str = "4/4", key: str = "C major", genre: str | None = "pop"
) -> LeadSheet:
    sheet = LeadSheet.from_progression(
        ["I", "vi", "IV", "V"] * (bars // 4), key=key, bpm=120, time_signature=meter, genre=genre
    )
    each = sheet.length / max(len(labels), 1)
    return replace(sheet, sections=tuple(Section(each * i, each, label) for i, label in enumerate(labels)))


def check(arrangement: Arrangement, sheet: LeadSheet) -> None:
    for name, stem in arrangement.stems.items():
        player = STEM_RANGES[name]
        assert stem.is_drum == (name == "drums")
        assert 0 <= stem.program <= 127
        for note in stem.notes:
            assert note.start >= 0
            assert note.beats > 0
            assert note.start + note.beats <= float(sheet.length) + 1e-6
            assert 1 <= note.velocity <= 127
            assert player.low <= note.pitch <= player.high
        if player.voices == 1 and name != "drums":
            notes = sorted(stem.notes, key=lambda n: n.start)
            assert all(a.start + a.beats <= b.start + 1e-6 for a, b in itertools.pairwise(notes))


@settings(max_examples=10)
@given(
    st.sampled_from(METERS),
    st.sampled_from(["C major", "F# minor", "Eb major", "B minor"]),
    st.sampled_from([None, *GENRES]),
    st.sampled_from(["", "AB", "ABA"]),
    st.integers(0, 2**31),
    st.integers(0, 3),
)
def test_every_arrangement_is_playable(
    tiny: Arranger, meter: str, key: str, genre: str | None, labels: str, seed: int, cut: int
) -> None:
    sheet = song(4, labels, meter, key, genre)
    sheet = sheet.slice(cut, sheet.length)  # begins inside a bar
    made = tiny.arrange(sheet, seed=seed, temperature=1.3)
    assert tuple(made.stems) == STEMS
    assert {s.source for s in made.stems.values()} == {"model"}
    check(made, sheet)


def test_same_seed_same_notes(tiny: Arranger) -> None:
    sheet = song()
    assert tiny.arrange(sheet, seed=5) == tiny.arrange(sheet, seed=5)
    assert tiny.arrange(sheet, seed=5) != tiny.arrange(sheet, seed=6)


def shifted(stem: Stem, first: float, after: float) -> list[tuple[float, float, int]]:
    return [(round(n.start - first, 6), round(n.beats, 6), n.pitch) for n in stem.notes if first <= n.start < after]


def test_recurring_labels_reuse_their_notes(tiny: Arranger) -> None:
    sheet = song(12, "ABA")
    made = tiny.arrange(sheet)
    for stem in made.stems.values():
        assert shifted(stem, 0, 16) == shifted(stem, 32, 48)
        assert shifted(stem, 0, 16) != shifted(stem, 16, 32)


def test_a_modulated_recurrence_is_the_same_music_in_its_key(tiny: Arranger) -> None:
    sheet = song(8, "AA", key="C major")
    up = song(8, "AA", key="D major")
    chords = sheet.chords[:4] + up.chords[4:]
    sheet = replace(sheet, chords=chords, keys=(KeySpan(Fraction(0), Key("C")), KeySpan(Fraction(16), Key("D"))))
    bass = tiny.arrange(sheet, stems=("bass",)).stems["bass"]
    first, second = shifted(bass, 0, 16), shifted(bass, 16, 32)
    assert [n[:2] for n in first] == [n[:2] for n in second]
    assert {(b[2] - a[2]) % 12 for a, b in zip(first, second)} == {2}


def test_other_chords_under_the_same_label_are_written_anew(tiny: Arranger) -> None:
    sheet = song(8, "AA")
    last = replace(sheet.chords[-1], chord=sheet.chords[0].chord)
    made = tiny.arrange(replace(sheet, chords=(*sheet.chords[:-1], last)))
    assert shifted(made.stems["drums"], 0, 16) != shifted(made.stems["drums"], 16, 32)


def test_sections_of_a_song_without_a_style_follow_their_purposes(tiny: Arranger) -> None:
    sheet = song(16, "AB")
    purposes = (SectionPurpose(-0.3, -0.2, 0.0), SectionPurpose(0.6, 0.5, 0.0))
    sheet = replace(sheet, sections=tuple(replace(s, purpose=p) for s, p in zip(sheet.sections, purposes)))
    for name, stem in tiny.arrange(sheet, seed=3).stems.items():
        soft, loud = ([n for n in stem.notes if (n.start >= 32) == late] for late in (False, True))
        assert len(loud) > len(soft), name
        assert max(n.velocity for n in loud) > max(n.velocity for n in soft), name


def test_given_stems_stay_and_are_heard(tiny: Arranger) -> None:
    sheet = song()
    drums = Stem(0, tuple(StemNote(float(b), 0.25, 36, 100) for b in range(32)), is_drum=True, source="model")
    made = tiny.arrange(sheet, stems=("bass", "vocals"), given=Arrangement(sheet.grid, {"drums": drums}))
    assert list(made.stems) == ["drums", "bass", "lead"]
    assert made.stems["drums"].notes == drums.notes
    assert [s.source for s in made.stems.values()] == ["given", "model", "model"]
    assert made.stems["bass"] != tiny.arrange(sheet, stems=("bass", "lead")).stems["bass"]


def test_a_sheets_own_melody_is_its_lead(tiny: Arranger) -> None:
    sheet = replace(song(), melody=(Note(Fraction(0), Fraction(1), 72), Note(Fraction(2), Fraction(1), 74)))
    lead = tiny.arrange(sheet).stems["lead"]
    assert [n.pitch for n in lead.notes] == [72, 74]
    assert lead.source == "given"


@pytest.mark.parametrize("meter", ["5/4", "7/8", "2/2"])
def test_unheard_meters_are_rule_made_and_say_so(tiny: Arranger, meter: str) -> None:
    sheet = song(meter=meter)
    made = tiny.arrange(sheet, seed=1)
    assert {s.source for s in made.stems.values()} == {"rule"}
    assert all(stem.notes for stem in made.stems.values())
    assert made == tiny.arrange(sheet, seed=1)


# -- styles ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("meter", ["4/4", "5/4"])
def test_a_sheets_style_is_played_by_its_rules(tiny: Arranger, meter: str) -> None:
    sheet = replace(song(16, "AB", meter), style="reggae")
    made = tiny.arrange(sheet, seed=3)
    assert made == tiny.arrange(replace(sheet, style=None), seed=3, style="reggae")
    credits = {name: stem.credit for name, stem in made.stems.items()}
    assert (credits["drums"], credits["guitar"]) == ("by rule one_drop", "by rule skank")
    assert {stem.source for stem in made.stems.values()} == {"rule"}
    check(made, sheet)
    assert made != tiny.arrange(sheet, seed=3, humanize=False)


def test_without_its_style_a_sheet_is_arranged_as_ever(tiny: Arranger) -> None:
    sheet = song()
    plain = tiny.arrange(sheet, seed=2)
    assert plain == tiny.arrange(replace(sheet, style="reggae"), seed=2, style="")
    assert plain == tiny.arrange(replace(sheet, style="a style that nobody knows"), seed=2)
    assert not any(stem.writers for stem in plain.stems.values())


def test_players_without_a_groove_are_the_transformers(tiny: Arranger, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "style: mine\ngrooves: {drums: one_drop, bass: model, guitar: none}\ninstruments: {bass: a warm synth bass}\n"
    )
    sheet = song(8, "AB")
    made = tiny.arrange(sheet, style="mine", styles=file, seed=1, humanize=False)
    assert [made.stems[name].source for name in STEMS] == ["rule", "model", "rule", "model", "model"]
    assert made.stems["bass"].credit == "by the model"
    assert [writer.section for writer in made.stems["bass"].writers] == ["A", "B"]
    assert made.stems["bass"].program == 38
    assert made.stems["guitar"].notes == ()
    assert made.stems["guitar"].credit == "rests"
    alone = tiny.arrange(sheet, seed=1).stems["bass"]
    assert [n.start for n in made.stems["bass"].notes] != [n.start for n in alone.notes], "the drums are heard"
    check(made, sheet)
    asked = tiny.arrange(sheet, style="mine", styles=file, stems=("guitar",)).stems["guitar"]
    assert asked.source == "model", "one player who is asked to play does not rest"


def test_an_unknown_style_is_an_error_that_says_so(tiny: Arranger) -> None:
    with pytest.raises(ValueError, match="style 'regae' is unknown; did you mean 'reggae'"):
        tiny.arrange(song(), style="regae")


def test_errors_name_the_stem(tiny: Arranger) -> None:
    with pytest.raises(ValueError, match="'violin' is not one of drums, bass"):
        tiny.arrange(song(), stems=("violin",))
    with pytest.raises(ValueError, match="temperature=-1"):
        tiny.arrange(song(), temperature=-1)


def test_temperature_0_is_the_likeliest_whatever_the_seed(tiny: Arranger) -> None:
    sheet = song()
    one, other = (tiny.arrange(sheet, temperature=0, seed=seed).stems for seed in (1, 2))
    assert all(one[stem].notes == other[stem].notes for stem in STEMS)
    assert any(stem.notes for stem in one.values())
    assert tiny.arrange(sheet, temperature=1, seed=1).stems != tiny.arrange(sheet, temperature=1, seed=2).stems


def test_passages_follow_sections() -> None:
    sheet = song(24, "AB")
    assert [(p.label, p.part, p.passage.bars, float(p.start)) for p in positions_of(sheet)] == [
        ("A", 0, 8, 0),
        ("A", 1, 4, 32),
        ("B", 0, 8, 48),
        ("B", 1, 4, 80),
    ]


def test_module_function_loads_once(tiny: Arranger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.model.save_pretrained(tmp_path)
    first = arrange(song(), model=str(tmp_path), stems=("bass",))
    monkeypatch.setattr(Arranger, "from_pretrained", lambda *_: pytest.fail("loaded again"))
    assert arrange(song(), model=str(tmp_path), stems=("bass",)) == first


def test_shipped_weights_play_a_song() -> None:
    if not SHIPPED.is_dir():
        pytest.skip("no weights are packaged yet: recipes/arranger/train.py package=…")
    size = sum(f.stat().st_size for f in SHIPPED.iterdir())
    assert size < 8_000_000
    sheet = song(8, "AB", genre="rock")
    made = arranging.Arranger.from_pretrained("nano").arrange(sheet, seed=0)
    check(made, sheet)
    assert all(len(stem.notes) >= 8 for stem in made.stems.values())


EXACT = ["C7#9", "C7(b9,b13)", "C13sus", "Cadd9", "C7b5", "C7alt", "Cmaj7#11", "Cm11", "C6/9", "C7no3", "C9no5"]


@pytest.mark.parametrize("text", EXACT)
@pytest.mark.parametrize("meter", ["4/4", "5/4"])  # by the transformer, and by rule
def test_an_exact_chord_sounds_with_its_own_notes(tiny: Arranger, text: str, meter: str) -> None:
    sheet = LeadSheet.parse(f"| {text} | F | {text} |", key="C major", bpm=100, time_signature=meter)
    chord = sheet.chords[0].chord
    assert chord.folded
    arrangement = tiny.arrange(sheet, seed=3)
    lacking = set(chord.simplify().pitch_classes) - set(chord.pitch_classes)
    for span in (sheet.chords[0], sheet.chords[2]):
        heard: dict[str, set[int]] = {}
        for name, stem in arrangement.stems.items():
            inside = [n for n in stem.notes if float(span.start) - 1e-6 <= n.start < float(span.end) - 1e-6]
            heard[name] = {n.pitch % 12 for n in inside if not stem.is_drum}
        assert not lacking & set().union(*heard.values())
        comping = "keys" if heard["keys"] else "guitar"
        assert set(chord.pitch_classes) - set(chord.simplify().pitch_classes) <= heard[comping]
    check(arrangement, sheet)


def test_a_sheet_without_exact_chords_is_left_alone(tiny: Arranger) -> None:
    stems = tiny.arrange(song(), seed=3).stems
    assert voice_exactly(song(), stems) == stems


def test_notes_of_an_exact_chord_reach_the_midi_file(tmp_path: Path) -> None:
    sheet = LeadSheet.parse("| C7#9 | C7#9 |", bpm=100, genre="pop")
    path = save_song(sheet, arrange(sheet, seed=1), tmp_path / "song.mid")
    pitches = {m.note % 12 for m in mido.MidiFile(path) if m.type == "note_on" and m.velocity and m.channel != 9}
    assert {0, 3, 4, 7, 10} <= pitches
