"""What all sources share: files looked at before they are opened, secrets masked, names that are the retrain's own."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import TypeAdapter, ValidationError

from tasks.errors import DataRejected
from tasks.sources import AnySource
from tasks.sources.source import frame_from_arrow, mask, require_file, unchanged

SOURCES: TypeAdapter[Any] = TypeAdapter(AnySource)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataRejected, match=r"source\.path: there is no file .*gone\.csv; check the path"):
        require_file(tmp_path / "gone.csv")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    with pytest.raises(DataRejected, match=r"empty\.csv is empty \(0 bytes\)"):
        require_file(tmp_path / "empty.csv")


def test_a_folder_a_pipe_a_socket_and_a_device_are_refused_without_opening_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    for path, kind in ((tmp_path, "folder"), (tmp_path / "pipe", "pipe"), (tmp_path / "socket", "socket"), (Path("/dev/zero"), "device")):
        with pytest.raises(DataRejected, match=f"must be a regular file, got a {kind}"):
            require_file(path)


def test_a_link_to_a_file_is_that_file_and_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("a\n1\n")
    (tmp_path / "link.csv").symlink_to("real.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    assert require_file(tmp_path / "link.csv") == tmp_path / "link.csv"
    with pytest.raises(DataRejected, match="symbolic links"):
        require_file(tmp_path / "loop.csv")


@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
def test_an_impossible_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataRejected, match="cannot be read"):
        require_file(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "closed.csv").write_text("a\n1\n")
    (tmp_path / "closed.csv").chmod(0)
    with pytest.raises(DataRejected, match="no permission to read"):
        require_file(tmp_path / "closed.csv")


@pytest.mark.parametrize("change", [lambda path: path.write_text("a\n1\n2\n"), lambda path: path.unlink()], ids=["written", "removed"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, change: Any) -> None:
    path = tmp_path / "live.csv"
    path.write_text("a\n1\n")
    with pytest.raises(DataRejected, match=r"live\.csv changed while it was being read"), unchanged(path):
        change(path)


@pytest.mark.parametrize("kind", ["csv", "parquet", "duckdb"])
def test_an_address_in_place_of_a_path_is_refused(kind: str) -> None:
    with pytest.raises(ValidationError, match="must be a file on this machine, not an address"):
        SOURCES.validate_python({"kind": kind, "path": "s3://key:secret@bucket/flights", "query": "FROM x"})


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "sql", "url": "sqlite://", "query": "SELECT 1", "parameters": {"as_of": "now"}},
        {"kind": "duckdb", "query": "SELECT 1", "parameters": {"as_of": "now"}},
        {"kind": "python", "function": "a:b", "arguments": {"as_of": "now"}},
    ],
)
def test_as_of_is_the_retrains_to_set(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="as_of is set by the retrain; leave it out"):
        SOURCES.validate_python(settings)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://reader:hunter2@host/db", "postgresql://reader:***@host/db"),
        ("postgresql://reader:hunter/2@x@host/db", "postgresql://reader:***@host/db"),
        ("postgresql://reader@host/db", "postgresql://reader@host/db"),
        ("postgresql://host/db?password=hunter2&sslmode=require", "postgresql://host/db?password=***&sslmode=require"),
        ("host=h password='hunter 2' user=u", "host=h password=*** user=u"),
        ("SSLPASSWORD = hunter2", "SSLPASSWORD = ***"),
        ("s3?api_key=abc;access_key:def", "s3?api_key=***;access_key:***"),
        ("motherduck_token=abc", "motherduck_token=***"),
        ("token_env: HOOK_TOKEN", "token_env: HOOK_TOKEN"),
        ('password authentication failed for user "reader"', 'password authentication failed for user "reader"'),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_arrow_decimals_become_floats_and_dates_midnights() -> None:
    table = pa.table(
        {
            "price": pa.array([1], pa.decimal128(9, 2)),
            "day": pa.array([0], pa.date32()),
            "price again": pa.array([None], pa.decimal128(5, 1)),
        }
    )
    frame = frame_from_arrow(table)
    assert frame["price"].dtype == frame["price again"].dtype == "float64"
    assert frame["day"].dt.year.tolist() == [1970]
