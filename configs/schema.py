"""RetrainConfig: the table of contents of a retrain, and what must hold between its parts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from configs.notices import faults_of_notices
from configs.schedules import faults_of_schedules
from configs.searching import faults_of_searching
from tasks.errors import ConfigError
from tasks.executors.cores import usable_cores
from tasks.metrics import METRICS, find_metric
from tasks.models import AnyModel
from tasks.models.lightgbm import LightGBM
from tasks.settings import (
    ColumnKind,
    FeatureSettings,
    GateSettings,
    RegistrySettings,
    SplitSettings,
    TableSettings,
    TuningSettings,
    ValidationSettings,
    WeightSettings,
)
from tasks.settings.operation import OperationSettings
from tasks.sources import AnySource
from tasks.spaces import Space

NAMED = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"


def plain_name(name: str) -> str:
    """Names become folders, addresses and file names, so they hold nothing that one of these could misread."""
    if not re.fullmatch(NAMED, name):
        raise ValueError("must be at most 63 letters, digits, - and _, the first a letter or digit")
    return name


def _family_by_default(model: object) -> object:
    return {"family": LightGBM().family, **model} if isinstance(model, dict) else model


def _no_minutes_by_default(tuning: object) -> object:
    """The default limit of minutes is none for a search that can be repeated."""
    return {"minutes": None, **tuning} if isinstance(tuning, dict) and tuning.get("reproducible") is True else tuning


Name = Annotated[str, AfterValidator(plain_name), Field(json_schema_extra={"pattern": NAMED})]


class RetrainConfig(TableSettings):
    """One model: where its data is, what it predicts, how it is tuned, when it may go live."""

    name: Name
    """Names the experiment, the runs and (unless registry.model says otherwise) the registered model."""
    description: str = ""
    """One or two sentences for whoever reads the runs."""
    source: AnySource
    """Where the rows come from."""
    validation: ValidationSettings = ValidationSettings()
    """What the data must be like before anything is trained."""
    split: SplitSettings = SplitSettings()
    """Which rows train, which choose the hyperparameters, which judge."""
    features: FeatureSettings = FeatureSettings()
    """How raw columns become what a model reads."""
    model: Annotated[AnyModel, BeforeValidator(_family_by_default)] = LightGBM()
    """The model family, its fixed hyperparameters and its search space; LightGBM when no family is named."""
    alternatives: tuple[Annotated[AnyModel, BeforeValidator(_family_by_default)], ...] = ()
    """Further families, searched under the same budget; the best of all is trained."""
    weights: WeightSettings = WeightSettings()
    """How much each training row counts."""
    space: Space = {}
    """Choices of processing to search beside the model's own: features.<key>, weights.<key>, use.<group of features.optional>."""
    metric: str | None = None
    """The metric that is tuned for and judged on; log_loss for classes, rmse for a regression when left out."""
    metrics: tuple[str, ...] = ()
    """Further metrics to report; the task's usual ones when left out."""
    tuning: Annotated[TuningSettings, BeforeValidator(_no_minutes_by_default)] = TuningSettings()
    """Whether and how hyperparameters are searched, and where the search stops."""
    gate: GateSettings = GateSettings()
    """What a candidate must show before it may go live."""
    registry: RegistrySettings = RegistrySettings()
    """Where the model goes once it has passed."""
    operation: OperationSettings = OperationSettings()
    """When retrains run, what sets them off, whom they ask and tell."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Everything random starts from it."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Cores to use; those this process may use when left out. Not part of a retrain's identity."""

    @property
    def model_name(self) -> str:
        return self.registry.model or self.name

    @property
    def table(self) -> TableSettings:
        """The part of this config that says which columns there are."""
        table = {name: getattr(self, name) for name in TableSettings.model_fields}
        weight: dict[str, ColumnKind] = {self.weights.column: "ignore"} if self.weights.column else {}  # it is no feature
        return TableSettings(**{**table, "columns": {**self.columns, **weight}})

    @property
    def kept_columns(self) -> tuple[str, ...]:
        """Columns that must be there, whether or not they are features: of split, weights, optional groups and the gate's slices."""
        groups = (column for columns in self.features.optional.values() for column in columns)
        return tuple(dict.fromkeys(filter(None, (self.split.group, self.weights.column, *groups, *self.gate.slices))))

    @property
    def usable_threads(self) -> int:
        """Cores to use: never more than this process may."""
        allowed = usable_cores()
        return min(self.threads or allowed, allowed)

    def digest(self) -> str:
        """64 bits of hash of everything that can change what is trained or decided, but for the data, which has its own."""
        where = {"tuning": {"parallel", "executor", "dask"}, "gate": {"golden", "explain"}, "registry": {"lease_seconds"}}
        content = self.model_dump(mode="json", exclude={"threads": True, "description": True, "source": True, "operation": True, **where})
        if self.gate.golden is not None and self.gate.golden.is_file():
            content["golden"] = hashlib.sha256(self.gate.golden.read_bytes()).hexdigest()
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        faults = [*self._faults_of_columns(), *self._faults_of_weights(), *self._faults_of_windows(), *self._faults_of_metrics()]
        faults += [*faults_of_searching(self), *faults_of_schedules(self), *faults_of_notices(self)]
        if self.registry.model is not None and not re.fullmatch(NAMED, self.registry.model):
            faults.append(f"registry.model must be at most 63 letters, digits, - and _, got {self.registry.model!r}")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _faults_of_columns(self) -> Iterator[str]:
        time = self.time.column if self.time else None
        for role, name in (("target", self.target), ("time column", time)):
            if name is not None and self.columns.get(name, "ignore") != "ignore":
                yield f"columns.{name}: is already the {role}, it cannot be a feature of kind {self.columns[name]}"
        if self.target == time:
            yield f"target: {self.target} is the time column too"
        if self.target in self.key:
            yield f"key: the target {self.target} cannot be part of the key"
        if self.split.group == self.target:
            yield f"split.group: rows cannot be grouped by the target {self.target}"

    def _faults_of_weights(self) -> Iterator[str]:
        weights, features = self.weights, self.features
        time = self.time.column if self.time else None
        roles = {self.target: "the target", time: "the time column", self.query: "the query"} | dict.fromkeys(self.key, "part of the key")
        if weights.column is not None and weights.column in roles:
            yield f"weights.column: {weights.column} is {roles[weights.column]} already"
        elif weights.column is not None and self.columns.get(weights.column, "ignore") != "ignore":
            yield f"weights.column: {weights.column} is declared a feature of kind {self.columns[weights.column]}; it cannot be both"
        if weights.half_life is not None and self.time is None:
            yield "weights.half_life: age needs a time column; name it under time, or leave the half-life out"
        if weights.balance and self.task in ("regression", "ranking"):
            yield f"weights.balance: only classes can be balanced, a {self.task} has none"
        for group in features.without:
            if group not in features.optional:
                yield f"features.without: there is no group {group!r} under features.optional"
        for group, columns in features.optional.items():
            if self.target in columns or (weights.column is not None and weights.column in columns):
                wrong = self.target if self.target in columns else weights.column
                yield f"features.optional.{group}: {wrong} is no feature"

    def _faults_of_windows(self) -> Iterator[str]:
        for key in ("test", "fold", "training_window"):
            if self.time is None and isinstance(getattr(self.split, key), timedelta):
                yield f"split.{key}: a length of time needs a time column; name it under time, or give a share such as 0.2"
        if self.time is not None and self.split.group:
            yield "split.group: rows are split by time here; leave group out, or time"

    def _faults_of_metrics(self) -> Iterator[str]:
        floors, ceilings = self.gate.floors, self.gate.ceilings
        named = {"metric": (self.metric,) if self.metric else (), "metrics": self.metrics, "gate.floors": floors, "gate.ceilings": ceilings}
        for key, names in named.items():
            for name in names:
                try:
                    find_metric(name, self.task)
                except ConfigError as error:
                    yield f"{key}: {error}"
        known = [METRICS[name] for names in named.values() for name in names if name in METRICS]
        if known and not frozenset.intersection(*(metric.tasks for metric in known)):
            yield "metric, metrics and gate name metrics that no single task can have"
        for key, limits, useful in (("floors", floors, True), ("ceilings", ceilings, False)):
            for name in limits:
                if name in METRICS and METRICS[name].greater_is_better != useful:
                    other = "ceilings" if useful else "floors"
                    yield f"gate.{key}.{name}: {'less' if useful else 'more'} {name} is better; put it under gate.{other}"


def json_schema() -> str:
    """The JSON Schema of a config file, for editors."""
    schema = RetrainConfig.model_json_schema()
    schema["title"] = "Evertune retrain"
    # the short form, which is widened before pydantic's schema begins
    schema["properties"]["time"]["anyOf"].insert(0, {"type": "string"})
    return json.dumps(schema, indent=2) + "\n"
