"""What a search would cost, from fits that were timed in this home before."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from configs.reading import read_config
from flows.commands.outlook import describe_search, past_fit_seconds
from tasks.homes import Home
from tasks.records import FoldScore, Trial
from tasks.trials.stores import Store, Told
from tests.small import small_config


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("EVERTUNE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("EVERTUNE_STUDIES_URL", raising=False)
    return Home.named(tmp_path / "home")


def remember(home: Home, study: str, seconds: float) -> None:
    """A search of two fits that took so long each."""
    home.root.mkdir(exist_ok=True)
    scores = tuple(FoldScore(fold=fold, share=1.0, value=0.5, blocks=(), rows=10, seconds=seconds) for fold in range(2))
    trial = Trial(0, "finished", {}, 0.5, (0.5, 0.5), 2 * seconds, scores=scores)
    Store(home.studies_url, study).add(Told(trial, optuna.trial.create_trial(value=0.5)))


def test_a_home_without_studies_tells_nothing_and_stays_as_it_is(home: Home) -> None:
    assert past_fit_seconds(home, "shop") is None
    assert not home.root.exists()


def test_the_last_search_of_this_very_model_counts(home: Home) -> None:
    remember(home, "shop-0a1b", 9.0)
    remember(home, "shop-2c3d", 3.0)
    remember(home, "shop-2-4e5f", 7.0)
    assert past_fit_seconds(home, "shop") == 3.0
    assert past_fit_seconds(home, "shop-2") == 7.0
    assert past_fit_seconds(home, "sho") is None


def test_the_cost_is_fits_and_where_they_were_timed_hours(home: Home, tmp_path: Path) -> None:
    overrides = {"tuning.trials": 30, "tuning.parallel": 2}
    config = read_config(small_config(tmp_path / "shop"), overrides)
    assert describe_search(config, "binary", "log_loss")["cost"] == "at most 60 fits on 2 folds (no fit was timed here yet)"
    remember(home, "shop-0a1b", 240.0)
    cost = describe_search(config, "binary", "log_loss")["cost"]
    assert cost == "at most 60 fits on 2 folds; about 2 h 00 m at 4 m 00 s a fit, as in the last search"


def test_a_search_that_never_happens_costs_nothing(home: Home, tmp_path: Path) -> None:
    config = read_config(small_config(tmp_path / "shop"), {"tuning.when": "never"})
    assert describe_search(config, "binary", "log_loss") == {
        "tuning": "never: the champion's hyperparameters, or the config's when there is none"
    }


def test_every_limit_is_told(home: Home, tmp_path: Path) -> None:
    overrides = {
        f"tuning.{key}": value for key, value in {"target": 0.3, "convergence": 0.01, "trial_minutes": 1, "trial_memory": 2}.items()
    }
    config = read_config(small_config(tmp_path / "shop"), {**overrides, "tuning.no_progress_trials": 9})
    assert describe_search(config, "binary", "log_loss")["until"] == (
        "3 trials or 20 failed trials or 9 trials without progress or log_loss reaching 0.3 "
        "or the best trials lying within 1.00% of each other or 1 minute for one trial or 2 GB for one trial"
    )
