"""Model families. A new one is a file here and a name in `families`."""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from tasks.errors import TrainingFailed
from tasks.models.blend import Blend
from tasks.models.families import Families

AnyModel = Annotated[Families | Blend, Field(discriminator="family")]


def parse_model(settings: dict[str, Any]) -> AnyModel:
    """Settings as they were written down by an earlier retrain -> the model. Raises TrainingFailed when they are valid no more."""
    adapter: TypeAdapter[AnyModel] = TypeAdapter(AnyModel)
    try:
        return adapter.validate_python(settings)
    except ValidationError as error:
        faults = "; ".join(fault["msg"].removeprefix("Value error, ") for fault in error.errors())
        raise TrainingFailed(f"the settings of an earlier retrain are no longer valid: {faults}") from error
