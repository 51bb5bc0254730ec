"""Searches of every method on real workers: what is proposed, what is given up, and that a seed is a seed."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tasks.executors.processes import Processes
from tasks.models import parse_model
from tasks.models.recipes import Recipe
from tasks.records import Search, Trial
from tasks.searches import METHODS
from tasks.settings import FeatureSettings
from tasks.spaces import Categorical, Float, Int, Space
from tests.engine import QUICK, Searching, going_wrong
from tests.tasks.executors.scenes import NUMBERS, WITH_FAULTS

FIXED = {name: parameter.default for name, parameter in QUICK.default_space("binary").items()}
HOPELESS: Space = {"learning_rate": Categorical(choices=(0.1, 1e-7), default=0.1), "num_leaves": Int(low=4, high=31, default=15)}


def alone(space: Space, **fixed: Any) -> Any:
    """LightGBM with this space and nothing else to choose."""
    return QUICK.changed(hyperparameters={name: value for name, value in {**FIXED, **fixed}.items() if name not in space}, space=space)


def told(found: Search) -> list[tuple[Any, ...]]:
    """Everything about a search that does not hang on a clock."""
    return [
        (trial.number, trial.state, trial.value, trial.fold_values, sorted(trial.hyperparameters.items()), sorted(trial.choices.items()))
        for trial in found.trials
    ]


def numbered(trials: tuple[Trial, ...]) -> list[Trial]:
    return sorted(trials, key=lambda trial: trial.number)


@pytest.fixture(scope="module")
def crews(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Processes]]:
    """One worker, and three of them, whatever cores there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
        both = {
            count: Processes(
                capacity=count, scratch=tmp_path_factory.mktemp("crew"), models=({"family": "lightgbm"},), environment=WITH_FAULTS
            )
            for count in (1, 3)
        }
    for crew in both.values():
        crew.start()
    yield both
    for crew in both.values():
        crew.close()


def test_in_reproducible_mode_the_number_of_workers_changes_nothing(search: Searching, crews: dict[int, Processes]) -> None:
    model = QUICK.changed(space={"learning_rate": Float(low=1e-6, high=0.3, log=True, default=0.1)})
    runs = {1: crews[1], 2: search.executor, 3: crews[3]}
    found = {count: search(model, name=str(count), executor=crew, trials=24, reproducible=True) for count, crew in runs.items()}
    recipe, first = found[1]
    assert first.counts["pruned"]
    assert first.counts["finished"]
    for other, again in found.values():
        assert told(again) == told(first)
        assert (other, again.choice) == (recipe, first.choice)
    assert [trial.number for trial in first.trials] == list(range(24))


def test_in_reproducible_mode_neither_speed_nor_a_failure_changes_anything(search: Searching, crews: dict[int, Processes]) -> None:
    slow: Space = {
        "max_cat_to_onehot": Categorical(choices=(4, NUMBERS["take_a_second"], NUMBERS["raise_error"]), default=4),
        "learning_rate": Float(low=0.01, high=0.3),
    }
    both = [search(alone(slow), name=str(k), executor=crews[k], trials=12, reproducible=True, search="random")[1] for k in (1, 3)]
    assert told(both[0]) == told(both[1])
    assert both[0].counts["failed"]


def test_another_seed_is_another_search(search: Searching) -> None:
    same, other = (search(name=str(seed), seed=seed, trials=12, reproducible=True)[1] for seed in (0, 1))
    drawn = [[trial.choices for trial in numbered(found.trials) if trial.origin == "search"] for found in (same, other)]
    assert drawn[0]
    assert drawn[0] != drawn[1]


def test_racing_gives_up_a_hopeless_trial_after_its_first_fold_and_never_the_best(search: Searching) -> None:
    _, found = search(alone(HOPELESS), trials=20, prune="racing", search="random")
    assert found.best is not None
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    hopeless = [trial for trial in pruned if trial.choices["learning_rate"] == 1e-7]
    assert hopeless
    assert all(len(trial.fold_values) == 1 and trial.scores[0].fold == 1 for trial in hopeless)  # the newest fold comes first
    last = min(trial.fold_values[0] for trial in found.trials if trial.state == "finished")
    assert all(trial.fold_values[0] >= last for trial in pruned)


@pytest.mark.parametrize(("prune", "prunes"), [("median", True), ("none", False)])
def test_the_other_ways_to_prune(search: Searching, prune: str, prunes: bool) -> None:
    _, found = search(alone(HOPELESS), trials=30, prune=prune, search="random")
    assert bool(found.counts["pruned"]) == prunes
    assert {len(trial.fold_values) for trial in found.trials if trial.state == "finished"} == {2}


@pytest.mark.parametrize("method", ["hyperband", "halving"])
def test_methods_with_rungs_try_few_rows_first(search: Searching, method: str) -> None:
    _, found = search(alone(HOPELESS), trials=30, search=method)
    assert found.counts["pruned"]
    assert found.counts["finished"]
    low = [trial for trial in found.trials if trial.state == "pruned" and not trial.scores]
    assert low, "some trial should have been given up before it saw all rows of a fold"
    assert all(score.share == 1 for trial in found.trials for score in trial.scores)
    _, again = search(alone(HOPELESS), trials=45, search=method)
    assert again.resumed == 30
    assert [trial for trial in search.recorded if trial.state == "pruned" and not trial.scores]


@pytest.mark.parametrize("method", [name for name in METHODS if name != "grid"])
def test_every_method_finds_its_way_through_a_mixed_space(search: Searching, method: str) -> None:
    space: Space = {
        "boosting": Categorical(choices=("gbdt", "dart"), default="gbdt"),
        "drop_rate": Float(low=0.05, high=0.5, default=0.1, when={"boosting": ("dart",)}),
        "num_leaves": Int(low=4, high=64, log=True, default=15),
        "learning_rate": Float(low=0.05, high=0.3, step=0.05, default=0.1),
    }
    _, found = search(alone(space), trials=14, search=method)
    assert found.counts["finished"]
    assert found.counts["failed"] == 0
    assert len(found.trials) == 14
    for trial in found.trials:
        assert ("drop_rate" in trial.choices) == (trial.choices["boosting"] == "dart")
        assert round(float(trial.choices["learning_rate"]) / 0.05, 6) in range(1, 7)


def test_a_grid_visits_every_combination_once_also_when_it_is_gone_on_with(search: Searching) -> None:
    space: Space = {
        "num_leaves": Int(low=4, high=16, step=4),
        "learning_rate": Categorical(choices=(0.05, 0.1, 0.3)),
        "lambda_l2": Float(low=0.001, high=10, log=True),
    }
    model = alone(space)
    settings: dict[str, Any] = {"search": "grid", "grid_points": 2, "prune": "none"}
    search(model, trials=5, **settings)
    assert len(search.recorded) == 5
    _, found = search(model, trials=500, **settings)
    assert found.stopped_by == "every combination of the grid"
    visited = Counter((trial.choices["num_leaves"], trial.choices["learning_rate"], trial.choices["lambda_l2"]) for trial in found.trials)
    assert dict(visited) == dict.fromkeys(itertools.product((4, 8, 12, 16), (0.05, 0.1, 0.3), (0.001, 10.0)), 1)
    assert len({trial.number for trial in found.trials}) == 24


def test_a_grid_goes_on_where_points_are_missing(search: Searching) -> None:
    """As after a kill: what ran then was never written, though what came after it was."""
    settings: dict[str, Any] = {"search": "grid", "grid_points": 2, "prune": "none"}
    model = alone({"num_leaves": Categorical(choices=tuple(range(4, 16)))})
    gone: list[Trial] = []
    tuner = search.tuner(model, trials=6, **settings)
    write = tuner._writer._sinks["the study store"]
    tuner._writer._sinks["the study store"] = lambda told: gone.append(told.trial) if told.trial.number in (1, 3) else write(told)
    tuner.search()
    tuner.close()
    _, found = search(model, trials=500, **settings)
    assert len(gone) == 2
    assert found.resumed == 4
    assert Counter(trial.choices["num_leaves"] for trial in found.trials) == dict.fromkeys(range(4, 16), 1)
    assert len({trial.number for trial in found.trials}) == 12


def test_constraints_are_never_broken(search: Searching) -> None:
    space: Space = {"num_leaves": Int(low=4, high=64, default=31), "max_depth": Int(low=2, high=6, default=5)}
    for method, trials in (("tpe", 25), ("grid", 500)):
        _, found = search(
            alone(space),
            name=method,
            trials=trials,
            search=method,
            prune="none",
            constraints=("num_leaves <= 2 ** max_depth",),
            grid_points=4,
        )
        assert all(int(trial.choices["num_leaves"]) <= 2 ** int(trial.choices["max_depth"]) for trial in found.trials)
        assert len({trial.number for trial in found.trials}) == len(found.trials) > 5
    everything = [(leaves, depth) for leaves in (4, 24, 44, 64) for depth in (2, 3, 5, 6) if leaves <= 2**depth]
    visited = Counter((trial.choices["num_leaves"], trial.choices["max_depth"]) for trial in found.trials)
    assert sum(visited.values()) == len(visited)
    assert len(visited) >= len(everything) - 2  # how the ends of four points round is the grid's affair


def test_constraints_that_nothing_satisfies_end_the_search_with_a_word(search: Searching) -> None:
    last = Recipe(QUICK)
    recipe, found = search(alone({"num_leaves": Int(low=4, high=64)}), lambda: last, trials=5, constraints=("num_leaves < 3",))
    assert recipe is last
    assert found.choice.startswith("no trial was scored before the search was stopped by none of 200 draws satisfying the constraints")


def test_several_families_are_each_tried_and_the_best_of_each_is_there(search: Searching) -> None:
    others = (
        parse_model({"family": "scikit", "estimator": "LogisticRegression"}),
        parse_model({"family": "xgboost", "max_rounds": 20, "early_stopping_rounds": 5}),
    )
    recipe, found = search(others=others, trials=12, prune="none")
    families = Counter(trial.family for trial in found.trials)
    assert set(families) == {"lightgbm", "LogisticRegression", "xgboost"}
    assert found.counts["failed"] == 0
    for trial in found.trials:
        own = {"lightgbm": "num_leaves", "xgboost": "eta", "LogisticRegression": "C"}
        assert [name for name in own.values() if name in trial.choices] in ([own[trial.family]], [])
        assert "." not in "".join(trial.choices)
    assert found.best is not None
    assert recipe.model.identity == found.best.family
    defaults = [trial.family for trial in numbered(found.trials) if trial.origin == "defaults"]
    assert defaults == ["lightgbm", "LogisticRegression", "xgboost"]


def test_processing_and_weights_are_searched_like_any_parameter(search: Searching) -> None:
    extra: Space = {
        "features.rare": Int(low=2, high=400, log=True),
        "features.date_parts": Categorical(choices=("weekday", "month weekday hour")),
        "use.price": Categorical(choices=(True, False), default=True),
        "weights.half_life": Categorical(choices=("none", "20d")),
    }
    features = FeatureSettings(rare=2, optional={"price": ("price",)})
    recipe, found = search(
        alone({"num_leaves": Int(low=4, high=16)}), extra=extra, features=features, trials=16, prune="none", search="random"
    )
    assert found.counts["finished"] == 16
    assert found.chosen is not None
    chosen = found.chosen.choices
    assert recipe.features.rare == chosen["features.rare"]
    assert recipe.features.date_parts == tuple(str(chosen["features.date_parts"]).split())
    assert recipe.features.without == (() if chosen["use.price"] else ("price",))
    assert (recipe.weights.half_life is None) == (chosen["weights.half_life"] == "none")
    with_price, without = (
        [trial.value for trial in found.trials if trial.choices["use.price"] is used and trial.value] for used in (True, False)
    )
    assert min(with_price) < min(without)  # price is what sold hangs on
    assert chosen["use.price"] is True


def test_a_model_with_nothing_to_choose_is_one_trial(search: Searching) -> None:
    model = QUICK.changed(hyperparameters=FIXED)
    _, found = search(model, trials=50)
    assert (len(found.trials), found.stopped_by) == (1, "having nothing to choose: one trial says everything")
    _, again = search(model, trials=50)
    assert (len(again.trials), again.resumed, search.recorded) == (1, 1, [])


def test_a_trial_whose_workers_are_killed_costs_no_other(search: Searching) -> None:
    _, found = search(going_wrong("always_killed"), trials=4, prune="none", search="random", seed=3)
    assert all(("killed twice" in trial.error) == (trial.state == "failed") for trial in found.trials)
    assert found.counts["finished"]
    assert len(found.trials) == 4
