"""The writer: what a search records, written beside it by one thread, so that no fit waits for a disk or a server."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Collection

from tasks.trials.stores import Told

Sink = Callable[[Told], None]
TRY_SECONDS = 60.0
MOST_WAITING = 20
"""Trials that may wait to be written while all goes well: about a second's work, which is what a search then overruns its time by."""
log = logging.getLogger("evertune")


class Writer:
    """Hands each trial to every sink, in order. A sink that fails is tried again for a minute and then given up.

    The search goes on without it: `close` raises what it failed with, once everything else is written.
    """

    def __init__(
        self, sinks: dict[str, Sink], passing: Callable[[Exception], bool], needed: Collection[str], try_seconds: float = TRY_SECONDS
    ) -> None:
        """`passing` says whether an error may go away by itself, like that of a server that restarts.

        What a sink misses that is not `needed` is written later by somebody else, who will say so if it still cannot be.
        """
        self._sinks, self._passing, self._try_seconds = sinks, passing, try_seconds
        self._needed = needed
        self._waiting: queue.Queue[Told | None] = queue.Queue()
        self._failed: dict[str, Exception] = {}
        self._going_well = True
        self._thread = threading.Thread(target=self._write, name="evertune-writer", daemon=True)
        self._thread.start()

    def put(self, told: Told) -> None:
        """Leave a trial to be written. Waits where trials end faster than they can be written, never for a store that is away."""
        self._waiting.put(told)
        while self._waiting.qsize() > MOST_WAITING and self._going_well:
            time.sleep(0.01)

    def close(self) -> None:
        """Wait until everything is written. Raises the first error of a needed sink that was given up, and of any that has a bug."""
        self._waiting.put(None)
        self._thread.join()
        for name, error in self._failed.items():
            if name in self._needed or not self._passing(error):
                raise error

    def _write(self) -> None:
        while (told := self._waiting.get()) is not None:
            for name, sink in self._sinks.items():
                if name not in self._failed:
                    self._try(name, sink, told)

    def _try(self, name: str, sink: Sink, told: Told) -> None:
        deadline, pause = time.monotonic() + self._try_seconds, 0.5
        while True:
            try:
                sink(told)
                self._going_well = True
                return
            except Exception as error:
                self._going_well = False
                if not self._passing(error) or time.monotonic() + pause > deadline:
                    log.error("trial %d could not be written to %s, nor will those after it be: %s", told.trial.number, name, error)
                    self._failed[name] = error
                    return
                log.warning("trial %d: %s does not answer (%s), tried again", told.trial.number, name, str(error).splitlines()[0])
            time.sleep(pause)
            pause = min(2 * pause, 8.0)
