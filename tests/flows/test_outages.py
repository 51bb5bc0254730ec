"""Servers that go away in mid-run, for a while or for good: nothing is lost, nothing is there twice, nobody waits for minutes."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient

import tasks.tracking
from flows.services.pages import start_mlflow
from flows.services.preflight import MLFLOW_LIMITS
from flows.services.servers import free_socket
from tasks.errors import ServiceUnavailable
from tasks.homes import Home
from tasks.patience import Outage
from tests.stores import Retrain

LONG_SEARCH: dict[str, Any] = {"trials": None, "minutes": 0.25, "parallel": 2}
PATIENCE = 4.0
"""Seconds that an outage is waited for in tests of what happens then."""


class Mlflow:
    """MLflow's real server on this test's store, on a port that it keeps."""

    def __init__(self, home: Home) -> None:
        with free_socket() as listener:
            self.port = listener.getsockname()[1]
        self.home, self.address = home, f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.child = start_mlflow(self.home, self.port)
        self.child.wait_until_healthy(f"{self.address}/health", 180)

    def kill(self) -> None:
        """kill -9, all of it."""
        for process in psutil.Process(self.child.process.pid).children(recursive=True):
            process.kill()
        self.child.process.wait(30)


@pytest.fixture
def mlflow_server(store: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mlflow]:
    """The server, named by the environment, with the client's patience as `evertune run` has it."""
    for name, value in MLFLOW_LIMITS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    server = Mlflow(store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
    yield server
    server.child.stop()


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage is given up after a few seconds instead of a minute."""
    monkeypatch.setattr(tasks.tracking, "outage_of", lambda uri: Outage(f"MLflow at {uri}", PATIENCE))


def during_the_search(client: MlflowClient, act: Callable[[], None]) -> threading.Thread:
    """Act once the first trials of a search are in the store."""

    def watch() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            experiment = client.get_experiment_by_name("shop")
            if experiment and len(client.search_runs([experiment.experiment_id], "tags.`evertune.kind` = 'trial'")) >= 2:
                act()
                return
            time.sleep(0.1)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def runs(client: MlflowClient, kind: str) -> list[Any]:
    experiment = client.get_experiment_by_name("shop")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], f"tags.`evertune.kind` = '{kind}'", max_results=5000)
    return sorted(found, key=lambda run: int(run.info.start_time))


def test_mlflow_away_for_ten_seconds_while_it_is_tuned_costs_nothing(
    retrain_shop: Retrain, mlflow_server: Mlflow, client: MlflowClient
) -> None:
    def restart() -> None:
        mlflow_server.kill()
        time.sleep(10)
        mlflow_server.start()

    thread = during_the_search(client, restart)
    result = retrain_shop(tuning=LONG_SEARCH)
    thread.join()
    assert result.verdict == "promoted"
    assert result.seconds["tune"] < 60 * LONG_SEARCH["minutes"] + 10
    trials = runs(client, "trial")
    assert sum((result.trials or {}).values()) == len(trials) > 10
    assert set(Counter(run.data.tags["evertune.trial"] for run in trials).values()) == {1}
    assert not [run for run in trials if run.info.status == "RUNNING"]
    for run in trials:
        points = [client.get_metric_history(run.info.run_id, name) for name in ("log_loss", "fold_1", "curve/fold_1")]
        assert all(len({point.step for point in history}) == len(history) for history in points)
        assert run.info.status != "FINISHED" or all(points)
    (parent,) = runs(client, "retrain")
    assert parent.info.status == "FINISHED"


def test_mlflow_away_for_good_ends_the_run_with_75_and_the_same_run_goes_on_later(
    retrain_shop: Retrain, mlflow_server: Mlflow, client: MlflowClient, brief: None
) -> None:
    search = {"trials": 40, "minutes": None, "parallel": 2}
    thread = during_the_search(client, mlflow_server.kill)
    started = time.monotonic()
    with pytest.raises(ServiceUnavailable, match=r"has not answered for 4 seconds .*run the same again once it is back") as ended:
        retrain_shop(tuning=search)
    thread.join()
    assert ended.value.exit_code == 75
    assert ended.value.summary["verdict"] == "failed"
    assert client.search_model_versions("name = 'shop'") == []
    assert [run.info.status for run in runs(client, "retrain")] == ["RUNNING"]
    print(f"ended after {time.monotonic() - started:.1f} s")
    mlflow_server.start()
    again = retrain_shop(tuning=search)
    assert again.verdict == "promoted"
    assert [str(version.version) for version in client.search_model_versions("name = 'shop'")] == ["1"]
    assert again.seconds["tune"] < 5  # all forty trials were kept
    mine = [run for run in runs(client, "trial") if run.data.tags["mlflow.parentRunId"] == again.mlflow_run_id]
    assert sorted(int(run.data.tags["evertune.trial"]) for run in mine) == list(range(40))


# answers that are lost, and uploads that are cut

Rule = Callable[[str, str], str]


@contextmanager
def proxy(port: int, rule: Rule) -> Iterator[str]:
    """Stands before a server: `rule(method, path)` says what becomes of a request: lose (its answer), cut (its body), refuse, or ''."""

    class Between(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            fate, length = rule(self.command, self.path), int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length // 2 if fate == "cut" else length)
            if fate == "refuse":
                self.send_error(503)
                return
            server = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            server.request(self.command, self.path, body, dict(self.headers))
            if fate:
                if fate == "lose":
                    server.getresponse().read()
                server.close()
                self.close_connection = True
                return
            answer = server.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.getheader("Content-Type") or "")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            server.close()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Between) as between:
        thread = threading.Thread(target=between.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{between.server_port}"
        between.shutdown()
        thread.join()


def test_whatever_answer_is_lost_nothing_is_there_twice(
    retrain_shop: Retrain, mlflow_server: Mlflow, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: Counter[str] = Counter()

    def lose_every_first(method: str, path: str) -> str:
        kind = path.partition("?")[0]
        if method == "GET" or any(word in kind for word in ("experiments", "search", "artifacts")):
            return ""
        seen[kind] += 1
        return "lose" if seen[kind] in (1, 4) else ""

    with proxy(mlflow_server.port, lose_every_first) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        result = retrain_shop(tuning={"trials": 6, "minutes": None})
    assert result.verdict == "promoted"
    assert len(runs(client, "retrain")) == 1
    trials = runs(client, "trial")
    assert sorted(int(run.data.tags["evertune.trial"]) for run in trials) == list(range(6))
    for run in (*trials, *runs(client, "retrain")):
        for name in run.data.metrics:
            steps = [point.step for point in client.get_metric_history(run.info.run_id, name)]
            assert len(set(steps)) == len(steps)
    assert [str(version.version) for version in client.search_model_versions("name = 'shop'")] == ["1"]


def test_a_model_whose_upload_is_cut_is_never_a_version(
    retrain_shop: Retrain, mlflow_server: Mlflow, client: MlflowClient, monkeypatch: pytest.MonkeyPatch, brief: None
) -> None:
    cut = []

    def cut_the_model(method: str, path: str) -> str:
        if method == "PUT" and path.endswith("model.txt"):
            cut.append(path)
            return "cut"
        return ""

    with proxy(mlflow_server.port, cut_the_model) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        with pytest.raises(ServiceUnavailable, match="run"):
            retrain_shop(tuning={"when": "never"})
    assert cut
    assert client.search_model_versions("name = 'shop'") == []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.address)
    assert retrain_shop(tuning={"when": "never"}).verdict == "promoted"
    assert [str(version.version) for version in client.search_model_versions("name = 'shop'")] == ["1"]
