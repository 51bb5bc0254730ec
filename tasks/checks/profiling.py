"""Profiling: a suite of expectations that reference data suggests, and its YAML.

What makes a table unfit to train on stops the retrain: columns, types, missing values, too few rows, another order of
magnitude. A column that held still over the reference must hold still: its quantiles, its set of values. One that moved
(the weather, a month, a counter) is only warned about when it leaves its range. A value further off than ten times the
range is taken for an error of its row, which is left out, as is a row without its key.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tasks.checks.columns import content_of
from tasks.checks.outcomes import column_names, plain
from tasks.records import Columns, Floats
from tasks.settings import Expectation
from tasks.wording import clean, say_count, say_number, say_share

NULL_SLACK = 0.02
"""A column may miss twice the share of values that it misses now, and this much more."""
RANGE_SLACK = 0.1
"""A range may grow by this share of its width at each end before a warning."""
MAGNITUDE = 10
"""The median (the spread, where values lie around zero) may be this many times smaller or larger, a value be this many ranges away."""
ROWS_SLACK = 0.2
MOST_LISTED = 50
"""A column with more distinct values than this has them counted, not listed."""
PARTS = 4
"""The reference in its order is cut into so many parts, to see whether a column holds still."""
STEADY = 0.1
"""A column is steady if no quantile moved between parts by more than this share of the way from the first to the last quantile;
a category, if at most this share of a later part's rows have a value that the first part had not."""
QUANTILES = (0.1, 0.5, 0.9)
RANK_SLACK = 0.05
"""A quantile may come to lie where one so much lower or higher lay: where values are few, it jumps from one to the next."""
LONGEST_HISTORY = pd.DateOffset(years=10)
"""A time so long before the reference is a placeholder such as 1900-01-01."""
NUMBER_TYPES = ["int32", "int64", "float32", "float64"]
NULLABLE_TYPES = ["Int32Dtype", "Int64Dtype", "Float32Dtype", "Float64Dtype"]
TYPE_NAMES = {"text": "str", "true/false": "bool", "date": "datetime64", "category": "CategoricalDtypeType"}
NO_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"})
"""Words that some YAML reader takes for something else."""
HEADER = """\
    # Proposed by evertune profile: read it, edit it, delete what does not matter.
    # What fails stops the retrain, unless it has
    #   severity: warning  report it (values move with the season)
    #   policy: drop       leave the rows out that break it; more than validation.max_dropped of all rows stop the retrain
    #   policy: forbid     train and report, but never promote
"""


def propose_expectations(frame: pd.DataFrame, columns: Columns) -> list[Expectation]:
    """What the rows of `frame` have in common, with slack; shape of `frame`: (rows before the cut, used columns), in time order.

    The target is left to the base suite, which limits its missing values; a regression's range is proposed.
    """
    proposed = [_row_count(frame, columns.time), _column_set(frame)]
    target = columns.target.column
    for name in sorted(frame.columns):
        if name != target:
            proposed += [*_types(frame[name]), *_nulls(frame[name], columns)]
        kind = columns.features.get(name)
        if kind == "number" or (name == target and not columns.target.classes):
            proposed += _numbers(frame[name])
        elif kind == "category":
            proposed.append(_values(frame[name]))
        elif name == columns.time:
            proposed.append(_since(frame[name]))
    return proposed


def render_expectations(expectations: Sequence[Expectation], frame: pd.DataFrame | None = None) -> str:
    """YAML to paste under `validation:` / `expectations:`, one line an entry, a comment above each column's: what `frame` holds in it."""
    lines, above = [HEADER.rstrip("\n")], None
    for expectation in expectations:
        name = ", ".join(column_names(expectation)) or "the table as a whole"
        if name != above:
            seen = f": {_describe(frame[name])}" if frame is not None and name in frame else ""
            lines.append(f"    # {clean(name + seen)}")
        above = name
        entry: dict[str, Any] = {"type": expectation.type, **expectation.arguments}
        entry |= {"severity": expectation.severity} if expectation.severity != "critical" else {}
        entry |= {"policy": expectation.policy} if expectation.policy else {}
        lines.append("    - {" + ", ".join(f"{key}: {_yaml(value)}" for key, value in entry.items()) + "}")
    return "\n".join(lines) + "\n"


def _expect(name: str, **arguments: Any) -> Expectation:
    return Expectation(type=f"expect_{name}", **arguments)


def _row_count(frame: pd.DataFrame, time: str | None) -> Expectation:
    """With a time column no fewer rows than the poorest whole month had, so that one month alone passes; else a band."""
    if time is None:
        low, high = len(frame) // 2, len(frame) * 2
        return _expect("table_row_count_to_be_between", min_value=low, max_value=high)
    months = frame[time].dt.tz_localize(None).dt.to_period("M").value_counts().sort_index()
    whole = months.iloc[1:-1] if len(months) > 2 else months
    return _expect("table_row_count_to_be_between", min_value=int(whole.min() * (1 - ROWS_SLACK)))


def _column_set(frame: pd.DataFrame) -> Expectation:
    return _expect("table_columns_to_match_set", column_set=sorted(frame.columns), exact_match=False)


def _types(values: pd.Series) -> list[Expectation]:
    """By the names under which Great Expectations knows pandas' types; a whole number may become a fraction."""
    dtype, name, content = values.dtype, str(values.name), content_of(values)
    if content == "number" and str(dtype) in NUMBER_TYPES:
        return [_expect("column_values_to_be_in_type_list", column=name, type_list=NUMBER_TYPES)]
    if content == "number" and type(dtype).__name__ in NULLABLE_TYPES:
        return [_expect("column_values_to_be_in_type_list", column=name, type_list=NULLABLE_TYPES)]
    if content not in TYPE_NAMES or isinstance(dtype, pd.ArrowDtype) or (content == "date" and pd.api.types.is_object_dtype(dtype)):
        return []  # no name of theirs matches
    type_name = "Timestamp" if isinstance(dtype, pd.DatetimeTZDtype) else TYPE_NAMES[content]
    return [_expect("column_values_to_be_of_type", column=name, type_=type_name)]


def _nulls(values: pd.Series, columns: Columns) -> list[Expectation]:
    """The time is never missing, or the base suite rejects the table before; nor is the key, so rows without it have to go."""
    name = str(values.name)
    if name == columns.time:
        return []
    if name in columns.key:
        return [_expect("column_values_to_not_be_null", column=name, policy="drop")]
    allowed = min(1.0, 2 * float(values.isna().mean()) + NULL_SLACK)
    mostly = math.floor(100 * (1 - allowed)) / 100
    return [_expect("column_values_to_not_be_null", column=name, mostly=mostly)] if mostly else []


def _since(times: pd.Series) -> Expectation:
    earliest = (times.min() - LONGEST_HISTORY).strftime("%Y-%m-%d")
    return _expect("column_values_to_be_between", column=str(times.name), min_value=earliest, policy="drop")


def _numbers(values: pd.Series) -> Iterator[Expectation]:
    """Where the bulk of the values lies; the range, a warning; and the far end of it."""
    name = str(values.name)
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = numbers[np.isfinite(numbers)]
    if values.dtype != object:  # of a database's decimals Great Expectations knows no median
        bulk = [] if content_of(values) == "true/false" else _quantiles(name, numbers)
        yield from bulk or _magnitude(name, numbers)
    low, high = float(numbers.min()), float(numbers.max())
    slack, far = RANGE_SLACK * (high - low), MAGNITUDE * (high - low)
    least, most = _widen(low, high, slack)
    yield _expect("column_values_to_be_between", severity="warning", column=name, min_value=least, max_value=most, mostly=0.99)
    least, most = _round(low - far, -1, far), _round(high + far, 1, far)
    if math.isfinite(far) and far:
        yield _expect("column_values_to_be_between", column=name, min_value=least, max_value=most, policy="drop")


def _quantiles(name: str, numbers: Floats) -> list[Expectation]:
    """Of a steady column: each may move three times as far as it did within the reference, a tenth of the way between them, one step."""
    parts = [part for part in np.array_split(numbers, PARTS) if len(part)]
    of_parts = np.array([np.quantile(part, QUANTILES) for part in parts])
    of_all = np.quantile(numbers, QUANTILES)
    width = float(of_all[-1] - of_all[0])
    moved = float(np.ptp(of_parts, axis=0).max()) / width if width else math.inf
    if not moved <= STEADY:
        return []
    step = float(np.ptp(numbers)) / (len(np.unique(numbers)) - 1)  # a count, or a code, moves by whole ones
    slack = max(STEADY * width, 3 * moved * width, step)
    lowest, highest = (np.quantile(numbers, np.array(QUANTILES) + move).tolist() for move in (-RANK_SLACK, RANK_SLACK))
    ranges = [[_round(low - slack, -1, slack), _round(high + slack, 1, slack)] for low, high in zip(lowest, highest, strict=True)]
    wanted = {"quantiles": list(QUANTILES), "value_ranges": ranges}
    return [_expect("column_quantile_values_to_be_between", column=name, quantile_ranges=wanted)]


def _magnitude(name: str, numbers: Floats) -> list[Expectation]:
    """Of a column that moves, or has hardly more than one value: the order of magnitude."""
    middle = float(np.median(numbers))
    around_zero = numbers.min() < 0 < numbers.max() or middle == 0
    middle = float(np.std(numbers, ddof=1)) if around_zero else middle
    if not middle or not math.isfinite(middle):
        return []
    least, most = sorted((middle / MAGNITUDE, middle * MAGNITUDE))
    what = "stdev" if around_zero else "median"
    return [_expect(f"column_{what}_to_be_between", column=name, min_value=_round(least, -1), max_value=_round(most, 1))]


def _widen(low: float, high: float, slack: float) -> tuple[float | int, float | int]:
    """The range and `slack` more at each end, not across zero."""
    least = max(0.0, low - slack) if low >= 0 else low - slack
    most = min(0.0, high + slack) if high <= 0 else high + slack
    return _round(least, -1, slack), _round(most, 1, slack)


def _values(values: pd.Series) -> Expectation:
    """The set of categories, or how many there are."""
    there, name = values.dropna(), str(values.name)
    distinct, first = there.nunique(), there.iloc[: -(-len(there) // PARTS)]
    if distinct > MOST_LISTED:
        times, severity = (5, "critical") if distinct <= 1.5 * first.nunique() else (2, "warning")
        low, high = distinct // times, distinct * times
        return _expect("column_unique_value_count_to_be_between", severity=severity, column=name, min_value=low, max_value=high)
    steady = bool((~there.isin(first.unique())).mean() <= STEADY)
    listed = sorted(plain(there.unique().tolist()), key=str)
    mostly, severity = (1 - STEADY, "critical") if steady else (0.99, "warning")
    return _expect("column_values_to_be_in_set", severity=severity, column=name, value_set=listed, mostly=mostly)


def _describe(values: pd.Series) -> str:
    """What a column holds, in a few words."""
    missing, content = float(values.isna().mean()), content_of(values)
    if content == "number":
        words = f"{say_number(values.min())} to {say_number(values.max())}"
    elif pd.api.types.is_datetime64_any_dtype(values.dtype):
        words = f"{values.min():%Y-%m-%d} to {values.max():%Y-%m-%d}"
    else:
        words = say_count(values.nunique(), "distinct value")
    return words + (f", {say_share(missing)} missing" if missing else "")


def _round(value: float, direction: int, slack: float = 0.0) -> float | int:
    """Away from the values (-1 down, 1 up), to two significant digits of the slack, or of the value itself; whole where it is."""
    if value == 0 or not math.isfinite(value):
        return 0
    digits = 1 - math.floor(math.log10(abs(slack or value)))
    scale = 10.0**digits
    rounded = (math.ceil(value * scale) if direction > 0 else math.floor(value * scale)) / scale
    return int(rounded) if rounded.is_integer() else round(rounded, max(digits, 0))


def _yaml(value: Any) -> str:
    """Flow style by JSON's rules, which every YAML reader takes the same way; plain words stay bare."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_yaml(key)}: {_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*", value, re.ASCII) and value.lower() not in NO_TEXT:
        return value
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)
