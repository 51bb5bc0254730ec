"""Stage: whether the data is fit to train on, and the rows and columns that a retrain may see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.artifacts import publish_table
from tasks.checks.columns import check_declared, check_presence, check_values, find_features, plain_values
from tasks.checks.findings import SEVERITIES, finding_rows, is_rejecting, rejection, row_examples, say_rows
from tasks.checks.labels import read_target
from tasks.checks.leakage import find_suspects
from tasks.checks.policies import screen_rows
from tasks.checks.spellings import check_spellings
from tasks.checks.times import check_clock, read_times
from tasks.digests import digest
from tasks.errors import DataRejected
from tasks.records import Columns, Finding, LoadedTable, Suspect, Table
from tasks.settings import LeakageSettings, Policy, TableSettings, ValidationSettings
from tasks.stage import stage
from tasks.wording import clean, did_you_mean, say_count, say_moment, say_number

LEAKAGE = "no leakage"


@stage("validate")
def validate_table(
    loaded: LoadedTable,
    columns: TableSettings,
    settings: ValidationSettings,
    as_of: datetime,
    now: datetime | None = None,
    keep: Sequence[str] = (),
) -> Table:
    """The labelled rows before `as_of` - `label_delay` in time order, with the roles of their columns and all findings.

    Great Expectations sees every column of the rows before the cut, the time column already in UTC; the base suite, which
    always runs, sees what policies leave of these rows. `now` is the wall clock; `keep` names columns that stay in the frame
    though they are no feature (the split's group). as_of and now are in UTC.

    Raises DataRejected that names every critical check which failed, with all findings.
    """
    try:
        table = _examine(loaded, columns, settings, as_of, now or datetime.now(UTC), keep)
    except DataRejected as rejected:
        _publish(rejected.findings, loaded.source.location)
        raise
    _publish(table.findings, loaded.source.location)
    return table


def visible_rows(loaded: LoadedTable, columns: TableSettings, settings: ValidationSettings, as_of: datetime) -> pd.DataFrame:
    """The rows that expectations are asked of, in time order: those before the cut, with a label or without, with every column.

    For a table that `validate_table` accepts, and raises DataRejected for one without a row to see.
    """
    visible, findings = _before_cut(loaded.frame.reset_index(drop=True), columns, settings, as_of, datetime.now(UTC))
    if visible is None:
        raise rejection(findings, loaded.source.location)
    return visible if columns.time is None else visible.sort_values(columns.time.column, kind="stable")


def validation_page(
    findings: Sequence[Finding],
    suspects: Sequence[Suspect] = (),
    title: str = "Validation",
    facts: Mapping[str, object] | None = None,
    dropped: pd.DataFrame | None = None,
) -> str:
    """One self-contained HTML page: no script, no request, readable in the dark and in print. `facts` stand on top, name -> value.

    `dropped` are the rows that policies left out, as the table has them; the first of them are shown.

    Whatever the data holds is escaped and stripped of control characters.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "reports" / "templates"),
        autoescape=True,
        finalize=_harmless,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    failed = [finding for finding in findings if not finding.passed and not (suspects and finding.check == LEAKAGE)]
    return environment.get_template("validation.html.j2").render(
        title=title,
        facts={name: say_number(value) for name, value in (facts or {}).items()},
        rejected=any(map(is_rejecting, findings)),
        failed=sorted(failed, key=lambda finding: SEVERITIES.index(finding.severity)),
        passed=[finding for finding in findings if finding.passed],
        suspects=suspects,
        dropped=dropped,
    )


def _examine(
    loaded: LoadedTable, columns: TableSettings, settings: ValidationSettings, as_of: datetime, now: datetime, keep: Sequence[str]
) -> Table:
    where = loaded.source.location
    frame = loaded.frame.reset_index(drop=True)  # positions in the source; pandas shares the data until one side changes
    findings = check_presence(map(str, frame.columns), columns, keep)
    visible, more = _before_cut(frame, columns, settings, as_of, now)
    findings += more
    if visible is None:
        raise rejection(findings + check_declared(frame, columns), where)
    after_cut = len(frame) - len(visible)
    del frame
    screened = screen_rows(visible, settings, columns.key)
    visible = screened.rows
    findings += [*check_declared(visible, columns), *_check_key(visible, columns.key), *screened.findings]
    if columns.target not in visible:
        raise rejection(findings, where)
    rows, unlabelled, more = _labelled(visible, columns, settings)
    target, labels, further = read_target(rows, columns)
    findings += more + further
    if target is None or labels is None:
        raise rejection(findings, where)

    features, left_out = find_features(rows, columns)
    findings += check_values(rows, features, left_out) + check_spellings(rows, features, left_out, columns.columns)
    if any(map(is_rejecting, findings)):
        raise rejection(findings, where)
    time = columns.time.column if columns.time else None
    used = sorted({*features, *columns.key, *keep, *(name for name in (time, columns.query) if name)})
    settled = {name: plain_values(rows[name], kind) for name, kind in features.items() if rows[name].dtype == object}
    rows = rows[used].assign(**settled, **{target.column: labels}).reset_index(drop=True)
    suspects = find_suspects(rows, visible.loc[unlabelled, list(features)], target, features, settings.leakage)
    findings += _check_leakage(suspects, settings.leakage, visible.columns)
    return Table(
        frame=rows,
        columns=Columns(target, features, time, columns.key, left_out, columns.query),
        digest=digest(rows),
        findings=tuple(findings),
        suspects=suspects,
        unlabelled=int(unlabelled.sum()),
        after_cut=after_cut,
        expectations=screened.raw or {},
        dropped=screened.dropped,
        forbids=screened.forbids,
    )


def _before_cut(
    frame: pd.DataFrame, columns: TableSettings, settings: ValidationSettings, as_of: datetime, now: datetime
) -> tuple[pd.DataFrame | None, list[Finding]]:
    """The rows that a retrain at `as_of` may see, their time in UTC; None when there is no telling or no such row."""
    if frame.empty:
        return None, [Finding("there are rows", "", "critical", False, "at least one row and one column", "none")]
    if columns.time is None:
        return frame, []
    name = columns.time.column
    if name not in frame:
        return None, []
    times, readable = read_times(frame, name, columns.key)
    if times is None:
        return None, [readable]
    findings = [readable, *check_clock(times, frame, now, settings.clock_tolerance, columns.key)]
    cut = pd.Timestamp(as_of - columns.label_delay)
    seen = (times < cut).to_numpy()
    observed = (
        f"{len(frame):,} rows, all later: the first at {say_moment(times.min())}" if not seen.any() else say_rows(seen.sum(), len(frame))
    )
    expected = f"rows before {say_moment(cut)} (as-of, less the label delay)"
    findings.append(Finding("rows before the as-of date", name, "critical", bool(seen.any()), expected, observed))
    if not seen.any():
        return None, findings
    visible = frame.assign(**{name: times})
    return (visible if seen.all() else visible[seen]), findings


def _check_key(frame: pd.DataFrame, key: tuple[str, ...]) -> list[Finding]:
    names = [name for name in key if name in frame]
    if not key or len(names) < len(key):
        return []
    missing, twice = frame[names].isna().any(axis=1), frame.duplicated(names, keep=False)
    return [
        _broken_by("key is complete", "no missing value in the key", missing, frame, names),
        _broken_by("key is unique", "each key in one row only", twice, frame, names),
    ]


def _broken_by(check: str, expected: str, failed: pd.Series, frame: pd.DataFrame, names: list[str]) -> Finding:
    count = int(failed.sum())
    observed = say_rows(count, len(frame)) if count else "no row breaks it"
    examples = row_examples(frame, frame.index[failed], names)
    return Finding(check, ", ".join(names), "critical", not count, expected, observed, count, examples)


def _labelled(visible: pd.DataFrame, columns: TableSettings, settings: ValidationSettings) -> tuple[pd.DataFrame, pd.Series, list[Finding]]:
    """The rows with a label in time order (as they came without a time column), where a label is missing, and both counts judged."""
    unlabelled = visible[columns.target].isna()
    without, count = int(unlabelled.sum()), len(visible)
    rows = visible[~unlabelled]
    if columns.time is not None:
        instants = rows[columns.time.column].dt.tz_localize(None).to_numpy()  # with a zone they would be Python objects
        rows = rows.iloc[np.argsort(instants, kind="stable")]
    expected = f"at most {settings.max_unlabelled:.0%} of the rows without a label"
    few = f"at least {settings.min_rows:,} labelled rows"
    return (
        rows,
        unlabelled,
        [
            Finding(
                "labels are known",
                columns.target,
                "critical",
                without <= settings.max_unlabelled * count,
                expected,
                say_rows(without, count),
            ),
            Finding("enough rows", "", "critical", len(rows) >= settings.min_rows, few, say_count(len(rows), "row")),
        ],
    )


def _check_leakage(suspects: Sequence[Suspect], settings: LeakageSettings, names: Iterable[str]) -> list[Finding]:
    """Warnings: it is the gate that refuses to promote."""
    if settings.action == "off":
        return []
    policy: Policy = "forbid" if settings.action == "block" else "warn"
    expected = f"known before the event; on its own less than {settings.threshold:g} of the way from chance to perfect"
    found = [(suspect.column, f"{suspect.reason} (score {suspect.score:.2f})") for suspect in suspects]
    findings = [Finding(LEAKAGE, column, "warning", False, expected, observed, policy=policy) for column, observed in found]
    present = set(names)
    for name in sorted(set(settings.allow) - present):
        observed = "; ".join(part for part in ("no such column", did_you_mean(name, present)) if part)
        findings.append(
            Finding("allowed columns are there", name, "warning", False, "a column that validation.leakage.allow names", observed)
        )
    return findings or [Finding(LEAKAGE, "", "warning", True, expected, "no suspect", policy=policy)]


def _harmless(value: Any) -> Any:
    """One clean line for the template to escape; what its own macros made is left alone."""
    return value if hasattr(value, "__html__") else clean(value)


def _publish(findings: Sequence[Finding], where: str) -> None:
    failed = sum(not finding.passed for finding in findings)
    publish_table("validation", finding_rows(findings), clean(f"{where}: {failed} of {say_count(len(findings), 'check')} failed"))
