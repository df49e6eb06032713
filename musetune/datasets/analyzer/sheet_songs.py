"""Lead sheets as songs for the analyser to hear: arranged in a genre, or played by the band of a style."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from musetune.analysis.listening.vocabulary import METERS
from musetune.datasets.corpus import AnnotatedSong
from musetune.planning.arranger.style_band import finish, style_band, write_by_rule
from musetune.planning.planner.song_style import TONICS, SongStyle
from musetune.planning.planner.song_styles import all_styles
from musetune.planning.rules.orchestrate import orchestrate, recolour
from musetune.planning.rules.styles import STYLES
from musetune.symbols import GENRES, BeatGrid, LeadSheet
from musetune.symbols.arrangement import SILENCE, STEMS, Arrangement

OWN_PROGRESSION = 0.4  # songs in a style that go round one of its progressions instead of playing a lead sheet
ABSENT = 0.12  # players of a band who do not play, one by one


def arrange_sheet(path: Path, seconds: float, rng: np.random.Generator) -> AnnotatedSong:
    """A stretch of a lead sheet, arranged by rule in a genre drawn at random.

    Args:
        path: A lead sheet as JSON.
        seconds: How long it lasts at most, about.
        rng: Draws genre, tempo, stretch and players.
    """
    sheet = LeadSheet.load(path)
    genres = [name for name, style in STYLES.items() if style.swing] if sheet.meter.compound else list(STYLES)
    genre = str(rng.choice(genres))
    bpm = float(rng.uniform(*STYLES[genre].tempo)) * (0.6 if sheet.meter.compound else 1.0)
    sheet = replace(_stretch(sheet, seconds, bpm, rng), genre=genre)
    chance = random.Random(int(rng.integers(2**31)))
    if rng.random() < STYLES[genre].sevenths * 0.4:
        sheet = recolour(sheet, chance)
    return _song(path.stem, sheet, orchestrate(sheet, seed=chance.randrange(2**31)).arrangement)


def play_in_style(path: Path, seconds: float, rng: np.random.Generator) -> AnnotatedSong:
    """A stretch of a lead sheet, or a progression that a style goes round, as the band of the style plays it by rule.

    Grooves, instruments, tempo and feel are the style's.

    Args:
        path: A lead sheet as JSON; OWN_PROGRESSION of the songs play a progression of the style instead.
        seconds: How long it lasts at most, about.
        rng: Draws the style and all that it leaves open.

    Raises:
        ValueError: The sheet is to be played, and no style is in its meter.
    """
    sheet, seed = LeadSheet.load(path), int(rng.integers(2**31))
    own = rng.random() < OWN_PROGRESSION
    bands = [style for style in all_styles() if style.grooves and style.tempo]
    styles = [s for s in bands if (_modes(s) and _meters(s) if own else str(sheet.meter) in _meters(s))]
    if not styles:
        raise ValueError(f"{path.name} is in {sheet.meter}, in which no style is played")
    style = styles[int(rng.integers(len(styles)))]
    bpm = float(rng.uniform(*(style.tempo or (80, 140))))
    sheet = _progression(style, seconds, bpm, rng) if own else _stretch(sheet, seconds, bpm, rng)
    genres = [genre for genre in style.genre if genre in GENRES]
    sheet = replace(sheet, genre=genres[0] if genres else None)
    band = style_band(style, seed)
    players = tuple(player for player in STEMS if rng.random() > ABSENT)
    chords = tuple(player for player in ("guitar", "keys") if band.grooves.get(player, SILENCE) != SILENCE)
    players += () if set(chords) & set(players) else chords
    stems = finish(sheet, band, write_by_rule(sheet, band, players, seed), humanize=True, seed=seed)
    return _song(f"{path.stem}, {style.style}", sheet, Arrangement(sheet.grid, stems))


def _meters(style: SongStyle) -> dict[str, float]:
    """Its meters that the analyser can hear, and how often each is meant."""
    return {str(meter): weight for meter, weight in style.meters if str(meter) in METERS}


def _modes(style: SongStyle) -> list[str]:
    return [mode for mode in TONICS if style.progressions_in(mode)]


def _progression(style: SongStyle, seconds: float, bpm: float, rng: np.random.Generator) -> LeadSheet:
    """A progression of the style in any key, going round."""
    mode = str(rng.choice(_modes(style)))
    bars, weights = str(rng.choice(style.progressions_in(mode))), np.array(list(_meters(style).values()))
    meter = str(rng.choice(list(_meters(style)), p=weights / weights.sum()))
    sheet = LeadSheet.parse(
        f"| {bars} |", key=TONICS[mode], bpm=bpm, time_signature=meter, duration_seconds=max(seconds, 8.0)
    ).transpose(int(rng.integers(-6, 6)))
    return replace(sheet, grid=BeatGrid.constant(bpm, int(sheet.length) + 1, float(rng.uniform(0, 0.5))))


def _stretch(sheet: LeadSheet, seconds: float, bpm: float, rng: np.random.Generator) -> LeadSheet:
    """Whole bars from anywhere in it, at a tempo."""
    bar = sheet.meter.beats_per_bar
    beats = min(int(seconds * bpm / 60), int(sheet.length))
    start = int(rng.integers(0, int(sheet.length) - beats + 1)) // bar * bar
    sheet = sheet.slice(Fraction(start) + sheet.first_downbeat % bar, min(Fraction(start + beats), sheet.length))
    grid = BeatGrid.constant(bpm, int(sheet.length) + 1, float(rng.uniform(0, 0.5)))
    return replace(sheet, grid=grid, first_downbeat=Fraction(0))


def _song(name: str, sheet: LeadSheet, arrangement: Arrangement) -> AnnotatedSong:
    return AnnotatedSong(
        name,
        arrangement.to_pretty_midi(),
        np.array(sheet.chord_intervals_s),
        [span.chord.simplify().harte for span in sheet.chords],
        np.array(sheet.beats_s),
        np.array(sheet.downbeats_s),
        str(sheet.keys[0].key).replace(" ", ":"),
        float(sheet.grid.time_at(sheet.length)),
        str(sheet.meter),
    )
