"""Versions and what their tags say, on a real registry."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from tasks.errors import Conflict
from tasks.records import Champion, Evaluation, Interval, Verdict
from tasks.registry import current_version, find_version, read_entry, register, verdict_tags
from tasks.registry.versions import add_to_log, read_log, require_version, tell_version
from tests.registered import Shelf

BETTER = Interval(-0.02, -0.03, -0.01, 0.005, 0.95, 20)
CHAMPION = Champion("shop", "4", "models:/m", "r", None, "c", "d", "s", "lightgbm", {}, {}, anchor="2")


def judged(interval: Interval | None = BETTER, champion: Champion | None = CHAMPION) -> dict[str, str]:
    before = {} if champion is None else {"log_loss": 0.45}
    nothing = np.array([])
    evaluation = Evaluation("log_loss", {"log_loss": 0.43}, before, 100, "champion", "", nothing, nothing, interval=interval)
    return verdict_tags(Verdict("promote", "it is better"), evaluation, champion)


def test_a_model_that_nobody_registered_has_nothing(shelf: Shelf) -> None:
    for name in ("shop", "no 'such' model", ""):
        entry = read_entry(shelf.tracker, name)
        assert (entry.aliases, entry.versions, entry.champion, entry.last_recorded) == ({}, (), None, None)


def test_versions_come_newest_first_without_deleted_ones(shelf: Shelf) -> None:
    for _ in range(11):
        shelf.add()
    shelf.client.delete_model_version("shop", "3")
    numbers = [str(version.version) for version in read_entry(shelf.tracker, "shop").versions]
    assert numbers == ["11", "10", "9", "8", "7", "6", "5", "4", "2", "1"]


def test_the_same_identity_is_registered_once(shelf: Shelf) -> None:
    run = shelf.client.create_run(shelf.tracker.experiment).info.run_id
    source = shelf.client.create_logged_model(shelf.tracker.experiment, name="shop").model_uri
    first = register(shelf.tracker, "shop", source, run, {"evertune.rows": 7}, "same")
    again = register(shelf.tracker, "shop", source, run, {"evertune.rows": 8}, "same")
    assert (first, again, find_version(shelf.tracker, "shop", "same"), find_version(shelf.tracker, "shop", "other")) == (
        "1",
        "1",
        "1",
        None,
    )
    assert shelf.tags("1")["evertune.rows"] == "7"


def test_a_lost_lease_registers_nothing(shelf: Shelf) -> None:
    with shelf.lease() as lease, shelf.lease(seize=True), pytest.raises(Conflict, match="lost its hold"):
        register(shelf.tracker, "shop", "models:/m", "run", {}, "same", lease)
    assert read_entry(shelf.tracker, "shop").versions == ()


def test_a_version_that_was_judged_again_says_so(shelf: Shelf) -> None:
    shelf.add(verdict="ask", metric="log_loss 0.5")
    tell_version(shelf.tracker, "shop", "1", {"evertune.verdict": "promote"})
    assert (shelf.tags("1")["evertune.verdict"], shelf.tags("1")["evertune.metric"]) == ("promote", "log_loss 0.5")
    with pytest.raises(Conflict, match="no version 9; there are: v1"):
        tell_version(shelf.tracker, "shop", "9", {})


def test_tags_tell_the_verdict_with_metric_and_interval() -> None:
    tags = judged()
    assert tags["evertune.verdict"] == "promote"
    assert tags["evertune.reason"] == "it is better"
    assert tags["evertune.metric"] == "log_loss 0.43 (before 0.45)"
    assert tags["evertune.judged_against"] == "4"
    told = json.loads(tags["evertune.interval"])
    assert (told["difference"], told["low"], told["high"], told["confidence"], told["blocks"]) == (-0.02, -0.03, -0.01, 0.95, 20)


def test_an_interval_that_knows_no_ends_leaves_them_out() -> None:
    told = json.loads(judged(Interval(0.1, math.nan, math.nan, math.nan, 0.95, 1))["evertune.interval"])
    assert "low" not in told
    assert told["difference"] == 0.1


@pytest.mark.parametrize(
    ("interval", "champion", "anchor"),
    [
        (None, None, "itself"),
        (BETTER, CHAMPION, "itself"),
        (replace(BETTER, high=0.001), CHAMPION, "2"),
        (replace(BETTER, high=math.nan), CHAMPION, "2"),
        (None, CHAMPION, "2"),
        (None, replace(CHAMPION, anchor=""), "4"),
    ],
)
def test_only_a_clearly_better_version_is_an_anchor_of_its_own(interval: Interval | None, champion: Champion | None, anchor: str) -> None:
    assert judged(interval, champion)["evertune.anchor"] == anchor


def test_the_first_version_was_judged_against_nobody() -> None:
    tags = judged(None, None)
    assert (tags["evertune.metric"], tags["evertune.judged_against"]) == ("log_loss 0.43", "")
    assert "evertune.interval" not in tags


def test_the_log_keeps_what_was_done_and_by_whom(shelf: Shelf) -> None:
    shelf.add()
    for why in ("one", "two", "two"):
        add_to_log(shelf.tracker, require_version(read_entry(shelf.tracker, "shop"), "1"), "rejected", "me@here", why)
    acts = read_log(require_version(read_entry(shelf.tracker, "shop"), "1"))
    assert [(act["act"], act["by"], act["why"]) for act in acts] == [("rejected", "me@here", "one"), ("rejected", "me@here", "two")]


def test_a_log_that_somebody_scribbled_into_is_left_out(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    shelf.add(log="not JSON")
    assert read_log(require_version(read_entry(shelf.tracker, "shop"), "1")) == []
    assert "evertune.log of shop v1" in caplog.text


def test_the_alias_is_read_as_it_stands(shelf: Shelf) -> None:
    shelf.add_champion()
    assert current_version(shelf.tracker, "shop") == "1"
