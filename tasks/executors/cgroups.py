"""Control groups: what of its machine the kernel grants a process. Containers are such groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def groups(controller: str, root: Path, membership: Path = MEMBERSHIP) -> Iterator[tuple[int, Path]]:
    """This process's groups of a controller, and those above them: each with its version, 1 or 2.

    Some of them may not be there: a container does not see its host's.
    """
    for line in membership.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        version, top = (1, root / controller) if controllers else (2, root)
        group = top / path.lstrip("/")
        yield from ((version, folder) for folder in (group, *group.parents) if folder.is_relative_to(top))
