"""Raw columns of a file as a registered model reads them, or the reason why it cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tasks.checks.columns import EXPECTED, FITTING, content_of, unfit
from tasks.checks.findings import say_value
from tasks.errors import DataRejected
from tasks.serving import category_text, read_dates
from tasks.sources.source import frame_from_arrow
from tasks.wording import did_you_mean, say_count

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = frozenset({
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN",
    "None", "n/a", "nan", "null",
})  # fmt: skip
"""How a missing value is written in CSV: as pandas' read_csv has it, which training data is read with."""
WORDS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
"""How read_csv has true and false written."""


def require_columns(plan: dict[str, Any], names: Sequence[str], answers: Sequence[str], source: Path, model: str) -> None:
    """Raises DataRejected when the file lacks columns that the model reads, or has one of the answers' names."""
    lacking = [column["name"] for column in plan["columns"] if column["name"] not in names]
    if lacking:
        hints = [hint for hint in (did_you_mean(name, names) for name in lacking) if hint]
        raise DataRejected(f"IN: {source} lacks {', '.join(lacking)}, which {model} reads" + (f"; {hints[0]}" if hints else ""))
    taken = [name for name in answers if name in names]
    if taken:
        raise DataRejected(f"IN: {source} has the column {taken[0]!r} already, which the answers would be written to; rename it")


def read_columns(plan: dict[str, Any], batch: pa.RecordBatch, text: bool, source: Path, before: int) -> dict[str, pd.Series]:
    """The model's columns of a batch; `text` as CSV has it. Raises DataRejected for values that are not of the column's kind.

    `before` is the number of rows before this batch, for messages.
    """
    import pyarrow as pa

    columns: dict[str, pd.Series] = {}
    for column in plan["columns"]:
        name, kind = column["name"], column["kind"]
        values = frame_from_arrow(pa.table({name: batch.column(name)}))[name]
        values = _from_text(values, column) if text else values
        content = content_of(values)
        readable = text and kind == "number" and content == "text"  # a column of numbers is text in a CSV file, too
        wrong = unfit(values, kind, content)
        if wrong.any() or (content not in FITTING[kind] and not readable):
            raise DataRejected(_complaint(name, kind, values, wrong, source, before))
        columns[name] = values
    return columns


def as_served(plan: dict[str, Any], columns: dict[str, pd.Series], rows: int) -> pd.DataFrame:
    """As the model's signature has them: numbers float64, categories text, dates in UTC; a column that is not given is missing."""
    frame = {}
    for column in plan["columns"]:
        values = columns.get(column["name"], pd.Series([None] * rows, dtype=object))
        if column["kind"] == "number":
            frame[column["name"]] = pd.to_numeric(values, errors="coerce").astype(np.float64).replace([np.inf, -np.inf], np.nan)
        elif column["kind"] == "date":
            frame[column["name"]] = read_dates(values)
        else:
            codes, distinct = pd.factorize(values)
            texts = np.array([*map(category_text, distinct), None], dtype=object)  # a missing value has code -1
            frame[column["name"]] = pd.Series(texts[codes], dtype=object)
    return pd.DataFrame(frame, index=pd.RangeIndex(rows))


def count_unusual(plan: dict[str, Any], frame: pd.DataFrame, missing: Counter[str], unknown: Counter[str]) -> None:
    """Add to the counts, by column, of missing values and of categories that the model has no place of their own for."""
    for column in plan["columns"]:
        values = frame[column["name"]]
        there = values.notna()
        if absent := int((~there).sum()):
            missing[column["name"]] += absent
        if column["kind"] == "category" and (strange := int((there & ~values.isin(column["values"])).sum())):
            unknown[column["name"]] += strange


def _from_text(values: pd.Series, column: dict[str, Any]) -> pd.Series:
    """A CSV's text as read_csv would have understood it in a column that is all of one type."""
    values = values.astype(object).where(~values.isin(MISSING), None)
    if column["kind"] == "number":
        return values.map(lambda value: str(int(WORDS[value])) if value in WORDS else value)
    if column["kind"] == "category":
        known = set(column["values"])
        codes, distinct = pd.factorize(values)
        meant = np.array([*(_meant(text, known) for text in distinct), None], dtype=object)
        return pd.Series(meant[codes], index=values.index, dtype=object)
    return values


def _meant(text: str, known: set[str]) -> str:
    """The category that is meant: 07 and 7.0 are 7 where training knew the number 7, since it read a column of numbers."""
    if text in known:
        return text
    if text in WORDS:
        return str(WORDS[text])
    try:
        number = category_text(float(text))
    except (ValueError, OverflowError):
        return text
    return number if number in known else text


def _complaint(name: str, kind: str, values: pd.Series, wrong: pd.Series, source: Path, before: int) -> str:
    expected = EXPECTED[kind]  # type: ignore[index]
    if not wrong.any():
        return f"IN: {source}: column {name!r} must hold {expected}, got {content_of(values)} ({values.dtype}); convert it"
    row = int(np.flatnonzero(wrong.to_numpy())[0])
    failed = say_count(int(wrong.sum()), "such value")
    return (
        f"IN: {source}: column {name!r} must hold {expected}; row {before + row + 1:,} has {say_value(values.iloc[row])} "
        f"({failed} in rows {before + 1:,} to {before + len(values):,}); mend it, or leave the rows out"
    )
