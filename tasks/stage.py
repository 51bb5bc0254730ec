"""`@stage("train")`: a plain function that becomes one Prefect task when it is called inside a flow.

Outside a flow it stays the plain function, and Prefect is not even imported. This is the only file that sets
Prefect task options: no cache and no stored results (tables are large, and pickles are not to be trusted), no
retries (a stage that half-wrote something repairs it by identity, not by running twice).
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property, update_wrapper, wraps
from typing import Any, Generic, ParamSpec, TypeVar, cast

from tasks.errors import EvertuneError

Inputs = ParamSpec("Inputs")
Output = TypeVar("Output")
log = logging.getLogger("evertune")


@dataclass
class Timing:
    """Seconds by stage, in the order they ran, and the stage that raised, if one did."""

    seconds: dict[str, float] = field(default_factory=dict)
    failed: str | None = None
    started: float = field(default_factory=time.perf_counter)

    def total(self) -> float:
        return time.perf_counter() - self.started


_timing: ContextVar[Timing | None] = ContextVar("evertune_timing", default=None)


@contextmanager
def timed() -> Iterator[Timing]:
    """Collect the timing of every stage called inside."""
    timing = Timing()
    token = _timing.set(timing)
    try:
        yield timing
    finally:
        _timing.reset(token)


def inside_flow() -> bool:
    """True in the body of a Prefect flow; never imports Prefect to find out."""
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext

    return FlowRunContext.get() is not None


class Stage(Generic[Inputs, Output]):
    """A named stage; `plain` is the function without any of this."""

    def __init__(self, name: str, plain: Callable[Inputs, Output]) -> None:
        self.name = name
        self.plain = plain
        update_wrapper(self, plain)

    def __call__(self, *args: Inputs.args, **kwargs: Inputs.kwargs) -> Output:
        started, timing = time.perf_counter(), _timing.get()
        log.info("%s ...", self.name)
        try:
            return self._call_task(*args, **kwargs) if inside_flow() else self.plain(*args, **kwargs)
        except BaseException:
            if timing is not None:
                timing.failed = self.name
            raise
        finally:
            if timing is not None:
                spent = time.perf_counter() - started
                timing.seconds[self.name] = round(timing.seconds.get(self.name, 0.0) + spent, 3)

    def skip(self, reason: str) -> None:
        """Show the stage as Skipped, with the reason, where the flow would have run it."""
        log.info("%s skipped: %s", self.name, reason)
        if not inside_flow():
            return
        from prefect import task
        from prefect.states import Completed

        task(lambda: Completed(name="Skipped", message=reason), **self._options)()

    def _call_task(self, *args: Inputs.args, **kwargs: Inputs.kwargs) -> Output:
        from prefect.client.schemas import State

        found = self._task(*args, **kwargs)
        if isinstance(found, State):  # only _run_as_task returns one, and Prefect has wrapped what it holds
            raise cast(EvertuneError, cast(Any, found.data).result)
        return cast(Output, found)

    @cached_property
    def _task(self) -> Callable[..., Any]:
        from prefect import task

        return task(wraps(self.plain)(lambda *args, **kwargs: self._run_as_task(*args, **kwargs)), **self._options)

    def _run_as_task(self, *args: Inputs.args, **kwargs: Inputs.kwargs) -> Any:
        """A foreseen error is a failed state with its message, not a traceback in the log; the caller gets it raised all the same."""
        from prefect.states import Failed

        try:
            return self.plain(*args, **kwargs)
        except EvertuneError as error:
            return Failed(message=str(error), data=error)

    @property
    def _options(self) -> dict[str, Any]:
        from prefect.cache_policies import NO_CACHE

        return {
            "name": self.name,
            "task_run_name": self.name,
            "cache_policy": NO_CACHE,
            "persist_result": False,
            "retries": 0,
            "log_prints": False,
        }


def stage(name: str) -> Callable[[Callable[Inputs, Output]], Stage[Inputs, Output]]:
    """Name a function as a stage of the pipeline."""
    return lambda function: Stage(name, function)
