"""The store of studies: SQLite as it comes, and a real PostgreSQL server that stops and comes back."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial

from tasks.errors import ServiceUnavailable
from tasks.records import FoldScore, Hyperparameters, State, Trial
from tasks.trials.stores import Store, Told
from tests.engine import Searching
from tests.postgres import Server, start_server

CHOICES: Hyperparameters = {"learning_rate": 0.1 + 0.2, "extra_trees": False}
DISTRIBUTIONS = {"learning_rate": FloatDistribution(0.01, 1.0), "extra_trees": CategoricalDistribution((False, True))}


def told(number: int, state: State = "finished", value: float | None = 0.1 + 0.7) -> Told:
    score = FoldScore(1, 1.0, 0.5, (0.1, math.nan, 1 / 3), 90, 7, 31.0, 0.2, 0.3, ((1, 0.7), (7, 0.5)), 12.5, "worker 1", 0.25)
    kept = Trial(
        number, state, {**CHOICES, "num_iterations": 7}, value, (0.5, 0.6), 1.5, "", "lightgbm", CHOICES, "defaults", (score,), 0.125
    )
    frozen = create_trial(value=0.8, params=CHOICES, distributions=DISTRIBUTIONS)
    return Told(kept, frozen)


def same(trial: Trial, other: Trial) -> bool:
    """Equal, a NaN equal to itself."""
    return repr(trial) == repr(other)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'studies.db'}"


def test_a_trial_comes_back_as_it_was_written(url: str) -> None:
    Store(url, "one").add(told(3))
    (past,) = Store(url, "one").past()
    assert same(past.trial, told(3).trial)
    assert (past.frozen.params, past.frozen.distributions) == (CHOICES, DISTRIBUTIONS)


def test_predictions_stay_in_memory(url: str) -> None:
    from dataclasses import replace

    given = told(0)
    heavy = replace(given.trial, scores=tuple(replace(score, prediction=np.zeros(9)) for score in given.trial.scores))
    Store(url, "one").add(Told(heavy, given.frozen))
    assert Store(url, "one").past()[0].trial.scores[0].prediction is None


def test_what_failed_is_kept_but_not_counted_again(url: str) -> None:
    store = Store(url, "one")
    store.add(told(0, "failed", None))
    store.add(told(1, "pruned", None))
    store.add(told(2))
    assert [past.trial.number for past in Store(url, "one").past()] == [1, 2]


def test_studies_of_other_names_are_other_searches(url: str) -> None:
    Store(url, "one").add(told(0))
    assert Store(url, "two").past() == []


def test_a_trial_that_was_written_twice_counts_once(url: str) -> None:
    store = Store(url, "one")
    store.add(told(0))
    store.add(told(0))
    assert len(store.past()) == 1


def test_a_database_that_is_none_is_a_service_fault(tmp_path: Path) -> None:
    (tmp_path / "studies.db").write_bytes(b"not a database " * 100)
    with pytest.raises(ServiceUnavailable, match="the study store cannot be used"):
        Store(f"sqlite:///{tmp_path / 'studies.db'}", "one")


@pytest.fixture
def server() -> Iterator[Server]:
    with start_server() as running:
        yield running


@pytest.mark.postgres
def test_a_search_goes_on_while_its_store_restarts_and_nothing_is_lost(search: Searching, server: Server) -> None:
    from tasks.trials.tuner import Tuner

    tuner: Tuner = search.tuner(store=server.sqlalchemy, trials=60, prune="none")
    done: list[Any] = []
    searching = threading.Thread(target=lambda: done.append(tuner.search()))
    searching.start()
    while len(tuner.trials) < 5:
        time.sleep(0.02)
    server.stop()
    gone = len(tuner.trials)
    searching.join()
    assert len(tuner.trials) == 60 > gone
    server.start()
    tuner.close()
    store = Store(server.sqlalchemy, "study")
    assert sorted(past.trial.number for past in store.past()) == list(range(60))
    store.close()
    assert len(search.recorded) == 60


@pytest.mark.postgres
def test_a_store_that_stays_away_is_a_service_fault_at_the_end(search: Searching, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    import tasks.trials.tuner as tuning
    from tasks.trials.writing import Writer

    monkeypatch.setattr(tuning, "Writer", lambda sinks, passing, needed: Writer(sinks, passing, needed, try_seconds=2))
    tuner = search.tuner(store=server.sqlalchemy, trials=12, prune="none")
    server.stop()
    tuner.search()
    assert len(tuner.trials) == 12
    with pytest.raises(ServiceUnavailable, match="the study store cannot be used") as fault:
        tuner.close()
    assert fault.value.exit_code == 75
    assert server.password not in str(fault.value)
    assert len(search.recorded) == 12  # in MLflow they are all the same
