"""The named progressions: (name, kind, steps, other name, least chords).

Kinds and notation are those of ``patterns``.
"""

from __future__ import annotations

TABLE: tuple[tuple[str, str, str] | tuple[str, str, str, str] | tuple[str, str, str, str, int], ...] = (
    # loops of songs
    ("I-V-vi-IV", "loop", "I V vi IV"),
    ("vi-IV-I-V", "loop", "vi IV I V"),
    ("I-vi-IV-V", "loop", "I vi IV V", "doo-wop"),
    ("I-vi-ii-V", "loop", "I vi|VI ii V", "turnaround"),
    ("iii-vi-ii-V", "loop", "iii|III vi|VI ii|II V"),
    ("I-IV-V-IV", "loop", "I IV V IV", "", 7),
    ("I-IV-I-V", "loop", "I IV I V", "", 7),
    ("I-IV-vi-V", "loop", "I IV vi V"),
    ("I-iii-IV-V", "loop", "I iii IV V"),
    ("I-V-IV-V", "loop", "I V IV V", "", 7),
    ("I-III-IV-iv", "loop", "I III IV iv"),
    ("I-bVII-IV-I", "loop", "I bVII IV", "double plagal", 4),
    ("vi-V-IV-V", "loop", "vi V IV V"),
    ("IV-V-iii-vi", "loop", "IV V iii vi", "Royal road"),
    ("IV-III-vi-I", "loop", "IV III vi I|i|V|v"),
    ("I-V-vi-iii-IV-I", "loop", "I V vi iii IV I IV|ii V", "Pachelbel", 6),
    ("i-bVI-bIII-bVII", "loop", "i bVI bIII bVII"),
    ("i-bVII-bVI-bVII", "loop", "i bVII bVI bVII"),
    ("i-bIII-bVII-IV", "loop", "i bIII bVII IV"),
    ("i-iv-bVII-bIII", "loop", "i iv bVII bIII"),
    ("i-bVII-bVI-V", "phrase", "i bVII bVI V", "Andalusian cadence"),
    ("i-iv-V-i", "phrase", "i iv V i"),
    ("Aeolian cadence", "phrase", "bVI bVII I|i", "bVI-bVII-I"),
    ("bVI-bIII-bVII-IV-I", "phrase", "bVI bIII bVII IV I"),
    # jazz
    ("ii-V-I", "free", "ii V I"),
    ("ii-V-i", "free", "ii V i"),
    ("tritone-substituted ii-V-I", "free", "ii bII7 I|i", "ii-bII-I"),
    ("backdoor", "phrase", "iv bVII I", "iv-bVII-I"),
    ("Coltrane changes", "free", "I bIII7 bVI VII7 III"),
    ("rhythm changes A", "phrase", "I vi|VI ii V I|iii vi|VI ii V I IV iv|#iv|bVII I|iii"),
    ("rhythm changes bridge", "phrase", "III7 VI7 II7 V7"),
    ("Montgomery-Ward bridge", "phrase", "I IV II V"),
    ("ragtime progression", "phrase", "VI7 II7 V I"),
    ("circle of fifths", "chain", "I IV vii iii vi ii V", "", 5),
    ("circle of fifths (minor)", "chain", "i iv bVII bIII bVI ii V", "", 5),
    # vamps
    ("Mixolydian vamp", "vamp", "I bVII"),
    ("Dorian vamp", "vamp", "i IV"),
    ("Aeolian vamp", "vamp", "i bVII"),
    ("Phrygian vamp", "vamp", "i bII"),
    ("plagal vamp", "vamp", "I IV"),
    ("minor plagal vamp", "vamp", "i iv"),
    # blues, bar by bar
    ("12-bar blues", "bars", "I I|IV I I|v IV IV|#iv|iv|bVII I I|VI|iii|vi V|ii|II IV|V I|iii I|V|ii|IV|VI|II"),
    ("minor blues", "bars", "i i|iv i i|I iv iv i i|bVI bVI|V|ii V|iv i i|V|ii|iv|bVI"),
    ("8-bar blues", "bars", "I V IV IV I V|VI|vi I|II|ii V|I"),
    ("8-bar blues (I-I-IV-IV)", "bars", "I I IV7 IV|#iv|iv I V|VI I|II|ii V|I"),
    # grounds of the Renaissance and Baroque
    ("lament bass", "bass", "I bVII bVI V"),
    ("chromatic lament bass", "bass", "I VII bVII VI bVI V"),
    ("folia", "phrase", "i V i bVII bIII bVII i V"),
    ("passamezzo antico", "phrase", "i bVII i V bIII bVII i V i|I"),
    ("passamezzo moderno", "phrase", "I IV I V I IV I V I"),
    ("Romanesca", "phrase", "bIII bVII i V bIII bVII i V i|I"),
)  # fmt: skip
