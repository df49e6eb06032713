"""The sets of songs that listeners hear, known and unknown, and how sure the truth of each is."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from recordings import missing as recordings_missing
from recordings import recordings
from songs import (
    HeldOutSound,
    accompanied,
    half_bar_agreement,
    meter_songs,
    mma_missing,
    others,
    pop909,
    with_bands,
)

from musetune.datasets.band import render
from musetune.datasets.corpus import AnnotatedSong

BAR_PEERS = ("madmom", "BeatNet")  # they hear bars; the only ones that hear the sets without chords


@dataclass(frozen=True)
class ListeningSet:
    """`known`: whether training may hear its soundfont; `chords`, `beats`: where their truth comes from and how sure it
    is, in words; `bars_only`: only BAR_PEERS hear it."""

    name: str
    known: bool
    chords: str
    beats: str
    songs: Callable[[], Iterator[tuple[AnnotatedSong, np.ndarray, float]]]  # song, sound, certainty of its chords 0…1
    missing: Callable[[], str | None] = lambda: None
    bars_only: bool = False

    @property
    def truth(self) -> str:
        """How sure its truth is."""
        return f"chords {self.chords}; beats and bar lines {self.beats}"


ANNOTATED = "by POP909's authors from its notes"
TEMPO_MAP = "by the file's tempo map; files with over a quarter of their notes off its grid are left out"
IN_THE_GAME = (
    "by the game's tempo map, checked by onsets to 20 ms; bar lines by where harmony changes, in seven songs of eight"
)


def all_sets(args: argparse.Namespace, odd: bool = False, sound: HeldOutSound | None = None) -> list[ListeningSet]:
    """Every set; nothing is rendered before its songs are asked for. `odd`: other songs, for tuning; `sound`:
    plays them instead of the sound that is held out."""
    sound, folder = sound or HeldOutSound.find(args.materials), args.data / "pop909"

    def pop(font: Path) -> Iterator[tuple[AnnotatedSong, np.ndarray, float]]:
        return ((song, render(song, font), 1.0) for song in pop909(folder, args.songs, args.seconds, odd))

    def bands(through_mp3: bool) -> Iterator[tuple[AnnotatedSong, np.ndarray, float]]:
        for song in with_bands(pop909(folder, args.songs, args.seconds, odd)):
            yield song, sound.render(song, mp3_kbit=64 if through_mp3 else None), 1.0

    def tunes(play: Callable[[AnnotatedSong], np.ndarray]) -> Iterator[tuple[AnnotatedSong, np.ndarray, float]]:
        tunes = accompanied(args.data / "openewld", args.others, args.seconds, odd)
        return ((song, play(song), 1.0) for song in tunes)

    def foreign() -> Iterator[tuple[AnnotatedSong, np.ndarray, float]]:
        files = others(args.materials, args.files, args.seconds, odd)
        return ((song, sound.render(song), certainty) for song, certainty in files)

    def meters() -> Iterator[tuple[AnnotatedSong, np.ndarray, float]]:
        names = tuple(args.meters.split(","))
        for song in meter_songs(folder, args.recast, args.seconds, names, odd):
            yield song, sound.render(song), 1.0

    def recorded() -> Iterator[tuple[AnnotatedSong, np.ndarray, float]]:
        return ((song, wave, 1.0) for song, wave in recordings(args.materials, args.seconds))

    pop_truth, chart = (ANNOTATED, ANNOTATED), ("and all are the chart that is played", "by construction")
    rule = "by half bars from the notes, by the rule that labels training MIDI too"
    cut = "by POP909's authors, bars then cut by rule"
    return [
        ListeningSet("pop-fluid", True, *pop_truth, lambda: pop(args.fluid)),
        ListeningSet("pop-timgm", False, *pop_truth, lambda: pop(timgm6mb())),
        ListeningSet("mma-fluid", True, *chart, lambda: tunes(lambda s: render(s, args.fluid)), mma_missing),
        ListeningSet("bands", False, *pop_truth, lambda: bands(False)),
        ListeningSet("grooves", False, *chart, lambda: tunes(sound.render), mma_missing),
        ListeningSet("others", False, rule, TEMPO_MAP, foreign, lambda: others_missing(args.materials)),
        ListeningSet("mp3", False, *pop_truth, lambda: bands(True)),
        ListeningSet("recast", False, ANNOTATED, cut, meters, bars_only=True),
        ListeningSet(
            "recordings",
            False,
            "unknown",
            IN_THE_GAME,
            recorded,
            lambda: recordings_missing(args.materials),
            bars_only=True,
        ),
    ]


def others_missing(materials: Path) -> str | None:
    """Why there are no MIDI files of others, or None."""
    here = (materials / "midi").is_dir()
    return None if here else f"{materials} has no MIDI files: run recipes/analyzer/materials.py cache={materials}"


def choose(sets: list[ListeningSet], names: str) -> list[ListeningSet]:
    """The sets named, comma between, that can be rendered here; says which cannot.

    Raises:
        SystemExit: A name is unknown.
    """
    requests = [name for name in names.split(",") if name]
    if unknown := set(requests) - {some.name for some in sets}:
        raise SystemExit(f"no set is called {', '.join(sorted(unknown))}; they are {', '.join(s.name for s in sets)}")
    choice = [some for some in sets if not requests or some.name in requests]
    for some in choice:
        if reason := some.missing():
            print(f"{some.name} left out: {reason}")
    return [some for some in choice if some.missing() is None]


def timgm6mb() -> Path:
    """The soundfont that comes with pretty_midi."""
    import pretty_midi

    return Path(pretty_midi.__file__).parent / "TimGM6mb.sf2"


def truths_of(sets: list[ListeningSet], certainty: dict[str, list[float]], args: argparse.Namespace) -> dict[str, str]:
    """How sure the truth of each set is; of `others` with the agreement of its rule with POP909's authors."""
    truths = {some.name: some.truth for some in sets}
    if "others" in truths:
        agreement = half_bar_agreement(args.data / "pop909", args.songs, args.seconds)
        truths["others"] += (
            f"; mean certainty of its chords {np.mean(certainty['others']):.2f}; on POP909 the rule is sure "
            f"{agreement['share']:.0f} % of the time and then agrees with its authors in {agreement['majmin']:.0f} % "
            f"(majmin), {agreement['sevenths']:.0f} % (sevenths); what it is unsure of (right in "
            f"{agreement['unsure']:.0f} %) is not counted"
        )
    return truths
