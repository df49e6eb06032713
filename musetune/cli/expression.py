"""Options that say how music is played: loudness over time, swing, density, syncopation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from musetune.symbols.expression import Expression

Loudness = Annotated[
    str | None,
    typer.Option(
        help="LUFS over time as seconds:level, straight between them, such as 0:-20,8:-8; or one level such as -16",
        metavar="CURVE",
    ),
]
Swing = Annotated[
    float | None,
    typer.Option(help="place of the second half of a beat: 0.5 even, 0.67 a shuffle", min=0.4, max=0.8),
]
Density = Annotated[
    float | None,
    typer.Option(help="onsets a second, as analyze counts them; nano follows it in part at best", min=0, max=100),
]
Syncopation = Annotated[float | None, typer.Option(help="0 on the beats, 1 against them, as analyze measures it")]


def expression_of(
    loudness: str | None, swing: float | None, density: float | None, syncopation: float | None
) -> Expression | None:
    """What the options say; None where none is given.

    Raises:
        ValueError: for a curve that is none, and for what is out of range.

    Example:
        >>> expression_of("0:-20,8:-8", None, None, None).loudness_db
        ((0.0, -20.0), (8.0, -8.0))
    """
    from musetune.symbols.expression import Expression

    said = Expression(curve_of(loudness) if loudness else (), density, syncopation, swing)
    return None if said == Expression() else said


def curve_of(text: str) -> tuple[tuple[float, float], ...]:
    """Points (seconds, LUFS) of a curve written as 0:-20,8:-8, or of one level.

    Raises:
        ValueError: for what is neither.

    Example:
        >>> curve_of("-16")
        ((0.0, -16.0),)
    """
    try:
        if ":" not in text:
            return ((0.0, float(text)),)
        pairs = [point.split(":") for point in text.split(",")]
        return tuple((float(time), float(level)) for time, level in pairs)
    except ValueError:
        raise ValueError(
            f"--loudness {text!r}: give seconds:level, such as 0:-20,8:-8, or one level such as -16"
        ) from None
