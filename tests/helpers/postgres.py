"""A PostgreSQL of the test's own on loopback; skips, in CI fails, where there is none."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from browser import missing

REPOSITORY = Path(__file__).parents[2]
UNPACKED = REPOSITORY / ".cache" / "postgresql"  # by `make postgresql`
SETTINGS = {  # as small as it gets: these tests hold some kilobytes
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "warning",
}


def find_programs() -> tuple[Path, dict[str, str]]:
    """The folder with initdb and pg_ctl, and the environment that they need.

    $MUSETUNE_POSTGRESQL, else what `make postgresql` unpacked, else Debian's, else the PATH's.
    """
    environment = dict(os.environ)
    asked = os.environ.get("MUSETUNE_POSTGRESQL")
    folders = [Path(asked)] if asked else []
    for root in (UNPACKED, Path("/")):
        folders += sorted((root / "usr/lib/postgresql").glob("*/bin"), reverse=True)
    if (program := shutil.which("pg_ctl")) is not None:
        folders.append(Path(program).parent)
    folder = next((folder for folder in folders if (folder / "initdb").is_file()), None)
    if folder is None:
        missing(
            "no PostgreSQL found: `make postgresql` fetches one, or set MUSETUNE_POSTGRESQL to its programs' folder"
        )
    if UNPACKED in folder.parents:
        libraries = [str(path) for path in (UNPACKED / "usr/lib").glob("*-linux-*")]
        environment["LD_LIBRARY_PATH"] = os.pathsep.join([*libraries, environment.get("LD_LIBRARY_PATH", "")])
    return folder, environment


class PostgresServer:
    """A server in a new folder, to be started and stopped; `postgres()` does both.

    Args:
        port: Of 127.0.0.1.

    Attributes:
        url: Where programs of this machine reach it.
    """

    def __init__(self, port: int) -> None:
        self.programs, self.environment = find_programs()
        self.folder = Path(tempfile.mkdtemp(prefix="musetune-postgresql-"))
        self.data, self.log = self.folder / "data", self.folder / "log"
        self.url = f"postgresql://musetune@127.0.0.1:{port}/postgres"
        settings = SETTINGS | {"unix_socket_directories": "", "port": str(port)}
        self._settings = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:  # which PostgreSQL refuses to run as
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._run("initdb", "-D", self.data, "-U", "musetune", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._run("pg_ctl", "-D", self.data, "-l", self.log, "-o", self._settings, "-w", "start")

    def stop(self) -> None:
        """Stop it as a crash would."""
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *words: str | Path) -> None:
        ended = subprocess.run(
            [self.programs / program, *words],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,  # a pipe would stay open as long as the server
            stderr=subprocess.DEVNULL,
            **self._user,
        )
        if ended.returncode:
            said = self.log.read_text()[-1000:] if self.log.exists() else ""
            raise RuntimeError(f"{program} ended with exit code {ended.returncode}: {said}")


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """A running server on a free port, stopped and removed at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = PostgresServer(port)
    try:
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(server.folder, ignore_errors=True)
