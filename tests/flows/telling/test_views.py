"""Addresses of MLflow's pages, and the saved view that the list of retrains opens with."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from flows.telling.links import Links, find_links
from flows.telling.views import TAG, WORKFLOW, ensure_view, find_views, trials_page, view_state
from tasks.homes import Home
from tasks.records import PastScore
from tasks.stage import Timing
from tasks.tracking import Run, connect, open_run
from tests import stories


@pytest.fixture
def run(store: Home) -> Any:
    with open_run(connect(store, "tumours"), "parent", {}, Timing()) as opened:
        yield opened


def asked(fragment: str) -> dict[str, list[str]]:
    return parse_qs(fragment.partition("?")[2])


def saved(run: Run, key: str) -> dict[str, Any]:
    """The state as MLflow's page unpacks it."""
    envelope = json.loads(run.client.get_experiment(run.tracker.experiment).tags[TAG + key])
    assert set(envelope) == {"name", "createdAt", "updatedAt", "state"}
    header, _, packed = envelope["state"].partition(";")
    assert header == "deflate"
    state: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return state


# the saved view


def test_the_view_holds_our_columns_and_retrains_alone(run: Run) -> None:
    state = saved(run, ensure_view(run.tracker, run.tracker.experiment, "log_loss"))
    assert state == view_state("log_loss")
    assert state["selectedColumns"][:3] == ["tags.`evertune.verdict`", "metrics.`log_loss`", "metrics.`champion/log_loss`"]
    assert state["searchFilter"] == "tags.`evertune.kind` = 'retrain'"
    assert set(state["columnWidths"]) == set(state["columnOrder"])


def test_the_view_is_written_once_and_repaired_when_it_is_not_as_it_should_be(run: Run) -> None:
    experiment, tag = run.tracker.experiment, TAG + ensure_view(run.tracker, run.tracker.experiment, "log_loss")
    written = run.client.get_experiment(experiment).tags[tag]
    assert ensure_view(run.tracker, experiment, "log_loss") == tag.removeprefix(TAG)
    assert run.client.get_experiment(experiment).tags[tag] == written
    for damaged in ("", "{}", "[]", '{"state": 3}', '{"state": "deflate;%%%"}', '{"state": "deflate;aGVsbG8="}'):
        run.client.set_experiment_tag(experiment, tag, damaged)
        ensure_view(run.tracker, experiment, "log_loss")
        assert saved(run, tag.removeprefix(TAG)) == view_state("log_loss")


def test_another_metric_is_another_view(run: Run) -> None:
    keys = {ensure_view(run.tracker, run.tracker.experiment, metric) for metric in ("log_loss", "rmse", "ndcg_at_3", "")}
    assert len(keys) == 4


def test_an_experiment_that_takes_no_tags_costs_the_columns_and_a_word(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    run.client.delete_experiment(run.tracker.experiment)
    assert ensure_view(run.tracker, run.tracker.experiment, "log_loss") == ""
    assert "opens without our columns" in caplog.text
    run.client.restore_experiment(run.tracker.experiment)


# addresses


def test_every_page_asks_for_the_machine_learning_workflow(run: Run) -> None:
    story = replace(stories.promoted(), past=(PastScore("2013-09-01", "kept", "3", "log_loss", 0.4, 0.4, "a" * 32),))
    views = find_views(run, story)
    for name, fragment in vars(views).items():
        assert fragment.startswith("#/"), name
        assert WORKFLOW in fragment, name


def test_the_list_asks_for_the_view_and_nothing_else_which_would_put_it_aside(run: Run) -> None:
    question = asked(find_views(run, stories.promoted()).retrains)
    assert set(question) == {"workflowType", "viewStateShareKey"}
    assert saved(run, question["viewStateShareKey"][0]) == view_state("log_loss")


def test_the_last_eight_retrains_are_compared_this_one_last(run: Run) -> None:
    past = tuple(PastScore(f"2013-{k:02d}-01", "kept", None, "log_loss", 0.4, 0.4, f"{k:032d}") for k in range(1, 12))
    question = asked(find_views(run, replace(stories.promoted(), past=past)).compare)
    assert json.loads(question["runs"][0]) == [*(one.run_id for one in past[-7:]), run.id]
    assert json.loads(question["experiments"][0]) == [run.tracker.experiment]


def test_what_did_not_happen_has_no_page(run: Run) -> None:
    views = find_views(run, replace(stories.data_rejected(), past=()))
    assert (views.compare, views.trials, views.plots, views.version, views.model) == ("", "", "", "", "")


@pytest.mark.parametrize(("metric", "ascending"), [("log_loss", "true"), ("roc_auc", "false"), ("ndcg_at_3", "false")])
def test_the_page_of_the_trials_asks_for_the_best_first(metric: str, ascending: str) -> None:
    question = asked(trials_page("1", "abc", metric))
    assert question["searchFilter"] == ["tags.`mlflow.parentRunId` = 'abc'"]
    assert (question["orderByKey"], question["orderByAsc"]) == ([f"metrics.`{metric}`"], [ascending])
    assert question["compareRunsMode"] == ["CHART"]


def test_a_name_with_a_slash_stays_one_part_of_the_address(run: Run) -> None:
    story = stories.promoted()
    views = find_views(run, replace(story, result=replace(story.result, model="a/b ?#c")))
    assert views.model.startswith("#/models/a%2Fb%20%3F%23c?")


def test_the_summary_names_each_page_on_a_line_of_its_own(run: Run, store: Home) -> None:
    links = find_links(store, run, None)
    look = links.to_look(find_views(run, stories.searched()))
    assert list(look) == ["MLflow", "retrains", "compare", "trials", "pages"]
    for name in ("MLflow", "retrains", "compare", "trials"):
        assert look[name].startswith("http://127.0.0.1:5000/#/")
        assert urlsplit(look[name]).geturl() == look[name]
        assert not any(character in look[name] for character in " <>\"'`[]{}")


def test_a_page_lies_behind_the_server_the_run_is_on() -> None:
    links = Links("https://ml.example.org/prefix/#/experiments/1/runs/a?workflowType=machine_learning", None, False)
    assert links.behind("#/models/shop") == "https://ml.example.org/prefix/#/models/shop"
