"""Everything that can go wrong in a way we foresaw, each with its exit code.

    EvertuneError                1   a bug of ours, unless a subclass says otherwise
    ├── ConfigError              2   the YAML, an option or an environment variable is wrong
    ├── DataRejected             3   the data set is not fit to train on; the champion stays
    ├── TrainingFailed           4   tuning or training came to nothing; the champion stays
    ├── Conflict                 5   somebody else holds, or moved, what this run would write
    └── ServiceUnavailable      75   a server, a database or the disk; the same command may work later

A message says rule, value, where, and what to do. It may hold data of the user's, never a secret.
"""

from __future__ import annotations

from typing import Any


class EvertuneError(Exception):
    """Root of the tree; `summary` is filled by the flow, so that `--json` has it for failed runs too."""

    exit_code = 1
    verdict = "failed"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.summary: dict[str, Any] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args, self.__dict__


class ConfigError(EvertuneError):
    """One or more faults in what the user wrote, all of them at once in `faults`."""

    exit_code = 2

    def __init__(self, message: str, faults: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults or (message,)


class DataRejected(EvertuneError):
    """The data broke a critical rule; `findings` (records.Finding) are the rows of the validation table, where there is one."""

    exit_code = 3
    verdict = "data_rejected"

    def __init__(self, message: str, findings: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.findings = findings


class TrainingFailed(EvertuneError):
    """No model came out of tuning or training."""

    exit_code = 4


class Conflict(EvertuneError):
    """The registry is not in the state this run was about to build on."""

    exit_code = 5


class Held(Conflict):
    """Somebody else retrains the model, or decides on it, at this moment; nothing is wrong."""


class ServiceUnavailable(EvertuneError):
    """A tracker, a database or the disk did not answer; nothing is wrong with config or data."""

    exit_code = 75
