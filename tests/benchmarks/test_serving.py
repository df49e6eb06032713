"""benchmarks/serving.py: that its book-keeping sees what went wrong, and that its uploads are hostile and no songs."""

from __future__ import annotations

import io
import math
import random
from pathlib import Path

import httpx
import pytest
import soundfile
from serving import FAULT, LOAD, fault_row, table
from serving_faults import FAULTS, FaultOutcome, real_song
from serving_program import Ledger, ServedProgram, percentile, random_song

from musetune.analysis.service.batch import AUDIO
from musetune.formats.files import SUFFIXES
from musetune.serve.service.sqlite_store import SQLiteJobStore


def answer(status: int, job: str | None = None) -> httpx.Response:
    return httpx.Response(status, headers={"location": f"/v1/jobs/{job}"} if job else {})


def test_the_ledger_sees_jobs_that_are_lost_done_twice_and_begun_again(tmp_path: Path) -> None:
    store = SQLiteJobStore(tmp_path / "jobs.sqlite3")
    ledger = Ledger(ServedProgram(tmp_path, "nano"))
    for number in range(3):
        job, _ = store.submit("generation", {"number": number})
        ledger.note(answer(202, job.id))
    ledger.note(answer(202, "a job that the store knows nothing of"))
    for status in (429, 422, 507, 200):
        ledger.note(answer(status))
    well = store.claim("one", ["generation"])
    store.succeed(well, {"files": {}})
    killed = store.claim("one", ["generation"])
    store.recover("one", "by signal SIGKILL")
    killed = store.claim("one", ["generation"])
    store.fail(killed, {"code": "internal", "status": 500, "message": "x"})
    twice = store.claim("one", ["generation"])
    store.succeed(twice, {"files": {}})
    with store.database.transaction() as db:
        db.execute("INSERT INTO events VALUES (?, 99, 0, 'succeeded', '{}')", (twice.id,))
    store.close()
    states = ledger.settle()
    expected = {"succeeded": 2, "failed": 1, "cancelled": 0, "lost": 1, "twice": 1, "again": 1}
    assert states == expected
    assert ledger.classes() == (5, 1, 1, 1)
    row = fault_row(FaultOutcome("a fault", ledger, states, "seen"))
    assert dict(zip(FAULT, row, strict=True)) == {
        "fault": "a fault", "jobs": 4, "succeeded": 2, "failed": 1, "begun again": 1, "lost": 1, "done twice": 1,
        "2xx": 5, "429": 1, "other 4xx": 1, "5xx": 1, "seen": "seen",
    }  # fmt: skip
    ledger.program.http.close()


def test_percentiles() -> None:
    assert [percentile([float(n) for n in range(100)], share) for share in (0.5, 0.95, 0.99)] == [50, 95, 99]
    assert math.isnan(percentile([], 0.5))


def test_corrupt_songs_have_names_that_the_service_takes_and_a_real_one_is_a_song() -> None:
    generator = random.Random(0)
    names = {Path(random_song(generator)[0]).suffix for _ in range(200)}
    assert names <= {*AUDIO, *SUFFIXES}
    assert len(names) == 8
    assert soundfile.info(io.BytesIO(real_song())).duration == pytest.approx(8)


def test_tables_have_a_cell_for_each_column() -> None:
    assert table(LOAD, [[0] * len(LOAD)]).count("|") == 3 * (len(LOAD) + 1)
    assert set(FAULTS) == {"workers", "server", "disk", "gone", "loris", "corrupt"}
