"""Patience with MLflow: a store that is away is waited for, a minute an outage at most, and what is asked twice is done once.

MLflow's own client waits four minutes for each call, says nothing meanwhile, and repeats what must not be repeated: a run
whose answer was lost is created again. Its retries are turned off (`MLFLOW_LIMITS` of flows.services.preflight); these
stand in for them.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tasks.errors import ServiceUnavailable
from tasks.sources.source import mask

WAIT_SECONDS = 60.0
"""How long one outage is waited for, by all calls together."""
REST_SECONDS = 10.0
"""After an outage was given up, calls are refused unasked for so long: what is still to be said at a run's end costs nothing."""
SAY_SECONDS = 5.0
PAUSES = (0.1, 0.5, 1.0)
"""Between tries; the last one from then on."""
PASSING = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED")
Answer = TypeVar("Answer")
log = logging.getLogger("evertune")


class Outage:
    """Whether one store answers, as all who ask it in this process find out together. Threads may share it."""

    def __init__(self, where: str, wait: float) -> None:
        self.where, self._wait = where, wait
        self._deadline: float | None = None
        self._refused_until = 0.0
        self._said = 0.0
        self._doubtful: set[str] = set()
        self._lock = threading.Lock()

    def ask(
        self, function: Callable[[], Answer], patient: bool = True, made: Callable[[], Answer | None] | None = None, key: str = ""
    ) -> Answer:
        """What the function returns, asked again while its store is away; without patience it is asked once.

        Given up, too, when it alone has failed for so long, while others are answered.

        For what must not be made twice: `made` finds what an earlier try of the same `key` has made without our hearing of it.
        Raises ServiceUnavailable, and whatever else the function raises.
        """
        tries, first = 0, 0.0
        while True:
            self._refuse_at_rest()
            try:
                found = made() if made and key in self._doubtful else None
                answer = function() if found is None else found
            except ServiceUnavailable:  # a call within this one has waited
                raise
            except Exception as error:
                if not is_passing(error):
                    self.note_answer()
                    raise
                if made and not is_refused(error):
                    self._doubtful.add(key)
                first = first or time.monotonic()
                self._bear(error, tries, first, patient)
                tries += 1
            else:
                self._doubtful.discard(key)
                self.note_answer()
                return answer

    def _bear(self, error: Exception, tries: int, first: float, patient: bool) -> None:
        """Wait a little. Raises ServiceUnavailable where nobody waits, and once the outage has been waited for long enough."""
        why = say_why(error)
        if not patient:
            raise ServiceUnavailable(f"{self.where} does not answer: {why}") from error
        pause, now = PAUSES[min(tries, len(PAUSES) - 1)], time.monotonic()
        with self._lock:
            self._deadline = self._deadline or now + self._wait
            left = min(self._deadline, first + self._wait) - now
            if left <= pause:
                if self._deadline <= now + pause:  # else others are answered
                    self._refused_until = now + REST_SECONDS
                raise self._given_up(why) from error
            said = self._said
            if tries and now - said >= SAY_SECONDS:  # the first try may have met a connection that was closed long ago
                self._said = now
                log.warning("waiting for %s, at most %.0f seconds more: %s", self.where, left, why)
        time.sleep(pause)

    def _refuse_at_rest(self) -> None:
        if time.monotonic() < self._refused_until:
            raise self._given_up("it was given up a moment ago")

    def _given_up(self, why: str) -> ServiceUnavailable:
        silent = f"{self.where} has not answered for {self._wait:.0f} seconds ({why})"
        return ServiceUnavailable(f"{silent}; run the same again once it is back: finished trials are kept")

    def note_answer(self) -> None:
        """It was heard: what was given up a moment ago is asked again."""
        with self._lock:
            if self._deadline is not None and self._said:
                log.info("%s answers again", self.where)
            self._deadline, self._refused_until, self._said = None, 0.0, 0.0


@functools.cache
def outage_of(uri: str) -> Outage:
    """The one of this process's that is about this store."""
    return Outage(f"MLflow at {mask(uri)}", WAIT_SECONDS)


class PatientClient:
    """MLflow's client, each of its calls made through an outage. `patient=False`: each call is tried once."""

    def __init__(self, client: Any, outage: Outage, patient: bool = True) -> None:
        self._client, self._outage, self._patient = client, outage, patient

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return functools.partial(self._call, name, found) if callable(found) and not name.startswith("_") else found

    def _call(self, name: str, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        finder = FINDERS.get(name)
        made = functools.partial(finder, self._client, *args, **kwargs) if finder else None
        return self._outage.ask(functools.partial(method, *args, **kwargs), self._patient, made, f"{name} {args} {sorted(kwargs.items())}")

    @staticmethod
    def impatient(client: Any) -> Any:
        """The same client without patience; one that never had any is returned as it is."""
        return PatientClient(client._client, client._outage, patient=False) if isinstance(client, PatientClient) else client


def find_run(client: Any, experiment: str, *, start_time: int, tags: dict[str, str], **_: Any) -> Any | None:
    """The run that was created with this start (milliseconds) and these tags."""
    for run in client.search_runs([experiment], f"attributes.start_time = {start_time}"):
        if tags.items() <= run.data.tags.items():
            return run
    return None


def find_version(client: Any, name: str, source: str, run_id: str | None = None, **_: Any) -> Any | None:
    """The version that was registered of this source."""
    found = client.search_model_versions(f"run_id = '{run_id}'", max_results=1000)
    return next((version for version in found if version.name == name and version.source == source), None)


FINDERS: dict[str, Callable[..., Any]] = {"create_run": find_run, "create_model_version": find_version}
"""Of what must not be made twice: how it is found when the answer was lost. All else that we ask for may be asked for again."""


def is_passing(error: BaseException) -> bool:
    """Whether an error of MLflow's, or of a database behind it, may go away by itself, as that of a server that restarts does."""
    from mlflow.exceptions import MlflowException
    from requests import HTTPError, RequestException
    from sqlalchemy.exc import InterfaceError, OperationalError

    if isinstance(error, MlflowException):
        return error.error_code in PASSING
    if isinstance(error, HTTPError) and error.response is not None:
        return error.response.status_code in (408, 429) or error.response.status_code >= 500
    return isinstance(error, RequestException | OperationalError | InterfaceError | ConnectionError)


def is_refused(error: BaseException) -> bool:
    """Whether the server was never reached, so that nothing can have come of the call."""
    from urllib3.exceptions import NewConnectionError

    return isinstance(_network_fault(error), NewConnectionError)


def say_why(error: BaseException) -> str:
    """The reason in one line: the network's own words, without the address, where it is the network's fault."""
    fault = _network_fault(error)
    said = mask(str(fault or error)).partition("\n")[0][:300]
    return said if fault is None else said.partition("): ")[2] or said


def _network_fault(error: BaseException) -> BaseException | None:
    """What urllib3 says of a call that MLflow, and requests, have wrapped twice; MLflow does not name it as the cause."""
    from urllib3.exceptions import MaxRetryError

    inner = error if isinstance(error, OSError) else error.__cause__ or error.__context__
    wrapped = inner.args[0] if inner is not None and inner.args else None
    return wrapped.reason if isinstance(wrapped, MaxRetryError) else None
