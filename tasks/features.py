"""Stage: the features a model will read, unfitted. They are fitted inside each fold only."""

from __future__ import annotations

from tasks.plans import Encoding, Features, plan_features
from tasks.records import Columns
from tasks.settings import FeatureSettings
from tasks.stage import stage


@stage("features")
def build_features(columns: Columns, settings: FeatureSettings, encoding: Encoding) -> Features:
    """The unfitted transformer for these columns: nothing is looked at here, so nothing can leak."""
    return plan_features(columns, settings, encoding)
