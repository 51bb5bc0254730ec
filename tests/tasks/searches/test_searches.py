from __future__ import annotations

import optuna
import pytest

from tasks.errors import ConfigError
from tasks.searches import SEARCHES, find_search


def search(name: str, seed: int, trials: int = 15) -> optuna.Study:
    """A bowl with its bottom at 0.3 and "b", and a whole number that should be small."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=find_search(name)(seed))

    def loss(trial: optuna.Trial) -> float:
        number, kind = trial.suggest_int("k", 1, 64, log=True), trial.suggest_categorical("kind", ("a", "b"))
        return (trial.suggest_float("x", 0, 1) - 0.3) ** 2 + 0.01 * number + 0.1 * (kind == "a")

    study.optimize(loss, n_trials=trials)
    return study


@pytest.mark.parametrize("name", SEARCHES)
def test_the_same_seed_proposes_the_same_trials_and_another_others(name: str) -> None:
    first, again, other = ([trial.params for trial in search(name, seed).trials] for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_stays_within_the_space_and_gets_better(name: str) -> None:
    study = search(name, 3, trials=30)
    assert all(0 <= trial.params["x"] <= 1 and 1 <= trial.params["k"] <= 64 for trial in study.trials)
    assert study.best_value < min(trial.value or 0.0 for trial in study.trials[:3])


def test_tpe_finds_what_chance_finds_later() -> None:
    seeds = range(5)
    guided, blind = (sum(search(name, seed, 40).best_value for seed in seeds) for name in ("tpe", "random"))
    assert guided < blind


def test_an_unknown_search_is_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"tuning.search: no search is called 'tpee'; did you mean tpe\?"):
        find_search("tpee")


def test_a_search_nothing_is_like_is_told_all() -> None:
    with pytest.raises(ConfigError, match="there are tpe, random, quasi_random"):
        find_search("zzz")
