"""Deployments on a real Prefect server: registered, registered again, by our command and by Prefect's own, and run by a worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.deploying.plans import plan_deployments
from flows.deploying.prefect_file import FILE, render_file, write_file
from flows.deploying.registering import register
from flows.reconciling.automation import NAME, WITHIN
from flows.retraining.wishes import read_wished
from tasks.errors import ConfigError, ServiceUnavailable
from tests.operation import ROOT, Operated, Worker, ask, await_run
from tests.small import small_config

OPERATION = {
    "schedules": [
        {"name": "nightly", "cron": "0 6 * * *", "timezone": "America/New_York"},
        {"name": "often", "every": "6h", "tune": "never", "note": "between the nights"},
    ],
    "quick": {"tune": "always", "trials": 2, "minutes": 1},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in a folder of its own, which is the working directory."""
    place = tmp_path / "checkout"
    place.mkdir()
    (place / "flows").symlink_to(ROOT / "flows")
    monkeypatch.chdir(place)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    return place


def config_of(folder: Path, name: str, operation: dict[str, Any] | None = None) -> Path:
    return small_config(folder / "configs", name=name, operation=operation or OPERATION)


def deployed(operated: Operated, full_name: str) -> dict[str, Any]:
    return ask(f"{operated.api_url}/deployments/name/{full_name}")  # type: ignore[no-any-return]


def start(operated: Operated, full_name: str, **parameters: Any) -> str:
    found = deployed(operated, full_name)
    return str(ask(f"{operated.api_url}/deployments/{found['id']}/create_flow_run", {"parameters": parameters})["id"])


def test_the_file_names_no_folder_of_this_machine(folder: Path) -> None:
    text = render_file(plan_deployments([config_of(folder, "portable")], folder))
    assert str(folder) not in text
    entries = {f"{entry['entrypoint'].partition(':')[2]}/{entry['name']}": entry for entry in yaml.safe_load(text)["deployments"]}
    assert set(entries) == {"retrain/portable", "retrain/portable-quick", "reconcile/evertune"}
    assert entries["retrain/portable"]["parameters"] == {"config": "configs/shop.yaml"}
    assert entries["retrain/portable-quick"]["parameters"]["trials"] == 2
    assert not any("active" in schedule for entry in entries.values() for schedule in entry["schedules"])


def test_the_quick_deployment_of_a_reproducible_config_counts_trials_alone(folder: Path) -> None:
    path = small_config(folder / "configs", tuning={"trials": 4, "minutes": None, "reproducible": True})
    (quick,) = (found for found in plan_deployments([path], folder).deployments if found.name.endswith("-quick"))
    assert ("minutes" in quick.parameters, quick.parameters["trials"]) == (False, 10)
    wishes = {name: quick.parameters[name] for name in ("tune", "trials")}
    assert read_wished(str(path), **wishes, minutes=0, families=[], overrides=None).tuning.trials == 10


def test_two_configs_of_one_name_and_configs_outside_the_folder_are_refused(folder: Path, tmp_path: Path) -> None:
    one, other = config_of(folder, "twin"), small_config(tmp_path / "outside", name="twin")
    with pytest.raises(ConfigError, match="each config needs a name of its own"):
        plan_deployments([one, other], folder)
    with pytest.raises(ConfigError, match="must lie below"):
        write_file(plan_deployments([other], folder))


def test_a_server_that_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        register([config_of(folder, "nobody")], "http://127.0.0.1:9/api")


def test_registered_again_a_pause_stays_and_a_schedule_that_went_away_is_removed(operated: Operated, folder: Path) -> None:
    path = config_of(folder, "again")
    register([path], operated.api_url, "pool-again")
    first = deployed(operated, "retrain/again")
    schedules = {schedule["slug"]: schedule for schedule in first["schedules"]}
    assert schedules["nightly"]["schedule"]["timezone"] == "America/New_York"
    assert schedules["often"]["parameters"] == {"tune": "never", "note": "between the nights"}
    assert first["enforce_parameter_schema"]
    assert first["job_variables"] == {"env": {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}}
    (silence,) = ask(f"{operated.api_url}/automations/filter", {"automations": {"name": {"any_": [NAME]}}})
    assert (silence["enabled"], silence["trigger"]["within"]) == (True, WITHIN.total_seconds())
    ask(f"{operated.api_url}/deployments/{first['id']}/schedules/{schedules['nightly']['id']}", {"active": False}, "PATCH")

    again = {"schedules": [OPERATION["schedules"][0]]}  # type: ignore[index]
    done = register([config_of(folder, "again", again)], operated.api_url, "pool-again")
    assert ask(f"{operated.api_url}/automations/{silence['id']}")["updated"] == silence["updated"]
    second = deployed(operated, "retrain/again")
    assert second["id"] == first["id"]
    assert [(schedule["slug"], schedule["active"]) for schedule in second["schedules"]] == [("nightly", False)]
    assert "schedule retrain/again often: removed" in done


def test_prefects_own_command_does_the_same_with_the_file(operated: Operated, folder: Path) -> None:
    path = config_of(folder, "same")
    register([path], operated.api_url, "pool-same")
    ours = deployed(operated, "retrain/same")
    write_file(plan_deployments([path], folder, "pool-same"))
    environment = {**os.environ, "PREFECT_API_URL": operated.api_url}
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--prefect-file", FILE, "--all"]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    theirs = deployed(operated, "retrain/same")
    assert theirs["updated"] > ours["updated"], ended.stdout
    same = (
        "job_variables",
        "parameters",
        "tags",
        "description",
        "entrypoint",
        "pull_steps",
        "version",
        "parameter_openapi_schema",
        "work_pool_name",
    )
    assert {key: theirs[key] for key in same} == {key: ours[key] for key in same}
    told = [[(one["slug"], one["schedule"], one["parameters"], one["active"]) for one in found["schedules"]] for found in (theirs, ours)]
    assert sorted(map(json.dumps, told[0])) == sorted(map(json.dumps, told[1]))


def test_a_worker_elsewhere_runs_the_installed_module_and_says_that_a_config_is_gone(
    operated: Operated, folder: Path, worker: Worker, store: object
) -> None:
    (folder / "flows").unlink()
    path = config_of(folder, "module")
    register([path], operated.api_url, "pool-module")
    assert deployed(operated, "retrain/module")["entrypoint"] == "flows.retrain.retrain"
    runs = start(operated, "retrain/module", as_of="2024-04-30", tune="never")
    gone = start(operated, "retrain/module", config="configs/gone.yaml")
    worker("pool-module")
    ended = await_run(operated.api_url, gone)
    assert ended["state"]["name"] == "Failed"
    assert "configs/gone.yaml: there is no such file" in ended["state"]["message"]
    assert await_run(operated.api_url, runs)["state"]["type"] == "COMPLETED"


def test_slots_that_were_missed_are_caught_up_once_from_the_flows_file(
    operated: Operated, folder: Path, worker: Worker, store: object
) -> None:
    schedules = [{"name": "often", "every": "20h", "tune": "never"}, {"name": "seldom", "every": "23h", "tune": "never", "note": "deep"}]
    path = config_of(folder, "missed", {"schedules": schedules})
    register([path], operated.api_url, "pool-missed")
    found, now = deployed(operated, "retrain/missed"), datetime.now(UTC)
    assert found["entrypoint"] == "flows/retrain.py:retrain"
    span = {"start_time": (now - timedelta(hours=60)).isoformat(), "end_time": now.isoformat(), "min_runs": 3, "max_runs": 6}
    ask(f"{operated.api_url}/deployments/{found['id']}/schedule", span)
    wanted = {"deployments": {"id": {"any_": [found["id"]]}}, "sort": "EXPECTED_START_TIME_ASC"}
    runs = ask(f"{operated.api_url}/flow_runs/filter", wanted)
    late = [run for run in runs if run["expected_start_time"] < now.isoformat()]
    worker("pool-missed")
    for note, schedule in (("", "often"), ("deep", "seldom")):  # each for itself
        states = [await_run(operated.api_url, run["id"])["state"]["name"] for run in late if run["parameters"].get("note", "") == note]
        assert len(states) >= 2, schedule
        assert set(states[:-1]) == {"Skipped"}
        assert states[-1] in ("Promoted", "Kept", "Ask", "Unchanged")
