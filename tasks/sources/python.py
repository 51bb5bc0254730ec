"""A Python function named in the config, `module:function`, that returns a frame."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import AfterValidator, Field

from tasks.errors import ConfigError, DataRejected, EvertuneError
from tasks.settings import Scalar
from tasks.sources.source import Source, mask, refuse_as_of

NAMED = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"


def _module_and_function(name: str) -> str:
    if not re.fullmatch(NAMED, name, re.ASCII):
        raise ValueError("must be module:function, such as configs.flights:read_flights")
    return name


class Python(Source):
    """Calls the function with `arguments`, and with `as_of` (UTC) if it takes that."""

    kind: Literal["python"]
    """python"""
    function: Annotated[str, AfterValidator(_module_and_function), Field(json_schema_extra={"pattern": NAMED})]
    """module:function, such as configs.flights:read_flights; importable, or in the folder that Evertune is run from."""
    arguments: Annotated[dict[str, Scalar | tuple[Scalar, ...]], AfterValidator(refuse_as_of)] = {}
    """Keyword arguments for the function."""

    @property
    def location(self) -> str:
        return f"python:{self.function}"

    def read(self, as_of: datetime) -> pd.DataFrame:
        function = self.loaded_function()
        arguments = self._bound(function, as_of)
        try:
            frame = function(**arguments)
        except EvertuneError:
            raise
        except (Exception, SystemExit) as error:
            if isinstance(error, SystemExit) and error.code == 128 + signal.SIGTERM:
                raise  # the function did not ask for it: this is how the command ends on a signal
            raise DataRejected(f"source.function: {self.function} raised {_told(error)}") from error
        if not isinstance(frame, pd.DataFrame):
            raise DataRejected(f"source.function: {self.function} must return a pandas DataFrame, got {type(frame).__name__}")
        return frame

    def _bound(self, function: Callable[..., Any], as_of: datetime) -> dict[str, Any]:
        try:
            signature = inspect.signature(function)
            arguments = {**self.arguments, **({"as_of": as_of} if "as_of" in signature.parameters else {})}
            signature.bind(**arguments)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"source.arguments: {self.function} cannot be called with them: {error}") from None
        return arguments

    def loaded_function(self) -> Callable[..., Any]:
        """The function that is named, imported. Raises ConfigError."""
        module, _, name = self.function.partition(":")
        if os.getcwd() not in sys.path:
            # last, so that nothing installed is shadowed
            sys.path.append(os.getcwd())
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ModuleNotFoundError as error:
            raise ConfigError(f"source.function: there is no module {error.name!r} to import {self.function} from") from None
        except Exception as error:
            raise ConfigError(f"source.function: importing {module} raised {_told(error)}") from error
        if not callable(found):
            raise ConfigError(f"source.function: module {module} has no function called {name!r}")
        return found  # type: ignore[no-any-return]


def _told(error: BaseException) -> str:
    """`ValueError: no such month (flights.py, line 12)`, without what looks like a secret."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {mask(str(error))} ({Path(last.filename).name}, line {last.lineno})"
