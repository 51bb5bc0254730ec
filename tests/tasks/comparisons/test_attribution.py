from __future__ import annotations

import itertools
import math
from dataclasses import astuple

import numpy as np
import pytest
import sklearn.metrics as oracle

from tasks.comparisons.attribution import FourPredictions, attribute
from tasks.metrics import METRICS
from tasks.records import Attribution, Floats

ROWS, DAYS = 600, 30
BLOCKS = np.arange(ROWS) * DAYS // ROWS


def four(seed: int = 0) -> tuple[Floats, FourPredictions]:
    random = np.random.default_rng(seed)
    truth = (random.random(ROWS) < 0.4).astype(float)
    made = [np.clip(0.4 + strength * (truth - 0.4) + 0.1 * random.normal(size=ROWS), 0.01, 0.99) for strength in (0.1, 0.2, 0.15, 0.4)]
    return truth, FourPredictions(*made)


def explained(name: str = "log_loss", seed: int = 0) -> Attribution:
    truth, predictions = four(seed)
    return attribute(METRICS[name], truth, predictions, BLOCKS)


def shapley(losses: dict[frozenset[str], float], player: str) -> float:
    """By its definition: the mean over all orders of what the player adds to those before it."""
    orders = list(itertools.permutations(("data", "settings")))
    before = [frozenset(order[: order.index(player)]) for order in orders]
    return sum(losses[coalition | {player}] - losses[coalition] for coalition in before) / len(orders)


@pytest.mark.parametrize(("name", "sign"), [("log_loss", 1), ("roc_auc", -1)])
@pytest.mark.parametrize("seed", range(3))
def test_effects_are_shapleys(name: str, sign: int, seed: int) -> None:
    truth, predictions = four(seed)
    measure = {"log_loss": oracle.log_loss, "roc_auc": oracle.roc_auc_score}[name]
    coalitions = [frozenset[str](), frozenset({"data"}), frozenset({"settings"}), frozenset({"data", "settings"})]
    losses = {coalition: sign * measure(truth, prediction) for coalition, prediction in zip(coalitions, astuple(predictions), strict=True)}
    found = explained(name, seed)
    assert found.data == pytest.approx(shapley(losses, "data"))
    assert found.settings == pytest.approx(shapley(losses, "settings"))
    assert found.old_settings_old_data == pytest.approx(losses[frozenset()])
    assert found.new_settings_new_data == pytest.approx(losses[frozenset({"data", "settings"})])


def test_both_effects_add_up_to_the_whole() -> None:
    found = explained()
    assert found.data + found.settings == pytest.approx(found.new_settings_new_data - found.old_settings_old_data)
    assert found.new_settings_new_data < found.old_settings_old_data


def test_what_did_not_change_has_no_effect() -> None:
    truth, given = four()
    before, now = given.old_settings_old_data, given.new_settings_new_data
    found = attribute(METRICS["brier"], truth, FourPredictions(before, now, before, now), BLOCKS)
    assert found.settings == 0
    assert found.data == pytest.approx(oracle.brier_score_loss(truth, now) - oracle.brier_score_loss(truth, before))


def test_noise_is_how_much_days_differ() -> None:
    """The standard error of a mean over equal days: their standard deviation over the root of their number."""
    truth, given = four()
    change = (given.new_settings_new_data - truth) ** 2 - (given.old_settings_old_data - truth) ** 2
    days = change.reshape(DAYS, -1).mean(axis=1)
    assert explained("brier").noise == pytest.approx(days.std(ddof=1) / math.sqrt(DAYS), rel=0.1)


def test_a_single_day_says_nothing_of_noise() -> None:
    truth, given = four()
    found = attribute(METRICS["brier"], truth, given, np.zeros(ROWS, dtype=np.int64))
    assert math.isnan(found.noise)
    assert math.isfinite(found.data)


def test_a_model_without_a_score_explains_nothing() -> None:
    _, given = four()
    with pytest.raises(ArithmeticError, match="roc_auc is not a finite number"):
        attribute(METRICS["roc_auc"], np.ones(ROWS), given, BLOCKS)
