"""What shall change of a piece: the order of an edit, checked field by field. No gradio here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from musetune.serve.work import CHORDS, NAME, STEPS, WORDS, check_number, check_whole
from musetune.symbols import GENRES

KINDS = ("repaint", "extend", "vary", "cover", "loop")
MORE_BARS = (0, 32)  # that are put in front or behind at once
LOOPS = (1, 8)
KEPT = ("chords", "beats", "melody", "loudness")  # of a cover
STRETCHES = 200  # characters
Pairs = list[tuple[float, float]]


@dataclass(frozen=True)
class EditOrder:
    """What shall change.

    Attributes:
        kind: one of KINDS.
        stretches: what is made anew, or looped: bars "3-4, 7" or seconds "1.5-4 s"; "" loops all of it.
        chords: what is played there; "": what was played, which "extend" goes on with.
        prompt: words for what is new.
        before: bars to put in front.
        after: bars to put behind.
        amount: 0–1, how far a variation goes.
        genre: of a cover; None: what is heard.
        keep: what a cover keeps: of chords, beats, melody, loudness.
        loops: how many loops.
        seed: same seed, same audio.
        steps: of denoising.
        style: a clip whose sound is meant beside the words; None: words alone.
        style_share: 0–1, how much of it.
        notes: of "repaint" and "extend", a file with the players' notes of the whole that comes of it, .mid or .json;
            None: none are given.
    """

    kind: str
    stretches: str = ""
    chords: str = ""
    prompt: str = ""
    before: float = 0
    after: float = 0
    amount: float = 0.4
    loops: float = 1
    seed: float = 0
    steps: float = 20
    genre: str | None = None
    keep: tuple[str, ...] = KEPT
    style: str | None = None
    style_share: float = 1.0
    notes: str | None = None

    def check(self) -> None:
        """Raise ValueError, which names the field, for what the page does not take, before any work is done."""
        if self.kind not in KINDS:
            raise ValueError(f"What to do: {str(self.kind)[:NAME]!r} is none of {', '.join(KINDS)}")
        texts = (("Stretch", self.stretches, STRETCHES), ("Chords", self.chords, CHORDS), ("Words", self.prompt, WORDS))
        for name, text, most in texts:
            if not isinstance(text, str) or len(text) > most:
                size = f"{len(text):,} characters" if isinstance(text, str) else f"{str(text)[:NAME]} is no text"
                raise ValueError(f"{name}: {size}; the page takes up to {most:,} characters")
        check_whole("Bars before", self.before, *MORE_BARS)
        check_whole("Bars after", self.after, *MORE_BARS)
        check_number("Amount", self.amount, 0, 1)
        check_whole("Loops", self.loops, *LOOPS)
        check_whole("Seed", self.seed, 0, 2**31 - 1)
        check_whole("Steps", self.steps, *STEPS)
        if self.genre is not None and self.genre not in GENRES:
            raise ValueError(f"Genre: {str(self.genre)[:NAME]!r} is not one of {', '.join(GENRES)}")
        if self.kind == "cover" and not set(self.keep) & {"chords", "beats", "melody"}:
            raise ValueError("Keep: a cover keeps something of what is played: chords, beats or melody")
        check_number("Share of the clip", self.style_share, 0, 1)

    def title(self) -> str:
        """What a take of it is called."""
        stretches = f" {self.stretches}" if self.stretches.strip() else ""
        unit = "" if stretches.endswith("s") or not stretches else " bar" if stretches.strip().isdecimal() else " bars"
        more = ", ".join(
            f"{int(count)} bar{'s' * (count != 1)} {where}"
            for count, where in ((self.before, "before"), (self.after, "after"))
            if count
        )
        return {
            "repaint": f"anew:{unit}{stretches}",
            "extend": f"longer: {more}",
            "vary": f"varied by {self.amount:g}",
            "cover": f"cover{f', {self.genre}' if self.genre else ''}",
            "loop": f"loop:{unit or ' all bars'}{stretches}",
        }[self.kind]


def read_stretches(text: str) -> tuple[Pairs | None, Pairs | None]:
    """Read bars such as "3-4, 7" or seconds such as "1.5-4 s".

    Returns:
        Bars, then seconds, of which one is None.

    Raises:
        ValueError: that names what cannot be read.

    Example:
        >>> read_stretches("3-4, 7"), read_stretches("1.5-4 s")
        (([(3, 4), (7, 7)], None), (None, [(1.5, 4.0)]))
    """
    in_seconds = text.rstrip().endswith("s")
    pairs: Pairs = []
    for word in re.split(r"[,;]", text.replace("s", "").replace("–", "-")):
        match = re.fullmatch(r"\s*(\d{1,5}(?:\.\d{1,3})?)\s*(?:-\s*(\d{1,5}(?:\.\d{1,3})?))?\s*", word)
        numbers = (match[1], match[2] or match[1]) if match else ("", "")
        whole = all(number.isdecimal() for number in numbers)
        if match is None or not (whole or in_seconds) or (in_seconds and match[2] is None):
            raise ValueError(
                f"Stretch: {word.strip()[:NAME]!r} is none: click bars in the chart, or write bars such as 3-4, 7, or "
                f"seconds such as 1.5-4 s"
            )
        pairs.append((float(numbers[0]), float(numbers[1])) if in_seconds else (int(numbers[0]), int(numbers[1])))
    return (None, pairs) if in_seconds else (pairs, None)
