"""Shares: a column's distribution in a few numbers, small enough to be kept with a model and compared with months later.

A number is cut at the deciles of the rows that are described, a category into its most frequent values and all others;
missing values are a bin of their own. The bins travel with the shares, so that other rows can be counted in the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tasks.records import Columns, Floats, Rows, Shares, Table
from tasks.serving import category_text

Bins = NDArray[np.intp]
Counts = NDArray[np.int64]
Kind = Literal["number", "category"]
BINS = 10
MOST_CATEGORIES = 20
"""The most frequent ones have a bin each, all others one together."""
LONGEST = 200
"""Longer categories are told apart by this many characters."""
VERSION = 1


@dataclass(frozen=True)
class Profile:
    """What the rows a model was trained on looked like: every watched column and the target."""

    columns: tuple[Shares, ...]
    rows: int
    through: datetime | None
    """Time of the newest of them (UTC); None without a time column."""

    def to_json(self) -> dict[str, Any]:
        """As it is stored; `parse_profile` reads it back."""
        through = None if self.through is None else self.through.isoformat()
        return {"version": VERSION, "rows": self.rows, "through": through, "columns": [asdict(shares) for shares in self.columns]}


def profile_rows(table: Table, rows: Rows) -> dict[str, Any]:
    """The profile of these rows of the table (at least one), JSON-ready: about half a kilobyte a column."""
    frame, time = table.frame.iloc[rows], table.columns.time
    kinds = {**watched(table.columns), table.columns.target.column: target_kind(table.columns)}
    through = None if time is None else pd.Timestamp(frame[time].max()).to_pydatetime()
    described = tuple(describe_values(frame[name], name, kind) for name, kind in kinds.items())
    return Profile(described, len(frame), through).to_json()


def parse_profile(content: Any) -> Profile:
    """What `profile_rows` wrote. Raises KeyError, TypeError, ValueError or AttributeError for what it cannot have written."""
    if content["version"] != VERSION:
        raise ValueError(f"it is of version {content['version']}, not {VERSION}")
    through = content["through"]
    moment = None if through is None else datetime.fromisoformat(through)
    moment = moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
    return Profile(tuple(_read_shares(told) for told in content["columns"]), int(content["rows"]), moment)


def watched(columns: Columns) -> dict[str, Kind]:
    """Features whose distribution says something. Dates are left out: a calendar always moves on."""
    return {name: kind for name, kind in columns.features.items() if kind in ("number", "category") and name != columns.time}


def target_kind(columns: Columns) -> Kind:
    return "category" if columns.target.classes else "number"


def describe_values(values: pd.Series, column: str, kind: Kind) -> Shares:
    """The values' own bins, and their shares in them. At least one row."""
    if kind == "number":
        empty = Shares(column, kind, len(values), (), edges=tuple(_edges(_numbers(values)).tolist()))
    else:
        codes, texts = _texts(values)
        counts = pd.Series(np.bincount(codes[codes >= 0], minlength=len(texts)), index=texts, dtype=np.int64).groupby(level=0).sum()
        frequent = sorted(counts.index, key=lambda text: (-counts[text], text))[:MOST_CATEGORIES]
        empty = Shares(column, kind, len(values), (), values=tuple(frequent))
    return count_in(values, empty)


def count_in(values: pd.Series, like: Shares) -> Shares:
    """The same column of other rows, counted in the bins of `like`."""
    return shares_of(place(values, like), like)


def shares_of(bins: Bins, like: Shares) -> Shares:
    """Shares from each row's bin."""
    counts = np.bincount(bins, minlength=size(like))
    return Shares(like.column, like.kind, len(bins), tuple((counts / max(len(bins), 1)).tolist()), like.edges, like.values)


def counts_of(shares: Shares) -> Counts:
    """Rows in each bin."""
    counts: Counts = np.rint(np.array(shares.shares, dtype=np.float64) * shares.rows).astype(np.int64)
    return counts


def size(shares: Shares) -> int:
    """Bins: one up to each edge or a value each, one for all others, one for missing ones."""
    return len(shares.edges) + len(shares.values) + 2


def place(values: pd.Series, like: Shares) -> Bins:
    """Each row's bin, from 0; missing ones are in the last. A number's bin includes its upper edge. Shape (rows,)."""
    if like.kind == "number":
        numbers = _numbers(values)
        below: Bins = np.searchsorted(np.array(like.edges, dtype=np.float64), numbers, side="left")
        return np.where(np.isnan(numbers), size(like) - 1, below)
    codes, texts = _texts(values)
    known = {text: number for number, text in enumerate(like.values)}
    bins: Bins = np.array([*(known.get(text, len(known)) for text in texts), size(like) - 1], dtype=np.intp)
    placed: Bins = bins[codes]  # a missing value has code -1
    return placed


def _numbers(values: pd.Series) -> Floats:
    numbers: Floats = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers


def _edges(numbers: Floats) -> Floats:
    """The deciles' upper ends, and one below every value: what falls under it was never seen before."""
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return np.zeros(0)
    inner = np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf")
    with np.errstate(over="ignore"):  # nothing is below the least number there is
        lowest = np.nextafter(known.min(), -np.inf)
    edges: Floats = np.unique([value for value in (lowest, *inner) if np.isfinite(value)])
    return edges


def _texts(values: pd.Series) -> tuple[Bins, list[str]]:
    """Each row's position among the distinct texts, -1 where missing; two values may have one text, as 7 and 7.0."""
    codes, distinct = pd.factorize(values)
    return codes, [category_text(value)[:LONGEST] for value in distinct]


def _read_shares(told: Mapping[str, Any]) -> Shares:
    shares, edges = tuple(map(float, told["shares"])), tuple(map(float, told["edges"]))
    found = Shares(str(told["column"]), told["kind"], int(told["rows"]), shares, edges, tuple(map(str, told["values"])))
    if found.kind not in ("number", "category") or len(shares) != size(found) or not np.isclose(sum(shares), 1):
        raise ValueError(f"the shares of {found.column} do not fit its bins")
    return found
