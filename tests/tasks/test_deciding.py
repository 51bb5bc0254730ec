from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from tasks.deciding import decide_tuning, last_best, nothing_new
from tasks.errors import TrainingFailed
from tasks.models import parse_model
from tasks.records import Champion, Columns, Table, Target
from tasks.settings import TuningSettings

MODEL = parse_model({"family": "lightgbm", "hyperparameters": {"num_leaves": 15}})
CHAMPION = Champion("shop", "3", "models:/x", "run", None, "config", "rows", "s", "lightgbm", {"num_leaves": 63, "num_iterations": 40}, {})
TABLE = Table(pd.DataFrame(), Columns(Target("y", "binary", (0, 1)), {}), "rows", ())
NEVER, ALWAYS = TuningSettings(when="never"), TuningSettings(when="always")


def test_always_tunes_whatever_there_is() -> None:
    for champion in (None, CHAMPION):
        decision = decide_tuning(ALWAYS, MODEL, champion)
        assert decision.tune
        assert decision.reason == "tuning.when is always: every retrain re-tunes, because the data has changed"


@pytest.mark.parametrize(
    ("champion", "reason"),
    [
        (CHAMPION, "the hyperparameters of champion v3"),
        (None, "the config's own hyperparameters, since there is no champion"),
        (replace(CHAMPION, family="Ridge"), "the config's own hyperparameters, since champion v3 is Ridge"),
    ],
)
def test_never_says_whose_hyperparameters_it_takes(champion: Champion | None, reason: str) -> None:
    decision = decide_tuning(NEVER, MODEL, champion)
    assert not decision.tune
    assert decision.reason == f"tuning.when is never: {reason}"


def test_what_the_config_fixes_wins_over_the_champions() -> None:
    assert last_best(MODEL, CHAMPION).hyperparameters == {"num_leaves": 15, "num_iterations": 40}


@pytest.mark.parametrize("champion", [None, replace(CHAMPION, family="Ridge")])
def test_without_a_champion_of_the_family_the_settings_stay(champion: Champion | None) -> None:
    assert last_best(MODEL, champion) is MODEL


def test_another_estimator_is_another_family() -> None:
    ridge = parse_model({"family": "scikit", "estimator": "Ridge"})
    assert last_best(ridge, replace(CHAMPION, family="Lasso", hyperparameters={"alpha": 3.0})) is ridge
    assert last_best(ridge, replace(CHAMPION, family="Ridge", hyperparameters={"alpha": 3.0})).hyperparameters == {"alpha": 3.0}


def test_hyperparameters_that_the_library_gave_up_are_told() -> None:
    stale = replace(CHAMPION, hyperparameters={"sparse_threshold": 0.8})
    with pytest.raises(TrainingFailed, match=r"champion v3 cannot be trained again \(hyperparameters.sparse_threshold: .*\); tune once"):
        last_best(MODEL, stale)


def test_settings_that_no_version_knows_any_more_are_told() -> None:
    with pytest.raises(TrainingFailed, match=r"the settings of an earlier retrain are no longer valid: .*catboost"):
        parse_model({"family": "catboost"})


@pytest.mark.parametrize(
    ("champion", "unchanged"),
    [
        (CHAMPION, True),
        (None, False),
        (replace(CHAMPION, live=False), False),
        (replace(CHAMPION, data_digest="other rows"), False),
        (replace(CHAMPION, config_digest="another config"), False),
    ],
)
def test_nothing_is_new_when_the_live_champion_had_these_rows_and_this_config(champion: Any, unchanged: bool) -> None:
    reason = nothing_new(TABLE, "config", champion)
    assert (reason is not None) == unchanged
    assert reason is None or reason == "no new labelled rows and the same config as champion v3; --force trains all the same"
