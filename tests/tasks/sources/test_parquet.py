"""Parquet: damaged files are named, folders and globs are one table, nothing is dropped in silence."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import ConfigError, DataRejected
from tasks.sources.parquet import Parquet

AS_OF = datetime(2013, 1, 1, tzinfo=UTC)


def read(path: Path, **settings: Any) -> pd.DataFrame:
    return Parquet(kind="parquet", path=path, **settings).read(AS_OF)


def write(path: Path, **columns: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def test_a_truncated_file_is_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "cut.parquet", a=range(1000))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataRejected, match=r"cut\.parquet is not readable Parquet"):
        read(path)


def test_a_flipped_bit_is_refused_where_the_file_has_page_checksums(tmp_path: Path) -> None:
    path, table = tmp_path / "flipped.parquet", pa.table({"a": np.random.default_rng(0).random(10_000)})
    pq.write_table(table, path, write_page_checksum=True, compression="none", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert len(pd.read_parquet(path)) == 10_000, "pandas alone does not notice"
    with pytest.raises(DataRejected, match=r"flipped\.parquet is not readable Parquet: .*CRC"):
        read(path)


@pytest.mark.parametrize("content", [b"PAR1", b"a,b\n1,2\n", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "table.parquet").write_bytes(content)
    with pytest.raises(DataRejected, match=r"table\.parquet is not readable Parquet"):
        read(tmp_path / "table.parquet")


def test_the_damaged_file_among_several_is_the_one_named(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", a=range(1000))
    damaged = write(tmp_path / "2.parquet", a=range(1000))
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(DataRejected, match=r"2\.parquet is not readable"):
        read(tmp_path)


def test_a_folder_without_parquet_and_a_glob_without_a_match_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataRejected, match=r"the folder .* holds no \.parquet file"):
        read(tmp_path)
    with pytest.raises(DataRejected, match=r"no file matches .*2013-\*\.parquet"):
        read(tmp_path / "2013-*.parquet")


def test_an_empty_file_or_a_pipe_within_a_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", a=[1])
    (tmp_path / "2.parquet").touch()
    with pytest.raises(DataRejected, match=r"2\.parquet is empty"):
        read(tmp_path)
    (tmp_path / "2.parquet").unlink()
    os.mkfifo(tmp_path / "2.parquet")
    with pytest.raises(DataRejected, match=r"2\.parquet must be a regular file, got a pipe"):
        read(tmp_path)


def test_what_is_no_parquet_or_is_hidden_in_a_folder_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", a=[1])
    write(tmp_path / "_temporary" / "2.parquet", a=[2])
    write(tmp_path / ".3.parquet", a=[3])
    (tmp_path / "README.txt").write_text("about")
    assert read(tmp_path)["a"].tolist() == [1]


def test_partition_folders_become_columns_but_not_those_above_the_path(tmp_path: Path) -> None:
    flights = tmp_path / "run=7" / "flights"
    for month in (1, 2):
        write(flights / f"month={month}" / "part.parquet", a=[month * 10])
    expected = [{"a": 10, "month": 1}, {"a": 20, "month": 2}]
    assert read(flights).to_dict("records") == expected
    assert read(flights / "month=*" / "*.parquet").to_dict("records") == expected
    assert read(flights / "month=1" / "part.parquet").to_dict("records") == [{"a": 10}]


def test_a_column_that_only_some_files_have_is_refused_where_arrow_would_drop_it(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", a=[1])
    write(tmp_path / "2.parquet", a=[2], b=[3])
    with pytest.raises(DataRejected, match=r"1\.parquet and .*2\.parquet must have the same columns; only one has b"):
        read(tmp_path)


def test_files_may_order_their_columns_differently_and_widen_their_types(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", a=pa.array([1], pa.int32()), b=pa.array([None]))
    write(tmp_path / "2.parquet", b=["x"], a=pa.array([2**40], pa.int64()))
    frame = read(tmp_path)
    assert frame["a"].tolist() == [1, 2**40]
    assert frame["b"].isna().tolist() == [True, False]


def test_files_whose_types_do_not_go_together_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", a=[1])
    write(tmp_path / "2.parquet", a=["x"])
    with pytest.raises(DataRejected, match="incompatible types"):
        read(tmp_path)


def test_a_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "1.parquet")
    with pytest.raises(DataRejected, match="duplicate"):
        read(tmp_path / "1.parquet")


def test_only_the_named_columns_are_read_and_an_unknown_one_gets_the_nearest_name(tmp_path: Path) -> None:
    path = write(tmp_path / "1.parquet", origin=["JFK"], distance=[100])
    assert list(read(path, columns=("distance",))) == ["distance"]
    with pytest.raises(ConfigError, match=r"source\.columns: .* has no column 'distanc'; did you mean distance\?"):
        read(path, columns=("distanc",))
    with pytest.raises(ConfigError, match="has no column 'zzz'; there are origin, distance"):
        read(path, columns=("zzz",))


def test_a_pandas_index_is_a_column_when_it_has_a_name_and_left_out_when_not(tmp_path: Path) -> None:
    frame = pd.DataFrame({"key": ["x", "y"], "a": [1, 2]})
    frame.set_index("key").to_parquet(tmp_path / "named.parquet")
    frame.iloc[[1]].to_parquet(tmp_path / "plain.parquet")
    assert set(read(tmp_path / "named.parquet")) == {"key", "a"}
    assert set(read(tmp_path / "plain.parquet")) == {"key", "a"}


def test_a_file_whose_name_looks_like_a_glob_is_read(tmp_path: Path) -> None:
    assert len(read(write(tmp_path / "table[1].parquet", a=[1]))) == 1


def test_a_relative_path_starts_at_the_given_folder(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", a=[1])
    assert len(Parquet(kind="parquet", path=Path("*.parquet")).anchored(tmp_path).read(AS_OF)) == 1
