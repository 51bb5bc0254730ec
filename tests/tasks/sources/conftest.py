"""A PostgreSQL server of the test run's own, from the system's programs."""

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
from pathlib import Path
from typing import Any

import psycopg
import pytest

PASSWORD = "correct-horse"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of an empty database, `postgresql://reader:password@127.0.0.1:port/postgres`."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("initdb") or (programs and str(programs[-1]))
    if not found:
        pytest.skip("PostgreSQL's server programs are not installed (apt-get install postgresql)")
    folder, owner = _folder()
    try:
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        access = ["-U", "reader", "--pwfile", str(folder / "password"), "-A", "scram-sha-256"]
        subprocess.run(
            [found, "-D", folder / "data", *access, "-E", "UTF8", "--locale=C", "--no-sync"], check=True, capture_output=True, **owner
        )
        port = _free_port()
        # another time zone than UTC, so that nobody can lean on the server's
        settings = ["-c", "fsync=off", "-c", "timezone=America/New_York", "-k", str(folder), "-h", "127.0.0.1", "-p", str(port)]
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                [Path(found).with_name("postgres"), "-D", folder / "data", *settings], stdout=log, stderr=log, **owner
            )
        address = f"postgresql://reader:{PASSWORD}@127.0.0.1:{port}/postgres"
        try:
            _wait(address, server, folder / "log")
            yield address
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)
    finally:
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


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        if server.poll() is not None:
            break
        try:
            psycopg.connect(address).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"PostgreSQL does not start:\n{log.read_text()}")
