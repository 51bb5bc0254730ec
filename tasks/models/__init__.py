"""Model families: one file each, one name in the union below."""

from typing import Annotated

from pydantic import Field

from tasks.models.lightgbm import LightGBM
from tasks.models.scikit import Scikit
from tasks.models.xgboost import XGBoost

AnyModel = Annotated[LightGBM | XGBoost | Scikit, Field(discriminator="family")]
