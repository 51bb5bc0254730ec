"""Plots show what scikit-learn, pandas and numpy say, and are SVG that may stand inside any page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from xml.etree.ElementTree import Element, fromstring

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import auc, confusion_matrix, precision_recall_curve, precision_score, recall_score, roc_auc_score, roc_curve

from tasks.records import Attribution, Floats, Interval, PastScore, SliceScore, Trial
from tasks.reports.plots import plots
from tasks.reports.plots.binary import calibration_line, precision_line, roc_line
from tasks.reports.plots.decisions import lift_line, threshold_lines, threshold_rows
from tasks.reports.plots.drawing import decimals, spread, thin
from tasks.reports.plots.drift import bin_names, ranked_columns
from tasks.reports.plots.multiclass import count_pairs, frequent
from tasks.reports.plots.regression import quantiles_along
from tasks.reports.plots.retrains import effects, scores_by_retrain
from tasks.reports.plots.search import best_so_far, limits, worst_shown
from tasks.reports.plots.slices import slice_lines
from tasks.reports.plots.timeline import Bar, bars_of, sort_lanes
from tests import stories
from tests.scores import evaluated, noisy
from tests.searches import make_search

SVG = "{http://www.w3.org/2000/svg}"
BINARY, MULTICLASS, REGRESSION = (
    {"roc", "precision_recall", "calibration", "lift", "thresholds"},
    {"confusion", "classes"},
    {"residuals", "residual_distribution"},
)
ALWAYS = {"search_history", "importance"}
SEARCHED = {"parallel", "parameter_importance", "learning_curves", "parameter_slices", "timeline"}
COMPARED = {"slices", "drift", "score_history", "attribution"}


def elements(svg: str) -> Iterator[Element]:
    return fromstring(svg).iter()


# what is drawn


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("promoted", ALWAYS | BINARY | COMPARED),
        ("multiclass", ALWAYS | MULTICLASS | COMPARED),
        ("regression", ALWAYS | REGRESSION | COMPARED),
        ("first", ALWAYS | BINARY),
        ("searched", ALWAYS | SEARCHED | BINARY | COMPARED),
        ("families", ALWAYS | SEARCHED | BINARY | COMPARED),
        ("kept", {"importance"} | BINARY | COMPARED),
        ("asked", ALWAYS | REGRESSION | COMPARED),
        ("forbidden", ALWAYS | BINARY | COMPARED),
        ("unchanged", set()),
        ("data_rejected", set()),
    ],
)
def test_a_story_gets_the_plots_it_has_something_to_show_in(name: str, drawn: set[str]) -> None:
    assert set(plots(stories.EVERY[name]())) == drawn


def test_one_class_in_the_test_rows_draws_no_curve_and_breaks_nothing() -> None:
    assert plots(evaluated("binary", np.ones(50), np.linspace(0, 1, 50))) == {}


def test_predictions_that_are_not_numbers_are_not_drawn(caplog: pytest.LogCaptureFixture) -> None:
    truth, prediction = noisy(200)
    bad = np.where(np.arange(200) == 7, np.nan, prediction)
    assert plots(evaluated("binary", truth, bad)) == {}
    assert plots(evaluated("regression", truth, bad)) == {}
    assert set(plots(evaluated("binary", truth, prediction, bad))) == BINARY
    assert not caplog.records


def test_a_champion_is_a_dashed_line_beside_the_challenger() -> None:
    truth, prediction = noisy()
    alone = plots(evaluated("binary", truth, prediction))["roc"]
    both = plots(evaluated("binary", truth, prediction, prediction**2))["roc"]
    assert "champion" not in alone
    assert "champion" in both
    assert "stroke-dasharray" in both


def test_a_plot_that_fails_is_logged_and_costs_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    story = evaluated("binary", *noisy())
    story = replace(story, importance={"a": "much"})  # type: ignore[dict-item]
    assert set(plots(story)) == BINARY
    assert "draw_importance failed" in caplog.text


# figures


def test_the_roc_line_is_scikit_learns() -> None:
    truth, prediction = noisy()
    false, true, _ = roc_curve(truth, prediction, drop_intermediate=False)
    np.testing.assert_allclose(roc_line(truth, prediction), (false, true))


def test_the_precision_line_is_scikit_learns() -> None:
    truth, prediction = noisy()
    precision, recall, _ = precision_recall_curve(truth, prediction)
    np.testing.assert_allclose(precision_line(truth, prediction), (recall[-2::-1], precision[-2::-1]))


def test_the_calibration_line_is_scikit_learns() -> None:
    random = np.random.default_rng(1)
    prediction = random.random(3000)
    truth = (random.random(3000) < prediction**2).astype(float)
    happened, said = calibration_curve(truth, prediction, n_bins=10, strategy="quantile")
    np.testing.assert_allclose(calibration_line(truth, prediction), (said, happened))


def test_a_model_that_always_says_the_same_has_one_calibration_point() -> None:
    said, happened = calibration_line(np.array([0.0, 1, 1, 1] * 20), np.full(80, 0.5))
    assert (said.tolist(), happened.tolist()) == ([0.5], [0.75])


def test_the_roc_line_on_the_sheet_has_scikit_learns_area() -> None:
    truth, prediction = noisy(28_000)
    x, y = read_line(plots(evaluated("binary", truth, prediction))["roc"], (-0.01, 1.01), (-0.01, 1.02))
    assert auc(x, y) == pytest.approx(roc_auc_score(truth, prediction), abs=0.003)


def read_line(svg: str, x_limits: tuple[float, float], y_limits: tuple[float, float]) -> tuple[Floats, Floats]:
    """The challenger's line, from px on the sheet back to its own numbers."""
    sheet = next(element for element in elements(svg) if element.tag == f"{SVG}rect")
    left, top, width, height = (float(sheet.attrib[key]) for key in ("x", "y", "width", "height"))
    lines = [e.attrib["d"] for e in elements(svg) if e.tag == f"{SVG}path" and "challenger" in e.get("style", "") and e.get("clip-path")]
    px = np.array(re.findall(r"-?[\d.]+", lines[0]), dtype=float).reshape(-1, 2).T
    x = x_limits[0] + (px[0] - left) / width * (x_limits[1] - x_limits[0])
    return x, y_limits[1] - (px[1] - top) / height * (y_limits[1] - y_limits[0])


def test_a_thinned_line_keeps_its_ends_and_its_area() -> None:
    truth, prediction = noisy(20_000)
    prediction = prediction + np.random.default_rng(2).random(20_000) / 100
    x, y = thin(*roc_line(truth, prediction))
    assert len(x) <= 240
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert auc(x, y) == pytest.approx(roc_auc_score(truth, prediction), abs=1e-3)


def test_pairs_are_counted_as_scikit_learn_counts_them() -> None:
    random = np.random.default_rng(0)
    truth, said = random.integers(0, 7, 500).astype(float), random.integers(0, 7, 500).astype(float)
    np.testing.assert_array_equal(count_pairs(truth, said, frequent(truth, 7)), confusion_matrix(truth, said, labels=range(7)))


def test_rare_classes_beyond_twenty_are_counted_together() -> None:
    random = np.random.default_rng(0)
    truth, said = (random.zipf(1.4, 3000).clip(1, 60).astype(float) - 1 for _ in range(2))
    kept = frequent(truth, 60)
    matrix, whole = count_pairs(truth, said, kept), confusion_matrix(truth, said, labels=range(60))
    assert matrix.shape == (20, 20)
    assert matrix.sum() == 3000
    np.testing.assert_array_equal(matrix[:-1, :-1], whole[np.ix_(kept, kept)])
    assert min(whole[kept].sum(axis=1)) >= max(np.delete(whole, kept, axis=0).sum(axis=1))


def test_recall_by_class_is_scikit_learns() -> None:
    story = stories.promoted("multiclass")
    assert story.evaluation is not None
    svg = plots(replace(story, evaluation=replace(story.evaluation, champion_prediction=None)))["classes"]
    sheet = next(element for element in elements(svg) if element.tag == f"{SVG}rect")
    dots = [e.attrib["d"] for e in elements(svg) if "stroke-linecap: round" in e.get("style", "")]
    px = np.array(re.findall(r"M (-?[\d.]+) (-?[\d.]+)", dots[0]), dtype=float)
    recall = recall_score(story.evaluation.truth, story.evaluation.prediction.argmax(axis=1), average=None)
    assert np.corrcoef(px[:, 0], recall)[0, 1] > 0.9999
    assert np.all(np.diff(px[:, 1]) > 0)
    assert px[:, 0].max() < float(sheet.attrib["x"]) + float(sheet.attrib["width"])


def test_quantiles_along_the_prediction_are_those_of_equal_bins() -> None:
    random = np.random.default_rng(0)
    prediction = random.permutation(1200).astype(float)
    residual = random.normal(size=1200)
    groups = pd.Series(residual).groupby(pd.qcut(prediction, 12, labels=False))
    middles, quantiles = quantiles_along(prediction, residual, (0.1, 0.5))
    np.testing.assert_allclose(quantiles, np.column_stack([groups.quantile(0.1), groups.quantile(0.5)]))
    np.testing.assert_allclose(middles, 49.5 + 100 * np.arange(12))


def test_the_best_so_far_never_gets_worse() -> None:
    values = np.random.default_rng(0).random(50)
    np.testing.assert_array_equal(best_so_far(values, greater=False), pd.Series(values).cummin())
    np.testing.assert_array_equal(best_so_far(values, greater=True), pd.Series(values).cummax())


def test_a_search_of_one_value_is_not_worth_a_plot() -> None:
    story = stories.promoted()
    assert story.search is not None
    assert "search_history" not in plots(replace(story, search=replace(story.search, trials=story.search.trials[:1])))


def test_features_without_any_gain_are_not_drawn() -> None:
    svg = plots(replace(stories.promoted(), importance={"distance": 1.0, "unused": 0.0}))["importance"]
    assert "distance" in svg
    assert "unused" not in svg
    assert "the first 1 of 2 features" in svg


@pytest.mark.parametrize("greater", [False, True])
def test_one_hopeless_trial_does_not_flatten_the_others(greater: bool) -> None:
    values = np.append(np.linspace(0.4, 0.5, 30), 1e6 * (-1 if greater else 1))
    assert 0.3 < worst_shown(values, greater) < 0.6


@pytest.mark.parametrize(("ticks", "finest"), [((0, 50, 100), 0), ((0, 0.25, 0.5), 2), ((0.4, 0.405, 0.41), 3), ((0, 1e-12), 9)])
def test_ticks_get_as_many_decimals_as_tell_them_apart(ticks: tuple[float, ...], finest: int) -> None:
    assert decimals(np.array(ticks)) == finest


def test_a_few_of_many_are_spread_from_the_first_to_the_last() -> None:
    assert spread(10_000, 5).tolist() == [0, 2499, 4999, 7499, 9999]
    assert spread(3, 5).tolist() == [0, 1, 2]
    assert spread(0, 5).tolist() == []


@pytest.mark.parametrize("values", [(0.5, 0.4), (0.5, 0.5, 0.5), (float("inf"), 0.4, 0.3), (0.0, 0.0)])
def test_a_search_of_hardly_anything_is_drawn(values: tuple[float, ...], caplog: pytest.LogCaptureFixture) -> None:
    story = stories.promoted()
    assert story.search is not None
    trials = tuple(Trial(number, "finished", {}, value, (value,), 1.0) for number, value in enumerate(values))
    assert "search_history" in plots(replace(story, search=replace(story.search, trials=trials, best=trials[-1])))
    assert not caplog.records


# searches


@pytest.mark.parametrize("count", [1, 2, 20, 500])
@pytest.mark.parametrize("families", [1, 2])
def test_searches_of_every_size_are_drawn_without_a_word_and_bearably_small(
    count: int, families: int, caplog: pytest.LogCaptureFixture
) -> None:
    drawn = plots(replace(stories.promoted(), search=make_search(count, families), evaluation=None))
    assert not caplog.records
    assert sum(map(len, drawn.values())) < 300_000
    assert {"learning_curves", "timeline"} <= set(drawn)
    assert ("parallel" in drawn) == ("search_history" in drawn) == (count > 1)
    assert ("parameter_slices" in drawn) == (count >= 20)


def test_the_same_search_is_the_same_picture() -> None:
    first, second = (plots(stories.searched(30)) for _ in range(2))
    assert first == second


def test_a_search_of_which_little_was_noted_is_drawn_as_far_as_it_goes(caplog: pytest.LogCaptureFixture) -> None:
    drawn = plots(replace(stories.promoted(), search=make_search(40, bare=True), evaluation=None))
    assert set(drawn) == ALWAYS | {"parallel", "parameter_importance", "parameter_slices"} | COMPARED - {"slices"}
    assert not caplog.records


@pytest.mark.parametrize("greater", [False, True])
def test_the_best_score_is_always_on_the_sheet(greater: bool) -> None:
    values = np.array([0.4, 0.5, 0.6, 40.0])
    low, high = limits(values, greater)
    assert low < (values.max() if greater else values.min()) < high
    assert limits(np.array([0.5, 0.5]), greater)[0] < 0.5 or greater


def test_an_end_of_the_range_is_marked_in_the_slices_only_where_the_chosen_value_lies_there() -> None:
    search = make_search(40)
    assert search.chosen is not None
    inside = replace(search.chosen, choices={**search.chosen.choices, "learning_rate": 0.08, "lambda_l2": 1.0, "min_data_in_leaf": 20})
    outside = replace(inside, choices={**inside.choices, "learning_rate": 0.3})
    marked = []
    for trial in (inside, outside):
        trials = tuple(trial if one.number == trial.number else one for one in search.trials)
        svg = plots(replace(stories.promoted(), search=replace(search, trials=trials, chosen=trial)))["parameter_slices"]
        marked.append(svg.count("var(--bad"))
    assert marked[1] == marked[0] + 1


def test_a_bar_a_fit_on_its_workers_lane() -> None:
    search = make_search(30)
    lanes = sort_lanes(bars_of(search))
    fits = [score for trial in search.trials for score in trial.scores]
    assert [name for name in lanes if name.startswith("worker")] == ["worker 1", "worker 2"]
    for name in ("worker 1", "worker 2"):
        there = {round(bar.start, 6) for bar in lanes[name]}
        assert {round(score.started, 6) for score in fits if score.worker == name} <= there


def test_a_bar_without_a_worker_goes_where_nothing_else_happens() -> None:
    bars = [Bar(0, 2, "finished"), Bar(1, 3, "pruned"), Bar(2, 4, "failed")]
    assert list(sort_lanes(bars).values()) == [[bars[0], bars[2]], [bars[1]]]


def test_trials_of_an_earlier_process_are_not_on_the_timeline() -> None:
    search = make_search(10)
    assert len(bars_of(replace(search, resumed=4))) < len(bars_of(search))
    assert bars_of(replace(search, resumed=10)) == []


# thresholds


def test_thresholds_bring_what_scikit_learn_says() -> None:
    truth, prediction = noisy()
    for row in threshold_rows(truth, prediction, (0.1, 0.35, 0.8)):
        called = prediction >= row.threshold
        assert row.precision == pytest.approx(precision_score(truth, called))
        assert row.recall == pytest.approx(recall_score(truth, called))
        assert row.flagged == pytest.approx(called.mean())


def test_a_threshold_that_no_row_reaches_has_no_precision() -> None:
    (row,) = threshold_rows(np.array([0.0, 1.0]), np.array([0.2, 0.3]), (0.9,))
    assert np.isnan(row.precision)
    assert (row.flagged, row.recall) == (0, 0)


def test_the_lines_over_thresholds_are_scikit_learns() -> None:
    truth, prediction = noisy()
    precision, recall, thresholds = precision_recall_curve(truth, prediction)
    found = threshold_lines(truth, prediction)
    np.testing.assert_allclose(found[0], thresholds)
    np.testing.assert_allclose(found[1], precision[:-1])
    np.testing.assert_allclose(found[2], recall[:-1])
    np.testing.assert_allclose(found[3], [(prediction >= threshold).mean() for threshold in thresholds])


def test_lift_is_precision_over_the_share_of_positives_and_ends_at_one() -> None:
    truth, prediction = noisy()
    flagged, lift = lift_line(truth, prediction)
    for share, times in zip(flagged[::20], lift[::20], strict=True):
        first = prediction >= np.sort(prediction)[::-1][round(share * len(truth)) - 1]
        assert times == pytest.approx(truth[first].mean() / truth.mean())
    assert (flagged[-1], lift[-1]) == pytest.approx((1, 1))


# slices, drift, retrains


def interval(difference: float, reach: float) -> Interval:
    return Interval(difference, difference - reach, difference + reach, reach / 2, 0.95, 20)


def test_a_slice_is_coloured_by_what_its_interval_shows() -> None:
    story = stories.promoted()
    assert story.evaluation is not None
    slices = (
        SliceScore("shop", "north", 500, 0.4, 0.5, interval(-0.1, 0.02)),
        SliceScore("shop", "south", 500, 0.5, 0.4, interval(0.1, 0.02)),
        SliceScore("shop", "west", 500, 0.5, 0.5, interval(0.001, 0.02)),
        SliceScore("shop", "tiny", 3, 0.5, 0.3, None, "3 rows are fewer than gate.slice_min_rows"),
        SliceScore("shop", "new", 3, 0.5, None, None),
    )
    lines = slice_lines(replace(story.evaluation, slices=slices))
    assert [line.side for line in lines] == ["better", "worse", "open", "not judged"]
    assert lines[3].difference == pytest.approx(0.2)


def test_of_very_many_slices_those_that_differ_most_are_drawn_and_the_note_says_so() -> None:
    story = stories.promoted()
    assert story.evaluation is not None
    slices = tuple(SliceScore("day", f"d{k}", 500, 0.4, 0.4, interval(k / 1000, 0.02)) for k in range(60))
    svg = plots(replace(story, evaluation=replace(story.evaluation, slices=slices)))["slices"]
    assert "the 24 of 60 that differ most" in svg
    assert "day: d59" in svg
    assert "day: d20" not in svg


def test_slices_of_hostile_names_are_text() -> None:
    story = stories.promoted()
    assert story.evaluation is not None
    hostile = "<script>alert(1)</script>$x^2$\\frac\n&amp;"
    slices = (SliceScore(hostile, hostile, 500, 0.4, 0.5, interval(-0.1, 0.02)),)
    svg = plots(replace(story, evaluation=replace(story.evaluation, slices=slices)))["slices"]
    assert "<script" not in svg
    assert any("<script>" in (element.text or "") for element in elements(svg))


def test_columns_are_ranked_by_their_index_the_target_among_them() -> None:
    story = stories.promoted()
    assert story.drift is not None
    ranked = ranked_columns(story.drift)
    assert len(ranked) == len(story.drift.columns) + 1
    assert [drift.index for drift in ranked] == sorted((drift.index for drift in ranked), reverse=True)
    assert ranked_columns(None) == []


def test_every_bin_has_a_name() -> None:
    story = stories.promoted()
    assert story.drift is not None
    for drift in ranked_columns(story.drift):
        names = bin_names(drift.now)
        assert len(names) == len(drift.now.shares)
        assert names[-1] == "missing"
    numeric = next(drift.now for drift in ranked_columns(story.drift) if drift.now.kind == "number")
    assert bin_names(numeric)[0].startswith("up to ")


def test_drift_between_other_bins_is_not_drawn(caplog: pytest.LogCaptureFixture) -> None:
    story = stories.promoted()
    assert story.drift is not None
    first = story.drift.columns[0]
    odd = replace(first, index=9.0, before=replace(first.before, shares=first.before.shares[:-1]))
    assert "drift" not in plots(replace(story, drift=replace(story.drift, columns=(odd,))))
    assert "must be of the same bins" in caplog.text


def past(as_of: str, value: float | None, verdict: str = "kept", metric: str = "log_loss", run: str = "") -> PastScore:
    return PastScore(as_of, verdict, "2", metric, value, 0.5, run)


def test_scores_over_retrains_end_with_this_one_and_leave_out_other_metrics() -> None:
    story = stories.promoted()
    found = scores_by_retrain(
        replace(
            story,
            past=(past("2013-07-01", 0.4), past("2013-08-01", 0.4, metric="brier"), past("2013-09-01", None), past("2013-10-01", 0.7)),
        )
    )
    assert [score.as_of[:10] for score in found] == ["2013-07-01", "2013-10-01"]
    assert found[-1].challenger == story.result.metric["challenger"]


def test_one_retrain_has_no_history_and_two_hundred_have_the_last_sixty() -> None:
    story = stories.promoted()
    assert "score_history" not in plots(replace(story, past=()))
    many = tuple(past(f"{1813 + k}-10-01", 0.4 + k / 1000, "promoted" if k % 3 else "kept") for k in range(199))
    svg = plots(replace(story, past=many))["score_history"]
    assert "1952-10-01" not in svg
    assert "2013-10-01" in svg
    assert len(svg) < 40_000


def test_the_effects_add_up_to_the_whole_and_without_figures_nothing_is_drawn() -> None:
    attribution = Attribution(0.5, 0.46, 0.49, 0.45, -0.04, -0.01, 0.004)
    assert dict(effects(attribution))["together"] == pytest.approx(attribution.new_settings_new_data - attribution.old_settings_old_data)
    story = stories.promoted()
    assert "attribution" not in plots(replace(story, attribution=replace(attribution, data=float("nan"))))
    svg = plots(replace(story, attribution=attribution))["attribution"]
    assert all(text in svg for text in ("new data", "new settings", "together"))
