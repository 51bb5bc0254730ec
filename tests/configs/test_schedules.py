"""Faults of schedules, found when the config is read; what passes, Prefect takes too."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from prefect.client.schemas.schedules import CronSchedule

from configs.reading import read_config
from configs.schedules import _changes, faults_of_schedules
from configs.schema import RetrainConfig
from tasks.models.families import Families
from tasks.settings.operation import OperationSettings
from tasks.settings.operation.schedules import Family
from tests.small import small_config


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RetrainConfig:
    return read_config(small_config(tmp_path_factory.mktemp("schedules")))


def faults(config: RetrainConfig, *schedules: dict[str, Any]) -> list[str]:
    operation = OperationSettings.model_validate({"schedules": schedules})
    return list(faults_of_schedules(config.model_copy(update={"operation": operation})))


@pytest.mark.parametrize(
    ("schedule", "fault"),
    [
        ({}, "got neither"),
        ({"cron": "0 6 * * *", "every": "6h"}, "got both"),
        ({"cron": "0 6 * *"}, "must be five fields"),
        ({"cron": "0 6 * * 5L"}, "must be numbers, names"),
        ({"cron": "0 6 ? * *"}, "must be numbers, names"),
        ({"every": "6h", "overrides": {"source.url": "postgresql://me:hunter2@db/shop"}}, "overrides: source holds a password"),
        ({"cron": "61 6 * * *"}, "cannot be read (Bad minute)"),
        ({"cron": "0 6 30 2 *"}, "never fires"),
        ({"cron": "0 6 31 2,4 *"}, "never fires"),
        ({"cron": "0 6 * * *", "timezone": "Europe/Berln"}, "did you mean Europe/Berlin?"),
        ({"cron": "30 2 * * *", "timezone": "America/New_York"}, "New_York skip 02:30 on"),
        ({"cron": "30 1 * * *", "timezone": "America/New_York"}, "New_York show twice 01:30 on"),
        ({"cron": "30 2 * * SUN", "timezone": "Europe/Berlin"}, "Berlin skip 02:30 on"),
        ({"every": "24h"}, "must be less than a day, got 1d"),
        ({"every": "7d"}, "give cron"),
        ({"every": "5s"}, "at least a minute"),
        ({"every": "6h", "overrides": {"tuning.trails": 3}}, "with this, tuning.trails: there is no such key; did you mean trials?"),
        ({"every": "6h", "overrides": {"tuning.average": 30}}, "with this, tuning.average must be at most 10"),
        ({"every": "6h", "overrides": {"operation.overlap": "wait"}}, "operation is no part of a retrain"),
        ({"every": "6h", "overrides": {"tuning.reproducible": True}, "minutes": 3}, "tuning.minutes"),
        ({"every": "6h", "families": ["scikit"]}, "model.estimator is required"),
        ({"every": "6h", "note": "{{ $PASSWORD }}"}, "would be filled in by Prefect"),
    ],
)
def test_a_wrong_schedule_is_told_with_its_key_and_what_to_do(config: RetrainConfig, schedule: dict[str, Any], fault: str) -> None:
    found = faults(config, schedule)
    assert len(found) == 1, found
    assert found[0].startswith("operation.schedules.0")
    assert fault in found[0]


@pytest.mark.parametrize(
    "schedule",
    [
        {"cron": "0 6 * * *"},
        {"cron": "30 2 * * *"},
        {"cron": "30 2 * * *", "timezone": "Asia/Tokyo"},
        {"cron": "0 3 * * *", "timezone": "America/New_York"},
        {"cron": "30 2 15 1 *", "timezone": "America/New_York"},
        {"cron": "0 * * * *", "timezone": "America/New_York"},
        {"cron": "*/20 6-18 * * MON-FRI"},
        {"cron": "0 6 29 2 *"},
        {"cron": "0 6 L * *"},
    ],
)
def test_what_passes_prefect_takes_too(config: RetrainConfig, schedule: dict[str, Any]) -> None:
    assert faults(config, schedule) == []
    CronSchedule(cron=schedule["cron"], timezone=schedule.get("timezone", "UTC"))


def test_names_must_differ(config: RetrainConfig) -> None:
    assert faults(config, {"every": "6h"}, {"every": "8h"}) == [
        "operation.schedules.1.name: schedule 0 is called 'nightly' too; give each a name of its own"
    ]


def test_changes_of_the_clocks_are_those_that_the_zone_shows() -> None:
    """A local time that does not exist does not come back from UTC as it was; one that exists twice depends on the fold."""
    zone = zoneinfo.ZoneInfo("Australia/Lord_Howe")  # half an hour
    changes = list(_changes(zone))
    assert len(changes) in range(19, 22)
    for begins, ends, skipped in changes:
        assert ends - begins == timedelta(minutes=30)
        local = (begins + timedelta(minutes=10)).replace(tzinfo=zone)
        assert (local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None)) == skipped
        assert local.utcoffset() != local.replace(fold=1).utcoffset()
        assert begins > datetime.now() - timedelta(days=2)


def test_the_form_and_schedules_know_every_family() -> None:
    assert set(get_args(Family)) == {get_args(member.model_fields["family"].annotation)[0] for member in get_args(Families)}


def test_a_right_override_and_a_known_family_pass(config: RetrainConfig, tmp_path: Path) -> None:
    assert faults(config, {"every": "6h", "overrides": {"tuning.average": 3, "model.max_rounds": 9}, "families": ["xgboost"]}) == []
