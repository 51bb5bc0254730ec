"""Descriptions on MLflow's pages: the verdict first, figures with their interval, links, and nothing active."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from mlflow import MlflowClient

from flows.telling.notes import MARK, model_note, run_note, version_note, write_notes
from flows.telling.views import Views
from tasks.homes import Home
from tasks.records import Story
from tasks.stage import Timing
from tasks.tracking import Run, connect, open_run
from tests import stories

VIEWS = Views(
    run="#/experiments/1/runs/abc?w",
    retrains="#/experiments/1/runs?w&viewStateShareKey=evertune",
    compare="#/compare-runs?runs=x",
    trials="#/experiments/1/runs?w&searchFilter=y",
    report="#/experiments/1/runs/abc/artifacts/report.html?w",
    plots="#/experiments/1/runs/abc/artifacts/plots/interactive.html?w",
    version="#/models/tumours/versions/4?w",
    model="#/models/tumours?w",
)
HOSTILE = "<script>alert(1)</script> [x](javascript:alert(1)) `code` | a_b * @octocat :smile: ![i](http://x/y.png) www.x.org\n# heading"


@pytest.mark.parametrize("name", stories.EVERY)
def test_the_first_line_is_the_verdict_and_what_is_live(name: str) -> None:
    story = stories.EVERY[name]()
    first, *_ = run_note(story, VIEWS).splitlines()
    assert first.startswith("**")
    assert "champion" in first


def test_a_run_tells_verdict_reason_figures_and_links() -> None:
    verdict, reason, figures, facts, links = run_note(stories.promoted(), VIEWS, "http://127.0.0.1:4200/v2/runs/flow-run/f").split("\n\n")[
        :5
    ]
    assert verdict == "**Promoted**: tumours v4 is the champion now."
    assert reason
    assert figures.startswith("log_loss **")
    assert "of the champion v3: better by" in figures
    assert "(90 % confidence)" in figures
    assert facts.startswith("As of 1 October 2013, set off by hand, tuned (20 trials in 41 s)")
    for name, address in (
        ("Report", VIEWS.report),
        ("plots", VIEWS.plots),
        ("trials", VIEWS.trials),
        ("version 4", VIEWS.version),
        ("the last retrains side by side", VIEWS.compare),
        ("all retrains", VIEWS.retrains),
        ("Prefect run", "http://127.0.0.1:4200/v2/runs/flow-run/f"),
    ):
        assert f"[{name}](<{address}>)" in links


def test_what_there_is_not_is_not_linked() -> None:
    note = run_note(stories.unchanged(), replace(VIEWS, compare="", trials="", plots=""))
    assert "trials" not in note
    assert "side by side" not in note
    assert "Prefect" not in note


def test_a_first_model_has_nothing_to_be_compared_with() -> None:
    assert "with nothing to compare it with" in run_note(stories.first(), VIEWS)


def test_a_stand_in_is_called_one() -> None:
    story = stories.promoted()
    assert story.evaluation is not None
    stood_in = replace(story, evaluation=replace(story.evaluation, compared_with="stand-in"))
    assert "of the stand-in for champion v3" in run_note(stood_in, VIEWS)


def test_undo_is_a_command_to_copy_of_a_promotion_alone() -> None:
    undo = "evertune rollback tumours"
    assert f"To undo: `{undo}`" in run_note(replace(stories.promoted(), undo=undo), VIEWS)
    assert "undo" not in run_note(replace(stories.kept(), undo=undo), VIEWS)


def hostile(story: Story) -> Story:
    result = replace(story.result, model=HOSTILE, reason=HOSTILE, hyperparameters={HOSTILE: HOSTILE}, tune_reason=HOSTILE)
    return replace(story, result=result, description=HOSTILE, trigger=HOSTILE, family=HOSTILE, undo=HOSTILE, search=None)


@pytest.mark.parametrize("write", [run_note, version_note, model_note])
def test_hostile_texts_are_shown_as_they_are(write: object) -> None:
    note = write(hostile(stories.promoted()), VIEWS)  # type: ignore[operator]
    outside = "".join(part for k, part in enumerate(note.split("`")) if k % 2 == 0)
    assert "<script" not in outside
    assert all(address.startswith("<#/") for address in re.findall(r"(?<!\\)\]\((.{5})", outside))
    assert " @octocat" not in outside
    assert "\n#" not in outside
    assert ":smile:" not in outside
    assert "://" not in outside
    assert "www." not in outside
    assert "\\$" not in outside


def test_a_version_tells_how_good_it_is_and_where_it_came_from() -> None:
    note = version_note(stories.promoted(), VIEWS)
    assert note.startswith("**Promoted**: ")
    assert "lightgbm, from the retrain as of 1 October 2013." in note
    assert f"[The retrain](<{VIEWS.run}>)" in note


def test_a_model_tells_what_it_is_what_is_live_and_the_way_back() -> None:
    note = model_note(stories.promoted(), VIEWS)
    assert note.startswith("Is a tumour benign?")
    assert "Version 4 is the champion" in note
    assert "`models:/tumours@champion`" in note
    assert "`evertune rollback tumours`" in note
    assert MARK in note


# in a real registry


@pytest.fixture
def registered(store: Home) -> tuple[Run, Story]:
    """A run that registered version 1 of shop, and its story."""
    with open_run(connect(store, "shop"), "shop", {}, Timing()) as run:
        run.client.create_registered_model("shop")
        run.client.create_model_version("shop", f"{run.client.get_run(run.id).info.artifact_uri}/model", run_id=run.id)
        story = stories.promoted()
        return run, replace(story, result=replace(story.result, model="shop", version="1", mlflow_run_id=run.id))


def test_run_version_and_model_are_described(registered: tuple[Run, Story], client: MlflowClient) -> None:
    run, story = registered
    write_notes(run, story, VIEWS)
    assert client.get_run(run.id).data.tags["mlflow.note.content"] == run_note(story, VIEWS)
    assert client.get_model_version("shop", "1").description == version_note(story, VIEWS)
    assert client.get_registered_model("shop").description == model_note(story, VIEWS)
    later = replace(story, description="Another one.")
    write_notes(run, later, VIEWS)
    assert client.get_registered_model("shop").description.startswith("Another one.")


def test_a_description_that_a_person_wrote_stays(registered: tuple[Run, Story], client: MlflowClient) -> None:
    client.update_registered_model("shop", "Ask Ann before you touch this.")
    write_notes(*registered, VIEWS)
    assert client.get_registered_model("shop").description == "Ask Ann before you touch this."


def test_a_version_of_another_run_is_left_alone(registered: tuple[Run, Story], client: MlflowClient) -> None:
    run, story = registered
    with open_run(run.tracker, "later", {}, Timing()) as other:
        write_notes(other, replace(story, result=replace(story.result, mlflow_run_id=other.id)), VIEWS)
    assert not client.get_model_version("shop", "1").description


@pytest.mark.parametrize("name", ["kept", "unchanged", "data_rejected", "failed"])
def test_a_retrain_that_registered_nothing_describes_its_run_alone(name: str, registered: tuple[Run, Story], client: MlflowClient) -> None:
    run, _ = registered
    story = stories.EVERY[name]()
    write_notes(run, replace(story, result=replace(story.result, model="shop", version="1")), VIEWS)
    assert "mlflow.note.content" in client.get_run(run.id).data.tags
    assert not client.get_model_version("shop", "1").description
