"""Prefect's own server for a run that was given none: real ones, each beside a program of its own."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from flows.services.servers import embedded_prefect
from tasks.errors import ServiceUnavailable
from tasks.homes import Home
from tests.servers import Program, gone, read_until

pytestmark = pytest.mark.flow
RUN = """
import sys, time
from flows.services.servers import embedded_prefect
from tasks.homes import Home
with embedded_prefect(Home.from_environment()) as server:
    from prefect import flow, get_run_logger
    server.wait()

    @flow
    def small(how):
        get_run_logger().info("a line of the %s flow", how)
        if how == "failing":
            raise ValueError("on purpose")
        if how == "long":
            print("running", flush=True)
            time.sleep(60)

    small(sys.argv[1])
    print("done")
"""


def rows(home: Home, query: str) -> list[tuple[str, ...]]:
    """What Prefect's database says, after its server is gone."""
    with sqlite3.connect(home.prefect / "prefect.db") as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found


def test_a_flow_runs_on_it_and_nothing_is_left_but_its_record(used_home: Home, program: Program) -> None:
    running = program(RUN, "good")
    output = running.communicate()[0]
    assert running.returncode == 0, output
    assert "done" in output
    assert rows(used_home, "select state_type from flow_run") == [("COMPLETED",)]
    assert gone(used_home.root, seconds=0)


def test_the_last_lines_of_a_failing_flow_are_kept(used_home: Home, program: Program) -> None:
    running = program(RUN, "failing")
    output = running.communicate()[0]
    assert running.returncode == 1, output
    assert rows(used_home, "select state_type from flow_run") == [("FAILED",)]
    assert ("a line of the failing flow",) in rows(used_home, "select message from log")
    assert gone(used_home.root, seconds=0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_does_not_outlive_a_run_that_is_ended(number: int, used_home: Home, program: Program) -> None:
    running = program(RUN, "long")
    read_until(running, "running")
    running.send_signal(number)
    assert gone(used_home.root, seconds=10)
    assert rows(used_home, "pragma integrity_check") == [("ok",)]


def test_two_first_runs_at_once_migrate_one_after_the_other(home: Path, program: Program) -> None:
    both = [program(RUN, "good"), program(RUN, "good")]
    for running in both:
        output = running.communicate()[0]
        assert running.returncode == 0, output
    assert rows(Home.named(home), "select state_type from flow_run") == [("COMPLETED",)] * 2
    assert gone(home, seconds=0)


def test_settings_for_another_server_do_not_reach_it(used_home: Home, program: Program) -> None:
    another = {
        "PREFECT_SERVER_API_AUTH_STRING": "user:password",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://nobody@127.0.0.1:1/none",
        "PREFECT_SERVER_API_BASE_PATH": "/elsewhere",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
        "NO_PROXY": "",
        "no_proxy": "",
    }
    running = program(RUN, "good", **another)
    output = running.communicate()[0]
    assert running.returncode == 0, output
    assert rows(used_home, "select state_type from flow_run") == [("COMPLETED",)]


def test_it_listens_on_this_machine_only_and_gives_its_port_back(used_home: Home) -> None:
    with embedded_prefect(used_home) as server:
        server.wait()
        port = urlsplit(server.address).port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port or 0), timeout=1)  # a server on 0.0.0.0 answers here too
    socket.create_server(("127.0.0.1", port or 0)).close()


def test_the_environment_names_it_while_it_runs_and_is_put_back(used_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", "before")
    with embedded_prefect(used_home) as server:
        assert os.environ["PREFECT_API_URL"] == server.api_url
        assert os.environ["PREFECT_HOME"] == str(used_home.prefect)
        assert "127.0.0.1" in os.environ["NO_PROXY"]
    assert os.environ["PREFECT_HOME"] == "before"
    assert "PREFECT_API_URL" not in os.environ


def test_a_broken_database_is_reported_with_the_servers_last_words(home: Path) -> None:
    broken = Home.from_environment()
    (broken.prefect / "prefect.db").write_bytes(b"not a database " * 100)
    with embedded_prefect(broken) as server, pytest.raises(ServiceUnavailable, match="ended with exit code 1") as caught:
        server.wait()
    assert "file is not a database" in str(caught.value)
    assert str(broken.logs / "prefect-server.log") in str(caught.value)
    assert gone(home, seconds=0)
