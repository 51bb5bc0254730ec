"""Expectations: Great Expectations by its own names, from YAML to findings. What a failure leads to: see `policies`.

Great Expectations takes seconds to import, so it is imported where it is used, and not at all when the config has no
expectation. Each call has a context of its own that lives in memory: no files, no data docs, nothing sent anywhere.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from tasks.checks.columns import ISO_DATE
from tasks.checks.outcomes import DESCRIBING, breaking_rows, plain_result, raised_result, read_result
from tasks.errors import ConfigError
from tasks.records import Finding
from tasks.settings import Expectation, ValidationSettings
from tasks.wording import clean, did_you_mean

POSITION = "evertune_position"
COMPLETE = {"result_format": "COMPLETE", "return_unexpected_index_query": False}
"""All rows' labels, but not the query for them, which would be a text of megabytes."""
RESERVED = frozenset({"id", "batch_id", "catch_exceptions", "rendered_content", "result_format", "windows"})
DATABASE_ONLY = frozenset(
    {
        "expect_column_values_to_match_like_pattern",
        "expect_column_values_to_match_like_pattern_list",
        "expect_column_values_to_not_match_like_pattern",
        "expect_column_values_to_not_match_like_pattern_list",
        "expect_query_results_to_match_comparison",
        "expect_table_row_count_to_equal_other_table",
    }
)


@dataclass(frozen=True)
class Answer:
    """What one expectation came to; `raw` is Great Expectations' own result, JSON-ready."""

    finding: Finding
    raw: dict[str, Any]
    breaking: list[Any] = field(default_factory=list, repr=False)
    """The index labels of all rows that break it, where they were asked for."""


def run_expectations(
    frame: pd.DataFrame, expectations: Sequence[Expectation], key: Sequence[str] = (), every_row: bool = False
) -> list[Answer]:
    """One answer for each expectation, in their order; with `every_row` each knows all rows that break it.

    `frame` has rows, and a unique index of positions in the source. An expectation that raises, and one whose column is
    entirely missing (it would pass without having looked at anything), has failed; one that raises is critical.
    Raises ConfigError as `check_expectations` does.
    """
    if not expectations:
        return []
    with _quiet():
        _require_sound(expectations)
        built = [_build(_fit_times(expectation, frame), {POSITION: position}) for position, expectation in enumerate(expectations)]
        results = _validate(frame, built, COMPLETE if every_row else "SUMMARY")
    return [
        Answer(read_result(expectation, raw, frame, key), raw, breaking)
        for expectation, (raw, breaking) in zip(expectations, results, strict=True)
    ]


def check_expectations(settings: ValidationSettings) -> None:
    """Whether Great Expectations knows every expectation and takes its arguments; no data is needed.

    Raises ConfigError that names each faulty entry, such as validation.expectations[3], and the nearest right name.
    """
    if settings.expectations:
        with _quiet():
            _require_sound(settings.expectations)


def expectation_names() -> tuple[str, ...]:
    """Every built-in expectation that works on a data frame."""
    with _quiet():
        from great_expectations.expectations.registry import list_registered_expectation_implementations

    names = set(list_registered_expectation_implementations()) - DATABASE_ONLY
    return tuple(sorted(name for name in names if name.startswith("expect_")))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Great Expectations' own log lines and deprecations; its failures come as results."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", module="great_expectations")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


def _require_sound(expectations: Sequence[Expectation]) -> None:
    faults = [fault for position, expectation in enumerate(expectations) for fault in _faults(position, expectation)]
    if faults:
        raise ConfigError("\n".join(faults), tuple(faults))


def _faults(position: int, expectation: Expectation) -> list[str]:
    place = f"validation.expectations[{position}]"
    if expectation.type in DATABASE_ONLY:
        return [f"{place}.type: {expectation.type} works inside a database only, not on the data frame that is validated here"]
    names = expectation_names()
    if expectation.type not in names:
        hint = did_you_mean(expectation.type, names) or "see Great Expectations' gallery for their names"
        return [f"{place}.type: no expectation is called {expectation.type!r}; {hint}"]
    reserved = sorted(RESERVED & set(expectation.arguments))
    if reserved:
        return [f"{place}.{name}: is set by Evertune; leave it out" for name in reserved]
    try:
        _build(expectation, {})
    except Exception as error:  # pydantic v1's errors, and whatever a validator of theirs lets through
        return _explain(place, expectation, error)
    return _traps(place, expectation.arguments) + _policy_fault(place, expectation)


def _explain(place: str, expectation: Expectation, error: Exception) -> list[str]:
    """Their validation error, one line for each argument."""
    from great_expectations.expectations.registry import get_expectation_impl

    if not hasattr(error, "errors"):
        return [f"{place}: {expectation.type}: {clean(error, 200)}"]
    known = set(get_expectation_impl(expectation.type).__fields__) - RESERVED - DESCRIBING - {"severity", "library_metadata"}
    problems: dict[str, list[str]] = {}
    for fault in error.errors():
        problems.setdefault(str(fault["loc"][0]), []).append(fault["msg"].replace("field required", "is required"))
    unknown = [name for name, messages in problems.items() if messages == ["extra fields not permitted"]]
    lines = [f"{place}.{name}: {expectation.type} takes no such argument; {_hint(name, known)}" for name in unknown]
    for name, messages in problems.items():
        if name in unknown or (name == "__root__" and lines):
            continue
        reasons = "; ".join(dict.fromkeys(text for text in messages if text != "value is not a valid dict"))
        given = f", got {expectation.arguments[name]!r}" if name in expectation.arguments else ""
        lines.append(f"{place}{'' if name == '__root__' else '.' + name}: {expectation.type}: {clean(reasons, 300)}{clean(given, 100)}")
    return lines


def _hint(name: str, known: set[str]) -> str:
    return did_you_mean(name, known) or f"it takes {', '.join(sorted(known))}"


def _traps(place: str, arguments: Mapping[str, Any]) -> list[str]:
    """Arguments that Great Expectations would only trip over, or pass by, when it runs."""
    low, high = arguments.get("min_value"), arguments.get("max_value")
    numbers = isinstance(low, int | float) and isinstance(high, int | float)
    lines = [f"{place}.min_value: must not be above max_value, got {low} and {high}"] if numbers and low > high else []  # type: ignore[operator]
    patterns = [arguments["regex"]] if "regex" in arguments else arguments.get("regex_list", [])
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            lines.append(f"{place}.regex: {pattern!r} is not a regular expression: {error}")
    return lines


def _policy_fault(place: str, expectation: Expectation) -> list[str]:
    """Whether rows are to be left out by what judges no single row."""
    from great_expectations.expectations import expectation as kinds
    from great_expectations.expectations.registry import get_expectation_impl

    by_row = (kinds.ColumnMapExpectation, kinds.ColumnPairMapExpectation, kinds.MulticolumnMapExpectation)
    if expectation.policy != "drop" or issubclass(get_expectation_impl(expectation.type), by_row):
        return []
    what = "the table" if expectation.type.startswith("expect_table_") else "a column"
    return [f"{place}.policy: drop leaves rows out, but {expectation.type} judges {what} as a whole; use stop, forbid or warn"]


def _build(expectation: Expectation, meta: dict[str, Any]) -> Any:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    given = expectation.arguments
    return ExpectationConfiguration(
        type=expectation.type,
        kwargs={name: value for name, value in given.items() if name not in DESCRIBING},
        severity=expectation.severity,
        meta={**(given.get("meta") or {}), **meta},
        notes=given.get("notes"),
        description=given.get("description"),
    ).to_domain_obj()


def _fit_times(expectation: Expectation, frame: pd.DataFrame) -> Expectation:
    """Bounds written as text become times like the column's own; Great Expectations compares nothing else with a time."""
    column = expectation.arguments.get("column")
    if column not in frame or not pd.api.types.is_datetime64_any_dtype(frame[column].dtype):
        return expectation
    changed = {}
    for name in ("min_value", "max_value"):
        bound = str(expectation.arguments.get(name))
        if re.match(ISO_DATE, bound):
            time = pd.to_datetime(bound, utc=True)
            changed[name] = (time if frame[column].dt.tz is not None else time.tz_localize(None)).to_pydatetime()
    return expectation.model_copy(update=changed)


Result = tuple[dict[str, Any], list[Any]]
"""A raw result, and the labels of the rows that break the expectation."""


def _validate(frame: pd.DataFrame, built: Sequence[Any], form: str | dict[str, Any]) -> list[Result]:
    """Results in the order of `built`; should the suite as a whole raise, each is asked alone."""
    import great_expectations

    context = great_expectations.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    asset = context.data_sources.add_pandas("evertune").add_dataframe_asset("visible rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    try:
        suite = great_expectations.ExpectationSuite("evertune", expectations=list(built))
        found = batch.validate(suite, result_format=form).results
    except Exception:
        return [_validate_alone(batch, expectation, form) for expectation in built]
    by_position = {result.expectation_config.meta[POSITION]: (plain_result(result), breaking_rows(result)) for result in found}
    return [by_position[position] for position in range(len(built))]


def _validate_alone(batch: Any, expectation: Any, form: str | dict[str, Any]) -> Result:
    try:
        result = batch.validate(expectation, result_format=form)
        return plain_result(result), breaking_rows(result)
    except Exception as error:
        return raised_result(expectation.configuration, error), []
