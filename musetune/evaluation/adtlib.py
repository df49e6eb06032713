"""ADTLib's drum transcribers (Southall, Stables & Hockman, ISMIR 2017) without TensorFlow 1, for which that package was
written.

Its published weights are read from the installed package's checkpoints and run through the network that lies beside
them in its graph files: two bidirectional pairs of LSTM layers, soft attention over three frames before and after, two
classes. On random spectrograms the activations are those of the graph files in TensorFlow 2.21 to 1e-6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, softmax

INSTRUMENTS = {"kick": "Kick", "snare": "Snare", "metal": "Hihat"}
ATTENTION = 3  # frames on either side
RATE, FRAME, HOP = 44100, 2048, 512  # of the spectrogram: magnitudes of 1024 bins


def activations(spectrogram: np.ndarray, instrument: str) -> np.ndarray:
    """(frames,) 0…1: how sure the network of ``instrument`` is that it is struck, for magnitudes (frames, 1024) of a
    wave in −1…1.
    """
    w = weights(instrument)
    first = _both_ways(np.asarray(spectrogram, np.float32), w, "1")
    second = _both_ways(first, w, "2")
    padded, n = np.pad(second, ((ATTENTION, ATTENTION), (0, 0))), len(second)
    around = np.stack([padded[j : j + n] for j in range(2 * ATTENTION + 1)])  # (7, frames, 40)
    energies = [
        np.tanh(np.concatenate([view, first], axis=1) @ w[f"Variable_{2 + 2 * j}"]) @ w[f"Variable_{3 + 2 * j}"]
        for j, view in enumerate(around)
    ]
    context = (softmax(np.stack(energies), axis=0) * around).sum(axis=0)
    hit, no_hit = (context @ w["Variable_1"] + w["Variable"]).T
    return expit(hit - no_hit)


def _both_ways(x: np.ndarray, w: Mapping[str, np.ndarray], pair: str) -> np.ndarray:
    """(frames, 40): two LSTM layers forwards beside two backwards."""
    forwards, backwards = (f"{pair}/bidirectional_rnn/{way}/multi_rnn_cell" for way in ("fw", "bw"))
    return np.concatenate([_layers(x, w, forwards), _layers(x[::-1], w, backwards)[::-1]], axis=1)


def _layers(x: np.ndarray, w: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    for layer in (0, 1):
        x = _lstm(x, w[f"{name}/cell_{layer}/lstm_cell/kernel"], w[f"{name}/cell_{layer}/lstm_cell/bias"])
    return x


def _lstm(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """TensorFlow's LSTMCell over (frames, n): gates in the order input, candidate, forget (plus 1), output."""
    size = len(bias) // 4
    driven, recurrent = x @ kernel[:-size] + bias, kernel[-size:]
    cell, hidden, out = np.zeros(size, np.float32), np.zeros(size, np.float32), np.empty((len(x), size), np.float32)
    for t, drive in enumerate(driven):
        i, j, f, o = np.split(drive + hidden @ recurrent, 4)
        cell = cell * expit(f + 1) + expit(i) * np.tanh(j)
        out[t] = hidden = np.tanh(cell) * expit(o)
    return out


@lru_cache(maxsize=3)
def weights(instrument: str) -> dict[str, np.ndarray]:
    """Name → array of the installed package's network.

    Raises ImportError where ADTLib is not installed, KeyError for another instrument.
    """
    spec = find_spec("ADTLib")  # not imported: that would ask for TensorFlow 1
    if spec is None or spec.origin is None:
        raise ImportError("ADTLib is not installed: pip install --no-build-isolation --no-deps adtlib==2.1.2")
    return read_checkpoint(Path(spec.origin).parent / "files" / f"{INSTRUMENTS[instrument]}ADTLibAll")


def read_checkpoint(prefix: Path) -> dict[str, np.ndarray]:
    """The float32 variables of a TensorFlow checkpoint of one shard (tensorflow/core/util/tensor_bundle), the
    optimiser's left out.

    ``prefix``.index is a LevelDB table of name → BundleEntryProto, ``prefix``.data-00000-of-00001 the values.
    """
    table = prefix.with_name(prefix.name + ".index").read_bytes()
    values = prefix.with_name(prefix.name + ".data-00000-of-00001").read_bytes()
    at = (
        len(table) - 48
    )  # the footer: where the list of blocks begins, and its size, after the same of a list not used here
    _, at = _varint(table, at)
    _, at = _varint(table, at)
    start, at = _varint(table, at)
    size, _ = _varint(table, at)
    variables = {}
    for _, handle in _entries(table, start, size):
        block, at = _varint(handle, 0)
        for name, entry in _entries(table, block, _varint(handle, at)[0]):
            if name and b"Adam" not in name and b"_power" not in name:
                fields = dict(_fields(entry))
                shape = [dict(_fields(dim)).get(1, 0) for number, dim in _fields(fields[2]) if number == 2]
                offset = fields.get(4, 0)
                variables[name.decode()] = np.frombuffer(values[offset : offset + fields[5]], "<f4").reshape(shape)
    return variables


def _entries(table: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; each key says how much of the one before it repeats."""
    if table[start + size] != 0:
        raise ValueError("the checkpoint's index is compressed; only plain blocks can be read")
    block = table[start : start + size]
    end = size - 4 * (int.from_bytes(block[-4:], "little") + 1)
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        new, at = _varint(block, at)
        length, at = _varint(block, at)
        key, at = key[:shared] + block[at : at + new], at + new
        yield key, block[at : at + length]
        at += length


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of a protocol buffer's fields: integers, messages and 32-bit words."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        if tag & 7 == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
        else:
            length, at = _varint(message, at) if tag & 7 == 2 else (4, at)
            yield tag >> 3, message[at : at + length]
            at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A little-endian integer of seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at
