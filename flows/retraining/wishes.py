"""What a person, a schedule or an event wishes of one retrain: the fields of the run form, and how they become settings.

Prefect's form takes a parameter's type, bounds and default from its annotation, the description from the flow's docstring, and
would take its name for a title; what `json_schema_extra` says goes before. Types are those that the form shows well, and whose
bounds it checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from configs.reading import read_config, refuse_secrets
from configs.schedules import choose_families
from configs.schema import RetrainConfig
from tasks.errors import ConfigError
from tasks.records import Verdict
from tasks.settings.operation import Promote, Tune
from tasks.settings.operation.schedules import LONGEST_NOTE, MOST_MINUTES, MOST_TRIALS, Family


def _titled(title: str, **bounds: Any) -> Any:
    """A field of the run form."""
    return Field(json_schema_extra={"title": title}, **bounds)


ConfigPath = Annotated[str, _titled("Config", min_length=1, max_length=1000)]
AsOf = Annotated[datetime | None, _titled("As of")]
Tuning = Annotated[Tune, _titled("Tune")]
Trials = Annotated[int, _titled("Trials", ge=0, le=MOST_TRIALS)]
Minutes = Annotated[float, _titled("Minutes", ge=0, le=MOST_MINUTES)]
Families = Annotated[list[Family], _titled("Families", max_length=4)]
Promotion = Annotated[Promote, _titled("Promote")]
Note = Annotated[str, _titled("Note", max_length=LONGEST_NOTE)]
DryRun = Annotated[bool, _titled("Dry run")]
Overrides = Annotated[dict[str, Any] | None, _titled("Overrides")]
Force = Annotated[bool, _titled("Force")]


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
    refuse_secrets(overrides or {}, "overrides")
    config = read_config(path, changes)
    chosen = choose_families(config, tuple(families))
    if not chosen:
        return config
    try:
        return RetrainConfig.model_validate({**dict(config), **chosen})
    except ValueError as error:
        raise ConfigError(f"families {', '.join(families)}: {error}") from None


def wished(verdict: Verdict, promote: Promote) -> Verdict:
    """The gate's verdict, where the alias moves only as far as was wished."""
    if promote == "auto" or verdict.answer == "keep":
        return verdict
    if promote == "never":
        return replace(verdict, answer="keep", reason=f"promote is never, else the answer were {verdict.answer}: {verdict.reason}")
    return verdict if verdict.answer == "ask" else replace(verdict, answer="ask", reason=f"promote is ask: {verdict.reason}")
