"""Spellings: one category written in several ways, which a model takes for different ones."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from tasks.checks.columns import content_of
from tasks.checks.findings import EXAMPLES, say_rows
from tasks.records import Finding
from tasks.settings import ColumnKind

LONGEST = 30


def check_spellings(frame: pd.DataFrame, features: Mapping[str, ColumnKind]) -> list[Finding]:
    """A warning for each column with categories that differ in case or blanks only."""
    named = [name for name, kind in features.items() if kind == "category" and content_of(frame[name]) in ("text", "category")]
    return [finding for name in named for finding in _judge(frame[name])]


def _judge(values: pd.Series) -> list[Finding]:
    counts = values.value_counts()
    plain = pd.Series([" ".join(str(value).split()).casefold() for value in counts.index], range(len(counts)))
    several = plain[plain.duplicated(keep=False)]
    if several.empty:
        return []
    groups = [counts.iloc[group.index] for _, group in several.groupby(several, sort=False)]
    rarer = sum(int(group.sum() - group.max()) for group in groups)
    examples = tuple(" / ".join(repr(str(value)[:LONGEST]) for value in group.index[:3]) for group in groups[:EXAMPLES])
    observed = f"{len(groups):,} spelt in several ways, the rarer ways in {say_rows(rarer, len(values))}"
    expected = "no two categories that differ in case or blanks only"
    return [Finding("categories are spelt one way", str(values.name), "warning", False, expected, observed, rarer, examples)]
