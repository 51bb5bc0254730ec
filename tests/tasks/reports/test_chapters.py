"""The report tells what happened and only that, the same in HTML and in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.records import Report, Result, Search, Story, Suspect
from tasks.reporting import render, write_report
from tasks.reports.chapters import compose_page
from tasks.reports.chapters.page import Grid
from tasks.wording import clean, escape_markdown
from tests import stories
from tests.reading import Reader, rows_of

JUDGED = ("Gate", "Scores", "Why the score moved", "In use")
LAST = ("Across retrains", "Cost", "Where to look")


@cache
def write(name: str) -> Report:
    return tell(stories.EVERY[name]())


def tell(story: Story) -> Report:
    """The report without its plots, which take nine tenths of the time."""
    return render(story, {})


def texts(value: Any, brief: bool) -> Iterator[str]:
    """Every text of a page, but for the names of plots; of a table with a line that stands for it either that line or the table."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from texts(item, brief)
    elif isinstance(value, Grid) and value.brief and brief:
        yield value.brief
    elif is_dataclass(value):
        for item in fields(value):
            if item.name not in {"tone", "plots", "config", "brief"}:
                yield from texts(getattr(value, item.name), brief)


@pytest.mark.parametrize(
    ("name", "word", "meaning"),
    [
        ("promoted", "Promoted", "tumours v4 is the champion now"),
        ("first", "Promoted", "tumours v1 is the champion now"),
        ("kept", "Champion kept", "tumours v3 stays the champion"),
        ("asked", "Undecided", "tumours v4 waits for your decision; v3 stays the champion until then"),
        ("unchanged", "Unchanged", "tumours v3 stays the champion"),
        ("data_rejected", "Data rejected", "tumours v3 stays the champion"),
        ("failed", "Failed", "tumours v3 stays the champion"),
    ],
)
def test_the_banner_says_the_verdict_and_what_is_live_now(name: str, word: str, meaning: str) -> None:
    report = write(name)
    assert f"{word} {meaning}" in Reader(report.html).words
    assert report.markdown.startswith(f"# tumours, as of 1 October 2013: {word}\n\n**{meaning}.**")


@pytest.mark.parametrize(
    ("name", "chapters"),
    [
        ("promoted", [*JUDGED, "Tuning", "Data", "Drift", *LAST[:2], "How to undo", LAST[2]]),
        ("searched", [*JUDGED, "Tuning", "Data", "Drift", *LAST[:2], "How to undo", LAST[2]]),
        ("first", ["Gate", "Scores", "In use", "Tuning", "Data", "Cost", "How to undo", "Where to look"]),
        ("kept", [*JUDGED, "Tuning", "Data", "Drift", *LAST]),
        ("asked", [*JUDGED, "Tuning", "Data", "Drift", *LAST]),
        ("unchanged", ["Data", "Cost"]),
        ("data_rejected", ["Data", "Cost", "Where to look"]),
        ("failed", ["Tuning", "Data", "Drift", "Across retrains", "Cost"]),
    ],
)
def test_what_did_not_happen_has_no_chapter(name: str, chapters: list[str]) -> None:
    report = write(name)
    assert re.findall(r"<h2>(.*?)</h2>", report.html) == chapters
    assert re.findall(r"^## (.*)$", report.markdown, re.MULTILINE) == chapters


@pytest.mark.parametrize("name", stories.EVERY)
def test_markdown_and_html_tell_the_same(name: str) -> None:
    story, report = stories.EVERY[name](), write(name)
    html = Reader(report.html).words
    for text in texts(compose_page(story), brief=False):
        assert clean(text) in html
    commands = compose_page(story).banner.commands
    for text in texts(compose_page(story), brief=True):
        assert escape_markdown(text) in report.markdown or text in {command for _, command in commands}


def test_a_skipped_branch_is_told_with_its_reason() -> None:
    words = Reader(write_report(stories.kept()).html).words
    assert "Skipped: tuning.when is never; the champion's settings are used." in words
    assert "Tuning skipped settings reused" in words
    assert "Search history" not in words


def test_the_search_is_told_with_its_counts_its_end_and_its_best_trial() -> None:
    markdown = write("promoted").markdown
    assert "20 trials (15 finished, 4 pruned, 1 failed) in 41 s, stopped by 20 trials. Best: trial 18 with log_loss 0.1135" in markdown
    assert "| 7 | LightGBMError: Check failed: (num_leaves) &gt; (1) |" in markdown


def test_settings_that_differ_from_the_champions_come_first_and_are_marked() -> None:
    rows = rows_of(write("promoted").markdown, "Setting")
    assert rows[0] == ["learning_rate", "**0.08123**", "0.05", "changed"]
    assert rows[3] == ["reg_lambda", "**0.0001234**", "–", "changed"]  # noqa: RUF001
    assert rows[4] == ["min_child_samples", "20", "20", ""]


def test_settings_of_another_family_are_not_compared() -> None:
    story = replace(stories.promoted(), family="xgboost")
    assert rows_of(tell(story).markdown, "Setting")[0] == ["learning_rate", "0.08123"]


@pytest.mark.parametrize(
    ("metric", "now", "before", "word"),
    [
        ("log_loss", 0.4, 0.5, "better"),
        ("log_loss", 0.5, 0.4, "worse"),
        ("roc_auc", 0.5, 0.4, "better"),
        ("roc_auc", 0.4, 0.5, "worse"),
        ("roc_auc", 0.5, 0.5, "as good"),
    ],
)
def test_the_better_side_is_marked_in_the_metrics_own_direction(metric: str, now: float, before: float, word: str) -> None:
    story = stories.promoted()
    assert story.evaluation is not None
    evaluation = replace(story.evaluation, metric=metric, challenger={metric: now}, champion={metric: before})
    row = rows_of(tell(replace(story, evaluation=evaluation)).markdown, "Metric")[0]
    assert row[-1] == word
    assert ["**" in cell for cell in row[1:3]] == [word == "better", word == "worse"]


def test_it_says_with_whom_the_challenger_was_compared_and_on_how_many_rows() -> None:
    assert "The challenger alone, on 190 rows that it was not trained on." in write("first").markdown
    assert (
        "The challenger, this retrain's model, against champion v3 on rows that neither has seen (190 rows)." in write("promoted").markdown
    )
    story = stories.promoted()
    assert story.evaluation is not None
    stand_in = replace(story.evaluation, compared_with="stand-in", note="only 12 rows are newer")
    markdown = tell(replace(story, evaluation=stand_in)).markdown
    assert "The challenger against a stand-in (190 rows): only 12 rows are newer." in markdown
    assert "| Metric | Challenger | Stand-in |" in markdown


def test_a_reason_of_several_lines_becomes_one_sentence() -> None:
    story = stories.data_rejected()
    result = replace(story.result, reason="rows.csv: 2 critical checks failed\n  enough rows: got 3\n  area: 31 missing")
    markdown = tell(replace(story, result=result)).markdown
    assert "rows.csv: 2 critical checks failed: enough rows: got 3; area: 31 missing\n" in markdown


def test_a_champion_that_could_not_be_scored_is_not_said_to_have_been() -> None:
    story = stories.promoted()
    assert story.evaluation is not None
    alone = replace(story.evaluation, champion={}, champion_prediction=None, note="the champion could not be scored: its file is gone")
    markdown = tell(replace(story, evaluation=alone)).markdown
    assert "The challenger alone, on 190 rows that it was not trained on; the champion could not be scored: its file is gone." in markdown


def test_failed_checks_come_first_with_rows_and_examples_and_critical_before_warning() -> None:
    report = write("data_rejected")
    checks = rows_of(report.markdown, "Check")
    assert [(row[1], row[2]) for row in checks] == [("mean area", "critical"), ("mean radius", "warning")]
    assert checks[0][3] == "stop"
    assert checks[0][6:] == ["31", "row 17, row 40"]
    assert "2 of 3 checks failed (1 critical, 1 warning). Mend the data at its source" in report.markdown


def test_leakage_suspects_are_told_right_under_the_banner() -> None:
    story = stories.kept()
    assert story.table is not None
    table = replace(story.table, suspects=(Suspect("dep_delay", "alone it has AUC 0.98", 0.96),))
    report = tell(replace(story, table=table))
    words = Reader(report.html).words
    assert words.index("Leakage suspected: dep_delay.") < words.index("Started")
    assert "| dep_delay | 0.9600 | alone it has AUC 0.98 |" in report.markdown


def test_rows_are_told_from_what_was_read_to_what_was_tested_on() -> None:
    rows = rows_of(write("promoted").markdown, "Rows")
    assert [(row[0], row[1]) for row in rows] == [
        ("read", "599"),
        ("later than the as-of date (left out)", "18"),
        ("without a label (left out)", "12"),
        ("used", "569"),
        ("to train on", "379"),
        ("to test on", "190"),
    ]


def test_time_that_no_stage_accounts_for_is_told_too() -> None:
    rows = rows_of(write("promoted").markdown, "Stage")
    assert [row[0] for row in rows] == [*(name for name in stories.SECONDS if name != "total"), "between the stages"]
    assert rows[-1][1] == "25 s"


def test_undoing_names_the_version_to_go_back_to_and_the_command() -> None:
    markdown = tell(replace(stories.promoted(), undo="")).markdown
    assert "This makes version 3 the champion again" in markdown
    assert "```sh\nevertune rollback tumours\n```" in markdown
    assert "No earlier version is there to go back to" in write("first").markdown
    assert "```sh\nevertune rollback other\n```" in tell(replace(stories.promoted(), undo="evertune rollback other")).markdown


def test_a_model_whose_name_a_shell_would_read_is_quoted_in_commands() -> None:
    story = stories.asked()
    markdown = tell(replace(story, result=replace(story.result, model="my; model"))).markdown
    assert "```sh\nevertune promote 'my; model' 4\n```" in markdown


def test_a_story_of_almost_nothing_has_a_page() -> None:
    story = stories.promoted()
    report = write_report(Story(Result("failed", "no such file: rows.csv", "tumours", "2013-10-01"), "", story.started, ""))
    assert "Failed there is no champion yet no such file: rows.csv" in Reader(report.html).words
    assert report.plots == {}


def test_a_search_without_a_best_and_odd_numbers_are_told() -> None:
    story = stories.promoted()
    assert story.evaluation is not None
    scores = {"log_loss": float("nan"), "roc_auc": float("inf"), "mine": np.float64(3)}
    evaluation = replace(story.evaluation, challenger=scores, champion={"log_loss": 0.5})
    search = Search("log_loss", (), None, "the clock", 0.0)
    markdown = tell(replace(story, evaluation=evaluation, search=search)).markdown
    assert "0 trials (none) in 0.00 s, stopped by the clock." in markdown
    assert "not a number" in markdown
    assert "∞" in markdown


def test_newest_row_is_told_when_there_is_a_time_column() -> None:
    story = stories.promoted()
    assert story.table is not None
    frame = pd.DataFrame({"time": pd.to_datetime(["2013-09-30T05:00Z", "2013-09-29T05:00Z"])})
    table = replace(story.table, frame=frame, columns=replace(story.table.columns, time="time"))
    assert "| Newest row | 30 September 2013, 05:00 UTC |" in tell(replace(story, table=table, split=None)).markdown


# a search in full


def test_it_is_told_how_was_searched_within_which_limits_and_what_went_into_training() -> None:
    markdown = write("searched").markdown
    assert "in 20 s, stopped by 60 trials. The limits: 60 trials, 10 minutes, 20 failed trials." in markdown
    assert "Search method: tpe, because the space is mixed and the budget small." in markdown
    search = stories.searched().search
    assert search is not None
    share = 100 * search.fit_seconds / search.worker_seconds
    assert f"{share:.0f} % of the workers' time went into training itself" in markdown


def test_the_chosen_trial_is_told_beside_the_best_with_the_reason() -> None:
    search = stories.searched().search
    assert search is not None
    assert search.best is not None
    assert search.chosen is not None
    markdown = write("searched").markdown
    assert f"Best: trial {search.best.number} with log_loss {search.best.value:.4f}" in markdown
    assert f"Trained: trial {search.chosen.number} with log_loss {search.chosen.value:.4f}; {search.choice}." in markdown


def test_the_ten_best_trials_are_in_order_with_the_best_and_the_chosen_one_marked() -> None:
    story = stories.searched()
    assert story.search is not None
    values = sorted(trial.value for trial in story.search.trials if trial.value is not None)[:10]
    rows = rows_of(write("searched").markdown, "Trial")
    assert [row[1].strip("*") for row in rows] == [f"{value:.4f}" for value in values]
    assert [row[-1] for row in rows[:3]] == ["best", "chosen", ""]


def test_a_trained_trial_outside_the_ten_best_is_the_eleventh_row() -> None:
    story = stories.searched()
    assert story.search is not None
    last = max((trial for trial in story.search.trials if trial.value), key=lambda trial: trial.value or 0)
    rows = rows_of(tell(replace(story, search=replace(story.search, chosen=last))).markdown, "Trial")
    assert len(rows) == 11
    assert rows[-1][0] == f"**{last.number}**"


def test_families_and_origins_are_compared_by_their_best() -> None:
    markdown = write("families").markdown
    families = rows_of(markdown, "Family")
    assert {row[0] for row in families} == {"lightgbm", "xgboost"}
    assert families[0][4] <= families[1][4]
    assert sum(int(row[1]) for row in rows_of(markdown, "Settings from")) == 40


def test_one_family_and_one_origin_need_no_comparison() -> None:
    markdown = write("promoted").markdown
    assert "| Family |" not in markdown
    assert "| Settings from |" not in markdown


def test_a_chosen_value_at_the_end_of_its_range_is_said_to_be() -> None:
    story = stories.searched()
    assert story.search is not None
    assert story.search.chosen is not None
    settings = {**story.search.chosen.choices, "learning_rate": 0.3}
    chosen = replace(story.search.chosen, choices=settings, hyperparameters={"learning_rate": 0.3})
    result = replace(story.result, hyperparameters=chosen.hyperparameters)
    markdown = tell(replace(story, search=replace(story.search, chosen=chosen), result=result)).markdown
    row = next(row for row in rows_of(markdown, "Setting") if row[0] == "learning_rate")
    assert row[1] == "**0.3** (at the upper end of 0.02 to 0.3)"


def test_processing_that_was_chosen_stands_among_the_settings() -> None:
    assert {"features.rare", "use.weather"} <= {row[0] for row in rows_of(write("searched").markdown, "Setting")}


def test_what_the_decision_rests_on_is_told_seconds_as_time() -> None:
    rows = rows_of(write("searched").markdown, "Figure")
    assert rows == [["probe gain", "0.0021"], ["noise", "0.0008"], ["saved seconds", "0.00 s"]]


def test_resumed_trials_and_what_became_of_memory_are_told() -> None:
    story = stories.searched()
    assert story.search is not None
    many = tuple(f"line {number}" for number in range(30))
    markdown = tell(replace(story, search=replace(story.search, resumed=7, memory=many))).markdown
    assert "7 trials of them an earlier process of this retrain had finished." in markdown
    assert "| line 11 |\n| and 18 more |" in markdown


def test_failures_are_grouped_by_what_they_said() -> None:
    rows = rows_of(write("searched").markdown, "Trials")
    assert rows == [["14, 44", "took more than 2 GB"], ["29, 59", "died of SIGSEGV"]]
