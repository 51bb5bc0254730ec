"""What every search method must do, whichever it is: a contract that new ones are held to by being in METHODS."""

from __future__ import annotations

import math
import statistics
from functools import cache
from itertools import islice
from typing import Any

import optuna
import pytest
from scipy.stats import qmc

from tasks.errors import ConfigError
from tasks.records import Hyperparameters
from tasks.searches import METHODS, find_search, search_faults
from tasks.searches.pruners import PRUNERS
from tasks.settings import TuningSettings
from tasks.spaces import Space, distributions, internal, is_active, suggest, walk
from tasks.spaces.parameters import Categorical, read_parameter

optuna.logging.set_verbosity(optuna.logging.WARNING)
SPACE: Space = {
    "depth": read_parameter({"low": 1, "high": 12, "when": {"kind": ["tree", "forest"]}}),
    "rate": read_parameter("0.001..1 log"),
    "momentum": read_parameter("0.001..0.999 reverse_log"),
    "units": read_parameter("8..64 step 8"),
    "kind": read_parameter(["tree", "forest", "line"]),
    "slope": read_parameter({"low": -1.0, "high": 1.0, "when": {"kind": "line"}}),
    "bins": read_parameter("1..512 log"),
}
BOWL: Space = {name: read_parameter("-1.0..1.0") for name in "abc"}
SLOW = "gp"
NAMES = tuple(METHODS)


def loss(values: Hyperparameters) -> float:
    """Least, 0, at rate 0.03, momentum 0.9, units 40, a tree of depth 5, bins 16."""
    own = abs(float(values["depth"]) - 5) / 5 if "depth" in values else 1 + abs(float(values["slope"]))
    near = math.log10(float(values["rate"]) / 0.03) ** 2 + (math.log10((1 - float(values["momentum"])) / 0.1)) ** 2
    return (
        own
        + near
        + abs(float(values["units"]) - 40) / 40
        + abs(math.log2(float(values["bins"])) - 4) / 4
        + 0.2 * (values["kind"] == "forest")
    )


def bowl(values: Hyperparameters) -> float:
    return sum((float(value) - centre) ** 2 for value, centre in zip(values.values(), (0.3, -0.5, 0.7), strict=True))


def settings(name: str, **changed: Any) -> TuningSettings:
    return TuningSettings(**{"search": name, "grid_points": 3, "trials": 10_000, **changed})


class Run:
    """A search as the engine runs it: ask, score, tell; every fifth trial fails, every seventh is pruned, if so wished."""

    def __init__(self, name: str, seed: int, trials: int, space: Space = SPACE, of: Any = loss, mishaps: bool = False) -> None:
        method = find_search(settings(name), space, 3)
        self.study = optuna.create_study(sampler=method.sampler(seed), pruner=method.pruner())
        points = None if method.points is None else walk(space, method.points, seed)
        self.proposed: list[Hyperparameters] = []
        for number in range(trials):
            if points is not None:
                self.study.enqueue_trial(internal(space, next(points)))
            trial = self.study.ask()
            values = suggest(trial, space)
            self.proposed.append(values)
            state = self._mishap(number) if mishaps else None
            if state is not None:
                trial.report(of(values), 1)
            self.study.tell(trial, None if state else of(values), state=state)
        self.losses = [of(values) for values in self.proposed]

    @staticmethod
    def _mishap(number: int) -> optuna.trial.TrialState | None:
        if number % 5 == 0:
            return optuna.trial.TrialState.FAIL
        return optuna.trial.TrialState.PRUNED if number % 7 == 1 else None


@cache
def run(name: str, seed: int, trials: int = 16, mishaps: bool = False) -> Run:
    return Run(name, seed, trials, mishaps=mishaps)


def assert_valid(values: Hyperparameters) -> None:
    inside = distributions(SPACE)
    for name, parameter in SPACE.items():
        assert is_active(parameter, values) == (name in values), (name, values)
    for name, value in internal(SPACE, values).items():
        distribution = inside[name]
        assert distribution._contains(distribution.to_internal_repr(value)), (name, value)
    assert all(type(values[name]) is int for name in ("depth", "units", "bins") if name in values)
    assert int(values["units"]) % 8 == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mishaps", [False, True], ids=["whole", "mishaps"])
def test_only_values_of_the_space_are_proposed(name: str, mishaps: bool) -> None:
    for values in run(name, 0, mishaps=mishaps).proposed:
        assert_valid(values)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_proposes_the_same_trials_and_another_others(name: str) -> None:
    again = Run(name, 0, 16)
    assert run(name, 0).proposed == again.proposed != run(name, 1).proposed


@pytest.mark.parametrize("name", NAMES)
def test_trials_that_failed_or_were_pruned_do_not_stop_a_search(name: str) -> None:
    states = [trial.state.name for trial in run(name, 0, mishaps=True).study.trials]
    assert len(states) == 16
    assert {"FAIL", "PRUNED", "COMPLETE"} == set(states)


@pytest.mark.parametrize("name", NAMES)
def test_a_history_without_a_single_success_does_not_stop_a_search(name: str) -> None:
    method = find_search(settings(name), SPACE, 3)
    study = optuna.create_study(sampler=method.sampler(0))
    for _ in range(12):
        trial = study.ask()
        assert_valid(suggest(trial, SPACE))
        study.tell(trial, state=optuna.trial.TrialState.FAIL)


@pytest.mark.parametrize("name", NAMES)
def test_trials_side_by_side_are_not_the_same_trial(name: str) -> None:
    method = find_search(settings(name), SPACE, 3)
    study = optuna.create_study(sampler=method.sampler(0))
    for _ in range(10):
        trial = study.ask()
        study.tell(trial, loss(suggest(trial, SPACE)))
    if method.points is not None:
        for point in islice(walk(SPACE, 3, 0), 3):
            study.enqueue_trial(internal(SPACE, point))
    running = [suggest(study.ask(), SPACE) for _ in range(3)]
    assert len({tuple(values.items()) for values in running}) == 3


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("random", "quasi_random", "grid")])
def test_what_learns_beats_the_median_of_chance(name: str) -> None:
    trials, seeds = (24, 1) if name == SLOW else (60, 5)
    chance = statistics.median(min(Run("random", seed, trials, BOWL, bowl).losses) for seed in range(40))
    assert statistics.median(min(Run(name, seed, trials, BOWL, bowl).losses) for seed in range(seeds)) < chance


@pytest.mark.parametrize("name", ["tpe", "gp", "hyperband", "halving"])
def test_what_learns_beats_chance_where_parameters_are_conditional_too(name: str) -> None:
    trials, seeds = (24, 1) if name == SLOW else (60, 5)
    chance = statistics.median(min(Run("random", seed, trials).losses) for seed in range(20))
    assert statistics.median(min(Run(name, seed, trials).losses) for seed in range(seeds)) < chance


def test_an_even_spread_is_more_even_than_chance() -> None:
    def unevenness(name: str, seed: int) -> float:
        points = [[(float(value) + 1) / 2 for value in values.values()] for values in Run(name, seed, 33, BOWL, bowl).proposed]
        return float(qmc.discrepancy(points[1:]))  # the first trial shows which parameters there are

    assert statistics.median(unevenness("quasi_random", seed) for seed in range(5)) < min(unevenness("random", seed) for seed in range(5))


@pytest.mark.parametrize("name", NAMES)
def test_settings_of_an_earlier_retrain_are_taken_first_and_as_they_are(name: str) -> None:
    known: Hyperparameters = {"kind": "line", "slope": 0.25, "rate": 0.01, "momentum": 0.97, "units": 16, "bins": 100}
    method = find_search(settings(name), SPACE, 3)
    study = optuna.create_study(sampler=method.sampler(0))
    study.enqueue_trial(internal(SPACE, known))
    assert suggest(study.ask(), SPACE) == {name: known[name] for name in ("rate", "momentum", "units", "kind", "bins", "slope")}


# pruners


@pytest.mark.parametrize("name", ["hyperband", "halving"])
def test_hyperband_and_halving_see_shares_of_the_newest_rows_first(name: str) -> None:
    method = find_search(settings(name), SPACE, 3)
    assert (method.rungs, method.resources, method.by_block) == ((1 / 9, 1 / 3), (1, 3, 9, 18, 27), False)


@pytest.mark.parametrize("name", ["racing", "median", "halving", "hyperband"])
def test_a_trial_that_is_far_behind_is_pruned_and_one_that_is_ahead_is_not(name: str) -> None:
    method = find_search(settings(name) if name in METHODS else settings("random", prune=name), SPACE, 3)
    study = optuna.create_study(sampler=method.sampler(0), pruner=method.pruner(), study_name="of a name that brackets come from")

    def lives(level: float) -> bool:
        trial = study.ask()
        for step in method.resources or range(1, 21):
            trial.report(level + 0.001 * (step % 3), step)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                return False
        study.tell(trial, level)
        return True

    assert all(lives(1.0 - 0.001 * number) for number in range(6))
    assert not all(lives(9.0) for _ in range(6))
    assert lives(0.1)


def test_without_pruning_nothing_is_pruned() -> None:
    assert isinstance(find_search(settings("random", prune="none"), SPACE, 3).pruner(), optuna.pruners.NopPruner)
    assert set(PRUNERS) == {"racing", "median", "none", "halving", "hyperband"}


def test_racing_sees_blocks_and_is_what_auto_means() -> None:
    method = find_search(settings("tpe"), SPACE, 3)
    assert isinstance(method.pruner(), optuna.pruners.WilcoxonPruner)
    assert method.by_block
    assert not find_search(settings("tpe", prune="median"), SPACE, 3).by_block


# names and auto


def test_an_unknown_search_is_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"tuning.search: no search is called 'tpee'; did you mean tpe\?"):
        find_search(settings("tpee"), SPACE, 3)


def test_a_search_nothing_is_like_is_told_all() -> None:
    with pytest.raises(ConfigError, match="there are auto, tpe, gp, cma_es, random, quasi_random, grid, hyperband, halving"):
        find_search(settings("zzz"), SPACE, 3)


def test_a_missing_extra_is_told_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.searches.methods.gaussian_is_installed", lambda: False)
    with pytest.raises(ConfigError, match=r'gp needs scikit-optimize, which is not installed: pip install "scikit-optimize'):
        find_search(settings("gp"), SPACE, 3)
    assert find_search(settings("auto", trials=30), BOWL, 3).name == "tpe"


FEW_CHOICES: Space = {"kind": Categorical(choices=("a", "b")), "depth": read_parameter("1..4")}


@pytest.mark.parametrize(
    ("space", "trials", "name", "why"),
    [
        (SPACE, 50, "tpe", "learns from every trial"),
        (SPACE, None, "tpe", "learns from every trial"),
        (SPACE, 10, "quasi_random", "10 trials are too few to learn from"),
        (BOWL, 40, "gp", "40 trials are few, and all parameters are real numbers"),
        (BOWL, 400, "tpe", "learns from every trial"),
        (FEW_CHOICES, 50, "grid", "no more than 8 settings"),
        (FEW_CHOICES, None, "grid", "no more than 8 settings"),
        (FEW_CHOICES, 7, "quasi_random", "7 trials"),
        ({"fixed": read_parameter(3)}, 50, "random", "nothing to choose"),
        ({}, 50, "random", "nothing to choose"),
    ],
)
def test_auto_chooses_from_the_space_and_the_limits_and_says_why(space: Space, trials: int | None, name: str, why: str) -> None:
    method = find_search(settings("auto", trials=trials, grid_points=6), space, 3)
    assert method.name == name
    assert "chosen because" in method.words
    assert why in method.words


# faults


@pytest.mark.parametrize(
    ("changed", "space", "fault"),
    [
        ({"search": "gird"}, SPACE, "tuning.search: no search is called 'gird'; did you mean grid?"),
        ({"search": "tpe"}, {"x": read_parameter(1)}, "tuning.search: tpe has nothing to search, every parameter is fixed"),
        ({"search": "hyperband", "prune": "median"}, SPACE, "tuning.prune: hyperband prunes by its own rule; leave prune out"),
        ({"trials": None, "minutes": None}, SPACE, "tuning: give trials, minutes or both; a search without a limit never ends"),
        ({"trials": None, "minutes": None, "target": 0.1, "failed_trials": 3}, SPACE, "tuning: give trials, minutes or both"),
        (
            {"search": "grid", "trials": 50, "grid_points": 6},
            {name: read_parameter("0.1..0.9") for name in "abcdef"},
            "tuning.search: a grid of 6 x 6 x 6 x 6 x 6 x 6 = 46,656 combinations, 139,968 fits on 3 folds, is too large: "
            "tuning.trials is 50;",
        ),
        (
            {"search": "grid", "trials": None, "grid_points": 6},
            {name: read_parameter("0.1..0.9") for name in "abcdef"},
            "tuning.search: a grid of 6 x 6 x 6 x 6 x 6 x 6 = 46,656 combinations, 139,968 fits on 3 folds, is too large: "
            "without tuning.trials the limit is 10,000;",
        ),
    ],
)
def test_what_cannot_be_searched_so_is_a_fault_that_names_its_key(changed: dict[str, Any], space: Space, fault: str) -> None:
    (found,) = search_faults(TuningSettings(**{"search": "tpe", **changed}), space, 3)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("changed", "space"),
    [
        ({}, SPACE),
        ({"trials": None, "minutes": None, "no_progress_trials": 9}, SPACE),
        ({"trials": None, "minutes": None, "search": "grid"}, FEW_CHOICES),
        ({"trials": None, "minutes": None}, FEW_CHOICES),
        ({"trials": None, "minutes": None}, {}),
    ],
)
def test_what_ends_by_itself_needs_no_limit(changed: dict[str, Any], space: Space) -> None:
    assert not list(search_faults(TuningSettings(**changed), space, 3))
