"""Sentinels: the signs of leakage that need the split or the order of time, added to what validation has found."""

from __future__ import annotations

from dataclasses import replace

from tasks.checks.changes import find_changed
from tasks.checks.crossings import find_crossings
from tasks.records import Finding, Split, Table
from tasks.settings import LeakageSettings, Policy

CHECK = "no leakage"
"""As validation calls it: its passing finding is taken back when there is a suspect after all."""


def watch_split(table: Table, split: Split, settings: LeakageSettings) -> Table:
    """The table with the further suspects, and a failed finding for each; the same table where there are none."""
    suspects = (*find_crossings(table, split, settings), *find_changed(table, settings))
    if not suspects:
        return table
    kept = [finding for finding in table.findings if not (finding.check == CHECK and finding.passed)]
    expected = "nothing on both sides of the split, and no column that tells the target in old rows alone"
    policy: Policy = "forbid" if settings.action == "block" else "warn"
    told = [(suspect.column, f"{suspect.reason} (score {suspect.score:.2f})") for suspect in suspects]
    found = [Finding(CHECK, column, "warning", False, expected, observed, policy=policy) for column, observed in told]
    return replace(table, suspects=(*table.suspects, *suspects), findings=(*kept, *found))
