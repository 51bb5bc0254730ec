"""Asking a model in a clean process: started early, told what to load, given time, and ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import site
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tasks.errors import TrainingFailed
from tasks.executors.endings import ending, said
from tasks.homes import open_private
from tasks.registry import outsider

HIDDEN = ("tasks", "flows", "configs")
"""This project's own packages."""
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}
PASSED = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "TZ")
"""All that it gets of our environment: no login, no address."""
STARTUP_LIMIT = 180.0
"""Seconds that imports may take on a busy machine."""
LAST_LINES = 3


@dataclass(frozen=True)
class Reply:
    """What a request was answered with: MLflow's JSON, and the seconds it took."""

    text: str
    seconds: float


class Outsider:
    """The process of `tasks.registry.outsider`, started at once; it dies with the thread that made it. `limit` seconds to answer in."""

    def __init__(self, folder: Path, libraries: Iterable[str], limit: float) -> None:
        self._limit = limit
        self._log, self._log_start = folder / "outsider.log", 0
        self._began = time.monotonic()
        self.startup_seconds: float | None = None
        """From the start until it was ready; None until somebody asked it."""
        settings = {"paths": _site_packages(), "hidden": HIDDEN, "libraries": sorted(set(libraries))}
        ours, theirs = socket.socketpair()
        with open_private(self._log) as output, theirs:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-S", "-B", outsider.__file__, str(theirs.fileno()), str(os.getpid()), json.dumps(settings)],
                env={**{name: os.environ[name] for name in PASSED if name in os.environ}, **ENVIRONMENT, "HOME": str(folder)},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for us; what it starts is killed with it
            )
        self._connection = Connection(ours.detach())

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, folder: Path, requests: Sequence[tuple[str, str]]) -> Iterator[Reply]:
        """Load the model in `folder` and send each request's body (name, JSON); its replies in that order.

        Raises TrainingFailed that says which request it failed at, or did not answer in time, or died at.
        """
        self._wait_until_ready()
        self._log_start = self._log.stat().st_size
        deadline = time.monotonic() + self._limit
        with contextlib.suppress(OSError):  # it has just died, which is found out below
            self._connection.send_bytes(json.dumps({"folder": str(folder), "bodies": [body for _, body in requests]}).encode())
        loaded = self._receive(deadline, "while it loaded the model")
        if "error" in loaded:
            raise TrainingFailed(f"it cannot be loaded where Evertune is not installed: {loaded['error']}")
        for name, _ in requests:
            answer = self._receive(deadline, f"at the request {name!r}")
            if "error" in answer:
                raise TrainingFailed(f"the request {name!r} fails: {answer['error']}")
            yield Reply(answer["text"], answer["seconds"])

    def close(self) -> None:
        """End it and what it started, whatever it is doing."""
        if self._connection.closed:
            return
        self._connection.close()
        with contextlib.suppress(ProcessLookupError):  # all of it is gone already
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _wait_until_ready(self) -> None:
        if self.startup_seconds is None:
            message = self._receive(time.monotonic() + STARTUP_LIMIT, "before it was ready")
            self.startup_seconds = message["ready"] - self._began  # one clock for the whole machine

    def _receive(self, deadline: float, where: str) -> dict[str, Any]:
        try:
            if not self._connection.poll(max(0.0, deadline - time.monotonic())):
                limit = self._limit if self.startup_seconds is not None else STARTUP_LIMIT
                self.close()
                raise TrainingFailed(f"the clean process did not answer within {limit:g} seconds {where}; it was ended")
            message: dict[str, Any] = json.loads(self._connection.recv_bytes())
        except (EOFError, ConnectionError):
            code = self._process.wait()
            raise TrainingFailed(said(f"the clean process {ending(code)} {where}", self._last_words())) from None
        return message

    def _last_words(self) -> str:
        """The last lines that it wrote since it was asked."""
        written = self._log.read_bytes()[self._log_start :].decode(errors="replace")
        lines = [line.strip() for line in written.splitlines() if line.strip()]
        return " / ".join(lines[-LAST_LINES:])[:600]


def _site_packages() -> list[str]:
    """The folders of installed packages, without the user's own, and without what their .pth files would add."""
    return [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages") and entry != site.getusersitepackages()]
