"""A row of a file of styles → SongStyle, or an error that names the row, the field and the fix.

docs/reference/styles.md describes the fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from musetune.formats.plain_yaml import check_fields, read_range, short
from musetune.planning.planner.constraints_from_arguments import form_of, read_sections
from musetune.planning.planner.song_style import FEELS, TONICS, Feel, SongStyle, progression_bars
from musetune.planning.planner.vocabulary import MODES
from musetune.planning.rules.grooves.catalogue import check_groove
from musetune.symbols import BPM_RANGE, GENRES, Meter
from musetune.symbols.meter import METERS
from musetune.symbols.names import suggest

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
FEEL_FIELDS = ("kind", "ratio", "unit")
UNITS = (8, 16)  # notes that a feel makes long and short: eighths or sixteenths
PLAYERS = ("drums", "bass", "guitar", "keys", "lead")
CHORD_SHARES = ("sevenths", "outside", "slash", "power")


def read_style(row: object, where: str) -> SongStyle:
    """The style of a row of a file.

    Args:
        row: What YAML made of it.
        where: The file's name, for messages.

    Raises:
        ValueError: Something is not as docs/reference/styles.md says; the message names row, field and fix.

    Example:
        >>> read_style({"style": "slow techno", "tempo": [100, 118]}, "mine.yaml").tempo
        (100, 118)
    """
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
