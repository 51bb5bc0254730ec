from __future__ import annotations

import threading

import pytest
from optuna.trial import create_trial

from tasks.errors import ServiceUnavailable
from tasks.records import Trial
from tasks.trials.stores import Told
from tasks.trials.writing import Writer


def told(number: int) -> Told:
    return Told(Trial(number, "finished", {}, 0.5, (0.5,), 1.0), create_trial(value=0.5))


def passing(error: Exception) -> bool:
    return isinstance(error, ServiceUnavailable)


def test_every_sink_gets_every_trial_in_order_on_another_thread() -> None:
    here, there = [], []
    threads = set()
    writer = Writer(
        {"one": here.append, "two": lambda each: (there.append(each), threads.add(threading.get_ident()))[0]}, passing, {"one", "two"}
    )
    for number in range(5):
        writer.put(told(number))
    writer.close()
    assert [each.trial.number for each in here] == [each.trial.number for each in there] == [0, 1, 2, 3, 4]
    assert threading.get_ident() not in threads


def test_a_sink_that_comes_back_misses_nothing() -> None:
    got, tries = [], []

    def restarting(each: Told) -> None:
        tries.append(each)
        if len(tries) < 3:
            raise ServiceUnavailable("starting")
        got.append(each.trial.number)

    writer = Writer({"store": restarting}, passing, {"store"})
    writer.put(told(0))
    writer.put(told(1))
    writer.close()
    assert got == [0, 1]


def test_a_sink_that_stays_away_is_given_up_the_others_go_on_and_close_says_so() -> None:
    got: list[int] = []

    def gone(_: Told) -> None:
        raise ServiceUnavailable("gone for good")

    writer = Writer({"gone": gone, "here": lambda each: got.append(each.trial.number)}, passing, {"gone"}, try_seconds=0)
    for number in range(3):
        writer.put(told(number))
    with pytest.raises(ServiceUnavailable, match="gone for good"):
        writer.close()
    assert got == [0, 1, 2]


def test_a_bug_is_not_tried_again() -> None:
    tries = []

    def broken(each: Told) -> None:
        tries.append(each)
        raise TypeError("a bug")

    writer = Writer({"broken": broken}, passing, ())
    writer.put(told(0))
    with pytest.raises(TypeError, match="a bug"):
        writer.close()
    assert len(tries) == 1


def test_what_a_sink_misses_that_somebody_else_completes_is_no_error_of_the_writers() -> None:
    def gone(_: Told) -> None:
        raise ServiceUnavailable("gone for a while")

    writer = Writer({"MLflow": gone}, passing, (), try_seconds=0)
    writer.put(told(0))
    writer.close()
