"""Leases in both databases that keep them, held by real processes that are killed, stopped and woken."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

import tasks.leases
from tasks.errors import ConfigError, Conflict, ServiceUnavailable
from tasks.leases import Lease, hold_lease, process_started
from tasks.trials.stores import Store
from tests.postgres import Server, start_server
from tests.servers import Program, read_until

HOLDER = """
import sys, time
from pathlib import Path
from tasks.errors import EvertuneError
from tasks.leases import hold_lease
with hold_lease(sys.argv[1], "shop", float(sys.argv[2]), "a stubborn retrain") as lease:
    print("holding", flush=True)
    try:
        while not Path("woken").exists():
            time.sleep(0.05)
        lease.check()
    except EvertuneError as error:
        print(error.exit_code, error, flush=True)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with start_server() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'studies.db'}"
    address: str = request.getfixturevalue("server").sqlalchemy
    execute(address, "DROP TABLE IF EXISTS evertune_leases")
    return address


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "studies.db"


def execute(url: str, statement: str, **values: Any) -> None:
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(statement), values)


def row(url: str) -> Any:
    with sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool).connect() as connection:
        return connection.execute(sqlalchemy.text("SELECT * FROM evertune_leases")).mappings().one()


def take(url: str, seconds: float = 5.0) -> int:
    with hold_lease(url, "shop", seconds, "the second one") as lease:
        return lease.token


def until_taken(url: str, limit: float = 20.0) -> int:
    deadline = time.monotonic() + limit
    while True:
        try:
            return take(url)
        except Conflict:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_second_holder_is_refused_and_told_who_the_first_is(url: str) -> None:
    with hold_lease(url, "shop", 5, "retrain 1a2b"), pytest.raises(Conflict) as refused:
        take(url)
    assert refused.value.exit_code == 5
    assert f"held by retrain 1a2b (pid {os.getpid()} on {os.uname().nodename}, since 20" in str(refused.value)
    assert "wait until that is over" in str(refused.value)


def test_another_model_is_another_lease(url: str) -> None:
    with hold_lease(url, "shop", 5), hold_lease(url, "flights", 5) as lease:
        lease.check()


def test_a_released_lease_is_free_at_once_and_its_token_grows(url: str) -> None:
    assert take(url) < take(url) < take(url)
    assert row(url)["holder"] == ""


def test_an_error_in_the_body_releases_it_too(url: str) -> None:
    with pytest.raises(RuntimeError, match="boom"), hold_lease(url, "shop", 5):
        raise RuntimeError("boom")
    take(url)


def test_a_lease_is_renewed_for_as_long_as_it_is_held(url: str) -> None:
    with hold_lease(url, "shop", 0.9) as lease:
        first = row(url)
        time.sleep(1.5)
        later = row(url)
        with pytest.raises(Conflict):
            take(url)
        lease.check()
    assert later["expires"] > first["expires"] + 1
    assert later["token"] == first["token"]


def test_of_many_at_once_on_an_empty_database_one_gets_it(url: str) -> None:
    began, results = threading.Barrier(8), list[object]()

    def contend() -> None:
        began.wait()
        try:
            with hold_lease(url, "shop", 5):
                results.append("held")
                over.wait(20)
        except Conflict:
            results.append("refused")

    over = threading.Event()
    threads = [threading.Thread(target=contend) for _ in range(8)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while len(results) < 8 and time.monotonic() < deadline:
        time.sleep(0.02)
    over.set()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == ["held"] + ["refused"] * 7


def test_a_killed_holder_is_replaced_at_once_and_the_log_says_so(url: str, program: Program, caplog: pytest.LogCaptureFixture) -> None:
    process = program(HOLDER, url, "600")
    read_until(process, "holding")
    process.kill()
    process.wait()
    with caplog.at_level(logging.WARNING, "evertune"):
        assert take(url) > 0
    assert "taken over from a stubborn retrain" in caplog.text
    assert "its process is dead" in caplog.text


def test_a_holder_that_is_dead_but_not_yet_reaped_counts_as_dead(url: str, program: Program) -> None:
    process = program(HOLDER, url, "600")
    read_until(process, "holding")
    os.kill(process.pid, signal.SIGKILL)
    until_taken(url)


def test_a_stopped_holder_loses_its_lease_and_is_fenced_off_when_it_wakes(
    url: str, program: Program, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    process = program(HOLDER, url, "3")
    read_until(process, "holding")
    os.kill(process.pid, signal.SIGSTOP)  # a second before it renews: stopped in mid-transaction, it would lock the database
    with caplog.at_level(logging.WARNING, "evertune"):
        until_taken(url)
    assert "last heard of" in caplog.text
    with hold_lease(url, "shop", 5, "the second one") as second:
        (tmp_path / "woken").touch()
        os.kill(process.pid, signal.SIGCONT)
        woken = read_until(process, "5 this process has lost its hold on the model shop")
        assert "held by the second one" in woken
        assert process.wait(10) == 0
        second.check()


def test_a_holder_on_another_machine_is_believed_until_its_time_is_up(url: str) -> None:
    take(url)
    clock = tasks.leases.CLOCK[url.partition(":")[0].partition("+")[0]]
    elsewhere = "UPDATE evertune_leases SET holder = 'far away', host = 'elsewhere', pid = 1, renewed = {0}, expires = {0} + 600"
    execute(url, elsewhere.format(clock))
    with pytest.raises(Conflict, match=r"far away \(pid 1 on elsewhere"):
        take(url)
    execute(url, f"UPDATE evertune_leases SET renewed = {clock} - 700, expires = {clock} - 100")
    assert take(url) > 0


def test_a_pid_that_was_given_to_another_process_is_not_the_holder(url: str) -> None:
    with hold_lease(url, "shop", 600):
        execute(url, "UPDATE evertune_leases SET process_started = '1'")
        assert take(url) > 0


def test_a_clock_that_was_put_back_does_not_hold_a_lease_for_an_hour(url: str) -> None:
    take(url)
    clock = tasks.leases.CLOCK[url.partition(":")[0].partition("+")[0]]
    execute(url, f"UPDATE evertune_leases SET holder = 'x', host = 'elsewhere', renewed = {clock} + 3600, expires = {clock} + 3660")
    assert take(url) > 0


def test_a_row_that_somebody_deletes_is_lost_and_its_successor_has_a_greater_token(url: str) -> None:
    with hold_lease(url, "shop", 5) as lease:
        execute(url, "DELETE FROM evertune_leases")
        with pytest.raises(Conflict, match="lost its hold"):
            lease.check()
        with hold_lease(url, "shop", 5) as second:
            assert second.token > lease.token
            with pytest.raises(Conflict):
                lease.check()


def test_a_person_may_take_it_by_force_and_the_holder_is_fenced_off(url: str) -> None:
    with hold_lease(url, "shop", 5, "a long retrain") as lease, hold_lease(url, "shop", 5, "rollback by me@here", seize=True) as second:
        with pytest.raises(Conflict, match="held by rollback by me@here"):
            lease.check()
        second.check()


def test_the_loser_does_not_release_the_winners_lease(url: str) -> None:
    with ExitStack() as winner:
        with hold_lease(url, "shop", 5):
            second: Lease = winner.enter_context(hold_lease(url, "shop", 5, "winner", seize=True))
        second.check()
        assert row(url)["holder"] == "winner"


def test_a_living_process_is_told_from_a_dead_one() -> None:
    assert process_started(os.getpid()) == Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    assert process_started(2**22 + 1) is None


def test_studies_and_leases_share_a_database(url: str) -> None:
    with hold_lease(url, "shop", 5) as lease:
        Store(url, "shop-1").close()
        lease.check()
    take(url)


@pytest.mark.postgres
def test_a_server_that_is_down_is_a_service_that_is_not_there_and_no_secret_is_told() -> None:
    with pytest.raises(ServiceUnavailable, match="does not answer") as down:
        take("postgresql://me:hunter2@127.0.0.1:9/studies")
    assert down.value.exit_code == 75
    assert "hunter2" not in str(down.value)


@pytest.mark.postgres
def test_a_lease_outlives_a_restart_of_its_server(caplog: pytest.LogCaptureFixture) -> None:
    with start_server() as server, caplog.at_level(logging.WARNING, "evertune"):
        with hold_lease(server.sqlalchemy, "shop", 3) as lease:
            server.stop()
            with pytest.raises(ServiceUnavailable):
                lease.check()
            time.sleep(1.2)
            server.start()
            lease.check()
        assert "could not be renewed" in caplog.text


def test_a_file_that_another_program_locks_is_waited_for_and_then_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{file}"
    take(url)
    monkeypatch.setattr(tasks.leases, "WAIT_SECONDS", 0.5)
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ServiceUnavailable, match="locked"):
            take(url)
    other.close()
    take(url)


def test_a_file_that_is_deleted_during_a_run_is_not_made_again(file: Path) -> None:
    with hold_lease(f"sqlite:///{file}", "shop", 5) as lease:
        file.unlink()
        with pytest.raises(ServiceUnavailable, match="deleted or moved"):
            lease.check()
    assert not file.exists()


def test_a_folder_that_is_not_there_is_a_service_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match="unable to open"):
        take(f"sqlite:///{tmp_path / 'nowhere' / 'studies.db'}")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://me:hunter2@host/db", "no address"])
def test_databases_that_cannot_keep_leases_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="EVERTUNE_STUDIES_URL") as refused:
        take(url)
    assert "hunter2" not in str(refused.value)
