"""Each groove is what its name says: the strokes that make it, and those that it must not have."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

import pytest

from musetune.planning.rules import fills
from musetune.planning.rules.grooves.bar import BarChord, GrooveBar, Hit, Strike, pulses_of
from musetune.planning.rules.grooves.catalogue import BASS, CHORDS, DRUMS, GROOVES, check_groove, describe_groove
from musetune.planning.rules.grooves.drums import KIT
from musetune.planning.rules.grooves.lead import LeadSection
from musetune.planning.rules.grooves.voicing import GUITAR
from musetune.planning.rules.lead_ins import OWN_WAY, PICK_UPS, WALK_UPS
from musetune.symbols import Chord, Key, Meter
from musetune.symbols.meter import METERS

C, G7 = Chord.parse("C"), Chord.parse("G7")
FULL = GrooveBar(Meter(4, 4), (BarChord(0, 16, C),), G7, density=0.7, seed="1")
BEATS, OFFBEATS, EIGHTHS, BACK = (0, 4, 8, 12), (2, 6, 10, 14), (0, 2, 4, 6, 8, 10, 12, 14), (4, 12)

# Strokes in the first bar of 4/4 that make the groove: drum → steps; then strokes that are never there
DRUM_SIGNS: dict[str, tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]] = {
    "rock_backbeat": ({"kick": (0,), "snare": BACK, "hat": EIGHTHS}, {"snare": (0, 8), "kick": BACK}),
    "pop_backbeat": ({"kick": (0,), "snare": BACK}, {"snare": (0, 8)}),
    "ballad_backbeat": ({"kick": (0,), "snare": BACK}, {"snare": (0, 8)}),
    "indie_backbeat": ({"kick": (0, 3), "snare": BACK, "hat": EIGHTHS}, {"snare": (0, 8)}),
    "grunge": ({"open": BEATS, "snare": BACK}, {"open": OFFBEATS}),
    "punk_beat": ({"kick": BEATS, "snare": OFFBEATS}, {"snare": BEATS}),
    "d_beat": ({"snare": BACK, "kick": (0, 6, 8, 14)}, {"snare": (0, 8)}),
    "double_kick": ({"kick": (0, 2, 3, 4, 6, 7), "snare": BACK}, {"snare": (0, 8)}),
    "blast": ({"kick": EIGHTHS, "snare": tuple(range(1, 16, 2))}, {"snare": EIGHTHS}),
    "half_time": ({"snare": (8,), "kick": (0,)}, {"snare": BACK}),
    "shuffle": ({"snare": BACK, "kick": (0, 8)}, {"snare": (0, 8)}),
    "rock_and_roll": ({"snare": (4, 12, 14), "ride": EIGHTHS}, {"snare": (0, 8)}),
    "train_beat": ({"kick": BEATS, "snare": tuple(range(16))}, {}),
    "country_two_beat": ({"kick": (0, 8), "rim": BACK}, {"kick": BACK}),
    "motown": ({"snare": BEATS, "tambourine": OFFBEATS}, {}),
    "soul_backbeat": ({"snare": (4, 7, 9, 12), "kick": (0, 3)}, {"kick": (8,)}),
    "funk": ({"kick": (0,), "snare": (4, 7, 9, 12), "hat": tuple(range(16))}, {"snare": (0,)}),
    "gospel": ({"clap": BACK, "snare": BACK, "tambourine": OFFBEATS}, {}),
    "folk_stomp": ({"kick": (0, 8), "tambourine": BACK}, {"snare": tuple(range(16))}),
    "tambourine_six": ({"kick": (0, 8), "tambourine": EIGHTHS}, {"snare": tuple(range(16))}),
    "reel": ({"low_conga": BEATS, "conga": OFFBEATS}, {}),
    "waltz": ({"kick": (0,), "snare": (4, 8)}, {"kick": (4, 8)}),
    "march": ({"kick": (0, 8), "snare": (0, 4, 8, 12, 15)}, {"kick": BACK}),
    "polka": ({"kick": BEATS, "snare": OFFBEATS}, {"snare": BEATS}),
    "film_drums": ({"kick": (0,), "floor_tom": (0, 3, 6, 8, 11, 14)}, {"hat": tuple(range(16)), "snare": BACK}),
    "tambourine_pulse": ({"shaker": EIGHTHS, "kick": (0,)}, {"snare": BACK}),
    "four_on_the_floor": ({"kick": BEATS, "open": OFFBEATS, "clap": BACK}, {"kick": OFFBEATS, "open": BEATS}),
    "techno": ({"kick": BEATS, "hat": OFFBEATS}, {"kick": OFFBEATS, "clap": (4,)}),
    "trance": ({"kick": BEATS, "open": OFFBEATS, "clap": BACK, "shaker": tuple(range(16))}, {"kick": OFFBEATS}),
    "disco": ({"kick": BEATS, "open": OFFBEATS, "snare": BACK}, {"open": BEATS}),
    "synth_backbeat": ({"kick": BEATS, "snare": BACK, "hat": EIGHTHS}, {"snare": (0, 8)}),
    "breakbeat": ({"kick": (0, 10), "snare": (4, 7, 9, 12)}, {"kick": (4, 8, 12)}),
    "two_step": ({"kick": (0, 10), "snare": BACK}, {"kick": (4, 8, 12)}),
    "dubstep": ({"kick": (0,), "snare": (8,)}, {"snare": BACK}),
    "half_time_trap": ({"kick": (0,), "clap": (8,), "hat": EIGHTHS}, {"clap": BACK, "snare": BACK}),
    "boom_bap": ({"kick": (0,), "snare": BACK, "hat": EIGHTHS}, {"kick": (4, 8, 12)}),
    "lofi": ({"snare": BACK, "rim": BACK, "kick": (0,)}, {"kick": (4, 8, 12)}),
    "dembow": ({"kick": BEATS, "snare": (3, 6, 11, 14)}, {"snare": BEATS}),
    "soft_pulse": ({"kick": (0,)}, {"snare": tuple(range(16)), "kick": (4, 8, 12)}),
    "swing_ride": ({"ride": (0, 4, 6, 8, 12, 14), "pedal": BACK}, {"ride": (2, 10), "pedal": (0, 8)}),
    "bebop_ride": ({"ride": BEATS, "pedal": BACK}, {"ride": (2, 10), "pedal": (0, 8)}),
    "jazz_waltz": ({"ride": (0, 4, 6, 8), "pedal": (4, 8), "kick": (0,)}, {"pedal": (0,)}),
    "brushes": ({"brush": BEATS, "pedal": BACK}, {"ride": BEATS, "pedal": (0, 8)}),
    "two_beat_jazz": ({"kick": (0, 8), "hat": BACK}, {"kick": BACK}),
    "one_drop": ({"kick": (8,), "rim": (8,), "hat": EIGHTHS}, {"kick": (0, 4, 12), "snare": BACK}),
    "steppers": ({"kick": BEATS, "rim": (8,), "hat": OFFBEATS}, {"rim": BACK}),
    "ska": ({"kick": BACK, "snare": BACK, "hat": OFFBEATS}, {"kick": (0, 8)}),
    "bossa_clave": ({"rim": (0, 6, 12), "kick": (0, 6, 8, 14), "hat": EIGHTHS}, {"snare": BACK}),
    "samba": ({"surdo": BACK, "kick": (0, 3, 4, 7), "shaker": (0, 2, 3, 4)}, {"surdo": (0, 8)}),
    "salsa": ({"claves": (0, 6, 12), "conga": (12, 14), "cowbell": BEATS}, {"snare": BACK, "kick": (0,)}),
    "cha_cha": ({"cowbell": BEATS, "guiro": (0, 4, 6, 8), "conga": (12, 14)}, {"snare": BACK}),
    "bolero": ({"shaker": EIGHTHS, "low_conga": (0,), "conga": (12, 14)}, {"snare": BACK}),
    "cumbia": ({"guiro": (0, 2, 3, 4, 6, 7), "conga": OFFBEATS, "kick": (0, 8)}, {"snare": BACK}),
    "tango": ({"block": BEATS, "rim": (15,)}, {"kick": BEATS, "hat": EIGHTHS}),
    "tresillo": ({"rim": (0, 6, 12), "kick": (0, 8)}, {"rim": (4, 8)}),
    "habanera": ({"low_conga": (0, 3), "conga": (4, 6)}, {"snare": BACK}),
    "palmas": ({"clap": (2, 4, 6), "kick": (0,)}, {"snare": BACK, "clap": (0, 8)}),
    "afrobeat": ({"hat": (0, 2, 3), "kick": (0, 3, 6, 8, 11), "snare": (4, 7, 12, 15)}, {"snare": (0, 8)}),
}  # fmt: skip

# Steps of the first bar and what sounds there in C: R 5 3 6 7 8, "*" anything; steps at which no note begins
BASS_SIGNS: dict[str, tuple[dict[int, str], tuple[int, ...]]] = {
    "root_whole": ({0: "R"}, tuple(range(1, 16))),
    "root_quarters": (dict.fromkeys(BEATS, "R"), OFFBEATS),
    "root_eighths": (dict.fromkeys(EIGHTHS, "R"), (1, 3)),
    "root_syncopated": ({0: "R", 6: "R", 8: "R"}, (4,)),
    "root_fifth": ({0: "R", 8: "5"}, (4, 12)),
    "waltz": ({0: "R"}, (4, 8)),
    "walking": ({0: "R", 4: "*", 8: "*", 12: "*"}, OFFBEATS),
    "two_feel": ({0: "R", 8: "5"}, (4,)),
    "bossa_two": ({0: "R", 6: "5", 8: "5", 14: "R"}, (4, 12)),
    "samba": ({0: "R", 3: "5", 4: "5", 7: "5", 8: "5", 11: "R", 12: "R"}, (2, 6, 10, 14)),
    "tresillo": ({0: "R", 6: "5", 12: "8"}, (4, 8)),
    "tumbao": ({6: "5", 12: "*"}, (0, 4, 8)),
    "offbeat_octaves": (dict.fromkeys(BEATS, "R") | dict.fromkeys(OFFBEATS, "8"), (1, 3)),
    "octaves": ({0: "R", 2: "R", 4: "8", 6: "8"}, (1, 3)),
    "offbeats": (dict.fromkeys(OFFBEATS, "R"), BEATS),
    "rolling_sixteenths": ({1: "R", 2: "R", 3: "R", 5: "R"}, BEATS),
    "techno_pulse": ({}, (4, 12)),
    "long_808": ({0: "R"}, (2, 4, 8)),
    "half_time_bass": ({0: "R"}, (2, 4, 8)),
    "reggae_syncopated": ({}, (1, 5, 7, 9, 13, 15)),
    "triad_walk": ({0: "R", 4: "*", 8: "*", 12: "*"}, OFFBEATS),
    "boogie": ({0: "R", 2: "R", 4: "3", 6: "3", 8: "5", 10: "5"}, (1, 3)),
    "funk_syncopated": ({0: "R"}, (1, 2)),
    "motown_line": ({0: "R", 8: "*", 10: "*", 12: "*"}, (1, 2)),
    "gallop": ({0: "R", 2: "R", 3: "R", 4: "R", 6: "R", 7: "R"}, (1, 5)),
    "dembow": ({0: "R", 3: "R", 6: "R"}, (4, 12)),
    "habanera": ({0: "R", 3: "5", 8: "8", 12: "5"}, (4,)),
    "marcato": ({0: "R", 4: "5", 8: "R", 12: "5"}, OFFBEATS),
    "pedal": ({0: "R"}, tuple(range(1, 16))),
    "cello_line": ({0: "R"}, OFFBEATS),
}

# Steps at which a chord or one of its tones begins, and steps at which nothing does
CHORD_SIGNS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "pad": ((0,), tuple(range(1, 16))),
    "block": (BEATS, OFFBEATS),
    "ballad_block": ((0, 8), (4, 12, *OFFBEATS)),
    "eighths": (EIGHTHS, (1, 3)),
    "strum": ((0,), (1, 3)),
    "campfire": ((0, 4, 6, 8, 12, 14), (2, 10)),
    "boom_chick": (BACK, (0, 8, *OFFBEATS)),
    "waltz": ((4, 8, 12), (0,)),
    "off_beats": (OFFBEATS, BEATS),
    "skank": (BACK, (0, 8, *OFFBEATS)),
    "bubble": (OFFBEATS, BEATS),
    "ska_upstrokes": (OFFBEATS, BEATS),
    "power_chords": (EIGHTHS, (1, 3)),
    "power_sustained": ((0,), (1, 2, 3)),
    "chugging": ((0, 3), ()),
    "jangle": (EIGHTHS, (1, 3)),
    "comping": ((), (1, 3, 5, 7)),
    "charleston": ((0, 6), (4, 8, 12)),
    "four_to_the_bar": (BEATS, OFFBEATS),
    "bossa": ((0, 6), (4, 8)),
    "samba_comping": ((0, 2, 5, 7, 9), (3, 4, 6, 8)),
    "montuno": ((0, 2, 5, 6), (4, 8)),
    "muted_sixteenths": ((), ()),
    "stabs": ((10,), (4, 8, 12)),
    "dub_stab": ((), (0, 4)),
    "tremolo": (EIGHTHS, (1, 3)),
    "marcato": (BEATS, OFFBEATS),
    "tango": ((0, 2, 10, 12), (4, 8)),
    "rasgueado": ((0, 4, 5, 6), (2, 7)),
    "arpeggio": (EIGHTHS, (1, 3)),
    "fingerpicking": (EIGHTHS, (1, 3)),
    "arpeggio_sixteenths": (tuple(range(16)), ()),
    "alberti": (EIGHTHS, (1, 3)),
    "chorale": ((0, 8), (4, 12, *OFFBEATS)),
    "boogie": (EIGHTHS, (1, 3)),
    "trap_keys": ((0,), (1, 2)),
}
ONE_TONE = {"jangle", "arpeggio", "fingerpicking", "arpeggio_sixteenths", "alberti", "trap_keys", "montuno"}
SEEDS = ("1", "2", "3", "4")


def steps_of(notes: Iterable[Hit | Strike]) -> set[float]:
    return {note.step for note in notes}


@pytest.mark.parametrize("name", DRUMS)
def test_drums_have_the_strokes_that_make_them(name: str) -> None:
    must, never = DRUM_SIGNS[name]
    meter = Meter(3, 4) if name in ("waltz", "jazz_waltz") else Meter(4, 4)
    for seed in SEEDS:
        hits = list(DRUMS[name](replace(FULL, meter=meter, seed=seed)))
        struck = {drum: steps_of(hit for hit in hits if hit.drum == drum) for drum in KIT}
        for drum, steps in must.items():
            assert set(steps) <= struck[drum], (drum, seed)
        for drum, steps in never.items():
            assert not set(steps) & struck[drum], (drum, seed)


@pytest.mark.parametrize("name", BASS)
def test_basses_have_the_notes_that_make_them(name: str) -> None:
    must, never = BASS_SIGNS[name]
    meter = Meter(3, 4) if name == "waltz" else Meter(4, 4)
    degrees = {"R": {0}, "5": {7}, "3": {4}, "8": {0}, "6": {9}, "7": {10, 11}, "*": set(range(12))}
    for seed in SEEDS:
        notes = {note.step: note for note in BASS[name](replace(FULL, meter=meter, seed=seed))}
        assert notes
        for step, sign in must.items():
            assert notes[step].pitch % 12 in degrees[sign], (step, seed)
            assert sign != "8" or notes[step].pitch == notes[min(notes)].pitch + 12
        assert not set(never) & set(notes), seed


@pytest.mark.parametrize("name", CHORDS)
def test_chords_have_the_places_that_make_them(name: str) -> None:
    must, never = CHORD_SIGNS[name]
    for seed in SEEDS:
        notes = list(CHORDS[name](replace(FULL, seed=seed, chords=(BarChord(0, 16, Chord.parse("C7")),))))
        assert set(must) <= steps_of(notes), seed
        assert not set(never) & steps_of(notes), seed
        together = [sum(note.step == step for note in notes) for step in steps_of(notes)]
        assert not together or (max(together) >= 2) == (name not in ONE_TONE or name == "montuno")
        assert {note.pitch % 12 for note in notes} <= {*Chord.parse("C7").pitch_classes, 9 if name == "boogie" else 0}


def test_no_groove_is_without_its_signs() -> None:
    assert DRUM_SIGNS.keys() == DRUMS.keys()
    assert BASS_SIGNS.keys() == BASS.keys()
    assert CHORD_SIGNS.keys() == CHORDS.keys()


def test_fills_cymbals_and_pick_ups_are_of_grooves_that_exist() -> None:
    assert DRUMS.keys() >= fills.MACHINES | fills.JAZZ | fills.QUIET | fills.LATIN | fills.CRASHING
    assert not (fills.QUIET & fills.CRASHING)
    assert sorted(BASS) == sorted((*WALK_UPS, *PICK_UPS, *OWN_WAY)), "each bass leads on in one way"


@pytest.mark.parametrize("name", CHORDS)
def test_a_guitar_keeps_to_its_neck(name: str) -> None:
    low, high = (40, 83)
    for text in ("C", "F#m7b5", "Bb13", "Ab", "E7#9"):
        bar = replace(FULL, chords=(BarChord(0, 16, Chord.parse(text)),), span=GUITAR)
        notes = list(CHORDS[name](bar))
        assert all(low <= note.pitch <= high for note in notes)
        assert len({(note.step, note.pitch) for note in notes}) == len(notes), "no string is struck twice"


def test_clave_takes_two_bars_and_turns_round() -> None:
    """Three strokes, then two that come off the beat."""
    bossa, salsa = (
        [steps_of(h for h in DRUMS[name](replace(FULL, number=n)) if h.drum == drum) for n in (0, 1, 2)]
        for name, drum in (("bossa_clave", "rim"), ("salsa", "claves"))
    )
    assert bossa[0] == bossa[2] == {0, 6, 12}
    assert bossa[1] == {4, 10}
    assert salsa[0] == salsa[2] == {0, 6, 12}
    assert salsa[1] == {4, 8}, "the bossa's last stroke comes later than the son's"


def test_trap_hats_roll_faster_than_sixteenths() -> None:
    hats = [sorted(steps_of(h for h in DRUMS["half_time_trap"](replace(FULL, number=n)) if h.drum == "hat"))
            for n in range(4)]  # fmt: skip
    gaps = [min(b - a for a, b in itertools.pairwise(bar)) for bar in hats]
    assert gaps[0] == gaps[2] == 2
    assert gaps[1] < 1
    assert gaps[3] < 1


def test_walking_bass_comes_to_the_next_root_by_a_step() -> None:
    for seed in range(20):
        before: tuple[int, ...] = ()
        chords = [Chord.parse(name) for name in ("Dm7", "G7", "Cmaj7", "A7", "Dm7")]
        for number, (chord, following) in enumerate(itertools.pairwise(chords)):
            bar = replace(FULL, chords=(BarChord(0, 16, chord),), following=following, number=number, seed=str(seed))
            line = list(BASS["walking"](replace(bar, before=before)))
            assert [note.step for note in line] == list(BEATS)
            assert line[0].pitch % 12 == chord.root_pc
            assert (line[-1].pitch - following.root_pc) % 12 in (1, 2, 10, 11)  # type: ignore[operator]
            assert all(note.pitch % 12 in chord.pitch_classes for note in line[1:-1])
            if before:
                assert abs(line[0].pitch - before[-1]) <= 2
            before = (line[-1].pitch,)


def test_tumbao_plays_the_coming_root_before_its_bar() -> None:
    line = {note.step: note.pitch % 12 for note in BASS["tumbao"](FULL)}
    assert line[12] == G7.root_pc


def test_a_change_of_harmony_inside_a_bar_is_heard() -> None:
    bar = replace(FULL, chords=(BarChord(0, 8, C), BarChord(8, 16, Chord.parse("F"))))
    assert [(n.step, n.pitch % 12) for n in BASS["root_whole"](bar)] == [(0, 0), (8, 5)]
    late = {n.pitch % 12 for n in CHORDS["pad"](bar) if n.step == 8}
    assert late == {5, 9, 0}


@pytest.mark.parametrize("text", ["C7#9", "C7b5", "Cmaj7#11", "C13sus", "Cm7b5", "Cdim7", "C6/9", "Csus2"])
def test_block_chords_have_the_exact_chord(text: str) -> None:
    chord = Chord.parse(text)
    notes = {n.pitch % 12 for n in CHORDS["block"](replace(FULL, chords=(BarChord(0, 16, chord),)))}
    assert notes <= set(chord.pitch_classes)
    assert set(chord.pitch_classes) - notes <= {7, 0}, "of more than five tones fifth and root may be left out"


def test_chords_lead_from_inversion_to_inversion() -> None:
    """A close voicing moves by less than a fourth to a chord a fifth away."""
    first = sorted(n.pitch for n in CHORDS["pad"](FULL))
    bar = replace(FULL, chords=(BarChord(0, 16, Chord.parse("G")),), before=tuple(first))
    second = sorted(n.pitch for n in CHORDS["pad"](bar))
    assert all(abs(a - b) < 5 for a, b in zip(first, second))


@pytest.mark.parametrize("player", GROOVES)
def test_an_unknown_name_lists_those_that_there_are(player: str) -> None:
    with pytest.raises(ValueError, match=f"{player} has no groove 'cloves'") as error:
        check_groove(player, "cloves")
    assert all(name in str(error.value) for name in (*GROOVES[player], "model", "none"))
    with pytest.raises(ValueError, match="player 'tuba' is not one of drums, bass"):
        check_groove("tuba", "walking")


def test_every_groove_says_what_it_is() -> None:
    for player, grooves in GROOVES.items():
        for name in grooves:
            assert len(describe_groove(player, name)) > 14


@pytest.mark.parametrize("meter", METERS)
def test_pulses_fill_every_meter(meter: str) -> None:
    pulses = pulses_of(Meter.parse(meter))
    assert pulses[0].start == 0
    assert all(a.start + a.steps == b.start for a, b in itertools.pairwise(pulses))
    assert pulses[0].quarter == 0


DENSITIES = (0.0, 0.35, 0.5, 0.65, 0.7, 0.75, 0.86, 1.0)
AS_EVER = {"pedal": "a drone is one note, however full the section is"}


def notes_in_eight_bars(player: str, name: str, density: float, meter: str, seed: str) -> int:
    """How many notes a groove has on two chords in turns."""
    steps = pulses_of(Meter.parse(meter))[-1].start + pulses_of(Meter.parse(meter))[-1].steps
    bars = tuple(
        GrooveBar(Meter.parse(meter), (BarChord(0, steps, (C, G7)[n % 2]),), (G7, C)[n % 2], n, 8, density, seed)
        for n in range(8)
    )
    if player == "lead":
        section = LeadSection(bars, (Key("C"),) * 8, seed=seed, density=density, breath=0.5)
        return len(list(GROOVES["lead"][name](section)))
    return sum(len(list(GROOVES[player][name](bar))) for bar in bars)


@pytest.mark.parametrize("meter", ["4/4", "3/4", "6/8"])
@pytest.mark.parametrize("player", ["drums", "bass", "keys", "lead"])
def test_a_fuller_section_never_has_fewer_notes(player: str, meter: str) -> None:
    for name, seed in itertools.product(GROOVES[player], SEEDS):
        counts = [notes_in_eight_bars(player, name, density, meter, seed) for density in DENSITIES]
        assert counts == sorted(counts), (name, seed)


@pytest.mark.parametrize("player", ["drums", "bass", "keys", "lead"])
def test_a_full_section_has_more_notes_than_a_sparse_one(player: str) -> None:
    for name in GROOVES[player]:
        sparse, full = (
            sum(notes_in_eight_bars(player, name, density, "4/4", seed) for seed in SEEDS) for density in (0.35, 0.86)
        )
        assert (full == sparse) if name in AS_EVER else (full > sparse), name


def test_a_note_goes_on_where_a_sparse_bar_leaves_the_next_one_out() -> None:
    bar = replace(FULL, density=0.3)
    assert bar.sounding_line("R-R-.5--", None, ("  1  2  ", "")).startswith("R---....")
    line = list(BASS["root_eighths"](bar))
    assert [(note.step, note.steps) for note in line] == [(0, 4), (4, 4), (8, 4), (12, 4)]


def test_a_sparse_bar_keeps_the_accents() -> None:
    full = list(DRUMS["funk"](replace(FULL, density=1.0)))
    sparse = list(DRUMS["funk"](replace(FULL, density=0.2)))
    assert len(sparse) < len(full) / 2
    assert {0} <= steps_of(h for h in sparse if h.drum == "kick")
    assert set(BACK) <= steps_of(h for h in sparse if h.drum == "snare")
