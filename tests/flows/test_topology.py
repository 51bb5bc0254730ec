"""The topology of deploy/compose.yaml for real: PostgreSQL, both servers with passwords, two workers, and one of them dies."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import psutil
import psycopg
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from flows.deploying.registering import register
from flows.services.preflight import basic
from tests.small import small_config
from tests.topology import ROOT, Topology, ask_with, end_all, kill_tree, start_topology

pytestmark = pytest.mark.postgres
WANTED: dict[str, Any] = {
    "config": "configs/flights.yaml",
    "as_of": "2013-03-01T00:00:00+00:00",
    "trials": 6,
    "overrides": {"tuning.minutes": None, "split.test": "10d", "split.folds": 2, "split.fold": "10d", "gate.explain": False},
}


@pytest.fixture(scope="module")
def topology(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    with start_topology(tmp_path_factory.mktemp("topology")) as started:
        yield started


@pytest.fixture
def prefect(topology: Topology) -> Iterator[SyncPrefectClient]:
    given = topology.environment("worker")
    settings = {PREFECT_API_URL: given["PREFECT_API_URL"], PREFECT_API_AUTH_STRING: given["PREFECT_API_AUTH_STRING"]}
    with temporary_settings(settings), get_client(sync_client=True) as client:
        yield client


def until(found: Callable[[], Any], seconds: float, what: str, topology: Topology) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:.0f} s\n{topology.logs()[-6000:]}"
        time.sleep(0.3)
    return value


def finished_trials(topology: Topology) -> list[int]:
    """Ids of trials that are over, in the database of studies."""
    address = f"postgresql://studies@127.0.0.1:{topology.database.port}/studies"
    with psycopg.connect(address, password=topology.secrets["STUDIES_DB_PASSWORD"]) as connection:
        if connection.execute("SELECT to_regclass('trials')").fetchone() == (None,):
            return []
        return [row[0] for row in connection.execute("SELECT trial_id FROM trials WHERE state IN ('COMPLETE', 'PRUNED') ORDER BY 1")]


def runner(workers: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes] | None:
    """The worker that a flow run is a child of."""
    return next((worker for worker in workers if psutil.Process(worker.pid).children()), None)


def test_a_retrain_whose_worker_is_killed_is_finished_by_another_one(
    topology: Topology, prefect: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = [topology.start("worker", "worker-0"), topology.start("worker", "worker-1")]
    until(lambda: "started!" in topology.log("worker-0").read_text(), 120, "the first worker's start", topology)
    monkeypatch.chdir(ROOT)
    register([ROOT / "configs" / "flights.yaml"], topology.environment("deploy")["PREFECT_API_URL"])
    deployment = prefect.read_deployment_by_name("retrain/flights").id

    first = prefect.create_flow_run_from_deployment(deployment, parameters=WANTED)
    before = until(lambda: finished_trials(topology) or state(prefect, first).is_final(), 180, "a first trial", topology)
    assert not state(prefect, first).is_final(), topology.logs()[-6000:]
    killed = runner(workers)
    assert killed is not None
    kill_tree(killed)
    assert state(prefect, first).type is StateType.RUNNING
    kept = finished_trials(topology)
    assert set(before) <= set(kept)

    second = prefect.create_flow_run_from_deployment(deployment, parameters=WANTED)
    until(lambda: state(prefect, second).is_final(), 240, "the end of the second run", topology)
    assert (state(prefect, second).name, state(prefect, second).type) == ("Promoted", StateType.COMPLETED), topology.logs()[-6000:]
    assert set(kept) <= set(finished_trials(topology))
    assert champion(topology, prefect, second) == "1"
    told = topology.logs() + "".join(entry.message for run in (first, second) for entry in logged(prefect, run))
    assert [name for name, secret in topology.secrets.items() if secret in told] == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"PREFECT_API_AUTH_STRING": "admin:wrong-one"}, "refuses the password; set PREFECT_API_AUTH_STRING"),
        ({"PREFECT_API_AUTH_STRING": "wrong-one"}, "refuses the password; set PREFECT_API_AUTH_STRING"),
        ({"PREFECT_API_AUTH_STRING": ""}, "asks for a password; set PREFECT_API_AUTH_STRING"),
        ({"MLFLOW_TRACKING_PASSWORD": "wrong-one"}, "refuses the password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        ({"MLFLOW_TRACKING_USERNAME": "nobody"}, "refuses the password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
        ({"MLFLOW_TRACKING_USERNAME": ""}, "asks for a password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
    ],
)
def test_who_may_not_in_is_told_what_to_set_before_anything_is_read(topology: Topology, changed: dict[str, str], said: str) -> None:
    environment = topology.environment("worker") | changed
    began = time.monotonic()
    ended = evertune(environment, "run", "configs/flights.yaml")
    assert ended.returncode == 75, ended.stderr
    assert said in ended.stderr
    assert ended.stderr.count("at http://127.0.0.1:") == 1
    assert [secret for secret in ("wrong-one", *topology.secrets.values()) if secret in ended.stdout + ended.stderr] == []
    assert time.monotonic() - began < 15  # idle: under 5 s


def test_no_server_answers_without_a_password(topology: Topology) -> None:
    guarded = f"http://{topology.prefect}/api/admin/version", f"http://{topology.mlflow}/api/2.0/mlflow/experiments/search?max_results=1"
    logins = f"admin:{topology.secrets['PREFECT_PASSWORD']}", f"admin:{topology.secrets['MLFLOW_PASSWORD']}"
    for address, login in zip(guarded, logins, strict=True):
        assert [ask_with(address), ask_with(address, basic("admin:wrong")), ask_with(address, basic(login))] == [401, 401, 200]


def test_each_database_is_its_owners_alone(topology: Topology) -> None:
    for owner, password in (("prefect", "PREFECT_DB_PASSWORD"), ("mlflow", "MLFLOW_DB_PASSWORD"), ("studies", "STUDIES_DB_PASSWORD")):
        for database in ("prefect", "mlflow", "studies"):
            address = f"postgresql://{owner}@127.0.0.1:{topology.database.port}/{database}"
            if owner == database:
                psycopg.connect(address, password=topology.secrets[password]).close()
            else:
                with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                    psycopg.connect(address, password=topology.secrets[password])


def test_nothing_listens_beyond_the_loopback(topology: Topology) -> None:
    topology.start("worker", "confined")
    until(lambda: topology.well("worker", "confined"), 60, "the worker's health", topology)
    assert open_beyond_the_loopback(topology) == []


def open_beyond_the_loopback(topology: Topology) -> list[str]:
    """Addresses that our processes listen on and others could reach."""
    alive = [psutil.Process(process.pid) for process in topology.running if process.poll() is None]
    everybody = [one for process in alive for one in (process, *process.children(recursive=True))]
    listening = [socket.laddr for one in everybody for socket in one.net_connections("inet") if socket.status == psutil.CONN_LISTEN]
    assert listening
    return [f"{address.ip}:{address.port}" for address in listening if address.ip not in ("127.0.0.1", "::1")]


@pytest.fixture
def dask(topology: Topology) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """The scheduler and two workers of Dask, on the loopback."""
    started = {"dask-scheduler": topology.start("dask-scheduler")}
    started |= {name: topology.start("dask-worker", name, "--host=127.0.0.1") for name in ("dask-0", "dask-1")}
    until(lambda: topology.log("dask-scheduler").read_text().count("Register worker") >= 4, 60, "the workers' start", topology)
    yield started
    end_all(list(started.values()))


def searching(folder: Path, name: str, **tuning: Any) -> Path:
    """The small shop on the full topology: a search that can be repeated, where `tuning` says."""
    return small_config(folder / name, name=name, tuning={"trials": 16, "reproducible": True, **tuning})


def test_dask_chooses_what_this_machine_chooses_though_a_worker_is_killed(
    topology: Topology, dask: dict[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    environment = topology.environment("worker")
    here = evertune(environment, "run", str(searching(tmp_path, "shop-here")), "--json")
    assert here.returncode == 0, here.stderr
    before = set(finished_trials(topology))
    elsewhere = str(searching(tmp_path, "shop-there", executor="dask", dask=f"tcp://{topology.dask}"))
    with start(environment, "run", elsewhere, "--json") as running:
        until(lambda: set(finished_trials(topology)) - before or running.poll() is not None, 90, "a first trial", topology)
        assert running.poll() is None, running.communicate()
        kill_tree(dask["dask-0"])
        out, told = running.communicate(timeout=180)
    assert running.returncode == 0, told
    there, alone = json.loads(out), json.loads(here.stdout)
    for key in ("verdict", "hyperparameters", "metric"):
        assert there[key] == alone[key]
    assert sum(there["trials"].values()) == 16


def test_a_killed_dask_scheduler_is_said_and_the_search_goes_on_from_its_study(
    topology: Topology, dask: dict[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    environment = topology.environment("worker")
    config = str(searching(tmp_path, "shop-resumed", trials=24, executor="dask", dask=f"tcp://{topology.dask}"))
    before = set(finished_trials(topology))
    with start(environment, "run", config, "--json") as running:
        until(lambda: set(finished_trials(topology)) - before or running.poll() is not None, 90, "a first trial", topology)
        assert running.poll() is None, running.communicate()
        began = time.monotonic()
        for process in dask.values():
            kill_tree(process)
        _, told = running.communicate(timeout=60)
    assert time.monotonic() - began < 60
    assert running.returncode == 75, told
    assert f"the scheduler at tcp://{topology.dask}" in told
    kept = set(finished_trials(topology)) - before
    assert kept
    topology.start("dask-scheduler")
    topology.start("dask-worker", "dask-2", "--host=127.0.0.1")
    ended = evertune(environment, "run", config, "--json")
    assert ended.returncode == 0, ended.stderr
    assert kept < set(finished_trials(topology)) - before
    assert len(set(finished_trials(topology)) - before) == 24


def test_every_health_check_of_the_file_says_well_and_ill(topology: Topology) -> None:
    worker = topology.start("worker", "checked")
    until(lambda: topology.well("worker", "checked"), 60, "the worker's health", topology)
    assert [topology.well(service) for service in ("postgres", "prefect", "mlflow")] == [True, True, True]
    kill_tree(worker)
    assert not topology.well("worker", "checked")


def evertune(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.command_line", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flows.command_line", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def champion(topology: Topology, client: SyncPrefectClient, run: FlowRun) -> str:
    """The version behind the alias in MLflow's server, which serves its artifacts too; its run names the flow run."""
    environment = topology.environment("worker")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
            patch.setenv(name, environment[name])
        served = mlflow.MlflowClient(environment["MLFLOW_TRACKING_URI"])
        version = served.get_model_version_by_alias("flights", "champion")
        assert served.get_run(version.run_id).data.tags["evertune.flow_run_id"] == str(run.id)
        assert "report.html" in {entry.path.rpartition("/")[2] for entry in walk(served, version.run_id)}
    return str(version.version)


def walk(client: mlflow.MlflowClient, run: str, folder: str | None = None) -> Iterator[Any]:
    for entry in client.list_artifacts(run, folder):
        yield from walk(client, run, entry.path) if entry.is_dir else [entry]


def logged(client: SyncPrefectClient, run: FlowRun) -> list[Any]:
    return client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id])), limit=200)


def state(client: SyncPrefectClient, run: FlowRun) -> Any:
    return client.read_flow_run(run.id).state
