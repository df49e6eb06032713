"""Sound as a service sends it, brought to the piece that it was made of."""

from __future__ import annotations

import io

import numpy as np

SAME = 1e-3  # a gain so near 1 is that of rounding to 16 bits


def read_sound(content: bytes) -> tuple[np.ndarray, int]:
    """The sound of a WAV or FLAC file, (samples,) or (channels, samples), and its rate in Hz."""
    import soundfile

    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    wave = samples.T.copy()
    return wave[0] if len(wave) == 1 else wave, int(rate)


def keep_rest(made: np.ndarray, piece: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Put back what was to stay of a piece: a service writes 16 bits, and turns down what would clip.

    Args:
        made: Floats (…, n) of the service, of the piece's channels; perhaps a few samples shorter or longer than it.
        piece: Floats (…, m).
        kept: (m,), True where the piece was to stay as it is.

    Returns:
        Floats (…, m): ``piece`` where ``kept``, sample for sample, elsewhere ``made`` as loud as it was beside that.

    Example:
        >>> kept = np.array([True, True, False])
        >>> keep_rest(np.array([0.25, 0.25, 0.4]), np.array([0.5, 0.5, 0.1]), kept).tolist()
        [0.5, 0.5, 0.8]
    """
    length = piece.shape[-1]
    made = np.pad(made[..., :length], [(0, 0)] * (made.ndim - 1) + [(0, max(0, length - made.shape[-1]))])
    ours, theirs = piece[..., kept].astype(float), made[..., kept].astype(float)
    power = float(np.sum(theirs * theirs))
    gain = float(np.sum(ours * theirs)) / power if power > 0 else 1.0
    whole = made * (1.0 if abs(gain - 1) < SAME else gain)
    return np.where(kept, piece, whole).astype(piece.dtype)


def fit_take(made: np.ndarray, rate: int, piece: np.ndarray, piece_rate: int) -> np.ndarray:
    """Bring a new take of a piece to the piece's rate, channels and length.

    Args:
        made: Floats (n,) or (channels, n).
        rate: Theirs, Hz.
        piece: Floats (m,) or (channels, m).
        piece_rate: Theirs, Hz.

    Returns:
        Floats of the piece's shape, scaled where they would clip.

    Example:
        >>> fit_take(np.zeros((2, 48000)), 48000, np.zeros(16000), 16000).shape
        (16000,)
    """
    from musetune.audio import resample

    if piece.ndim == 1 and made.ndim == 2:
        made = made.mean(axis=0)
    elif piece.ndim == 2 and (made.ndim == 1 or len(made) != len(piece)):
        mono = made if made.ndim == 1 else made.mean(axis=0)
        made = np.stack([mono] * len(piece))
    sound = resample(made, rate, piece_rate)[..., : piece.shape[-1]]
    sound = np.pad(sound, [(0, 0)] * (sound.ndim - 1) + [(0, piece.shape[-1] - sound.shape[-1])])
    return np.asarray(sound / max(1.0, float(np.abs(sound).max(initial=0.0)) / 0.99), np.float32)
