"""Live progress of a search: a line on the terminal, or now and then a line in the log; inside a flow a Prefect artifact too.

The search's loop only leaves its standing here; a thread of its own looks at it, draws and publishes. Whatever goes
wrong with a picture of a search is a warning, never the search's problem.
"""

from __future__ import annotations

import contextvars
import logging
import math
import sys
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from flows.telling.terminal import LiveLine
from tasks.artifacts import ProgressArtifact
from tasks.settings import TuningSettings
from tasks.wording import say_count, say_duration, say_number

if TYPE_CHECKING:
    from tasks.trials.search import Standing

DRAW_SECONDS, PUBLISH_SECONDS = 0.2, 1.0
LOG_SECONDS, NEWS_SECONDS = 30.0, 5.0
"""Without a terminal: a line at least this often, and at a new best at most this often."""
log = logging.getLogger("evertune")


@dataclass(frozen=True)
class Words:
    """A standing in words, and how much of the nearest limit is used up (0 to 1; None without a limit)."""

    counts: str
    best: str
    left: str
    share: float | None

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.counts, self.best, self.left)))


class Progress:
    """`with Progress(metric, settings) as progress: ... progress.update(standing)`. Nothing is shown before the first standing."""

    def __init__(self, metric: str, settings: TuningSettings, stream: TextIO | None = None) -> None:
        """`stream` is where the terminal is, if it is one; standard error when left out."""
        self._metric, self._settings = metric, settings
        self._line = LiveLine(stream or sys.stderr)
        self._artifact = ProgressArtifact("tuning-progress")
        self._standing: Standing | None = None
        self._since = self._published = self._logged = time.monotonic()
        self._told: int | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._watch,), name="evertune-progress", daemon=True)

    def update(self, standing: Standing) -> None:
        """Leave a standing to be shown. Takes no time, never raises, may be called from any thread."""
        self._since = time.monotonic()
        self._standing = standing

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave the terminal as it was, however the search ended; say where it got to."""
        self._ended.set()
        self._thread.join(timeout=5)
        if self._standing is not None:
            log.info("tuning %s: %s", "ended" if kind is None else "interrupted", self._words(self._standing, 0.0, ended=True))

    def _watch(self) -> None:
        try:
            while not self._ended.wait(DRAW_SECONDS):
                if self._standing is not None:
                    self._show(self._standing)
            self._line.close()
            if self._standing is not None:
                self._artifact.publish(100.0, str(self._words(self._standing, 0.0, ended=True)))
        except Exception as error:
            log.warning("the progress of the search cannot be shown any more: %s", error)
        finally:
            self._line.close()

    def _show(self, standing: Standing) -> None:
        now = time.monotonic()
        words = self._words(standing, now - self._since)
        if self._line.alive:
            self._line.draw([words.counts, words.best.replace(f"{self._metric} ", ""), words.left], words.share)
        elif self._has_news(standing, now):
            self._logged, self._told = now, standing.best.number if standing.best else None
            log.info("tuning: %s", words)
        if now - self._published >= PUBLISH_SECONDS:
            self._published = now
            self._artifact.publish(100 * (words.share or 0.0), str(words))

    def _has_news(self, standing: Standing, now: float) -> bool:
        new = standing.best is not None and standing.best.number != self._told
        return now - self._logged >= (NEWS_SECONDS if new else LOG_SECONDS)

    def _words(self, standing: Standing, since: float, ended: bool = False) -> Words:
        """`since`: seconds that have passed since this standing was left."""
        counts = {state: sum(trial.state == state for trial in standing.trials) for state in ("pruned", "failed")}
        told = [say_count(len(standing.trials), "trial"), *(f"{count} {state}" for state, count in counts.items() if count)]
        best = standing.best
        value = "" if best is None or best.value is None else say_number(best.value, zeros=True)
        return Words(
            counts=", ".join(told) + (f" in {say_duration(standing.elapsed)}" if ended else ""),
            best=f"best {self._metric} {value} (trial {best.number})" if best and value else "",
            left="" if ended else self._left(standing, since),
            share=self._share(standing, counts["failed"], since),
        )

    def _left(self, standing: Standing, since: float) -> str:
        seconds = None if standing.left is None else max(0.0, standing.left - since)
        trials = None if standing.most is None else max(0, standing.most - len(standing.trials))
        whole = "" if seconds is None else f"{math.ceil(seconds)} s" if seconds < 60 else say_duration(seconds)
        found = [whole, "" if trials is None else say_count(trials, "trial")]
        return " or ".join(filter(None, found)) + " left" if any(found) else ""

    def _share(self, standing: Standing, failed: int, since: float) -> float | None:
        """Of the limit that is nearest: of time, of trials, of failed trials."""
        elapsed = standing.elapsed + since
        shares = [] if standing.left is None else [elapsed / max(standing.elapsed + standing.left, 1e-9)]
        shares += [] if standing.most is None else [len(standing.trials) / standing.most]
        if shares and self._settings.failed_trials is not None:
            shares.append(failed / self._settings.failed_trials)
        return min(1.0, max(shares)) if shares else None
