"""Movements: what is other than at earlier retrains. Drift, rows of the past that changed, a worn test window, a champion's anchor."""

from __future__ import annotations

import logging
from datetime import datetime
from functools import cached_property
from typing import Any

from configs.schema import RetrainConfig
from tasks.baselines import FINGERPRINT_FILE, FIRST_TAG, LAST_TAG, PROFILE_FILE, SIDES_TAG, find_baselines, read_fingerprint, read_profile
from tasks.checks.fingerprints import compare_fingerprints, fingerprint
from tasks.checks.shares import Profile, profile_rows
from tasks.comparisons.wear import count_wear
from tasks.drift import say_drift
from tasks.records import Champion, DriftReport, Rewriting, Rows, Split, Table, Wear
from tasks.registry import champion_at
from tasks.reports.chapters.data import say_rewriting
from tasks.splitting import sides
from tasks.tracking import Run

log = logging.getLogger("evertune")


class Movements:
    """Reads what earlier retrains left, leaves the same for later ones, and collects in `forbidden` why no model may go live."""

    def __init__(self, config: RetrainConfig, as_of: datetime, run: Run, champion: Champion | None) -> None:
        self.config, self.as_of, self.run, self.champion = config, as_of, run, champion
        self.baselines = find_baselines(run.tracker, config.model_name)
        self.past = self.baselines.read_past(as_of)
        self.forbidden: tuple[str, ...] = ()

    @cached_property
    def baseline(self) -> Profile | None:
        """What the rows that the champion was trained on looked like."""
        return read_profile(self.run.tracker, self.champion) if self.champion else None

    @cached_property
    def anchor(self) -> Champion | None:
        """The version that a slow slide is measured from, where it is another one than the champion."""
        if self.champion is None or self.champion.anchor in ("", self.champion.version):
            return None
        return champion_at(self.run.tracker, self.champion.name, self.champion.anchor)

    def note_table(self, table: Table) -> Rewriting | None:
        """Leave the fingerprint of these rows, and say what changed in those that the last retrain had seen; None where nobody looks."""
        self.forbidden += table.forbids
        settings = self.config.validation.rewritten
        if settings == "off":
            return None
        now = fingerprint(table, self.as_of - self.config.label_delay)
        self.run.json(now, FINGERPRINT_FILE)
        if settings == "forbid" and self.champion is not None:  # against the last retrain it would forbid one retrain, and not the next
            before = read_fingerprint(self.run.tracker, self.champion)
        else:
            before = self.baselines.read_fingerprint(self.as_of)
        if before is None:
            return None
        rewriting = compare_fingerprints(before, now)
        if rewriting.changed:
            log.warning("rows of the past have changed: %s", say_rewriting(rewriting))
            self._forbid(settings == "forbid", say_rewriting(rewriting), "validation.rewritten")
        return rewriting

    def note_drift(self, drift: DriftReport) -> None:
        self._forbid(bool(drift.drifted) and self.config.validation.drift.action == "forbid", say_drift(drift), "validation.drift.action")

    def note_split(self, table: Table, split: Split) -> Wear:
        """Leave the test window, and say how often it has decided before."""
        if table.columns.time is None:
            same = sides(table.columns, self.config.split)
            self.run.tags({SIDES_TAG: same})
            return Wear(self.baselines.count_decisions(same, self.as_of), self.config.gate.wear)
        times = table.frame[table.columns.time].iloc[split.test]
        first, last = times.min().to_pydatetime(), times.max().to_pydatetime()
        self.run.tags({FIRST_TAG: first.isoformat(), LAST_TAG: last.isoformat()})
        return count_wear(self.baselines.read_decisions(self.as_of), first, last, self.config.gate.wear)

    def leave_profile(self, table: Table, rows: Rows) -> None:
        """What a version's rows look like, for the retrains after it; the champion's own baseline, where that is carried on."""
        carried = self.baseline if self.config.validation.drift.baseline == "carry" else None
        content: dict[str, Any] = carried.to_json() if carried else profile_rows(table, rows)
        self.run.json(content, PROFILE_FILE)

    def _forbid(self, condition: bool, reason: str, key: str) -> None:
        if condition:
            self.forbidden += (f"{reason.rstrip('.')} ({key} is forbid)",)
