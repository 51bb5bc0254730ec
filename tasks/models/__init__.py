"""Model families: one file each, one name in the union below."""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from tasks.models.lightgbm import LightGBM
from tasks.models.scikit import Scikit
from tasks.models.xgboost import XGBoost

AnyModel = Annotated[LightGBM | XGBoost | Scikit, Field(discriminator="family")]


def parse_model(settings: dict[str, Any]) -> AnyModel:
    """Settings as they were written down by an earlier retrain -> the model."""
    adapter: TypeAdapter[AnyModel] = TypeAdapter(AnyModel)
    return adapter.validate_python(settings)
