from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mlflow import MlflowClient

from tasks.errors import ServiceUnavailable
from tasks.homes import Home
from tasks.models.lightgbm import LightGBM
from tasks.models.recipes import Candidates, Recipe
from tasks.records import Search, Trial
from tasks.remembering import MEMORY_FILE, MODEL_TAG, LastSearch, Memory, memory_digest, recall, write_memory
from tasks.spaces import Int
from tasks.stage import timed
from tasks.tracking import Tracker, connect, open_run

CANDIDATES = Candidates(Recipe(LightGBM(hyperparameters={"max_depth": 7}, space={"num_leaves": Int(low=8, high=64)})), "binary")
FIRST = datetime(2013, 9, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def trial(number: int, leaves: int) -> Trial:
    return Trial(number, "finished", {"num_leaves": leaves}, 0.44, (0.43, 0.45), 2.0, family="lightgbm", choices={"num_leaves": leaves})


def search(*leaves: int) -> Search:
    """The second best is the one that was chosen."""
    finalists = tuple(trial(number, count) for number, count in enumerate(leaves))
    return Search("log_loss", finalists, finalists[0], "4 trials", 60.0, finalists[min(1, len(leaves) - 1)], "", finalists)


@pytest.fixture
def tracker(store: Home) -> Tracker:
    return connect(store, "shop")


def remember(tracker: Tracker, as_of: datetime, content: Any, model: str = "shop", tuning: str = "ran", ends: bool = True) -> str:
    """A retrain's run as the journal leaves it behind."""
    tags = {"evertune.as_of": as_of.isoformat(), MODEL_TAG: model, "evertune.tuning": tuning}
    run_id = ""
    try:
        with timed() as timing, open_run(tracker, f"shop {as_of:%Y-%m-%d}", tags, timing) as run:
            run_id = run.id
            if content is not None:
                run.text(content if isinstance(content, str) else json.dumps(content), MEMORY_FILE)
            if not ends:
                raise RuntimeError("the gate fell over")
    except RuntimeError:
        pass
    return run_id


def written(as_of: datetime, *leaves: int) -> dict[str, Any]:
    return write_memory(search(*leaves), as_of, CANDIDATES, as_of - DAY)


def leaves(memory: Memory) -> list[Any]:
    return [known.choices["num_leaves"] for known in memory.settings]


def test_what_was_written_is_read_back_the_newest_first_and_what_was_chosen_before_what_else_was_good(tracker: Tracker) -> None:
    remember(tracker, FIRST + 30 * DAY, written(FIRST + 30 * DAY, 31, 15))
    remember(tracker, FIRST, written(FIRST, 20, 25, 31))
    memory = recall(tracker, "shop", FIRST + 60 * DAY, settings=10)
    assert leaves(memory) == [15, 31, 25, 20], "31 is there once, as the newer retrain's"
    assert [known.origin for known in memory.settings] == ["retrain of 2013-10-01"] * 2 + ["retrain of 2013-09-01"] * 2
    assert {known.family for known in memory.settings} == {"lightgbm"}
    assert memory.last is not None
    assert memory.last == LastSearch(FIRST + 30 * DAY, "log_loss", memory.last.space, 60.0, FIRST + 29 * DAY, memory.last.run_id)
    assert memory.last.space["num_leaves"] == "int 8..64"
    assert memory.last.space["max_depth"] == "fixed at 7"
    assert [content["as_of"][:10] for content in memory.earlier] == ["2013-09-01", "2013-10-01"]


def test_a_retrain_remembers_nothing_of_its_own_day_nor_of_its_future(tracker: Tracker) -> None:
    for day, count in ((0, 20), (30, 30), (60, 40)):
        remember(tracker, FIRST + day * DAY, written(FIRST + day * DAY, count))
    assert leaves(recall(tracker, "shop", FIRST + 60 * DAY, 5)) == [30, 20]
    assert leaves(recall(tracker, "shop", FIRST + 30 * DAY + timedelta(seconds=1), 5)) == [30, 20]
    assert recall(tracker, "shop", FIRST, 5) == Memory()


def test_asked_again_it_remembers_the_same(tracker: Tracker) -> None:
    remember(tracker, FIRST, written(FIRST, 20))
    before = recall(tracker, "shop", FIRST + 30 * DAY, 5)
    remember(tracker, FIRST + 30 * DAY, written(FIRST + 30 * DAY, 30))
    after = recall(tracker, "shop", FIRST + 30 * DAY, 5)
    assert (after, after.digest) == (before, before.digest)


def test_another_model_a_reused_search_and_a_failed_run_are_not_remembered(tracker: Tracker) -> None:
    remember(tracker, FIRST, written(FIRST, 20), model="other")
    remember(tracker, FIRST, written(FIRST, 21), tuning="skipped")
    remember(tracker, FIRST, written(FIRST, 22), ends=False)
    assert recall(tracker, "shop", FIRST + DAY, 5) == Memory()


def test_as_many_artifacts_are_read_as_it_takes_and_at_most_five(tracker: Tracker, caplog: pytest.LogCaptureFixture) -> None:
    for day in range(8):
        remember(tracker, FIRST + day * DAY, None if day == 0 else written(FIRST + day * DAY, 10 + day, 20 + day))
    later = FIRST + 30 * DAY
    assert leaves(recall(tracker, "shop", later, 3)) == [27, 17, 26]
    assert len(recall(tracker, "shop", later, 3).earlier) == 2
    assert len(recall(tracker, "shop", later, 50).earlier) == 5
    cold = recall(tracker, "shop", later, 0)
    assert cold.settings == ()
    assert cold.last is not None
    assert cold.last.as_of == FIRST + 7 * DAY


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "has no memory.json"),
        ("{", "its memory.json is damaged"),
        ("[]", "makes no sense"),
        ({**written(FIRST, 20), "version": 99}, "it is of version 99, not 1"),
        ({**written(FIRST, 20), "as_of": "yesterday"}, "makes no sense"),
        ({**written(FIRST, 20), "finalists": [{"family": "lightgbm", "choices": {"num_leaves": [1]}}]}, "num_leaves must be a number"),
        ({**written(FIRST, 20), "space": None}, "makes no sense"),
    ],
)
def test_what_cannot_be_read_is_left_out_with_a_word(tracker: Tracker, caplog: pytest.LogCaptureFixture, content: Any, word: str) -> None:
    remember(tracker, FIRST, written(FIRST, 20))
    damaged = remember(tracker, FIRST + DAY, content)
    with caplog.at_level(logging.WARNING, "evertune"):
        memory = recall(tracker, "shop", FIRST + 30 * DAY, 5)
    assert leaves(memory) == [20]
    assert memory.last is not None
    assert memory.last.as_of == FIRST
    [told] = [record.getMessage() for record in caplog.records]
    assert word in told
    assert damaged in told


def test_a_store_that_does_not_answer_is_no_empty_memory(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0"), ("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")):
        monkeypatch.setenv(name, value)
    gone = replace(tracker, client=MlflowClient("http://127.0.0.1:9"))
    with pytest.raises(ServiceUnavailable, match="the memory of earlier retrains cannot be read"):
        recall(gone, "shop", FIRST, 5)


def test_the_digest_is_that_of_what_is_remembered() -> None:
    nothing = Memory()
    assert nothing.digest == memory_digest(()) == ""
    last = LastSearch(FIRST, "log_loss", {"num_leaves": "int 8..64"}, 60.0, None, "run")
    assert replace(nothing, last=last).digest != ""
    assert replace(nothing, last=replace(last, seconds=1.0, run_id="other")).digest == replace(nothing, last=last).digest
    assert replace(nothing, last=replace(last, as_of=FIRST + DAY)).digest != replace(nothing, last=last).digest


def test_what_is_written_is_plain_json_and_tells_what_a_report_needs() -> None:
    content = written(FIRST, 20, 25)
    assert json.loads(json.dumps(content, allow_nan=False)) == json.loads(json.dumps(content))
    assert (content["best"], content["chosen"]) == (0, 1)
    assert [finalist["number"] for finalist in content["finalists"]] == [1, 0]
    assert content["seconds_to_best"] == 2.0
    assert content["trials"] == {"finished": 2, "pruned": 0, "failed": 0}
