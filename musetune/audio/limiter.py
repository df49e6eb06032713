"""A limiter for audio that comes in pieces."""

from __future__ import annotations

import numpy as np


class PeakLimiter:
    """Turns audio down around peaks, and up again after them; what is below the ceiling stays as it is.

    The gain is the smallest that any of the next ``reach`` samples needs, averaged over the last ``reach`` samples: so
    it moves slowly and is where it must be at each peak (Giannoulis, Massberg & Reiss, JAES 60(6), 2012, section 2).

    Args:
        channels: of the audio.
        reach: samples that it looks ahead, and over which its gain moves; at least 1.
        ceiling: highest magnitude, above 0.

    Example:
        >>> limiter = PeakLimiter(1, reach=4, ceiling=0.5)
        >>> wave = np.array([[0.1, 0.1, 0.1, 0.1, 1.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]])
        >>> [bool(abs(limiter.process(piece, ahead)).max() <= 0.5 + 1e-6)
        ...  for piece, ahead in ((wave[:, :3], wave[:, 3:6]), (wave[:, 3:], np.zeros((1, 3))))]
        [True, True]
    """

    def __init__(self, channels: int, reach: int, ceiling: float = 0.99) -> None:
        if channels < 1 or reach < 1 or ceiling <= 0:
            raise ValueError(f"channels={channels}, reach={reach}, ceiling={ceiling}: all must be above 0")
        self.channels, self.reach, self.ceiling = channels, reach, ceiling
        self._gains = np.ones(reach - 1)  # what the last samples needed

    def process(self, piece: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        """Limit the next piece.

        Args:
            piece: floats (channels, samples); it follows the piece before.
            ahead: floats (channels, at least reach − 1), which come next. Where they turn out louder than was said
                here, what passes the ceiling is cut off.

        Returns:
            Float32 (channels, samples), at most ``ceiling``.

        Raises:
            ValueError: for other shapes.
        """
        more = self.reach - 1
        if piece.ndim != 2 or len(piece) != self.channels or ahead.ndim != 2 or ahead.shape[1] < more:
            raise ValueError(
                f"piece {piece.shape} and ahead {ahead.shape} are not ({self.channels}, samples) and "
                f"({self.channels}, {more} or more)"
            )
        from scipy.ndimage import minimum_filter1d

        level = np.abs(np.concatenate([piece, ahead[:, :more]], axis=1)).max(axis=0)
        needed = np.minimum(1.0, self.ceiling / np.maximum(level, 1e-9))
        # the smallest of a sample and the ``more`` after it
        lowest = minimum_filter1d(needed, self.reach, mode="nearest", origin=-(self.reach // 2))[: piece.shape[1]]
        history = np.concatenate([self._gains, lowest])
        sums = np.cumsum(np.concatenate([[0.0], history]))
        gain = (sums[self.reach :] - sums[: -self.reach]) / self.reach
        self._gains = history[len(history) - more :]
        return np.clip(piece * gain, -self.ceiling, self.ceiling).astype(np.float32)
