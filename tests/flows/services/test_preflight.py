"""A server that is down, silent, slow or closed to us is named within five seconds, before anything is read."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flows.services.preflight import MLFLOW_LIMITS, check_services, masked
from tasks.errors import ConfigError, EvertuneError, ServiceUnavailable

OPEN_PATHS = ("/health", "/api/health")  # neither Prefect nor MLflow asks for a password there


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [name for name in os.environ if name.startswith(("PREFECT_", "MLFLOW_")) or name.lower().endswith("_proxy")]
    for name in {*given, *MLFLOW_LIMITS}:
        monkeypatch.setenv(name, "")  # so that it is put back, whatever happens to it
        monkeypatch.delenv(name)


def fault() -> tuple[EvertuneError, float]:
    started = time.monotonic()
    with pytest.raises(EvertuneError) as caught:
        check_services()
    return caught.value, time.monotonic() - started


@contextmanager
def server(statuses: dict[str, int], password: str = "") -> Iterator[str]:
    """Answers with the status of the longest path that fits; 401 without the password; its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = not password or self.path in OPEN_PATHS or self.headers.get("Authorization") == password
            fits = [path for path in statuses if self.path.startswith(path)]
            self.send_response((statuses[max(fits, key=len)] if fits else 200) if allowed else 401)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.fixture
def silent() -> Iterator[str]:
    """Accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def dripping() -> Iterator[str]:
    """Sends a byte of its answer every half second: no single read ever takes long."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def drip(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        for _ in range(12):
            try:
                connection.send(b"H")
            except OSError:
                return
            time.sleep(0.5)


def test_without_servers_named_there_is_nothing_to_ask() -> None:
    check_services()


def test_closed_ports_are_all_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:2")
    error, seconds = fault()
    assert isinstance(error, ServiceUnavailable)
    assert seconds < 2
    for words in ("Prefect's server at http://127.0.0.1:1/api", "PREFECT_API_URL", "MLflow's server at http://127.0.0.1:2", "refused"):
        assert words in str(error)


def test_silent_servers_are_given_up_side_by_side(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"{silent}/api")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", silent)
    error, seconds = fault()
    assert seconds < 5
    assert str(error).count("no answer within 3 seconds") == 2


def test_a_dripping_server_is_given_up_too(dripping: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", dripping)
    error, seconds = fault()
    assert seconds < 5
    assert "does not answer" in str(error)


@pytest.mark.parametrize("variable", ["PREFECT_API_URL", "MLFLOW_TRACKING_URI"])
def test_an_address_that_nobody_knows_is_named(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "http://nobody.invalid:4200")
    error, seconds = fault()
    assert seconds < 5
    assert "nobody.invalid" in str(error)


def test_servers_that_are_well_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    with server({}) as address:
        monkeypatch.setenv("PREFECT_API_URL", f"{address}/api")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{address}/")
        check_services()


def test_a_password_that_is_missing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with server({}, password="Basic dTpw") as address:
        monkeypatch.setenv("PREFECT_API_URL", f"{address}/api")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        error, _ = fault()
    assert "asks for a password; set PREFECT_API_AUTH_STRING" in str(error)
    assert "asks for a password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in str(error)


def test_a_password_that_is_wrong_is_said_to_be_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with server({}, password="Basic dTpw") as address:
        monkeypatch.setenv("PREFECT_API_URL", f"{address}/api")
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", "u:wrong-one")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("//", "//u:wrong-too@"))
        error, _ = fault()
    assert str(error).count("refuses the password") == 2
    assert "wrong" not in str(error)


def test_the_right_password_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    with server({}, password="Basic dTpw") as address:
        monkeypatch.setenv("PREFECT_API_URL", f"{address}/api")
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", "u:p")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "u")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "p")
        check_services()


def test_a_host_name_that_mlflow_does_not_know_gets_the_option_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    with server({"/api": 403}) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        assert "--allowed-hosts" in str(fault()[0])


@pytest.mark.parametrize("status", [404, 500, 503])
def test_some_other_server_at_the_address_is_noticed(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with server({"/": status}) as address:
        monkeypatch.setenv("PREFECT_API_URL", address)
        assert f"answers {status} at /health; is PREFECT_API_URL its address?" in str(fault()[0])


@pytest.mark.flow
def test_the_real_prefect_server_passes(prefect_process: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_process)
    check_services()


@pytest.mark.parametrize(
    ("mlflow", "studies"),
    [
        ("sqlite:///one.db", "sqlite:///./one.db"),
        ("postgresql://a:b@localhost/one", "postgresql+psycopg://c:d@127.0.0.1:5432/one"),
        ("postgresql://a:b@DB/one", "postgres://db/one"),
        ("mysql://h/one", "mysql+pymysql://h:3306/one"),
    ],
)
def test_one_database_for_two_stores_is_refused_however_it_is_written(mlflow: str, studies: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow)
    monkeypatch.setenv("EVERTUNE_STUDIES_URL", studies)
    with pytest.raises(ConfigError, match="EVERTUNE_STUDIES_URL names the same database as MLFLOW_TRACKING_URI"):
        check_services()


@pytest.mark.parametrize("file", ["mlflow.db", "prefect/prefect.db"])
def test_studies_in_one_of_the_homes_other_databases_are_refused(file: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERTUNE_STUDIES_URL", f"sqlite:///{home / file}")
    with pytest.raises(ConfigError, match="cannot share"):
        check_services()


@pytest.mark.parametrize(
    "studies", ["postgresql://h/two", "postgresql://g/one", "postgresql://h:5433/one", "postgresql://h/one?options=-csearch_path%3Dstudies"]
)
def test_databases_that_differ_pass(studies: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://h/one")
    monkeypatch.setenv("EVERTUNE_STUDIES_URL", studies)
    check_services()


def test_mlflows_patience_is_limited_unless_the_user_chose_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    check_services()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == MLFLOW_LIMITS["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]


@pytest.mark.parametrize(
    ("address", "shown"),
    [("http://u:p@h:1/x", "http://u:***@h:1/x"), ("postgresql://u@h/x", "postgresql://u@h/x"), ("sqlite:///x", "sqlite:///x")],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str) -> None:
    assert masked(address) == shown
