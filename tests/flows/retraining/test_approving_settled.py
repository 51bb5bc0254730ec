"""What a person's word does to a real registry and to the retrain's MLflow run, whatever happened there meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mlflow.artifacts
import pytest

from flows.retraining.questions import Question
from flows.retraining.settling import Word, settle, tell_waiting
from flows.telling.notes import MARK
from tasks.errors import Conflict
from tasks.records import Result
from tasks.registry import Move, reject_version
from tasks.reporting import render
from tests import stories
from tests.registered import Killed, Shelf, killed_before_write, shelf

__all__ = ["shelf"]
YES, NO = Word("approve", "Ada", "looked at the slices"), Word("reject", "Ada", "too slow")
Say = Callable[[Word | None], Result | None]


@pytest.fixture
def question(shelf: Shelf) -> Question:
    """v1 is champion, v2 waits, and its retrain's run says so."""
    shelf.add_champion()
    version = shelf.add_waiting()
    return asked_of(shelf, version)


def asked_of(shelf: Shelf, version: str) -> Question:
    run = shelf.client.get_model_version("shop", version).run_id
    summary = Result("ask", "the rows cannot tell", "shop", "2024-04-30", version, mlflow_run_id=run).to_dict()
    shelf.client.log_text(run, json.dumps(summary), "summary.json")
    for name, value in {
        "evertune.verdict": "ask",
        "mlflow.runName": "shop 2024-04-30 ask",
        "mlflow.note.content": "**Undecided**: shop v2 waits for your decision.\n\nthe rows cannot tell.\n\nAs of 30 April.",
    }.items():
        shelf.client.set_tag(run, name, value)
    return Question("shop", version, run, datetime.now(UTC) + timedelta(days=3), "reject", "shop.yaml")


@pytest.fixture
def say(shelf: Shelf, question: Question) -> Say:
    def settled(word: Word | None) -> Result | None:
        with shelf.lease() as lease:
            return settle(shelf.tracker, lease, question, word)

    return settled


def test_a_yes_makes_it_champion_in_that_persons_name_and_the_run_says_so_everywhere(shelf: Shelf, question: Question, say: Say) -> None:
    tell_waiting(shelf.tracker, question, "until tomorrow:\n    evertune promote shop 2")
    note = shelf.client.get_run(question.mlflow_run_id).data.tags["mlflow.note.content"]
    assert note.split("\n\n")[1] == "**To answer**: until tomorrow:\n    evertune promote shop 2"
    result = say(YES)
    assert result is not None
    assert (result.verdict, result.version) == ("promoted", "2")
    assert result.reason == "approved by Ada (looked at the slices): the rows cannot tell"
    assert shelf.aliases == {"champion": "2", "previous": "1"}
    assert shelf.log("2") == ["promoted by Ada"]
    tags = shelf.client.get_run(question.mlflow_run_id).data.tags
    assert {name.removeprefix("evertune."): tags[name] for name in tags if name.startswith("evertune.approval") and "_at" not in name} == {
        "approval": "approve",
        "approval_by": "Ada",
        "approval_reason": "looked at the slices",
    }
    assert (tags["evertune.verdict"], tags["evertune.version"]) == ("promoted", "2")
    assert tags["mlflow.runName"] == "shop 2024-04-30 promoted"
    assert tags["mlflow.note.content"].split("\n\n") == [f"**Promoted**: {result.reason}.", "As of 30 April."]
    assert mlflow.artifacts.load_dict(f"runs:/{question.mlflow_run_id}/summary.json") == result.to_dict()


def test_a_no_keeps_what_is_live(shelf: Shelf, say: Say) -> None:
    result = say(NO)
    assert result is not None
    assert (result.verdict, result.version) == ("kept", "1")
    assert result.reason == "rejected by Ada (too slow): the rows cannot tell"
    assert shelf.aliases == {"champion": "1"}
    assert shelf.log("2") == ["rejected by Ada"]


@pytest.mark.parametrize("later", [YES, NO, Word("approve", "Bob", "")])
@pytest.mark.parametrize("first", [YES, NO])
def test_the_first_word_counts_and_every_later_one_only_hears_it(shelf: Shelf, say: Say, first: Word, later: Word) -> None:
    told, tags = say(first), shelf.tags("2")
    assert say(later) == told
    assert shelf.tags("2") == tags


def test_a_champion_that_moved_meanwhile_voids_a_yes(shelf: Shelf, say: Say) -> None:
    shelf.add_champion()
    result = say(YES)
    assert result is not None
    assert (result.verdict, result.version) == ("kept", "3")
    assert "the champion moved from v1 to v3 since v2 was judged, so that it is not approved by Ada" in result.reason
    assert shelf.aliases["champion"] == "3"
    assert "evertune.promoted" not in shelf.tags("2")


def test_what_was_decided_elsewhere_meanwhile_stands(shelf: Shelf, question: Question, say: Say) -> None:
    assert say(None) is None
    shelf.promote("2", by="bob@office")
    result = say(NO)
    assert result is not None
    assert (result.verdict, result.version) == ("promoted", "2")
    assert "v2 was made champion by bob@office meanwhile, before it was rejected by Ada" in result.reason
    assert "evertune rollback shop" in result.reason


def test_what_was_rejected_or_taken_back_meanwhile_does_not_go_live(shelf: Shelf, say: Say) -> None:
    reject_version(shelf.tracker, "shop", "2", None, "bob@office", "no")
    result = say(YES)
    assert result is not None
    assert result.verdict == "kept"
    assert "v2 was rejected by bob@office (no) meanwhile, before it was approved by Ada" in result.reason
    assert shelf.aliases == {"champion": "1"}


def test_without_a_word_a_promotion_that_was_rolled_back_is_told(shelf: Shelf, say: Say) -> None:
    shelf.promote("2", by="bob@office")
    shelf.promote("1", by="bob@office")
    result = say(None)
    assert result is not None
    assert (result.verdict, result.version) == ("kept", "1")
    assert "was replaced again" in result.reason


def test_a_version_or_a_run_that_is_gone_is_no_obstacle(shelf: Shelf, question: Question, say: Say) -> None:
    shelf.client.delete_model_version("shop", "2")
    gone = Question("shop", "2", "0" * 32, question.deadline, "reject", "shop.yaml")
    with shelf.lease() as lease:
        result = settle(shelf.tracker, lease, gone, YES)
    assert result is not None
    assert (result.verdict, result.version) == ("kept", "1")
    assert "v2 is gone from the registry" in result.reason


def test_a_version_whose_files_were_changed_is_not_approved(shelf: Shelf, say: Say) -> None:
    found = shelf.client.get_model_version("shop", "2")
    place = Path(shelf.client.get_logged_model(found.source.removeprefix("models:/")).artifact_location.removeprefix("file://"))
    (place / "MLmodel").write_text("flavors: {evil: {}}\n")
    with pytest.raises(Conflict, match="not those that were registered"):
        say(YES)
    assert shelf.aliases == {"champion": "1", "challenger": "2"}


@pytest.mark.parametrize("word", [YES, NO])
def test_a_process_killed_at_any_write_leaves_it_to_the_next_one(
    shelf: Shelf, say: Say, word: Word, monkeypatch: pytest.MonkeyPatch
) -> None:
    for write in range(5):
        with killed_before_write(monkeypatch, shelf.tracker, write):
            try:
                say(word)
            except Killed:
                continue
    result = say(word)
    assert result is not None
    assert result.reason == f"{word}: the rows cannot tell"
    assert result.verdict == ("promoted" if word is YES else "kept")
    assert len(shelf.log("2")) == 1
    assert shelf.aliases["champion"] == ("2" if word is YES else "1")


def test_the_person_named_is_the_one_of_the_move(shelf: Shelf, say: Say) -> None:
    say(YES)
    assert shelf.tags("2")["evertune.promoted_by"] == Move(YES.who, YES.why).by


def test_report_and_descriptions_tell_who_decided_and_why(shelf: Shelf, question: Question, say: Say) -> None:
    asked = render(stories.asked(), {}).html
    assert "evertune promote" in asked
    shelf.client.log_text(question.mlflow_run_id, asked, "report.html")
    shelf.client.update_registered_model("shop", f"Sales of a shop.\n\nVersion 1 is the champion.\n\n*{MARK}.*")
    say(Word("approve", "Ada <b>", "looked at the slices"))
    page = mlflow.artifacts.load_text(f"runs:/{question.mlflow_run_id}/report.html")
    assert ": Promoted</title>" in page
    assert "approved by Ada &lt;b&gt; (looked at the slices)" in page
    assert "Undecided" not in page
    assert "evertune promote" not in page
    assert page.partition("</section>")[2] == asked.partition("</section>")[2]
    model = shelf.client.get_registered_model("shop").description
    assert model.startswith("Sales of a shop.\n\nVersion 2 is the champion")
    assert "approved by Ada" in shelf.client.get_model_version("shop", "2").description


def test_a_no_leaves_the_models_description_and_is_told_in_the_report(shelf: Shelf, question: Question, say: Say) -> None:
    shelf.client.log_text(question.mlflow_run_id, '<section class="banner ask">Undecided</section>', "report.html")
    shelf.client.update_registered_model("shop", "by hand")
    say(NO)
    assert "rejected by Ada (too slow)" in mlflow.artifacts.load_text(f"runs:/{question.mlflow_run_id}/report.html")
    assert shelf.client.get_registered_model("shop").description == "by hand"
