"""A process that does one request after another, lines of JSON in and out: what crashes in it takes nothing with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

from musetune.analysis.service.isolation import without_secrets

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # one each: the cores are shared by processes


class ProcessDeath(RuntimeError):
    """The process ended in the middle of a request: a crash in a decoder, no memory, or it was stopped."""


class LineProcess:
    """The caller's side of such a process. It starts with the first request and again after it died.

    Args:
        program: Python that reads requests from standard input, a line each, and answers them.
        patience_s: A request may take so long; then the process is stopped.
    """

    def __init__(self, program: str, patience_s: float) -> None:
        self.program, self.patience_s = program, patience_s
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 what the process says beside its answers

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request. Raises ProcessDeath."""
        started = time.monotonic()
        try:
            requests, answers = self._pipes()
            watchdog = threading.Timer(self.patience_s, self.kill)
            watchdog.start()
            try:
                requests.write(json.dumps(request) + "\n")
                requests.flush()
                line = answers.readline()
            finally:
                watchdog.cancel()
        except OSError:  # the pipe broke
            line = ""
        if not line.endswith("\n"):
            raise ProcessDeath(self._cause_of_death(time.monotonic() - started))
        return dict(json.loads(line))

    def kill(self) -> None:
        """Stop the process in whatever it does: `ask`, in its thread, raises ProcessDeath."""
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """Stop the process for good and wait for its end."""
        self.kill()
        with self._lock:
            if self._process is not None:
                _bury(self._process)
                self._process = None
            self._errors.close()

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        with self._lock:
            if self._process is None:
                command = [sys.executable, "-P", "-c", self.program]  # -P: no module of the current folder gets in
                folders = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
                environment = dict.fromkeys(THREADS, "1") | without_secrets(os.environ) | {"PYTHONPATH": folders}
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    env=environment,
                    text=True,
                    encoding="utf-8",
                )
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            return self._process.stdin, self._process.stdout

    def _cause_of_death(self, seconds: float) -> str:
        """How the process ended, and its last words."""
        with self._lock:
            process, self._process = self._process, None
        code = None if process is None else _bury(process)
        how = f"by signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"with exit code {code}"
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace").strip().splitlines()
        self._errors.truncate(0)
        return f"the process that analysed it ended after {seconds:.1f} s {how}" + (f": {words[-1]}" if words else "")


def _bury(process: subprocess.Popen[str]) -> int:
    process.kill()
    code = process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # a request that was being written to it
                pipe.close()
    return code


def answer_lines(answer: Any) -> None:
    """The process's side: ``answer`` each request, on what was standard output, where nothing else may write from now
    on.

    Args:
        answer: From a request, a dict, to a dict. What it raises is answered as ``error``, the nearest built-in class,
            and ``message``; the requests after it go on.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and closes the pipe
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:
            reply = {"error": _nearest(error), "message": _message(error), "errno": getattr(error, "errno", None)}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


BUILTIN: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (ValueError, FileNotFoundError, PermissionError, OSError, ImportError, MemoryError)
}


def check_answer(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """An answer that is none of an error. Raises what the process raised, with its errno, RuntimeError for a fault of
    its own.
    """
    if "message" not in reply:
        return reply
    error = BUILTIN.get(reply["error"], RuntimeError)(reply["message"])
    if isinstance(error, OSError):
        error.errno = reply.get("errno")
    raise error


def _nearest(error: Exception) -> str | None:
    return next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in BUILTIN), None)


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__ if _nearest(error) else f"{type(error).__name__}: {error}"
