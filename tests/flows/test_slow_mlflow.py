"""MLflow that is slow, answers 500 or 429, loses answers or cuts uploads: what is written is there once, and whole."""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

import tasks.patience
from flows.services.pages import start_mlflow
from flows.services.preflight import MLFLOW_LIMITS
from flows.services.servers import free_socket
from tasks.errors import ServiceUnavailable
from tasks.homes import Home
from tests.proxies import Rule, proxy
from tests.stores import Retrain

PATIENCE = 4.0
SEARCH: dict[str, Any] = {"trials": 6, "minutes": None}
NO_SEARCH = {"when": "never"}
Behind = Callable[[Rule], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Iterator[tuple[Home, int]]:
    """MLflow's real server on a store of this file's tests, each of which retrains a model of its own name."""
    home = Home.named(tmp_path_factory.mktemp("served"))
    home.prepare()
    shutil.copy(migrated_store, home.root / "mlflow.db")
    with free_socket() as listener:
        port = listener.getsockname()[1]
    child = start_mlflow(home, port)
    child.wait_until_healthy(f"http://127.0.0.1:{port}/health", 180)
    yield home, port
    child.stop()


@pytest.fixture
def shown(server: tuple[Home, int]) -> MlflowClient:
    """The server itself, asked past any proxy."""
    return MlflowClient(f"http://127.0.0.1:{server[1]}")


@pytest.fixture
def behind(server: tuple[Home, int], store: Home, monkeypatch: pytest.MonkeyPatch) -> Behind:
    """A proxy before the server, which the environment names, with the client's limits as `evertune run` has them."""
    for name, value in MLFLOW_LIMITS.items():
        monkeypatch.setenv(name, value)

    @contextmanager
    def stand(rule: Rule) -> Iterator[None]:
        with proxy(server[1], rule) as address:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
            yield

    return stand


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow is waited for a few seconds instead of a minute."""
    monkeypatch.setattr(tasks.patience, "WAIT_SECONDS", PATIENCE)


def undisturbed(method: str, path: str) -> str:
    return ""


def at_the_start(path: str) -> bool:
    """What is asked before anything is done, where nothing is waited for."""
    return path == "/health" or "experiments/" in path


def runs(shown: MlflowClient, name: str, kind: str) -> list[Any]:
    experiment = shown.get_experiment_by_name(name)
    assert experiment is not None
    return list(shown.search_runs([experiment.experiment_id], f"tags.`evertune.kind` = '{kind}'"))


def require_all_there_once(shown: MlflowClient, name: str, trials: int) -> None:
    """One run that ended, each trial and each point once, one whole model, one version, live."""
    (parent,) = runs(shown, name, "retrain")
    assert parent.info.status == "FINISHED"
    children = runs(shown, name, "trial")
    assert sorted(int(run.data.tags["evertune.trial"]) for run in children) == list(range(trials))
    assert {run.info.status for run in children} <= {"FINISHED", "KILLED"}
    for run in (parent, *children):
        for metric in run.data.metrics:
            steps = Counter(point.step for point in shown.get_metric_history(run.info.run_id, metric))
            assert set(steps.values()) == {1}, metric
    written = {file.path for file in shown.list_artifacts(parent.info.run_id)}
    assert {"report.html", "report.md", "gate.json", "summary.json"} <= written
    assert [model.status for model in shown.search_logged_models([parent.info.experiment_id])] == ["READY"]
    assert len(parent.outputs.model_outputs) == 1
    assert [str(version.version) for version in shown.search_model_versions(f"name = '{name}'")] == ["1"]
    assert shown.get_registered_model(name).aliases == {"champion": "1"}


def test_requests_that_are_refused_cost_nothing(retrain_shop: Retrain, behind: Behind, shown: MlflowClient) -> None:
    """Every third one that writes, all the time, and every file that is read within two seconds; by turns with 500 and 429."""
    writes, first_read = Counter[str](), list[float]()

    def refuse(method: str, path: str) -> str:
        if at_the_start(path):
            return ""
        if method == "GET" and "artifacts/" in path:
            first_read.append(time.monotonic())
            return "429" if time.monotonic() - first_read[0] < 2 else ""
        writes["all"] += method != "GET"
        return ("500", "429")[writes["all"] % 2] if method != "GET" and writes["all"] % 3 == 0 else ""

    with behind(refuse):
        assert retrain_shop(name="refused", tuning=SEARCH).verdict == "promoted"
    require_all_there_once(shown, "refused", 6)


def test_whatever_answer_is_lost_nothing_is_there_twice(retrain_shop: Retrain, behind: Behind, shown: MlflowClient) -> None:
    """The first and the fourth answer of every kind of request that writes."""
    asked = Counter[str]()

    def lose(method: str, path: str) -> str:
        kind = "artifact" if "artifacts/" in path else path
        if method == "GET" or at_the_start(path) or path.endswith("search"):
            return ""
        asked[kind] += 1
        return "lose" if asked[kind] in (1, 4) else ""

    with behind(lose):
        assert retrain_shop(name="lost", tuning=SEARCH).verdict == "promoted"
    assert {path.partition("mlflow/")[2] for path in asked} >= {
        "runs/create", "runs/log-batch", "runs/update", "runs/outputs", "logged-models", "registered-models/create",
        "model-versions/create", "registered-models/alias",
    }, asked  # fmt: skip
    require_all_there_once(shown, "lost", 6)


@pytest.mark.parametrize("how", ["cut", "halve"])
def test_a_model_whose_upload_is_cut_is_never_a_version_and_the_same_run_later_is(
    how: str, retrain_shop: Retrain, behind: Behind, shown: MlflowClient, brief: None
) -> None:
    name = f"upload-{how}"
    with (
        behind(lambda method, path: how if method == "PUT" and path.endswith("model.txt") else ""),
        pytest.raises(ServiceUnavailable, match=r"run (the same )?again once it is back") as ended,
    ):
        retrain_shop(name=name, tuning=NO_SEARCH)
    assert ended.value.exit_code == 75
    assert list(shown.search_model_versions(f"name = '{name}'")) == []
    with behind(undisturbed):
        assert retrain_shop(name=name, tuning=NO_SEARCH).verdict == "promoted"
    (version,) = shown.search_model_versions(f"name = '{name}'")
    assert shown.get_registered_model(name).aliases == {"champion": "1"}
    (experiment,) = {run.info.experiment_id for run in runs(shown, name, "retrain")}
    models = shown.search_logged_models([experiment])
    assert "PENDING" not in {model.status for model in models}
    assert version.source == f"models:/{next(model.model_id for model in models if version.source.endswith(model.model_id))}"


def test_an_upload_cut_once_is_made_again(retrain_shop: Retrain, behind: Behind, shown: MlflowClient) -> None:
    cut: list[str] = []

    def cut_once(method: str, path: str) -> str:
        if method == "PUT" and path.endswith("model.txt") and not cut:
            cut.append(path)
            return "cut"
        return ""

    with behind(cut_once):
        assert retrain_shop(name="cut-once", tuning=SEARCH).verdict == "promoted"
    assert cut
    require_all_there_once(shown, "cut-once", 6)


def test_slow_answers_are_said_to_be_slow_and_hold_up_no_trial(
    retrain_shop: Retrain, behind: Behind, shown: MlflowClient, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        behind(lambda method, path: 2.5 if path.endswith("runs/create") else ""),
        caplog.at_level(logging.WARNING, "evertune"),
    ):
        result = retrain_shop(name="slow", tuning={"trials": 4, "minutes": None})
    assert result.verdict == "promoted"
    assert result.seconds["tune"] < 2 * 2.5 + 1  # one trial is being written while the others are run
    assert any(re.search("is slow: [23] seconds for one answer", record.message) for record in caplog.records)
    require_all_there_once(shown, "slow", 4)


def test_mlflow_that_takes_requests_and_never_answers_is_said_to_be_waited_for_and_given_up_in_time(
    retrain_shop: Retrain, behind: Behind, brief: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """From the data on; a request is given up after two seconds instead of ten, all of it after four instead of sixty."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setattr(tasks.patience, "SAY_SECONDS", 1.0)
    began: list[float] = []

    def hang(method: str, path: str) -> str:
        if "log-inputs" in path:
            began.append(time.monotonic())
        return "hang" if began else ""

    with behind(hang), caplog.at_level(logging.WARNING, "evertune"):
        with pytest.raises(ServiceUnavailable, match=r"has not answered for 4 seconds \(.*run the same again") as ended:
            retrain_shop(name="hanging", tuning=SEARCH)
        assert time.monotonic() - began[0] < PATIENCE + 2 * 2 + 1
    assert ended.value.exit_code == 75
    assert "waiting for MLflow" in caplog.text


def refusing_after(last: str) -> Rule:
    """It takes nothing any more once it has taken something whose path ends so."""
    taken: list[str] = []

    def refuse(method: str, path: str) -> str:
        if taken:
            return "500"
        taken.extend([path] if path.endswith(last) and method != "GET" else [])
        return ""

    return refuse


def test_a_promotion_that_cannot_be_written_up_stands_and_the_next_retrain_ends_its_run(
    retrain_shop: Retrain, behind: Behind, shown: MlflowClient, brief: None, caplog: pytest.LogCaptureFixture
) -> None:
    with behind(refusing_after("summary.json")):
        result = retrain_shop(name="unwritten", tuning=NO_SEARCH)
    assert (result.verdict, result.version) == ("promoted", "1")
    assert "the verdict promoted stands" in caplog.text
    assert "the model's next retrain ends its run in MLflow" in caplog.text
    assert "Traceback" not in caplog.text
    assert shown.get_registered_model("unwritten").aliases == {"champion": "1"}
    assert shown.get_run(result.mlflow_run_id).info.status == "RUNNING"
    shown.set_tag(result.mlflow_run_id, "evertune.process_started", "1")  # as if its process had ended
    with behind(undisturbed):
        assert retrain_shop(name="unwritten", tuning=NO_SEARCH).verdict == "unchanged"
    ended = shown.get_run(result.mlflow_run_id)
    assert (ended.info.status, ended.data.tags["evertune.verdict"]) == ("FINISHED", "promoted")


def test_a_champion_whose_record_could_not_be_finished_is_said_to_be_live_and_the_same_run_finishes_it(
    retrain_shop: Retrain, behind: Behind, shown: MlflowClient, brief: None
) -> None:
    with behind(refusing_after("registered-models/alias")), pytest.raises(ServiceUnavailable, match="v1 of half is live, but") as ended:
        retrain_shop(name="half", tuning=NO_SEARCH)
    assert ended.value.exit_code == 75
    assert "evertune.promoted" not in shown.get_model_version("half", "1").tags
    with behind(undisturbed):
        assert retrain_shop(name="half", tuning=NO_SEARCH).verdict == "unchanged"
    assert "evertune.promoted" in shown.get_model_version("half", "1").tags


def test_a_verdict_that_changes_nothing_and_cannot_be_written_up_ends_with_75_and_is_found_again(
    retrain_shop: Retrain, behind: Behind, brief: None
) -> None:
    kept = {"name": "unkept", "tuning": NO_SEARCH, "gate": {"floors": {"roc_auc": 0.999}}}
    with (
        behind(refusing_after("summary.json")),
        pytest.raises(ServiceUnavailable, match=r"the verdict is kept, but could not be written up: .*run the same again") as ended,
    ):
        retrain_shop(**kept)
    assert ended.value.exit_code == 75
    with behind(undisturbed):
        assert retrain_shop(**kept).verdict == "kept"
