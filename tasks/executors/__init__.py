"""Executors: where fits run. One file each; a fit that crashes, hangs or eats memory costs its trial and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from tasks.executors.executor import Executor, JobLimits


def open_executor(
    kind: Literal["processes", "dask"],
    capacity: int | None,
    threads: int,
    limits: JobLimits,
    scratch: Path,
    address: str | None = None,
    models: Sequence[Mapping[str, Any]] = (),
) -> Executor:
    """An executor that has yet to be started.

    `threads` are the cores that this machine gives, which the trials side by side share out; `capacity` is how many of
    them there are, as many as there are cores, or threads in the cluster, when it is None. `models` (settings as JSON)
    are those whose libraries workers import while they wait. Raises ConfigError for a capacity that the cores cannot
    bear, and where Dask is asked for and not installed, or has no address.
    """
    if kind == "dask":
        from tasks.errors import ConfigError
        from tasks.executors.dask import DaskCluster

        if not address:
            raise ConfigError("tuning.dask: must be given with executor: dask; write the scheduler's address, such as tcp://scheduler:8786")
        return DaskCluster(capacity=capacity or 0, limits=limits, address=address, models=tuple(models))
    from tasks.executors.processes import Processes

    workers = capacity or threads
    share = max(1, threads // workers)
    return Processes(capacity=workers, limits=limits, scratch=scratch, threads=share, models=tuple(models))
