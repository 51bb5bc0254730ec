"""The champion as a retrain may know it; one that is lost is never the same as none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from tasks.errors import Conflict
from tasks.homes import Home
from tasks.records import Target
from tasks.registry import champion_at, champion_predictor, find_prior
from tasks.registry.champions import SETTINGS_FILE
from tests.registered import Shelf

MAY, JUNE = datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC)


def test_no_version_at_all_is_no_champion(shelf: Shelf) -> None:
    assert find_prior(shelf.tracker, "shop", None).champion is None


def test_versions_that_never_went_live_are_no_champion_either(shelf: Shelf) -> None:
    shelf.add()
    shelf.add_waiting()
    assert find_prior(shelf.tracker, "shop", None).champion is None


def test_the_champion_brings_its_settings_its_anchor_and_its_digest(shelf: Shelf) -> None:
    shelf.add_champion(anchor="itself")
    shelf.add_champion(anchor="1", trained_through="2024-05-01T00:00:00+00:00")
    champion = find_prior(shelf.tracker, "shop", JUNE).champion
    assert champion is not None
    assert (champion.version, champion.anchor, champion.hyperparameters) == ("2", "1", {"num_leaves": 7})
    assert champion.digest == shelf.tags("2")["evertune.digest"]
    assert champion.live


def test_a_version_without_an_anchor_is_its_own(shelf: Shelf) -> None:
    shelf.add_champion()
    champion = find_prior(shelf.tracker, "shop", None).champion
    assert champion is not None
    assert champion.anchor == "1"


def test_a_replay_starts_from_the_newest_version_of_its_time(shelf: Shelf) -> None:
    shelf.add_champion(trained_through="2024-03-01T00:00:00+00:00")
    shelf.add_champion(trained_through="2024-04-01T00:00:00+00:00")
    shelf.add(trained_through="2024-04-15T00:00:00+00:00")
    shelf.add_champion(trained_through="2024-05-20T00:00:00+00:00")
    prior = find_prior(shelf.tracker, "shop", MAY)
    assert prior.champion is not None
    assert prior.later is not None
    assert (prior.champion.version, prior.champion.live, prior.later.version) == ("2", False, "4")


def test_a_replay_of_a_model_that_got_a_time_column_later_prefers_versions_with_a_date(shelf: Shelf) -> None:
    shelf.add_champion(trained_through="2024-04-01T00:00:00+00:00")
    shelf.add_champion()
    shelf.add_champion(trained_through="2024-05-20T00:00:00+00:00")
    champion = find_prior(shelf.tracker, "shop", MAY).champion
    assert champion is not None
    assert champion.version == "1"


def test_an_alias_that_was_taken_away_is_refused_with_what_to_do(shelf: Shelf) -> None:
    shelf.add_champion()
    shelf.client.delete_registered_model_alias("shop", "champion")
    with pytest.raises(Conflict, match=r"was promoted before \(the newest is v1.*evertune promote shop"):
        find_prior(shelf.tracker, "shop", None)


def test_a_champion_that_was_deleted_is_refused_while_older_ones_are_left(shelf: Shelf) -> None:
    shelf.add_champion()
    shelf.add_champion()
    shelf.client.delete_model_version("shop", "2")
    with pytest.raises(Conflict, match="no alias 'champion'"):
        find_prior(shelf.tracker, "shop", None)


def test_a_champion_that_was_deleted_is_remembered_by_what_was_judged_against_it(shelf: Shelf) -> None:
    shelf.add_champion()
    shelf.add_waiting()
    shelf.client.delete_model_version("shop", "1")
    with pytest.raises(Conflict, match="had a champion, v1, which is gone"):
        find_prior(shelf.tracker, "shop", None)


def test_a_champion_for_another_target_is_refused_before_anything_is_trained(shelf: Shelf) -> None:
    shelf.add_champion(target="sold")
    assert find_prior(shelf.tracker, "shop", None, "sold").champion is not None
    with pytest.raises(Conflict, match=r"champion v1 of shop predicts sold, this retrain returned.*registry\.model"):
        find_prior(shelf.tracker, "shop", None, "returned")


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "is gone"), ("{", "is damaged"), ("[]", "is damaged"), ('{"family": "lightgbm"}', r"is damaged \(KeyError")],
)
def test_a_champion_without_its_settings_is_refused(shelf: Shelf, text: str | None, says: str) -> None:
    version = shelf.promote(shelf.add(settings=False))
    if text is not None:
        shelf.client.log_text(shelf.client.get_model_version("shop", version).run_id, text, SETTINGS_FILE)
    with pytest.raises(Conflict, match=f"{SETTINGS_FILE}.*{says}.*evertune rollback shop"):
        find_prior(shelf.tracker, "shop", None)
    assert champion_at(shelf.tracker, "shop", version) is None


def test_a_champion_that_no_retrain_registered_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    shelf.client.create_registered_model("shop")
    shelf.client.create_model_version("shop", tmp_path.as_uri())
    shelf.client.set_registered_model_alias("shop", "champion", "1")
    with pytest.raises(Conflict, match="was not registered by a retrain"):
        find_prior(shelf.tracker, "shop", None)


def test_a_past_version_comes_with_its_settings(shelf: Shelf) -> None:
    shelf.add_champion(anchor="itself")
    shelf.add_champion()
    past = champion_at(shelf.tracker, "shop", "1")
    assert past is not None
    assert (past.version, past.live, past.hyperparameters) == ("1", False, {"num_leaves": 7})
    assert champion_at(shelf.tracker, "shop", "9") is None


def test_files_that_were_changed_are_not_loaded(shelf: Shelf, store: Home) -> None:
    shelf.add_champion()
    champion = find_prior(shelf.tracker, "shop", None).champion
    assert champion is not None
    for file in store.artifacts.rglob("MLmodel"):
        file.write_text(json.dumps({"flavors": {"python_function": {}}}))
    predict = champion_predictor(champion, Target("sold", "binary", (0.0, 1.0)))
    with pytest.raises(Conflict, match="are not those that were registered"):
        predict(pd.DataFrame({"price": [1.0]}))
