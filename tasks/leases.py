"""Leases: one retrain of a model at a time, by a row in the study database.

The row says who holds the model, and carries a token that grows with every change of hands and never shrinks: whoever was
stopped for longer than the lease lasts, and wakes up, finds another token there and is fenced off. All times are the
database's own. A released lease keeps its row, for the token's sake.
"""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import ConfigError, Conflict, Held, ServiceUnavailable

if TYPE_CHECKING:
    import sqlalchemy

WAIT_SECONDS = 10.0
"""How long a transaction waits for another one, or a server, at most."""
LOOK_SECONDS = 2.0
"""How often one that waits for a model looks whether it is free."""
LOCK = 7_277_381_906
"""Of the one that makes the table, on PostgreSQL: two at once trip over each other there."""
CLOCK = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "CAST(extract(epoch FROM clock_timestamp()) AS double precision)",
}
"""Seconds since 1970 by the database's clock; the two databases that leases are kept in."""
OPENING = {
    "sqlite": ("PRAGMA busy_timeout = {wait}", "BEGIN IMMEDIATE"),
    "postgresql": ("BEGIN", "SET LOCAL lock_timeout = {wait}", "SET LOCAL statement_timeout = {wait}"),
}
"""What begins a transaction; `wait` in milliseconds."""
CREATE = """
CREATE TABLE IF NOT EXISTS evertune_leases (
    name VARCHAR(255) PRIMARY KEY, token BIGINT NOT NULL, holder VARCHAR(255) NOT NULL, host VARCHAR(255) NOT NULL,
    machine VARCHAR(255) NOT NULL, pid INTEGER NOT NULL, process_started VARCHAR(32) NOT NULL,
    taken DOUBLE PRECISION NOT NULL, renewed DOUBLE PRECISION NOT NULL, expires DOUBLE PRECISION NOT NULL)
"""
# beyond any token that was given before somebody deleted the row
ADD = """
INSERT INTO evertune_leases (name, token, holder, host, machine, pid, process_started, taken, renewed, expires)
VALUES (:name, CAST(1000 * {clock} AS BIGINT), '', '', '', 0, '', 0, 0, 0) ON CONFLICT (name) DO NOTHING
"""
READ = "SELECT *, {clock} AS now FROM evertune_leases WHERE name = :name"
TAKE = """
UPDATE evertune_leases SET token = :token, holder = :holder, host = :host, machine = :machine, pid = :pid,
    process_started = :process_started, taken = {clock}, renewed = {clock}, expires = {clock} + :seconds WHERE name = :name
"""
RENEW = "UPDATE evertune_leases SET renewed = {clock}, expires = {clock} + :seconds WHERE name = :name AND token = :token"
RELEASE = "UPDATE evertune_leases SET holder = '', expires = {clock} WHERE name = :name AND token = :token"
log = logging.getLogger("evertune")


@contextmanager
def hold_lease(url: str, name: str, seconds: float, who: str = "a retrain", seize: bool = False, wait: float = 0.0) -> Iterator[Lease]:
    """Hold the model `name` while the body runs; a thread renews the hold every third of `seconds`.

    `url` is the study database (SQLite or PostgreSQL), `who` is shown to whoever comes second, `seize` takes the model from
    a living holder, who is fenced off. Raises Held when somebody else holds it and has not given it up within `wait`
    seconds, ServiceUnavailable when the database does not answer. A holder whose process is dead, as far as this machine can
    tell, or that did not renew in time is replaced.
    """
    database = Database(url)
    lease = Lease(database, name, seconds, _take_in_time(database, name, seconds, who, seize, wait))
    done = threading.Event()
    keeper = threading.Thread(target=lease._keep, args=(done,), name=f"lease of {name}", daemon=True)
    keeper.start()
    try:
        yield lease
    finally:
        done.set()
        keeper.join()
        lease._release()


@dataclass(frozen=True)
class Lease:
    """A hold on a model. `check` it right before whatever must not be done by two."""

    database: Database
    name: str
    seconds: float
    token: int

    def check(self) -> None:
        """Renew the hold. Raises Conflict when another one has taken it meanwhile, ServiceUnavailable."""
        if self._renew(WAIT_SECONDS):
            return
        row = _read(self.database, self.name)
        now = f"; it is held by {_describe(row)} now" if row and row["holder"] else ""
        raise Conflict(
            f"this process has lost its hold on the model {self.name}: it was not heard of for {self.seconds:g} seconds, "
            f"or somebody took the model by force{now}"
        )

    def _renew(self, wait: float) -> bool:
        with self.database.transaction(wait) as run:
            return bool(run(RENEW, name=self.name, token=self.token, seconds=self.seconds).rowcount == 1)

    def _keep(self, done: threading.Event) -> None:
        """Renew until it is done, or lost: that is noted here, and raised by the next `check`."""
        while not done.wait(self.seconds / 3):
            try:
                if not self._renew(min(WAIT_SECONDS, self.seconds / 3)):
                    log.error("the hold on the model %s is lost: another process has taken it", self.name)
                    return
            except ServiceUnavailable as error:
                log.warning("the hold on the model %s could not be renewed, which is tried again: %s", self.name, error)

    def _release(self) -> None:
        """Give up our own hold, and nobody else's."""
        try:
            with self.database.transaction(WAIT_SECONDS) as run:
                run(RELEASE, name=self.name, token=self.token)
        except ServiceUnavailable as error:
            log.warning("the hold on the model %s could not be given up; it runs out within %g s: %s", self.name, self.seconds, error)


class Database:
    """Where leases are kept. Every transaction has a connection of its own: a server that was restarted leaves none dead."""

    def __init__(self, url: str) -> None:
        """Raises ConfigError for a database that cannot keep leases."""
        import sqlalchemy

        try:
            given = sqlalchemy.make_url(url)
        except sqlalchemy.exc.ArgumentError:
            raise ConfigError("EVERTUNE_STUDIES_URL: must be an address such as postgresql+psycopg://user@host/database") from None
        self.address = given.set(drivername="postgresql+psycopg") if given.drivername in ("postgres", "postgresql") else given
        self.kind = self.address.get_backend_name()
        if self.kind not in CLOCK or self.address.database in (None, "", ":memory:"):
            raise ConfigError(f"EVERTUNE_STUDIES_URL: must be a database in PostgreSQL or in a file of SQLite, got {self}")
        self._opened = False

    def __str__(self) -> str:
        return self.address.set(query={}).render_as_string(hide_password=True)

    @contextmanager
    def transaction(self, wait: float) -> Iterator[Any]:
        """A function that runs a statement with its values; committed when the body ends, undone when it raises.

        On SQLite nobody else writes meanwhile. Raises ServiceUnavailable.
        """
        import sqlalchemy
        from sqlalchemy.exc import SQLAlchemyError

        self._refuse_new_file()
        try:
            with self._engine.connect() as connection:  # closing it undoes what was not committed

                def run(statement: str, **values: Any) -> Any:
                    return connection.execute(sqlalchemy.text(statement.format(clock=CLOCK[self.kind])), values)

                for statement in OPENING[self.kind]:
                    connection.exec_driver_sql(statement.format(wait=int(1000 * wait)))
                if not self._opened:
                    self._make_table(connection)
                yield run
                connection.exec_driver_sql("COMMIT")
        except SQLAlchemyError as error:
            said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
            raise ServiceUnavailable(f"the study database {self} does not answer: {said}; run again once it is back") from error
        self._opened = True

    @cached_property
    def _engine(self) -> sqlalchemy.Engine:
        import sqlalchemy

        limit = {"connect_timeout": int(WAIT_SECONDS)} if self.kind == "postgresql" else {}
        return sqlalchemy.create_engine(self.address, connect_args=limit, poolclass=sqlalchemy.NullPool, isolation_level="AUTOCOMMIT")

    def _make_table(self, connection: sqlalchemy.Connection) -> None:
        import sqlalchemy

        if sqlalchemy.inspect(connection).has_table("evertune_leases"):
            return
        if self.kind == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        connection.exec_driver_sql(CREATE)

    def _refuse_new_file(self) -> None:
        """SQLite would make an empty database where ours has been deleted or moved away."""
        if self._opened and self.kind == "sqlite" and not Path(str(self.address.database)).exists():
            raise ServiceUnavailable(f"the study database {self.address.database} is gone: it was deleted or moved during the run")


def _take_in_time(database: Database, name: str, seconds: float, who: str, seize: bool, wait: float) -> int:
    """Take the row as soon as it is free, and return its new token. Raises Held once `wait` seconds are over."""
    deadline, told = time.monotonic() + wait, False
    while True:
        try:
            return _take(database, name, seconds, who, seize)
        except Held as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            if not told:
                log.info("waiting for at most %.0f seconds: %s", wait, error)
            told = True
            time.sleep(min(LOOK_SECONDS, left))


def _take(database: Database, name: str, seconds: float, who: str, seize: bool) -> int:
    """Take the row, and return its new token. Raises Held."""
    with database.transaction(WAIT_SECONDS) as run:
        run(ADD, name=name)
        lock = " FOR UPDATE" if database.kind == "postgresql" else ""
        row = run(READ + lock, name=name).mappings().one()
        reason = "by force" if seize else _why_free(row)
        if row["holder"] and reason is None:
            raise Held(
                f"the model {name} is held by {_describe(row)}; wait until that is over, or end it "
                f"(a holder that is not heard of for {row['expires'] - row['renewed']:g} seconds loses its hold)"
            )
        token = int(row["token"]) + 1
        run(TAKE, name=name, token=token, holder=who[:255], seconds=seconds, **_this_process())
    if row["holder"]:
        log.warning("the hold on the model %s is taken over from %s: %s", name, _describe(row), reason)
    return token


def _read(database: Database, name: str) -> Any:
    with database.transaction(WAIT_SECONDS) as run:
        return run(READ, name=name).mappings().one_or_none()


def _why_free(row: Any) -> str | None:
    """Why a row that names a holder may be taken; None where it may not."""
    ours = _this_process()
    if (row["host"], row["machine"]) == (ours["host"], ours["machine"]) and process_started(row["pid"]) != row["process_started"]:
        return "its process is dead"
    length = row["expires"] - row["renewed"]
    if row["renewed"] - length < row["now"] < row["expires"]:  # renewed in the future: the clock was put back
        return None
    return f"it was last heard of {row['now'] - row['renewed']:.0f} seconds ago"


def _describe(row: Any) -> str:
    taken = datetime.fromtimestamp(row["taken"], UTC)
    return f"{row['holder']} (pid {row['pid']} on {row['host']}, since {taken:%Y-%m-%d %H:%M:%S} UTC)"


def _this_process() -> dict[str, Any]:
    """Who we are. A pid means something on this machine, since this boot and in this container only: `machine` names all three."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    machine = f"{boot} {os.readlink('/proc/self/ns/pid')}"
    started = process_started(os.getpid())
    return {"host": platform.node(), "machine": machine, "pid": os.getpid(), "process_started": started}


def process_started(pid: int) -> str | None:
    """When a living process started, in clock ticks since boot: with the pid it names one for good. None for a dead one.

    Source: proc(5), fields 3 (Z and X are dead) and 22.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]
