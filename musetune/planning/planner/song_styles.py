"""Styles that prompts name, as written in styles.yaml or in a user's file: meters, tempo, harmony, form, instruments.

docs/reference/styles.md describes the fields. A user's styles are read before those of the package; one of the same
name takes its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from os import PathLike
from pathlib import Path

from musetune.formats.plain_yaml import check_fields, read_documents, read_range, short
from musetune.planning.planner.constraints_from_arguments import form_of, read_sections
from musetune.planning.planner.language import PlanBar, PlanChord, relative, steps_per_beat
from musetune.planning.planner.player_words import is_player_words, players_called, with_players
from musetune.planning.planner.prompt_text import normalise, shared_words
from musetune.planning.planner.vocabulary import MODES
from musetune.planning.rules.grooves.catalogue import check_groove
from musetune.symbols import BPM_RANGE, GENRES, Chord, Key, Meter
from musetune.symbols.meter import METERS
from musetune.symbols.names import suggest

BUILT_IN = Path(__file__).with_name("styles.yaml")
LARGEST = 2**17  # bytes of a file of styles
LONGEST_NAME = 60  # characters of a name
MOST = 64  # names, progressions, forms or instruments of a style
MOST_PROGRESSION = 64  # bars
FIELDS = (
    "style",
    "also",
    "genre",
    "meters",
    "tempo",
    "mode",
    "feel",
    "chords_a_bar",
    "hold",
    "ending",
    "vocabulary",
    "progressions",
    "forms",
    "grooves",
    "instruments",
)
ENDINGS = ("home", "turnaround")
FEELS = {"straight": 1 / 2, "swing": 2 / 3, "shuffle": 2 / 3}  # share of a unit that its first half lasts
FEEL_FIELDS = ("kind", "ratio", "unit")
UNITS = (8, 16)  # notes that a feel makes long and short: eighths or sixteenths
PLAYERS = ("drums", "bass", "guitar", "keys", "lead")
CHORD_SHARES = ("sevenths", "outside", "slash", "power")
TONICS = {"major": Key("C", "major"), "minor": Key("A", "minor")}  # keys in which progressions are written
_SPACE = re.compile(r"\\?[ -]")


@dataclass(frozen=True)
class Feel:
    """How two notes of a unit share its time.

    Attributes:
        kind: One of FEELS.
        ratio: Share, 1/2–3/4, that the first of them lasts: 1/2 straight, 2/3 a triplet's.
        unit: 8 where eighths are long and short, 16 where sixteenths are.

    Example:
        >>> Feel("swing").ratio == 2 / 3
        True
    """

    kind: str
    ratio: float = 0.0
    unit: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratio", self.ratio or FEELS[self.kind])


@dataclass(frozen=True)
class SongStyle:
    """A style's row; None or empty where it says nothing.

    Attributes:
        style: Its name.
        also: Other names; a ``*`` stands for any letters.
        genre: The genres of `musetune.symbols.GENRES` to choose from.
        meters: Time signatures and how often each is meant.
        tempo: Fewest and most beats a minute, in compound meters of dotted beats.
        mode: "major" or "minor"; None where both occur.
        modes: Both modes and how often each is meant.
        feel: Straight or long and short notes.
        chords_a_bar: Chord changes in a bar: first quartile, median and third quartile of songs of this style.
        hold: Most bars on one chord.
        ending: "home" where the last bar comes to the tonic, "turnaround" where it may lead to the beginning instead.
        vocabulary: Least and greatest share, 0–1, of chords of each kind of CHORD_SHARES.
        progressions: Bars of chords in C major and A minor, by mode: ``"Dm7 G7 | Cmaj7"``.
        forms: Sections, such as ``"verse:8 chorus:8"``, and how often each is meant.
        grooves: What each player of PLAYERS plays: names of rules, one of which is chosen; "none" is silence.
        instruments: What each player plays on, in words.
    """

    style: str = ""
    also: tuple[str, ...] = ()
    genre: tuple[str, ...] = ()
    meters: tuple[tuple[str, float], ...] = ()
    tempo: tuple[int, int] | None = None
    mode: str | None = None
    modes: tuple[tuple[str, float], ...] = ()
    feel: Feel | None = None
    chords_a_bar: tuple[float, float, float] | None = None
    hold: int | None = None
    ending: str | None = None
    vocabulary: tuple[tuple[str, tuple[float, float]], ...] = ()
    progressions: tuple[tuple[str, tuple[str, ...]], ...] = ()
    forms: tuple[tuple[str, float], ...] = ()
    grooves: tuple[tuple[str, tuple[str, ...]], ...] = ()
    instruments: tuple[tuple[str, str], ...] = ()

    def groove(self, player: str) -> tuple[str, ...]:
        """Names of the rules that a player of PLAYERS may follow; empty where the style says none."""
        return dict(self.grooves).get(player, ())

    def instrument(self, player: str) -> str | None:
        """What a player of PLAYERS plays on, in words."""
        return dict(self.instruments).get(player)

    def progressions_in(self, mode: str) -> tuple[str, ...]:
        """The progressions of a mode."""
        return dict(self.progressions).get(mode, ())


def join_styles(styles: tuple[SongStyle, ...]) -> SongStyle:
    """One style of several: each says what the ones before it left open."""
    joined = styles[0] if styles else SongStyle()
    for style in styles[1:]:
        fresh = {f.name: getattr(style, f.name) for f in fields(style) if f.name not in ("style", "also")}
        joined = replace(joined, **{name: value for name, value in fresh.items() if not getattr(joined, name)})
    return joined


def styles_in(text: str, file: str | PathLike | None = None) -> tuple[SongStyle, ...]:
    """The styles that a prompt's shared words (``prompt_text.shared_words``) name, those that go first first."""
    return tuple(style for style, words in _table(file) if words.search(text))


def read_styles(file: str | PathLike) -> tuple[SongStyle, ...]:
    """The styles of a YAML file.

    Args:
        file: Its path; at most LARGEST bytes.

    Returns:
        The styles in the file's order.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Something in it is not as docs/reference/styles.md says; the message names the entry and the fix.

    Example:
        >>> styles = read_styles(BUILT_IN)
        >>> next(style.tempo for style in styles if style.style == "techno")
        (122, 140)
    """
    path = Path(file)
    documents = read_documents(path, "styles", LARGEST, str(BUILT_IN))
    if not documents:
        raise ValueError(f"{path.name} is empty; it needs at least style: NAME and one of {', '.join(FIELDS[1:])}")
    styles = tuple(_style(row, path.name) for row in documents)
    names = [style.style.lower() for style in styles]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{path.name} has two styles called {twice!r}; put what they say into one")
    return styles


def all_styles(file: str | PathLike | None = None) -> tuple[SongStyle, ...]:
    """The styles of a user's file, then those of the package that it does not replace."""
    own = () if file is None else read_styles(file)
    names = {style.style.lower() for style in own}
    return (*own, *(style for style in _built_in() if style.style.lower() not in names))


def style_called(names: str | None, file: str | PathLike | None = None) -> SongStyle | None:
    """The style that a lead sheet names, for those who play it.

    Args:
        names: Names parted by commas, as in `musetune.symbols.LeadSheet.style`; each says what those before left open.
            "no drums", "with guitar" and "lead on flute" among them say who plays, before all styles.
        file: A user's file of styles, which go first.

    Returns:
        What they say together, under the first one's name; None where no such style is known.

    Example:
        >>> style = style_called("bossa nova")
        >>> style.groove("bass"), style.instrument("lead"), style.feel.kind
        (('bossa_two',), 'flute', 'straight')
    """
    called, players = styles_called(names or "", file), players_called(names or "")
    if not called and not players:
        return None
    joined = join_styles(called)
    grooves, instruments = with_players(joined.grooves, joined.instruments, players)
    return replace(joined, style=joined.style or ", ".join(players), grooves=grooves, instruments=instruments)


def styles_called(names: str, file: str | PathLike | None = None) -> tuple[SongStyle, ...]:
    """The styles of these names, parted by commas, in the names' order; other names are left out."""
    known = {style.style.lower(): style for style in all_styles(file)}
    return tuple(known[name.strip().lower()] for name in names.split(",") if name.strip().lower() in known)


def check_styles(names: str, file: str | PathLike | None = None) -> str:
    """Names of styles, and what is said of players, parted by commas, as the table has them.

    Raises:
        ValueError: For a name that is none, and for what is no text; the message names one that is like it.
    """
    if not isinstance(names, str) or not names.strip():
        raise ValueError(f"style={short(names)} is not the name of a style; give such as 'bossa nova'")
    known = {style.style.lower(): style.style for style in all_styles(file)}
    out = []
    for name in names.split(","):
        plain = name.strip().lower()
        if is_player_words(plain):
            out.append(plain)
            continue
        if plain not in known:
            raise ValueError(
                f"style={short(name.strip())} is not one of the {len(known)} styles of docs/reference/styles.md"
                f"{suggest(plain, tuple(known))}; name it in the prompt, or write it into a file of styles"
            )
        out.append(known[plain])
    return ", ".join(dict.fromkeys(out))


@lru_cache(maxsize=1)
def _built_in() -> tuple[SongStyle, ...]:
    return read_styles(BUILT_IN)


@lru_cache(maxsize=1)
def _built_in_table() -> tuple[tuple[SongStyle, re.Pattern[str]], ...]:
    return tuple((style, _pattern(style)) for style in _built_in())


def _table(file: str | PathLike | None) -> tuple[tuple[SongStyle, re.Pattern[str]], ...]:
    if file is None:
        return _built_in_table()
    return tuple((style, _pattern(style)) for style in all_styles(file))


def plain_genres(text: str) -> str:
    """Shared words with the genres as plain words."""
    return re.sub(r"<genre:(\w+)>", r"\1", text)


def _pattern(style: SongStyle) -> re.Pattern[str]:
    """Any of a style's names as whole words, with or without a space or hyphen between them, also in the plural."""
    words = [plain_genres(shared_words(normalise(name))) for name in (style.style, *style.also)]
    names = [_SPACE.sub("[ -]?", re.escape(word)).replace(r"\*", r"\w*") for word in sorted(words, key=len)[::-1]]
    return re.compile(rf"(?<![\w-])(?:{'|'.join(names)})(?:s|'s)?(?![\w-])", re.IGNORECASE)


@lru_cache(maxsize=1024)
def progression_bars(text: str, mode: str, meter: Meter) -> tuple[PlanBar, ...]:
    """The bars of a progression that is written in C major or A minor; two chords share a bar by its beats.

    Chords keep their alterations (``PlanChord.intervals``).

    Raises:
        ValueError: For a bar without a chord or with more than two, and for what is no chord.

    Example:
        >>> [len(bar) for bar in progression_bars("Dm7 G7 | Cmaj7", "major", Meter(4, 4))]
        [2, 1]
    """
    bars: list[PlanBar] = []
    for bar in text.split("|"):
        names = bar.split()
        if not 1 <= len(names) <= 2:
            raise ValueError(f"bar {len(bars) + 1} has {len(names)} chords: write one or two, such as Dm7 G7 | Cmaj7")
        middle = (meter.beats_per_bar + 1) // 2 * steps_per_beat(meter)
        bars.append(
            tuple(
                relative(chord, TONICS[mode], 0 if index == 0 else middle)._replace(intervals=chord.intervals)
                for index, chord in enumerate(map(Chord.parse, names))
            )
        )
    return tuple(bars)


def chord_kinds(chord: PlanChord, mode: str) -> frozenset[str]:
    """Which kinds of CHORD_SHARES a chord is; "outside" has a tone that is in no scale of its mode."""
    from musetune.symbols.qualities import QUALITY_INTERVALS

    tones = QUALITY_INTERVALS[chord.quality]
    scale = {0, 2, 4, 5, 7, 9, 11} if mode == "major" else {0, 2, 3, 5, 7, 8, 10, 11}
    kinds = {
        "sevenths": len(tones) > 3,
        "outside": any((chord.degree + tone) % 12 not in scale for tone in tones),
        "slash": chord.bass != 0,
        "power": chord.quality == "5",
    }
    return frozenset(kind for kind, holds in kinds.items() if holds)


# -- reading a row -----------------------------------------------------------------------------------------------------


def _style(row: object, where: str) -> SongStyle:
    if not isinstance(row, dict):
        raise ValueError(f"{where} holds {short(row)}; a style is a mapping with the entries {', '.join(FIELDS)}")
    check_fields(row, FIELDS, where)
    name = row.get("style")
    _check_name(name, "style", where)
    where = f"{where}, style {name}"
    if len(row) == 1:
        raise ValueError(f"{where} says nothing; add at least one of {', '.join(FIELDS[1:])}")
    genre = row.get("genre", [])
    return SongStyle(
        str(name),
        _words(row.get("also", []), "also", where),
        _choices([genre] if isinstance(genre, str) else genre, "genre", GENRES, where),
        _weights(row.get("meters", {}), "meters", where, _check_meter),
        _tempo(row, where),
        None if isinstance(row.get("mode"), dict) else _one(row, "mode", MODES, where),
        _weights(row["mode"], "mode", where, _check_mode) if isinstance(row.get("mode"), dict) else (),
        _feel(row, where),
        _quartiles(row, where),
        _hold(row, where),
        _one(row, "ending", ENDINGS, where),
        _vocabulary(row, where),
        _progressions(row, where),
        _weights(row.get("forms", {}), "forms", where, _check_form),
        _grooves(row, where),
        _instruments(row, where),
    )


def _check_name(name: object, field: str, where: str) -> None:
    if (
        not isinstance(name, str)
        or not 0 < len(name.strip()) <= LONGEST_NAME
        or not re.search(r"\w", name)
        or "," in name
    ):
        raise ValueError(
            f"{where}: {field}={short(name)} is not a name of 1–{LONGEST_NAME} characters without comma; write e.g. "
            f"{field}: bossa nova"
        )


def _words(value: object, field: str, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MOST:
        raise ValueError(f"{where}: {field}={short(value)} is not a list of at most {MOST}; write {field}: [a, b]")
    for word in value:
        _check_name(word, field, where)
        if word.count("*") > 2 or not re.search(r"\w\w", word):
            raise ValueError(f"{where}: {field} has {short(word)}; write two letters at least and at most two *")
    return tuple(value)


def _choices(value: object, field: str, allowed: tuple[str, ...], where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise ValueError(f"{where}: {field}={short(value)} is not a name; write one of {', '.join(allowed)}")
    for word in value:
        if word not in allowed:
            raise ValueError(
                f"{where}: {field} has no {short(word)}; allowed are {', '.join(allowed)}{suggest(word, allowed)}"
            )
    return tuple(value)


def _one(row: Mapping, field: str, allowed: tuple[str, ...], where: str) -> str | None:
    return _choices([row[field]], field, allowed, where)[0] if field in row else None


def _weights(value: object, field: str, where: str, check: object) -> tuple[tuple[str, float], ...]:
    if not isinstance(value, dict) or len(value) > MOST:
        raise ValueError(f"{where}: {field}={short(value)} is not a mapping to weights; write {field}: {{NAME: 2}}")
    for name, weight in value.items():
        check(name, where)  # type: ignore[operator]
        number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not number or not 0 < weight <= 1000:
            raise ValueError(f"{where}: {field} {name}: weight {short(weight)} is not a number above 0, at most 1000")
    return tuple((name, float(weight)) for name, weight in value.items())


def _check_meter(name: object, where: str) -> None:
    if name not in METERS:
        raise ValueError(f"{where}: meters has {short(name)}; allowed are {', '.join(METERS)}")


def _check_mode(name: object, where: str) -> None:
    _choices([name], "mode", MODES, where)


def _check_form(name: object, where: str) -> None:
    try:
        if not isinstance(name, str):
            raise ValueError("it is no text")
        read_sections(form_of(name), None)
    except ValueError as error:
        raise ValueError(f"{where}: forms has {short(name)}: {error}") from None


def _tempo(row: Mapping, where: str) -> tuple[int, int] | None:
    if "tempo" not in row:
        return None
    low, high = read_range(row["tempo"], BPM_RANGE, where, "tempo")
    if high - low < 2:
        raise ValueError(f"{where}: tempo={short(row['tempo'])} leaves no choice; give a range of at least 2 bpm")
    return round(low), round(high)


def _feel(row: Mapping, where: str) -> Feel | None:
    value = row.get("feel")
    if value is None:
        return None
    if not isinstance(value, dict):
        return Feel(str(_one(row, "feel", tuple(FEELS), where)))
    where = f"{where}, feel"
    check_fields(value, FEEL_FIELDS, where)
    kind = _one({"kind": value.get("kind")}, "kind", tuple(FEELS), where)
    ratio, unit = value.get("ratio", FEELS[str(kind)]), value.get("unit", 8)
    read_range([0.5, ratio], (0.5, 0.75), where, "ratio")
    if unit not in UNITS or isinstance(unit, (bool, float)):
        raise ValueError(f"{where}: unit={short(unit)} is not 8 or 16: the notes that are long and short")
    return Feel(str(kind), float(ratio), unit)


def _by_player(row: Mapping, field: str, where: str) -> dict[str, object]:
    value = row.get(field, {})
    if not isinstance(value, dict):
        raise ValueError(
            f"{where}: {field}={short(value)} is not a mapping; write {field}: {{bass: …}} for players of "
            f"{', '.join(PLAYERS)}"
        )
    check_fields(value, PLAYERS, f"{where}, {field}")
    return value


def _grooves(row: Mapping, where: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    out = []
    for player, value in _by_player(row, "grooves", where).items():
        names = value if isinstance(value, list) else [value]
        for name in names:
            if not isinstance(name, str):
                raise ValueError(
                    f"{where}, grooves: {player}={short(value)} is not the name of a groove, or a list of names; write "
                    f"for example bass: walking, or none for silence"
                )
            try:
                check_groove(player, name)
            except ValueError as error:
                raise ValueError(f"{where}, grooves: {error}") from None
        if not 0 < len(names) <= MOST:
            raise ValueError(f"{where}, grooves: {player}={short(value)} is not a list of 1–{MOST} names")
        out.append((player, tuple(names)))
    return tuple(out)


def _instruments(row: Mapping, where: str) -> tuple[tuple[str, str], ...]:
    value = _by_player(row, "instruments", where)
    for player, name in value.items():
        _check_name(name, player, f"{where}, instruments")
    return tuple((player, str(name)) for player, name in value.items())


def _quartiles(row: Mapping, where: str) -> tuple[float, float, float] | None:
    if "chords_a_bar" not in row:
        return None
    value = row["chords_a_bar"]
    numbers = isinstance(value, list) and all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in value)
    if not numbers or len(value) != 3 or not 0 <= value[0] <= value[1] <= value[2] <= 8 or value[2] == 0:
        raise ValueError(
            f"{where}: chords_a_bar={short(value)} is not three numbers that rise within 0–8: the first quartile, the "
            "median and the third quartile of chords in a bar; write for example chords_a_bar: [0.75, 1, 1.5]"
        )
    return float(value[0]), float(value[1]), float(value[2])


def _hold(row: Mapping, where: str) -> int | None:
    value = row.get("hold", 1)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_PROGRESSION:
        raise ValueError(f"{where}: hold={short(value)} is not a whole number of bars 1–{MOST_PROGRESSION}")
    return value if "hold" in row else None


def _vocabulary(row: Mapping, where: str) -> tuple[tuple[str, tuple[float, float]], ...]:
    value = row.get("vocabulary", {})
    if not isinstance(value, dict):
        raise ValueError(f"{where}: vocabulary={short(value)} is not a mapping; write vocabulary: {{sevenths: [0, 1]}}")
    check_fields(value, CHORD_SHARES, f"{where}, vocabulary")
    return tuple((kind, read_range(span, (0, 1), f"{where}, vocabulary", kind)) for kind, span in value.items())


def _progressions(row: Mapping, where: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    value = row.get("progressions", {})
    where = f"{where}, progressions"
    if not isinstance(value, dict):
        raise ValueError(f"{where}: {short(value)} is not a mapping; write progressions: {{major: [C | F | G | C]}}")
    check_fields(value, tuple(TONICS), where)
    for mode, texts in value.items():
        if not isinstance(texts, list) or not 0 < len(texts) <= MOST or not all(isinstance(t, str) for t in texts):
            raise ValueError(f"{where}: {mode}={short(texts)} is not a list of 1–{MOST} rows such as [C | F | G | C]")
        for text in texts:
            if text.count("|") >= MOST_PROGRESSION:
                raise ValueError(f"{where}: {mode} has a row of more than {MOST_PROGRESSION} bars: give its first ones")
            try:
                progression_bars(text, mode, Meter(4, 4))
            except ValueError as error:
                raise ValueError(f"{where}: {mode} has {short(text)}: {error}") from None
    return tuple((mode, tuple(texts)) for mode, texts in value.items())
