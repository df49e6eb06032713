"""Styles: the table is sound, a user's file goes first, errors say what and how, and plans are as their style wants."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetune.planning.planner.constraints import PlanConstraints
from musetune.planning.planner.everyday_words import read_everyday_words
from musetune.planning.planner.language import Plan
from musetune.planning.planner.planner import NANO, Planner
from musetune.planning.planner.prompt_constraints import narrow
from musetune.planning.planner.song_style import Feel, chord_kinds, progression_bars
from musetune.planning.planner.song_styles import BUILT_IN, all_styles, read_styles, style_called
from musetune.planning.planner.style_rows import PLAYERS
from musetune.symbols import Chord, Key, LeadSheet, Meter

shipped = pytest.mark.skipif(
    not (NANO / "model.safetensors").is_file(), reason="the planner's weights are not in this checkout"
)
NAMED = [
    "bossa nova", "swing", "bebop", "jazz waltz", "gospel", "soul", "funk", "disco", "reggae", "ska", "country",
    "folk", "singer-songwriter", "lo-fi", "hip hop", "trap", "house", "techno", "trance", "drum'n'bass", "ambient",
    "synthwave", "metal", "punk", "indie", "grunge", "rock'n'roll", "12-bar blues", "8-bar blues", "minor blues",
    "tango", "samba", "salsa", "flamenco", "lullaby", "march", "film score", "chorale", "minuet", "waltz",
]  # fmt: skip
TOLD = (
    "genre", "meters", "tempo", "feel", "chords_a_bar", "hold", "vocabulary", "progressions", "forms", "grooves",
)  # fmt: skip
STYLES = {style.style: style for style in read_styles(BUILT_IN)}


@pytest.mark.parametrize("name", NAMED)
def test_names_that_people_use_are_styles(name: str) -> None:
    style = read_everyday_words(f"{name} in G").style
    assert style.meters or style.genre


@pytest.mark.parametrize("name", NAMED)
def test_the_rows_of_these_names_are_complete(name: str) -> None:
    """Every field, a groove or silence for each player, and an instrument for each who plays."""
    style = read_everyday_words(f"{name} in G").style
    assert [field for field in TOLD[:-1] if not getattr(style, field)] == []
    assert {kind for kind, _ in style.vocabulary} >= {"sevenths", "outside", "slash"}
    assert dict(style.grooves).keys() == set(PLAYERS)
    playing = {player for player, names in style.grooves if names != ("none",)}
    assert playing <= dict(style.instruments).keys()


def test_a_style_without_a_field_leaves_it_to_others_on_purpose() -> None:
    """Words that others colour: a ballad is slow in any style, three beats make any style a waltz."""
    open_rows = {name for name, style in STYLES.items() if not all(getattr(style, field) for field in TOLD)}
    assert open_rows == {"ballad", "waltz time", "song"}


@pytest.mark.parametrize("name", STYLES)
def test_progressions_keep_what_their_style_says(name: str) -> None:
    style = STYLES[name]
    for mode, texts in style.progressions:
        for text in texts:
            bars = progression_bars(text, mode, Meter(4, 4))
            chords = [chord for bar in bars for chord in bar]
            assert style.hold is None or longest_hold([*bars, *bars]) <= style.hold, text
            for kind, (low, high) in style.vocabulary:
                share = sum(kind in chord_kinds(chord, mode) for chord in chords) / len(chords)
                assert high > 0 or share == 0, (text, kind)
                assert low < 1 or share == 1, (text, kind)


def longest_hold(bars: list) -> int:
    longest = run = 0
    last: object = None
    for bar in bars:
        for index, chord in enumerate(bar):
            run = run + (index == 0) if chord[1:3] == last else 1
            last, longest = chord[1:3], max(longest, run)
    return longest


def test_players_read_feel_grooves_and_instruments() -> None:
    lofi = style_called("lo-fi")
    assert lofi is not None
    assert (lofi.feel, lofi.groove("drums")) == (Feel("swing", 0.6, 16), ("lofi",))
    joined = style_called("waltz time, Jazz")
    assert joined is not None
    assert (joined.style, joined.groove("bass"), joined.instrument("bass")) == (
        "waltz time",
        ("waltz",),
        "upright bass",
    )
    assert style_called("no such style") is style_called(None) is None
    for style in STYLES.values():
        assert not style.grooves or dict(style.grooves).keys() == set(PLAYERS), style.style


@shipped
def test_alterations_of_a_progression_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "style: zouk\ngenre: jazz\nmeters: {4/4: 1}\nhold: 1\n"
        "progressions: {minor: [Dm11 | G7#5#9 | C7#9 | F7b5 E7b9]}\nforms: {'A:8 A:8': 1}\n"
    )
    heard: set[str] = set()
    planner = Planner.from_pretrained("nano")
    for seed in range(2):
        sheet = planner.plan("zouk", key="A minor", seed=seed, styles=file)
        heard |= {str(span.chord) for span in sheet.chords}
        assert len(sheet.downbeats()) == 16
    wanted = {str(Chord.parse(name)) for name in ("Dm11", "G7#5#9", "C7#9", "F7b5", "E7b9")}
    assert wanted <= heard
    assert Chord.parse("C7#9").pitch_classes != Chord.parse("C7").pitch_classes


# -- a user's file -----------------------------------------------------------------------------------------------------


def test_a_users_styles_go_first_and_replace_those_of_their_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "style: Reggae\ntempo: [100, 110]\n---\nstyle: zouk\nalso: ['kizo*']\ngenre: pop\nmeters: {2/4: 1}\n"
    )
    names = [style.style for style in all_styles(file)]
    assert names[:2] == ["Reggae", "zouk"]
    assert "reggae" not in names
    assert narrow(PlanConstraints(), "reggae", styles=file).tempo == (100, 110)
    kizomba = narrow(PlanConstraints(), "kizomba in G", styles=file)
    assert (kizomba.genres, kizomba.meters) == (("pop",), ("2/4",))
    assert narrow(PlanConstraints(), "kizomba in G").meters == ("4/4",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["empty", "style: NAME"]),
        ("- a", ["mapping", "style"]),
        ("style: zouk", ["says nothing", "meters"]),
        ("tempo: [60, 90]", ["style=None", "bossa nova"]),
        ("style: zouk\ntempi: [60, 90]", ["unknown entry 'tempi'", "did you mean", "tempo"]),
        ("style: zouk\ntempo: 90", ["style zouk", "tempo=90", "[30, 300]"]),
        ("style: zouk\ntempo: [90, 60]", ["[60, 90]"]),
        ("style: zouk\ntempo: [90, 90]", ["no choice"]),
        ("style: zouk\ntempo: [.nan, 90]", ["does not rise"]),
        ("style: zouk\nmeters: {13/4: 1}", ["'13/4'", "4/4"]),
        ("style: zouk\nmeters: {4/4: 0}", ["weight 0", "above 0"]),
        ("style: zouk\nmeters: {4/4: .inf}", ["weight inf"]),
        ("style: zouk\ngenre: jaz", ["'jaz'", "jazz"]),
        ("style: zouk\nmode: dorian", ["'dorian'", "minor"]),
        ("style: zouk\nfeel: swung", ["'swung'", "swing"]),
        ("style: zouk\nfeel: {kind: swing, ratio: 0.9}", ["ratio", "0.75"]),
        ("style: zouk\nfeel: {kind: swing, unit: 4}", ["unit=4", "8 or 16"]),
        ("style: zouk\nfeel: {ratio: 0.6}", ["kind", "swing"]),
        ("style: zouk\ngrooves: walking", ["'walking'", "bass: …"]),
        ("style: zouk\ngrooves: {tuba: walking}", ["'tuba'", "bass"]),
        (
            "style: zouk\ngrooves: {bass: Walking Bass}",
            ["bass has no groove 'Walking Bass'; there are", "boogie", "none; did you mean 'walking'?"],
        ),
        ("style: zouk\ngrooves: {bass: []}", ["bass=[]", "1–64"]),
        ("style: zouk\ninstruments: [flute]", ["['flute']", "players"]),
        ("style: zouk\ninstruments: {bass: 3}", ["bass=3", "name"]),
        ("style: a, b\nmode: minor", ["comma"]),
        ("style: zouk\nchords_a_bar: [1, 2]", ["three numbers", "[0.75, 1, 1.5]"]),
        ("style: zouk\nchords_a_bar: [3, 2, 1]", ["rise"]),
        ("style: zouk\nhold: 0", ["hold=0", "1–64"]),
        ("style: zouk\nvocabulary: {ninths: [0, 1]}", ["'ninths'", "sevenths"]),
        ("style: zouk\nvocabulary: {sevenths: [0, 2]}", ["within 0–1"]),
        ("style: zouk\nprogressions: {major: [C | H]}", ["'C | H'", "H"]),
        ("style: zouk\nprogressions: {major: [C | F G C]}", ["3 chords", "one or two"]),
        ("style: zouk\nprogressions: {major: C}", ["list"]),
        ("style: zouk\nforms: {verse chorus:0: 1}", ["chorus:0"]),
        ("style: zouk\nforms: {verse:8 verse:4: 1}", ["verse"]),
        ("style: zouk\nalso: ['*']", ["'*'"]),
        ("style: zouk\n---\nstyle: Zouk\nmode: minor", ["says nothing"]),
        ("style: zouk\nmode: minor\n---\nstyle: Zouk\nmode: minor", ["two styles", "zouk"]),
        (f"style: zouk\ntempo: [60, 0x{'f' * 9000}]", ["does not rise"]),
        (f"style: zouk\nchords_a_bar: [0, 1, 0x{'f' * 9000}]", ["three numbers"]),
        (f"style: zouk\nmeters: {{4/4: 0x{'f' * 9000}}}", ["very many digits"]),
        ("style: &a zouk\nalso: [*a]", ["not YAML"]),
    ],
)
def test_a_bad_file_says_what_where_and_how(tmp_path: Path, text: str, words: list[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ValueError) as error:
        read_styles(file)
    assert [word for word in words if word not in str(error.value)] == []


def test_files_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file"):
        read_styles(tmp_path / "none.yaml")
    file = tmp_path / "large.yaml"
    file.write_text("# " + "x" * 2**18)
    with pytest.raises(ValueError, match="more than"):
        read_styles(file)


@given(st.binary(max_size=300) | st.text(alphabet="style: zouk[]{}\n-&*|!09.", max_size=300).map(str.encode))
def test_any_bytes_are_styles_or_a_clear_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("styles") / "any.yaml"
    file.write_bytes(data)
    message = ""
    try:
        read_styles(file)
    except ValueError as error:
        message = str(error)
    assert not message or "any.yaml" in message


# -- what plans become -------------------------------------------------------------------------------------------------


def test_draws_are_the_seeds() -> None:
    pins = [narrow(PlanConstraints(), "pop", seed) for seed in (1, 1, 2, 3, 4, 5)]
    assert (pins[0].form, pins[0].prior) == (pins[1].form, pins[1].prior)
    assert len({pin.form for pin in pins}) > 1
    assert len({pin.prior.changes for pin in pins if pin.prior}) > 3


def test_what_is_pinned_or_worded_goes_before_the_style() -> None:
    pinned = PlanConstraints("jazz", Meter(3, 4), (Key("D", "minor"),), 150.0, form=(("A", 4),), closed=True)
    same = narrow(pinned, "techno")
    assert (same.genre, same.meter, same.keys, same.bpm) == ("jazz", Meter(3, 4), (Key("D", "minor"),), 150.0)
    assert (same.form, same.genres, same.meters, same.tempo) == ((("A", 4),), (), (), None)
    worded = narrow(PlanConstraints(), "techno in 3/4 at 90 bpm, AABA")
    assert (worded.meters, worded.tempo) == (("3/4",), None)
    assert [label for label, _ in worded.form] == list("AABA")
    chords = PlanConstraints(content=lambda _key, _meter, _sections: {})
    assert narrow(chords, "techno").content is chords.content


def figures(plan: Plan) -> tuple[float, int, dict[str, float]]:
    """Chord changes a bar, most bars on one chord, and shares of kinds of chords."""
    changes = bars = chords = hold = 0
    kinds: Counter[str] = Counter()
    for content in plan.content.values():
        last: object = None
        hold, bars = max(hold, longest_hold([*content])), bars + len(content)
        for chord in (chord for bar in content for chord in bar):
            changes, last = changes + (chord[1:3] != last), chord[1:3]
            kinds.update(chord_kinds(chord, plan.key.mode))
            chords += 1
    return changes / bars, hold, {kind: count / chords for kind, count in kinds.items()}


@pytest.mark.slow
@shipped
@pytest.mark.parametrize("seed", range(2))
def test_plans_are_as_their_style_wants(seed: int) -> None:
    """Meter, tempo and the longest stretch on one chord always; harmonic rhythm and vocabulary nearly always."""
    styles = [style for style in STYLES.values() if style.vocabulary and style.style != "song"]
    prompts = [f"{style.style} music" for style in styles]
    plans = Planner.from_pretrained("nano").write(prompts, [PlanConstraints()] * len(prompts), seed=seed)
    wrong: list[str] = []
    kept: Counter[str] = Counter()
    for style, plan in zip(styles, plans, strict=True):
        rhythm, hold, shares = figures(plan)
        meters = dict(style.meters)
        if meters and str(plan.meter) not in meters:
            wrong.append(f"{style.style}: {plan.meter}")
        if style.tempo and not style.tempo[0] <= plan.bpm <= style.tempo[1]:
            wrong.append(f"{style.style}: {plan.bpm} bpm")
        if style.hold and hold > style.hold:
            wrong.append(f"{style.style}: {hold} bars on one chord")
        low, _, high = style.chords_a_bar or (0, 0, 9)
        kept["rhythm"] += low <= rhythm <= high
        kept["vocabulary"] += all(a <= shares.get(kind, 0) <= b for kind, (a, b) in style.vocabulary)
    assert not wrong
    assert kept["rhythm"] >= 0.9 * len(styles)
    assert kept["vocabulary"] >= 0.8 * len(styles)


@pytest.mark.slow
@shipped
@pytest.mark.parametrize("seed", range(2))
def test_prompts_of_musicians(seed: int) -> None:
    planner = Planner.from_pretrained("nano")

    def plan(prompt: str) -> LeadSheet:
        return planner.plan(prompt, seed=seed)

    for prompt in ("techno 128 bpm", "punk rock, three chords", "metal riff", "fast bebop"):
        assert str(plan(prompt).meter) == "4/4", prompt
    assert plan("techno 128 bpm").bpm == pytest.approx(128)
    assert len({span.chord.root for span in plan("punk rock, three chords").chords}) <= 3
    blues = plan("12 bar blues in A")
    assert len(blues.downbeats()) == 12
    assert {"A:7", "D:7", "E:7"} == set(blues.chord_labels)
    assert len(plan("blues in E, 24 bars").downbeats()) == 24
    for prompt in ("reggae in G", "slow sad ballad"):
        sheet = plan(prompt)
        assert sheet.genre == "pop"
        assert len(sheet.chords) <= 2 * len(sheet.downbeats())
    sections = plan("verse chorus verse chorus bridge chorus").sections
    assert [section.label for section in sections] == ["verse", "chorus", "verse", "chorus", "bridge", "chorus"]
    by_name = {section.label: section.beats for section in sections}
    assert all(section.beats == by_name[section.label] for section in sections)


@shipped
@pytest.mark.parametrize("prompt", ["minor blues, 8 bars", "blues shuffle, 16 bars", "slow blues, 8 bars"])
def test_a_blues_of_eight_bars_is_whole(prompt: str) -> None:
    """Eight bars have a dominant and a subdominant, not the first eight of twelve; sixteen have them twice."""
    for seed in range(3):
        blues = Planner.from_pretrained("nano").plan(prompt, seed=seed)
        assert {int(section.beats / blues.meter.beats_per_bar) for section in blues.sections} == {8}
        first = blues.slice(Fraction(0), blues.meter.beats_per_bar * 8)
        degrees = {
            (span.chord.root_pc - blues.key.tonic_pc) % 12 for span in first.chords if span.chord.root is not None
        }
        assert {0, 5, 7} <= degrees


@shipped
def test_a_prompt_without_style_gets_sections_that_come_back() -> None:
    for prompt in ("something nice in G", "happy music", "120 bpm, C minor"):
        labels = [section.label for section in Planner.from_pretrained("nano").plan(prompt, seed=1).sections]
        assert len(set(labels)) < len(labels)


@shipped
def test_sections_that_come_back_have_their_chords() -> None:
    sheet = Planner.from_pretrained("nano").plan("indie rock, verse chorus verse chorus", seed=2)
    parts = [[span.chord for span in sheet.chords if s.start <= span.start < s.start + s.beats] for s in sheet.sections]
    assert parts[0] == parts[2]
    assert parts[1] == parts[3]
