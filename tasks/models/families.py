"""The families that can be named in a config: one file each, one name in the union below."""

from typing import Annotated

from pydantic import Field

from tasks.models.keras import Keras
from tasks.models.lightgbm import LightGBM
from tasks.models.scikit import Scikit
from tasks.models.xgboost import XGBoost

Families = LightGBM | XGBoost | Scikit | Keras
Family = Annotated[Families, Field(discriminator="family")]
