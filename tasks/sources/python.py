"""A Python function named in the config, `module:function`, that returns a frame."""

from __future__ import annotations

import importlib
import inspect
from datetime import datetime
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field

from tasks.errors import ConfigError, DataRejected, EvertuneError
from tasks.settings import Scalar
from tasks.sources.source import Source


class Python(Source):
    """Calls the function with `arguments`, and with `as_of` (UTC) if it takes that."""

    kind: Literal["python"]
    function: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    """module:function, importable from where Evertune runs."""
    arguments: dict[str, Scalar | tuple[Scalar, ...]] = {}

    @property
    def location(self) -> str:
        return f"python:{self.function}"

    def read(self, as_of: datetime) -> pd.DataFrame:
        function = self._function()
        takes = inspect.signature(function).parameters
        known = {**self.arguments, **({"as_of": as_of} if "as_of" in takes else {})}
        try:
            inspect.signature(function).bind(**known)
        except TypeError as error:
            raise ConfigError(f"source.arguments: {self.function} {error}") from None
        try:
            frame = function(**known)
        except EvertuneError:
            raise
        except Exception as error:
            raise DataRejected(f"source.function: {self.function} raised {type(error).__name__}: {error}") from error
        if not isinstance(frame, pd.DataFrame):
            raise DataRejected(f"source.function: {self.function} must return a pandas DataFrame, got {type(frame).__name__}")
        return frame

    def _function(self) -> Any:
        module, _, name = self.function.partition(":")
        try:
            return getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            raise ConfigError(f"source.function: no module called {error.name!r} can be imported") from None
        except AttributeError:
            raise ConfigError(f"source.function: module {module} has no function called {name!r}") from None
