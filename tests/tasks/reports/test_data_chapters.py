"""The chapters about data and settings: rows that moved, drift, what policies left out, long lists folded, earlier verdicts."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from tasks.records import ColumnDrift, DriftReport, Rewriting, Shares
from tasks.reporting import render
from tasks.reports.chapters.data import say_rewriting
from tasks.reports.chapters.drift import say_both, tell_drift
from tasks.reports.chapters.settings import tell_settings
from tests import stories
from tests.reading import Reader, rows_of

EDGES = (0.0, 10.0, 20.0)


def numbers(*shares: float) -> Shares:
    """Up to 0, to 10, to 20, above, missing."""
    return Shares("age", "number", 1000, shares, edges=EDGES)


def categories(*shares: float) -> Shares:
    return Shares("origin", "category", 1000, shares, values=("EWR", "JFK"))


# drift


@pytest.mark.parametrize(
    ("shares", "median"),
    [
        ((0.0, 0.5, 0.5, 0.0, 0.0), "10"),
        ((0.0, 1.0, 0.0, 0.0, 0.0), "5"),
        ((0.0, 0.2, 0.6, 0.2, 0.0), "15"),
        ((0.0, 0.1, 0.3, 0.1, 0.5), "15"),
        ((0.9, 0.1, 0.0, 0.0, 0.0), "below 0"),
        ((0.0, 0.1, 0.0, 0.9, 0.0), "above 20"),
        ((0.0, 0.0, 0.0, 0.0, 1.0), "–"),  # noqa: RUF001
    ],
)
def test_the_median_lies_where_half_of_the_rows_that_have_a_value_are_below(shares: tuple[float, ...], median: str) -> None:
    assert say_both(numbers(*shares), numbers(*shares))[0] == f"median: {median}"


def test_of_a_category_the_value_is_told_whose_share_changed_most() -> None:
    assert say_both(categories(0.6, 0.3, 0.1, 0.0), categories(0.55, 0.15, 0.3, 0.0)) == ("all others: 10 %", "all others: 30 %")
    assert say_both(categories(0.6, 0.3, 0.1, 0.0), categories(0.2, 0.7, 0.1, 0.0)) == ("EWR: 60 %", "EWR: 20 %")


def test_missing_values_are_told_where_their_share_changed() -> None:
    then, now = say_both(numbers(0, 1.0, 0, 0, 0), numbers(0, 0.8, 0, 0, 0.2))
    assert (then, now) == ("median: 5, missing: 0 %", "median: 5, missing: 20 %")


def test_shares_of_nothing_break_nothing() -> None:
    empty = Shares("a", "category", 0, ())
    assert say_both(empty, empty) == ("all others: –", "all others: –")  # noqa: RUF001
    assert say_both(Shares("a", "number", 0, ()), Shares("a", "number", 0, ())) == ("median: –", "median: –")  # noqa: RUF001


def test_drifted_columns_and_the_target_are_shown_and_the_others_folded() -> None:
    report = render(stories.promoted(), {})
    part = report.markdown[report.markdown.index("## Drift") :]
    assert "2 of 8 columns have drifted: mean radius, clinic." in part
    assert [row[0] for row in rows_of(part, "Column")] == ["benign (the target)", "mean radius", "clinic"]
    assert "<summary>Columns that did not drift (5)</summary>" in part
    assert "Drift: mean radius, clinic, compared with the rows" in Reader(report.html).words


def test_that_nothing_drifted_and_why_nothing_was_compared_are_told() -> None:
    story = stories.promoted()
    still = ColumnDrift("age", numbers(0, 1.0, 0, 0, 0), numbers(0, 1.0, 0, 0, 0), 0.0, 1.0, False)
    chapter = tell_drift(replace(story, drift=DriftReport("champion v3", (still,))))
    assert chapter is not None
    assert chapter.sentences[0] == "Compared with champion v3, none of 1 column has drifted."
    none = replace(story, drift=DriftReport("", note="there is no champion to compare with"))
    assert tell_drift(none) is None
    assert "Drift: there is no champion to compare with." in render(none, {}).markdown


# rows


def test_rows_that_came_late_went_or_were_rewritten_are_counted() -> None:
    assert say_rewriting(None) == ""
    assert say_rewriting(Rewriting("the retrain of 2013-09-01")) == "What the retrain of 2013-09-01 had seen is as it was."
    told = say_rewriting(Rewriting("the retrain of 2013-09-01", late=1, rewritten_days=("2013-08-30",), rewritten_rows=900))
    assert "1 row came late, up to 900 rows were rewritten (2013-08-30)." in told
    assert "gone" not in told


def test_rows_that_policies_left_out_are_counted_and_shown_with_their_keys() -> None:
    told = render(stories.forbidden(), {}).markdown
    assert "| by a policy (left out) | 14 |" in told
    assert "<summary>Rows left out by policy (the first 10 of 14)</summary>" in told
    assert rows_of(told, "Row")[0] == ["7", "clinic is in the set &lt;North, South&gt;", "4000", "28.1", "Hill"]
    assert "| column values to be between | mean radius | warning | drop the rows |" in told
    assert "No model of these rows may go live: mean area between 140 and 2,500" in told


def test_left_out_rows_of_any_kind_of_value_are_shown() -> None:
    story = stories.forbidden()
    assert story.table is not None
    odd = pd.DataFrame({"why": ["x"], "when": [pd.Timestamp("2013-09-01", tz="UTC")], "none": [None], "nan": [float("nan")], "na": [pd.NA]})
    told = render(replace(story, table=replace(story.table, dropped=odd)), {}).markdown
    assert "| 0 | x | 2013-09-01 00:00:00+00:00 | missing | missing | missing |" in told
    assert "Rows left out" not in render(replace(story, table=replace(story.table, dropped=odd.iloc[:0])), {}).markdown


# settings


def test_a_blend_takes_one_line_in_markdown_and_a_column_a_model_on_the_page() -> None:
    report = render(stories.blended(), {})
    assert "A blend of 5 models with 43 settings in all: report.html and best_hyperparameters.json have them." in report.markdown
    assert "| Model 1 |" not in report.markdown
    words = Reader(report.html).words
    assert "Settings of the blend's 5 models Setting Model 1 Model 2 Model 3 Model 4 Model 5" in words
    assert rows_of(report.markdown, "Setting")[0] == ["features.rare", "20"]


def test_many_settings_that_stayed_are_folded_and_those_that_changed_are_not() -> None:
    story = stories.promoted()
    assert story.champion is not None
    same = {f"setting_{number}": number for number in range(20)}
    champion = replace(story.champion, hyperparameters={**same, "learning_rate": 0.05})
    result = replace(story.result, hyperparameters={**same, "learning_rate": 0.08})
    changed, stayed = tell_settings(replace(story, champion=champion, result=result))
    assert (changed.folded, [row[0].text for row in changed.rows]) == (False, ["learning_rate"])
    assert (stayed.folded, len(stayed.rows)) == (True, 20)
    result = replace(story.result, hyperparameters={**same, "learning_rate": 0.05})
    assert [grid.folded for grid in tell_settings(replace(story, champion=champion, result=result))] == [True]


# earlier retrains


def test_verdicts_of_earlier_retrains_stand_under_this_one() -> None:
    told = render(stories.promoted(), {}).markdown
    rows = rows_of(told, "As of")
    assert [row[0] for row in rows[:2]] == ["1 October 2013", "1 September 2013"]
    assert rows[0][1:4] == ["promoted", "v4", "0.1042"]
    assert [row[1] for row in rows[1:]] == ["kept", "promoted", "kept", "ask", "data rejected", "kept", "promoted"]
    assert rows[5][2:4] == ["–", "–"]  # noqa: RUF001
