"""Profiling: a suite of expectations that reference data suggests, and its YAML.

What must hold is critical: the columns, their types, their share of missing values, the order of magnitude, a fair number
of rows. What moves with the season is a warning: ranges and sets of values.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from tasks.checks.columns import content_of
from tasks.checks.outcomes import column_names, plain
from tasks.records import Columns
from tasks.settings import Expectation, Severity
from tasks.wording import clean

NULL_SLACK = 0.02
"""A column may miss twice the share of values that it misses now, and this much more."""
RANGE_SLACK = 0.1
"""A range may grow by this share of its width at each end."""
MAGNITUDE = 10
"""The median (the spread, where values lie around zero) may be this many times smaller or larger."""
ROWS_SLACK = 0.2
MOST_LISTED = 50
"""A column with more distinct values than this has them counted, not listed."""
NUMBER_TYPES = ["int32", "int64", "float32", "float64"]
NULLABLE_TYPES = ["Int32Dtype", "Int64Dtype", "Float32Dtype", "Float64Dtype"]
TYPE_NAMES = {"text": "str", "true/false": "bool", "date": "datetime64", "category": "CategoricalDtypeType"}


def propose_expectations(frame: pd.DataFrame, columns: Columns) -> list[Expectation]:
    """What the rows of `frame` have in common, with slack; shape of `frame`: (labelled rows, used columns).

    The target is left to the base suite, which limits its missing values; a regression's range is proposed.
    """
    proposed = [_row_count(frame, columns.time), _column_set(frame)]
    target = columns.target.column
    for name in sorted(frame.columns):
        if name != target:
            proposed += [*_types(frame[name]), _nulls(frame[name])]
        kind = columns.features.get(name)
        if kind == "number" or (name == target and not columns.target.classes):
            proposed += _numbers(frame[name])
        elif kind == "category":
            proposed.append(_values(frame[name]))
    return proposed


def render_expectations(expectations: Sequence[Expectation]) -> str:
    """YAML to paste under `validation:` / `expectations:`, one line an entry, a comment above each column's."""
    lines, above = ["    # proposed by evertune profile: read it, edit it, delete what does not matter"], None
    for expectation in expectations:
        name = ", ".join(column_names(expectation)) or "the table as a whole"
        if name != above:
            lines.append(f"    # {clean(name)}")
        above = name
        entry = {"type": expectation.type, **expectation.arguments, "severity": expectation.severity}
        lines.append("    - {" + ", ".join(f"{key}: {_yaml(value)}" for key, value in entry.items()) + "}")
    return "\n".join(lines) + "\n"


def _expect(name: str, severity: Severity, **arguments: Any) -> Expectation:
    return Expectation(type=f"expect_{name}", severity=severity, **arguments)


def _row_count(frame: pd.DataFrame, time: str | None) -> Expectation:
    """With a time column no fewer rows than the poorest whole month had, so that one month alone passes; else a band."""
    if time is None:
        low, high = len(frame) // 2, len(frame) * 2
        return _expect("table_row_count_to_be_between", "critical", min_value=low, max_value=high)
    months = frame[time].dt.tz_localize(None).dt.to_period("M").value_counts().sort_index()
    whole = months.iloc[1:-1] if len(months) > 2 else months
    return _expect("table_row_count_to_be_between", "critical", min_value=int(whole.min() * (1 - ROWS_SLACK)))


def _column_set(frame: pd.DataFrame) -> Expectation:
    return _expect("table_columns_to_match_set", "critical", column_set=sorted(frame.columns), exact_match=False)


def _types(values: pd.Series) -> list[Expectation]:
    """By the names under which Great Expectations knows pandas' types; a whole number may become a fraction."""
    dtype, name, content = values.dtype, str(values.name), content_of(values)
    if content == "number" and str(dtype) in NUMBER_TYPES:
        return [_expect("column_values_to_be_in_type_list", "critical", column=name, type_list=NUMBER_TYPES)]
    if content == "number" and type(dtype).__name__ in NULLABLE_TYPES:
        return [_expect("column_values_to_be_in_type_list", "critical", column=name, type_list=NULLABLE_TYPES)]
    if content not in TYPE_NAMES or isinstance(dtype, pd.ArrowDtype) or (content == "date" and pd.api.types.is_object_dtype(dtype)):
        return []  # no name of theirs matches
    type_name = "Timestamp" if isinstance(dtype, pd.DatetimeTZDtype) else TYPE_NAMES[content]
    return [_expect("column_values_to_be_of_type", "critical", column=name, type_=type_name)]


def _nulls(values: pd.Series) -> Expectation:
    allowed = min(1.0, 2 * float(values.isna().mean()) + NULL_SLACK)
    mostly = math.floor(100 * (1 - allowed)) / 100
    return _expect("column_values_to_not_be_null", "critical", column=str(values.name), mostly=mostly)


def _numbers(values: pd.Series) -> Iterator[Expectation]:
    """The order of magnitude, critical, and the range, a warning."""
    numbers = pd.to_numeric(values, errors="coerce").astype("float64").dropna()
    numbers = numbers[numbers.abs() != math.inf]
    low, high, name = float(numbers.min()), float(numbers.max()), str(values.name)
    around_zero = low < 0 < high or float(numbers.median()) == 0
    middle = float(numbers.std() if around_zero else numbers.median())
    if middle and math.isfinite(middle):
        ends = sorted((middle / MAGNITUDE, middle * MAGNITUDE))
        what = "stdev" if around_zero else "median"
        yield _expect(f"column_{what}_to_be_between", "critical", column=name, min_value=_round(ends[0], -1), max_value=_round(ends[1], 1))
    slack = RANGE_SLACK * (high - low)
    least = max(0.0, low - slack) if low >= 0 else low - slack
    most = min(0.0, high + slack) if high <= 0 else high + slack
    yield _expect(
        "column_values_to_be_between", "warning", column=name, min_value=_round(least, -1), max_value=_round(most, 1), mostly=0.99
    )  # fmt: skip


def _values(values: pd.Series) -> Expectation:
    """The set of categories, or how many there are."""
    distinct, name = values.nunique(), str(values.name)
    if distinct > MOST_LISTED:
        low, high = distinct // 2, distinct * 2
        return _expect("column_unique_value_count_to_be_between", "warning", column=name, min_value=low, max_value=high)
    listed = sorted(plain(values.dropna().unique().tolist()), key=str)
    return _expect("column_values_to_be_in_set", "warning", column=name, value_set=listed, mostly=0.99)


def _round(value: float, direction: int) -> float | int:
    """Two significant digits, away from the values (-1 down, 1 up); whole where it is."""
    if value == 0 or not math.isfinite(value):
        return 0
    digits = 1 - math.floor(math.log10(abs(value)))
    scale = 10.0**digits
    rounded = (math.ceil(value * scale) if direction > 0 else math.floor(value * scale)) / scale
    return int(rounded) if rounded.is_integer() else round(rounded, max(digits, 0))


def _yaml(value: Any) -> str:
    """Flow style by JSON's rules, which every YAML reader takes the same way; plain words stay bare."""
    if isinstance(value, str) and re.fullmatch(r"(expect_\w+|critical|warning|info)", value):
        return value
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)
