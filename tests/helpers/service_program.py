"""A service without HTTP, as a program of its own, to be killed: python -m service_program FOLDER WORKERS."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from service_jobs import DiaryRunner

from musetune.serve.service.pool import WorkerPool, WorkerSetup
from musetune.serve.service.sqlite_store import SQLiteJobStore


def load_shared() -> list[int]:
    """What workers share in tests: the process that loaded it."""
    return [os.getpid()]


def make_shared(diary: Path, shared: list[int]) -> DiaryRunner:
    runner = DiaryRunner(diary)
    runner.note(f"worker {os.getpid()} of {shared[0]}")
    return runner


def shared_setup(folder: Path) -> WorkerSetup:
    """Workers that are copies of one process."""
    return replace(setup_of(folder), make_runner=partial(make_shared, folder / "diary.txt"), load=load_shared)


def setup_of(folder: Path) -> WorkerSetup:
    open_store = partial(SQLiteJobStore, folder / "jobs.sqlite3", 10_000)
    return WorkerSetup(open_store, partial(DiaryRunner, folder / "diary.txt"), folder)


def main() -> None:
    folder = Path(sys.argv[1])
    setup = setup_of(folder)
    store = setup.open_store()
    store.recover()
    WorkerPool(setup, int(sys.argv[2]), "worker", store).start()
    print("ready", flush=True)
    while True:
        time.sleep(1)


if __name__ == "__main__":
    main()
