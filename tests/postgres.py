"""A PostgreSQL server of a test's own, from the system's programs: it can be stopped, and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

PASSWORD = "correct-horse"


@dataclass
class Server:
    """A server with one empty database, in a folder of its own, on a port that it keeps."""

    program: Path
    folder: Path
    owner: dict[str, Any]
    port: int
    process: subprocess.Popen[bytes] | None = None
    password: str = PASSWORD

    @property
    def address(self) -> str:
        return f"postgresql://reader:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    @property
    def sqlalchemy(self) -> str:
        """The address as SQLAlchemy has it, with the driver."""
        return self.address.replace("postgresql:", "postgresql+psycopg:")

    def start(self) -> None:
        """Returns once it answers."""
        # another time zone than UTC, so that nobody can lean on the server's
        settings = ["-c", "fsync=off", "-c", "timezone=America/New_York", "-k", str(self.folder), "-h", "127.0.0.1", "-p", str(self.port)]
        with (self.folder / "log").open("a") as log:
            command = [self.program, "-D", self.folder / "data", *settings]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **self.owner)
        self._wait()

    def stop(self) -> None:
        """Ends every connection."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=30)
            self.process = None

    def _wait(self) -> None:
        for _ in range(300):
            assert self.process is not None
            if self.process.poll() is not None:
                break
            try:
                psycopg.connect(self.address).close()
            except psycopg.OperationalError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError(f"PostgreSQL does not start:\n{(self.folder / 'log').read_text()}")


@contextmanager
def start_server() -> Iterator[Server]:
    """A running server; the test is left out where there are no programs for one."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("initdb") or (programs and str(programs[-1]))
    if not found:
        pytest.skip("PostgreSQL's server programs are not installed (apt-get install postgresql)")
    folder, owner = _folder()
    server = Server(Path(found).with_name("postgres"), folder, owner, _free_port())
    try:
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        access = ["-U", "reader", "--pwfile", str(folder / "password"), "-A", "scram-sha-256"]
        command = [found, "-D", folder / "data", *access, "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, **owner)
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _folder() -> tuple[Path, dict[str, Any]]:
    """A folder, and how to start a program that may use it: PostgreSQL refuses to run as root."""
    folder = Path(tempfile.mkdtemp(prefix="evertune-postgres-", dir="/tmp"))
    if os.geteuid() != 0:
        return folder, {"cwd": folder}
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return folder, {"cwd": folder, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
