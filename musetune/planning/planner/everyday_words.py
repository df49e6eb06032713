"""What everyday words of a prompt mean that the structure transformer has no word for: "reggae", "ballad", "campfire".

The transformer learned from captions with six genres, moods, tempi and meters in words and numbers. What a prompt says
in those words is left to it. Where a prompt says it otherwise, or leaves open what every listener takes for granted (a
techno track is in 4/4), the rules here narrow the choice, and the transformer writes within it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from musetune.planning.planner.constraints import PlanConstraints
from musetune.planning.planner.prompt_text import normalise, shared_words
from musetune.planning.planner.vocabulary import MODES, TONICS
from musetune.symbols import GENRES, Key, Meter

SONG_BARS = 16  # fewest bars of a song whose length nobody named
TWO = 2  # most chords in a bar
USUAL = {  # keys that musicians write: no D# minor, whose scale has a double sharp
    "major": ("C", "G", "D", "A", "E", "B", "F", "Bb", "Eb", "Ab", "Db", "Gb"),
    "minor": ("A", "E", "B", "F#", "C#", "G#", "D", "G", "C", "F", "Bb", "Eb"),
}


@dataclass(frozen=True)
class StyleWords:
    """What a word tells of a song; None or empty where it tells nothing.

    Attributes:
        words: Regular expression of whole words.
        genres: The nearest of the six genres.
        meters: Time signatures.
        bpm: Fewest and most beats a minute; in 6/8 of dotted quarters.
        mode: "major" or "minor".
        chords: Most chords in a bar.
    """

    words: str
    genres: tuple[str, ...] = ()
    meters: tuple[str, ...] = ()
    bpm: tuple[int, int] | None = None
    mode: str | None = None
    chords: int | None = None


POP, ROCK, JAZZ, CLASSICAL, ELECTRONIC = ("pop",), ("rock",), ("jazz",), ("classical",), ("electronic",)
FOUR = ("4/4",)
STYLES = (  # of several that fit, each tells what the ones before it left open
    # dances and forms with a meter of their own
    StyleWords(r"jigs?", POP, ("6/8",), (100, 126), "major", TWO),
    StyleWords(r"reels?|hornpipe|hoedown", POP, ("4/4", "2/2"), (104, 126), "major", TWO),
    StyleWords(r"polka", POP, ("2/4",), (108, 132), "major", TWO),
    StyleWords(r"tango|milonga", POP, ("4/4", "2/4"), (108, 132), "minor", TWO),
    StyleWords(r"tarantella", POP, ("6/8",), (132, 168), "minor", TWO),
    StyleWords(r"(?:wedding|military|marching|funeral) (?:march|band)|(?<!in )march(?= music|$|[,.!])",
               CLASSICAL, ("4/4", "2/4"), (92, 120), None, TWO),
    StyleWords(r"viennese waltz|waltz king", CLASSICAL, ("3/4",), (150, 184), None, TWO),
    StyleWords(r"waltz(?:es|ing)?", (), ("3/4",)),
    StyleWords(r"lullab(?:y|ies)|cradle song|bedtime", POP, ("4/4", "3/4", "6/8"), (56, 84), "major", TWO),
    # made with machines
    StyleWords(r"lo-? ?fi|chill-?hop", ELECTRONIC, FOUR, (68, 92), None, TWO),
    StyleWords(r"trap|drill", ELECTRONIC, FOUR, (130, 160), "minor", TWO),
    StyleWords(r"(?:hip|trip)[ -]?hop|rap|boom[ -]?bap|grime", ELECTRONIC, FOUR, (80, 104), None, TWO),
    StyleWords(r"drum ?(?:and|&|n|'?n'?) ?bass|d'?n'?b|jungle", ELECTRONIC, FOUR, (165, 178), None, TWO),
    StyleWords(r"dubstep", ELECTRONIC, FOUR, (136, 146), "minor", TWO),
    StyleWords(r"techno|house|edm|rave|eurodance|electro", (), FOUR, (118, 138), None, TWO),
    StyleWords(r"\w*trance|hardstyle", ELECTRONIC, FOUR, (132, 150), None, TWO),
    StyleWords(r"synth-?wave|retro-?wave|vaporwave|synth-?pop|chip-?tunes?|8-?bit",
               ELECTRONIC, FOUR, (90, 128), None, TWO),
    StyleWords(r"ambien(?:t|ce)|meditat\w*|yoga|spa|sleep(?:ing)?|drones?|new age",
               ELECTRONIC, FOUR, (56, 80), None, 1),
    StyleWords(r"reggaet[oó]n|dembow", ELECTRONIC, FOUR, (86, 100), None, TWO),
    StyleWords(r"work-?out|gym|fitness|(?:for )?running (?:music|playlist|song|track|mix)|for running|jogging|cycling",
               ELECTRONIC, FOUR, (125, 150), None, TWO),
    StyleWords(r"boss (?:battle|fight)|battle (?:music|theme)", ELECTRONIC, FOUR, (130, 170), "minor", TWO),
    StyleWords(r"video ?games?|arcade|platformer", ELECTRONIC, FOUR, None, None, TWO),
    # played by bands
    StyleWords(r"punk|hardcore", ROCK, FOUR, (150, 190), None, TWO),
    StyleWords(r"metal(?:core)?|thrash", ROCK, FOUR, (120, 180), "minor", TWO),
    StyleWords(r"emo|shoegaze|grunge|alt(?:ernative)?[ -]rock|garage|indie(?=$| band| song| guitar)",
            ROCK, FOUR, None, None,
               TWO),
    StyleWords(r"power ballads?", ROCK, FOUR, (60, 84), None, TWO),
    StyleWords(r"ballads?|slow jams?|torch songs?", POP, ("4/4", "6/8"), (54, 82), None, TWO),
    StyleWords(r"prog(?:gy|ressive)?", ROCK, (), None, None, TWO),
    StyleWords(r"disco", POP, FOUR, (110, 126), None, TWO),
    StyleWords(r"ska", POP, FOUR, (124, 164), None, TWO),
    StyleWords(r"reggae|dub|rocksteady", POP, FOUR, (66, 92), None, TWO),
    StyleWords(r"funk|p-funk", POP, FOUR, (92, 118), None, TWO),
    StyleWords(r"(?:r ?(?:&|n|'n'|and) ?b|rnb|neo-?soul)", POP, FOUR, (64, 100), None, TWO),
    StyleWords(r"soul|motown|gospel|doo-?wop|afro-?beats?|highlife|calypso", POP, FOUR, (72, 124), None, TWO),
    StyleWords(r"bluegrass", POP, FOUR, (120, 160), "major", TWO),
    StyleWords(r"country|americana|honky[ -]?tonk|western", POP, FOUR, (80, 132), "major", TWO),
    StyleWords(r"folk(?:sy)?|camp-?fire|(?:sea )?shant(?:y|ies)|irish|celtic|scottish|medieval|tavern|"
               r"acoustic guitar|ukulele|banjo|harmonica", POP, ("4/4", "3/4", "6/8"),
               (76, 120), None, TWO),
    StyleWords(r"mariachi|ranchera|norte[nñ]o", POP, ("3/4", "4/4"), (96, 140), "major", TWO),
    StyleWords(r"flamenco", POP, ("4/4", "3/4"), (100, 140), "minor", TWO),
    # jazz and its neighbours
    StyleWords(r"salsa|mambo|merengue", JAZZ, FOUR, (150, 200), None, TWO),
    StyleWords(r"samba|cha-?cha(?:-?cha)?|rumba|cumbia|bolero|latin", JAZZ, FOUR, (92, 132), None, TWO),
    StyleWords(r"bossa(?: nova)?", JAZZ, FOUR, (116, 144)),
    StyleWords(r"noir|detective|spy|heist", JAZZ, FOUR, (72, 112), "minor", TWO),
    StyleWords(r"elevator|lounge|cocktail|dinner|restaurant|caf[eé]|coffee ?(?:shop|house)",
            JAZZ, FOUR, (80, 124), "major"),
    # played by orchestras, and in the cinema
    StyleWords(r"funeral|requiem|memorial|mourning|elegy", CLASSICAL, ("4/4", "3/4"), (50, 76), "minor", TWO),
    StyleWords(r"horror|scary|haunted|thriller|suspense", CLASSICAL, (), (56, 96), "minor", TWO),
    StyleWords(r"trailer|film|movie|cinema(?:tic)?|soundtrack|documentary|fantasy|national anthem",
               CLASSICAL, FOUR, None, None, TWO),
    StyleWords(r"(?:solo )?piano (?:piece|solo|music)|piano", CLASSICAL, ("4/4", "3/4", "6/8"), None, None, TWO),
    StyleWords(r"orchestral?|violins?|cellos?|strings|harp|harpsichord|opera|aria|choir|sonata|quartet|"
               r"symphon\w+|nocturne|concerto|minuet|chamber music|haydn|mozart|beethoven|chopin",
               CLASSICAL, (), None, None, TWO),
    # occasions
    StyleWords(r"birthday|party|parties|celebration|graduation|picnic", POP, FOUR, (104, 132), "major", TWO),
    StyleWords(r"halloween|vampires?|ghosts?|witch(?:es)?|zombies?|villain", POP, FOUR, None, "minor", TWO),
    StyleWords(r"weddings?|first dance", POP, ("4/4", "3/4", "6/8"), None, "major", TWO),
    StyleWords(r"christmas|xmas|carols?|holidays?|santa", POP, ("4/4", "3/4"), (84, 132), "major", TWO),
    StyleWords(r"kids?|child(?:ren)?(?:'?s)?|toddlers?|nursery", POP, FOUR, (96, 128), "major", TWO),
    StyleWords(r"summer|beach|sunshine|vacation", POP, FOUR, (100, 128), "major", TWO),
    StyleWords(r"love songs?|romantic|valentine'?s?", POP, ("4/4", "6/8"), (60, 96), None, TWO),
    StyleWords(r"anime|opening theme|theme song", ("pop", "rock"), FOUR, (110, 160), None, TWO),
    StyleWords(r"jingles?|ads?|adverts?|advertisement|commercials?|podcasts?", POP, FOUR, (100, 128), "major", TWO),
    StyleWords(r"break-?up|heart-?broken|heart-?break|goodbye|farewell", POP, FOUR, None, "minor", TWO),
    StyleWords(r"worship|prais(?:e|ing)|musicals?|broadway|show ?tunes?|boy ?bands?|girl ?(?:bands?|groups?)|schlager",
               POP, FOUR, None, None, TWO),
    # what is only called by its kind
    StyleWords(r"riffs?", ROCK),
    StyleWords(r"beats?(?! (?:per|a|each|every|in|to)\b)", ELECTRONIC),
    StyleWords(r"songs?|sing(?:er|ing|along)?|lyrics|anthem|guitars?|band", ("pop", "rock")),
)  # fmt: skip
MOODS = (  # tempi of moods, where neither number nor word tells the tempo
    StyleWords(r"bang(?:er|ing)|hype|pumping|party|energetic|workout", bpm=(118, 140)),
    StyleWords(r"angry|furious|rage|aggressive|frantic|chase", bpm=(116, 176)),
    StyleWords(r"sad|melanchol(?:y|ic)|mournful|heart-?broken|grieving|lonely|tragic|gentle|tender|calm|peaceful|sleepy|chill",
               bpm=(54, 96), chords=TWO),
    StyleWords(r"slow\w*|largo|lento|adagio|grave", chords=TWO),
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
NOT_MEANT = re.compile(  # "an old house", "not a waltz", "no drums"
    r"\b(?:an?|the|my|our|your|his|her|old|empty|haunted|big|little|coffee) house\b|"
    r"\b(?:not|no|without|never|isn't|anything but)(?! (?:too|so|very)\b)(?: an?| the| any)? \w+",
    re.IGNORECASE,
)
DENSE = _any("chorales?|hymns?|baroque|fugue|bach|choral|organ prelude|counterpoint")  # a chord on every beat
NAMED_METER = re.compile(
    r"<meter:|<0><0><\d>[ -]<0><[01]><\d>|<0><0><\d> beats|\bin <0><[01]><\d>(?!<| bars| seconds| bpm)|"
    r"\b(?:met(?:er|re)|time signature|triple|compound|duple|(?:common|cut|march|polka) time|alla breve|march|"
    r"mazurka|polonaise|siciliana|barcarolle|gigue|sarabande|minuet|shuffle|boogie\w*|four-on-the-floor)\b"
)
IN_A_MODE = re.compile(  # "in a minor key" is not A minor
    r"<tonic:A> <mode:(\w+)>(?= (?:key|mode|mood|feel|hit|sound|vibe|tonality|scale)\b)"
)
NAMED_TEMPO = _any(
    r"slow\w*|fast\w*|quick\w*|rapid|speedy|swift|brisk|lively|(?:up|mid|down)-?tempo|up-?beat|medium|moderate\w*|leisurely",
    r"unhurried|relaxed|laid-?back|easy-?going|crawling|dragging|sluggish|rushing|racing|hurried|frantic|galloping",
    r"energetic|high-energy|breakneck",
    r"steady|snappy|walking[ -]pace|chilled|tempo|pace|largo|grave|lento|larghetto|adagi\w+",
    r"andant\w+|moderato|allegr\w+|vivace|vivo|prest\w+",
)
# tempo words by their direction: the transformer knows how fast each is, but now and then takes one for the other
FAST = _any(
    r"(?:up-?|very |really |super )?(?:fast|quick)|up-?(?:beat|tempo)|lively|brisk|energetic|high-energy",
    r"rapid|presto|vivace",
)
SLOW = _any(r"slow|slow-moving|slow-burning|crawling|dragging|sluggish|largo|lento|adagio|down-?tempo")
HEDGED = _any(
    r"not (?:too|so|very)|medium|moderate\w*|mid-?tempo|then|but|becom\w+|turn\w*|speed\w*|builds?|gets?|less|more"
)
FAST_BPM, SLOW_BPM = (108, 260), (30, 92)
NUMBER = re.compile(r"<\d><\d><\d>(?! bars| seconds|/)")
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
    """

    genres: tuple[str, ...] = ()
    meters: tuple[str, ...] = ()
    bpm: tuple[int, int] | None = None
    modes: tuple[str, ...] = ()
    genre_named: bool = False
    keys: tuple[Key, ...] = ()
    chords: int | None = None
    least_bars: int = 0


def read_everyday_words(prompt: str) -> PromptReading:
    """Read what the everyday words of a prompt mean.

    Example:
        >>> reading = read_everyday_words("reggae for the beach")
        >>> reading.genres, reading.meters, reading.bpm, reading.modes
        (('pop',), ('4/4',), (66, 92), ('major',))
        >>> read_everyday_words("jazz waltz in F minor at 140 bpm, 32 bars").bpm is None
        True
    """
    shared = shared_words(normalise(prompt))
    text = NOT_MEANT.sub(" ", re.sub(r"<genre:(\w+)>", r"\1", shared))
    left_out = " ".join(NOT_MEANT.findall(re.sub(r"<genre:(\w+)>", r"\1", shared))).lower()
    style, mood = _joined(STYLES, text), _joined(MOODS, text)
    genre_named, keys = NAMED_GENRE.search(text) is not None, _keys(text)
    genres = () if genre_named else style.genres or (OPEN if text.strip() else ())
    if colour := COLOUR.search(text):
        genres = (colour[1].lower(),)
    if excluded := {genre for genre in GENRES if re.search(rf"\b{genre}\b", left_out)}:
        genres = tuple(genre for genre in genres or GENRES if genre not in excluded)
    classical = NAMED_CLASSICAL.search(text) is not None or genres == CLASSICAL
    usual_meters = style.meters or (() if classical else FOUR)
    mode_named = bool(keys) or NAMED_MODE.search(text) is not None
    return PromptReading(
        genres=genres,
        meters=() if NAMED_METER.search(text) else usual_meters,
        bpm=_tempo(text, style.bpm or mood.bpm),
        modes=(style.mode,) if style.mode and not mode_named else (),
        genre_named=genre_named,
        keys=keys,
        chords=None if DENSE.search(text) else style.chords or mood.chords,
        least_bars=0 if NAMED_LENGTH.search(text) else SONG_BARS,
    )


def _tempo(text: str, usual: tuple[int, int] | None) -> tuple[int, int] | None:
    """The tempi that a prompt's shared words leave open: ``usual`` where neither number nor word names the tempo."""
    if NUMBER.search(text):
        return None
    if NAMED_TEMPO.search(text) is None:
        return usual
    fast, slow = FAST.search(text), SLOW.search(text)
    if HEDGED.search(text) or bool(fast) == bool(slow):
        return None
    return FAST_BPM if fast else SLOW_BPM


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


def narrow(pins: PlanConstraints, prompt: str) -> PlanConstraints:
    """Return ``pins`` narrowed to what the everyday words of ``prompt`` mean; what is pinned already stays."""
    reading = read_everyday_words(prompt)
    meters = tuple(m for m in reading.meters if pins.meter is None and pins.tempi(Meter.parse(m)))
    usual = tuple(Key(name, mode) for mode in reading.modes or USUAL for name in USUAL[mode])
    plain = TWO if pins.genre is None and not reading.genre_named else None
    free = pins.bars is None and pins.seconds is None and not pins.form
    return replace(
        pins,
        genres=reading.genres if pins.genre is None else (),
        meters=meters,
        tempo=reading.bpm if pins.bpm is None else None,
        keys=pins.keys or reading.keys or usual,
        chords=reading.chords or plain,
        least_open=reading.least_bars if free else 0,
    )


def _joined(styles: tuple[StyleWords, ...], text: str) -> StyleWords:
    """One style of all whose words are in ``text``: each tells what the ones before it left open."""
    joined = StyleWords("")
    for style in styles:
        if re.search(rf"(?<![\w-])(?:{style.words})(?![\w-])", text, re.IGNORECASE):
            joined = StyleWords(
                "",
                joined.genres or style.genres,
                joined.meters or style.meters,
                joined.bpm or style.bpm,
                joined.mode or style.mode,
                joined.chords or style.chords,
            )
    return joined
