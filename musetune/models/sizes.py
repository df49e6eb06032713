"""Bounds for the sizes in a config.json, checked before anything is allocated."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral

from musetune.symbols.limits import quote


def check_sizes(owner: str, most: int, **sizes: object) -> None:
    """Check that sizes of a network are whole numbers from 1 to ``most``, or sequences of such.

    Args:
        owner: the network's name in the error.
        most: the largest size that makes sense.
        sizes: by the name that config.json gives them; None is left alone.

    Raises:
        ValueError: that names the size, its value and the range.

    Example:
        >>> from musetune.models.sizes import check_sizes
        >>> check_sizes("U-Net", 4096, dim=10**12)
        Traceback (most recent call last):
        ValueError: U-Net: dim=1000000000000 is not a whole number from 1 to 4096; look into its config.json
    """
    for name, value in sizes.items():
        values = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
        if value is None:
            continue
        if not all(isinstance(one, Integral) and not isinstance(one, bool) and 1 <= int(one) <= most for one in values):
            text = quote(value)
            raise ValueError(
                f"{owner}: {name}={text} is not a whole number from 1 to {most}; look into its config.json"
            )
