"""Versions: what the registry holds of a model, and the version that a retrain registers."""

from __future__ import annotations

from typing import Any

from tasks.tracking import Tracker

ALIAS = "champion"


def find_version(tracker: Tracker, name: str, identity: str) -> str | None:
    """The version that a retrain of the same identity registered, if it got that far."""
    return next(
        (str(version.version) for version in _versions(tracker, name)[1] if version.tags.get("evertune.identity") == identity), None
    )


def register(tracker: Tracker, name: str, uri: str, run_id: str, tags: dict[str, Any], identity: str) -> str:
    """A version for this identity: the one that is there already, else a new one."""
    from mlflow.exceptions import MlflowException

    known = find_version(tracker, name, identity)
    if known is not None:
        return known
    try:
        tracker.client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    every = {key: str(value) for key, value in {**tags, "evertune.identity": identity}.items()}
    return str(tracker.client.create_model_version(name, uri, run_id=run_id, tags=every, model_id=uri.removeprefix("models:/")).version)


def current_version(tracker: Tracker, name: str) -> str | None:
    """The version that the alias points at now."""
    return _versions(tracker, name)[0]


def _versions(tracker: Tracker, name: str) -> tuple[str | None, list[Any]]:
    """The version that the alias points at, and every version, the newest first."""
    from mlflow.exceptions import MlflowException

    try:
        aliases = tracker.client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None, []
        raise
    found = tracker.client.search_model_versions(f"name = '{name}'", max_results=10_000)
    live = aliases.get(ALIAS)
    return None if live is None else str(live), sorted(found, key=lambda version: -int(version.version))
