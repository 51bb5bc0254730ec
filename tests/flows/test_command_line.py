"""The installed command in a process of its own, as a user types it."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.command_line import ask_again
from flows.services.pages import open_pages
from tasks.homes import Home
from tests.servers import gone, processes_in
from tests.small import small_config

pytestmark = pytest.mark.command
ROOT = Path(__file__).parent.parent.parent
EVERTUNE = Path(sys.executable).parent / "evertune"
DAY = "2024-04-30"


def evertune(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(EVERTUNE), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300)


def rows(database: Path, query: str) -> list[Any]:
    with sqlite3.connect(database) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def home_in_use(used_home: Home, store: Home) -> Home:
    """A home whose databases are there already: what every run but the first one meets."""
    return store


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return small_config(tmp_path / "shop")


@pytest.fixture
def long_run(config: Path, home_in_use: Home) -> Iterator[subprocess.Popen[str]]:
    """A run in the middle of its tuning."""
    command = [str(EVERTUNE), "run", str(config), "--as-of", DAY, "--set", "tuning.trials=100000"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "tune ..." in line:
            break
    time.sleep(2)
    yield process
    process.kill()
    process.communicate()


def test_help_is_there_at_once_and_names_every_command() -> None:
    code = "import sys; from flows.command_line import main\ntry: main(['--help'])\nexcept SystemExit: print(sorted(set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(command in shown for command in ("run", "check", "profile", "schema", "up", "status"))
    assert not [heavy for heavy in ("pandas", "prefect", "mlflow", "sklearn", "pydantic", "sqlalchemy") if f"'{heavy}'" in shown]


def test_a_run_prints_its_summary(config: Path, home_in_use: Home) -> None:
    done = evertune("run", config, "--as-of", DAY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"shop {DAY}: promoted")
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr


def test_json_stands_alone_on_standard_output(config: Path, home_in_use: Home) -> None:
    done = evertune("run", config, "--as-of", DAY, "--json", "--set", "tuning.trials=2", "--tune", "always")
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["verdict"], summary["trials"]["finished"]) == (0, "promoted", 2)
    assert Path(summary["report"]).is_file()
    assert rows(home_in_use.prefect / "prefect.db", "select state_type, state_name from flow_run") == [("COMPLETED", "Promoted")]
    again = json.loads(evertune("run", config, "--as-of", DAY, "--json", "--set", "tuning.trials=2", "--tune", "always").stdout)
    assert (again["verdict"], again["version"]) == ("unchanged", "1")


def test_auto_is_asked_for_on_the_command_line(config: Path, home_in_use: Home) -> None:
    done = evertune("run", config, "--as-of", DAY, "--tune", "auto", "--json", "--set", "tuning.trials=2")
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["tuned"]) == (0, True), done.stderr
    assert summary["tune_reason"] == "tuning.when is auto: there is nothing to reuse, since there is no champion"


def test_an_empty_home_works_too(config: Path, home: Path) -> None:
    done = evertune("run", config, "--as-of", DAY, "--tune", "never")
    assert done.returncode == 0, done.stderr
    assert {"mlflow.db", "prefect", "artifacts", "reports"} <= {path.name for path in home.iterdir()}


def test_flights_retrains_from_the_command(home_in_use: Home) -> None:
    done = evertune("run", "configs/flights.yaml", "--as-of", "2013-04-01", "--tune", "always", "--set", "tuning.trials=2", "--json")
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["verdict"], summary["model"]) == (0, "promoted", "flights")
    assert summary["rows"]["test"] > 20_000
    assert 0.4 < summary["metric"]["challenger"] < 0.55


@pytest.mark.parametrize("example", ["digits", "diabetes"])
def test_the_other_examples_retrain(example: str, home_in_use: Home) -> None:
    done = evertune("run", f"configs/{example}.yaml", "--json")
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["verdict"]) == (0, "promoted"), summary["reason"]


def test_every_fault_of_a_config_is_named_with_exit_code_2(config: Path) -> None:
    done = evertune("run", config, "--set", "tuning.trials=0", "--set", "metrc=auc")
    assert done.returncode == 2
    assert "tuning.trials" in done.stderr
    assert "did you mean metric?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_password_on_the_command_line_is_refused_before_prefect_keeps_it(config: Path) -> None:
    done = evertune("run", config, "--set", "source.url=postgresql://me:hunter2@127.0.0.1/db")
    assert done.returncode == 2
    assert "url_env" in done.stderr
    assert "hunter2" not in done.stderr


def test_a_missing_config_is_exit_code_2_and_suggests_the_nearest() -> None:
    done = evertune("check", "configs/flight.yaml")
    assert done.returncode == 2
    assert "flights.yaml" in done.stderr


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["source.path=nowhere.csv"], "nowhere.csv"),
        (["target=bought"], "bought"),
        (['columns={"colour": "number"}'], "colour"),
        (["validation.min_rows=100000"], "100,000"),
    ],
)
def test_data_that_does_not_fit_is_exit_code_3_and_named(config: Path, home_in_use: Home, overrides: list[str], says: str) -> None:
    done = evertune("run", config, "--as-of", DAY, "--json", *(part for override in overrides for part in ("--set", override)))
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["verdict"]) == (3, "data_rejected")
    assert says in summary["reason"]
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert rows(home_in_use.prefect / "prefect.db", "select state_type from flow_run") == [("FAILED",)]
    assert rows(home_in_use.root / "mlflow.db", "select status from runs") == [("FAILED",)]


def test_no_rows_before_the_date_is_exit_code_3(config: Path, home_in_use: Home) -> None:
    done = evertune("run", config, "--as-of", "2023-01-01")
    assert done.returncode == 3
    assert "1 January 2023" in done.stderr


def test_a_search_that_fails_is_exit_code_4(config: Path, home_in_use: Home) -> None:
    done = evertune("run", config, "--as-of", DAY, "--set", "model.hyperparameters={objective: none_such}")
    assert done.returncode == 4
    assert "none of" in done.stderr


def test_an_mlflow_server_that_is_down_is_exit_code_75_within_seconds(config: Path, home: Path) -> None:
    started = time.monotonic()
    done = evertune("run", config, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode == 75
    assert "127.0.0.1:9" in done.stderr
    assert time.monotonic() - started < 5


def test_servers_that_the_environment_names_are_used_instead(config: Path, home_in_use: Home, tmp_path: Path) -> None:
    served = Home.named(tmp_path / "servers")
    served.prepare()
    elsewhere = tmp_path / "studies" / "studies.db"
    elsewhere.parent.mkdir()
    with open_pages(served, io.StringIO()) as pages:
        named = {
            "PREFECT_API_URL": f"{pages.prefect.address}/api",
            "MLFLOW_TRACKING_URI": pages.mlflow.address,
            "EVERTUNE_STUDIES_URL": f"sqlite:///{elsewhere}",
        }
        done = evertune("run", config, "--as-of", DAY, "--json", **named)
        again = evertune("run", config, "--as-of", "2024-04-20", "--json", **named)
    summary, replay = json.loads(done.stdout), json.loads(again.stdout)
    assert (done.returncode, summary["verdict"]) == (0, "promoted"), done.stderr
    assert replay["reason"].startswith("champion v1 is trained through")
    assert summary["look"]["MLflow"].startswith(pages.mlflow.address)
    assert summary["look"]["Prefect"].startswith(pages.prefect.address)
    assert ("COMPLETED",) in rows(served.prefect / "prefect.db", "select state_type from flow_run")
    assert rows(home_in_use.root / "mlflow.db", "select status from runs") == []
    assert elsewhere.is_file()


def test_check_prints_the_plan_and_trains_nothing(home: Path) -> None:
    done = evertune("check", "configs/flights.yaml", "--as-of", "2013-04-01")
    assert done.returncode == 0, done.stderr
    assert "no fault found" in done.stdout
    assert re.search(r"tuning    always: tpe over \d+ parameters \(.*, chosen because it learns from every trial", done.stdout)
    assert re.search(r"  num_leaves int \d+\.\.\d+, log, default \d+\n", done.stdout)
    assert "until     1 minute or 20 failed trials\n" in done.stdout
    assert not (home / "mlflow.db").exists()


def test_check_prints_conditions_constraints_and_what_a_grid_costs(config: Path, home: Path) -> None:
    space = (
        "model.space={boosting: [gbdt, dart], drop_rate: {low: 0.1, high: 0.5, step: 0.1, when: {boosting: dart}}, num_leaves: 7..63 log}"
    )
    fixed = "model.hyperparameters={learning_rate: 0.1}"
    settings = [
        "tuning.search=grid",
        "tuning.trials=100000000",
        'tuning.constraints=["num_leaves < 60"]',
        "tuning.grid_points=2",
        space,
        fixed,
    ]
    sets = [part for setting in settings for part in ("--set", setting)]
    done = evertune("check", config, "--as-of", DAY, "--tune", "auto", *sets)
    assert done.returncode == 0, done.stderr
    assert "tuning    auto: grid over" in done.stdout
    assert "  drop_rate float 0.1..0.5, step 0.1, while boosting is dart\n" in done.stdout
    assert "  constraint 1 num_leaves < 60\n" in done.stdout
    assert "until     the end of the grid or 100,000,000 trials" in done.stdout
    assert re.search(r"cost      [\d,]+ combinations, [\d,]+ fits on 2 folds \(no fit was timed here yet\)\n", done.stdout)
    assert "learning_rate" not in done.stdout.partition("tuning ")[2]


def test_a_grid_beyond_the_limit_is_refused_with_what_it_would_cost(config: Path) -> None:
    model = "model={family: scikit, estimator: Ridge, space: {alpha: 0.1..10 log}}"
    sets = [part for setting in ("tuning.search=grid", "tuning.grid_points=7", "tuning.trials=6", model) for part in ("--set", setting)]
    done = evertune("check", config, *sets)
    assert done.returncode == 2
    assert "a grid of 7 combinations, 14 fits on 2 folds, is too large: tuning.trials is 6;" in done.stderr


def test_profile_proposes_a_suite_that_the_data_passes(config: Path, home_in_use: Home, tmp_path: Path) -> None:
    proposed = evertune("profile", config, "--as-of", DAY)
    assert proposed.returncode == 0, proposed.stderr
    import yaml

    found = yaml.safe_load(proposed.stdout)
    suite = found
    assert len(suite) > 3
    checked = evertune("check", config, "--as-of", DAY, "--set", f"validation.expectations={json.dumps(suite)}")
    assert checked.returncode == 0, checked.stderr
    assert ", 0 failed" in checked.stdout


def test_the_shipped_json_schema_is_the_one_printed() -> None:
    assert evertune("schema").stdout == (ROOT / "configs" / "schema.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_run_in_order(long_run: subprocess.Popen[str], home_in_use: Home, number: signal.Signals, code: int) -> None:
    asked = time.monotonic()
    long_run.send_signal(number)
    _, errors = long_run.communicate(timeout=60)
    assert long_run.returncode == code, errors
    assert time.monotonic() - asked < 10
    assert rows(home_in_use.root / "mlflow.db", "select status from runs where name like 'shop 2024%'") == [("KILLED",)]
    assert rows(home_in_use.prefect / "prefect.db", "select state_type from flow_run")[0][0] in ("CRASHED", "CANCELLED", "FAILED")
    assert gone(home_in_use.root, seconds=max(0.0, asked + 10 - time.monotonic())), processes_in(home_in_use.root)
    (children,) = rows(home_in_use.root / "mlflow.db", "select count(*) from runs where name like 'trial %'")
    assert children[0] > 0  # what was over is written down, for a search that is gone on with


def test_a_signal_that_comes_while_an_object_is_cleared_away_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cleared:
        def __del__(self) -> None:
            raise KeyboardInterrupt

    def clear() -> None:
        Cleared()
        time.sleep(5)

    monkeypatch.setattr(sys, "unraisablehook", ask_again)
    with pytest.raises(KeyboardInterrupt):
        clear()
