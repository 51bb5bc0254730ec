"""A retrain that comes to a version which is registered already: gone on with after a kill, not after a person's no."""

from __future__ import annotations

import pytest

from tasks.errors import Conflict
from tasks.records import Champion
from tasks.registration import register_model
from tasks.registry import reject_version
from tasks.stage import Timing
from tasks.tracking import open_run
from tests.registered import Shelf, shelf
from tests.tasks.models.test_families import labelled
from tests.tasks.registry.test_proving import TREES, fitted

__all__ = ["shelf"]


def register_again(shelf: Shelf, identity: str, champion: str) -> str:
    model, rows = fitted(TREES, "binary"), labelled("binary", 30)
    live = Champion("shop", champion, "", "r", None, "c", "d", "s", "lightgbm", {}, {})
    with open_run(shelf.tracker, "retrain", {}, Timing()) as run:
        return register_model.plain(run, model, rows, "shop", identity, {"evertune.reason": "better"}, live)


def test_a_version_goes_live_after_a_kill_but_not_after_a_person_said_no(shelf: Shelf) -> None:
    shelf.add_champion()
    shelf.add(identity="same")
    assert register_again(shelf, "same", "1") == "2"
    assert shelf.aliases == {"champion": "2", "previous": "1"}
    shelf.promote("1", by="me@here")
    with pytest.raises(Conflict, match=r"v2 of shop again, which was champion already and was taken back.*--force trains anew") as taken:
        register_again(shelf, "same", "1")
    assert taken.value.exit_code == 5
    shelf.add_waiting(identity="other")
    reject_version(shelf.tracker, "shop", "3", None, "me@here", "too slow")
    with pytest.raises(Conflict, match="v3 of shop again, which was rejected"):
        register_again(shelf, "other", "1")
    assert shelf.aliases == {"champion": "1", "previous": "2"}
