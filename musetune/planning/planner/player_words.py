"""Players and instruments that a prompt names: "no drums", "solo piano", "with horns".

They go before what a style says of its players, and stand behind its name in a plan's style: "waltz, no drums, lead on
flute". Who plays the plan reads them there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from musetune.planning.rules.grooves.catalogue import MODEL
from musetune.planning.rules.instruments import program_called
from musetune.symbols.arrangement import SILENCE, STEMS

ByPlayer = tuple[tuple[str, str], ...]

WORDS = {  # for a player whom a prompt excludes
    "drums": r"drums?(?: ?(?:kit|track)s?)?|drummers?|percussion|beats?|kick",
    "bass": r"bass(?:es| ?guitars?| ?lines?)?|basslines?",
    "guitar": r"guitars?",
    "keys": r"keys|keyboards?|pianos?|organs?|synths?|synthesi[sz]ers?",
    "lead": r"leads?|melod(?:y|ies)|lead (?:line|melody|instrument)",
}
INSTRUMENTS = {  # words, player, and what it plays on; longer words go first
    "guitar": (
        "nylon guitar|classical guitar:nylon guitar|spanish guitar:nylon guitar|acoustic guitar|jazz guitar|"
        "clean guitar|muted guitar|overdriven guitar|distorted guitar|distortion guitar:distorted guitar|"
        "electric guitar|banjo|mandolin|ukulele|sitar"
    ),
    "bass": (
        "upright bass|double bass|acoustic bass|electric bass|bass guitar:electric bass|picked bass|fretless bass|"
        "slap bass|synth bass|808 bass|tuba"
    ),
    "keys": (
        "grand piano:piano|upright piano:piano|electric piano|rhodes|wurlitzer:electric piano|piano|church organ|"
        "pipe organ:church organ|rock organ|hammond:rock organ|organ|harpsichord|clavinet|harp|celesta|celeste|marimba"
    ),
    "lead": (
        "lead guitar:distorted guitar|slide guitar:clean guitar|soprano sax|alto sax|tenor sax|saxophone|sax|"
        "muted trumpet:trumpet|trumpet|trombone|french horn|horn section:brass|horns:brass|brass section:brass|brass|"
        "flute|clarinet|oboe|piccolo|recorder|pan flute|ocarina|whistle|harmonica|accordion|bandoneon|bagpipes|"
        "fiddle|violin|viola|cello|vibraphone|vibes:vibraphone|glockenspiel|xylophone|music box|kalimba|steel drums|"
        "choir|synth lead|saw lead|square lead|strings"
    ),
}
_TABLE = {
    re.compile(rf"(?<![\w-]){re.escape(words)}s?(?![\w-])"): (player, instrument or words)
    for player, names in INSTRUMENTS.items()
    for words, _, instrument in (name.partition(":") for name in names.split("|"))
}
_PLAYER = "|".join(WORDS.values())
_LIST = rf"(?:(?:any|a|an|the) )?(?:{_PLAYER})(?:(?:,|,? and|,? or|,? nor|/)(?: no| any| the)? ?(?:{_PLAYER}))*"
_EXCLUDED = re.compile(  # "no drum fills", "no bass drum" silence nobody
    rf"\b(?:no|without|minus|w/o|neither) (?P<players>{_LIST})\b"
    r"(?!-| (?:solo|fill|roll|break|drop|machine|vocal|singer|voice|sample|loop|intro|outro|drum|bass|guitar|kick)s?\b)"
)
_DRUMLESS = re.compile(r"\b(?:drum|beat|percussion)-?less\b")
_NAMES = "|".join(
    sorted({name.partition(":")[0] for names in INSTRUMENTS.values() for name in names.split("|")}, key=len)[::-1]
)
_BESIDE = ("with", "and", "featuring", "plus", "then", "over")  # what follows plays among others
_ALONE = re.compile(
    "".join(rf"(?<!\b{word} )(?<!\b{word} a )" for word in _BESIDE)
    + r"\b(?:solo|unaccompanied|just (?:an? )?|only (?:an? )?)[ -]?"
    rf"(?P<first>{_NAMES}|guitar)s?\b(?!,? (?:(?:and|with|over|plus)\b|&)|, ?(?:{_NAMES}|{_PLAYER})\b)"
    rf"|\b(?P<second>{_NAMES}|guitar) (?:only|alone)\b"
)
_NOT_NAMED = re.compile(rf"\b(?:no|without)(?: any| an?)? (?:{_NAMES})s?\b")
_PLAIN_GUITAR = re.compile(r"(?<![\w-])guitars?(?! (?:solo|break|hero))(?![\w-])")
_PRESENT = re.compile(r"(?P<present>no|with) (?P<player>drums|bass|guitar|keys|lead)")
_ON = re.compile(r"(?P<player>bass|guitar|keys|lead) on (?P<instrument>[\w' -]{1,40})")
FULL = ("bass", "keys", "lead")  # players of a solo piece on an instrument that plays chords: its registers


def player_words(prompt: str, meant: str) -> tuple[str, ...]:
    """What a prompt says of players: "no drums", "keys on piano".

    Args:
        prompt: Its words in small letters.
        meant: These without what it says is not meant, such as negated words.

    Example:
        >>> player_words("acoustic pop without drums or bass", "acoustic pop")
        ('no drums', 'no bass')
        >>> player_words("ska punk with horns", "ska punk with horns")
        ('lead on brass',)
        >>> player_words("solo cello", "solo cello")
        ('no drums', 'no bass', 'no guitar', 'no keys', 'lead on cello')
    """
    if _NOT_NAMED.search(prompt):  # "no electric guitar": `meant` has lost the first of both words
        meant = _NOT_NAMED.sub(" ", prompt)
    if alone := _ALONE.search(meant):
        return _alone(alone["first"] or alone["second"])
    silent = {player for match in _EXCLUDED.finditer(prompt) for player in _players_in(match["players"])}
    if _DRUMLESS.search(prompt):
        silent.add("drums")
    named: dict[str, str] = {}
    for pattern, (player, instrument) in _TABLE.items():
        if pattern.search(meant):
            where = "keys" if instrument == "strings" and "lead" in named and "keys" not in named else player
            named.setdefault(where, instrument)
            meant = pattern.sub(" ", meant)
    out = [f"no {player}" for player in STEMS if player in silent]
    if "guitar" not in named and "guitar" not in silent and _PLAIN_GUITAR.search(meant):
        out.append("with guitar")
    return (*out, *(f"{player} on {named[player]}" for player in STEMS if player in named and player not in silent))


def _players_in(text: str) -> set[str]:
    return {player for player, words in WORDS.items() if re.search(rf"\b(?:{words})\b", text)}


def _alone(name: str) -> tuple[str, ...]:
    """What a piece for one instrument says of all players: a piano is bass, keys and lead, a flute the lead."""
    if name == "guitar":
        player, instrument = "guitar", "acoustic guitar"
    else:
        player, instrument = next(found for pattern, found in _TABLE.items() if pattern.fullmatch(name))
    playing = {"keys": FULL, "guitar": ("bass", "guitar", "lead")}.get(player, (player,))
    silent = tuple(f"no {one}" for one in STEMS if one not in playing)
    return (*silent, *(f"{one} on {instrument}" for one in playing))


def is_player_words(name: str) -> bool:
    """Whether a name in a plan's style says who plays: "no drums", "with guitar", "lead on flute".

    Example:
        >>> is_player_words("no drums"), is_player_words("lead on a cloud"), is_player_words("bossa nova")
        (True, False, False)
    """
    on = _ON.fullmatch(name)
    return _PRESENT.fullmatch(name) is not None or (on is not None and program_called(on["instrument"]) is not None)


def with_players(
    grooves: tuple[tuple[str, tuple[str, ...]], ...], instruments: ByPlayer, names: Iterable[str]
) -> tuple[tuple[tuple[str, tuple[str, ...]], ...], ByPlayer]:
    """Grooves and instruments of a style whose players are as such names say.

    Who is named and was silent is the stem transformer's.

    Example:
        >>> grooves, instruments = with_players((("keys", ("none",)),), (), ["no drums", "keys on piano"])
        >>> dict(grooves), instruments
        ({'keys': ('model',), 'drums': ('none',)}, (('keys', 'piano'),))
    """
    plays_by, on_by = dict(grooves), dict(instruments)
    for name in names:
        if present := _PRESENT.fullmatch(name):
            player, plays = present["player"], present["present"] == "with"
            if not plays:
                plays_by[player] = (SILENCE,)
                on_by.pop(player, None)
        elif on := _ON.fullmatch(name):
            player, plays = on["player"], True
            on_by[player] = on["instrument"]
        else:
            continue
        if plays and plays_by.get(player) == (SILENCE,):
            plays_by[player] = (MODEL,)
    return tuple(plays_by.items()), tuple(on_by.items())


def players_called(names: str) -> tuple[str, ...]:
    """What names parted by commas say of players.

    Example:
        >>> players_called("bossa nova, no drums, lead on flute")
        ('no drums', 'lead on flute')
    """
    return tuple(name.strip().lower() for name in names.split(",") if is_player_words(name.strip().lower()))
