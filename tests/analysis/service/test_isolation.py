"""What a process may not that reads what strangers send."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from musetune.analysis.service.process import LineProcess, check_answer

PROGRAM = """
import os, resource, socket
from musetune.analysis.service.isolation import isolate
from musetune.analysis.service.process import answer_lines
isolate(2**30, network=False)

def answer(request):
    if request["what"] == "memory":
        return {"size": len(bytes(2**31))}
    if request["what"] == "disk":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        with open(request["place"], "wb", buffering=0) as file:
            while True:
                file.write(bytes(600))
    if request["what"] == "network":
        socket.create_connection(("127.0.0.1", request["port"]), timeout=2).close()
        return {"reached": True}
    status = open("/proc/self/status").read()
    return {"names": list(os.environ), "rights": "NoNewPrivs:\\t1" in status,
            "files": resource.getrlimit(resource.RLIMIT_NOFILE)}

answer_lines(answer)
"""


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("MUSETUNE_API_KEYS", "me:a-key-of-enough-length")
    monkeypatch.setenv("MUSETUNE_STORE", "postgresql://host/database")
    monkeypatch.setenv("DATABASE", "postgresql://me:word@host/database")
    monkeypatch.setenv("HF_TOKEN", "hf_word")
    monkeypatch.setenv("MUSETUNE_SOUNDFONT_FOR_A_TEST", "/sounds/a.sf3")
    opened = LineProcess(PROGRAM, 60)
    yield opened
    opened.close()


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_it_knows_no_secrets_and_has_its_limits(process: LineProcess, tmp_path: Path) -> None:
    state = check_answer(process.ask({"what": "state"}))
    assert not {"MUSETUNE_API_KEYS", "MUSETUNE_STORE", "DATABASE", "HF_TOKEN"} & set(state["names"])
    assert {"MUSETUNE_SOUNDFONT_FOR_A_TEST", "PATH", "PYTHONPATH"} <= set(state["names"])
    assert state["rights"], "no program that it starts gains rights"
    assert max(state["files"]) <= 512
    with pytest.raises(MemoryError):
        check_answer(process.ask({"what": "memory"}))
    with pytest.raises(OSError, match="File too large"):
        check_answer(process.ask({"what": "disk", "place": str(tmp_path / "large")}))


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces of Linux")
def test_it_reaches_nobody_where_the_system_can_take_the_network(process: LineProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        reply = process.ask({"what": "network", "port": server.getsockname()[1]})
    if "reached" in reply:
        pytest.skip("this system lets no process give up its network")
    with pytest.raises(OSError):
        check_answer(reply)
