"""Golden rows: rows whose right answer somebody knows, and which no model may get wrong, however good it is on average."""

from __future__ import annotations

import bz2
import gzip
import lzma
import math
import warnings
import zlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from tasks.errors import ConfigError, TrainingFailed
from tasks.metrics import labels
from tasks.records import Floats, GoldenRow, Target
from tasks.serving import category_text
from tasks.settings import GateSettings
from tasks.wording import did_you_mean, say_count

ENDINGS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
NOT_A_NUMBER = "no finite number"


class Asked(Protocol):
    """Who is asked, such as a `tasks.models.model.Fitted`."""

    @property
    def plan(self) -> dict[str, Any]: ...

    def predict(self, frame: Any) -> Floats: ...


def ask_golden(fitted: Asked, settings: GateSettings) -> tuple[GoldenRow, ...]:
    """What the challenger says to each row of the file `gate.golden`; nothing where there is no such file.

    The target's column holds the expected answers, the rest are raw columns, read as a CSV source reads them (write
    Parquet where types matter). A class must be right, a number within `gate.golden_tolerance`; a prediction that is no
    finite number is wrong. Raises ConfigError for a file that is missing, unreadable, empty, lacks a column or expects
    what no model of this task answers, TrainingFailed when the challenger cannot answer at all.
    """
    if settings.golden is None:
        return ()
    plan = fitted.plan
    frame = _open(settings.golden, plan["task"])
    _require_columns(frame, plan, settings.golden)
    expected = _expected(frame[plan["target"]], plan, settings.golden)
    try:
        raw = np.asarray(fitted.predict(frame), dtype=np.float64)
    except Exception as error:  # a library's own error, of whatever class it chose
        raise TrainingFailed(f"the challenger cannot answer the golden rows: {type(error).__name__}: {error}") from error
    tolerance = 0.0 if plan["classes"] else settings.golden_tolerance
    return tuple(
        _judge(row, wanted, said, tolerance) for row, (wanted, said) in enumerate(zip(expected, _answers(raw, plan), strict=True), start=1)
    )


def require_golden(settings: GateSettings, target: Target) -> None:
    """Look at the golden rows before anything is trained. Raises ConfigError as `ask_golden` would, but for the model's columns."""
    if settings.golden is None:
        return
    plan = {"task": target.task, "target": target.column, "classes": list(target.classes), "columns": []}
    frame = _open(settings.golden, target.task)
    _require_columns(frame, plan, settings.golden)
    _expected(frame[target.column], plan, settings.golden)


def _open(path: Path, task: str) -> pd.DataFrame:
    if task == "ranking":
        raise ConfigError("gate.golden: a ranking's scores mean nothing by themselves, so no row has a right one; leave golden out")
    return _read(path)


def _judge(row: int, wanted: Any, said: Any, tolerance: float) -> GoldenRow:
    """`wanted` is a class or, of a regression, a float; `said` the same, or None for what is no finite number."""
    if said is None:
        return GoldenRow(row, category_text(wanted), NOT_A_NUMBER, False)
    passed = wanted == said or (tolerance > 0 and abs(wanted - said) <= tolerance)
    return GoldenRow(row, category_text(wanted), category_text(said), bool(passed))


def _read(path: Path) -> pd.DataFrame:
    """The file's rows. A pipe or a device is never opened."""
    if not path.exists():
        raise ConfigError(f"gate.golden: there is no file {path}; check the path")
    if not path.is_file():
        raise ConfigError(f"gate.golden: {path} must be a CSV or Parquet file, not a folder, a pipe or a device")
    broken = (ValueError, OSError, EOFError, zlib.error, lzma.LZMAError, pd.errors.ParserWarning)
    try:
        frame = pd.read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    except broken as error:
        raise ConfigError(f"gate.golden: {path} is not a readable CSV or Parquet file: {str(error).strip()}") from error
    if not len(frame):
        raise ConfigError(f"gate.golden: {path} holds no rows; write at least one, or leave golden out")
    return frame


def _read_csv(path: Path) -> pd.DataFrame:
    plain: Any = ENDINGS.get(path.suffix.lower(), open)
    with plain(path, "rb") as stream, warnings.catch_warnings():
        # pandas only warns when it drops the fields that a row has too many
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(stream, index_col=False, low_memory=False)


def _require_columns(frame: pd.DataFrame, plan: dict[str, Any], path: Path) -> None:
    needed = [plan["target"], *(column["name"] for column in plan["columns"])]
    lacking = [name for name in dict.fromkeys(needed) if name not in frame]
    if lacking:
        hints = filter(None, (did_you_mean(name, map(str, frame.columns)) for name in lacking))
        raise ConfigError("; ".join((f"gate.golden: {path} lacks {', '.join(lacking)}, which the model or its target needs", *hints)))


def _expected(values: pd.Series, plan: dict[str, Any], path: Path) -> list[Any]:
    """The right answers: classes as the target has them, numbers as floats."""
    if values.isna().any():
        rows = ", ".join(str(row + 1) for row in np.flatnonzero(values.isna())[:5])
        raise ConfigError(f"gate.golden: {path} has no answer ({plan['target']}) in {say_count(int(values.isna().sum()), 'row')}: {rows}")
    answers = [_class_of(value, plan["classes"]) if plan["classes"] else _number_of(value) for value in values]
    for row, (answer, value) in enumerate(zip(answers, values, strict=True), start=1):
        if answer is None:
            wanted = f"one of {', '.join(map(str, plan['classes']))}" if plan["classes"] else "a number"
            raise ConfigError(f"gate.golden: row {row} of {path} expects {plan['target']} to be {value!r}; it must be {wanted}")
    return answers


def _class_of(value: Any, classes: list[Any]) -> Any:
    """The class that is meant, in whatever type a file has it; None where it is none: 1, 1.0 and "1" are alike, and True and "true"."""
    text = category_text(value)
    for name in classes:
        if category_text(name) == text or (isinstance(name, bool) and str(name).lower() == text.lower()):
            return name
    number = _number_of(value) if isinstance(value, str) else None
    return None if number is None else _class_of(number, classes)


def _number_of(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _answers(raw: Floats, plan: dict[str, Any]) -> list[Any]:
    """Raw predictions as answers: classes, or numbers as they are; None for what is no finite number."""
    answers = [plan["classes"][int(position)] for position in labels(raw)] if plan["classes"] else raw.tolist()
    return [answer if np.isfinite(row).all() else None for answer, row in zip(answers, raw, strict=True)]
