"""Judging: whom a challenger is compared with beside its own scores, and what the flow tells the stages about them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from configs.schema import RetrainConfig
from tasks.comparisons.costs import measure_cost
from tasks.comparisons.golden import ask_golden
from tasks.comparisons.intervals import paired_interval
from tasks.errors import EvertuneError, TrainingFailed
from tasks.evaluation import Rival
from tasks.explaining import Change, Fit, explain_change, find_change, nothing_to_explain
from tasks.features import build_features
from tasks.models.model import Fitted, Fitting
from tasks.models.recipes import Recipe, read_recipe
from tasks.records import Attribution, Champion, Evaluation, Floats, Rows, Slide, Split, Table
from tasks.registry import champion_predictor
from tasks.targets import queries
from tasks.training import train_model, train_stand_in

log = logging.getLogger("evertune")


def find_rival(champion: Champion | None, table: Table, split: Split, fitting: Fitting) -> Rival | None:
    """What the challenger is compared with: the champion itself where it has seen no test row, else its settings, refitted."""
    if champion is None:
        return None
    if split.unseen:
        note = f"champion v{champion.version} on rows that neither has seen"
        return Rival("champion", note, champion_predictor(champion, fitting.target))
    note = (
        f"champion v{champion.version} has seen rows of the test window: its settings, refitted on the challenger's training rows, stand in"
    )
    try:
        return Rival("stand-in", note, _refit(champion, table, split, fitting).predict)
    except EvertuneError as error:
        return Rival("stand-in", note, _refuse(error))


def ask_refitted(final: Fitted, evaluation: Evaluation, table: Table, split: Split, config: RetrainConfig) -> Evaluation:
    """The same scores, but golden rows and cost of the model that would go live, which was fitted on more rows."""
    cost = measure_cost(final, table.frame.iloc[split.test]) if config.gate.weighs_cost else None
    return replace(evaluation, golden=ask_golden(final, config.gate), cost=cost)


def measure_slide(
    champion: Champion | None,
    anchor: Champion | None,
    evaluation: Evaluation,
    table: Table,
    split: Split,
    config: RetrainConfig,
    fitting: Fitting,
) -> Slide | None:
    """The challenger against the anchor's settings, refitted on the challenger's training rows, on the same test rows.

    The champion's anchor is the last version that was clearly better than the one before it. Each later one may have
    been a little worse, within the margin; together they may have lost more than the margin allows, and no comparison
    with the champion alone would ever see it. None where nothing can have slid (the champion is its own anchor, or has
    its settings), where `gate.slide` is off, and, with a warning, where the anchor's settings train no more.
    """
    if not config.gate.slide or champion is None or anchor is None:
        return None
    if anchor.version == champion.version or anchor.settings == champion.settings:
        return None
    frame, metric = table.frame.iloc[split.test], fitting.metric
    query = queries(table.columns, frame)
    assert evaluation.blocks is not None
    try:
        theirs = np.asarray(_refit(anchor, table, split, fitting).predict(frame), dtype=np.float64)
        interval = paired_interval(
            evaluation.truth, evaluation.prediction, theirs, metric, evaluation.blocks, config.gate.confidence, query
        )
    except Exception as error:  # a library's own error, of whatever class it chose: what is old may fail in any way
        log.warning("a slow slide since v%s cannot be ruled out: %s: %s", anchor.version, type(error).__name__, error, exc_info=error)
        return None
    return Slide(anchor.version, metric.of(evaluation.truth, theirs, query), interval)


def explain(
    champion: Champion | None, evaluation: Evaluation, table: Table, split: Split, recipe: Recipe, config: RetrainConfig, fitting: Fitting
) -> Attribution | None:
    """Why the score moved since the champion; None, and a skipped stage that says why, where there is nothing to tell."""
    change = _change(champion, evaluation, table, split, recipe, config)
    if isinstance(change, str):
        explain_change.skip(change)
        return None
    return explain_change(change, table, split, evaluation, fitting.metric, _fit_plainly(table, fitting))


def _change(
    champion: Champion | None, evaluation: Evaluation, table: Table, split: Split, recipe: Recipe, config: RetrainConfig
) -> Change | str:
    """What changed since the champion, or why there is nothing to explain."""
    if not config.gate.explain:
        return "gate.explain is off"
    if reason := nothing_to_explain(champion, table, evaluation):
        return reason
    assert champion is not None
    try:
        old = _recipe_of(champion)
    except TrainingFailed as error:
        return str(error)
    change = find_change(champion, old, recipe, table, split, config.split.training_window)
    if change.same_settings and change.same_data:
        return f"settings and training rows are those of champion v{champion.version}"
    return change


def _refit(champion: Champion, table: Table, split: Split, fitting: Fitting) -> Fitted:
    """A version's settings, fitted on the challenger's training rows."""
    recipe = _recipe_of(champion)
    features = build_features.plain(table.columns, recipe.features, recipe.model.reads)
    return train_stand_in(table, split.train, features, recipe.model, fitting, recipe.weights)


def _recipe_of(champion: Champion) -> Recipe:
    """The recipe that a version was trained with. Raises TrainingFailed when it is valid no more."""
    try:
        return read_recipe(champion.settings)
    except (KeyError, ValueError) as error:
        raise TrainingFailed(f"the settings of v{champion.version} are valid no more: {type(error).__name__}: {error}") from error


def _refuse(error: EvertuneError) -> Callable[[Any], Floats]:
    """A prediction that fails as the fit before it did, where failing becomes a note and promotes nothing."""

    def predict(_: Any) -> Floats:
        raise error

    return predict


def _fit_plainly(table: Table, fitting: Fitting) -> Fit:
    """Fits inside another stage, none of their own."""

    def fit(recipe: Recipe, rows: Rows) -> Callable[[Any], Floats]:
        features = build_features.plain(table.columns, recipe.features, recipe.model.reads)
        return train_model.plain(table, rows, features, recipe.model, fitting, recipe.weights).predict

    return fit
