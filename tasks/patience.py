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
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tasks.errors import ServiceUnavailable
from tasks.sources.source import mask

WAIT_SECONDS = 60.0
"""How long one outage is waited for, by all calls together."""
REST_SECONDS = 10.0
"""After an outage was given up, each call is tried once for so long, and not at all where it would hang: a run ends soon."""
SAY_SECONDS = 5.0
SLOW_SECONDS, SLOW_AGAIN_SECONDS = 2.0, 30.0
"""An answer that takes longer than the first is said to be slow; not again before the second is over."""
PAUSES = (0.1, 0.5, 1.0)
"""Between tries; the last one from then on."""
PASSING = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED")
"""MLflow's words for 500 and 502, 503, 429 in its own answer and in that of a proxy before it, and 504."""
Answer = TypeVar("Answer")
log = logging.getLogger("evertune")


class Outage:
    """Whether one store answers, as all who ask it in this process find out together. Threads may share it."""

    def __init__(self, where: str, wait: float) -> None:
        self.where, self._wait = where, wait
        self._deadline: float | None = None
        self._rests_until, self._hangs = 0.0, False
        self._said = self._said_slow = 0.0
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
            self._refuse_to_hang()
            began = time.monotonic()
            try:
                found = made() if made and key in self._doubtful else None
                answer = function() if found is None else found
            except ServiceUnavailable:  # a call within this one has waited
                raise
            except Exception as error:
                if not is_passing(error):
                    self._note_answer()
                    raise
                if made and not is_refused(error):
                    self._doubtful.add(key)
                first = first or began
                self._bear(error, tries, began, first, patient)
                tries += 1
            else:
                self._doubtful.discard(key)
                self._note_answer(time.monotonic() - began)
                return answer

    def _bear(self, error: Exception, tries: int, began: float, first: float, patient: bool) -> None:
        """Wait a little. Raises ServiceUnavailable where nobody waits, and once the outage has been waited for long enough."""
        why = say_why(error)
        if not patient:
            raise ServiceUnavailable(f"{self.where} does not answer: {why}") from error
        pause, now = PAUSES[min(tries, len(PAUSES) - 1)], time.monotonic()
        with self._lock:
            self._deadline = self._deadline or began + self._wait
            left = min(self._deadline, first + self._wait) - now
            if now < self._rests_until:
                raise self._given_up(why) from error
            if left <= pause:
                self._rests_until, self._hangs = now + REST_SECONDS, now - began >= SLOW_SECONDS
                raise self._given_up(why) from error
            said = self._said
            silent = tries > 0 or now - began >= SAY_SECONDS  # a first try that fails at once may have met a connection closed long ago
            if silent and now - said >= SAY_SECONDS:
                self._said = now
                log.warning("waiting for %s, at most %.0f seconds more: %s", self.where, left, why)
        time.sleep(pause)

    def _refuse_to_hang(self) -> None:
        if self._hangs and time.monotonic() < self._rests_until:
            raise self._given_up("it was given up a moment ago")

    def _given_up(self, why: str) -> ServiceUnavailable:
        silent = f"{self.where} has not answered for {self._wait:.0f} seconds ({why})"
        return ServiceUnavailable(f"{silent}; run the same again once it is back: finished trials are kept")

    def begin(self) -> None:
        """A new run asks afresh, whatever an earlier one of this process gave up a moment ago."""
        with self._lock:
            self._deadline, self._rests_until, self._said = None, 0.0, 0.0

    def _note_answer(self, took: float = 0.0) -> None:
        now = time.monotonic()
        with self._lock:
            if self._deadline is not None and self._said:
                log.info("%s answers again", self.where)
            if took >= SLOW_SECONDS and now - self._said_slow >= SLOW_AGAIN_SECONDS:
                self._said_slow = now
                log.warning("%s is slow: %.0f seconds for one answer", self.where, took)
            self._deadline, self._said = None, 0.0


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


def find_logged_model(client: Any, experiment: str, *, source_run_id: str, **_: Any) -> Any | None:
    """The model that this run was about to write."""
    found = client.search_logged_models([experiment], f"source_run_id = '{source_run_id}'")
    return next((model for model in found if model.status == "PENDING"), None)


def find_outputs(client: Any, run_id: str, models: Sequence[Any]) -> bool | None:
    """Whether the run names these models as its own."""
    known = {output.model_id for output in client.get_run(run_id).outputs.model_outputs}
    return {model.model_id for model in models} <= known or None


FINDERS: dict[str, Callable[..., Any]] = {
    "create_run": find_run,
    "create_logged_model": find_logged_model,
    "log_outputs": find_outputs,
    "create_model_version": find_version,
}
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
