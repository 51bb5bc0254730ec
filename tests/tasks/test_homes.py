from __future__ import annotations

import errno
import os
import signal
import stat
import time
from pathlib import Path

import pytest

from tasks.errors import ConfigError, ServiceUnavailable
from tasks.homes import Home, first_access
from tests.servers import Program, read_until

WRITER = """
import resource, signal
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
from tasks.errors import EvertuneError
from tasks.homes import Home
try:
    Home.from_environment()
except EvertuneError as error:
    print(error.exit_code, error)
"""
HOLDER = """
import time
from tasks.homes import Home, first_access
with first_access(Home.from_environment()):
    print("holding")
    time.sleep(60)
"""


def test_a_home_is_made_for_its_owner_alone_whatever_the_umask(home: Path) -> None:
    before = os.umask(0)
    try:
        made = Home.from_environment()
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (made.root, *made.root.iterdir())} == {0o700}


def test_databases_of_one_home_are_three_files_in_it(home: Path) -> None:
    made = Home.from_environment()
    urls = {made.mlflow_url, made.studies_url, made.prefect_url}
    assert len(urls) == 3
    assert all(str(home) in url for url in urls)


def test_the_default_is_a_hidden_folder_in_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EVERTUNE_HOME")
    monkeypatch.chdir(tmp_path)
    assert Home.from_environment().root == tmp_path / ".evertune"


def test_rights_of_a_folder_that_was_there_are_left_alone(home: Path) -> None:
    home.mkdir()
    home.chmod(0o750)
    Home.from_environment()
    assert stat.S_IMODE(home.stat().st_mode) == 0o750


@pytest.mark.parametrize("name", ["what?", "half#done", "50%", "two\nlines"])
def test_a_name_that_would_break_a_database_address_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="EVERTUNE_HOME"):
        Home.named(name)


def test_a_file_in_the_way_is_a_mistake_of_configuration(home: Path) -> None:
    home.write_text("not a folder")
    with pytest.raises(ConfigError, match="cannot be a folder"):
        Home.from_environment()


def test_a_name_too_long_is_a_mistake_of_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERTUNE_HOME", "x" * 300)
    with pytest.raises(ConfigError, match="cannot be a folder"):
        Home.from_environment()


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_refuses_is_named_with_its_reason(home: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(home))

    monkeypatch.setattr("tasks.homes.tempfile.TemporaryFile", refuse)
    with pytest.raises(ServiceUnavailable, match=os.strerror(number)) as caught:
        Home.from_environment()
    assert str(home) in str(caught.value)


def test_a_disk_that_takes_no_more_bytes_is_seen_before_anything_runs(home: Path, program: Program) -> None:
    output = program(WRITER).communicate()[0]
    assert output.startswith("75 EVERTUNE_HOME")
    assert "File too large" in output


def test_first_access_is_for_one_process_at_a_time(home: Path, program: Program) -> None:
    read_until(program(HOLDER), "holding")
    with pytest.raises(ServiceUnavailable, match=r"mlflow\.lock"), first_access(Home.from_environment(), wait_seconds=0.2):
        pass


def test_first_access_of_another_database_does_not_wait(home: Path, program: Program) -> None:
    read_until(program(HOLDER), "holding")
    with first_access(Home.from_environment(), "prefect", wait_seconds=0.2):
        pass


def test_a_killed_holder_frees_first_access_at_once(home: Path, program: Program) -> None:
    holder = program(HOLDER)
    read_until(holder, "holding")
    holder.send_signal(signal.SIGKILL)
    started = time.monotonic()
    with first_access(Home.from_environment(), wait_seconds=5):
        assert time.monotonic() - started < 2
