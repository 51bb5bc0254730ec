"""Spellings: text that is not what it seems. One category written in several ways, which a model takes for different ones;
numbers with words among them, which made a text column of a number."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from tasks.checks.columns import IGNORED, content_of
from tasks.checks.findings import EXAMPLES, say_rows, say_value
from tasks.records import Finding
from tasks.settings import ColumnKind

LONGEST = 30
MOSTLY = 0.5
"""Text of which more than this share of the rows reads as numbers is taken for numbers with words among them."""


def check_spellings(
    frame: pd.DataFrame, features: Mapping[str, ColumnKind], left_out: Mapping[str, str], declared: Mapping[str, ColumnKind]
) -> list[Finding]:
    """Warnings: of spellings on what is used as a category, of words among numbers on what nobody declared, left out or not."""
    names = [name for name, kind in features.items() if kind == "category"]
    findings = []
    for name in [*names, *(name for name, reason in left_out.items() if reason != IGNORED)]:
        if content_of(frame[name]) in ("text", "category"):
            counts = frame[name].value_counts()
            findings += _numbers(counts, name, len(frame)) if name not in declared else []
            findings += _several(counts, name, len(frame)) if name in features else []
    return findings


def _several(counts: pd.Series, name: str, rows: int) -> list[Finding]:
    plain = pd.Series([" ".join(str(value).split()).casefold() for value in counts.index], range(len(counts)))
    several = plain[plain.duplicated(keep=False)]
    if several.empty:
        return []
    groups = [counts.iloc[group.index] for _, group in several.groupby(several, sort=False)]
    rarer = sum(int(group.sum() - group.max()) for group in groups)
    examples = tuple(" / ".join(repr(str(value)[:LONGEST]) for value in group.index[:3]) for group in groups[:EXAMPLES])
    observed = f"{len(groups):,} spelt in several ways, the rarer ways in {say_rows(rarer, rows)}"
    expected = "no two categories that differ in case or blanks only"
    return [Finding("categories are spelt one way", name, "warning", False, expected, observed, rarer, examples)]


def _numbers(counts: pd.Series, name: str, rows: int) -> list[Finding]:
    """Nothing where every value reads as a number: a code may be meant as text."""
    words = counts[pd.to_numeric(pd.Series(counts.index.astype(str)), errors="coerce").isna().to_numpy()]
    failed = int(words.sum())
    if not failed or failed >= (1 - MOSTLY) * int(counts.sum()):
        return []
    observed, examples = f"text; all but {say_rows(failed, rows)} read as numbers", tuple(map(say_value, words.index[:EXAMPLES]))
    expected = "numbers or text, not both: mend it in the source, or declare the column"
    return [Finding("numbers have no words among them", name, "warning", False, expected, observed, failed, examples)]
