"""What a person, a schedule or an event wishes of one retrain: the fields of the run form, and how they become settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from configs.reading import read_config
from configs.schema import RetrainConfig
from tasks.errors import ConfigError
from tasks.records import Verdict
from tasks.settings.operation import Promote, Tune

Trials = Annotated[int, Field(ge=0, le=100_000)]
Minutes = Annotated[float, Field(ge=0, le=10_000)]
Family = Literal["lightgbm", "xgboost", "keras", "scikit"]
Note = Annotated[str, Field(max_length=2000)]


def read_wished(
    path: str,
    tune: Tune = "as configured",
    trials: int = 0,
    minutes: float = 0,
    families: Sequence[str] = (),
    overrides: dict[str, Any] | None = None,
) -> RetrainConfig:
    """The config with these wishes on top; 0 and nothing leave it as it is. Raises ConfigError."""
    changes = {
        **(overrides or {}),
        **({} if tune == "as configured" else {"tuning.when": tune}),
        **({"tuning.trials": trials} if trials else {}),
        **({"tuning.minutes": minutes} if minutes else {}),
    }
    config = read_config(path, changes)
    return _only(config, families) if families else config


def wished(verdict: Verdict, promote: Promote) -> Verdict:
    """The gate's verdict, where the alias moves only as far as was wished."""
    if promote == "auto" or verdict.answer == "keep":
        return verdict
    if promote == "never":
        return replace(verdict, answer="keep", reason=f"promote is never, else the answer were {verdict.answer}: {verdict.reason}")
    return verdict if verdict.answer == "ask" else replace(verdict, answer="ask", reason=f"promote is ask: {verdict.reason}")


def _only(config: RetrainConfig, families: Sequence[str]) -> RetrainConfig:
    """The config with these families alone: with its own settings where it names one, else with that family's defaults."""
    known = {model.family: model for model in (config.model, *config.alternatives)}
    chosen: list[Any] = [known.get(family, {"family": family}) for family in dict.fromkeys(families)]
    if chosen == [config.model] and not config.alternatives:
        return config
    content = {**dict(config), "model": chosen[0], "alternatives": tuple(chosen[1:])}
    try:
        return RetrainConfig.model_validate(content)
    except ValueError as error:
        raise ConfigError(f"families {', '.join(families)}: {error}") from None
