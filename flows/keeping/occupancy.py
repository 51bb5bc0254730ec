"""Who uses a home: what housekeeping waits for, or refuses to disturb."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from flows.services.claims import claim_pages, current_claim
from flows.services.registries import LEASE_SECONDS, reviewer
from tasks.errors import Conflict
from tasks.homes import Home, first_access, open_private, try_lock
from tasks.leases import hold_lease

NAMES = {
    "studies.db": ("evertune_leases", "SELECT name FROM evertune_leases"),
    "mlflow.db": ("registered_models", "SELECT name FROM registered_models"),
}
"""Database -> a table, and how it tells names of models."""


@contextmanager
def housekeeping(home: Home) -> Iterator[None]:
    """One clean, backup or upgrade of a home at a time. Raises Conflict while another one is under way."""
    with open_private(home.root / "housekeeping.lock") as file:
        if not try_lock(file):
            raise Conflict(f"{home.root}: another evertune clean, backup or upgrade is under way; run again when it is over")
        yield


@contextmanager
def hold_home(home: Home, command: str) -> Iterator[None]:
    """Nobody shows this home's pages, retrains or reviews a model of it, or opens its databases, while the body runs.

    Asks the databases' files themselves, so that it works whatever their schema. Raises Conflict when somebody does.
    """
    with ExitStack() as stack:
        if stack.enter_context(claim_pages(home)) is None:
            claim = current_claim(home)
            raise Conflict(f"evertune up uses {home.root}{f' (pid {claim.pid})' if claim else ''}; end it, and run again")
        for name in known_models(home):
            stack.enter_context(hold_lease(home.studies_url, name, LEASE_SECONDS, f"evertune {command} by {reviewer()}"))
        for database in ("mlflow", "studies", "prefect"):
            stack.enter_context(first_access(home, database))
        yield


def known_models(home: Home) -> list[str]:
    """Names of models that this home's databases know of; nothing is made."""
    found: set[str] = set()
    for file, (table, query) in NAMES.items():
        if not (home.root / file).is_file():
            continue
        with closing(sqlite3.connect(f"{(home.root / file).as_uri()}?mode=ro", uri=True)) as database:
            if has_table(database, table):
                found |= {str(name) for (name,) in database.execute(query)}
    return sorted(found)


def has_table(database: sqlite3.Connection, table: str) -> bool:
    return database.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone() is not None
