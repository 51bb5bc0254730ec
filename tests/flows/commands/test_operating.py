"""`evertune up` with configs, real servers and a real worker, and `evertune status` with and without them."""

from __future__ import annotations

import json
import signal
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from flows.services.claims import current_claim
from tasks.homes import Home
from tests.operation import ask, await_run
from tests.servers import Program, gone, processes_in, read_until
from tests.small import small_config
from tests.stores import Retrain

MAIN = "import sys; from flows.command_line import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def ready(used_home: Home, store: Home) -> Home:
    """A home whose databases are all there, so that its servers are up in seconds."""
    return store


def scheduled_config(folder: Path, **changes: Any) -> Path:
    return small_config(folder, operation={"schedules": [{"cron": "0 4 1 1 *"}], **changes})


def start_run(address: str, deployment: str, **parameters: Any) -> str:
    """What the button in Prefect's pages does; the id of the flow run."""
    found = ask(f"{address}/api/deployments/name/retrain/{deployment}")
    run = ask(f"{address}/api/deployments/{found['id']}/create_flow_run", {"parameters": parameters})
    return str(run["id"])


def rows(database: Path, query: str) -> list[Any]:
    with sqlite3.connect(database) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.flow
def test_up_runs_what_is_asked_for_tells_it_and_leaves_nothing(ready: Home, tmp_path: Path, program: Program) -> None:
    config = scheduled_config(tmp_path / "shop")
    process = program(MAIN, "up", str(config))
    printed = read_until(process, "Logs are in")
    claim = current_claim(ready)
    assert claim is not None
    assert claim.prefect in printed
    assert claim.configs == (str(config),)
    lines = _follow(process)

    run = start_run(claim.prefect, "shop-quick", as_of="2024-04-30T00:00:00+00:00", trials=1)
    done = await_run(f"{claim.prefect}/api", run)
    assert (done["state"]["type"], done["state"]["name"]) == ("COMPLETED", "Promoted"), done["state"]["message"]

    told = json.loads(_output(program, "status", "--json"))
    (model,) = told["models"]
    assert (told["prefect"], told["mlflow"], told["pid"]) == (claim.prefect, claim.mlflow, process.pid)
    assert (model["model"], model["champion"]["version"], model["last"]["verdict"]) == ("shop", "1", "promoted")
    assert [slot["at"][4:16] for slot in model["next"]] == ["-01-01T04:00"]
    assert "Already up" in _output(program, "up", str(config))

    long = start_run(claim.prefect, "shop", as_of="2024-04-30T00:00:00+00:00", trials=100_000, force=True)
    _until(lambda: any(long in line for line in lines))  # it has told that it started
    _until(lambda: rows(ready.root / "mlflow.db", "select count(*) from runs where name like 'trial %'") > [(3,)])
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    assert time.monotonic() - asked < 10
    assert processes_in(ready.root) == []
    assert rows(ready.prefect / "prefect.db", f"select state_type from flow_run where id = '{long}'") == [("CRASHED",)]
    assert rows(ready.root / "mlflow.db", "select count(*) from runs where status = 'RUNNING'") == [(0,)]
    assert any("promoted: " in line for line in lines)
    assert any("shop" in line and "next" in line for line in lines)


@pytest.mark.flow
def test_nothing_outlives_an_up_that_is_killed(ready: Home, tmp_path: Path, program: Program) -> None:
    process = program(MAIN, "up", str(scheduled_config(tmp_path / "shop")))
    read_until(process, "Logs are in")
    process.send_signal(signal.SIGKILL)
    assert gone(ready.root, seconds=15), processes_in(ready.root)


def test_status_of_nothing_at_all_is_no_fault(home: Path, evertune: Any) -> None:
    code, out, _ = evertune("status", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["prefect"], told["mlflow"], told["pid"], told["models"], told["faults"]) == (None, None, None, [], [])
    assert not home.exists()


def test_status_knows_the_models_with_no_server_up(retrain_shop: Retrain, evertune: Any) -> None:
    retrain_shop()
    code, out, _ = evertune("status")
    assert code == 0
    assert "Prefect   not up" in out
    assert "champion  v1 since" in out
    assert "last      promoted, as of 2024-04-30" in out


def test_status_names_a_server_that_is_down(store: Home, evertune: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    code, out, _ = evertune("status", "--json")
    told = json.loads(out)
    assert (code, told["prefect"]) == (0, "http://127.0.0.1:9")
    assert "does not answer" in told["faults"][0]


def test_configs_are_refused_where_the_environment_names_a_server(tmp_path: Path, evertune: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://me:secret@prefect:4200/api")
    code, _, errors = evertune("up", str(small_config(tmp_path / "shop")))
    assert code == 2
    assert "evertune deploy" in errors
    assert "secret" not in errors


def test_every_wrong_config_is_named_before_anything_starts(home: Path, tmp_path: Path, evertune: Any) -> None:
    wrong, missing = small_config(tmp_path / "shop", metric="none_such"), tmp_path / "nowhere.yaml"
    code, _, errors = evertune("up", str(wrong), str(missing))
    assert code == 2
    assert "none_such" in errors
    assert "nowhere.yaml" in errors
    assert not home.exists()


def _follow(process: Any) -> list[str]:
    """What it goes on to print, as it comes."""
    lines: list[str] = []
    threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")), daemon=True).start()
    return lines


def _until(there: Any, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _output(program: Program, *arguments: str) -> str:
    process = program(MAIN, *arguments)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    return str(output)
