"""Deleting what a plan says, in an order that can be cut short anywhere: the next clean finds the rest by what is left.

Of a retrain the version goes first, so that nobody loads it any more, then study, report, models and trials, and the
run that they are all found by last. A run is marked as deleted before its files go, other
files go before their rows. MLflow's own delete only marks: rows go for good by
what its command `gc` uses, where we have the database; through a server nobody can, which is said.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from flows.keeping.cleaning import Plan, Retrain, can_erase, children_of
from flows.keeping.occupancy import hold_home
from tasks.errors import Conflict
from tasks.executors.scratch import OWNED, Scratch
from tasks.homes import Home, open_private, try_lock
from tasks.registry import read_entry

if TYPE_CHECKING:
    from tasks.leases import Lease
    from tasks.tracking import Tracker


def remove(tracker: Tracker, home: Home, studies: str, plan: Plan, lease: Lease) -> None:
    """Delete what the plan of one model says, and take out of it what a hand in MLflow gave an alias since.

    Raises Conflict, and stops there, when the lease is lost.
    """
    searched = plan.studies & set(study_names(studies))
    for retrain in list(plan.going):
        lease.check()
        if alias := _new_alias(tracker, plan.name, retrain):
            plan.going.remove(retrain)
            plan.staying.append((retrain, f"was given the alias {alias} meanwhile"))
            searched -= Plan(plan.name, [retrain]).studies
            continue
        for version in retrain.versions:
            tracker.client.delete_model_version(version.name, str(version.version))
        for study in searched & Plan(plan.name, [retrain]).studies:
            _delete_study(studies, study)
            searched.discard(study)
        for report in reports_of(home, retrain):
            report.unlink(missing_ok=True)
        for model in (*retrain.logged, *_marked_models(tracker, retrain)):
            _delete_model(tracker, model)
        for run in (*children_of(tracker, retrain), *filter(None, (retrain.run,))):
            _delete_run(tracker, run)
    for model in plan.orphans:
        lease.check()
        _delete_model(tracker, model)


def size_of(tracker: Tracker, home: Home, plan: Plan) -> int:
    """Bytes of all files that go with the plan; what databases shrink by comes on top."""
    places = [model.artifact_location for retrain in plan.going for model in retrain.logged]
    places += [model.artifact_location for model in plan.orphans]
    for retrain in plan.going:
        places += [run.info.artifact_uri for run in (*children_of(tracker, retrain), *filter(None, (retrain.run,)))]
    reports = [path for retrain in plan.going for path in reports_of(home, retrain)]
    return sum(_artifact_bytes(place) for place in places) + sum(path.stat().st_size for path in reports)


def reports_of(home: Home, retrain: Retrain) -> list[Path]:
    """Pages that were written to the home about a retrain."""
    return sorted((home.root / "reports").glob(f"*-{retrain.id[:8]}.html")) if retrain.id else []


def dead_scratch(home: Home) -> list[Path]:
    """Folders that dead processes left behind."""
    root = home.root / "scratch"
    return [folder for folder in root.iterdir() if folder.is_dir() and not _is_owned(folder)] if root.is_dir() else []


def clear_scratch(home: Home) -> None:
    """Remove them, as the next search would."""
    if (home.root / "scratch").is_dir():
        Scratch.open(home.root / "scratch").close()


def compact(home: Home) -> str:
    """Give the databases' free pages back to the disk; why that was not done, or nothing. Nobody else may use the home meanwhile."""
    try:
        with hold_home(home, "clean"):
            for name in ("mlflow.db", "studies.db"):
                if (home.root / name).is_file():
                    with closing(sqlite3.connect(home.root / name, timeout=5, isolation_level=None)) as database:
                        database.execute("VACUUM")
                        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except (Conflict, sqlite3.OperationalError) as error:
        return f"the databases keep their size until the next clean: {error}"
    return ""


def database_bytes(home: Home) -> int:
    """What the databases of runs and studies take on the disk."""
    return sum(path.stat().st_size for path in home.root.glob("*.db*") if path.name.startswith(("mlflow.db", "studies.db")))


def folder_bytes(folders: Iterable[Path]) -> int:
    """What is in these folders. A file that goes meanwhile counts as nothing."""
    found = 0
    for folder in folders:
        for path in folder.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                found += path.lstat().st_size if not path.is_dir() else 0
    return found


def study_names(url: str) -> list[str]:
    """Studies in the database; none where there was no search yet, and nothing is made."""
    import optuna
    import sqlalchemy

    address = sqlalchemy.make_url(url)
    if address.get_backend_name() == "sqlite" and not Path(str(address.database)).is_file():
        return []
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    if not sqlalchemy.inspect(engine).has_table("studies"):  # leases are kept there too
        return []
    return list(optuna.get_all_study_names(url))


def _new_alias(tracker: Tracker, name: str, retrain: Retrain) -> str:
    """An alias of one of its versions by now; none had one when the plan was made."""
    own = {str(version.version) for version in retrain.versions}
    aliases = read_entry(tracker, name).aliases if own else {}
    return next((alias for alias, version in aliases.items() if version in own), "")


def _delete_study(url: str, name: str) -> None:
    import optuna

    with contextlib.suppress(KeyError):  # somebody was quicker
        optuna.delete_study(study_name=name, storage=url)


def _delete_model(tracker: Tracker, model: Any) -> None:
    _delete_files(model.artifact_location)
    _unless_gone(tracker.client.delete_logged_model, model.model_id)
    if can_erase(tracker):
        _unless_gone(_store(tracker)._hard_delete_logged_model, model.model_id)


def _delete_run(tracker: Tracker, run: Any) -> None:
    if run.info.lifecycle_stage != "deleted":  # first: a finished run without its files would mislead later retrains
        _unless_gone(tracker.client.delete_run, run.info.run_id)
    _delete_files(run.info.artifact_uri)
    if can_erase(tracker):
        _unless_gone(_store(tracker)._hard_delete_run, run.info.run_id)


def _marked_models(tracker: Tracker, retrain: Retrain) -> list[Any]:
    """Models of this retrain that a clean was killed right after having marked: a search of MLflow leaves them out."""
    if not can_erase(tracker) or not retrain.id:
        return []
    store = _store(tracker)
    marked = [store.get_logged_model(model_id, allow_deleted=True) for model_id in store._get_deleted_logged_models()]
    return [model for model in marked if model.source_run_id == retrain.id]


def _unless_gone(delete: Any, which: str) -> None:
    """Delete it, once: it may have gone since it was found."""
    from mlflow.exceptions import MlflowException

    try:
        delete(which)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise


def _delete_files(place: str) -> None:
    """What is stored there, and the folder that MLflow made around it, where that is a folder of ours."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    folder = _local(place)
    if folder is None:
        if _artifact_bytes(place):  # a server answers 500 to the deletion of nothing
            get_artifact_repository(place).delete_artifacts()
        return
    get_artifact_repository(place).delete_artifacts()
    with contextlib.suppress(OSError):  # there is something else in it, or it never was
        folder.parent.rmdir()


def _artifact_bytes(place: str) -> int:
    """What is stored there."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    if (folder := _local(place)) is not None:
        return folder_bytes([folder])
    repository, found, folders = get_artifact_repository(place), 0, [""]
    while folders:
        for entry in repository.list_artifacts(folders.pop() or None):
            if entry.is_dir:
                folders.append(entry.path)
            else:
                found += entry.file_size or 0
    return found


def _local(place: str) -> Path | None:
    """The folder of a file: address; None for what is elsewhere."""
    parts = urlsplit(place)
    return Path(unquote(parts.path)) if parts.scheme in ("file", "") else None


def _store(tracker: Tracker) -> Any:
    """MLflow's own store behind the client: only that one deletes for good."""
    return tracker.client._tracking_client.store


def _is_owned(folder: Path) -> bool:
    if not (folder / OWNED).is_file():
        return False
    with open_private(folder / OWNED) as file:
        return not try_lock(file)
