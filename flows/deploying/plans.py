"""Which deployments a set of configs asks for: plain data, which the file deploy/prefect.yaml and Prefect's API both get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from configs.reading import read_config
from configs.schema import RetrainConfig
from tasks.errors import ConfigError
from tasks.settings.operation import Choices, OperationSettings, Schedule

POOL = "evertune"
TAG = "evertune"
ANCHOR = "2020-01-01T00:00:00+00:00"
"""Intervals count from this midnight, so that a deployment that is registered again keeps its slots."""
RECONCILE_EVERY = timedelta(minutes=10)
AGE_EVERY = timedelta(days=1)


@dataclass(frozen=True)
class Deployment:
    """One deployment; `schedules` as prefect.yaml has them: slug, cron and timezone or interval and anchor_date, parameters."""

    flow: str
    name: str
    entrypoint: str
    description: str
    parameters: dict[str, Any] = field(default_factory=dict)
    schedules: tuple[dict[str, Any], ...] = ()
    tags: tuple[str, ...] = (TAG,)

    @property
    def full_name(self) -> str:
        return f"{self.flow}/{self.name}"

    @property
    def job_variables(self) -> dict[str, Any]:
        """What its runs get from the worker: the heartbeat that the automation of flows.reconciling counts on."""
        from flows.reconciling.automation import HEARTBEAT_SECONDS

        return {"env": {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS)}}


@dataclass(frozen=True)
class Plan:
    """What is to be registered from the folder `root`, on the work pool `pool`."""

    root: Path
    pool: str
    configs: tuple[RetrainConfig, ...]
    deployments: tuple[Deployment, ...]


def plan_deployments(paths: Sequence[Path], root: Path, pool: str = POOL) -> Plan:
    """The deployments of these configs. Raises ConfigError for a faulty config, and for two with one name."""
    configs: dict[str, tuple[Path, RetrainConfig]] = {}
    deployments: list[Deployment] = []
    for path in paths:
        config = read_config(path)
        if config.name in configs:
            raise ConfigError(f"{path}: name {config.name} is that of {configs[config.name][0]} too; each config needs a name of its own")
        configs[config.name] = path, config
        deployments += _deployments_of(config, relative(path, root), root)
    taken = [deployment.full_name for deployment in deployments]
    for name in taken:
        if taken.count(name) > 1:
            raise ConfigError(f"two configs ask for the deployment {name}: a name that ends in -quick is taken; call one otherwise")
    deployments.append(_reconciler(root))
    return Plan(root, pool, tuple(config for _, config in configs.values()), tuple(deployments))


def relative(path: Path, root: Path) -> str:
    """A path as a run will name it: from the root where it lies below it, else the whole."""
    whole = path.resolve()
    return str(whole.relative_to(root.resolve())) if whole.is_relative_to(root.resolve()) else str(whole)


def _deployments_of(config: RetrainConfig, path: str, root: Path) -> Iterator[Deployment]:
    operation, tags = config.operation, (TAG, config.name)
    about = _literal(config.description or f"Retrains the model {config.model_name}.")
    given = {"config": path}
    yield Deployment(
        "retrain",
        config.name,
        _entrypoint("retrain", root),
        f"{about}\n\nRetrains as {path} says, and by its schedules.",
        given,
        tuple(_schedule(schedule) for schedule in operation.schedules),
        tags,
    )
    quick = "A quick look by hand: started from its form, never by itself."
    yield Deployment(
        "retrain",
        f"{config.name}-quick",
        _entrypoint("retrain", root),
        f"{about}\n\n{quick}",
        {**given, **_wishes(_quick(config))},
        tags=(*tags, "quick"),
    )
    if operation.events.new_data is not None:
        every = operation.events.new_data.every
        text = "Looks whether the source has new data, and tells it as the event evertune.data.new."
        yield Deployment("watch", config.name, _entrypoint("watch", root), text, given, (_interval("watch", every),), tags)
    watched = [event.every for event in (operation.events.drift, operation.events.decay) if event is not None]
    if watched or operation.max_age is not None:
        text = "Looks at newer data and labels for drift and decay, and at the champion's age, and tells what it finds as events."
        every = min([*watched, *([AGE_EVERY] if operation.max_age is not None else [])])
        yield Deployment("monitor", config.name, _entrypoint("monitor", root), text, given, (_interval("monitor", every),), tags)


def _quick(config: RetrainConfig) -> Choices:
    """A default in minutes would be refused by a config that must be reproducible; its trials are limit enough."""
    quick = config.operation.quick
    return quick.changed(minutes=None) if config.tuning.reproducible and quick == OperationSettings().quick else quick


def _reconciler(root: Path) -> Deployment:
    text = "Ends what dead processes left behind as if it were alive: runs, trials, leases, approvals that nobody answered."
    return Deployment("reconcile", TAG, _entrypoint("reconcile", root), text, schedules=(_interval("reconcile", RECONCILE_EVERY),))


def _entrypoint(flow: str, root: Path) -> str:
    """The flow's file, where the root is a checkout; else its module, as it is installed."""
    return f"flows/{flow}.py:{flow}" if (root / "flows" / f"{flow}.py").is_file() else f"flows.{flow}.{flow}"


def _schedule(schedule: Schedule) -> dict[str, Any]:
    if schedule.every is not None:
        return {**_interval(schedule.name, schedule.every), "parameters": _wishes(schedule)}
    return {"slug": schedule.name, "cron": schedule.cron, "timezone": schedule.timezone, "parameters": _wishes(schedule)}


def _interval(slug: str, every: timedelta) -> dict[str, Any]:
    return {"slug": slug, "interval": every.total_seconds(), "anchor_date": ANCHOR, "timezone": "UTC"}


def _wishes(choices: Choices) -> dict[str, Any]:
    """The flow's parameters that differ from the form's defaults."""
    wishes = {name: getattr(choices, name) for name in Choices.model_fields}
    return {name: list(value) if name == "families" else value for name, value in wishes.items() if value != _default(name)}


def _default(name: str) -> Any:
    return Choices.model_fields[name].default


def _literal(text: str) -> str:
    """Prefect fills in what stands between double braces when it deploys."""
    return text.replace("{{", "{ {")
