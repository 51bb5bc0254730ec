"""`evertune backup`: an embedded home as one archive, and back, also at another place.

The databases are copied first, each through SQLite's own online backup; what they speak of was on the disk by then, and
only `evertune clean` takes such files away, which waits. A retrain may go on meanwhile: what it adds later is left out,
or in the archive for nothing. Logs, scratch and locks stay out.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from flows.keeping.occupancy import has_table, housekeeping
from tasks.errors import ConfigError, ServiceUnavailable
from tasks.executors.scratch import Scratch
from tasks.homes import VARIABLE, Home, make_private

DATABASES = ("mlflow.db", "studies.db", "prefect/prefect.db")
FOLDERS = ("artifacts", "reports")
MANIFEST = "manifest.json"
FORMAT = 1
IN_MEMORY = 64 * 2**20
CHUNK = 2**20
PRIVATE = 0o600
LOCATIONS = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}
"""Where MLflow's database holds whole addresses of files: table -> column."""
DAMAGE = (
    tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, ValueError, KeyError,
    FileNotFoundError, PermissionError, FileExistsError, NotADirectoryError, IsADirectoryError,
)  # fmt: skip
"""What an archive that is cut off, changed or not ours is noticed by; the last five: it cannot be opened, or holds a name twice."""
ELSEWHERE = {
    "MLFLOW_TRACKING_URI": "MLflow's database there (pg_dump on PostgreSQL) and its artifact store",
    "EVERTUNE_STUDIES_URL": "the study database there (pg_dump on PostgreSQL)",
}


def write_backup(home: Home, file: Path) -> dict[str, Any]:
    """Archive the home; the file appears when it is whole, for its owner alone. Returns the manifest.

    Raises ConfigError where there is nothing to archive or the file is there already, Conflict during a clean or upgrade,
    ServiceUnavailable for a damaged database or a disk that refuses.
    """
    refuse_servers(os.environ, home)
    file = file.expanduser().absolute()
    if not any((home.root / name).is_file() for name in DATABASES):
        raise ConfigError(f"there is nothing to back up in {home.root}; run this where you retrain, or set {VARIABLE}")
    if file.exists():
        raise ConfigError(f"{file} is there already; name another file")
    if any(file.is_relative_to(home.root / folder) for folder in FOLDERS):
        raise ConfigError(f"{file} would become part of itself; name a file outside of {home.root}")
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        with housekeeping(home), open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE), "wb") as raw:
            with tarfile.open(fileobj=raw, mode="w:gz", compresslevel=6) as archive:
                manifest = _fill(archive, home)
            raw.flush()
            os.fsync(raw.fileno())
        partial.replace(file)
    except (OSError, sqlite3.Error) as error:
        raise ServiceUnavailable(f"{file} cannot be written: {error}; nothing was left there") from error
    finally:
        partial.unlink(missing_ok=True)
    return manifest


def restore_backup(home: Home, file: Path) -> dict[str, Any]:
    """Unpack an archive into a home that is empty; nothing appears there before every digest was found right.

    Raises ConfigError for a home that is not empty, or no longer when the archive is unpacked, and for an archive that is
    damaged, not ours or cannot be opened; ServiceUnavailable for a disk that refuses.
    """
    refuse_servers(os.environ, home)
    if home.root.exists() and (not home.root.is_dir() or any(not path.is_dir() for path in home.root.rglob("*"))):
        raise ConfigError(f"{VARIABLE}: {home.root} is not empty; name a folder that is, or move this one away")
    try:
        home.root.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{home.root.name}.restoring-", dir=home.root.parent) as folder:
            staged = Path(folder) / "home"
            make_private(staged)
            try:
                manifest = _unpack(file, staged)
            except DAMAGE as error:
                raise ConfigError(f"{file} cannot be restored: {error}; {home.root} was left alone") from error
            if (staged / "mlflow.db").is_file():
                _move_locations(staged / "mlflow.db", Path(manifest["home"]) / "artifacts", home.artifacts)
            _put(staged, home.root)
    except (OSError, sqlite3.Error) as error:
        raise ServiceUnavailable(f"{file} cannot be restored into {home.root}: {error}; nothing was left there") from error
    return manifest


def refuse_servers(environment: Mapping[str, str], home: Home) -> None:
    """Raises ConfigError where state is kept outside of the home."""
    own = {home.mlflow_url, home.studies_url}
    found = [f"{name} is set: back up {what} instead" for name, what in ELSEWHERE.items() if environment.get(name, "") not in {"", *own}]
    if found:
        raise ConfigError("; ".join(found) + f"; unset it to work on {home.root}")


def copy_database(source: Path, target: Path) -> str:
    """A consistent copy of a SQLite file that may be in use; returns its schema's revision. Raises sqlite3.DatabaseError for damage."""
    with closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as before, closing(sqlite3.connect(target)) as after:
        target.chmod(PRIVATE)
        before.backup(after)
        if (found := after.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(f"{source} is damaged: {found}")
        return read_revision(after)


def read_revision(database: sqlite3.Connection) -> str:
    """The revision of a database's schema, as Alembic keeps it for MLflow, Optuna and Prefect; empty where there is none."""
    row = database.execute("SELECT version_num FROM alembic_version").fetchone() if has_table(database, "alembic_version") else None
    return str(row[0]) if row else ""


def _fill(archive: tarfile.TarFile, home: Home) -> dict[str, Any]:
    """Every file, and then what is in there: an archive that was cut off has no manifest."""
    digests: dict[str, str] = {}
    schemas: dict[str, str] = {}
    scratch = Scratch.open(home.root / "scratch")
    try:
        for name in DATABASES:
            if (home.root / name).is_file():
                copy = scratch.folder / Path(name).name
                schemas[name] = copy_database(home.root / name, copy)
                digests[name] = _add(archive, copy, name)
    finally:
        scratch.close()
    for folder in FOLDERS:
        for path in sorted((home.root / folder).rglob("*")):
            if path.is_file() and not path.is_symlink():
                with contextlib.suppress(FileNotFoundError):  # a retrain's own, and gone again
                    name = path.relative_to(home.root).as_posix()
                    digests[name] = _add(archive, path, name)
    told = {"format": FORMAT, "made": datetime.now(UTC).isoformat(timespec="seconds"), "home": str(home.root)}
    manifest = {**told, "versions": _versions(), "schemas": schemas, "files": digests}
    content = json.dumps(manifest, indent=1).encode()
    archive.addfile(_member(MANIFEST, len(content)), io.BytesIO(content))
    return manifest


def _add(archive: tarfile.TarFile, path: Path, name: str) -> str:
    """Add one file, and return its sha256. It may grow while it is read: what is archived is what was hashed."""
    with path.open("rb") as source, tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as copy:
        digest = _copy(source, cast("IO[bytes]", copy))
        size = copy.tell()
        copy.seek(0)
        archive.addfile(_member(name, size), cast("IO[bytes]", copy))
    return digest


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, PRIVATE, int(datetime.now(UTC).timestamp())
    return member


def _unpack(file: Path, staged: Path) -> dict[str, Any]:
    """Write every file into an empty folder of ours, and compare the digests. Raises ValueError for what is not ours."""
    found: dict[str, str] = {}
    manifest: dict[str, Any] | None = None
    with tarfile.open(file, mode="r:gz") as archive:
        for member in _safe(archive, staged):
            source = archive.extractfile(member)
            assert source is not None, "a regular file has content"
            if member.name == MANIFEST:
                manifest = json.load(source)
                continue
            target = staged / member.name
            for folder in reversed(target.relative_to(staged).parents):
                make_private(staged / folder)
            with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as written:
                found[member.name] = _copy(source, written)
    if manifest is None or manifest.get("format") != FORMAT:
        raise ValueError("it is cut off, or no backup of evertune's, or a newer one")
    wrong = sorted(name for name in {*found, *manifest["files"]} if found.get(name) != manifest["files"].get(name))
    if wrong:
        raise ValueError(f"its content is not what was archived: {', '.join(wrong[:3])}")
    return manifest


def _put(staged: Path, root: Path) -> None:
    """Let the unpacked home appear. Only empty folders make room for it. Raises ConfigError where something is in them by now."""
    try:
        if root.exists():
            for folder in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):  # inner ones first
                folder.rmdir()
            root.rmdir()
        staged.rename(root)
    except OSError as error:
        raise ConfigError(
            f"{VARIABLE}: {root} cannot make room for what was restored: {error}; a file appeared in it meanwhile, or it is a mount "
            "point: name a folder that is not there yet"
        ) from error


def _safe(archive: tarfile.TarFile, staged: Path) -> Iterator[tarfile.TarInfo]:
    """Its members, as long as each is a plain file in one of our places. Raises ValueError, tarfile.FilterError."""
    for member in archive:
        tarfile.data_filter(member, str(staged))
        path = PurePosixPath(member.name)
        known = member.name in (*DATABASES, MANIFEST) or path.parts[0] in FOLDERS
        if not member.isreg() or not known or ".." in path.parts:
            raise ValueError(f"it holds {member.name!r}, which no backup of evertune's has")
        yield member


def _move_locations(file: Path, before: Path, after: Path) -> None:
    """Put the addresses of artifacts right where the home has moved. Others, such as a bucket's, stay."""
    pairs = [(before.as_uri(), after.as_uri()), (str(before), str(after))]
    with closing(sqlite3.connect(file)) as database, database:
        for table, column in LOCATIONS.items():
            for old, new in pairs:
                database.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? OR substr({column}, 1, ?) = ?",  # noqa: S608
                    (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
                )


def _copy(source: IO[bytes], target: IO[bytes]) -> str:
    """Copy to the end; returns the sha256."""
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for name in ("evertune", "mlflow", "optuna", "prefect"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
