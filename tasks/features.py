"""Stage: the features a model will read, unfitted. They are fitted inside each fold only."""

from __future__ import annotations

from tasks.errors import DataRejected
from tasks.plans import Encoding, Features, plan_features
from tasks.records import Columns
from tasks.settings import FeatureSettings
from tasks.stage import stage


@stage("features")
def build_features(columns: Columns, settings: FeatureSettings, encoding: Encoding) -> Features:
    """The unfitted transformer for these columns: nothing is looked at here, so nothing can leak.

    Raises DataRejected when a group of `features.optional` names a column that is no feature.
    """
    known = {*columns.features, columns.time}
    for group, names in settings.optional.items():
        if unknown := [name for name in names if name not in known]:
            raise DataRejected(f"features.optional.{group}: {', '.join(unknown)} is no feature; there are {', '.join(columns.features)}")
    features = plan_features(columns, settings, encoding)
    if not features.kinds:
        raise DataRejected(f"features.without: leaves no column of {', '.join(columns.features)}")
    return features
