"""What a Prefect run shows: values its page can show, the best trials first, the verdict in the list."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.artifacts import plain_value, publish_link, publish_report, publish_table, publish_trials
from tasks.reporting import render
from tasks.reports.iterations import say_search, trial_lines
from tests import stories
from tests.searches import make_search


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.float64(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (math.inf, "inf"),
        (np.float32("nan"), "nan"),
        (None, None),
        (datetime(2013, 10, 1, tzinfo=UTC), "2013-10-01 00:00:00+00:00"),
        (pd.Timestamp("2013-10-01"), "2013-10-01 00:00:00"),
        ("a\x1b[31m\nb", "a b"),
    ],
)
def test_values_become_what_a_page_can_show(value: Any, shown: Any) -> None:
    assert plain_value(value) == shown
    json.dumps(plain_value(value), allow_nan=False)


def test_trials_are_listed_the_best_first_and_those_without_a_score_last() -> None:
    search = make_search(40, families=2)
    lines = trial_lines(search)
    scores = [line["log_loss"] for line in lines]
    known = [score for score in scores if score is not None]
    assert known == sorted(known)
    assert scores[len(known) :] == [None] * (len(scores) - len(known))
    assert (lines[0]["marked"], lines[1]["marked"]) == ("best", "chosen")
    assert len({tuple(line) for line in lines}) == 1
    assert {"family", "error", "settings"} <= set(lines[0])
    assert "family" not in trial_lines(make_search(10))[0]


def test_a_search_is_said_in_one_line() -> None:
    search = make_search(40)
    assert search.chosen is not None
    ended = f"; chosen: trial {search.chosen.number} with log_loss {search.chosen.value:.4f}"
    assert say_search(search).endswith(ended)
    assert say_search(make_search(1)).startswith("1 trial (1 finished) in ")


@pytest.mark.flow
def test_a_run_has_its_tables_its_report_and_its_link(prefect_server: str) -> None:
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
    from prefect.runtime import flow_run

    story = stories.asked()
    assert story.search is not None
    search = story.search

    @flow(name="artifacts", persist_result=False)
    def publish() -> Any:
        publish_table("odd", [{"a": math.inf, "b": np.int64(1), "c": pd.Timestamp("2013-10-01")}], "odd values")
        publish_trials(search)
        publish_report(render(story, {}), story.result)
        publish_link("mlflow", "http://127.0.0.1:5000/#/x", "The MLflow run")
        return flow_run.id

    run = publish()
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run])))
    kept = {artifact.key: artifact for artifact in found}
    assert json.loads(str(kept["odd"].data)) == [{"a": "inf", "b": 1, "c": "2013-10-01 00:00:00"}]
    assert len(json.loads(str(kept["trials"].data))) == len(search.trials)
    assert str(kept["report"].description).startswith("Undecided: rmse 59.04 against the champion's 57.73")
    assert "evertune promote tumours 4" in str(kept["report"].data)
    assert kept["mlflow"].description == "http://127.0.0.1:5000/#/x"
