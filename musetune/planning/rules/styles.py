"""How six genres are played: tempi, instruments and step patterns. Data; ``orchestrate`` reads it.

A pattern is one 4/4 bar of steps, four steps a beat (three where ``swing``); shorter bars read its beginning. Compound
meters (6/8) have three steps a beat and patterns of one 6/8 bar, ``COMPOUND_*``, which all genres share. Drums: ``x``
hit, ``X`` accent. Bass: ``R`` chord's bass, ``5`` fifth, ``8`` octave, ``w`` walk to the next chord. Comping: ``x`` the
chord, ``-`` goes on sounding, ``.`` silence; ``a`` one chord tone after another.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """One genre's conventions; every tuple is a choice to draw from."""

    tempo: tuple[int, int]  # bpm
    drums: tuple[dict[str, str], ...]
    bass: tuple[str, ...]
    comping: tuple[str, ...]
    bass_programs: tuple[int, ...]
    keys_programs: tuple[int, ...]
    guitar_programs: tuple[int, ...]
    lead_programs: tuple[int, ...]
    swing: bool = False
    drum_share: float = 1.0  # share of takes with drums
    sevenths: float = 0.1  # share of takes whose triads become sevenths
    moods: tuple[str, ...] = ()


DRUM_NOTES = {
    "kick": 36,
    "snare": 38,
    "rim": 37,
    "hat": 42,
    "open": 46,
    "ride": 51,
    "crash": 49,
    "clap": 39,
    "shaker": 70,
    "brush": 40,
    "tom": 45,
}

PROGRAM_NAMES = {
    0: "piano",
    1: "bright piano",
    2: "electric grand",
    4: "electric piano",
    5: "fm electric piano",
    6: "harpsichord",
    11: "vibraphone",
    16: "organ",
    18: "rock organ",
    19: "church organ",
    22: "harmonica",
    24: "nylon guitar",
    25: "acoustic guitar",
    26: "jazz guitar",
    27: "clean guitar",
    28: "muted guitar",
    29: "overdriven guitar",
    30: "distorted guitar",
    32: "upright bass",
    33: "electric bass",
    34: "picked bass",
    35: "fretless bass",
    38: "synth bass",
    39: "synth bass",
    40: "violin",
    42: "cello",
    43: "double bass",
    45: "pizzicato strings",
    46: "harp",
    48: "strings",
    49: "slow strings",
    50: "synth strings",
    52: "choir",
    56: "trumpet",
    60: "french horn",
    61: "brass",
    64: "soprano sax",
    65: "alto sax",
    66: "tenor sax",
    68: "oboe",
    71: "clarinet",
    73: "flute",
    80: "square lead",
    81: "saw lead",
    87: "synth lead",
    88: "pad",
    89: "warm pad",
    90: "polysynth",
    95: "sweep pad",
}

COMPOUND_DRUMS: tuple[dict[str, str], ...] = (
    {"kick": "X.....", "snare": "...X..", "hat": "xxxxxx"},
    {"kick": "X....x", "rim": "...X..", "ride": "x.xx.x"},
    {"kick": "X.x...", "snare": "...X..", "shaker": "xxxxxx"},
)
COMPOUND_BASS = ("R-----", "R--5--", "R-R5-8", "R--R--")
COMPOUND_COMPING = ("x-----", "aaaaaa", "x--x--", "x.xx.x", "a-aa-a")

STYLES: dict[str, Style] = {
    "pop": Style(
        tempo=(80, 130),
        drums=(
            {"kick": "X.......X.x.....", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
            {"kick": "X.....x.X.......", "snare": "....X.......X..x", "shaker": "xxxxxxxxxxxxxxxx"},
            {"kick": "X...x...X...x...", "clap": "....X.......X...", "hat": "..x...x...x...x."},
        ),
        bass=("R-----R-R-----5-", "R-------R-------", "R-R-R-R-R-R-R-R-", "R---------------"),
        comping=("x---x---x---x---", "x-------x-------", "x-----x-----x---", "a-a-a-a-a-a-a-a-", "x---------------"),
        bass_programs=(33, 34),
        keys_programs=(0, 1, 4, 2),
        guitar_programs=(25, 27, 24),
        lead_programs=(73, 80, 11, 65, 0),
        moods=("bright", "warm", "happy", "romantic", "catchy"),
    ),
    "rock": Style(
        tempo=(95, 160),
        drums=(
            {"kick": "X.......X.......", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
            {"kick": "X..x....X.x.....", "snare": "....X.......X...", "ride": "x...x...x...x..."},
            {"kick": "X.x.....X.x.....", "snare": "....X.......X...", "open": "x...x...x...x..."},
        ),
        bass=("R-R-R-R-R-R-R-R-", "R---R---R---R---", "R-R-8-R-R-R-5-R-"),
        comping=("x---x---x---x---", "x---------x-----", "x---------------", "x-x-x-x-x-x-x-x-"),
        bass_programs=(34, 33),
        keys_programs=(18, 16),
        guitar_programs=(29, 30, 27),
        lead_programs=(29, 30, 81),
        moods=("driving", "loud", "energetic", "gritty", "powerful"),
    ),
    "jazz": Style(
        tempo=(100, 180),
        drums=(
            {"ride": "X..x.xX..x.x", "kick": "x.....x.....", "brush": "...x.....x.."},
            {"ride": "X..x.xX..x.x", "rim": ".........x..", "hat": "...x.....x.."},
        ),
        bass=("w--w--w--w--", "R-----5-----", "w--w--w--w--"),
        comping=("x----x------", "..x-----x---", "x-----------", "x--...x--..."),
        bass_programs=(32,),
        keys_programs=(0, 4, 11),
        guitar_programs=(26,),
        lead_programs=(66, 56, 65, 71),
        swing=True,
        sevenths=0.9,
        moods=("smooth", "swinging", "late night", "cool", "relaxed"),
    ),
    "blues": Style(
        tempo=(65, 125),
        drums=(
            {"kick": "X.....X.....", "snare": "...X.....X..", "hat": "x.xx.xx.xx.x"},
            {"kick": "X....xX.....", "snare": "...X.....X..", "ride": "x.xx.xx.xx.x"},
        ),
        bass=("R-RR-R5-58-8", "R--R--5--8--", "R--w--R--w--"),
        comping=("x--x--x--x--", "x-.x-.x-.x-.", "x-----------"),
        bass_programs=(33, 32),
        keys_programs=(16, 0),
        guitar_programs=(27, 29, 26),
        lead_programs=(22, 29, 66),
        swing=True,
        sevenths=0.6,
        moods=("slow burning", "soulful", "raw", "sad", "earthy"),
    ),
    "classical": Style(
        tempo=(60, 140),
        drums=({},),
        bass=("R---------------", "R-------5-------", "R---5---8---5---"),
        comping=("x---------------", "a-a-a-a-a-a-a-a-", "aaaaaaaaaaaaaaaa", "x-------x-------", "x---x---x---x---"),
        bass_programs=(42, 43, 48),
        keys_programs=(0, 48, 6, 19),
        guitar_programs=(45, 46, 49, 24),
        lead_programs=(40, 73, 68, 71, 60),
        drum_share=0.0,
        moods=("elegant", "gentle", "solemn", "noble", "delicate"),
    ),
    "electronic": Style(
        tempo=(105, 150),
        drums=(
            {"kick": "X...X...X...X...", "clap": "....X.......X...", "hat": "..x...x...x...x."},
            {
                "kick": "X...X...X...X...",
                "snare": "....x.......x...",
                "open": "..x...x...x...x.",
                "hat": "xxxxxxxxxxxxxxxx",
            },
            {"kick": "X.....X...X.....", "clap": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
        ),
        bass=("..R-..R-..R-..R-", "R-R-R-R-R-R-R-R-", "R-8-R-8-R-8-R-8-", "R---------------"),
        comping=("x---------------", "aaaaaaaaaaaaaaaa", "..x-..x-..x-..x-", "x--x--x---x--x--"),
        bass_programs=(38, 39),
        keys_programs=(90, 81, 5),
        guitar_programs=(89, 88, 50, 95),
        lead_programs=(81, 80, 87),
        moods=("pulsing", "dreamy", "hypnotic", "futuristic", "cold"),
    ),
}
