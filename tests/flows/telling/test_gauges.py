"""System metrics on a run, by MLflow's own monitor."""

from __future__ import annotations

import logging
import time

import pytest

import flows.telling.gauges
from flows.telling.gauges import TALKATIVE, gauges
from tasks.homes import Home
from tasks.stage import Timing
from tasks.tracking import connect, open_run


def test_a_run_has_the_machines_metrics_and_nothing_is_said(
    store: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(flows.telling.gauges, "SECONDS", 0.05)
    before = logging.getLogger(TALKATIVE).level
    with open_run(connect(store, "shop"), "shop", {}, Timing()) as run:
        with gauges(run):
            time.sleep(0.5)
            run.metrics({"log_loss": 0.4})
        found = run.client.get_run(run.id).data.metrics
        history = run.client.get_metric_history(run.id, "system/cpu_utilization_percentage")
    names = {"cpu_utilization_percentage", "system_memory_usage_megabytes", "system_memory_usage_percentage"}
    assert {name for name in found if "gpu" not in name} == {"log_loss", *(f"system/{name}" for name in names)}
    assert next(iter(found)) == "log_loss"
    assert [point.step for point in history] == list(range(len(history)))
    assert len(history) >= 2
    assert capfd.readouterr().err == ""
    assert logging.getLogger(TALKATIVE).level == before


def test_an_error_passes_through_and_a_short_run_has_none_of_it(store: Home) -> None:
    began = time.perf_counter()
    with open_run(connect(store, "shop"), "shop", {}, Timing()) as run:
        with pytest.raises(KeyError), gauges(run):
            raise KeyError("x")
        assert run.client.get_run(run.id).data.metrics == {}
    assert time.perf_counter() - began < 4
