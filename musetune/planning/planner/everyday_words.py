"""What everyday words of a prompt mean that the structure transformer has no word for: "reggae", "ballad", "campfire".

The transformer learned from captions with six genres, moods, tempi and meters in words and numbers. What a prompt says
in those words is left to it. Where a prompt says it otherwise, or leaves open what every listener takes for granted (a
techno track is in 4/4), the rules here narrow the choice, and the transformer writes within it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from os import PathLike

from musetune.planning.planner.form_words import WordedForm, read_form
from musetune.planning.planner.mode_words import church_modes, plain_modes
from musetune.planning.planner.player_words import player_words, players_called
from musetune.planning.planner.prompt_text import normalise, shared_words
from musetune.planning.planner.song_style import SongStyle, join_styles
from musetune.planning.planner.song_styles import plain_genres, styles_called, styles_in
from musetune.planning.planner.style_forms import sections_of
from musetune.planning.planner.style_spelling import respell
from musetune.planning.planner.tempo_words import tempo_range
from musetune.planning.planner.vocabulary import MODES, TONICS
from musetune.symbols import GENRES, Key
from musetune.symbols.arrangement import STEMS
from musetune.symbols.meter import METERS

SONG_BARS = 16  # fewest bars of a song whose length nobody named
TWO = 2  # most chords in a bar
CLASSICAL_METERS = ("4/4", "3/4", "6/8")
MOST_STYLES = 8  # styles of a prompt that its plan names


@dataclass(frozen=True)
class MoodWords:
    """What a mood tells of a song; None where it tells nothing.

    Attributes:
        words: Regular expression of whole words.
        bpm: Fewest and most beats a minute.
        chords: Most chords in a bar.
    """

    words: str
    bpm: tuple[int, int] | None = None
    chords: int | None = None


CLASSICAL, FOUR = ("classical",), ("4/4",)
MOODS = (  # tempi of moods, where neither number nor word tells the tempo
    MoodWords(r"bang(?:er|ing)|hype|pumping|party|energetic|workout", (118, 140)),
    MoodWords(r"angry|furious|rage|aggressive|frantic|chase", (116, 176)),
    MoodWords(r"sad|melanchol(?:y|ic)|mournful|heart-?broken|grieving|lonely|tragic|gentle|tender|calm|peaceful|sleepy|chill",
              (54, 96), TWO),
    MoodWords(r"slow\w*|largo|lento|adagio|grave", None, TWO),
)  # fmt: skip


def _any(*words: str) -> re.Pattern[str]:
    """A pattern of whole words, alternatives in regular expressions."""
    return re.compile(rf"\b(?:{'|'.join(words)})\b", re.IGNORECASE)


# words for a genre that the transformer learned
CLASSICAL_WORDS = (
    "classical|baroque|chorales?|orchestral|chamber(?: music)?|symphon(?:y|ic)|hymns?|string (?:quartet|trio)|sonata",
    "fugue|minuet|nocturne|[eé]tude|prelude|concerto|choral|bach|mozart|romantic piano",
)
NAMED_CLASSICAL = _any(*CLASSICAL_WORDS)
NAMED_GENRE = _any(
    *CLASSICAL_WORDS,
    "pop|mandopop|britpop|easy listening|singer-songwriter",
    "rock(?:abilly|'?n'?roll)?|metal|punk|grunge",
    "jazzy?|swing(?:ing)?|be-?bop|hard bop|big band|bossa|ragtime|dixieland|blues|bluesy|boogie(?:-woogie)?",
    "electronica?|electro|techno|house|trance|edm|synthwave|drum and bass|dubstep|chiptune|rave|idm|eurodance",
)
COLOUR = re.compile(  # "bluesy rock" is rock
    r"\b(?:bluesy|jazzy|poppy|rocky)\b(?=.*?\b(pop|rock|jazz|blues|electronic)\b)", re.IGNORECASE
)
OPEN = ("pop", "rock", "jazz", "electronic")  # where no word tells the genre
NOT_MEANT = (
    re.compile(  # "an old house", "house of cards", "trap door", "my soul", "not a waltz", "no drums", "in March"
        r"\bhouse of \w+\b|\btrap ?doors?\b|"
        r"\b(?:my|your|his|her|our|their|the) souls?\b(?! (?:music|song|track|tune|band|record))|"
        r"\b(?:an?|the|my|our|your|his|her|old|empty|haunted|big|little|coffee) house\b"
        r"(?! (?:track|beat|music|song|tune|banger|groove|loop|anthem))|"
        r"\bin march\b(?! (?:time|tempo|style))|"
        r"\b(?:not|no|without|never|isn't|anything but)(?! (?:too|so|very)\b)(?: an?| the| any)? \w+",
        re.IGNORECASE,
    )
)
NOT_IN = re.compile(  # "not in 4/4"
    r"\b(?:not|no|never|isn't|without|anything but)(?: in)?(?: an?| the| any)? <meter:(\d+/\d+)>", re.IGNORECASE
)
NEGATED = re.compile(r"(?:not|no|without|never|isn't|anything)\b", re.IGNORECASE)
NOT_MEANT_IN_FORM = re.compile(  # "no bridge" leaves a section out
    rf"(?!\b(?:no|without(?: an?| any)?) (?:pre|verse|chorus|refrain|hook|bridge|intro|outro|coda|drop|build|break|"
    rf"solo|interlude))(?:{NOT_MEANT.pattern})",
    re.IGNORECASE,
)
DENSE = _any("chorales?|hymns?|baroque|fugue|bach|choral|organ prelude|counterpoint")  # a chord on every beat
NAMED_METER = re.compile(
    r"<meter:|<0><0><\d>[ -]<0><[01]><\d>|<0><0><\d> beats|\bin <0><[01]><\d>(?!<| bars| seconds| bpm)|"
    r"\b(?:met(?:er|re)|time signature|triple|compound|duple|(?:common|cut|march|polka) time|alla breve|"
    r"polonaise|siciliana|barcarolle|gigue|sarabande|four-on-the-floor)\b"
)
IN_A_MODE = re.compile(  # "in a minor key" is not A minor
    r"<tonic:A> <mode:(\w+)>(?= (?:key|mode|mood|feel|hit|sound|vibe|tonality|scale)\b)"
)
RNB = re.compile(r"\br ?(?:&|n|'n'|and) ?b\b", re.IGNORECASE)  # R&B is not the note B
PALETTE = re.compile(r"<0><0>(?=<\d>)<(\d)>(?:[ -]different)?[ -]chords?\b")
BLUES_FORM = re.compile(  # of other styles than blues
    r"<0>(?:<1><2> bars(?: blues)?|<0><8> bars blues) (?:form|structure|changes|progression|pattern)\b"
)
TWELVE_BAR = re.compile(
    r"\b(?:12|twelve)[- ]bar\b(?! (?:intro|outro|verse|chorus|bridge|solo|loop|section))", re.IGNORECASE
)
KEY_CHANGE = re.compile(
    r"\b(?:key change|change of key|modulat(?:es?|ing|ion) (?:up|to|into)|truck[- ]driver'?s? (?:gear|modulation))\b",
    re.IGNORECASE,
)
STATED_BPM = re.compile(r"<(\d)><(\d)><(\d)> bpm")
BEATS = re.compile(r"\bbeats? (?:per|a|each|every|in|to)\b")  # of a bar, no style
PLAIN_GENRE = _any(*GENRES)
HAPPY = _any("happy", "cheer\\w+", "joyful", "merry", "jolly", "jubilant", "celebratory", "festive")
NOT_HAPPY = _any(
    "sad", "dark", "melanchol\\w+", "bitter\\w*", "but", "then", "tense", "creepy", "spooky", "moody", "wistful"
)
NAMED_LENGTH = _any(
    r"bars?|seconds|minutes?|loops?|riffs?|licks?|jingles?|short\w*|brief|tiny|snippet|intro|outro|cue|vamp|phrase|sting",
    r"little (?:tune|piece|ditty)|idea|sketch|a[ab][a-d]{1,4}|verse|chorus|bridge|form",
)
NAMED_MODE = _any(
    "major|minor|sad|melanchol\\w+|dark|gloomy|sorrowful|mournful|tragic|brooding|wistful|lonely|tearful|bleak|ominous|sombre",
    "heartbroken|grieving|haunting|mysterious|tense|menacing|moody|grim|eerie|spooky|forlorn|desolate|sinister|weepy|angry",
    "anxious|regretful|bitter|creepy|doleful|depressing|happy|cheer\\w+|joy\\w*|bright|sunny|merry|playful|triumphant|jolly",
    "carefree|optimistic|hopeful|glad|blissful|festive|sweet|uplifting|proud|innocent|bouncy|exuberant|radiant|heroic",
    "sparkling|light-hearted|feel-good|jubilant|celebratory",
)


NO_STYLE, NO_FORM = SongStyle(), WordedForm()


@dataclass(frozen=True)
class PromptReading:
    """What the rules read in a prompt, beside what the transformer reads.

    Attributes:
        genres: Genres to choose from; empty: any.
        meters: Time signatures to choose from; empty: any.
        bpm: Fewest and most beats a minute; None: any.
        modes: Modes to choose from; empty: any.
        genre_named: Whether the prompt has a word for a genre that the transformer knows.
        keys: Keys to choose from; empty: any that musicians write.
        chords: Most chords in a bar; None: any.
        least_bars: Fewest bars.
        style: What the styles that the prompt names say together.
        styled: Names of these styles, parted by commas; empty: the prompt names none.
        length_named: Whether it says anything of the length.
        form: The form that it words.
        palette: Most different chords ("three chords"); None: any.
        dense: Whether it names music with a chord on every beat.
        mode_named: Whether it names a mode, in a word or by a mood.
        remarks: What it says that cannot be had as it stands, or is read as something else.
        stated_bpm: Beats a minute that it states as a number; None: none.
    """

    genres: tuple[str, ...] = ()
    meters: tuple[str, ...] = ()
    bpm: tuple[int, int] | None = None
    modes: tuple[str, ...] = ()
    genre_named: bool = False
    keys: tuple[Key, ...] = ()
    chords: int | None = None
    least_bars: int = 0
    style: SongStyle = NO_STYLE
    styled: str = ""
    length_named: bool = False
    form: WordedForm = NO_FORM
    palette: int | None = None
    dense: bool = False
    stated_bpm: int | None = None
    mode_named: bool = False
    remarks: tuple[str, ...] = ()


def read_everyday_words(prompt: str, styles: str | PathLike | None = None, pinned: str | None = None) -> PromptReading:
    """Read what the everyday words of a prompt mean.

    Args:
        prompt: The prompt.
        styles: YAML file of styles that go before those of the package.
        pinned: Names of styles, parted by commas, that go before those that the prompt names.

    Example:
        >>> reading = read_everyday_words("reggae for the beach")
        >>> reading.genres, reading.meters, reading.bpm, reading.modes
        (('pop',), ('4/4',), (66, 92), ('major',))
        >>> read_everyday_words("jazz waltz in F minor at 140 bpm, 32 bars").bpm is None
        True
    """
    shared = plain_modes(plain_genres(shared_words(normalise(RNB.sub("rnb", prompt)))))
    excluded_meters = set(NOT_IN.findall(shared))
    shared = NOT_IN.sub(" ", shared)
    text = NOT_MEANT.sub(" ", shared)
    left_out = " ".join(match for match in NOT_MEANT.findall(shared) if NEGATED.match(match)).lower()
    given = () if pinned is None else styles_called(pinned, styles)
    in_text = styles_in(BEATS.sub(" ", text), styles)
    text, remarks = respell(text, (*given, *in_text), styles)
    if remarks:
        in_text = styles_in(BEATS.sub(" ", text), styles)
    found, mood = tuple(dict.fromkeys((*given, *in_text))), _mood(text)
    style = _with_blues_form(join_styles(found), text, prompt, styles)
    tempi = [style.tempo] if given else [one.tempo for one in found]
    tempi = tempi if style.tempo else [mood.bpm]
    genre_named, keys = NAMED_GENRE.search(text) is not None, _keys(text)
    genres = () if genre_named else style.genre or (OPEN if text.strip() else ())
    if genre_named and style.progressions and style.genre and (given or not PLAIN_GENRE.search(text)):
        genres = style.genre
    if not genres and {word.lower() for word in NAMED_GENRE.findall(text)} & set(GENRES) == set(style.genre):
        genres = style.genre  # said in so many words, and in no others
    if colour := COLOUR.search(text):
        genres = (colour[1].lower(),)
    if excluded := {genre for genre in GENRES if re.search(rf"\b{genre}\b", left_out)}:
        genres = tuple(genre for genre in genres or GENRES if genre not in excluded)
    classical = NAMED_CLASSICAL.search(text) is not None or genres == CLASSICAL
    usual_meters = tuple(meter for meter, _ in style.meters) or (CLASSICAL_METERS if classical else FOUR)
    if re.search(r"\bshuffle\b", text) and "4/4" in usual_meters and "12/8" not in usual_meters:
        usual_meters += ("12/8",)  # a shuffle is written in either
    if excluded_meters:
        usual_meters = tuple(meter for meter in usual_meters if meter not in excluded_meters) or tuple(
            meter for meter in METERS if meter not in excluded_meters
        )
    mode_named = any(mode in text for mode in ("<mode:", *(f"{name}>m" for name in TONICS))) or (
        NAMED_MODE.search(text) is not None or len({key.tonic for key in keys}) > 1
    )
    modes = (style.mode,) if style.mode and not mode_named else ()
    if HAPPY.search(text) and not (NOT_HAPPY.search(text) or "<mode:" in text or re.search(r"<tonic:[^>]+>m\b", text)):
        modes = ("major",)
    palette = PALETTE.search(text)
    dense = DENSE.search(text) is not None
    meters = tuple(dict.fromkeys(re.findall(r"<meter:(\d+/\d+)>", text)))
    own = players_called(pinned or "")
    pinned_players = {player for player in STEMS if any(player in name.split()[:2] for name in own)}
    worded = player_words(shared.lower(), text.lower())
    players = dict.fromkeys((*own, *(name for name in worded if not pinned_players & set(name.split()[:2]))))
    most = None if style.chords_a_bar is None else max(1, math.ceil(style.chords_a_bar[2]))
    length_named = NAMED_LENGTH.search(text) is not None
    return PromptReading(
        genres=genres,
        meters=meters if len(meters) == 1 else () if NAMED_METER.search(text) else usual_meters,
        bpm=tempo_range(text, tempi),
        modes=modes,
        genre_named=genre_named,
        keys=tuple(key for key in keys if key.mode in modes) if modes else keys,
        chords=None if dense else most or mood.chords,
        least_bars=0 if length_named else SONG_BARS,
        style=style,
        styled=", ".join((*(style.style for style in found[:MOST_STYLES]), *players)),
        length_named=length_named,
        form=read_form(NOT_MEANT_IN_FORM.sub(" ", prompt)),
        palette=int(palette[1]) if palette and int(palette[1]) > 0 else None,
        dense=dense,
        stated_bpm=int("".join(bpm.groups())) if (bpm := STATED_BPM.search(text)) else None,
        mode_named=mode_named,
        remarks=(*remarks, *church_modes(prompt), *_contradictions(text, style, meters)),
    )


def _contradictions(text: str, style: SongStyle, meters: tuple[str, ...]) -> tuple[str, ...]:
    """What a prompt asks for that its style or a plan does not have."""
    out = []
    if len(meters) == 1 and style.meters and meters[0] not in dict(style.meters):
        usual = " or ".join(meter for meter, _ in style.meters)
        out.append(f"{style.style} is in {usual}; the prompt's {meters[0]} goes before it")
    if KEY_CHANGE.search(text):
        out.append(
            "a plan has one key, so that the change of key that the prompt asks for is left out: transpose sections of "
            "the lead sheet afterwards"
        )
    return tuple(out)


def _with_blues_form(style: SongStyle, text: str, prompt: str, file: str | PathLike | None) -> SongStyle:
    """A style, over the changes of the blues of 12 or 8 bars where a prompt or its shared words ask for their form.

    "12-bar" alone is enough where the style has sections of 12 bars.
    """
    match = BLUES_FORM.search(text)
    twelve = any(bars == 12 for form, _ in style.forms for _, bars in sections_of(form))
    if match is None and not (twelve and TWELVE_BAR.search(prompt)):
        return style
    rows = styles_called("8-bar blues" if match and "<8>" in match[0] else "12-bar blues, minor blues", file)
    progressions: dict[str, tuple[str, ...]] = {}
    for row in rows:
        progressions = dict(row.progressions) | progressions
    return replace(style, progressions=tuple(progressions.items()), forms=rows[0].forms)


def _mood(text: str) -> MoodWords:
    """What all moods in a text tell: each what the ones before it left open."""
    joined = MoodWords("")
    for mood in MOODS:
        if re.search(rf"(?<![\w-])(?:{mood.words})(?![\w-])", text, re.IGNORECASE):
            joined = MoodWords("", joined.bpm or mood.bpm, joined.chords or mood.chords)
    return joined


def _keys(text: str) -> tuple[Key, ...]:
    """The keys that a prompt's shared words leave open: one, a tonic's two, or all where it names several tonics."""
    text = IN_A_MODE.sub(r"<mode:\1>", text)
    tonics = re.findall(r"<tonic:([^>]+)>(?:[ -]?<mode:(\w+)>|(m)\b)?", text)
    if not tonics:
        return ()
    if len({name for name, _, _ in tonics}) > 1:
        return tuple(Key(name, mode) for mode in MODES for name in TONICS)
    modes = {mode or "minor" for _, mode, short in tonics if mode or short} or set(re.findall(r"<mode:(\w+)>", text))
    return tuple(Key(tonics[0][0], mode) for mode in sorted(modes) or MODES)
