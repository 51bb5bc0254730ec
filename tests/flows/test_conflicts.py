"""Two at once, a hand in between, a kill around the alias: one version, one champion, and the next run puts it right."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from flows.command_line import main
from tasks.errors import Conflict
from tasks.homes import Home
from tasks.registry.aliases import INTENT
from tests.servers import Program, read_until
from tests.small import at_day, small_config, small_table
from tests.stores import Retrain

PROMOTING = {"gate": {"min_rows": 20, "margin": 0.5, "unsure": "promote", "explain": False}, "tuning": {"when": "never"}}
"""A quick retrain whose candidate goes live, unless something comes between."""
RETRAIN = """
import os, signal, sys, time
from datetime import datetime
from pathlib import Path
from mlflow import MlflowClient
from configs.reading import read_config
from flows.retrain import run_retrain
from tasks.errors import EvertuneError

config, as_of, point, go = sys.argv[1:]

def killed(name, after, wanted):
    method = getattr(MlflowClient, name)
    def write(self, *args, **kwargs):
        hit = wanted in args
        if hit and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        found = method(self, *args, **kwargs)
        if hit:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    setattr(MlflowClient, name, write)

if point == "before the version":
    killed("create_model_version", False, "shop")
elif point == "before the alias":
    killed("set_registered_model_alias", False, "champion")
elif point == "after the alias":
    killed("set_registered_model_alias", True, "champion")
print("ready", flush=True)
while go and not Path(go).exists():
    time.sleep(0.01)
try:
    result = run_retrain(read_config(config), datetime.fromisoformat(as_of))
    print("ended", result.verdict, result.version, flush=True)
except EvertuneError as error:
    print("ended", error.exit_code, error, flush=True)
    sys.exit(error.exit_code)
"""


def start(program: Program, config: Path, day: int, point: str = "", go: str = "") -> Any:
    process = program(RETRAIN, str(config), at_day(day).isoformat(), point, go)
    read_until(process, "ready")
    return process


def versions(client: MlflowClient) -> list[str]:
    return sorted(str(version.version) for version in client.search_model_versions("name = 'shop'"))


def aliases(client: MlflowClient) -> dict[str, str]:
    return {alias: str(version) for alias, version in client.get_registered_model("shop").aliases.items()}


def statuses(client: MlflowClient) -> list[str]:
    experiment = client.get_experiment_by_name("shop")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], "tags.`evertune.kind` = 'retrain'", order_by=["attributes.start_time"])
    return [run.info.status for run in found]


def test_of_two_retrains_at_once_one_goes_on_and_the_other_ends_with_exit_code_5(
    program: Program, tmp_path: Path, client: MlflowClient
) -> None:
    config = small_config(tmp_path / "shop", **PROMOTING)
    both = [start(program, config, 120, go=str(tmp_path / "go")) for _ in range(2)]
    (tmp_path / "go").touch()
    said = [read_until(process, "ended").splitlines()[-1] for process in both]
    assert sorted(process.wait(30) for process in both) == [0, 5]
    winner = both[said.index("ended promoted 1")]
    loser = next(line for line in said if line != "ended promoted 1")
    assert re.search(rf"ended 5 the model shop is held by the retrain shop 2024-04-30 \(pid {winner.pid} on ", loser)
    assert (versions(client), aliases(client), statuses(client)) == (["1"], {"champion": "1"}, ["FINISHED"])


@pytest.mark.parametrize(
    ("point", "left", "live", "verdict"),
    [
        ("before the version", ["1"], "1", "promoted"),
        ("before the alias", ["1", "2"], "1", "promoted"),
        ("after the alias", ["1", "2"], "2", "unchanged"),
    ],
)
def test_a_kill_around_the_alias_is_put_right_by_the_next_run(
    retrain_shop: Retrain, program: Program, tmp_path: Path, client: MlflowClient, point: str, left: list[str], live: str, verdict: str
) -> None:
    retrain_shop(day=100, **PROMOTING)
    process = start(program, tmp_path / "shop" / "shop.yaml", 120, point)
    assert process.wait(120) == -signal.SIGKILL
    assert (versions(client), aliases(client)["champion"]) == (left, live)
    again = retrain_shop(day=120, **PROMOTING)
    assert (again.verdict, again.version) == (verdict, "2")
    assert (versions(client), aliases(client)) == (["1", "2"], {"champion": "2", "previous": "1"})
    tags = client.get_model_version("shop", "2").tags
    assert INTENT not in tags
    assert tags["evertune.promoted_by"].startswith("retrain ")
    assert retrain_shop(day=120, **PROMOTING).verdict == "unchanged"


def test_an_alias_that_a_hand_moves_during_the_run_is_respected(retrain_shop: Retrain, client: MlflowClient) -> None:
    retrain_shop(day=90, **PROMOTING)
    retrain_shop(day=100, **PROMOTING)
    moving = {"kind": "python", "function": "tests.registered:moving_table", "arguments": {"version": "1"}}
    with pytest.raises(Conflict, match="moved from v2 to v1") as moved:
        retrain_shop(day=120, source=moving, **PROMOTING)
    assert (moved.value.exit_code, moved.value.summary["verdict"]) == (5, "failed")
    assert aliases(client)["champion"] == "1"
    assert statuses(client)[-1] == "FAILED"
    later = retrain_shop(day=120, **PROMOTING)
    assert (later.verdict, aliases(client)) == ("promoted", {"champion": str(later.version), "previous": "1"})


def test_a_lease_that_somebody_deletes_during_the_run_ends_it_before_anything_is_registered(
    retrain_shop: Retrain, client: MlflowClient
) -> None:
    deleting = {"kind": "python", "function": "tests.registered:unleasing_table"}
    with pytest.raises(Conflict, match="lost its hold"):
        retrain_shop(source=deleting, **PROMOTING)
    assert client.search_model_versions("name = 'shop'") == []
    assert retrain_shop(**PROMOTING).verdict == "promoted"
    assert versions(client) == ["1"]


def test_a_retrain_that_was_stopped_for_longer_than_its_lease_cannot_promote(
    retrain_shop: Retrain, program: Program, tmp_path: Path, client: MlflowClient
) -> None:
    stopping = {"kind": "python", "function": "tests.registered:stopping_table"}
    config = small_config(
        tmp_path / "stopped", **PROMOTING, source=stopping, registry={"lease_seconds": 5}, seed=1
    )  # another retrain: no answer waits
    process = start(program, config, 120)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(5.5)
    assert retrain_shop(**PROMOTING).verdict == "promoted"
    os.kill(process.pid, signal.SIGCONT)
    said = read_until(process, "ended").splitlines()[-1]
    assert process.wait(30) == 5
    assert "ended 5 this process has lost its hold on the model shop" in said
    assert (versions(client), aliases(client)) == (["1"], {"champion": "1"})


def test_beside_a_champion_that_cannot_be_loaded_a_candidate_waits_for_a_person(
    retrain_shop: Retrain, client: MlflowClient, store: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("flows.command_line._log_to_the_terminal", lambda: None)
    retrain_shop(day=100, **PROMOTING)
    for file in store.artifacts.rglob("model.txt"):
        file.write_text("broken")
    for _ in range(2):
        asked = retrain_shop(day=120, **PROMOTING)
        assert (asked.verdict, asked.version) == ("ask", "2")
        assert "are not those that were registered" in asked.reason
        assert (versions(client), aliases(client)) == (["1", "2"], {"champion": "1", "challenger": "2"})
    assert main(["promote", "shop", "--reason", "the old one is gone"]) == 0
    assert aliases(client) == {"champion": "2", "previous": "1"}
    assert retrain_shop(day=120, **PROMOTING).verdict == "unchanged"
    assert main(["rollback", "shop"]) == 5
    assert main(["history", "shop"]) == 0
    assert "v2 champion" in capsys.readouterr().out


def test_a_champion_of_another_target_is_refused(retrain_shop: Retrain, client: MlflowClient) -> None:
    table = small_table().assign(returned=lambda frame: 1 - frame["sold"])
    retrain_shop(day=100, table=table, columns={"returned": "ignore"}, **PROMOTING)
    with pytest.raises(Conflict, match="predicts sold, this retrain returned") as refused:
        retrain_shop(day=120, table=table, target="returned", columns={"sold": "ignore"}, **PROMOTING)
    assert refused.value.exit_code == 5
    assert versions(client) == ["1"]


def test_a_champion_whose_settings_are_gone_is_refused(retrain_shop: Retrain, client: MlflowClient, store: Home) -> None:
    retrain_shop(day=100, **PROMOTING)
    for file in store.artifacts.rglob("recipe.json"):
        file.unlink()
    with pytest.raises(Conflict, match=r"recipe\.json of its run .* is gone"):
        retrain_shop(day=120, **PROMOTING)
    assert (versions(client), aliases(client)) == (["1"], {"champion": "1"})
