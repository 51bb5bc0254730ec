"""A server as a child process: logs to a file, and is gone when this process is, however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from tasks.errors import ServiceUnavailable
from tasks.homes import open_private

LOG_BYTES = 2_000_000
LAST_LINES = 12
LOCAL = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a company's proxy cannot reach our loopback


class Child:
    """One running server; `stop` is safe to call twice."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path, log_start: int, grace: float) -> None:
        self.name = name
        self.process = process
        self.log = log
        self._log_start = log_start
        self._grace = grace

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        sockets: Sequence[int] = (),
        grace: float = 5.0,
    ) -> Child:
        """Start `command` under a guard; `sockets` are file descriptors it inherits, `grace` its seconds to end by itself."""
        with open_log(log) as output:
            start = log.stat().st_size
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "flows.services.guard", str(os.getpid()), str(grace), *command],
                env=python_environment(environment),
                cwd=log.parent,  # no .env or prefect.toml of the working directory is for this server
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=sockets,
                umask=0o077,
                start_new_session=True,  # Ctrl-C in the terminal is for us; we end it in order
            )
        return cls(name, process, log, start, grace)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_until_healthy(self, url: str, seconds: float) -> None:
        """Block until `url` answers 200. Raises ServiceUnavailable with the log's end if that does not come."""
        deadline = time.monotonic() + seconds
        while not healthy(url):
            if not self.alive:
                raise self.failure(f"ended with exit code {self.process.returncode} before it answered")
            if time.monotonic() > deadline:
                raise self.failure(f"did not answer within {seconds:.0f} seconds")
            time.sleep(0.05)

    def failure(self, what: str) -> ServiceUnavailable:
        """The error that says what happened, and shows what the server said last."""
        return ServiceUnavailable(f"{self.name} {what}; see {self.log}, which ends:\n{self.last_words()}")

    def last_words(self) -> str:
        """The last lines this child wrote to its log, indented."""
        with self.log.open("rb") as file:
            file.seek(max(self._log_start, self.log.stat().st_size - 20_000))
            lines = file.read().decode(errors="replace").rstrip().splitlines()
        return "\n".join(f"    {line}" for line in lines[-LAST_LINES:]) or "    (nothing)"

    def ask_to_stop(self) -> None:
        """Have it begin to end, without waiting."""
        self.process.terminate()

    def stop(self) -> None:
        """End it and all it started; returns when they are gone."""
        self.ask_to_stop()
        try:
            self.process.wait(self._grace + 5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def healthy(url: str, seconds: float = 1.0) -> bool:
    """True when a server on this machine answers 200 within `seconds`."""
    try:
        with LOCAL.open(url, timeout=seconds) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def open_log(log: Path) -> IO[str]:
    """The log, opened to append; a long one is put aside once."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_name(log.name + ".1"))
    return open_private(log)


def python_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child in another folder: it finds this package, and no stray file, and its warnings stay warnings."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent.parent.parent), environment.get("PYTHONPATH")]))
    kept = {name: value for name, value in environment.items() if name != "PYTHONWARNINGS"}
    return {**kept, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
