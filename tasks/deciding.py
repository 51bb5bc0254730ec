"""Stage: is there anything to retrain, and does the tuning branch run? Both answers come with their reason."""

from __future__ import annotations

from pydantic import ValidationError

from tasks.errors import TrainingFailed
from tasks.models.model import Model
from tasks.records import Champion, Decision, Table
from tasks.settings import TuningSettings
from tasks.stage import stage


def nothing_new(table: Table, config_digest: str, champion: Champion | None) -> str | None:
    """Why there is nothing to retrain: the live champion was made from these very rows and this very config. None if there is."""
    if champion is None or not champion.live:
        return None
    if (champion.data_digest, champion.config_digest) != (table.digest, config_digest):
        return None
    return f"no new labelled rows and the same config as champion v{champion.version}; --force trains all the same"


@stage("decide")
def decide_tuning(settings: TuningSettings, model: Model, champion: Champion | None) -> Decision:
    """Whether to tune. `never` uses the champion's hyperparameters, or the config's own when there are none to use."""
    if settings.when == "always":
        return Decision(True, "tuning.when is always: every retrain re-tunes, because the data has changed")
    if champion is None:
        return Decision(False, "tuning.when is never: the config's own hyperparameters, since there is no champion")
    if champion.family != model.identity:
        return Decision(
            False, f"tuning.when is never: the config's own hyperparameters, since champion v{champion.version} is {champion.family}"
        )
    return Decision(False, f"tuning.when is never: the hyperparameters of champion v{champion.version}")


def last_best(model: Model, champion: Champion | None) -> Model:
    """The same settings with the champion's hyperparameters, if it is of the same family; values fixed in the config win.

    Raises TrainingFailed when they are not hyperparameters any more, as after an upgrade of the library.
    """
    if champion is None or champion.family != model.identity:
        return model
    try:
        chosen: Model = model.with_hyperparameters({**champion.hyperparameters, **model.hyperparameters})
    except ValidationError as error:
        faults = "; ".join(fault["msg"].removeprefix("Value error, ") for fault in error.errors())
        raise TrainingFailed(f"tuning.when is never: champion v{champion.version} cannot be trained again ({faults}); tune once") from error
    return chosen
