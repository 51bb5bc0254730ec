"""Stage: the features a model will read, unfitted. They are fitted inside each fold only."""

from __future__ import annotations

from tasks.plans import Encoding, Features
from tasks.records import Columns
from tasks.settings import FeatureSettings
from tasks.stage import stage


@stage("features")
def build_features(columns: Columns, settings: FeatureSettings, encoding: Encoding) -> Features:
    """The unfitted transformer for these columns: nothing is looked at here, so nothing can leak.

    `encoding` is what the model family reads: native keeps categories as positions and missing values as NaN (trees),
    dense has one column a category and imputed, scaled numbers (linear models, networks).
    """
    kinds = dict(columns.features)
    if columns.time is not None and settings.expand_time:
        kinds[columns.time] = "date"
    return Features(kinds, encoding, settings.rare, settings.keep, settings.date_parts)
