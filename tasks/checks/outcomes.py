"""Outcomes: what Great Expectations answered, as JSON's own types and as findings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tasks.checks.findings import EXAMPLES, row_examples, say_rows, say_value
from tasks.records import Finding
from tasks.settings import Expectation, Policy, Severity
from tasks.wording import clean, did_you_mean, say_count, say_number

DESCRIBING = frozenset({"meta", "notes", "description"})
"""What an entry may say about itself that is no argument."""
COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list")
LISTS = frozenset({"unexpected_list", "unexpected_index_list"})
"""What they add when every row is asked for."""
LONGEST = 200
LONGEST_VALUE = 1000
LISTED = 10


def read_result(expectation: Expectation, raw: Mapping[str, Any], frame: pd.DataFrame, key: Sequence[str]) -> Finding:
    """One raw result as a finding: an exception stops the retrain whatever the policy; a column without a value has failed."""
    names = column_names(expectation)
    expected = _say_arguments(expectation)
    if raw["exception"]:
        hints = [did_you_mean(name, frame.columns) for name in names if name not in frame]
        observed = "; ".join(text for text in (f"it could not be checked: {raw['exception']}", *hints) if text)
        return Finding(expectation.type, ", ".join(names), "critical", False, expected, observed)
    result = raw["result"]
    passed, observed = raw["success"], _say_result(result, raw["success"])
    if _saw_nothing(result, names, frame):
        passed, observed = False, "every value is missing, so nothing could be checked"
    failed = int(result.get("unexpected_count") or 0) if "element_count" in result else 0
    severity, policy = _weigh(expectation, passed or bool(failed))
    labels = result.get("partial_unexpected_index_list") or []
    values = result.get("partial_unexpected_list") or []
    examples = row_examples(frame, labels, names, key) if labels else tuple(map(say_value, values[:EXAMPLES]))
    return Finding(expectation.type, ", ".join(names), severity, passed, expected, observed, failed, examples, policy=policy)


def column_names(expectation: Expectation) -> list[str]:
    """The columns it looks at; none when it looks at the table."""
    if expectation.type.startswith("expect_table_"):
        return []
    given = [expectation.arguments.get(argument) for argument in COLUMN_ARGUMENTS]
    return [name for names in given if names is not None for name in ([names] if isinstance(names, str) else names)]


def breaking_rows(result: Any) -> list[Any]:
    """The index labels of all rows that break it; none where it judges no single row, or was asked for a summary."""
    return list(result.result.get("unexpected_index_list") or [])


def plain_result(result: Any) -> dict[str, Any]:
    """Success, the expectation, its result without the long lists, and the message of what it raised; no traceback."""
    raised = dict(result.exception_info or {})
    messages = [raised] if "raised_exception" in raised else list(raised.values())
    texts = dict.fromkeys(clean(info["exception_message"], LONGEST) for info in messages if info.get("raised_exception"))
    return {
        "success": bool(result.success),
        "expectation_config": _plain_config(result.expectation_config),
        "result": _shorten(plain({name: value for name, value in result.result.items() if name not in LISTS})),
        "exception": "; ".join(texts),
    }


def raised_result(configuration: Any, error: Exception) -> dict[str, Any]:
    """The same for an expectation that raised instead of answering."""
    return {"success": False, "expectation_config": _plain_config(configuration), "result": {}, "exception": clean(error, LONGEST)}


def plain(value: Any) -> Any:
    """JSON's own types: numpy unwrapped, times as text, what is not a number as null, all else as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "tolist") and not isinstance(value, type):
        return plain(value.tolist())
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)


def _weigh(expectation: Expectation, by_row: bool) -> tuple[Severity, Policy | None]:
    """Severity and policy of the finding: critical is what rejects, and where no single row can be left out the severity decides."""
    declared, policy = expectation.severity, expectation.policy
    if policy is None or (policy == "drop" and not by_row):
        return declared, None
    if policy == "stop":
        return "critical", policy
    return ("warning" if declared == "critical" else declared), policy


def _shorten(value: Any) -> Any:
    """Without the length of what a cell may hold: a result quotes it forty times."""
    if isinstance(value, dict):
        return {name: _shorten(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shorten(item) for item in value]
    return value[: LONGEST_VALUE - 1] + "…" if isinstance(value, str) and len(value) > LONGEST_VALUE else value


def _plain_config(configuration: Any) -> dict[str, Any]:
    arguments = {name: value for name, value in configuration.kwargs.items() if name != "batch_id"}
    return {"type": configuration.type, "kwargs": plain(arguments), "severity": str(getattr(configuration.severity, "value", ""))}


def _saw_nothing(result: Mapping[str, Any], names: Sequence[str], frame: pd.DataFrame) -> bool:
    """Whether it looked at values and there was none: Great Expectations lets that pass."""
    if result.get("element_count") and result.get("missing_count") is not None:
        return bool(result["missing_count"] == result["element_count"])
    aggregate = "observed_value" in result and len(names) == 1 and names[0] in frame
    return aggregate and result["observed_value"] is None and not frame[names[0]].notna().any()


def _say_arguments(expectation: Expectation) -> str:
    unsaid = DESCRIBING | set(COLUMN_ARGUMENTS if column_names(expectation) else ())
    shown = [f"{name} {_say(value)}" for name, value in expectation.arguments.items() if name not in unsaid]
    return clean(", ".join(shown), LONGEST) or "as named"


def _say_result(result: Mapping[str, Any], passed: bool) -> str:
    failed = int(result.get("unexpected_count") or 0)
    if result.get("element_count") is not None:
        return say_rows(failed, result["element_count"]) if failed else "no row breaks it"
    mismatched = (result.get("details") or {}).get("mismatched")
    parts = [_say(result["observed_value"])] if result.get("observed_value") is not None else []
    parts += [f"mismatched {_say(mismatched)}"] if mismatched else []
    parts += [say_count(failed, "distinct value") + " not expected"] if failed else []
    return clean("; ".join(parts), LONGEST) or ("as expected" if passed else "not so")


def _say(value: Any) -> str:
    """Numbers shortened, lists without brackets and cut."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_say(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        more = f", ... ({len(value)} in all)" if len(value) > LISTED else ""
        return ", ".join(map(_say, value[:LISTED])) + more
    return say_number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
