"""Lines of log: each is JSON, and a worker's name the job and the request that it came with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import logging, sys
from pathlib import Path
from service_jobs import DiaryRunner
from musetune.serve.service.monitoring import set_up_logs
from musetune.serve.service.sqlite_store import SQLiteJobStore
from musetune.serve.service.worker import perform

set_up_logs()
folder = Path(sys.argv[1])
store = SQLiteJobStore(folder / "jobs.sqlite3")
request = {"number": 1, "error": "other", "request_id": "the-clients-own-id"}
store.submit("diary", request, job_id="a" * 32)
perform(store, DiaryRunner(folder / "diary.txt"), folder, store.claim("w", ["diary"]), 60)
logging.getLogger("musetune.serve").info("between jobs")
"""


def test_a_workers_lines_name_job_and_request(tmp_path: Path) -> None:
    helpers = Path(__file__).parents[2] / "helpers"
    path = os.pathsep.join([str(helpers), *(folder or os.getcwd() for folder in sys.path)])
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=True)
    failed, between = (json.loads(line) for line in done.stderr.splitlines())
    assert failed["event"] == f"job {'a' * 32} failed"
    assert (failed["job"], failed["request_id"]) == ("a" * 32, "the-clients-own-id")
    assert (failed["level"], failed["logger"]) == ("error", "musetune.serve.service.worker")
    assert "RuntimeError: a word" in failed["exception"]
    assert failed["timestamp"].endswith("Z")
    assert between["event"] == "between jobs"
    assert not {"job", "request_id"} & set(between)
