"""The model registry as commands open it: by a model's name, without a config."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from tasks.errors import ConfigError, EvertuneError, ServiceUnavailable

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from tasks.homes import Home
    from tasks.leases import Lease
    from tasks.registry import Entry
    from tasks.tracking import Tracker

LEASE_SECONDS = 30.0


@dataclass(frozen=True)
class Review:
    """One model under its lease, repaired, as the registry had it then; `by` is who reviews it."""

    tracker: Tracker
    name: str
    lease: Lease
    entry: Entry
    by: str

    def find(self, version: str) -> Any:
        """The version. Raises ConfigError."""
        found = self.entry.find(version)
        if found is None:
            numbers = ", ".join(str(other.version) for other in reversed(self.entry.versions))
            raise ConfigError(f"model {self.name} has no version {version}; there are: {numbers}")
        return found


@contextmanager
def hold_model(name: str, command: str, seize: bool = False) -> Iterator[Review]:
    """The model of that name, held while the body runs.

    Raises ConfigError for an unknown name, Conflict while a retrain or another command holds it (which `seize` ends),
    ServiceUnavailable.
    """
    from flows.services.preflight import studies_url
    from tasks.leases import hold_lease
    from tasks.registry import read_entry, repair_aliases

    by = reviewer()
    with open_registry() as (tracker, home):
        if not read_entry(tracker, name).versions:
            raise unknown_model(tracker, name)
        home.prepare()
        with hold_lease(studies_url(home), name, LEASE_SECONDS, f"{command} by {by}", seize) as lease:
            repair_aliases(tracker, name, lease)
            yield Review(tracker, name, lease, read_entry(tracker, name), by)


@contextmanager
def open_registry() -> Iterator[tuple[Tracker, Home]]:
    """The registry that retrains here write to, and this home; none is made where there is none.

    Raises ConfigError where there is none, ServiceUnavailable when it does not answer, also in mid-body.
    """
    from tasks.homes import DEFAULT, VARIABLE, Home, first_access

    home, given = Home.named(os.environ.get(VARIABLE) or DEFAULT), os.environ.get("MLFLOW_TRACKING_URI")
    if not given and not (home.root / "mlflow.db").exists():
        raise ConfigError(
            f"there is no model registry in {home.root}; run this where you retrain, or set {VARIABLE} or MLFLOW_TRACKING_URI"
        )
    _require_mlflow()
    import mlflow

    from tasks.patience import PatientClient, outage_of
    from tasks.tracking import Tracker, service_fault

    uri = given or home.mlflow_url
    try:
        with nullcontext() if given else first_access(home):
            mlflow.set_tracking_uri(uri)
            client = mlflow.MlflowClient()
        yield Tracker(cast("MlflowClient", PatientClient(client, outage_of(uri))), "", uri), home
    except EvertuneError:
        raise
    except Exception as error:
        foreseen = service_fault(error)
        if foreseen is None:
            raise
        raise foreseen from error


def reviewer() -> str:
    """Who we are, as user@host."""
    try:
        return f"{getpass.getuser()}@{platform.node()}"
    except (KeyError, OSError):  # a user without a name, as containers have them
        return f"{os.getuid()}@{platform.node()}"


def unknown_model(tracker: Tracker, name: str) -> ConfigError:
    """That there is no such model, and which are near."""
    from tasks.wording import did_you_mean

    names = [model.name for model in tracker.client.search_registered_models(max_results=1000)]
    there = f"there are: {', '.join(names[:20])}" if names else "none was registered yet"
    return ConfigError(f"there is no model {name!r} ({did_you_mean(name, names) or there})")


def _require_mlflow() -> None:
    """Ask MLflow's server, where the environment names one, and limit how long its client will wait later."""
    from flows.services.preflight import MLFLOW_LIMITS, ask_all, mlflow_service

    for variable, value in MLFLOW_LIMITS.items():
        os.environ.setdefault(variable, value)
    service = mlflow_service(os.environ)
    faults = ask_all([service]) if service else []
    if faults:
        raise ServiceUnavailable("\n".join(faults))
