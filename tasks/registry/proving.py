"""Proving that a saved model can be served before anybody relies on it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tasks.errors import TrainingFailed
from tasks.models.model import Fitted
from tasks.registry.saving import answer_of, to_serve


def prove_it_answers(uri: str, fitted: Fitted, example: pd.DataFrame) -> None:
    """Load the logged model back and ask it: same rows, same answers. Raises TrainingFailed when it does not."""
    import mlflow.pyfunc

    sample = to_serve(example, fitted)
    expected = answer_of(fitted, sample)
    try:
        answered = mlflow.pyfunc.load_model(uri).predict(sample)
    except Exception as error:  # whatever a library raises, the model cannot be served
        raise TrainingFailed(f"the logged model {uri} does not answer: {type(error).__name__}: {error}") from error
    numbers = expected.select_dtypes("number").columns
    if not np.allclose(answered[numbers], expected[numbers], rtol=1e-6, atol=1e-9):
        raise TrainingFailed(f"the logged model {uri} answers otherwise than the one that was trained; it was not registered")
