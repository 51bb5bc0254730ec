"""Stage: one fit with chosen settings. It never stops early: the number of rounds is among the hyperparameters."""

from __future__ import annotations

from sklearn.base import clone

from tasks.errors import EvertuneError, TrainingFailed
from tasks.models.model import Fitted, Fitting, Model, matrix
from tasks.plans import Features
from tasks.records import Rows, Table
from tasks.settings import WeightSettings
from tasks.stage import stage
from tasks.targets import encode, queries
from tasks.weights import weigh

EVEN = WeightSettings()


@stage("train")
def train_model(table: Table, rows: Rows, features: Features, model: Model, fitting: Fitting, weights: WeightSettings = EVEN) -> Fitted:
    """Fit features and model on these rows alone; the rounds it took are among the hyperparameters of what comes out.

    Raises TrainingFailed with the library's own words.
    """
    frame = table.frame.iloc[rows]
    truth = encode(fitting.target, frame[fitting.target.column])
    try:
        fresh: Features = clone(features).fit(frame)
        train = matrix(fresh, frame, truth, weigh(weights, frame, truth, table.columns), queries(table.columns, frame))
        native = model.fit(model.prepare(train, None, fitting), fitting)
    except EvertuneError:
        raise
    except MemoryError:
        raise TrainingFailed(f"training {model.identity} on {len(rows):,} rows ran out of memory; use split.training_window") from None
    except Exception as error:  # a library's own error, of whatever class it chose
        raise TrainingFailed(f"training {model.identity} failed: {type(error).__name__}: {error}") from error
    if model.rounds_name and native.rounds is not None:
        model = model.with_hyperparameters({model.rounds_name: native.rounds})
    return Fitted(model, fresh, native, fitting.target)


refit_model = stage("refit")(train_model.plain)
"""The same fit on all rows, once the gate has passed: a stage of its own, so that its time and failure show as such."""
train_stand_in = stage("stand-in")(train_model.plain)
"""The champion's settings fitted on the challenger's training rows, where the champion itself has seen the test rows."""
