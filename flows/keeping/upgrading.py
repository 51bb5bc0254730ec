"""`evertune upgrade`: the embedded databases' schemas, brought up to the installed libraries'."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.keeping.backups import DATABASES, copy_database, read_revision, refuse_servers
from flows.keeping.occupancy import hold_home, housekeeping
from tasks.errors import ConfigError, ServiceUnavailable
from tasks.homes import VARIABLE, Home

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

LIBRARIES = dict(zip(DATABASES, ("mlflow", "optuna", "prefect"), strict=True))
MIGRATION_SECONDS = 1800.0
SCHEMAS = {
    "mlflow.db": "SELECT 1 FROM sqlite_master WHERE name = 'experiments'",
    "studies.db": "SELECT 1 FROM sqlite_master WHERE name = 'studies'",
    "prefect/prefect.db": "SELECT 1 FROM sqlite_master WHERE name = 'flow_run'",
}
"""What tells that a library has made its tables: leases alone make studies.db too."""


@dataclass(frozen=True)
class Step:
    """One database: its schema before and after; `copy` is how it was before, None where nothing was to do."""

    database: str
    library: str
    before: str
    after: str
    copy: Path | None = None


def upgrade_home(home: Home) -> list[Step]:
    """Upgrade what is behind, each database after a copy was made beside it.

    Raises ConfigError for a database that a newer library wrote, Conflict while somebody uses the home, ServiceUnavailable
    for a migration that failed: the copy is how it was.
    """
    refuse_servers(os.environ, home)
    if not any((home.root / name).is_file() for name in DATABASES):
        raise ConfigError(f"there is nothing to upgrade in {home.root}; run this where you retrain, or set {VARIABLE}")
    with housekeeping(home), hold_home(home, "upgrade"):
        behind = [(name, *_revisions(home, name)) for name in DATABASES if _is_made(home, name)]
        return [_upgrade(home, name, now, newest) for name, now, newest in behind]


def _upgrade(home: Home, name: str, now: str, newest: str) -> Step:
    library = f"{LIBRARIES[name]} {version(LIBRARIES[name])}"
    if now == newest:
        return Step(name, library, now, newest)
    path = home.root / name
    copy = path.with_name(f"{path.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    try:
        copy_database(path, copy)
        _migrate(home, name)
    except Exception as error:
        kept = f"; how it was: {copy}" if copy.is_file() else ""
        raise ServiceUnavailable(f"{path} could not be upgraded for {library}: {str(error).strip().splitlines()[-1]}{kept}") from error
    return Step(name, library, now, newest, copy)


def _migrate(home: Home, name: str) -> None:
    """Each library's own migration, as its command line does it."""
    if name == "mlflow.db":
        from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine_with_retry

        engine = create_sqlalchemy_engine_with_retry(home.mlflow_url)
        _upgrade_db(engine)
        engine.dispose()
    elif name == "studies.db":
        import optuna

        storage = optuna.storages.RDBStorage(home.studies_url, skip_compatibility_check=True)
        storage.upgrade()
        storage.engine.dispose()
    else:
        _migrate_prefect(home)


def _migrate_prefect(home: Home) -> None:
    """In a process of its own: Prefect reads its settings when it is imported. Raises RuntimeError."""
    from flows.services.servers import server_settings

    command = [sys.executable, "-m", "flows.keeping.upgrading"]
    done = subprocess.run(  # noqa: S603
        command, env=server_settings(home, 0), capture_output=True, text=True, timeout=MIGRATION_SECONDS, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr or f"exit code {done.returncode}")


def _is_made(home: Home, name: str) -> bool:
    if not (home.root / name).is_file():
        return False
    with closing(sqlite3.connect(f"{(home.root / name).as_uri()}?mode=ro", uri=True)) as database:
        return database.execute(SCHEMAS[name]).fetchone() is not None


def _revisions(home: Home, name: str) -> tuple[str, str]:
    """The revision of a database's schema, and the newest that the installed library knows. Raises ConfigError for a later one."""
    from alembic.util import CommandError

    with closing(sqlite3.connect(f"{(home.root / name).as_uri()}?mode=ro", uri=True)) as database:
        now = read_revision(database)
    script = _script(name)
    try:
        script.get_revision(now or "base")
    except CommandError as error:
        library = f"{LIBRARIES[name]} {version(LIBRARIES[name])}"
        raise ConfigError(
            f"{home.root / name}: its schema {now} is unknown to {library}: a newer one wrote it; install that one again"
        ) from error
    return now, str(script.get_current_head())


def _script(name: str) -> ScriptDirectory:
    """A library's migrations."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config: Any
    if name == "mlflow.db":
        from mlflow.store.db.utils import _get_alembic_config

        config = _get_alembic_config("sqlite://")
    elif name == "studies.db":
        import optuna.storages._rdb as package

        config = Config()
        config.set_main_option("script_location", str(Path(package.__file__).parent / "alembic"))
    else:
        import prefect.server.database as server

        folder = Path(server.__file__).parent / "_migrations"
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.set_main_option("path_separator", "os")
        config.set_main_option("version_locations", str(folder / "versions" / "sqlite"))
    return ScriptDirectory.from_config(config)


if __name__ == "__main__":
    from flows.services.prefect_server import migrate

    asyncio.run(migrate())
