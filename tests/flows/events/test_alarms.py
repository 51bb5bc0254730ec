"""What of a look is news: once per occasion, again when there is more to it, when it comes back, and as a reminder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flows.events.alarms import Alarm, Told, find_news, read_told, remember, write_told

START = datetime(2026, 5, 1, tzinfo=UTC)
WEEK = timedelta(days=7)


def drift(*names: str) -> Alarm:
    return Alarm("drift", "evertune.drift", "drift", {}, names)


OLD = Alarm("old", "evertune.champion.old", "old", {})


@pytest.mark.parametrize(
    ("looks", "told_on"),
    [
        ([(drift("a"),)] * 8, [0, 7]),
        ([(drift("a"),), (drift("a", "b"),), (drift("a"),), (drift("a", "b"),)], [0, 1]),
        ([(drift("a"),), (), (drift("a"),)], [0, 2]),
        ([(OLD,), (OLD, drift("a")), (OLD, drift("a"))], [0, 1]),
    ],
)
def test_an_alarm_is_told_once_until_there_is_more_to_it_it_comes_back_or_a_week_has_passed(
    looks: list[tuple[Alarm, ...]], told_on: list[int]
) -> None:
    told: dict[str, Told] = {}
    days = []
    for day, alarms in enumerate(looks):
        now = START + timedelta(days=day)
        news = find_news(alarms, told, now, WEEK)
        days += [day] if news else []
        told = read_told(write_told(remember(alarms, told, news, now)))
    assert days == told_on


def test_without_a_reminder_it_is_said_once_for_ever_and_what_did_not_get_out_is_said_again() -> None:
    assert find_news((OLD,), {"old": Told(START)}, START + 100 * WEEK, None) == ()
    assert remember((OLD,), {}, (), START) == {}


def test_what_was_told_of_many_long_columns_fits_in_a_tag_of_mlflows() -> None:
    wide = drift(*(f"{number:040}" * 5 for number in range(500)))
    text = write_told(remember((wide,), {}, (wide,), START))
    assert len(text) < 5000
    assert find_news((wide,), read_told(text), START, WEEK) == ()
    assert read_told("{'made by hand'") == {}
