"""What must hold of schedules, and of what retrains are run with: each fault begins with its key.

Prefect would take most of these, and then never run, run an hour off, or fail each night.
"""

from __future__ import annotations

import itertools
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pydantic
from cronsim import CronSim, CronSimError

from configs.faults import describe_faults
from tasks.settings.operation import Choices, EventSettings, Schedule
from tasks.settings.values import Settings, format_duration
from tasks.sources.source import mask
from tasks.wording import did_you_mean

if TYPE_CHECKING:
    from configs.schema import RetrainConfig

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
PLAIN = re.compile(r"(?:[\d*,/-]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)+|L", re.IGNORECASE)
"""A field of a cron as every reader of crons reads it."""
OWN = ("evertune.", "prefect.")
"""Events that every retrain gives rise to begin so."""
YEARS_AHEAD = 10
"""How far changes of the clocks are looked for: far enough that every date on which a zone changes has come up."""


def faults_of_schedules(config: RetrainConfig) -> Iterator[str]:
    """Everything that is wrong with when retrains run and what they are run with."""
    operation = config.operation
    names: dict[str, int] = {}
    for place, schedule in enumerate(operation.schedules):
        key = f"operation.schedules.{place}"
        if schedule.name in names:
            yield f"{key}.name: schedule {names[schedule.name]} is called {schedule.name!r} too; give each a name of its own"
        names.setdefault(schedule.name, place)
        yield from _faults_of_time(key, schedule)
        yield from _faults_of_choices(config, key, schedule)
    yield from _faults_of_events(operation.events)
    if operation.quick != type(operation)().quick:  # the default is nobody's fault
        yield from _faults_of_choices(config, "operation.quick", operation.quick)


def _faults_of_events(events: EventSettings) -> Iterator[str]:
    for name in ("new_data", "drift", "decay"):
        event = getattr(events, name)
        if event is not None and event.every < MINUTE:
            yield f"operation.events.{name}.every must be at least a minute, got {format_duration(event.every)}"
    for place, outside in enumerate(events.outside):
        stem = outside.event.rstrip("*")
        ours = [own for own in OWN if stem.startswith(own) or (stem != outside.event and own.startswith(stem))]
        if ours and not outside.resource:
            yield (
                f"operation.events.outside.{place}.event: {outside.event!r} is also what a retrain itself tells ({ours[0]}*), "
                "and would set it off again and again; name the event in full, or whose it is under resource"
            )


def choose_families(config: RetrainConfig, families: tuple[str, ...]) -> dict[str, Any]:
    """The sections `model` and `alternatives` with these families alone: with its own settings where the config names one, else
    with that family's defaults. Empty where nothing changes."""
    known: dict[str, Any] = {model.family: model for model in (config.model, *config.alternatives)}
    chosen = [known.get(family, {"family": family}) for family in dict.fromkeys(families)]
    unchanged = not chosen or chosen == [config.model, *config.alternatives]
    return {} if unchanged else {"model": chosen[0], "alternatives": tuple(chosen[1:])}


def _faults_of_time(key: str, schedule: Schedule) -> Iterator[str]:
    if (schedule.cron is None) == (schedule.every is None):
        got = "neither" if schedule.cron is None else "both"
        yield f"{key}: give cron, such as `0 6 * * *`, or every, such as 6h; got {got}"
    zone = _find_zone(schedule.timezone)
    if zone is None:
        hint = did_you_mean(schedule.timezone, zoneinfo.available_timezones()) or "such as UTC or Europe/Berlin"
        yield f"{key}.timezone must be a name of the IANA's time zones, got {schedule.timezone!r}; {hint}"
    if schedule.every is not None:
        yield from _faults_of_interval(f"{key}.every", schedule.every)
    if schedule.cron is not None:
        yield from _faults_of_cron(f"{key}.cron", schedule.cron, zone)


def _find_zone(name: str) -> zoneinfo.ZoneInfo | None:
    return zoneinfo.ZoneInfo(name) if name in zoneinfo.available_timezones() else None


def _faults_of_interval(key: str, every: timedelta) -> Iterator[str]:
    if every >= DAY:
        yield (
            f"{key} must be less than a day, got {format_duration(every)}: days of 24 hours drift when the clocks change; "
            "give cron, such as `0 6 * * *` for every day at six"
        )
    elif every < MINUTE:
        yield f"{key} must be at least a minute, got {format_duration(every)}"


def _faults_of_cron(key: str, cron: str, zone: zoneinfo.ZoneInfo | None) -> Iterator[str]:
    if len(cron.split()) != 5:
        yield f"{key} must be five fields (minute, hour, day, month, weekday), such as `0 6 * * *`, got {cron!r}"
        return
    if not all(PLAIN.fullmatch(field) for field in cron.split()):  # Prefect reads the rest otherwise, or not at all
        yield f"{key} must be numbers, names, *, ranges, lists and steps (day also L, the month's last), got {cron!r}; such as `0 6 * * *`"
        return
    try:
        first = next(CronSim(cron, datetime.now(UTC)), None)
    except CronSimError as error:
        first = None
        if _each_field_is_right(cron):
            yield f"{key} never fires: there is no such day in any year, got {cron!r}"
        else:
            yield f"{key} cannot be read ({error}), got {cron!r}; five fields such as `0 6 * * *`"
    else:
        if first is None:
            yield f"{key} never fires: there is no such day in any year, got {cron!r}"
    if first is not None and zone is not None and (change := _changed_clock(cron, zone)):
        yield f"{key}: {change}"


def _each_field_is_right(cron: str) -> bool:
    """Whether a cron is refused only because its day and month do not go together."""
    minute, hour, day, _, weekday = cron.split()
    try:
        CronSim(f"{minute} {hour} {day} * {weekday}", datetime.now(UTC))
        CronSim(f"0 0 1 {cron.split()[3]} *", datetime.now(UTC))
    except CronSimError:
        return False
    return True


def _changed_clock(cron: str, zone: zoneinfo.ZoneInfo) -> str:
    """Whether a time of day that the cron names is one that the zone's clocks skip or show twice, and what to do; "" if not.

    Prefect fires such a slot an hour off, or twice. Crons of every hour or every few minutes are let be: one slot among many.
    """
    if cron.split()[1].startswith("*"):
        return ""
    for begins, ends, skipped in _changes(zone):
        slot = next(CronSim(cron, begins - MINUTE))
        if slot < ends:
            return (
                f"the clocks of {zone.key} {'skip' if skipped else 'show twice'} {slot:%H:%M} on {slot:%-d %B %Y}, and the retrain "
                f"would start an hour off, or twice; choose a time outside {begins:%H:%M} to {ends:%H:%M}, or timezone: UTC; got {cron!r}"
            )
    return ""


def _changes(zone: zoneinfo.ZoneInfo) -> Iterator[tuple[datetime, datetime, bool]]:
    """Local times, without a zone, that do not exist (True) or exist twice (False), from the first one on that is still to come."""
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = (start + number * DAY for number in range(YEARS_AHEAD * 366))
    for before, after in itertools.pairwise(days):
        offset, then = _offset(before, zone), _offset(after, zone)
        if offset == then:
            continue
        while after - before > MINUTE:
            middle = before + (after - before) / 2
            before, after = (middle, after) if _offset(middle, zone) == offset else (before, middle)
        instant = after.replace(second=0, microsecond=0, tzinfo=None)
        yield instant + min(offset, then), instant + max(offset, then), then > offset


def _offset(instant: datetime, zone: zoneinfo.ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


def _faults_of_choices(config: RetrainConfig, key: str, choices: Choices) -> Iterator[str]:
    """What the config itself would say with these choices on top."""
    if any(name.partition(".")[0] == "operation" for name in choices.overrides):
        yield f"{key}.overrides: operation is no part of a retrain; change it in the section itself"
        return
    if any(name.startswith("source") and mask(str(value)) != str(value) for name, value in choices.overrides.items()):
        yield f"{key}.overrides: source holds a password, which Prefect would keep in clear; name a variable as url_env instead"
        return
    if "{{" in f"{choices.note}{choices.overrides}":
        yield f"{key}: {{{{ would be filled in by Prefect when it is deployed; write it otherwise in note and overrides"
    wanted = dict(choices.overrides)
    wanted |= {"tuning.when": choices.tune} if choices.tune != "as configured" else {}
    wanted |= {f"tuning.{name}": value for name in ("trials", "minutes") if (value := getattr(choices, name)) is not None}
    if not (wanted or choices.families):
        return
    content: dict[str, Any] = {name: value for name, value in config if name != "operation"}
    for name, value in wanted.items():
        if not _place(content, name, value):
            yield f"{key}.overrides.{name}: the section of {name.rpartition('.')[0]} has no keys to change"
            return
    changed, faults = _validated(config, content)
    if changed is not None:
        content = {**dict(changed), **choose_families(changed, choices.families), "operation": {}}
        faults = _validated(config, content)[1]
    yield from (f"{key}: with this, {line}" for line in faults)


def _validated(config: RetrainConfig, content: dict[str, Any]) -> tuple[RetrainConfig | None, list[str]]:
    """A config of this content, or the lines of what is wrong with it."""
    try:
        return type(config).model_validate(content), []
    except pydantic.ValidationError as error:
        return None, [line for _, line in describe_faults(type(config), content, error)]


def _place(content: dict[str, Any], name: str, value: Any) -> bool:
    """Set a dotted key, sections on its way opened; False where something on the way is no section."""
    *parents, last = name.split(".")
    for parent in parents:
        below = content.get(parent)
        if isinstance(below, Settings):
            below = {key: getattr(below, key) for key in below.model_fields_set}
        elif isinstance(below, Mapping) or below is None:
            below = dict(below or {})
        else:
            return False
        content[parent] = below
        content = below
    content[last] = value
    return True
