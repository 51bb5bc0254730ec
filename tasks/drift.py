"""Stage: which columns, and whether the target, are distributed otherwise than in the rows that the champion was trained on.

Great Expectations has expectations for this, and they were considered. `expect_column_kl_divergence_to_be_less_than`
wants a partition a column, is infinite as soon as a value turns up that was not there before (unless a share is held
out for it by hand), is one-sided, and knows no p-value; `expect_column_quantile_values_to_be_between` wants a range for
each quantile of each column, written by hand, and breaks Great Expectations' own checkpoints (numpy's bool is not
JSON). Neither knows that rows of a day are alike, nor that fifty columns are fifty chances of a false alarm, and a
failed one would be a finding on a single data set where this is a comparison of two. So this stands beside the suite.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from tasks.artifacts import publish_table
from tasks.checks.drifts import FEWEST_ROWS, compare_columns
from tasks.checks.shares import Profile, target_kind, watched
from tasks.records import Champion, ColumnDrift, DriftReport, Rows, Shares, Table
from tasks.settings import DriftSettings
from tasks.stage import stage
from tasks.wording import clean, say_count, say_number, say_share

LEAST = timedelta(days=7)
"""At least the newest week is looked at: a Sunday beside a year is no drift."""
FEWEST_DAYS = 3
"""Rows of a day are alike: fewer days do not tell what chance brings."""
NAMED = 3
log = logging.getLogger("evertune")


@stage("drift")
def measure_drift(table: Table, champion: Champion | None, profile: Profile | None, settings: DriftSettings) -> DriftReport:
    """The rows later than the champion's `trained_through`, or the newest week's where that is longer, against the profile.

    Without a time column every row is compared: those that the champion was trained on too make the comparison blinder,
    not wrong. `profile` is that of the champion's rows, or the one that was carried forward; None where there is none.
    """
    report = _measure(table, champion, profile, settings)
    if report.columns or report.target:
        publish_table("drift", drift_rows(report), clean(f"{say_drift(report)}; compared with {report.since}"))
    if report.drifted:
        log.warning("drift: %s; compared with %s", say_drift(report), report.since)
    return report


def say_drift(report: DriftReport) -> str:
    """`2 of 20 columns drifted (temp 0.61, dewp 0.45), and the target did (0.31)`."""
    drifted = [drift for drift in report.columns if drift.drifted]
    named = ", ".join(f"{drift.column} {drift.index:.2f}" for drift in drifted[:NAMED]) + (", ..." if len(drifted) > NAMED else "")
    text = f"{len(drifted)} of {say_count(len(report.columns), 'column')} drifted" + (f" ({named})" if drifted else "")
    return f"{text}, and the target did ({report.target.index:.2f})" if report.target and report.target.drifted else text


def drift_rows(report: DriftReport) -> list[dict[str, Any]]:
    """Flat rows for a table, what drifted first."""
    found = [("target", report.target)] if report.target else []
    found += [("column", drift) for drift in report.columns]
    return [
        {
            "result": "drifted" if drift.drifted else "as before",
            "column": clean(drift.column),
            "what": what,
            "stability index": round(drift.index, 4),
            "p (adjusted)": say_number(drift.p_value, digits=2),
            "moved most": _moved_most(drift),
        }
        for what, drift in sorted(found, key=lambda entry: not entry[1].drifted)
    ]


def _measure(table: Table, champion: Champion | None, profile: Profile | None, settings: DriftSettings) -> DriftReport:
    if settings.action == "off":
        return DriftReport("", note="validation.drift.action is off")
    if champion is None:
        return DriftReport("", note="there is no champion to compare with")
    if profile is None:
        return DriftReport("", note=f"champion v{champion.version} has no profile of the rows that it was trained on")
    carried = _is_carried(champion, profile, settings)
    since = _say_baseline(champion, profile, carried)
    rows, days, note = _rows_now(table, champion)
    if rows is None:
        return DriftReport(since, note=note, carried=carried)
    before, unlike = _comparable(table, profile, settings)
    note = "; ".join(part for part in (note, unlike) if part)
    found = compare_columns(before, table.frame.iloc[rows], days, settings)
    name = table.columns.target.column
    columns = sorted((drift for drift in found if drift.column != name), key=lambda drift: (not drift.drifted, -drift.index))
    return DriftReport(since, tuple(columns), next((drift for drift in found if drift.column == name), None), note, carried)


def _is_carried(champion: Champion, profile: Profile, settings: DriftSettings) -> bool:
    """Whether the profile is older than the champion; without a time column the setting alone can tell."""
    if profile.through is None or champion.trained_through is None:
        return settings.baseline == "carry"
    return profile.through != champion.trained_through


def _say_baseline(champion: Champion, profile: Profile, carried: bool) -> str:
    through = "" if profile.through is None else f" (through {profile.through:%Y-%m-%d})"
    whose = "an earlier champion, whose profile was carried forward," if carried else f"champion v{champion.version}"
    return f"the {say_count(profile.rows, 'row')} that {whose} was trained on{through}"


def _rows_now(table: Table, champion: Champion) -> tuple[Rows | None, Rows | None, str]:
    """Positions of the rows to look at and each one's day; None and why where there are too few of either."""
    if table.columns.time is None or champion.trained_through is None:
        return np.arange(len(table.frame)), None, "without a time column every row is compared, whether or not the champion has seen it"
    times = table.frame[table.columns.time]
    unseen = int((times > pd.Timestamp(champion.trained_through)).sum())
    if not unseen:
        return None, None, f"no row is later than what champion v{champion.version} was trained on"
    first = min(pd.Timestamp(champion.trained_through), times.max() - LEAST)
    rows = np.flatnonzero(times > first)
    if len(rows) < FEWEST_ROWS:
        what = f"only {say_count(len(rows), 'row')} since {champion.trained_through:%Y-%m-%d}"
        return None, None, f"{what}, fewer than the {FEWEST_ROWS} that it takes to say anything"
    days = np.unique(times.iloc[rows].dt.tz_localize(None).dt.floor("D").to_numpy(), return_inverse=True)[1]
    if (count := int(days.max()) + 1) < FEWEST_DAYS:
        return None, None, f"the {len(rows):,} rows are of {say_count(count, 'day')}; rows of a day are alike, it takes {FEWEST_DAYS}"
    seen = f"the newest {say_count(count, 'day')} are compared; the champion has seen {len(rows) - unseen:,} of their {len(rows):,} rows"
    return rows, days, seen if unseen < len(rows) else ""


def _comparable(table: Table, profile: Profile, settings: DriftSettings) -> tuple[Sequence[Shares], str]:
    """The described columns that are still there as what they were, and a word on those that are not."""
    kinds = {**watched(table.columns), table.columns.target.column: target_kind(table.columns)}
    kinds = {name: kind for name, kind in kinds.items() if name not in settings.ignore}
    before = [shares for shares in profile.columns if kinds.get(shares.column) == shares.kind and shares.rows >= FEWEST_ROWS]
    known = {shares.column for shares in before}
    missing = [name for name in kinds if name not in known]
    return before, f"nothing to compare with for {', '.join(missing)}" if missing else ""


def _moved_most(drift: ColumnDrift) -> str:
    """The bin whose share changed most: `above 81.0: 10 % before, 38 % now`."""
    moves = np.abs(np.array(drift.now.shares) - np.array(drift.before.shares))
    if not moves.any():
        return ""
    place = int(moves.argmax())
    before, now = say_share(drift.before.shares[place]), say_share(drift.now.shares[place])
    return clean(f"{say_bin(drift.before, place)}: {before} before, {now} now")


def say_bin(shares: Shares, place: int) -> str:
    """A bin in words: `missing`, `EWR`, `others`, `61.0 to 68.0`, `above 81.0`."""
    if place == len(shares.shares) - 1:
        return "missing"
    if shares.kind == "category":
        return shares.values[place] if place < len(shares.values) else "others"
    if not shares.edges:
        return "any number"
    if place == 0:
        return "below all earlier ones"
    if place == len(shares.edges):
        return f"above {say_number(shares.edges[-1])}"
    return f"{say_number(shares.edges[place - 1])} to {say_number(shares.edges[place])}"
