"""The history of a model: its versions, what became of each, and the retrains that registered none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from tasks.registry import ALIAS, CHALLENGER, Entry, read_entry
from tasks.registry.versions import PENDING, PROMOTED, PROMOTED_BY, REJECTED, quoted, read_log
from tasks.remembering import MODEL_TAG
from tasks.wording import clean, say_difference, say_number

if TYPE_CHECKING:
    from rich.table import Table

    from tasks.tracking import Tracker

MOST_RUNS = 1000
WIDE = 200
"""Columns of characters where there is no terminal to ask."""
NOTHING = "-"
COLUMNS = ("version", "verdict", "as of", "rows to", "metric", "worse by", "tuned", "live since", "run")
SPARED = ("rows to", "tuned", "run")
"""Left out where there is no room for them all."""
ROOM = 125
FOLDED = ("worse by", "live since")


def read_history(tracker: Tracker, name: str) -> dict[str, Any]:
    """Everything as plain JSON: `versions` and `retrains` (those that registered none), the newest first."""
    entry = read_entry(tracker, name)
    runs = {run.info.run_id: run for run in _runs(tracker, name)}
    versions = [_version(entry, version, runs.get(version.run_id)) for version in entry.versions]
    registered = {version["run_id"] for version in versions}
    retrains = [_retrain(run) for run_id, run in runs.items() if run_id not in registered]
    return {"model": name, "aliases": entry.aliases, "versions": versions, "retrains": retrains}


def show_history(history: dict[str, Any], last: int, stream: TextIO) -> None:
    """The history as a table, `last` lines of it (0: all), and what waits for a person."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False, width=None if stream.isatty() else WIDE)
    lines = sorted([*history["versions"], *history["retrains"]], key=lambda line: line["at"], reverse=True)
    shown = lines[:last] if last else lines
    live = history["aliases"].get(ALIAS)
    heading = f"{history['model']}: {f'v{live} is the champion' if live else 'no version is the champion'}"
    console.print(Text(heading + (f" ({len(lines) - len(shown)} older lines: --last 0)" if len(shown) < len(lines) else "")))
    console.print(_table(shown, console.width))
    waiting = history["aliases"].get(CHALLENGER)
    for version in history["versions"]:
        if version["version"] == waiting:
            name = history["model"]
            console.print(Text(f"v{waiting} waits: evertune promote {name}, or evertune reject {name}\n  why  {clean(version['reason'])}"))


def _runs(tracker: Tracker, name: str) -> list[Any]:
    """Retrains of this model, the newest first."""
    experiments = [experiment.experiment_id for experiment in tracker.client.search_experiments(max_results=MOST_RUNS)]
    wanted = f"tags.`{MODEL_TAG}` = {quoted(name)} and tags.`evertune.kind` = 'retrain'"
    return list(tracker.client.search_runs(experiments, wanted, max_results=MOST_RUNS, order_by=["attributes.start_time DESC"]))


def _version(entry: Entry, version: Any, run: Any | None) -> dict[str, Any]:
    tags = version.tags
    told = _retrain(run) if run is not None else {"at": _iso(version.creation_timestamp), "as_of": None, "tuned": None}
    return {
        **told,
        "version": str(version.version),
        "aliases": [alias for alias, at in entry.aliases.items() if at == str(version.version)],
        "verdict": _verdict(tags),
        "reason": tags.get("evertune.reason", told.get("reason", "")),
        "metric": tags.get("evertune.metric"),
        "interval": _interval(tags.get("evertune.interval")),
        "trained_from": tags.get("evertune.trained_from"),
        "trained_through": tags.get("evertune.trained_through"),
        "champion_since": tags.get(PROMOTED),
        "champion_by": tags.get(PROMOTED_BY),
        "log": read_log(version),
        "run_id": version.run_id or None,
    }


def _retrain(run: Any) -> dict[str, Any]:
    tags = run.data.tags
    tuning = tags.get("evertune.tuning")
    return {
        "at": _iso(run.info.start_time),
        "as_of": tags.get("evertune.as_of"),
        "verdict": tags.get("evertune.verdict", run.info.status.lower()),
        "reason": tags.get("evertune.reason") or tags.get("failure.message", ""),
        "tuned": None if tuning is None else tuning == "ran",
        "run_id": run.info.run_id,
    }


def _verdict(tags: dict[str, str]) -> str:
    """What became of a version; one that the gate let through but that never went live was cut short."""
    if PROMOTED in tags:
        return "promoted"
    if REJECTED in tags:
        return "rejected"
    if tags.get("evertune.verdict") == "ask":
        return "ask" if PENDING in tags else "ask, overtaken"
    return "interrupted" if "evertune.verdict" in tags else "unknown"


def _interval(text: str | None) -> dict[str, float] | None:
    try:
        return {str(key): float(value) for key, value in json.loads(text or "null").items()}
    except (ValueError, AttributeError, TypeError):  # there is none, or it is not ours
        return None


def _table(lines: list[dict[str, Any]], width: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    shown = [name for name in COLUMNS if width >= ROOM or name not in SPARED]
    for name in shown:
        table.add_column(name, no_wrap=name not in FOLDED)
    for line in lines:
        cells = _cells(line)
        table.add_row(*(Text(clean(cells[name])) for name in shown), style="bold" if ALIAS in line.get("aliases", ()) else None)
    return table


def _cells(line: dict[str, Any]) -> dict[str, str]:
    version, tuned = line.get("version"), line.get("tuned")
    values = (
        " ".join([f"v{version}", *line["aliases"]]) if version else NOTHING,
        line["verdict"],
        _day(line.get("as_of")),
        _day(line.get("trained_through")),
        (line.get("metric") or NOTHING).partition(" (")[0],
        _say_interval(line.get("interval")),
        NOTHING if tuned is None else "yes" if tuned else "no",
        _since(line),
        (line["run_id"] or NOTHING)[:8],
    )
    return dict(zip(COLUMNS, values, strict=True))


def _say_interval(interval: dict[str, float] | None) -> str:
    if interval is None or "difference" not in interval:
        return NOTHING
    middle = say_difference(interval["difference"])
    if "low" not in interval or "high" not in interval:
        return middle
    return f"{middle} ({say_number(interval['low'], digits=3)} to {say_number(interval['high'], digits=3)})"


def _since(line: dict[str, Any]) -> str:
    """The day, and who it was unless it was the retrain itself."""
    by = line.get("champion_by") or ""
    who = "" if by.startswith("retrain ") else f" {by}"
    return f"{_day(line['champion_since'])}{who}" if line.get("champion_since") else NOTHING


def _day(text: str | None) -> str:
    return text[:10] if text else NOTHING


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
