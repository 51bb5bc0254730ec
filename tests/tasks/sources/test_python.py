"""A Python function as source: whatever is wrong with it, the message says what and where."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from tasks.errors import ConfigError, DataRejected, ServiceUnavailable
from tasks.sources.python import Python

AS_OF = datetime(2013, 1, 2, tzinfo=UTC)
NUMBER = itertools.count()
Run = Callable[..., pd.DataFrame]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Writes a module into the working directory and reads its function `table`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def read(code: str, function: str = "table", **arguments: Any) -> pd.DataFrame:
        module = f"module_{next(NUMBER)}"
        (tmp_path / f"{module}.py").write_text(f"import pandas as pd\n{code}\n")
        return Python(kind="python", function=f"{module}:{function}", arguments=arguments).read(AS_OF)

    return read


def test_a_module_in_the_working_directory_is_found_and_gets_its_arguments_and_as_of(run: Run) -> None:
    frame = run("def table(month, *, as_of, names=()): return pd.DataFrame({'a': [month, as_of, *names]})", month=3, names=("x", "y"))
    assert frame["a"].tolist() == [3, AS_OF, "x", "y"]


def test_a_function_that_does_not_take_as_of_is_called_without(run: Run) -> None:
    assert len(run("def table(): return pd.DataFrame({'a': [1]})")) == 1


def test_a_missing_module_is_named(run: Run) -> None:
    with pytest.raises(ConfigError, match="there is no module 'no_such_module' to import no_such_module:table from"):
        Python(kind="python", function="no_such_module:table").read(AS_OF)
    with pytest.raises(ConfigError, match="there is no module 'no_such_driver'"):
        run("import no_such_driver")


def test_a_missing_function_or_something_else_of_that_name_is_named(run: Run) -> None:
    for code in ("", "table = 3"):
        with pytest.raises(ConfigError, match="has no function called 'table'"):
            run(code)


@pytest.mark.parametrize("code", ["def table(:", "1 / 0", "from pandas import no_such_thing"])
def test_a_module_that_cannot_be_imported_says_why(run: Run, code: str) -> None:
    with pytest.raises(ConfigError, match=r"importing module_\d+ raised (SyntaxError|ZeroDivisionError|ImportError): .*line \d+\)"):
        run(code)


def test_wrong_arguments_are_told_apart_from_errors_in_the_function(run: Run) -> None:
    with pytest.raises(ConfigError, match=r"source\.arguments: .* got an unexpected keyword argument 'monht'"):
        run("def table(month=1): ...", monht=3)
    with pytest.raises(ConfigError, match="missing a required argument: 'month'"):
        run("def table(month): ...")


@pytest.mark.parametrize("failure", ["raise ValueError('no such month')", "raise SystemExit(0)"])
def test_a_function_that_raises_rejects_the_data_and_says_in_which_line(run: Run, failure: str) -> None:
    with pytest.raises(
        DataRejected, match=r"source\.function: .* raised (ValueError: no such month|SystemExit: 0) \(module_\d+\.py, line 3\)"
    ):
        run(f"def table():\n    {failure}")


def test_a_secret_in_a_functions_error_is_masked(run: Run) -> None:
    with pytest.raises(DataRejected, match=r"cannot reach postgresql://me:\*\*\*@host"):
        run("def table(): raise OSError('cannot reach postgresql://me:hunter2@host/db')")


def test_an_error_of_ours_keeps_its_class(run: Run) -> None:
    with pytest.raises(ServiceUnavailable, match="closed on Sundays"):
        run("from tasks.errors import ServiceUnavailable\ndef table(): raise ServiceUnavailable('closed on Sundays')")


@pytest.mark.parametrize(("result", "kind"), [("None", "NoneType"), ("[1]", "list"), ("pd.Series([1])", "Series")])
def test_anything_but_a_frame_is_refused(run: Run, result: str, kind: str) -> None:
    with pytest.raises(DataRejected, match=f"must return a pandas DataFrame, got {kind}"):
        run(f"def table(): return {result}")


@pytest.mark.parametrize("name", ["table", "module:", ":table", "a b:table", "a..b:table", "os:system('x')", "a:b\n", "../a:b"])
def test_a_name_that_is_not_module_and_function_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="must be module:function"):
        Python(kind="python", function=name)
