"""Columns: what is in them, and the part each plays, as declared or as told from the values.

How the kind of a column is told (a declared kind always wins):
    numbers, true/false (as 1 and 0)                        -> number
    datetimes, dates                                        -> date
    text, of which every value is an ISO 8601 date or time  -> date
    other text, the pandas type `category`                  -> category, up to `max_categories` distinct values
    lengths of time, lists, mixtures of types               -> left out
The target, the time column, a ranking's query and undeclared key columns are not features; nor are columns that are empty or constant.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Literal

import numpy as np
import pandas as pd

from tasks.checks.findings import row_examples, say_rows
from tasks.records import Finding
from tasks.settings import ColumnKind, TableSettings
from tasks.wording import did_you_mean

Content = Literal["number", "true/false", "text", "date", "category", "length of time", "mixture of types", "nothing"]
WHOLE_LIMIT = 2**53
"""Whole numbers beyond this are not exact in float64, which is what models read."""
ISO_DATE = r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?: ?(?:Z|[+-]\d{2}(?::?\d{2})?))?)?$"
FITTING: dict[ColumnKind, frozenset[Content]] = {
    "number": frozenset({"number", "true/false", "nothing"}),
    "category": frozenset({"text", "category", "true/false", "number", "nothing"}),
    "date": frozenset({"date", "text", "nothing"}),
}
EXPECTED: dict[ColumnKind, str] = {
    "number": "numbers, whole ones within 2^53",
    "category": "text, true/false or whole numbers",
    "date": "dates, or ISO 8601 text such as 2013-01-31",
}


def find_features(frame: pd.DataFrame, settings: TableSettings) -> tuple[dict[str, ColumnKind], dict[str, str]]:
    """Feature -> kind in order of name (so that the source's order cannot matter), and column left out -> why.

    `frame` holds the rows to train on; declared columns are there and hold what was declared.
    """
    features: dict[str, ColumnKind] = {}
    left_out: dict[str, str] = {}
    for name in sorted(set(map(str, frame.columns)) - _reserved(settings)):
        kind, reason = _judge(frame[name], settings.columns.get(name), settings)
        if kind is None:
            left_out[name] = reason
        else:
            features[name] = kind
    return features, left_out


def check_presence(names: Iterable[str], settings: TableSettings, keep: Iterable[str] = ()) -> list[Finding]:
    """One finding for each column that is missing, and one for those that the config does not know if they are to be rejected."""
    present, needed = set(names), _needed(settings, keep)
    findings = [_missing(name, role, present) for name, role in needed.items() if name not in present]
    if not findings:
        findings = [Finding("columns are there", "", "critical", True, "every column that the config names", ", ".join(needed))]
    if settings.other_columns == "reject":
        extra = sorted(present - set(settings.columns) - set(needed))
        expected = "no column but those that the config names (other_columns: reject)"
        observed = f"{len(extra)} more: {', '.join(extra[:10])}" if extra else "none"
        findings.append(Finding("no other columns", "", "critical", not extra, expected, observed))
    return findings


def check_declared(frame: pd.DataFrame, settings: TableSettings) -> list[Finding]:
    """One finding for each column with a declared kind: whether its values are of that kind."""
    return [
        _declared(frame, name, kind, settings.key)
        for name, kind in settings.columns.items()
        if kind != "ignore" and name in frame and name not in _reserved(settings)
    ]


def check_values(frame: pd.DataFrame, features: dict[str, ColumnKind], left_out: dict[str, str]) -> list[Finding]:
    """Warnings on columns that a model cannot learn from: left out as empty or constant, or holding infinite values."""
    findings = [
        Finding("column is worth using", name, "warning", False, "values that differ and that a model can read", reason)
        for name, reason in left_out.items()
        if reason != IGNORED
    ]
    for name, kind in features.items():
        if kind == "number" and pd.api.types.is_float_dtype(frame[name].dtype):
            infinite = int(np.isinf(frame[name].to_numpy(dtype=np.float64, na_value=np.nan)).sum())
            if infinite:
                observed = say_rows(infinite, len(frame)) + " infinite, read as missing"
                findings.append(Finding("numbers are finite", name, "warning", False, "finite numbers", observed, infinite))
    if not features:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:10])
        findings.append(Finding("there are features", "", "critical", False, "at least one column to learn from", f"none ({reasons})"))
    return findings


def plain_values(values: pd.Series, kind: ColumnKind) -> pd.Series:
    """Python objects, such as a database's decimals and dates, as pandas' own numbers and times (UTC); text stays."""
    if kind == "number":
        return pd.to_numeric(values, errors="coerce").astype(np.float64)
    if kind == "date" and content_of(values) == "date":
        return pd.to_datetime(values, utc=True).dt.as_unit("us")
    return values


IGNORED = "ignored by the config"


def content_of(values: pd.Series) -> Content:
    """What a column holds, whatever pandas type it has."""
    types, dtype = pd.api.types, values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if types.is_bool_dtype(dtype):
        return "true/false"
    if types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype):
        return "number"
    if types.is_datetime64_any_dtype(dtype):
        return "date"
    if types.is_timedelta64_dtype(dtype):
        return "length of time"
    return _INFERRED.get(types.infer_dtype(values, skipna=True), "mixture of types")


_INFERRED: dict[str, Content] = {
    "string": "text",
    "boolean": "true/false",
    "integer": "number",
    "floating": "number",
    "mixed-integer-float": "number",
    "decimal": "number",
    "date": "date",
    "datetime": "date",
    "datetime64": "date",
    "timedelta": "length of time",
    "timedelta64": "length of time",
    "empty": "nothing",
}


def unfit(values: pd.Series, kind: ColumnKind, content: Content) -> pd.Series:
    """True where a value that is there is not of this kind; shape (rows,)."""
    there = values.notna()
    if content not in FITTING[kind]:
        if content == "text" and kind == "number":
            return there & pd.to_numeric(values, errors="coerce").isna()
        return there
    if kind == "category" and content == "number":
        numbers = pd.to_numeric(values, errors="coerce")
        return there & (numbers % 1 != 0)
    if kind == "date" and content == "text":
        return there & ~_reads_as_date(values)
    return _inexact(values)


def _reserved(settings: TableSettings) -> set[str]:
    time = {settings.time.column} if settings.time else set()
    query = {settings.query} if settings.query else set()
    return {settings.target} | time | query | (set(settings.key) - set(settings.columns))


def _needed(settings: TableSettings, keep: Iterable[str]) -> dict[str, str]:
    """Column -> the role it was given."""
    roles = {name: f"declared {kind}" for name, kind in settings.columns.items() if kind != "ignore"}
    roles = dict.fromkeys(keep, "kept") | roles | dict.fromkeys(settings.key, "key")
    query = {settings.query: "query"} if settings.query else {}
    return {settings.target: "target"} | ({settings.time.column: "time"} if settings.time else {}) | roles | query


def _missing(name: str, role: str, present: set[str]) -> Finding:
    observed = "; ".join(part for part in ("no such column", did_you_mean(name, present)) if part)
    return Finding("columns are there", name, "critical", False, f"a column {name} ({role})", observed)


def _declared(frame: pd.DataFrame, name: str, kind: ColumnKind, key: tuple[str, ...]) -> Finding:
    content = content_of(frame[name])
    wrong = unfit(frame[name], kind, content)
    failed = int(wrong.sum())
    passed = not failed and content in FITTING[kind]
    observed = f"{content} ({frame[name].dtype})"
    if not passed:
        observed += f" in {say_rows(failed, len(frame))}" if failed else "; all of it reads as numbers, so convert it in the source"
    examples = row_examples(frame, frame.index[wrong], [name], key)
    return Finding(f"declared kind {kind}", name, "critical", passed, EXPECTED[kind], observed, failed, examples)


def _judge(values: pd.Series, declared: ColumnKind | None, settings: TableSettings) -> tuple[ColumnKind | None, str]:
    """The kind of a column and "", or None and why it is left out."""
    if declared == "ignore" or (declared is None and settings.other_columns == "ignore"):
        return None, IGNORED
    if not values.notna().any():
        return None, "empty: every value is missing"
    content = content_of(values)
    kind, reason = (declared, "") if declared else _infer(values, content, settings.max_categories)
    if kind is not None and values.nunique(dropna=False) == 1:
        return None, f"constant: every value is {str(values.iloc[0])[:60]}"
    return kind, reason


def _infer(values: pd.Series, content: Content, most: int) -> tuple[ColumnKind | None, str]:
    if content == "number" and not _is_exact(values):
        return None, "whole numbers beyond 2^53, which models cannot tell apart; declare it a category to use it"
    if content in ("number", "true/false"):
        return "number", ""
    if content == "date" or (content == "text" and _looks_like_dates(values)):
        return "date", ""
    if content in ("text", "category"):
        distinct = values.nunique()
        fine = distinct <= most
        return (
            ("category", "") if fine else (None, f"{distinct:,} distinct values (max_categories {most:,}); declare it a category to use it")
        )
    return None, f"holds a {content} ({values.dtype}), which no model here reads"


def _looks_like_dates(values: pd.Series) -> bool:
    first = values.dropna().head(20).astype("str")  # most text is told from a few values
    return bool(first.str.match(ISO_DATE).all() and _reads_as_date(values).all())


def _is_exact(values: pd.Series) -> bool:
    return not _inexact(values).any()


def _inexact(values: pd.Series) -> pd.Series:
    if not pd.api.types.is_integer_dtype(values.dtype):
        return pd.Series(False, index=values.index)
    return ((values > WHOLE_LIMIT) | (values < -WHOLE_LIMIT)).fillna(False).astype(bool)


def _reads_as_date(values: pd.Series) -> pd.Series:
    """Whether a text is an ISO date that `pd.to_datetime` reads among its neighbours, as serving will; missing counts as one."""
    text = values.astype("str")
    iso = text.str.match(ISO_DATE).fillna(False).astype(bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pandas could not tell one format for all: the others are missing
        parsed = pd.to_datetime(text.where(iso), utc=True, errors="coerce")
    return values.isna() | parsed.notna()
