"""`python -m flows.services.guard PARENT GRACE COMMAND...`: runs a server that cannot outlive the process PARENT.

Standing between the two, and in a session of its own, it sees its parent die of anything, kill -9 included, and ends
the server and every process the server started. Polling the parent's id needs no open pipe, which a forked
grandchild would keep open, and no PR_SET_PDEATHSIG on the parent, which fires when only a thread has ended.

Prefect's worker starts each flow run in a session of its own, and kills it at once when it is asked to end itself. So
such children are asked first: a flow run that gets SIGTERM ends in order, and says so to Prefect's server.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

LOOK_SECONDS = 0.2
LAST_SECONDS = 1.0
"""What the server is given at least, even if its children have used up the grace."""
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
Family = dict[int, tuple[int, int]]
"""Process -> its parent and its session."""


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
            bury(server.pid)
            time.sleep(LOOK_SECONDS)
    except Ended:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_family(server, grace)
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


def end_family(server: subprocess.Popen[bytes], grace: float) -> None:
    """Ask the server's children in sessions of their own to end, then the server; after `grace` seconds do not ask."""
    deadline = time.monotonic() + grace
    end_sessions(server.pid, deadline)
    signal_group(server.pid, signal.SIGTERM)
    left = max(min(LAST_SECONDS, grace), deadline - time.monotonic())
    try:
        server.wait(left)
    except subprocess.TimeoutExpired:
        print(f"did not end within {left:.0f} seconds: killed", file=sys.stderr)
    signal_group(server.pid, signal.SIGKILL)
    server.wait()
    while descendants := below(os.getpid(), family()):  # a killed process is not gone at once, and its children are ours then
        for process in descendants:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        bury(0)
        time.sleep(0.02)


def end_sessions(server: int, deadline: float) -> None:
    """Ask each child that leads a session to end, once, and wait for them all until the deadline; a dead server's are ours."""
    parents, asked = {server, os.getpid()}, {server}
    while leaders := {child for child, (parent, session) in family().items() if parent in parents and session == child != server}:
        for leader in leaders - asked:
            signal_group(leader, signal.SIGTERM)
        asked |= leaders
        if time.monotonic() > deadline:
            print(f"{len(leaders)} children did not end in time: killed", file=sys.stderr)
            return
        time.sleep(0.05)


def family() -> Family:
    """Every living process of this machine with its parent and its session; zombies are dead."""
    found: Family = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended while we looked
            state, parent, _, session = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:4]
            if state != "Z":
                found[int(folder.name)] = int(parent), int(session)
    return found


def below(process: int, everyone: Family) -> set[int]:
    """The descendants of a process."""
    found: set[int] = set()
    fresh = {process}
    while fresh:
        fresh = {child for child, (parent, _) in everyone.items() if parent in fresh} - found
        found |= fresh
    return found


def bury(but: int) -> None:
    """Take note of the dead children that were left to us, all but the process `but`."""
    own = os.getpid()
    try:
        children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    except FileNotFoundError:  # a kernel that does not tell: they stay zombies until we end
        return
    for child in map(int, children):
        if child != but:
            with suppress(ChildProcessError):
                os.waitpid(child, os.WNOHANG)


def signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def die_with_guard() -> None:
    """In the server, before it starts: should somebody kill -9 the guard itself, the server gets a SIGTERM."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def end_now(_number: int, _frame: FrameType | None) -> None:
    raise Ended


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
