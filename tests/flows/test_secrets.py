"""No secret is kept or printed: a retrain that succeeds and one that fails, and then every store is searched for what must not be there."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.retrain import retrain
from tasks.errors import ServiceUnavailable
from tests.flows.notices.sinks import HttpSink, http_sink
from tests.operation import ask
from tests.postgres import start_server
from tests.small import at_day, small_config, small_table

PASSWORDS = {"database": "correct-horse", "store": "st0re-pa55", "token": "t0ken-4711", "hook": "h00k-0815", "mail": "m41l-pa55"}
pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("store")]


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpSink]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http_sink() as running:
        yield running


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch, sink: HttpSink) -> None:
    """What a worker's environment holds: an address to POST to, its token, a mail server's password."""
    monkeypatch.setenv("SHOP_HOOK", f"{sink.address}/services/{PASSWORDS['hook']}")
    monkeypatch.setenv("SHOP_TOKEN", PASSWORDS["token"])
    monkeypatch.setenv("SHOP_MAIL", PASSWORDS["mail"])


def secretive(folder: Path, source: dict[str, Any]) -> str:
    """A config whose every secret is a variable's, with a webhook that refuses and a mail server that is not there."""
    everything = ["promoted", "failed"]
    hook = {"to": "webhook", "url_env": "SHOP_HOOK", "token_env": "SHOP_TOKEN", "on": [*everything], "timeout_seconds": 3}
    mail = {"to": "email", "recipients": ["a@example.com"], "sender": "ml@example.com", "host": "127.0.0.1", "port": 9, "on": everything}
    login = {"username": "me", "password_env": "SHOP_MAIL", "timeout_seconds": 1}
    return str(small_config(folder, source=source, operation={"notify": [hook, {**mail, **login}]}))


def written(home: Path, api_url: str, flow_run_id: str) -> Iterator[tuple[str, str]]:
    """(where, text) of all that a retrain has left: every file of this home, every table, and Prefect's run through its API."""
    for path in sorted(path for path in home.rglob("*") if path.is_file()):
        yield str(path.relative_to(home)), path.read_bytes().decode("latin-1")
    for database in home.glob("*.db"):
        with sqlite3.connect(database) as connection:
            yield f"{database.name}, as SQL", "\n".join(connection.iterdump())
    run = {"flow_runs": {"id": {"any_": [flow_run_id]}}}
    yield "Prefect's run", json.dumps(ask(f"{api_url}/flow_runs/filter", run))
    yield "Prefect's states", json.dumps(ask(f"{api_url}/flow_run_states/?flow_run_id={flow_run_id}"))
    yield "Prefect's task runs", json.dumps(ask(f"{api_url}/task_runs/filter", run))
    yield "Prefect's log", json.dumps(ask(f"{api_url}/logs/filter", {"logs": {"flow_run_id": {"any_": [flow_run_id]}}}))
    yield "Prefect's artifacts", json.dumps(ask(f"{api_url}/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [flow_run_id]}}}))


def leaks(texts: Iterator[tuple[str, str]]) -> list[str]:
    found, places = [], 0
    for where, text in texts:
        places += 1
        found += [f"{name} in {where}: ...{text[max(0, text.find(word) - 60) :][:120]}" for name, word in PASSWORDS.items() if word in text]
    assert places > 20  # there was something to be searched
    return found


@pytest.mark.postgres
def test_a_retrain_that_succeeds_leaves_no_secret_anywhere(
    prefect_server: str,
    home: Path,
    tmp_path: Path,
    secrets: None,
    sink: HttpSink,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with start_server() as server:
        import sqlalchemy

        engine = sqlalchemy.create_engine(server.sqlalchemy)
        small_table().to_sql("shop", engine, index=False)
        engine.dispose()
        monkeypatch.setenv("SHOP_URL", server.address)
        sink.answers = [(401, {})] * 9
        config = secretive(tmp_path / "shop", {"kind": "sql", "url_env": "SHOP_URL", "query": "SELECT * FROM shop"})
        result: Any = retrain(config, as_of=at_day(120))
    assert result.verdict == "promoted"
    assert PASSWORDS["token"] in str(sink.received[0][1])
    assert PASSWORDS["hook"] in sink.received[0][0]
    said = capfd.readouterr()
    kept = [*written(home, prefect_server, result.prefect_flow_run_id), ("the notice", json.dumps(sink.bodies))]
    kept += [("standard output", said.out), ("standard error", said.err), ("the log", caplog.text), ("the result", result.to_json())]
    assert "the webhook at $SHOP_HOOK was not told (promoted)" in caplog.text
    assert not leaks(iter(kept))


def test_a_retrain_that_fails_leaves_no_secret_anywhere(
    prefect_server: str,
    home: Path,
    tmp_path: Path,
    secrets: None,
    sink: HttpSink,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHOP_URL", f"postgresql://me:{PASSWORDS['database']}@127.0.0.1:9/none")
    config = secretive(tmp_path / "shop", {"kind": "sql", "url_env": "SHOP_URL", "query": "SELECT * FROM shop"})
    with pytest.raises(ServiceUnavailable) as failed:
        retrain(config, as_of=at_day(120))
    assert sink.bodies[0]["event"] == "failed"
    said, summary = capfd.readouterr(), failed.value.summary
    kept = [*written(home, prefect_server, summary["prefect_flow_run_id"]), ("the notice", json.dumps(sink.bodies))]
    kept += [("standard output", said.out), ("standard error", said.err), ("the log", caplog.text), ("the summary", json.dumps(summary))]
    kept += [("the error", repr(failed.value) + str(failed.value.__cause__) + str(failed.value.__context__))]
    assert not leaks(iter(kept))


def test_a_store_that_lets_nobody_in_is_named_without_its_password(
    prefect_server: str,
    tmp_path: Path,
    secrets: None,
    sink: HttpSink,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """MLflow's and the studies' database, whose addresses hold passwords too."""
    for variable in ("EVERTUNE_STUDIES_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(variable, f"postgresql://me:{PASSWORDS['store']}@127.0.0.1:9/{variable.lower()}")
        state: Any = retrain(secretive(tmp_path / "shop", {"kind": "csv", "path": "table.csv"}), as_of=at_day(120), return_state=True)
        assert state.type == "FAILED"
        said = capfd.readouterr()
        run = ask(f"{prefect_server}/flow_runs/{state.state_details.flow_run_id}")
        told = "\n".join((said.out, said.err, caplog.text, json.dumps(run), str(state.message)))
        assert "***" in told
        assert PASSWORDS["store"] not in told
