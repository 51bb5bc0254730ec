"""A deployed retrain by a real worker, and somebody who is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from flows.deploying.registering import register
from tasks.homes import Home
from tests.flows.notices.sinks import HttpSink, http_sink
from tests.operation import ROOT, Operated, Worker, ask, await_run
from tests.small import at_day, small_config

pytestmark = pytest.mark.flow
STAGES = {"tuning": {"when": "never"}, "validation": {"min_rows": 50, "rewritten": "off", "leakage": {"action": "off"}}}
EVERYTHING = ["promoted", "kept", "asked", "failed", "data_rejected"]


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with http_sink() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in a folder of its own, which is the working directory."""
    place = tmp_path / "checkout"
    place.mkdir()
    (place / "flows").symlink_to(ROOT / "flows")
    monkeypatch.chdir(place)
    return place


class Deployed:
    """The deployments of one config, as `evertune deploy` makes them."""

    def __init__(self, operated: Operated, config: Path, name: str) -> None:
        self.api_url, self.name = operated.api_url, name
        register([config], operated.api_url, name)

    def id_of(self, flow: str) -> str:
        return str(ask(f"{self.api_url}/deployments/name/{flow}/{self.name}")["id"])

    def start(self, flow: str, **parameters: Any) -> str:
        return str(ask(f"{self.api_url}/deployments/{self.id_of(flow)}/create_flow_run", {"parameters": parameters})["id"])

    def run(self, flow: str, **parameters: Any) -> Any:
        """Have the worker run it; its final state."""
        return await_run(self.api_url, self.start(flow, **parameters))["state"]


def test_a_run_that_asks_is_told_once_before_its_answer_and_once_after_it_and_a_failed_one_too(
    operated: Operated, worker: Worker, store: Home, folder: Path, sink: HttpSink
) -> None:
    name = f"asking-{uuid4().hex[:8]}"
    notify = [{"to": "webhook", "url": sink.address, "on": EVERYTHING}]
    config = small_config(folder, name=name, operation={"notify": notify}, **STAGES)
    deployed = Deployed(operated, config, name)
    worker(name)
    run = deployed.start("retrain", as_of=at_day(120).isoformat(), promote="ask")
    assert await_run(operated.api_url, run, states={"PAUSED", "FAILED", "CRASHED"})["state"]["name"] == "Suspended"
    answer = {"run_input": {"decision": "approve", "who": "Ada"}}
    assert ask(f"{operated.api_url}/flow_runs/{run}/resume", answer)["status"] == "ACCEPT"
    assert await_run(operated.api_url, run)["state"]["name"] == "Promoted"
    (folder / "table.csv").unlink()
    assert deployed.run("retrain")["type"] == "FAILED"
    told = [(body["event"], body["prefect_flow_run_id"] == run) for body in sink.bodies]
    assert told == [("asked", True), ("promoted", True), (sink.bodies[-1]["event"], False)]
    assert sink.bodies[-1]["event"] in ("failed", "data_rejected")
    assert "approved by Ada" in sink.bodies[1]["reason"]
