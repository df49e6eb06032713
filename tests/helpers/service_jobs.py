"""Jobs whose work is known: they write down that they began and that they ended, for tests of stores and workers."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from musetune.serve.service.worker import JobContext


class DiaryRunner:
    """Does jobs of the kind "diary": notes its beginning and end in a file, and what else the request says."""

    kinds: Collection[str] = ("diary",)

    def __init__(self, diary: Path) -> None:
        self.diary = diary

    def note(self, text: str) -> None:
        handle = os.open(self.diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{text}\n".encode())
        os.close(handle)

    def __call__(self, context: JobContext) -> Mapping[str, Any]:
        request, number = context.job.request, context.job.request["number"]
        self.note(f"begin {number}")
        for step in range(request.get("steps", 0)):
            context.step("counting", step, request["steps"])
            time.sleep(request.get("pause", 0.005))
        if request.get("die"):
            os.kill(os.getpid(), 9)
        if request.get("error"):
            raise {"memory": MemoryError, "value": ValueError, "other": RuntimeError}[request["error"]]("a word")
        (context.folder / "answer.txt").write_text(str(number))
        self.note(f"end {number}")
        return {"number": number, "files": {"answer": "answer.txt"}}
