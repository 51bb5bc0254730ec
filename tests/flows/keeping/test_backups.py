"""Backup, restore and upgrade of real homes; the first test retrains once, the others do without a model."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flows.command_line import main
from flows.keeping import backups
from flows.keeping.backups import restore_backup, write_backup
from flows.keeping.upgrading import upgrade_home
from flows.services.claims import claim_pages
from tasks.errors import ConfigError, Conflict, ServiceUnavailable
from tasks.homes import Home
from tasks.leases import hold_lease
from tests.small import small_table


def digests(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*") if path.is_file()}


def test_a_restored_home_elsewhere_tells_its_history_and_predicts(
    store: Home, retrain_shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("flows.command_line._log_to_the_terminal", lambda: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    retrain_shop(day=100, table=small_table(100))
    archive, moved = tmp_path / "evertune.tar.gz", tmp_path / "an other" / "home"
    capsys.readouterr()
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # MLflow's client sets it, in this process
    assert main(["backup", str(archive), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["versions"]) == {"evertune", "mlflow", "optuna", "prefect"}
    assert told["schemas"]["mlflow.db"]
    assert archive.stat().st_mode & 0o777 == 0o600
    for name in ("artifacts", "mlflow.db", "studies.db"):
        (store.root / name).rename(tmp_path / f"{name}.away")
    monkeypatch.setenv("EVERTUNE_HOME", str(moved))
    assert main(["backup", "--restore", str(archive)]) == 0
    assert {path.stat().st_mode & 0o077 for path in moved.rglob("*")} == {0}
    assert main(["history", "shop"]) == 0
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    rows = tmp_path / "in.csv"
    small_table(5).drop(columns="sold").to_csv(rows, index=False)
    assert main(["predict", "--model", "shop@champion", str(rows), str(tmp_path / "out.csv")]) == 0
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    assert retrain_shop(day=110, table=small_table(110)).verdict == "promoted"
    assert not store.artifacts.exists()  # nobody was led back to the old place


@pytest.fixture
def archive(store: Home, tmp_path: Path) -> Path:
    """Of a home without runs."""
    (store.artifacts / "a").mkdir()
    (store.artifacts / "a" / "file.txt").write_text("content")
    (store.root / "logs" / "server.log").write_text("a log")
    write_backup(store, tmp_path / "evertune.tar.gz")
    return tmp_path / "evertune.tar.gz"


def members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as opened:
        return {member.name: opened.extractfile(member).read() for member in opened}  # type: ignore[union-attr]


def write_members(path: Path, content: dict[str, bytes], *extra: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as opened:
        for member in extra:
            opened.addfile(member)
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            opened.addfile(member, io.BytesIO(data))
    return path


def test_logs_and_locks_stay_out(archive: Path) -> None:
    assert set(members(archive)) == {"mlflow.db", "artifacts/a/file.txt", "manifest.json"}


def test_a_file_that_is_there_is_not_replaced(store: Home, archive: Path) -> None:
    with pytest.raises(ConfigError, match="is there already"):
        write_backup(store, archive)


def test_a_home_that_is_not_empty_is_left_alone(store: Home, archive: Path) -> None:
    before = digests(store.root)
    with pytest.raises(ConfigError, match="is not empty"):
        restore_backup(store, archive)
    assert digests(store.root) == before


@pytest.mark.parametrize("damage", ["changed", "missing", "cut off", "no archive", "flipped", "gone"])
def test_a_damaged_archive_leaves_the_home_empty(archive: Path, tmp_path: Path, damage: str) -> None:
    content = members(archive)
    if damage == "changed":
        write_members(archive, {**content, "artifacts/a/file.txt": b"CONTENT"})
    elif damage == "missing":
        write_members(archive, {name: data for name, data in content.items() if name != "artifacts/a/file.txt"})
    elif damage == "flipped":
        packed = archive.read_bytes()
        archive.write_bytes(packed[:20] + bytes([packed[20] ^ 0xFF]) * 200 + packed[220:])
    elif damage == "gone":
        archive.unlink()
    else:
        archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2] if damage == "cut off" else b"nothing")
    with pytest.raises(ConfigError, match="cannot be restored"):
        restore_backup(Home.named(tmp_path / "fresh"), archive)
    assert not (tmp_path / "fresh").exists()
    assert not list(tmp_path.glob(".fresh*"))


def test_what_appears_in_the_home_meanwhile_is_not_removed(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = Home.named(tmp_path / "fresh")
    (fresh.root / "artifacts" / "empty").mkdir(parents=True)
    unpack = backups._unpack

    def meanwhile(file: Path, staged: Path) -> Any:
        (fresh.root / "note.txt").write_text("somebody's")
        return unpack(file, staged)

    with monkeypatch.context() as patch:
        patch.setattr(backups, "_unpack", meanwhile)
        with pytest.raises(ConfigError, match="a file appeared in it meanwhile"):
            restore_backup(fresh, archive)
    assert (fresh.root / "note.txt").read_text() == "somebody's"
    (fresh.root / "note.txt").unlink()
    restore_backup(fresh, archive)
    assert (fresh.artifacts / "a" / "file.txt").read_text() == "content"


def test_a_disk_that_refuses_is_no_damaged_archive(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Any, target: Any) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(backups, "_copy", full)
    with pytest.raises(ServiceUnavailable, match="No space left on device; nothing was left there"):
        restore_backup(Home.named(tmp_path / "fresh"), archive)
    assert not list(tmp_path.glob("*fresh*"))


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "artifacts/../../outside", "ui.json", "artifacts/link"])
def test_an_archive_that_reaches_outside_is_refused(archive: Path, tmp_path: Path, name: str) -> None:
    content, extra = members(archive), []
    if name.endswith("link"):
        extra = [tarfile.TarInfo(name)]
        extra[0].type, extra[0].linkname = tarfile.SYMTYPE, "../../.."
    else:
        content = {name: b"", **content}
    with pytest.raises(ConfigError, match="cannot be restored"):
        restore_backup(Home.named(tmp_path / "fresh"), write_members(tmp_path / "bad.tar.gz", content, *extra))
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("variable", ["MLFLOW_TRACKING_URI", "EVERTUNE_STUDIES_URL"])
def test_state_on_a_server_is_not_ours_to_back_up(store: Home, tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "postgresql://somewhere/else")
    with pytest.raises(ConfigError, match=f"{variable} is set: back up .*pg_dump"):
        write_backup(store, tmp_path / "evertune.tar.gz")


def test_an_upgrade_finds_nothing_to_do(store: Home) -> None:
    with hold_lease(store.studies_url, "shop", 30):
        pass
    assert [(step.database, step.copy) for step in upgrade_home(store)] == [("mlflow.db", None)]


def test_old_schemas_are_upgraded_after_a_copy_was_made(store: Home) -> None:
    import optuna
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config, _get_latest_schema_revision

    config = _get_alembic_config(store.mlflow_url)
    command.downgrade(config, "-1")
    optuna.create_study(storage=store.studies_url)
    with closing(sqlite3.connect(store.root / "mlflow.db")) as database:
        (old,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
    steps = {step.database: step for step in upgrade_home(store)}
    step = steps["mlflow.db"]
    assert (step.before, step.after) == (old, _get_latest_schema_revision())
    assert steps["studies.db"].copy is None
    for file, revision in ((store.root / "mlflow.db", step.after), (step.copy, old)):
        assert file is not None
        with closing(sqlite3.connect(file)) as database:
            assert database.execute("SELECT version_num FROM alembic_version").fetchone() == (revision,)
    assert [step.copy for step in upgrade_home(store)] == [None, None]


def test_a_database_of_a_newer_library_is_left_alone(store: Home) -> None:
    with closing(sqlite3.connect(store.root / "mlflow.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'from2099'")
    before = digests(store.root)["mlflow.db"]
    with pytest.raises(ConfigError, match="a newer one wrote it"):
        upgrade_home(store)
    assert digests(store.root)["mlflow.db"] == before


def test_prefects_database_is_upgraded_too(store: Home) -> None:
    from flows.keeping.upgrading import _migrate_prefect, _revisions

    _migrate_prefect(store)
    now, newest = _revisions(store, "prefect/prefect.db")
    assert now == newest
    with closing(sqlite3.connect(store.prefect / "prefect.db")) as database, database:
        assert database.execute("SELECT count(*) FROM flow_run").fetchone() == (0,)


def test_an_upgrade_waits_for_nobody(store: Home) -> None:
    with claim_pages(store), pytest.raises(Conflict, match="evertune up uses"):
        upgrade_home(store)
    with hold_lease(store.studies_url, "shop", 30, "the retrain shop"), pytest.raises(Conflict, match="held by the retrain shop"):
        upgrade_home(store)
    shutil.rmtree(store.root)
    with pytest.raises(ConfigError, match="nothing to upgrade"):
        upgrade_home(store)
