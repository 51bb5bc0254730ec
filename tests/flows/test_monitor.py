"""The monitor: a champion that decays is told, one that does not is not; each look adds a point to a curve."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from configs.reading import read_config
from flows.events.decays import Promotion, measure_decay
from flows.events.looks import say_decay
from flows.events.monitoring import Look, look_at_champion
from flows.monitor import monitor
from tasks.homes import Home
from tasks.metrics import METRICS
from tasks.records import Floats, Table
from tasks.settings import GateSettings
from tests.moving import A_DAY, TARGET, champion, rows_of_days, shop
from tests.small import at_day, small_config, small_table
from tests.stores import Retrain

GATE = GateSettings(min_rows=20)
OPERATION = {"events": {"decay": {"margin": 0.05}, "drift": {}}, "max_age": "1h"}


def decayed(table: Table, good_days: int, monkeypatch: pytest.MonkeyPatch, days: int = 20) -> Any:
    """The champion of day 20, which answers well on so many of the days after it, and by chance on the others."""
    rows = rows_of_days(20, 20 + days)
    table = replace(table, frame=table.frame.iloc[: rows[-1] + 1])
    truth = (table.frame["sold"] == "yes").to_numpy(dtype=np.float64)
    random = np.random.default_rng(0)
    sure = np.clip(np.where(truth == 1, 0.8, 0.2) + random.normal(0, 0.05, len(truth)), 0.01, 0.99)
    answers = np.where(np.arange(len(truth)) // A_DAY < 20 + good_days, sure, random.uniform(0.1, 0.9, len(truth)))
    then = METRICS["log_loss"].of(truth[rows], sure[rows])

    def answer(_: Any, __: Any) -> Any:
        return lambda frame: answers[frame.index]

    monkeypatch.setattr("flows.events.decays.champion_predictor", answer)
    return measure_decay(champion(), table, Promotion("log_loss", then, 15), 0.05, GATE)


def test_a_score_as_at_promotion_is_no_decay_and_a_worse_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    table = shop()
    assert table.columns.target == TARGET
    same, worse = decayed(table, 20, monkeypatch), decayed(table, 5, monkeypatch)
    assert (same.decayed, worse.decayed) == (False, True)
    assert same.low < 0 < worse.margin < worse.low < worse.difference
    assert "worse by" in say_decay(worse)


def test_too_few_rows_or_days_are_said_and_are_no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    few = decayed(shop(), 0, monkeypatch, days=3)
    assert (few.decayed, few.days) == (False, 3)
    assert "3 days say too little" in say_decay(few)
    none = measure_decay(champion(through_day=60), shop(), Promotion("log_loss", 0.3, 15), 0.05, GATE)
    assert "0 labelled rows later than" in none.note


def test_a_champion_without_change_is_rarely_called_decayed() -> None:
    """The error of both scores is in the interval: of 200 champions as good as ever, a few are told, not one in five."""
    from flows.events.decays import _standard_error

    random, alarms, days = np.random.default_rng(1), 0, 20
    for _ in range(200):
        hardness = random.normal(0, 0.3, 2 * days).repeat(20)
        truth: Floats = np.zeros(2 * days * 20)
        wrong = np.abs(random.normal(0, 1, len(truth))) + hardness
        then, now = wrong[: days * 20].mean(), wrong[days * 20 :]
        error, effective = _standard_error(truth[: days * 20], now - now.min(), METRICS["mae"], np.arange(days).repeat(20), None)
        alarms += now.mean() - then > 1.729 * error * np.sqrt(1 + effective / days)
    assert alarms <= 20


def look(folder: Path, days: int, table: pd.DataFrame) -> Look:
    path = small_config(folder, table, operation=OPERATION, validation={"min_rows": 50, "leakage": {"action": "off"}})
    return look_at_champion(read_config(path), at_day(days), lambda *_: True)


def test_a_champion_on_shifted_rows_is_told_with_drift_and_curves(retrain_shop: Retrain, store: Home, tmp_path: Path) -> None:
    assert retrain_shop(day=100, operation=OPERATION).verdict == "promoted"
    table = small_table(130)
    calm = look(tmp_path / "shop", 130, table)
    assert [alarm.occurrence for alarm in calm.alarms] == []
    assert "worse by" in calm.message or "better by" in calm.message
    late = table["day"] >= at_day(100).isoformat()
    shifted = table.assign(price=table["price"].where(~late, table["price"] + 3), sold=table["sold"].where(~late, 1 - table["sold"]))
    alarmed = look(tmp_path / "shop", 131, shifted)
    assert [alarm.occurrence for alarm in alarmed.alarms] == ["drift", "decay"]
    assert alarmed.name == "Drift, decay"
    assert "price" in alarmed.alarms[0].figures["columns"]
    client = MlflowClient(store.mlflow_url)
    (run,) = client.search_runs([client.get_experiment_by_name("shop").experiment_id], "tags.`evertune.kind` = 'monitor'")
    assert run.info.status == "FINISHED"
    assert len(client.get_metric_history(run.info.run_id, "log_loss")) == 2, "each look is a point of one curve"
    assert "has decayed" in run.data.tags["mlflow.note.content"]
    assert {"drift/column/price", "decay/worse_by_at_least", "champion/age_days"} <= set(run.data.metrics)


@pytest.mark.flow
@pytest.mark.usefixtures("prefect_server", "store")
def test_the_flow_says_that_there_is_no_champion(tmp_path: Path) -> None:
    state = monitor(str(small_config(tmp_path / "shop")), return_state=True)
    assert (state.type, state.name) == ("COMPLETED", "No champion")
    gone = monitor(str(tmp_path / "nowhere.yaml"), return_state=True)
    assert (gone.type, "no such file" in str(gone.message)) == ("FAILED", True)


def test_an_old_champion_is_told(retrain_shop: Retrain, tmp_path: Path) -> None:
    retrain_shop(day=100, operation=OPERATION)
    path = small_config(tmp_path / "shop", operation=OPERATION)
    found = look_at_champion(read_config(path), datetime.now(UTC) + timedelta(hours=2), lambda *_: True)
    assert "old" in [alarm.occurrence for alarm in found.alarms]
    assert "the limit is 1h" in found.message
