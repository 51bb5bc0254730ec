"""`evertune check` and `evertune profile`: config and data looked at, the plan in words, nothing trained."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from configs.reading import read_config
from flows.commands.outlook import describe_search
from tasks.checks.expectations import check_expectations
from tasks.checks.profiling import propose_expectations, render_expectations
from tasks.loading import load_table
from tasks.metrics import find_metric
from tasks.models.model import require_fit
from tasks.records import Columns, LoadedTable, Table
from tasks.settings import GateSettings
from tasks.splitting import split_table
from tasks.targets import encode
from tasks.validation import validate_table, visible_rows
from tasks.wording import say_share


def describe_plan(path: str, overrides: dict[str, Any], as_of: datetime) -> str:
    """What a retrain at `as_of` would do, one line a stage. Raises what the retrain itself would raise at once."""
    config = read_config(path, overrides)
    check_expectations(config.validation)
    loaded = load_table(config.source, as_of)
    table = validate_table(loaded, config.table, config.validation, as_of, keep=config.kept_columns)
    split = split_table(table, config.split, config.label_delay, None, config.gate.min_rows)
    task = table.columns.target.task
    require_fit((config.model, *config.alternatives), task, encode(table.columns.target, table.frame[table.columns.target.column]))
    metric = find_metric(config.metric or config.model.default_metric(task), task)
    lines = {
        "config": f"{path}: no fault found",
        "source": f"{(read := loaded.source).location}: {read.rows:,} rows, {read.columns} columns, {read.bytes / 1e6:.0f} MB",
        "rows": f"{len(table.frame):,} usable before {as_of.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        f" ({table.after_cut:,} later, {table.unlabelled:,} without a label{_left_out(table)})",
        "checks": _checks(table),
        **({"forbids": "no model of these rows may go live: " + "; ".join(table.forbids)} if table.forbids else {}),
        "leakage": "; ".join(f"{suspect.column}: {suspect.reason}" for suspect in table.suspects) or "nothing suspect",
        "target": f"{table.columns.target.column}, {task}" + _classes(table.columns),
        "features": _features(table.columns),
        "split": split.note + f"; {len(split.train):,} training rows",
        "model": config.model.identity + "".join(f", {name} {value}" for name, value in config.model.hyperparameters.items()),
        "metric": f"{metric.name}, {'greater' if metric.greater_is_better else 'less'} is better",
        **describe_search(config, task, metric.name),
        "registry": f"model {config.model_name}; {_promotion(config.gate)}",
    }
    return "\n".join(f"{name:<9} {text}" for name, text in lines.items())


def propose_suite(path: str, overrides: dict[str, Any], as_of: datetime) -> str:
    """Expectations that hold for the rows before the cut as they are now, as YAML for the config. Raises what a retrain would."""
    config = read_config(path, {**overrides, "validation.expectations": []})
    loaded: LoadedTable = load_table(config.source, as_of)
    table = validate_table(loaded, config.table, config.validation, as_of)
    rows = visible_rows(loaded, config.table, config.validation, as_of)[list(table.frame.columns)]  # as expectations will see them
    return render_expectations(propose_expectations(rows, table.columns), rows)


def _checks(table: Table) -> str:
    failed = [finding for finding in table.findings if not finding.passed]
    words = "; ".join(f"{finding.column}: {finding.check} ({finding.observed})" for finding in failed)
    return f"{len(table.findings)} made, {len(failed)} failed" + (f": {words}" if words else "")


def _promotion(gate: GateSettings) -> str:
    bar = "shown to be better than" if gate.rule == "superior" else f"shown to be worse by less than {say_share(gate.margin)} than"
    return f"promoted if {bar} the champion, {say_share(gate.confidence)} sure; where the rows cannot tell: {gate.unsure}"


def _left_out(table: Table) -> str:
    return "" if table.dropped is None else f", {len(table.dropped):,} left out by policy"


def _classes(columns: Columns) -> str:
    return f" ({', '.join(map(str, columns.target.classes))})" if columns.target.classes else ""


def _features(columns: Columns) -> str:
    kinds: dict[str, list[str]] = {}
    for name, kind in columns.features.items():
        kinds.setdefault(kind, []).append(name)
    used = "; ".join(f"{kind} {', '.join(names)}" for kind, names in kinds.items())
    left_out = "; ".join(f"{name} ({why})" for name, why in columns.left_out.items())
    return used + (f"; left out: {left_out}" if left_out else "")
