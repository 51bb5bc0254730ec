"""Whether the process that opened a run still lives: by /proc where that is on this machine, elsewhere by its model's lease."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flows.services.preflight import studies_url
from tasks.homes import Home
from tasks.leases import READ, WAIT_SECONDS, Database, process_started
from tasks.remembering import MODEL_TAG
from tasks.tracking import this_machine

if TYPE_CHECKING:
    from tasks.tracking import Tracker

SAFE_AGE = timedelta(days=1)
"""Where nobody can tell whether the owner lives, what is younger is left alone."""


@dataclass(frozen=True)
class Owner:
    """A process: the pid means something on that machine only, and with its start it names one process for good."""

    host: str
    machine: str
    pid: int
    process_started: str

    @property
    def is_here(self) -> bool:
        return (self.host, self.machine) == (platform.node(), this_machine())

    @property
    def lives_here(self) -> bool:
        return process_started(self.pid) == self.process_started


@dataclass(frozen=True)
class Hold:
    """Who holds a model's lease, and whether the last renewal is no older than twice what a lease lasts."""

    owner: Owner
    heard: bool


def owner_of(run: Any) -> Owner | None:
    """By the run's tags; None for a run that does not say, as those of before the tag evertune.machine."""
    tags = run.data.tags
    try:
        told = tags["evertune.host"], tags["evertune.machine"], int(tags["evertune.pid"]), tags["evertune.process_started"]
    except (KeyError, ValueError):
        return None
    return Owner(*told)


def is_dead(home: Home, tracker: Tracker, run: Any) -> bool:
    """Whether a run that says RUNNING has no process any more; False where that is not certain.

    A retrain holds its model's lease for longer than its run is open: elsewhere one without it is dead, or fenced off. That
    counts only where the lease is kept in a place that all retrains in this tracker share.
    """
    owner, model = owner_of(run), run.data.tags.get(MODEL_TAG)
    if owner is not None and owner.is_here:
        return not owner.lives_here
    if owner is not None and model and run.data.tags.get("evertune.kind") == "retrain" and leases_are_shared(home, tracker):
        hold = read_hold(home, model)
        return hold is None or not hold.heard or hold.owner != owner
    return datetime.now(UTC) - began(run) > SAFE_AGE


def leases_are_shared(home: Home, tracker: Tracker) -> bool:
    """Whether whoever writes to this tracker keeps its leases where we look for them."""
    return bool(os.environ.get("EVERTUNE_STUDIES_URL")) or tracker.uri == home.mlflow_url


def read_hold(home: Home, model: str) -> Hold | None:
    """The model's lease; None when nobody holds it. Raises ServiceUnavailable."""
    with Database(studies_url(home)).transaction(WAIT_SECONDS) as run:
        row = run(READ, name=model).mappings().one_or_none()
    if row is None or not row["holder"]:
        return None
    length = row["expires"] - row["renewed"]
    owner = Owner(row["host"], row["machine"], row["pid"], row["process_started"])
    return Hold(owner, heard=row["now"] < row["expires"] + length)


def began(run: Any) -> datetime:
    """When the run was opened (UTC)."""
    return datetime.fromtimestamp(run.info.start_time / 1000, UTC)
