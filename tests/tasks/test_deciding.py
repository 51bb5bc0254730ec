from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.deciding import decide_tuning, judge_probe, last_best, nothing_new
from tasks.errors import TrainingFailed
from tasks.metrics import METRICS
from tasks.models import parse_model
from tasks.models.model import Model
from tasks.models.recipes import Candidates, Recipe
from tasks.records import Champion, ColumnDrift, Columns, Decision, DriftReport, FoldScore, Shares, Table, Target, Trial
from tasks.remembering import LastSearch
from tasks.settings import AutoSettings, FeatureSettings, TuningSettings, WeightSettings
from tasks.spaces import Categorical, Int, Space
from tasks.trials.memory import describe_space

MODEL = parse_model({"family": "lightgbm", "hyperparameters": {"num_leaves": 15}})
CHAMPION = Champion("shop", "3", "models:/x", "run", None, "config", "rows", "s", "lightgbm", {"num_leaves": 63, "num_iterations": 40}, {})
TABLE = Table(pd.DataFrame(), Columns(Target("y", "binary", (0, 1)), {}), "rows", ())
NEVER, ALWAYS, AUTO = (TuningSettings(when=when) for when in ("never", "always", "auto"))
AS_OF = datetime(2013, 10, 1, tzinfo=UTC)


def offered(model: Model = MODEL, extra: Space | None = None, others: tuple[Any, ...] = (), **processing: Any) -> Candidates:
    return Candidates(Recipe(model, **processing), "binary", others, extra or {})


def searched(candidates: Candidates, **fields: Any) -> LastSearch:
    """The last search was a month ago, over the same space."""
    last = LastSearch(datetime(2013, 9, 2, tzinfo=UTC), "log_loss", describe_space(candidates), 600.0, None, "run")
    return replace(last, **fields)


def decide(settings: TuningSettings, champion: Champion | None = CHAMPION, last: LastSearch | None = None, **fields: Any) -> Decision:
    given = {"candidates": offered(), "table": TABLE, "as_of": AS_OF, "metric": "log_loss"} | fields
    return decide_tuning(settings=settings, champion=champion, last=last, **given)


def test_always_tunes_whatever_there_is() -> None:
    for champion in (None, CHAMPION):
        decision = decide(ALWAYS, champion)
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
    decision = decide(NEVER, champion)
    assert not decision.tune
    assert decision.reason == f"tuning.when is never: {reason}"


def test_what_the_config_fixes_wins_over_the_champions() -> None:
    assert last_best(offered(), CHAMPION).model.hyperparameters == {"num_leaves": 15, "num_iterations": 40}


@pytest.mark.parametrize("champion", [None, replace(CHAMPION, family="Ridge")])
def test_without_a_champion_of_the_family_the_settings_stay(champion: Champion | None) -> None:
    candidates = offered()
    assert last_best(candidates, champion) is candidates.base


def test_another_estimator_is_another_family() -> None:
    ridge = offered(parse_model({"family": "scikit", "estimator": "Ridge"}))
    assert last_best(ridge, replace(CHAMPION, family="Lasso", hyperparameters={"alpha": 3.0})) is ridge.base
    assert last_best(ridge, replace(CHAMPION, family="Ridge", hyperparameters={"alpha": 3.0})).model.hyperparameters == {"alpha": 3.0}


def test_a_champion_of_one_of_the_alternatives_is_trained_as_that_family() -> None:
    both = offered(others=(parse_model({"family": "scikit", "estimator": "Ridge"}),))
    recipe = last_best(both, replace(CHAMPION, family="Ridge", hyperparameters={"alpha": 3.0}))
    assert (recipe.model.identity, recipe.model.hyperparameters) == ("Ridge", {"alpha": 3.0})


def test_searched_processing_is_the_champions_and_all_other_processing_the_configs() -> None:
    extra: Space = {
        "features.rare": Int(low=5, high=50),
        "use.weather": Categorical(choices=(True, False)),
        "weights.half_life": Categorical(choices=("none", "30d")),
    }
    weather = {"weather": ("temp",)}
    stored = Recipe(
        MODEL, FeatureSettings(rare=40, keep=7, optional=weather, without=("weather",)), WeightSettings(half_life="30d", balance=True)
    )
    candidates = offered(extra=extra, features=FeatureSettings(keep=99, optional=weather), weights=WeightSettings())
    recipe = last_best(candidates, replace(CHAMPION, settings=stored.to_json()))
    assert recipe.features == FeatureSettings(rare=40, keep=99, optional=weather, without=("weather",))
    assert recipe.weights == WeightSettings(half_life="30d", balance=False)
    assert last_best(offered(features=FeatureSettings(keep=99)), replace(CHAMPION, settings=stored.to_json())).features.rare == 20


def test_hyperparameters_that_the_library_gave_up_are_told() -> None:
    stale = replace(CHAMPION, hyperparameters={"sparse_threshold": 0.8})
    with pytest.raises(TrainingFailed, match=r"champion v3 cannot be trained again \(hyperparameters.sparse_threshold: .*\); tune once"):
        last_best(offered(), stale)
    decision = decide(AUTO, stale, searched(offered()))
    assert decision.tune
    assert "champion v3 cannot be trained again" in decision.reason


def test_settings_that_no_version_knows_any_more_are_told() -> None:
    with pytest.raises(TrainingFailed, match=r"the settings of an earlier retrain are no longer valid: .*catboost"):
        parse_model({"family": "catboost"})


@pytest.mark.parametrize(
    ("champion", "last", "why"),
    [
        (None, searched(offered()), "there is no champion"),
        (replace(CHAMPION, family="Ridge"), searched(offered()), "champion v3 is Ridge"),
        (CHAMPION, None, "no earlier search is remembered"),
    ],
)
def test_auto_tunes_when_there_is_nothing_to_reuse(champion: Champion | None, last: LastSearch | None, why: str) -> None:
    decision = decide(AUTO, champion, last)
    assert (decision.tune, decision.probe) == (True, False)
    assert decision.reason == f"tuning.when is auto: there is nothing to reuse, since {why}"


def test_auto_tunes_when_the_space_changed_and_says_how() -> None:
    before = offered(parse_model({"family": "lightgbm", "hyperparameters": {"max_depth": 9}, "space": {"num_leaves": "8..64"}}))
    today = offered(parse_model({"family": "lightgbm", "space": {"num_leaves": "8..128", "max_depth": "3..9"}}))
    decision = decide(AUTO, last=searched(before), candidates=today)
    assert decision.tune
    assert decision.reason == (
        "tuning.when is auto: since the search of 2013-09-02 the search space changed: "
        "num_leaves was int 8..64, is int 8..128; max_depth was fixed at 9, is int 3..9"
    )
    gone = decide(AUTO, last=searched(before, space={**describe_space(before), "extra": "one of a, b"}), candidates=before)
    assert gone.reason.endswith("the search space changed: extra is gone")
    many = decide(AUTO, last=searched(before, space={}), candidates=before)
    assert many.reason.endswith(f"and {len(describe_space(before)) - 3} more")


def test_auto_tunes_when_another_metric_is_tuned_for() -> None:
    decision = decide(AUTO, last=searched(offered()), metric="roc_auc")
    assert decision.reason == "tuning.when is auto: since the search of 2013-09-02 the metric changed from log_loss to roc_auc"


@pytest.mark.parametrize(("days", "tunes"), [(30, False), (31, True)])
def test_auto_tunes_when_the_last_search_is_older_than_its_limit(days: int, tunes: bool) -> None:
    decision = decide(AUTO, last=searched(offered(), as_of=AS_OF - timedelta(days=days)))
    assert (decision.tune, decision.probe) == (tunes, not tunes)
    assert decision.figures["days_since_search"] == days
    if tunes:
        reason = "tuning.when is auto: the last search, of 2013-08-31, is 31 days old (tuning.auto.max_age is 30d)"
        assert decision.reason == reason


def drifting(shift: float, columns: int = 2) -> Table:
    """One row an hour, of which the newest month's features lie `shift` higher in the first `columns` of three."""
    times = pd.date_range(datetime(2013, 6, 1, tzinfo=UTC), AS_OF, freq="h", inclusive="left")
    random = np.random.default_rng(0)
    later = np.asarray(times > pd.Timestamp(datetime(2013, 9, 2, tzinfo=UTC)))
    values = {f"x{number}": random.normal(size=len(times)) + shift * later * (number < columns) for number in range(3)}
    frame = pd.DataFrame({"time": times, **values, "y": random.integers(0, 2, len(times))})
    return Table(frame, Columns(Target("y", "binary", (0, 1)), dict.fromkeys(values, "number"), "time"), "rows", ())


@pytest.mark.parametrize(("shift", "columns", "share"), [(0.0, 2, 0.0), (2.0, 1, 1 / 3), (2.0, 2, 2 / 3)])
def test_auto_tunes_when_more_columns_drifted_than_it_allows(shift: float, columns: int, share: float) -> None:
    decision = decide(AUTO, last=searched(offered()), table=drifting(shift, columns))
    assert decision.figures["drifted_share"] == pytest.approx(share)
    assert (decision.tune, decision.probe) == (share > 0.5, share <= 0.5)
    if decision.tune:
        assert decision.reason.startswith("tuning.when is auto: 2 of 3 columns drifted since the search of 2013-09-02 (x")
        assert decision.reason.endswith("more than tuning.auto.drift (50 %)")


def measured(drifted: int, columns: int = 4, **fields: Any) -> DriftReport:
    """What the drift stage found, the most drifted first."""
    shares = Shares("x", "number", 100, (1.0, 0.0))
    found = [ColumnDrift(f"c{number}", shares, shares, 0.9 - number / 10, 0.001, number < drifted) for number in range(columns)]
    return replace(DriftReport("the rows that champion v3 was trained on", tuple(found)), **fields)


@pytest.mark.parametrize(("drifted", "tunes"), [(2, False), (3, True)])
def test_auto_believes_the_drift_that_was_measured_since_the_champion_that_the_last_search_made(drifted: int, tunes: bool) -> None:
    decision = decide(AUTO, last=searched(offered()), table=drifting(2.0), drift=measured(drifted))
    assert decision.figures["drifted_share"] == drifted / 4
    assert (decision.tune, decision.probe) == (tunes, not tunes)
    if tunes:
        assert decision.reason == (
            "tuning.when is auto: 3 of 4 columns drifted since the search of 2013-09-02 (c0 0.90, c1 0.80, c2 0.70), "
            "more than tuning.auto.drift (50 %)"
        )


@pytest.mark.parametrize(
    ("drift", "last"),
    [
        (None, {}),
        (measured(0), {"run_id": "a search whose challenger was kept out"}),
        (measured(0, carried=True), {}),
        (DriftReport("", note="no row is later than what champion v3 was trained on"), {}),
    ],
)
def test_auto_looks_for_itself_where_the_measured_drift_is_not_that_since_the_search(drift: DriftReport | None, last: Any) -> None:
    decision = decide(AUTO, last=searched(offered(), **last), table=drifting(2.0), drift=drift)
    assert decision.tune
    assert decision.figures["drifted_share"] == pytest.approx(2 / 3)
    assert decision.reason.startswith("tuning.when is auto: 2 of 3 columns drifted since the search of 2013-09-02 (x")


def test_drift_is_no_matter_to_always_and_never() -> None:
    assert decide(ALWAYS, drift=measured(4)) == decide(ALWAYS)
    assert decide(NEVER, drift=measured(4)) == decide(NEVER)


def test_auto_asks_for_a_probe_when_nothing_forces_it_to_tune() -> None:
    decision = decide(AUTO, last=searched(offered()))
    assert (decision.tune, decision.probe) == (False, True)
    assert decision.reason == "tuning.when is auto: a probe of 8 trials looks whether there is something to gain"
    assert "drifted_share" not in decision.figures, "a table without time says nothing of drift"


LOSS = METRICS["log_loss"]
ROWS = [np.full(30, 40)] * 3


def scored(number: int, *gains: float, origin: str = "search", noise: float = 0.005) -> Trial:
    """A finished trial that is this much better than everybody's days, fold by fold, the newest last."""
    days = np.random.default_rng(0).normal(0.45, 0.1, (3, 30))
    own = np.random.default_rng([1, number]).normal(0, noise, (3, 30))
    blocks = days + own - own.mean(axis=1, keepdims=True) - np.array(gains)[:, None]
    scores = tuple(FoldScore(fold, 1.0, float(fold_days.mean()), tuple(fold_days), 1000) for fold, fold_days in enumerate(blocks))
    return Trial(number, "finished", {}, float(blocks.mean()), tuple(score.value for score in scores), 1.0, origin=origin, scores=scores)


def probe(*rivals: Trial, incumbent: Trial | None = None, confidence: float = 0.9, blocks: int = 30) -> Decision:
    trials = [incumbent or scored(0, 0, 0, 0, origin="champion v3"), *rivals]
    settings = TuningSettings(when="auto", auto=AutoSettings(confidence=confidence))
    return judge_probe(trials, CHAMPION, searched(offered()), ROWS, LOSS, settings, seconds=40.0)


def test_a_gain_that_holds_on_the_newest_fold_calls_for_tuning() -> None:
    decision = probe(scored(1, -0.1, -0.1, -0.1), scored(2, 0.01, 0.01, 0.01))
    assert (decision.tune, decision.probe) == (True, False)
    assert decision.figures["gain"] == pytest.approx(0.01)
    assert decision.figures["gain_older_folds"] == pytest.approx(0.01)
    assert decision.figures["probability"] > 0.99
    assert decision.reason.startswith(
        "tuning.when is auto: trial 2 of the probe beats the settings of champion v3 by 0.0100 on the newest fold"
    )
    assert decision.reason.endswith("tuning.auto.confidence is 0.9")


def test_the_luck_of_the_folds_that_chose_it_is_no_gain() -> None:
    decision = probe(scored(1, 0.02, 0.02, 0.0), scored(2, 0.01, 0.01, 0.05))
    assert not decision.tune, "the second would hold on the newest fold, but it was not the one chosen"
    assert decision.figures["seconds_saved"] == 560.0
    assert "the probe found no sure gain: the best of 2 trials gains" in decision.reason
    assert decision.reason.endswith("; the settings of champion v3 are reused, which saves about 9 m 20 s")


def test_what_is_no_better_on_the_older_folds_is_not_chosen_by_the_newest() -> None:
    decision = probe(scored(1, 0.0, -0.02, 0.05))
    assert not decision.tune
    assert "the probe found no gain: on the folds before the newest the best of 1 trial is no better" in decision.reason


def test_confidence_says_how_sure_it_has_to_be() -> None:
    unsure = scored(1, 0.01, 0.01, 0.001, noise=0.008)
    probability = probe(unsure).figures["probability"]
    assert 0.55 < probability < 0.95
    assert probe(unsure, confidence=probability - 0.01).tune
    assert not probe(unsure, confidence=probability + 0.01).tune


def test_an_incumbent_that_cannot_be_scored_cannot_be_reused() -> None:
    failed = replace(scored(0, 0, 0, 0, origin="champion v3"), state="failed", error="ValueError: no such parameter")
    decision = probe(scored(1, 0.0, 0.0, 0.0), incumbent=failed)
    assert decision.tune
    assert (
        decision.reason == "tuning.when is auto: the settings of champion v3 cannot be reused as they are (ValueError: no such parameter)"
    )
    assert "(time ran out before they were scored)" in probe(incumbent=scored(0, 0, 0, 0)).reason


def test_a_probe_without_another_scored_trial_reuses() -> None:
    decision = probe(replace(scored(1, 1, 1, 1), state="pruned"))
    assert not decision.tune
    assert "nothing else in the probe could be scored" in decision.reason


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
