"""Cleaning on a real store after real retrains. Each test works on its own copy of one home."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from configs.reading import read_config
from flows.keeping import removing
from flows.keeping.backups import restore_backup, write_backup
from flows.keeping.cleaning import Retention, plan_cleaning
from flows.retrain import run_retrain
from flows.services.pages import start_mlflow
from flows.services.servers import free_socket
from tasks import baselines, remembering
from tasks.homes import Home
from tasks.leases import hold_lease
from tasks.registry import read_entry
from tasks.tracking import Tracker, connect
from tests.registered import Shelf
from tests.small import at_day, small_config, small_table

DAYS = (100, 110, 120, 130)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archives")


@pytest.fixture
def shop(archives: Path, home: Path, retrain_shop: Any, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home after four retrains, each promoted; made by the first test, restored for the others."""
    made, file = Home.named(home), archives / "shop.tar.gz"
    if not file.exists():
        for day in DAYS:
            assert retrain_shop(day=day, table=small_table(day)).verdict == "promoted"
        write_backup(made, file)
    else:
        (home / "mlflow.db").unlink()  # of the store that `retrain_shop` came with
        restore_backup(made, file)
    # what later retrains read is what keeps most runs: with as few as here nothing would ever go
    monkeypatch.setattr(baselines, "MOST_READ", 1)
    monkeypatch.setattr(remembering, "MOST_READ", 1)
    return made


def tracker_of(home: Home) -> Tracker:
    return Tracker(MlflowClient(home.mlflow_url), "", home.mlflow_url)


def files_of(home: Home) -> set[Path]:
    return {path.relative_to(home.root) for path in home.root.rglob("*") if path.is_file()}


def rows_of(home: Home, table: str, database: str = "mlflow.db") -> int:
    with closing(sqlite3.connect(home.root / database)) as opened:
        return int(opened.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_nothing_is_deleted_without_yes(evertune: Any, shop: Home) -> None:
    before = files_of(shop)
    code, out, _ = evertune("clean", "--keep", "1")
    assert code == 0
    assert "would go" in out
    assert "stays  2024-05-10 v4" in out
    assert files_of(shop) - before <= {Path("scratch/scratch.lock")}
    assert len(read_entry(tracker_of(shop), "shop").versions) == 4


def test_what_is_deleted_is_gone_for_good_and_the_rest_serves_and_retrains(
    evertune: Any, shop: Home, retrain_shop: Any, tmp_path: Path
) -> None:
    before = sum(path.stat().st_size for path in shop.root.rglob("*") if path.is_file())
    plan = plan_cleaning(tracker_of(shop), "shop", Retention(1), datetime.now(UTC))
    assert plan.going
    code, out, _ = evertune("clean", "shop", "--keep", "1", "--yes", "--json")
    told = json.loads(out)
    assert (code, told["deleted"], told["notes"]) == (0, True, [])
    after = sum(path.stat().st_size for path in shop.root.rglob("*") if path.is_file())
    assert told["freed"] == pytest.approx(before - after, abs=5000)
    assert told["freed"] > 4_000_000 * len(plan.going)
    entry = read_entry(tracker_of(shop), "shop")
    gone = {str(version.version) for retrain in plan.going for version in retrain.versions}
    assert {str(version.version) for version in entry.versions} == {"1", "2", "3", "4"} - gone
    assert (entry.aliases["champion"], entry.aliases["previous"]) == ("4", "3")
    for retrain in plan.going:
        assert not [path for path in files_of(shop) if retrain.id in str(path) or retrain.id[:8] in path.name]
    assert rows_of(shop, "runs") == rows_of(shop, "logged_models") * 4  # each with three trials
    assert rows_of(shop, "studies", "studies.db") == rows_of(shop, "trials", "studies.db") / 3 == len(entry.versions)
    table = tmp_path / "in.csv"
    small_table(5).drop(columns="sold").to_csv(table, index=False)
    for alias in ("champion", "previous"):
        assert evertune("predict", "--model", f"shop@{alias}", str(table), str(tmp_path / f"{alias}.csv"))[0] == 0
    assert evertune("rollback", "shop")[0] == 0
    assert evertune("rollback", "shop")[0] == 0
    assert retrain_shop(day=140, table=small_table(140)).verdict == "promoted"
    assert read_entry(tracker_of(shop), "shop").aliases == {"champion": "5", "previous": "4"}


@pytest.mark.parametrize(
    "killed_after",
    [("_delete_study", 1), ("_delete_files", 1), ("_delete_files", 3), ("_unless_gone", 1), ("_unless_gone", 2), ("_delete_run", 3)],
)
def test_a_clean_that_was_killed_is_finished_by_the_next(
    evertune: Any, shop: Home, killed_after: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    going = plan_cleaning(tracker_of(shop), "shop", Retention(1), datetime.now(UTC)).going
    name, left = killed_after
    with monkeypatch.context() as patch:
        done = getattr(removing, name)

        def delete(*arguments: Any) -> None:
            nonlocal left
            done(*arguments)
            left -= 1
            if not left:
                raise KeyboardInterrupt

        patch.setattr(removing, name, delete)
        assert evertune("clean", "shop", "--keep", "1", "--yes")[0] == 130
    assert evertune("clean", "shop", "--keep", "1", "--yes")[0] == 0
    assert rows_of(shop, "runs") == 4 * (4 - len(going))
    assert rows_of(shop, "logged_models") == 4 - len(going)
    assert rows_of(shop, "studies", "studies.db") == 4 - len(going)
    assert len(list((shop.artifacts / "shop" / "models").iterdir())) == 4 - len(going)


def test_a_model_that_a_retrain_holds_is_left_alone(evertune: Any, shop: Home) -> None:
    with hold_lease(shop.studies_url, "shop", 30, "the retrain shop 2024-05-10"):
        before = files_of(shop)
        code, _, err = evertune("clean", "--keep", "1", "--yes")
        assert code == 5
        assert "held by the retrain shop 2024-05-10" in err
        assert {path for path in before - files_of(shop) if path.parts[0] != "scratch"} == set()


def test_a_version_that_waits_and_what_it_was_judged_against_stay(shop: Home) -> None:
    tracker = tracker_of(shop)
    tracker.client.set_model_version_tag("shop", "1", "evertune.pending", "2024-05-01T00:00:00+00:00")
    plan = plan_cleaning(tracker, "shop", Retention(0), datetime.now(UTC))
    assert "v1" not in "".join(retrain.label for retrain in plan.going)
    assert {"champion", "previous champion", "waits for a person"} <= {reason for _, reason in plan.staying}


def test_what_a_version_of_another_name_or_one_by_hand_uses_stays(store: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MOST_READ", 0)
    monkeypatch.setattr(remembering, "MOST_READ", 0)
    shelf = Shelf(connect(store, "shop"), tmp_path / "models", store.studies_url)
    for _ in range(6):
        shelf.add_champion()
    tracker, now = tracker_of(store), datetime.now(UTC)
    second, third, fourth = (tracker.client.get_model_version("shop", number) for number in "234")
    assert len(plan_cleaning(tracker, "shop", Retention(0), now).going) == 4
    tracker.client.copy_model_version("models:/shop/1", "shop-prod")
    logged = tracker.client.get_logged_model(second.source.removeprefix("models:/"))
    tracker.client.create_model_version("shop", logged.artifact_location)
    tracker.client.create_model_version("shop", store.root.as_uri(), run_id=third.run_id)
    plan = plan_cleaning(tracker, "shop", Retention(0), now + timedelta(days=2))
    assert [retrain.id for retrain in plan.going] == [fourth.run_id]
    reasons = {reason for _, reason in plan.staying}
    assert {"v1 of shop-prod uses it", "v7 of shop uses it", "v8 of shop uses it"} <= reasons
    tracker.client.delete_model_version("shop", "1")
    assert plan_cleaning(tracker, "shop", Retention(0), now + timedelta(days=2)).orphans == []


def few_read(store: Home, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Four retrains of which the two oldest go."""
    monkeypatch.setattr(baselines, "MOST_READ", 0)
    monkeypatch.setattr(remembering, "MOST_READ", 0)
    shelf = Shelf(connect(store, "shop"), folder, store.studies_url)
    for _ in range(4):
        shelf.add_champion()
    return shelf


def test_a_version_that_is_given_an_alias_while_others_are_deleted_stays(
    store: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = few_read(store, tmp_path / "models", monkeypatch)
    plan = plan_cleaning(shelf.tracker, "shop", Retention(0), datetime.now(UTC))
    assert [version.version for retrain in plan.going for version in retrain.versions] == [2, 1]
    shelf.client.set_registered_model_alias("shop", "shadow", "2")
    with shelf.lease() as lease:
        removing.remove(shelf.tracker, store, store.studies_url, plan, lease)
    assert [str(version.version) for version in read_entry(shelf.tracker, "shop").versions] == ["4", "3", "2"]
    assert (len(plan.going), plan.staying[-1][1]) == (1, "was given the alias shadow meanwhile")


def test_a_clean_that_is_killed_leaves_no_finished_run_without_its_files(
    store: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = few_read(store, tmp_path / "models", monkeypatch)
    run = shelf.client.get_run(shelf.client.get_model_version("shop", "1").run_id)

    def killed(place: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(removing, "_delete_files", killed)
    with pytest.raises(KeyboardInterrupt):
        removing._delete_run(shelf.tracker, run)
    assert shelf.client.get_run(run.info.run_id).info.lifecycle_stage == "deleted"


def test_age_keeps_what_is_young(shop: Home) -> None:
    now = datetime.now(UTC)
    assert not plan_cleaning(tracker_of(shop), "shop", Retention(0, now - timedelta(hours=1)), now).going
    assert plan_cleaning(tracker_of(shop), "shop", Retention(0, now), now).going


def test_dry_runs_go_too_and_keep_no_retrain_from_its_place(shop: Home, tmp_path: Path) -> None:
    before = plan_cleaning(tracker_of(shop), "shop", Retention(1), datetime.now(UTC))
    config = read_config(small_config(tmp_path / "dry", tuning={"when": "never"}))
    for day in (150, 151):
        assert run_retrain(config, at_day(day), dry_run=True).verdict == "dry_run"
    plan = plan_cleaning(tracker_of(shop), "shop", Retention(1), datetime.now(UTC))
    assert [retrain.label.partition(" (")[0] for retrain in plan.going if retrain.dry] == [f"{at_day(150):%Y-%m-%d} dry run"]
    assert [reason for retrain, reason in plan.staying if retrain.dry] == ["among the 1 newest dry runs"]
    assert [retrain.id for retrain in plan.going if not retrain.dry] == [retrain.id for retrain in before.going]


def test_a_model_that_was_logged_and_never_registered_goes_after_a_day(shop: Home) -> None:
    tracker, now = tracker_of(shop), datetime.now(UTC)
    run = tracker.client.get_model_version_by_alias("shop", "champion").run_id
    experiment = tracker.client.get_run(run).info.experiment_id
    left = tracker.client.create_logged_model(experiment, name="shop", source_run_id=run)
    assert not plan_cleaning(tracker, "shop", Retention(9), now).orphans
    assert [model.model_id for model in plan_cleaning(tracker, "shop", Retention(9), now + timedelta(days=2)).orphans] == [left.model_id]


def test_through_a_server_files_go_and_rows_are_marked(evertune: Any, store: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with free_socket() as listener:
        port = listener.getsockname()[1]
    server = start_mlflow(store, port)
    try:
        server.wait_until_healthy(f"http://127.0.0.1:{port}/health", 120)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        monkeypatch.setattr(baselines, "MOST_READ", 0)
        monkeypatch.setattr(remembering, "MOST_READ", 0)
        shelf = Shelf(connect(store, "shop"), tmp_path / "models", store.studies_url)
        for _ in range(4):
            shelf.add_champion()
        before = len([path for path in files_of(store) if path.parts[0] == "artifacts"])
        code, out, err = evertune("clean", "--keep", "0", "--yes")
        assert code == 0
        assert "2 retrains deleted" in out
        assert "only marks their rows as deleted" in err
        assert len([path for path in files_of(store) if path.parts[0] == "artifacts"]) == before / 2
        assert [str(version.version) for version in read_entry(shelf.tracker, "shop").versions] == ["4", "3"]
        assert "0 retrains deleted" in evertune("clean", "--keep", "0", "--yes")[1]
    finally:
        server.stop()
