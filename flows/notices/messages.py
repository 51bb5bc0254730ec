"""What a notice says: the fields of configs.templates.FIELDS, filled in, and the plain summary of them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from configs.schema import RetrainConfig
from configs.templates import FIELDS, SCHEMA
from flows.notices.registered import Registered
from tasks.records import Result
from tasks.registry import ALIAS
from tasks.reports.dimensions import known_metric
from tasks.settings.operation import Notice
from tasks.sources.source import mask
from tasks.wording import clean, clean_block, say_number

OCCURRENCES = {"ask": "asked", **{same: same for same in ("promoted", "kept", "unchanged", "failed", "data_rejected")}}
"""Verdict -> what a notice calls it; of a dry run nobody is told."""
WORDS = {
    "asked": "waits for your decision",
    "kept": "the champion is kept",
    "data_rejected": "data rejected",
    "drift": "the data have drifted",
    "decay": "the champion has decayed",
    "old": "the champion is old",
    "worse": "worse than the champion",
}
LONGEST, MOST = 4000, 50
"""Characters of one value, entries of `details`."""


def occurrences_of(result: Result, notice: Notice) -> tuple[str, ...]:
    """What this retrain is to this notice, the verdict first; nothing where it is not about it."""
    found = [OCCURRENCES.get(result.verdict, "")]
    if found != [""] and result.verdict != "unchanged" and _is_worse(result.metric, notice.worse_than):
        found.append("worse")
    return tuple(one for one in found if one in notice.on)


def _is_worse(metric: Mapping[str, Any], share: float) -> bool:
    """By more than that share of the champion's score; what one of the two could not be measured on is not compared."""
    now, before, known = metric.get("challenger"), metric.get("champion"), known_metric(str(metric.get("name")))
    if now is None or before is None or known is None:
        return False
    return bool((before - now if known.greater_is_better else now - before) > share * abs(before))


def describe_result(config: RetrainConfig, result: Result, registered: Registered) -> dict[str, Any]:
    """The fields of a retrain's notice, but for what it is about."""
    waits = result.verdict == "ask" and result.version is not None
    metric = dict(result.metric)
    told = {
        **{key: getattr(result, key) for key in ("verdict", "reason", "version", "as_of", "tuned", "tune_reason", "rows")},
        **{key: getattr(result, key) for key in ("mlflow_run_id", "prefect_flow_run_id")},
        "metric": metric | {"confidence": config.gate.confidence if metric.get("low") is not None else None},
        "links": result.look,
        "digest": registered.digest,
        "undo": _command("rollback", result.model) if result.verdict == "promoted" and registered.previous else None,
        "approve": _command("promote", result.model, result.version) if waits else None,
        "reject": _command("reject", result.model, result.version) if waits else None,
    }
    return describe(config, told)


def describe(config: RetrainConfig, told: Mapping[str, Any]) -> dict[str, Any]:
    """Every field there is: what was told under its name, the rest of it among the details, and null."""
    model, version = config.model_name, told.get("version")
    own = {
        "schema": SCHEMA,
        "id": uuid4().hex,
        "sent": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": model,
        "model_uri": f"models:/{model}@{ALIAS}",
        "version_uri": f"models:/{model}/{version}" if version else None,
        "details": dict(
            list({**{key: value for key, value in told.items() if key not in FIELDS}, **told.get("details", {})}.items())[:MOST]
        ),
    }
    return {name: _fit(name, {**told, **own}.get(name), what) for name, what in FIELDS.items()}


def about(fields: Mapping[str, Any], occurrences: Sequence[str]) -> dict[str, Any]:
    """The fields of the one notice that is about these occurrences."""
    version = f", v{fields['version']}" if fields["version"] else ""
    when = f" {fields['as_of']}" if fields["as_of"] else ""
    said = ", ".join(WORDS.get(one, one) for one in occurrences)
    headline = clean(f"{fields['model']}{when}: {said}{version}", 200)
    return {**fields, "event": occurrences[0], "occurrences": list(occurrences), "headline": headline}


def summarise(fields: Mapping[str, Any]) -> str:
    """The plain text of a notice: a few lines, what it is about first."""
    lines = [fields["headline"], *filter(None, (clean_block(fields["reason"] or ""), _say_metric(fields)))]
    lines += [f"{name}: {value}" for name, value in fields["details"].items()]
    commands = (("to approve", "approve"), ("to reject", "reject"), ("to undo", "undo"))
    lines += [f"{words}: {fields[name]}" for words, name in commands if fields[name]]
    lines += [f"{name}: {address}" for name, address in fields["links"].items()]
    return "\n".join(lines)


def _say_metric(fields: Mapping[str, Any]) -> str:
    metric = fields["metric"]
    if metric["name"] is None or metric["challenger"] is None:
        return ""
    before = "nothing before it" if metric["champion"] is None else f"{say_number(metric['champion'])} before"
    text = f"{metric['name']} {say_number(metric['challenger'])} now, {before}"
    if metric["low"] is None or metric["high"] is None:
        return text
    low, high, sure = say_number(metric["low"]), say_number(metric["high"]), f"{100 * metric['confidence']:g} %"
    return f"{text}; worse by {say_number(metric['difference'])}, above {low} and below {high} with {sure} each"


def _fit(name: str, value: Any, what: str | Mapping[str, str]) -> Any:
    """A value as JSON has it: no number that is not one, no secret, nothing longer than is read."""
    if isinstance(what, dict):
        given = value or {}
        return {key: _plain(given.get(key)) for key in what}
    if name == "links":
        return {str(key): _plain(page) for key, page in (value or {}).items() if str(page).startswith(("http://", "https://"))}
    if name == "details":
        return {str(key): _plain(one) for key, one in value.items()}
    return _plain(value)


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):  # a number of numpy's
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    text = mask(str(value))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _command(act: str, model: str, *version: str | None) -> str:
    return shlex.join(["evertune", act, model, *filter(None, version)])
