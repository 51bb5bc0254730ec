"""A champion moved by a command: whoever deploys the model hears of it as of any promotion, on a real server and a real sink."""

from __future__ import annotations

import time
from typing import Any

import pytest
from mlflow import MlflowClient

from tests.flows.notices.sinks import http_sink
from tests.operation import Operated, ask
from tests.stores import Retrain

GATE = {"min_rows": 20, "rule": "superior", "confidence": 0.99999}


def events_of(api_url: str, event: str, model: str, expected: int) -> list[Any]:
    """The newest last. The server keeps events a moment later than it takes them."""
    wanted = {"event": {"name": [event]}, "resource": {"id": [f"evertune.model.{model}"]}, "order": "ASC"}
    deadline = time.monotonic() + 30
    while len(found := ask(f"{api_url}/events/filter", {"filter": wanted})["events"]) < expected and time.monotonic() < deadline:
        time.sleep(0.3)
    return found  # type: ignore[no-any-return]


def test_promote_and_rollback_by_hand_send_the_event_and_the_hook(
    operated: Operated, retrain_shop: Retrain, client: MlflowClient, evertune: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HOOK_TOKEN", "tok-123")
    with http_sink() as sink:
        hook = {"to": "webhook", "url": f"{sink.address}/hook", "token_env": "HOOK_TOKEN", "on": ["promoted"]}
        operation = {"notify": [hook]}
        retrain_shop(day=100, name="moved", operation=operation)
        assert retrain_shop(day=120, name="moved", operation=operation, gate=GATE).verdict == "ask"
        monkeypatch.setenv("PREFECT_API_URL", operated.api_url)
        assert evertune("promote", "moved", "--reason", "looked at it")[0] == 0
        assert evertune("promote", "moved", "2")[0] == 0  # is so already: nothing to tell
        assert evertune("rollback", "moved")[0] == 0
    told = [(body["event"], body["version"], body["details"]["act"], body["details"]["before"]) for body in sink.bodies]
    assert told == [("promoted", "2", "promoted", "1"), ("promoted", "1", "rolled back", "2")]
    assert "looked at it" in sink.bodies[0]["reason"]
    assert sink.bodies[1]["digest"] == client.get_model_version("moved", "1").tags["evertune.digest"]
    assert sink.received[0][1]["Authorization"] == "Bearer tok-123"
    events = events_of(operated.api_url, "evertune.champion.promoted", "moved", 2)
    assert [(event["payload"]["version"], event["payload"]["act"]) for event in events] == [("2", "promoted"), ("1", "rolled back")]


def test_a_move_stands_where_nobody_can_be_told(
    retrain_shop: Retrain, evertune: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hook = {"to": "webhook", "url": "http://127.0.0.1:9/hook", "on": ["promoted"], "timeout_seconds": 0.3}
    retrain_shop(day=100, operation={"notify": [hook]}, gate={"min_rows": 20, "margin": 0.05, "unsure": "promote"})
    retrain_shop(day=120, operation={"notify": [hook]}, gate=GATE)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert evertune("promote", "shop", "2")[0] == 0
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any("the event evertune.champion.promoted of shop could not be sent" in line for line in said)
    assert any("was not told (promoted)" in line for line in said)
