"""The aliases on a real registry: moved once, repaired from tags after a kill anywhere, and left alone where a hand moved them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

import pytest

from tasks.errors import Conflict
from tasks.leases import Lease
from tasks.registry import Move, await_review, make_champion, reject_version, repair_aliases
from tasks.registry.aliases import INTENT
from tasks.registry.versions import PENDING, PROMOTED_BY, REIGN, REJECTED, REPLACED
from tests.registered import Killed, Shelf, killed_before_write

MOVE = Move("retrain 1a2b", "better")
MOST_WRITES = 20


def named(shelf: Shelf, name: str) -> Shelf:
    return Shelf(shelf.tracker, shelf.folder, shelf.studies, name)


def settled(shelf: Shelf) -> list[object]:
    """What must be the same however often a process was killed on the way."""
    tags = [shelf.tags(version) for version in ("1", "2", "3")]
    flags = [[mark in tags_of_one for mark in (INTENT, PENDING, REJECTED)] for tags_of_one in tags]
    values = [[tags_of_one.get(key) for key in (PROMOTED_BY, REIGN, REPLACED)] for tags_of_one in tags]
    return [shelf.aliases, flags, values, [shelf.log(version) for version in ("1", "2", "3")]]


def test_the_first_champion_has_no_previous_one(shelf: Shelf) -> None:
    shelf.add_champion()
    assert shelf.aliases == {"champion": "1"}
    assert shelf.tags("1")[PROMOTED_BY] == "retrain 1a2b"
    assert shelf.log("1") == ["promoted by retrain 1a2b"]


def test_previous_is_what_was_champion_before(shelf: Shelf) -> None:
    for expected in ({"champion": "1"}, {"champion": "2", "previous": "1"}, {"champion": "3", "previous": "2"}):
        shelf.add_champion()
        assert shelf.aliases == expected


def test_a_version_that_waits_is_the_challenger_until_another_is_promoted(shelf: Shelf) -> None:
    shelf.add_champion()
    shelf.add_waiting()
    assert shelf.aliases == {"champion": "1", "challenger": "2"}
    shelf.add_waiting()
    assert shelf.aliases == {"champion": "1", "challenger": "3"}
    shelf.add_champion()
    assert shelf.aliases == {"champion": "4", "previous": "1"}
    assert PENDING not in {**shelf.tags("2"), **shelf.tags("3")}


def test_a_rejected_version_waits_no_more_and_the_one_before_it_does_again(shelf: Shelf) -> None:
    shelf.add_champion()
    shelf.add_waiting()
    shelf.add_waiting()
    reject_version(shelf.tracker, "shop", "3", None, "me@here", "too slow")
    assert shelf.aliases == {"champion": "1", "challenger": "2"}
    await_review(shelf.tracker, "shop", "3", None)
    assert shelf.aliases == {"champion": "1", "challenger": "2"}
    assert shelf.log("3") == ["rejected by me@here"]


def test_the_champion_cannot_be_rejected(shelf: Shelf) -> None:
    shelf.add_champion()
    with pytest.raises(Conflict, match="evertune rollback shop"):
        reject_version(shelf.tracker, "shop", "1", None, "me@here", "")


def test_going_back_and_forth_keeps_both_ways_open(shelf: Shelf) -> None:
    shelf.add_champion()
    shelf.add_champion()
    back = Move("me@here", "it lies", "rolled back")
    for version, other in (("1", "2"), ("2", "1"), ("1", "2")):
        make_champion(shelf.tracker, "shop", version, other, None, back)
        assert shelf.aliases == {"champion": version, "previous": other}
    assert shelf.log("1") == [
        "promoted by retrain 1a2b",
        "replaced by v2 by retrain 1a2b",
        "rolled back by me@here",
        "replaced by v2 by me@here",
        "rolled back by me@here",
    ]


def test_an_alias_that_was_moved_meanwhile_is_left_alone(shelf: Shelf) -> None:
    shelf.add_champion()
    shelf.add_champion()
    shelf.add()
    shelf.client.set_registered_model_alias("shop", "champion", "1")
    with pytest.raises(Conflict, match="moved from v2 to v1") as moved:
        make_champion(shelf.tracker, "shop", "3", "2", None, MOVE)
    assert moved.value.exit_code == 5
    assert shelf.aliases["champion"] == "1"
    assert INTENT not in shelf.tags("3")


def test_an_alias_that_is_moved_while_the_lease_is_asked_for_is_left_alone_too(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        shelf.add_champion()
    shelf.add()
    checked = Lease.check

    def meanwhile(lease: Lease) -> None:
        checked(lease)
        shelf.client.set_registered_model_alias("shop", "champion", "1")

    with shelf.lease() as lease:
        monkeypatch.setattr(Lease, "check", meanwhile)
        with pytest.raises(Conflict, match="moved from v2 to v1"):
            make_champion(shelf.tracker, "shop", "3", "2", lease, MOVE)
    assert shelf.aliases["champion"] == "1"


def test_an_alias_that_is_moved_right_after_it_was_written_is_left_there(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        shelf.add_champion()
    shelf.add()
    write = shelf.client.set_registered_model_alias

    def then_a_hand(name: str, alias: str, version: str) -> None:
        write(name, alias, version)
        write(name, alias, "1")

    with monkeypatch.context() as patch:
        patch.setattr(shelf.client, "set_registered_model_alias", then_a_hand)
        with pytest.raises(Conflict, match="just after"):
            make_champion(shelf.tracker, "shop", "3", "2", None, MOVE)
    assert shelf.aliases["champion"] == "1"
    repair_aliases(shelf.tracker, "shop", None)
    assert shelf.aliases == {"champion": "1", "previous": "2"}


def test_a_lost_lease_promotes_nothing(shelf: Shelf) -> None:
    shelf.add_champion()
    shelf.add()
    with shelf.lease() as lease:
        with shelf.lease(seize=True), pytest.raises(Conflict, match="lost its hold"):
            make_champion(shelf.tracker, "shop", "2", "1", lease, MOVE)
        repair_aliases(shelf.tracker, "shop", None)
    assert shelf.aliases == {"champion": "1"}


def test_whoever_overwrote_a_promotion_while_it_was_stopped_is_undone_by_the_next_run(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.add_champion()
    shelf.add()
    shelf.add()
    write = shelf.client.set_registered_model_alias

    def stopped(name: str, alias: str, version: str) -> None:
        """Another process takes the lease, tidies up, promotes v3 and is done; then this one wakes up."""
        monkeypatch.setattr(shelf.client, "set_registered_model_alias", write)
        with shelf.lease(seize=True) as other:
            repair_aliases(shelf.tracker, "shop", other)
            shelf.promote("3", by="retrain 3c4d", lease=other)
        write(name, alias, version)

    monkeypatch.setattr(shelf.client, "set_registered_model_alias", stopped)
    with shelf.lease() as lease, pytest.raises(Conflict, match="sets it back"):
        make_champion(shelf.tracker, "shop", "2", "1", lease, MOVE)
    assert shelf.aliases["champion"] == "2"
    with caplog.at_level(logging.WARNING, "evertune"):
        repair_aliases(shelf.tracker, "shop", None)
    assert shelf.aliases == {"champion": "3", "previous": "1"}
    assert "had lost its hold" in caplog.text
    assert shelf.log("2") == []


def test_a_hand_that_moved_the_alias_is_taken_note_of(shelf: Shelf) -> None:
    for _ in range(3):
        shelf.add_champion()
    shelf.client.set_registered_model_alias("shop", "champion", "1")
    repair_aliases(shelf.tracker, "shop", None)
    assert shelf.aliases == {"champion": "1", "previous": "3"}
    assert shelf.log("1")[-1] == "moved by hand by somebody in MLflow"


def test_without_the_alias_what_waits_goes_on_waiting_and_any_version_can_be_promoted(shelf: Shelf) -> None:
    for _ in range(2):
        shelf.add_champion()
    shelf.add_waiting()
    shelf.client.delete_registered_model_alias("shop", "champion")
    repair_aliases(shelf.tracker, "shop", None)
    assert shelf.aliases == {"previous": "1", "challenger": "3"}
    make_champion(shelf.tracker, "shop", "2", None, None, Move("me@here", "it was live"))  # itself again
    assert shelf.aliases == {"champion": "2", "previous": "1", "challenger": "3"}
    assert (shelf.log("2")[-1], shelf.tags("2")[PROMOTED_BY], shelf.tags("2")[REIGN]) == ("promoted by me@here", "me@here", "2")
    shelf.client.delete_registered_model_alias("shop", "champion")
    make_champion(shelf.tracker, "shop", "3", None, None, MOVE)  # another one
    assert shelf.aliases == {"champion": "3", "previous": "2"}
    assert INTENT not in {**shelf.tags("2"), **shelf.tags("3")}


def test_a_hand_made_version_may_be_champion(shelf: Shelf) -> None:
    shelf.add_champion()
    shelf.add(whole=False)
    shelf.client.set_registered_model_alias("shop", "champion", "2")
    repair_aliases(shelf.tracker, "shop", None)
    shelf.add_champion()
    assert shelf.aliases == {"champion": "3", "previous": "2"}


def test_a_previous_version_that_was_deleted_leaves_the_champion_as_it_is(shelf: Shelf) -> None:
    shelf.add_champion()
    shelf.add_champion()
    shelf.client.delete_model_version("shop", "1")
    repair_aliases(shelf.tracker, "shop", None)
    assert shelf.aliases == {"champion": "2"}


def test_nothing_is_written_where_nothing_is_wrong(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.add_champion()
    shelf.add_champion()
    shelf.add_waiting()
    with killed_before_write(monkeypatch, shelf.tracker, 0):
        repair_aliases(shelf.tracker, "shop", None)
        make_champion(shelf.tracker, "shop", "2", "1", None, MOVE)
    repair_aliases(shelf.tracker, "unheard of", None)


def kill_everywhere(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Shelf], None], act: Callable[[Shelf], None]) -> int:
    """Act without a kill, then killed before each write, repaired, and done again: all must come to the same. The number of writes."""
    whole = named(shelf, "whole")
    prepare(whole)
    act(whole)
    for number in range(MOST_WRITES):
        victim, killed = named(shelf, f"killed-{number}"), False
        prepare(victim)
        try:
            with killed_before_write(monkeypatch, victim.tracker, number):
                act(victim)
        except Killed:
            killed = True
        before = victim.aliases["champion"]
        repair_aliases(victim.tracker, victim.name, None)
        assert victim.aliases["champion"] == before
        act(victim)
        assert settled(victim) == settled(whole), f"killed before write {number}"
        if not killed:
            return number
    raise AssertionError("it never came to an end")


def three_versions(shelf: Shelf) -> None:
    shelf.add_champion(whole=False)
    shelf.add_waiting(whole=False)
    shelf.add(whole=False)


def test_a_promotion_that_is_killed_anywhere_is_finished_by_the_next_run(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def act(shelf: Shelf) -> None:
        make_champion(shelf.tracker, shelf.name, "3", "1", None, MOVE)

    assert kill_everywhere(shelf, monkeypatch, three_versions, act) > 8


def test_a_champion_without_its_alias_comes_back_the_same_however_often_that_is_killed(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(shelf: Shelf) -> None:
        three_versions(shelf)
        shelf.promote("3")

    def act(shelf: Shelf) -> None:
        shelf.client.delete_registered_model_alias(shelf.name, "champion")
        make_champion(shelf.tracker, shelf.name, "3", None, None, Move("me@here", "it was live"))

    whole = named(shelf, "whole")
    prepare(whole)
    act(whole)
    for number in range(1, 6):
        victim = named(shelf, f"killed-{number}")
        prepare(victim)
        with contextlib.suppress(Killed), killed_before_write(monkeypatch, victim.tracker, number):
            act(victim)
        repair_aliases(victim.tracker, victim.name, None)
        if "champion" not in victim.aliases:
            make_champion(victim.tracker, victim.name, "3", None, None, Move("me@here", "it was live"))
        assert settled(victim) == settled(whole), f"killed before write {number}"


def test_a_rejection_that_is_killed_anywhere_is_finished_by_the_next_one(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def act(shelf: Shelf) -> None:
        reject_version(shelf.tracker, shelf.name, "2", None, "me@here", "no")

    assert kill_everywhere(shelf, monkeypatch, three_versions, act) > 2
