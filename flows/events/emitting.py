"""What Evertune tells Prefect's event feed: for our own automations, and for those of whoever wants to react."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from configs.schema import RetrainConfig
from tasks.artifacts import plain_value
from tasks.records import Result
from tasks.stage import inside_flow
from tasks.wording import clean

NEW_DATA, DRIFT, DECAY, OLD = "evertune.data.new", "evertune.drift", "evertune.decay", "evertune.champion.old"
PROMOTED = "evertune.champion.promoted"
"""Another version is the champion, whoever made it that: a retrain, an answer, a command."""
CONFIG_LABEL = "evertune.config"
"""Label of the resource: the config's name. Two configs may retrain one model, and each listens to its own."""
LONGEST_REASON = 1000
"""A reason becomes the note of the retrain that it sets off, which has its own limit."""
log = logging.getLogger("evertune")


def emit_verdict(result: Result) -> None:
    """`evertune.retrain.<verdict>` of the resource `evertune.model.<name>`, and `evertune.champion.promoted` where the alias moved."""
    told = {
        "model": result.model,
        "version": result.version,
        "verdict": result.verdict,
        "reason": result.reason,
        "as_of": result.as_of,
        "tuned": result.tuned,
        "metric": result.metric,
        "mlflow_run_id": result.mlflow_run_id,
        "prefect_flow_run_id": result.prefect_flow_run_id,
        "links": result.look,
    }
    emit(f"evertune.retrain.{result.verdict}", result.model, told)
    if result.verdict == "promoted":
        emit(PROMOTED, result.model, told)


def emit_for(config: RetrainConfig, event: str, payload: Mapping[str, Any]) -> bool:
    """An event about the model of this config, which its automations listen to."""
    return emit(event, config.model_name, {"model": config.model_name, **payload}, {CONFIG_LABEL: config.name})


def emit(event: str, model: str, payload: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> bool:
    """Hand an event to Prefect's client, which sends it in the background. False where that was not taken: outside a flow, and,
    with a word in the log, where Prefect refuses. Never raises: an event that is lost must not cost a retrain.
    """
    if not inside_flow():
        return False
    from prefect.events import emit_event

    try:
        sent = emit_event(event=event, resource=_resource(model) | dict(labels or {}), payload=_json_safe(payload))
    except Exception as error:  # whatever class Prefect's client chose
        log.warning("the event %s of %s could not be sent: %s: %s", event, model, type(error).__name__, error)
        return False
    if sent is None:  # it has logged why
        log.warning("the event %s of %s could not be sent", event, model)
    return sent is not None


def post(event: str, model: str, payload: Mapping[str, Any], api_url: str) -> None:
    """The same from outside a flow, and at once. Raises what Prefect's client raises."""
    from prefect.client.orchestration import get_client
    from prefect.events import Event
    from prefect.settings import PREFECT_API_URL, temporary_settings

    content = Event(event=event, resource=_resource(model), payload=_json_safe(payload))
    with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
        client.request("POST", "/events", json=[content.model_dump(mode="json")])


def resource_of(model: str) -> str:
    """The id of the model's resource in Prefect."""
    return f"evertune.model.{model}"


def _resource(model: str) -> dict[str, str]:
    return {"prefect.resource.id": resource_of(model), "prefect.resource.name": model}


def _json_safe(value: Any) -> Any:
    """Mappings and lists of plain values; texts are one clean line each."""
    if isinstance(value, Mapping):
        return {str(key): _json_safe(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_json_safe(below) for below in value]
    return clean(value, LONGEST_REASON) if isinstance(value, str) else plain_value(value)
