"""The review commands as a user types them, on a real registry and a real lease; one goes through a process of its own."""

from __future__ import annotations

import getpass
import io
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.commands.histories import read_history, show_history
from tasks.homes import Home
from tasks.leases import hold_lease
from tasks.registry import read_entry
from tests.registered import Shelf, shelf

__all__ = ["shelf"]
ME = f"{getpass.getuser()}@{platform.node()}"


@pytest.fixture
def asked(shelf: Shelf) -> Shelf:
    """v1 is champion, v2 waits."""
    shelf.add_champion(metric="log_loss 0.45", trained_through="2024-04-29T00:09:00+00:00")
    interval = json.dumps({"difference": 0.0004, "low": -0.0021, "high": 0.0029, "confidence": 0.95})
    shelf.add_waiting(metric="log_loss 0.4504 (before 0.45)", interval=interval)
    return shelf


def test_promote_finishes_what_waits_and_notes_who_and_why(evertune: Any, asked: Shelf) -> None:
    code, out, _ = evertune("promote", "shop", "--reason", "looked at it")
    assert (code, asked.aliases) == (0, {"champion": "2", "previous": "1"})
    assert out == "shop: v2 is the champion now, instead of v1\n  undo  evertune rollback shop\n"
    assert asked.log("2") == [f"promoted by {ME}"]
    assert asked.tags("2")["evertune.promoted_by"] == ME
    assert json.loads(asked.tags("2")["evertune.log"])[0]["why"] == "looked at it"


def test_rollback_goes_both_ways(evertune: Any, asked: Shelf) -> None:
    evertune("promote", "shop")
    for version, other in (("1", "2"), ("2", "1"), ("1", "2")):
        code, out, _ = evertune("rollback", "shop", "--reason", "it lies")
        assert (code, asked.aliases) == (0, {"champion": version, "previous": other})
        assert f"v{version} is the champion now, instead of v{other}" in out
    assert asked.log("1")[-1] == f"rolled back by {ME}"


def test_rollback_goes_to_any_version_that_was_champion(evertune: Any, shelf: Shelf) -> None:
    for _ in range(3):
        shelf.add_champion()
    assert evertune("rollback", "shop", "--to", "v1")[0] == 0
    assert shelf.aliases == {"champion": "1", "previous": "3"}


def test_a_rollback_works_after_somebody_deleted_the_alias_and_none_is_told_that_did_not_happen(
    evertune: Any, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        shelf.add_champion()
    shelf.client.delete_registered_model_alias("shop", "champion")
    assert evertune("rollback", "shop")[0] == 0
    assert shelf.aliases == {"champion": "1", "previous": "2"}
    monkeypatch.setattr("tasks.registry.make_champion", lambda *_: None)  # as if a hand had moved the alias back at once
    code, out, err = evertune("rollback", "shop")
    assert (code, out) == (5, "")
    assert "v2 of shop is not the champion: somebody moved the alias to v1 meanwhile" in err


def test_reject_lets_the_champion_be(evertune: Any, asked: Shelf) -> None:
    code, out, _ = evertune("reject", "shop", "--reason", "too slow")
    assert (code, asked.aliases) == (0, {"champion": "1"})
    assert out == "shop: v2 is rejected; v1 stays the champion\n"
    assert asked.log("2") == [f"rejected by {ME}"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("promote", "shop"), {"act": "promoted", "version": "2", "before": "1", "champion": "2", "previous": "1", "challenger": None}),
        (("reject", "shop", "2"), {"act": "rejected", "version": "2", "before": "1", "champion": "1", "previous": None}),
        (("rollback", "shop", "--to", "1"), {"act": "rolled back", "version": "1", "changed": False, "champion": "1", "challenger": "2"}),
    ],
)
def test_json_tells_what_is_so_now(evertune: Any, asked: Shelf, command: tuple[str, ...], expected: dict[str, Any]) -> None:
    code, out, _ = evertune(*command, "--json", "--reason", "why not")
    told = json.loads(out)
    assert code == 0
    assert {key: told[key] for key in expected} == expected
    assert (told["model"], told["by"], told["reason"]) == ("shop", ME, "why not")


def test_what_was_judged_against_another_champion_is_not_promoted(evertune: Any, asked: Shelf) -> None:
    asked.add_champion()
    code, _, err = evertune("promote", "shop", "2")
    assert code == 5
    assert "v2 of shop was judged against v1, but the champion is v3 now" in err
    assert evertune("promote", "shop", "2", "--force")[0] == 0
    assert asked.aliases == {"champion": "2", "previous": "3"}


def test_a_former_champion_is_rolled_back_to_not_promoted(evertune: Any, asked: Shelf) -> None:
    asked.add_champion()
    code, _, err = evertune("promote", "shop", "1")
    assert code == 5
    assert "evertune rollback shop --to 1" in err


def test_promoting_the_champion_changes_nothing(evertune: Any, asked: Shelf) -> None:
    before = asked.tags("1")
    assert evertune("promote", "shop", "1")[:2] == (0, "shop: v1 is the champion already\n")
    assert asked.tags("1") == before


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("promote", "shpo"), "there is no model 'shpo' (did you mean shop?)"),
        (("history", "nothing-like-it"), "there is no model 'nothing-like-it' (there are: shop)"),
        (("history", "it's"), "there is no model"),
        (("promote", "shop", "9"), "model shop has no version 9; there are: 1, 2"),
        (("rollback", "shop", "--to", "9"), "model shop has no version 9"),
        (("rollback", "shop", "--to", "2"), "v2 of shop was never champion; to make it one: evertune promote shop 2"),
        (("rollback", "shop"), "no previous champion"),
        (("reject", "shop", "1"), "was made champion before"),
    ],
)
def test_what_is_not_there_is_a_mistake_of_usage(evertune: Any, asked: Shelf, command: tuple[str, ...], says: str) -> None:
    code, out, err = evertune(*command)
    assert (code, out) == (2, "")
    assert says in err


def test_nothing_that_waits_is_said_so(evertune: Any, shelf: Shelf) -> None:
    shelf.add_champion()
    code, _, err = evertune("promote", "shop")
    assert code == 2
    assert "no version of shop waits for a person" in err


def test_a_home_without_a_registry_is_a_mistake_of_usage_and_none_is_made(evertune: Any, home: Path) -> None:
    code, _, err = evertune("history", "shop")
    assert code == 2
    assert "no model registry" in err
    assert not home.exists()


def test_a_version_whose_files_were_changed_does_not_go_live(evertune: Any, asked: Shelf, store: Home) -> None:
    for file in store.artifacts.rglob("MLmodel"):
        file.write_text("flavors: {python_function: {}}\n")
    code, _, err = evertune("promote", "shop")
    assert code == 5
    assert "are not those that were registered" in err
    assert asked.aliases["champion"] == "1"


def test_while_a_retrain_holds_the_model_a_command_waits_its_turn_unless_forced(evertune: Any, asked: Shelf) -> None:
    evertune("promote", "shop")
    with hold_lease(asked.studies, "shop", 30, "retrain 1a2b"):
        code, _, err = evertune("rollback", "shop")
        assert code == 5
        assert "the model shop is held by retrain 1a2b" in err
        assert evertune("rollback", "shop", "--force")[0] == 0
    assert asked.aliases == {"champion": "1", "previous": "2"}


def test_what_a_killed_run_left_behind_is_put_right_first(evertune: Any, asked: Shelf) -> None:
    asked.client.set_registered_model_alias("shop", "champion", "2")
    assert evertune("rollback", "shop")[0] == 0
    assert asked.aliases == {"champion": "1", "previous": "2"}
    assert asked.log("2")[0] == "moved by hand by somebody in MLflow"


def test_history_shows_each_version_and_what_waits(evertune: Any, asked: Shelf) -> None:
    code, out, _ = evertune("history", "shop")
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "shop: v1 is the champion"
    assert " ".join(lines[1].split()) == "version verdict as of rows to metric worse by tuned live since run"
    assert lines[2].startswith("v2 challenger")
    assert all(word in lines[2] for word in ("ask", "2024-05-01", "log_loss 0.4504", "+0.0004 (\u22120.0021 to 0.0029)", "yes"))
    assert lines[3].startswith("v1 champion")
    assert "promoted" in lines[3]
    assert "2024-04-29" in lines[3]
    assert lines[4] == "v2 waits: evertune promote shop, or evertune reject shop"
    assert "the rows cannot tell" in lines[5]


def test_history_tells_of_retrains_that_registered_nothing(evertune: Any, asked: Shelf) -> None:
    given = {"evertune.kind": "retrain", "evertune.model": "shop", "evertune.verdict": "kept", "evertune.reason": "worse"}
    asked.client.create_run(asked.tracker.experiment, tags=given)
    asked.client.create_run(asked.tracker.experiment, tags={**given, "evertune.model": "flights"})
    told = json.loads(evertune("history", "shop", "--json")[1])
    assert [(retrain["verdict"], retrain["reason"]) for retrain in told["retrains"]] == [("kept", "worse")]
    assert [version["version"] for version in told["versions"]] == ["2", "1"]
    newest = told["versions"][0]
    assert (newest["verdict"], newest["tuned"], newest["aliases"]) == ("ask", True, ["challenger"])
    assert newest["interval"] == {"difference": 0.0004, "low": -0.0021, "high": 0.0029, "confidence": 0.95}
    assert told["versions"][1]["log"][0]["act"] == "promoted"
    assert "kept" in evertune("history", "shop")[1].splitlines()[2]


def test_history_shows_the_newest_lines_and_says_how_many_are_older(evertune: Any, asked: Shelf) -> None:
    out = evertune("history", "shop", "--last", "1")[1]
    assert "v2 challenger" in out
    assert "v1 champion" not in out
    assert "(1 older lines: --last 0)" in out


def test_a_person_shows_as_the_one_who_promoted(evertune: Any, asked: Shelf) -> None:
    evertune("promote", "shop")
    assert ME in evertune("history", "shop")[1]


def test_a_narrow_terminal_shows_fewer_columns_and_cuts_none(evertune: Any, asked: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    show_history(read_history(asked.tracker, "shop"), 20, terminal)
    lines = re.sub("\x1b\\[[0-9;]*m", "", terminal.getvalue()).splitlines()
    assert " ".join(lines[1].split()) == "version verdict as of metric worse by live since"
    assert max(map(len, lines[1:4])) <= 80
    assert "\u2026" not in terminal.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_control_characters_in_tags_do_not_reach_the_terminal(evertune: Any, shelf: Shelf) -> None:
    shelf.add_champion(metric="log_loss \x1b[31m0.45", reason="[bold]x")
    assert "\x1b" not in evertune("history", "shop")[1]


@pytest.mark.command
def test_the_installed_command_reviews_too(asked: Shelf) -> None:
    command = [str(Path(sys.executable).parent / "evertune"), "promote", "shop", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["champion"] == "2"
    assert read_entry(asked.tracker, "shop").aliases["champion"] == "2"


@pytest.mark.command
def test_a_server_that_is_down_is_exit_code_75(home: Path) -> None:
    command = [str(Path(sys.executable).parent / "evertune"), "history", "shop"]
    done = subprocess.run(
        command, env={**os.environ, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 75
    assert "127.0.0.1:9" in done.stderr
