"""RetrainConfig: the table of contents of a retrain, and what must hold between its parts."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from tasks.errors import ConfigError
from tasks.metrics import METRICS, find_metric
from tasks.models import AnyModel
from tasks.models.lightgbm import LightGBM
from tasks.settings import (
    FeatureSettings,
    GateSettings,
    RegistrySettings,
    SplitSettings,
    TableSettings,
    TuningSettings,
    ValidationSettings,
)
from tasks.sources import AnySource

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]


class RetrainConfig(TableSettings):
    """One model: where its data is, what it predicts, how it is tuned, when it may go live."""

    name: Name
    """Names the experiment, the runs and (unless registry.model says otherwise) the registered model."""
    description: str = ""
    """One or two sentences for whoever reads the runs."""
    source: AnySource
    """Where the rows come from."""
    validation: ValidationSettings = ValidationSettings()
    split: SplitSettings = SplitSettings()
    features: FeatureSettings = FeatureSettings()
    model: AnyModel = LightGBM()
    metric: str | None = None
    """The metric that is tuned for and judged on; log_loss for classes, rmse for a regression when left out."""
    metrics: tuple[str, ...] = ()
    """Further metrics to report; the task's usual ones when left out."""
    tuning: TuningSettings = TuningSettings()
    gate: GateSettings = GateSettings()
    registry: RegistrySettings = RegistrySettings()
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
        return TableSettings(**{name: getattr(self, name) for name in TableSettings.model_fields})

    @property
    def usable_threads(self) -> int:
        """Cores to use: never more than this process may."""
        allowed = len(os.sched_getaffinity(0))
        return min(self.threads or allowed, allowed)

    def digest(self) -> str:
        """64 bits of hash of everything that can change what is trained or decided, but for the data, which has its own."""
        content = self.model_dump(mode="json", exclude={"threads", "description", "source"})
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]

    @model_validator(mode="after")
    def _columns_have_one_role(self) -> Self:
        time = self.time.column if self.time else None
        for role, name in (("target", self.target), ("time.column", time)):
            if name is not None and self.columns.get(name, "ignore") != "ignore":
                raise ValueError(f"columns: {name} is already the {role}, it cannot be a feature of kind {self.columns[name]}")
        if self.target == time:
            raise ValueError(f"target: {self.target} is the time column too")
        if self.target in self.key:
            raise ValueError(f"key: the target {self.target} cannot be part of the key")
        return self

    @model_validator(mode="after")
    def _windows_have_a_time(self) -> Self:
        if self.time is None:
            lengths = {"split.test": self.split.test, "split.fold": self.split.fold, "split.training_window": self.split.training_window}
            for key, value in lengths.items():
                if isinstance(value, timedelta):
                    raise ValueError(f"{key}: a length of time needs a time column; name it under time, or give a share such as 0.2")
        elif self.split.group:
            raise ValueError("split.group: rows are split by time here; leave group out, or time")
        return self

    @model_validator(mode="after")
    def _limits_and_metrics(self) -> Self:
        if self.tuning.trials is None and self.tuning.minutes is None:
            raise ValueError("tuning: give trials, minutes or both; a search without a limit never ends")
        named = {"metric": (self.metric,) if self.metric else (), "metrics": self.metrics}
        named |= {"gate.floors": tuple(self.gate.floors), "gate.ceilings": tuple(self.gate.ceilings)}
        for key, names in named.items():
            for name in names:
                try:
                    find_metric(name, self.task)
                except ConfigError as error:
                    raise ValueError(f"{key}: {error}") from None
        tasks = [METRICS[name].tasks for names in named.values() for name in names]
        if tasks and not frozenset.intersection(*tasks):
            raise ValueError("metric, metrics and gate name metrics that no single task can have")
        return self


def json_schema() -> str:
    """The JSON Schema of a config file, for editors."""
    schema = RetrainConfig.model_json_schema()
    schema["title"] = "Evertune retrain"
    return json.dumps(schema, indent=2) + "\n"
