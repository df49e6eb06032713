"""Rule-made stems: the named fallback where the stem transformer has never heard the meter, and what it is compared
with.
"""

from __future__ import annotations

import random
from dataclasses import replace

from musetune.planning.rules.orchestrate import RulePlayer
from musetune.planning.rules.styles import COMPOUND_BASS, COMPOUND_COMPING, COMPOUND_DRUMS, STYLES
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Stem


def program_of(stem: str, genre: str, rng: random.Random) -> int:
    """A General MIDI program that plays this stem in this genre; 0 for drums."""
    style = STYLES[genre]
    programs = {
        "bass": style.bass_programs,
        "guitar": style.guitar_programs,
        "keys": style.keys_programs,
        "lead": style.lead_programs,
    }
    return rng.choice(programs[stem]) if stem in programs else 0


def rule_stems(sheet: LeadSheet, stems: tuple[str, ...], *, seed: int = 0) -> dict[str, Stem]:
    """Each stem by the genre's step patterns (``styles``), source "rule". Drums are silent in genres that have none."""
    genre, rng = sheet.genre or "pop", random.Random(seed)
    style = STYLES[genre]
    if sheet.meter.compound:
        kits = COMPOUND_DRUMS if style.drum_share else style.drums
        style = replace(style, drums=kits, bass=COMPOUND_BASS, comping=COMPOUND_COMPING)
    player = RulePlayer(sheet, style, rng)
    out = {}
    for stem in stems:
        if stem == "drums":
            notes = player.drums(rng.choice(style.drums)) if style.drums != ({},) else iter(())
        elif stem == "bass":
            notes = player.bass(rng.choice(style.bass))
        elif stem == "lead":
            notes = player.improvise()
        else:
            notes = player.comp(rng.choice(style.comping), rng.choice((48, 52, 55, 58)))
        inside = tuple(n for n in notes if n.beats > 0)
        out[stem] = Stem(program_of(stem, genre, rng), inside, is_drum=stem == "drums", source="rule")
    return out
