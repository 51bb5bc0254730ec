"""The chapters about the verdict: intervals, conditions, slices, why the score moved, what changes for those who ask the model."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tasks.metrics import METRICS
from tasks.records import Attribution, Check, Evaluation, GoldenRow, Interval, SliceScore, Story, Verdict, Wear
from tasks.reporting import render
from tasks.reports.chapters.intervals import Axis, judge, say_interval
from tasks.reports.chapters.movement import tell_movement
from tasks.reports.chapters.service import tell_service
from tasks.reports.chapters.slices import tell_slices
from tasks.reports.chapters.verdict import tell_alerts, tell_comparison
from tests import stories
from tests.reading import Reader, rows_of

NAN = math.nan


def interval(difference: float, low: float = NAN, high: float = NAN) -> Interval:
    return Interval(difference, low, high, NAN, 0.95, 20)


def evaluated(story: Story) -> Evaluation:
    assert story.evaluation is not None
    return story.evaluation


def markdown(story: Story) -> str:
    return render(story, {}).markdown


# intervals


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (interval(-0.3, -0.5, -0.1), "better by 0.3, between 0.1 and 0.5 better (90 % confidence)"),
        (interval(0.3, 0.1, 0.5), "worse by 0.3, between 0.1 and 0.5 worse (90 % confidence)"),
        (interval(0.1, -0.2, 0.4), "worse by 0.1, between 0.2 better and 0.4 worse (90 % confidence)"),
        (interval(0.0, -0.2, 0.2), "no difference, between 0.2 better and 0.2 worse (90 % confidence)"),
        (interval(0.1), "worse by 0.1; these rows do not tell how much of it is noise"),
    ],
)
def test_an_interval_is_told_in_the_readers_direction(found: Interval, words: str) -> None:
    assert say_interval(found) == words


@pytest.mark.parametrize(("low", "high", "tone"), [(-0.5, -0.1, "good"), (-0.1, 0.1, "good"), (-0.1, 0.2, "plain"), (0.15, 0.2, "bad")])
def test_what_is_shown_depends_on_which_side_of_the_margin_the_ends_are(low: float, high: float, tone: str) -> None:
    assert judge(interval(0.0, low, high), margin=0.1) == tone


def test_a_drawing_has_everything_on_it_in_the_order_of_the_numbers() -> None:
    span = Axis.around((-0.2, 0.4, 0.1)).draw(interval(0.15, -0.2, 0.4), 0.1)
    assert span is not None
    assert span.margin is not None
    places = [span.low, span.zero, span.margin, span.middle, span.high]
    assert places == sorted(places)
    assert places[0] > 0
    assert places[-1] < 1
    assert span.margin - span.zero == pytest.approx((span.high - span.low) * 0.1 / 0.6)


def test_rows_that_say_nothing_of_noise_draw_nothing() -> None:
    story = stories.promoted()
    bare = replace(story, evaluation=replace(evaluated(story), interval=interval(-0.05)))
    found = tell_comparison(bare)
    assert found is not None
    assert found.span is None
    assert 'class="interval' not in render(bare, {}).html


def test_the_margin_is_told_and_marked() -> None:
    report = render(stories.asked(), {})
    assert "; the margin: worse by 0.577." in report.markdown
    reader = Reader(report.html)
    marks = [attributes["class"] for tag, attributes in reader.elements if tag == "i" and "left" in str(attributes.get("style"))]
    assert marks == ["reach", "alike", "margin", "middle"]


def test_with_nobody_to_compare_with_there_is_no_interval() -> None:
    assert tell_comparison(stories.first()) is None


# what a person has to do


def test_a_verdict_that_asks_gives_both_commands() -> None:
    report = render(stories.asked(), {})
    for command in ("evertune promote tumours 4", "evertune reject tumours 4"):
        assert f"```sh\n{command}\n```" in report.markdown
        assert command in Reader(report.html).words


@pytest.mark.parametrize("name", [name for name in stories.EVERY if name != "asked"])
def test_no_other_verdict_asks_for_anything(name: str) -> None:
    assert "evertune promote" not in markdown(stories.EVERY[name]())


def test_a_candidate_that_was_not_registered_cannot_be_promoted() -> None:
    story = stories.asked()
    told = markdown(replace(story, result=replace(story.result, version=None)))
    assert "evertune promote" not in told
    assert "**v3 stays the champion until then.**" in told


def test_a_worn_window_is_warned_of_and_one_that_is_not_is_only_counted() -> None:
    assert "The test rows are worn: they have decided 12 times before, 10 is the limit." in markdown(stories.asked())
    told = markdown(stories.promoted())
    assert "are worn" not in told
    assert "These test rows have decided 3 times before; from 10 on they count as worn." in told
    assert "These test rows decide for the first time." in markdown(replace(stories.promoted(), wear=Wear(0, 10)))


def test_what_the_data_forbids_is_told_once_when_it_is_the_reason() -> None:
    story = stories.forbidden()
    assert not [alert for alert in tell_alerts(story) if alert.tone == "bad"]
    other = replace(story, result=replace(story.result, reason="log_loss is worse"))
    assert [alert.text[:45] for alert in tell_alerts(other) if alert.tone == "bad"] == ["The data forbids a promotion: mean area betwe"]


# conditions


def test_conditions_that_could_not_be_told_stand_between_failed_and_held() -> None:
    told = markdown(stories.kept())
    assert "2 of 4 conditions failed, 1 could not be told from these rows." in told
    assert [row[0] for row in rows_of(told, "")] == ["✕ failed", "✕ failed", "? unsure", "✓ held"]
    unsure = Verdict("ask", "why", (Check("a", True, ""), Check("b", False, "", unsure=True)))
    assert "1 of 2 conditions could not be told from these rows, the others held." in markdown(replace(stories.asked(), verdict=unsure))


# slices


def test_the_worst_slice_comes_first_and_those_too_small_to_judge_last_with_the_reason() -> None:
    story = stories.asked()
    rows = rows_of(markdown(story), "Slice")
    changes = [float(row[4].replace("\u2212", "-")) for row in rows[:3]]
    assert changes == sorted(changes, reverse=True)
    assert [row[5] for row in rows] == ["unclear"] * 3 + [""] * 2
    assert all("fewer than gate.slice_min_rows" in row[6] for row in rows[3:])


def test_for_a_metric_of_which_more_is_better_the_lowest_change_is_the_worst() -> None:
    scores = tuple(SliceScore("a", str(now), 300, now, 0.5, interval(0.5 - now, 0.4 - now, 0.6 - now)) for now in (0.7, 0.2, 0.5))
    grid = tell_slices(replace(evaluated(stories.promoted()), metric="roc_auc", slices=scores))
    assert grid is not None
    assert [(row[0].text, row[5].text) for row in grid.rows] == [("a: 0.2", "worse"), ("a: 0.5", "unclear"), ("a: 0.7", "better")]


def test_a_hundred_slices_are_cut_to_the_worst() -> None:
    scores = tuple(SliceScore("a", str(k), 300, k / 100, 0.5, interval(k / 100 - 0.5, -1, 1)) for k in range(100))
    grid = tell_slices(replace(evaluated(stories.promoted()), slices=scores))
    assert grid is not None
    assert grid.title == "log_loss by slice (the first 20 of 100)"
    assert [row[0].text for row in grid.rows[:2]] == ["a: 99", "a: 98"]


def test_slices_of_the_first_version_are_told_without_a_rival() -> None:
    assert "| Slice | Rows | Challenger |  |" in markdown(stories.first())


# why the score moved


def moved(metric: str, data: float, settings: float, noise: float) -> str:
    story = stories.promoted()
    loss = METRICS[metric].loss
    found = Attribution(loss(0.5), loss(0.5) + data, loss(0.5) + settings, loss(0.5) + data + settings, data, settings, noise)
    chapter = tell_movement(replace(story, attribution=found, evaluation=replace(evaluated(story), metric=metric)))
    assert chapter is not None
    return " ".join((*chapter.sentences, *(cell.text for row in chapter.grids[0].rows for cell in row)))


def test_each_effect_has_the_metrics_own_sign_and_a_word() -> None:
    assert "log_loss: data +0.004 (worse), settings \u22120.011 (better), noise 0.002." in moved("log_loss", 0.004, -0.011, 0.002)
    assert "roc_auc: data +0.004 (better), settings \u22120.011 (worse), noise 0.002." in moved("roc_auc", -0.004, 0.011, 0.002)
    assert "old settings 0.5000 0.5040 new settings 0.4890 0.4930" in moved("roc_auc", -0.004, 0.011, 0.002)


def test_what_is_within_twice_the_noise_may_be_chance() -> None:
    told = moved("log_loss", 0.004, -0.011, 0.003)
    assert "What new settings did is more than twice the noise." in told
    assert "What new data did is less than twice the noise, and may be chance." in told
    assert "do not tell how much of it is noise" in moved("log_loss", 0.004, -0.011, NAN)


def test_the_same_settings_did_nothing() -> None:
    told = markdown(stories.kept())
    assert "settings 0, noise" in told
    assert "new settings did" not in told


# in use


def test_golden_rows_answered_wrongly_are_shown_and_those_answered_rightly_counted() -> None:
    told = markdown(stories.kept())
    assert "3 of 5 golden rows are answered rightly." in told
    assert rows_of(told, "Row") == [["1", "malignant", "benign"], ["2", "benign", "malignant"]]


def test_churn_is_a_share_of_rows_with_classes_and_of_the_spread_without() -> None:
    assert "1.6 % of the test rows get another answer than from the champion." in markdown(stories.promoted())
    assert "Answers differ from the champion's by 31 % of the spread of its answers, on average." in markdown(stories.asked())


def test_what_was_not_measured_is_not_told() -> None:
    story = stories.promoted()
    bare = replace(evaluated(story), churn=None, golden=(), cost=None)
    assert tell_service(replace(story, evaluation=bare)) is None
    one = replace(bare, golden=(GoldenRow(1, "a", "a", True),))
    chapter = tell_service(replace(story, evaluation=one))
    assert chapter is not None
    assert chapter.sentences == ("1 of 1 golden row is answered rightly.",)
