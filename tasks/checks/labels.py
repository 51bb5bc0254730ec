"""Labels: the target's values in one canonical type, and the task they make.

A ranking is always declared; its labels are the rows' relevance, whole numbers from 0, within the query that the row belongs to.

How the task is told when it is not declared: true/false, text and the pandas type `category` are classes; whole numbers
with at most 20 distinct values are classes; two classes make a binary task, more a multiclass one; all else is a regression.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tasks.checks.columns import content_of
from tasks.checks.findings import row_examples, say_rows, say_value
from tasks.records import Finding, Target
from tasks.settings import Scalar, TableSettings, Task

MOST_WHOLE_CLASSES = 20
MOST_RELEVANT = 30
"""A row's gain is 2 ** relevance - 1; LightGBM and XGBoost count no further."""


def read_target(frame: pd.DataFrame, settings: TableSettings) -> tuple[Target | None, pd.Series | None, list[Finding]]:
    """The task and the target's values as bool, int64, str (classes) or float64 (a regression), shape (rows,).

    `frame` holds labelled rows only. Target and values are None when a finding says why not.
    """
    column = settings.target
    labels, kind = canonical(frame[column])
    if labels is None:
        expected = "numbers, text or true/false"
        return None, None, [Finding("target can be learned", column, "critical", False, expected, f"{kind} ({frame[column].dtype})")]
    findings = [_finite(frame, labels, column, settings.key), _varies(labels, column)]
    if not all(finding.passed for finding in findings):
        return None, None, findings
    task = settings.task or infer_task(labels)
    fits = _fits(task, labels, settings)
    findings.append(fits)
    if not fits.passed:
        return None, None, findings
    classes: tuple[Scalar, ...] = () if task in ("regression", "ranking") else tuple(sorted(labels.unique().tolist()))
    if settings.positive is not None:
        findings.append(_positive(classes, task, settings))
    if task == "ranking" and settings.query in frame:
        findings += _queries(frame[settings.query], labels)
    if not classes:
        return Target(column, task), labels.astype(np.float64), findings
    if task == "binary" and settings.positive is not None:
        classes = tuple(sorted(classes, key=lambda value: value == settings.positive))
    return Target(column, task, classes), labels, [*findings, *_rare(labels, column)]


def infer_task(labels: pd.Series) -> Task:
    """The rule at the top of this file; `labels` are canonical."""
    distinct = labels.nunique()
    if pd.api.types.is_float_dtype(labels.dtype):
        return "regression"
    if pd.api.types.is_bool_dtype(labels.dtype) or not pd.api.types.is_numeric_dtype(labels.dtype) or distinct <= MOST_WHOLE_CLASSES:
        return "binary" if distinct == 2 else "multiclass"
    return "regression"


def canonical(values: pd.Series) -> tuple[pd.Series | None, str]:
    """Values without their accidents: 1.0 beside a NaN is 1 again, objects and categories get their plain type.

    Returns bool, int64, float64 or str values, or None and what was there instead.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    content = content_of(values)
    if content == "text":
        return values.astype("str"), content
    if content == "true/false":
        return values.astype(bool), content
    if content != "number":
        return None, content
    numbers = pd.to_numeric(values, errors="coerce").astype(np.float64)
    whole = bool((numbers % 1 == 0).all()) and bool((numbers.abs() < 2**53).all())
    return (numbers.astype(np.int64) if whole else numbers), content


def _finite(frame: pd.DataFrame, labels: pd.Series, column: str, key: Sequence[str]) -> Finding:
    infinite = np.isinf(labels) if pd.api.types.is_float_dtype(labels.dtype) else pd.Series(False, index=labels.index)
    failed = int(infinite.sum())
    observed = f"{say_rows(failed, len(labels))} infinite" if failed else "every label is finite"
    examples = row_examples(frame, frame.index[infinite], [column], key)
    return Finding("target is finite", column, "critical", not failed, "finite labels", observed, failed, examples)


def _varies(labels: pd.Series, column: str) -> Finding:
    distinct = labels.nunique()
    only = f"{say_value(labels.iloc[0])} in every row" if len(labels) else "no label"
    observed = f"{distinct:,} distinct values" if distinct > 1 else only
    return Finding("target is not constant", column, "critical", distinct > 1, "at least two distinct labels", observed)


def _fits(task: Task, labels: pd.Series, settings: TableSettings) -> Finding:
    expected, fits = _demand(task, labels, settings.max_categories)
    told = "declared" if settings.task else "told from the values"
    kind = "text" if labels.dtype == "str" else str(labels.dtype)
    shown = ", ".join(say_value(value) for value in sorted(labels.unique())[:5])
    observed = f"{labels.nunique():,} distinct {kind} values: {shown}{', ...' if labels.nunique() > 5 else ''}"
    return Finding("task fits the target", settings.target, "critical", fits, f"{task} ({told}): {expected}", observed)


def _demand(task: Task, labels: pd.Series, most: int) -> tuple[str, bool]:
    distinct, fractions = labels.nunique(), pd.api.types.is_float_dtype(labels.dtype)
    if task == "regression":
        is_number = pd.api.types.is_numeric_dtype(labels.dtype) and not pd.api.types.is_bool_dtype(labels.dtype)
        return "numbers", is_number
    if task == "ranking":
        whole = pd.api.types.is_integer_dtype(labels.dtype) or pd.api.types.is_bool_dtype(labels.dtype)
        return f"relevance in whole numbers from 0 to {MOST_RELEVANT}", whole and labels.min() >= 0 and labels.max() <= MOST_RELEVANT
    if task == "binary":
        return "two classes", distinct == 2
    return f"three to {most:,} classes, no fractions (two are a binary task)", 3 <= distinct <= most and not fractions


def _positive(classes: tuple[Scalar, ...], task: Task, settings: TableSettings) -> Finding:
    named = task == "binary" and settings.positive in classes
    expected = f"one of {', '.join(map(say_value, classes))}" if task == "binary" else f"no positive class: the task is {task}"
    return Finding("positive is a class", settings.target, "critical", named, expected, say_value(settings.positive))


def _queries(query: pd.Series, labels: pd.Series) -> list[Finding]:
    """Whether every row belongs to a query, and some query holds rows that differ in relevance."""
    missing = int(query.isna().sum())
    differ = int((labels.groupby(query).nunique() > 1).sum())
    name, told = str(query.name), f"{differ:,} of {query.nunique():,} queries"
    return [
        Finding("query is known", name, "critical", not missing, "no missing value", say_rows(missing, len(query)), missing),
        Finding(
            "queries can be learned from", name, "critical", differ > 1, "two queries or more with rows that differ in relevance", told
        ),
    ]


def _rare(labels: pd.Series, column: str) -> list[Finding]:
    counts = labels.value_counts()
    single = counts.index[counts == 1].tolist()
    if not single:
        return []
    shown = ", ".join(say_value(value) for value in sorted(single)[:5])
    observed = f"a single row of: {shown}"
    return [Finding("classes have rows", column, "warning", False, "at least two rows of each class", observed, len(single))]
