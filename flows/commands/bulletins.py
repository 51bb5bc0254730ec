"""What `evertune up` tells while it runs: a line when a retrain starts, one with its verdict when it is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TextIO

from tasks.wording import clean

if TYPE_CHECKING:
    from flows.services.flow_runs import Deployed, FlowRun, FlowRuns

RETRAIN = "retrain"
OVERLAP = timedelta(seconds=30)
"""How far back ended runs are asked for anew: a run's end is written down some time after it."""
SILENT = ("completed", "skipped")
"""What a flow other than a retrain comes to in the ordinary course of things."""


class Bulletins:
    """Tells each thing once. `tell` asks the server, and raises httpx.HTTPError when that does not answer."""

    def __init__(self, runs: FlowRuns, pages: str, out: TextIO) -> None:
        self._runs = runs
        self._pages = pages
        self._out = out
        self._told: set[tuple[str, str]] = set()
        self._since = datetime.now(UTC)

    def tell(self) -> None:
        """What has started, what is over and who is asked since the last time."""
        looked = datetime.now(UTC)
        ended = self._runs.ended_since(self._since)
        for run in [*ended, *self._runs.running()]:
            if run.flow == RETRAIN and self._is_news(run, "started"):
                self._say(run, f"started{_of(run)}  {self._pages}/v2/runs/flow-run/{run.id}", run.started)
        for run in self._runs.waiting():
            if self._is_news(run, f"waits {run.message}"):
                self._say(run, f"waits for an answer: {self._pages}/v2/runs/flow-run/{run.id}", None)
        for run in ended:
            worth_telling = run.flow == RETRAIN or run.verdict not in SILENT
            if worth_telling and self._is_news(run, f"ended {run.ended}"):
                self._say(run, f"{run.verdict}: {clean(run.message)}" if run.message else run.verdict, run.ended)
        self._since = looked - OVERLAP

    def _is_news(self, run: FlowRun, what: str) -> bool:
        news = (run.id, what) not in self._told
        self._told.add((run.id, what))
        return news

    def _say(self, run: FlowRun, what: str, at: datetime | None) -> None:
        name = run.name if run.flow == RETRAIN else f"{run.flow} {run.name}"
        print(f"{(at or datetime.now(UTC)).astimezone():%H:%M:%S}  {clean(name)}  {what}", file=self._out, flush=True)


def say_deployed(deployed: list[Deployed]) -> str:
    """A line for each retrain's deployment: when it runs next, or that it is started by hand; other flows follow in one line."""
    shown = [one for one in deployed if one.flow == RETRAIN]
    width = max((len(one.name) for one in shown), default=0)
    lines = [f"  {one.name:<{width}}  {f'next {say_time(one.next)}' if one.next else 'by hand, or by an event'}" for one in shown]
    others = sorted({f"{one.flow}/{one.name}" for one in deployed if one.flow != RETRAIN})
    return "\n".join(["Deployments", *lines, *([f"  and {', '.join(others)}"] if others else [])])


def say_time(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _of(run: FlowRun) -> str:
    return f" ({run.deployment})" if run.deployment else ""
