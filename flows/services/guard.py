"""`python -m flows.services.guard PARENT GRACE COMMAND...`: runs a server that cannot outlive the process PARENT.

Standing between the two, and in a session of its own, it sees its parent die of anything, kill -9 included, and ends
the server and every process the server started. Polling the parent's id needs no open pipe, which a forked
grandchild would keep open, and no PR_SET_PDEATHSIG on the parent, which fires when only a thread has ended.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from types import FrameType

LOOK_SECONDS = 0.2
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


class Ended(BaseException):
    """Raised by SIGTERM, out of the sleep."""


def main(parent: int, grace: float, command: list[str]) -> int:
    """Run the command until it ends, SIGTERM comes or the parent is gone; its exit code."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # what the server leaves behind becomes ours to wait for
    signal.signal(signal.SIGTERM, end_now)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # not between the server's start and our knowing it
    server = subprocess.Popen(command, start_new_session=True, close_fds=False, preexec_fn=die_with_guard)  # noqa: S603
    os.closerange(3, 256)  # the listening socket: the server alone shall hold it, so that its death frees the port
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        while server.poll() is None and os.getppid() == parent:
            time.sleep(LOOK_SECONDS)
    except Ended:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_group(server, grace)
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


def end_group(server: subprocess.Popen[bytes], grace: float) -> None:
    """Ask the server and its children to end, and after `grace` seconds do not ask."""
    signal_group(server.pid, signal.SIGTERM)
    try:
        server.wait(grace)
    except subprocess.TimeoutExpired:
        print(f"did not end within {grace:.0f} seconds: killed", file=sys.stderr)
    signal_group(server.pid, signal.SIGKILL)
    server.wait()
    while True:  # a killed process is not gone at once
        try:
            os.waitpid(-server.pid, 0)
        except ChildProcessError:
            return


def signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def die_with_guard() -> None:
    """In the server, before it starts: should somebody kill -9 the guard itself, the server gets a SIGTERM."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def end_now(_number: int, _frame: FrameType | None) -> None:
    raise Ended


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
