"""What everyday words of a prompt mean that the structure transformer has no word for: "reggae", "ballad", "campfire".

The transformer learned from captions with six genres, moods, tempi and meters in words and numbers. What a prompt says
in those words is left to it. Where a prompt says it otherwise, or leaves open what every listener takes for granted (a
techno track is in 4/4), the rules here narrow the choice, and the transformer writes within it.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile
from os import PathLike

from musetune.planning.planner.constraints import FREE_LETTERS, MOST_BARS, PlanConstraints, StylePrior
from musetune.planning.planner.constraints_from_arguments import form_of
from musetune.planning.planner.form_words import Sections, WordedForm, read_form, repeat, sections_as_labels
from musetune.planning.planner.grammar import share
from musetune.planning.planner.language import PlanBar
from musetune.planning.planner.prompt_text import normalise, shared_words
from musetune.planning.planner.song_styles import (
    SongStyle,
    join_styles,
    plain_genres,
    progression_bars,
    styles_called,
    styles_in,
)
from musetune.planning.planner.tempo_words import tempo_range
from musetune.planning.planner.vocabulary import LETTERS, MODES, MOST_SECTION, TONICS
from musetune.symbols import GENRES, Key, Meter
from musetune.symbols.meter import METERS

SONG_BARS = 16  # fewest bars of a song whose length nobody named
TWO = 2  # most chords in a bar
PHRASE = 4  # bars of which sections hold a whole number
ROUND = ("jazz", "blues", "electronic")  # genres whose songs may end as they go round, where no style says
CLASSICAL_METERS = ("4/4", "3/4", "6/8")
USUAL_HOLD = 4  # most bars on one chord, where no style says
USUAL_FORMS = (  # and their weights, of prompts that name neither a style nor a form nor a length
    ("A:8 A:8 B:8 A:8", 2.0),
    ("intro:4 A:8 B:8 A:8 B:8 outro:4", 2.0),
    ("A:8 A:8 B:8 A:8 C:8 A:8", 1.0),
)
PROGRESSIONS = 0.5  # share of sections that take a progression of the style; the transformer writes the others
MOST_STYLES = 8  # styles of a prompt that its plan names
USUAL = {  # keys that musicians write: no D# minor, whose scale has a double sharp
    "major": ("C", "G", "D", "A", "E", "B", "F", "Bb", "Eb", "Ab", "Db", "Gb"),
    "minor": ("A", "E", "B", "F#", "C#", "G#", "D", "G", "C", "F", "Bb", "Eb"),
}


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


POP, CLASSICAL, FOUR = ("pop",), ("classical",), ("4/4",)
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
NOT_MEANT = re.compile(  # "an old house", "not a waltz", "no drums", "in March"
    r"\b(?:an?|the|my|our|your|his|her|old|empty|haunted|big|little|coffee) house\b"
    r"(?! (?:track|beat|music|song|tune|banger|groove|loop|anthem))|"
    r"\bin march\b(?! (?:time|tempo|style))|"
    r"\b(?:not|no|without|never|isn't|anything but)(?! (?:too|so|very)\b)(?: an?| the| any)? \w+",
    re.IGNORECASE,
)
DENSE = _any("chorales?|hymns?|baroque|fugue|bach|choral|organ prelude|counterpoint")  # a chord on every beat
NAMED_METER = re.compile(
    r"<meter:|<0><0><\d>[ -]<0><[01]><\d>|<0><0><\d> beats|\bin <0><[01]><\d>(?!<| bars| seconds| bpm)|"
    r"\b(?:met(?:er|re)|time signature|triple|compound|duple|(?:common|cut|march|polka) time|alla breve|"
    r"mazurka|polonaise|siciliana|barcarolle|gigue|sarabande|four-on-the-floor)\b"
)
IN_A_MODE = re.compile(  # "in a minor key" is not A minor
    r"<tonic:A> <mode:(\w+)>(?= (?:key|mode|mood|feel|hit|sound|vibe|tonality|scale)\b)"
)
RNB = re.compile(r"\br ?(?:&|n|'n'|and) ?b\b", re.IGNORECASE)  # R&B is not the note B
PALETTE = re.compile(r"<0><0>(?=<\d>)<(\d)>(?:[ -]different)?[ -]chords?\b")
BLUES_FORM = re.compile(  # of other styles than blues
    r"<0>(?:<1><2> bars(?: blues)?|<0><8> bars blues) (?:form|structure|changes|progression|pattern)\b"
)
BEATS = re.compile(r"\bbeats? (?:per|a|each|every|in|to)\b")  # of a bar, no style
PLAIN_GENRE = _any(*GENRES)
HAPPY = _any("happy", "cheer\\w+", "joyful", "merry", "jolly", "jubilant", "celebratory", "festive")
NOT_HAPPY = _any(
    "sad", "dark", "melanchol\\w+", "bitter\\w*", "but", "then", "tense", "creepy", "spooky", "moody", "wistful"
)
NAMED_LENGTH = _any(
    r"bars?|seconds|minutes?|loops?|riffs?|licks?|jingles?|short\w*|brief|tiny|little|snippet|intro|outro|cue|vamp|phrase|sting",
    r"idea|sketch|[a-d]{3,6}|verse|chorus|bridge|form",
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
    shared = plain_genres(shared_words(normalise(RNB.sub("rnb", prompt))))
    text = NOT_MEANT.sub(" ", shared)
    left_out = " ".join(NOT_MEANT.findall(shared)).lower()
    given = () if pinned is None else styles_called(pinned, styles)
    found, mood = tuple(dict.fromkeys((*given, *styles_in(BEATS.sub(" ", text), styles)))), _mood(text)
    style = _with_blues_form(join_styles(found), text, styles)
    tempi = [style.tempo] if given else [one.tempo for one in found]
    tempi = tempi if style.tempo else [mood.bpm]
    genre_named, keys = NAMED_GENRE.search(text) is not None, _keys(text)
    genres = () if genre_named else style.genre or (OPEN if text.strip() else ())
    if genre_named and style.progressions and style.genre and (given or not PLAIN_GENRE.search(text)):
        genres = style.genre
    if colour := COLOUR.search(text):
        genres = (colour[1].lower(),)
    if excluded := {genre for genre in GENRES if re.search(rf"\b{genre}\b", left_out)}:
        genres = tuple(genre for genre in genres or GENRES if genre not in excluded)
    classical = NAMED_CLASSICAL.search(text) is not None or genres == CLASSICAL
    usual_meters = tuple(meter for meter, _ in style.meters) or (CLASSICAL_METERS if classical else FOUR)
    if re.search(r"\bshuffle\b", text) and "4/4" in usual_meters and "12/8" not in usual_meters:
        usual_meters += ("12/8",)  # a shuffle is written in either
    mode_named = any(mode in text for mode in ("<mode:", *(f"{name}>m" for name in TONICS))) or (
        NAMED_MODE.search(text) is not None or len({key.tonic for key in keys}) > 1
    )
    modes = (style.mode,) if style.mode and not mode_named else ()
    if HAPPY.search(text) and not (NOT_HAPPY.search(text) or "<mode:" in text or re.search(r"<tonic:[^>]+>m\b", text)):
        modes = ("major",)
    palette = PALETTE.search(text)
    dense = DENSE.search(text) is not None
    most = None if style.chords_a_bar is None else max(1, math.ceil(style.chords_a_bar[2]))
    length_named = NAMED_LENGTH.search(text) is not None
    return PromptReading(
        genres=genres,
        meters=() if NAMED_METER.search(text) else usual_meters,
        bpm=tempo_range(text, tempi),
        modes=modes,
        genre_named=genre_named,
        keys=tuple(key for key in keys if key.mode in modes) if modes else keys,
        chords=None if dense else most or mood.chords,
        least_bars=0 if length_named else SONG_BARS,
        style=style,
        styled=", ".join(style.style for style in found[:MOST_STYLES]),
        length_named=length_named,
        form=read_form(NOT_MEANT.sub(" ", prompt)),
        palette=int(palette[1]) if palette and int(palette[1]) > 0 else None,
        dense=dense,
    )


def named_style(prompt: str, styles: str | PathLike | None = None) -> SongStyle | None:
    """What the styles that a prompt names say together, under the first one's name; None where it names none.

    Example:
        >>> style = named_style("a slow bossa nova in D minor")
        >>> style.style, style.feel.kind, style.instrument('lead')
        ('bossa nova', 'straight', 'flute')
    """
    reading = read_everyday_words(prompt, styles)
    return reading.style if reading.styled else None


def _with_blues_form(style: SongStyle, text: str, file: str | PathLike | None) -> SongStyle:
    """A style, over the changes of the blues of 12 or 8 bars where a prompt's shared words ask for their form."""
    match = BLUES_FORM.search(text)
    if match is None:
        return style
    rows = styles_called("8-bar blues" if "<8>" in match[0] else "12-bar blues, minor blues", file)
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


def narrow(
    pins: PlanConstraints, prompt: str, seed: int | str = 0, styles: str | PathLike | None = None
) -> PlanConstraints:
    """Narrow ``pins`` to what the everyday words of ``prompt`` mean; what is pinned already stays.

    Args:
        pins: What the caller pins.
        prompt: The prompt.
        seed: What a style leaves open is drawn from it: the form, a progression, how many chords change.
        styles: YAML file of styles that go before those of the package.

    Returns:
        The pins and, where they left it open, what prompt and style mean.
    """
    reading, rng = read_everyday_words(prompt, styles, pins.style), random.Random(f"{seed}:{prompt}")
    length_pinned = pins.bars is not None or pins.seconds is not None
    if not length_pinned and not pins.form and (reading.form.bars is None) != (reading.form.seconds is None):
        pins = _with_length(pins, reading)
    meters = tuple(m for m in reading.meters if pins.meter is None and pins.tempi(Meter.parse(m)))
    usual = tuple(Key(name, mode) for mode in reading.modes or USUAL for name in USUAL[mode])
    plain = TWO if pins.genre is None and not reading.genre_named else None
    free = pins.bars is None and pins.seconds is None and not pins.form
    pins = replace(
        pins,
        genres=reading.genres if pins.genre is None else (),
        meters=meters,
        tempo=reading.bpm if pins.bpm is None else None,
        keys=pins.keys or reading.keys or usual,
        chords=reading.chords or plain,
        least_open=reading.least_bars if free else 0,
        phrase=PHRASE,
        prior=_prior(reading, meters, rng),
        style=reading.styled or None,
    )
    return _with_progressions(_with_form(pins, reading, rng), reading, rng)


def _with_length(pins: PlanConstraints, reading: PromptReading) -> PlanConstraints:
    """``pins`` with the bars or seconds that a prompt tells, where songs can have them."""
    form = reading.form
    sized = replace(pins, bars=form.bars, seconds=form.seconds)
    usual = [pins.meter] if pins.meter else [Meter.parse(meter) for meter in reading.meters or METERS]
    if form.bars is not None:
        return sized if 1 <= form.bars <= MOST_BARS else pins
    return sized if form.seconds and any(replace(sized, tempo=reading.bpm).tempi(meter) for meter in usual) else pins


def _prior(reading: PromptReading, meters: tuple[str, ...], rng: random.Random) -> StylePrior | None:
    """What the style wants of one plan: shares and harmonic rhythm are drawn from its ranges."""
    style = reading.style
    changes = None
    if style.chords_a_bar is not None and not reading.dense:
        first, median, third = style.chords_a_bar
        changes = (rng.triangular(first, third, median) + median) / 2
    shares = {}
    for kind, (low, high) in () if reading.dense else style.vocabulary:
        at = rng.uniform(0.25, 0.75)
        shares[kind] = low + at * (high - low)
    weights = dict(style.meters)
    prior = StylePrior(
        tuple((meter, weights[meter]) for meter in meters if meter in weights),
        changes,
        None if reading.dense or reading.palette == 1 else style.hold or USUAL_HOLD,
        shares,
        reading.palette,
        home=(style.ending or ("turnaround" if style.genre and style.genre[0] in ROUND else "home")) == "home",
        closes=not reading.dense,
        resolves=not _rests_on_sevenths(style),
    )
    return None if prior == StylePrior() else prior


def _rests_on_sevenths(style: SongStyle) -> bool:
    """Whether a style's progressions begin on dominant sevenths, as those of blues do."""
    bars = [progression_bars(text, mode, Meter(4, 4)) for mode, texts in style.progressions for text in texts]
    return any(one[0][0].quality == "7" and one[0][0].degree == 0 for one in bars)


def _with_form(pins: PlanConstraints, reading: PromptReading, rng: random.Random) -> PlanConstraints:
    """``pins`` with the form that the prompt words or, where no length is named, one of the style's or a usual one.

    A form that what is pinned cannot hold is left out.
    """
    if pins.form:
        return pins
    sections = _worded_sections(pins, reading, rng)
    style = reading.style
    open_length = pins.bars is None and pins.seconds is None
    unstyled = not style.style and reading.genres == OPEN and not pins.has_content
    forms = style.forms or (USUAL_FORMS if unstyled else ())
    if not sections and open_length and not reading.length_named and forms:
        drawn = rng.choices([form for form, _ in forms], [weight for _, weight in forms])[0]
        sections = tuple((one, None) if isinstance(one, str) else (one[0], int(one[1])) for one in _pairs(drawn))
    if not sections:
        return pins
    form, names = sections_as_labels(sections)
    formed = replace(pins, form=form, names=names, closed=True, least_open=0, near=pins.seconds is not None)
    return formed if _fits(formed) else pins


def _worded_sections(pins: PlanConstraints, reading: PromptReading, rng: random.Random) -> Sections:
    """The sections that the prompt words; of a style that is one progression again and again, as many as it says."""
    worded = reading.form
    bars = pins.bars or worded.bars
    if bars and not worded.loop and not worded.sections and pins.seconds is None:
        fitting = [unit for unit in _chorus_lengths(reading.style) if bars % unit == 0]
        if fitting:
            return (("A", fitting[0]),) * (bars // fitting[0])
    if pins.bars is not None or pins.seconds is not None:
        sections = tuple((name, None) for name, _ in worded.sections)
        return sections if worded.loop else repeat(sections, pins.bars, pins.seconds)
    return worded.measure(rng)


def _chorus_bars(style: SongStyle) -> int:
    """Bars of the one section of a style that has forms of one section only again and again (blues), else 0."""
    for form, _ in style.forms:
        pairs = _pairs(form)
        if len(set(pairs)) == 1 and not isinstance(pairs[0], str):
            return int(pairs[0][1])
    return 0


def _chorus_lengths(style: SongStyle) -> list[int]:
    """Bars of such a style's section, and of its other progressions (eight bars of blues), the longest last."""
    unit = _chorus_bars(style)
    if not unit:
        return []
    texts = [text for _, several in style.progressions for text in several]
    return [unit, *sorted({text.count("|") + 1 for text in texts} - {unit})]


def _pairs(form: str) -> list[str | tuple[str, int]]:
    sections = form_of(form)
    return list(sections) if not isinstance(sections, str) else [(name, 8) for name in sections]


def _fits(pins: PlanConstraints) -> bool:
    """Whether a form can be held by the bars or seconds that are pinned."""
    if pins.bars is not None:
        bars = sum(count or 0 for _, count in pins.form)
        open_labels = [label for label, count in pins.form if count is None]
        return share(open_labels, pins.bars - bars) is not None if open_labels else bars == pins.bars
    meters = [pins.meter] if pins.meter else [Meter.parse(meter) for meter in pins.meters or METERS]
    return all(pins.tempi(meter) for meter in meters)


def _free_static(bars: dict[tuple[str, int], PlanBar], form: Sections, hold: int | None) -> None:
    """Leave to the transformer the last bars that would go on for too long into the progression that follows."""
    for (label, count), (after, length) in pairwise(form):
        last = (label, (count or 0) - 1)
        if hold is None or not length or last not in bars or (after, 0) not in bars:
            continue
        before = [bars.get((label, index), ()) for index in range(count or 0)][::-1]
        behind = [bars.get((after, index), ()) for index in range(length)]
        chord = bars[last][-1][1:]
        if behind[0][0][1:] == chord:
            run = sum(1 for _ in takewhile(lambda bar: {one[1:] for one in bar} == {chord}, before))  # noqa: B023
            run += sum(1 for _ in takewhile(lambda bar: {one[1:] for one in bar} == {chord}, behind))  # noqa: B023
            if run > hold:
                del bars[last]


def _is_home(bar: PlanBar) -> bool:
    return bool(bar) and bar[-1].degree == 0


def _nearest_length(progressions: Sequence[Sequence[PlanBar]], bars: int | None) -> Sequence[PlanBar]:
    """The first progression as long as a section, else the first that fits in whole times, else the first."""
    if bars is None:
        return progressions[0]
    whole = [one for one in progressions if bars % len(one) == 0]
    return next((one for one in whole if len(one) == bars), whole[0] if whole else progressions[0])


def _with_progressions(pins: PlanConstraints, reading: PromptReading, rng: random.Random) -> PlanConstraints:
    """``pins`` with progressions of the style in some sections, unless the caller has pinned chords."""
    style = reading.style
    if pins.has_content or not style.progressions or reading.dense:
        return pins
    always = _chorus_bars(style) > 0
    loops = always or reading.form.loop or (pins.prior is not None and not pins.prior.home)
    last = pins.form[-1] if pins.form else None
    labels = list(dict.fromkeys(label for label, _ in pins.form)) or list(LETTERS[:FREE_LETTERS])
    chosen = [label for label in labels if rng.random() < (1 if always or reading.palette else PROGRESSIONS)]
    lengths = dict(pins.form)
    order = {mode: rng.sample(texts, len(texts)) for mode, texts in style.progressions}

    def content(key: Key, meter: Meter) -> dict[tuple[str, int], PlanBar]:
        progressions = [progression_bars(text, key.mode, meter) for text in order.get(key.mode, ())]
        if reading.palette:
            progressions = [
                bars for bars in progressions if len({chord.degree for bar in bars for chord in bar}) <= reading.palette
            ]
        out: dict[tuple[str, int], PlanBar] = {}
        for index, label in enumerate(chosen if progressions else ()):
            if always:
                bars = _nearest_length(progressions, lengths.get(label))
            else:
                bars = progressions[0 if reading.palette else index % len(progressions)]
            out |= {(label, bar): bars[bar % len(bars)] for bar in range(lengths.get(label) or MOST_SECTION)}
        _free_static(out, pins.form, style.hold)
        if last is not None and last[1] is not None and not loops and not _is_home(out.get((last[0], last[1] - 1), ())):
            out.pop((last[0], last[1] - 1), None)  # where the song ends the transformer writes the way home
        return out

    return replace(pins, content=content)
