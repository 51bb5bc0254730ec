"""What is configured: frozen settings, one class for each part of the YAML, the default beside its field.

Settings that belong to a part (a data source, a model family) live with the part; here are the rest.
"""

from tasks.settings.data import DriftSettings, Expectation, LeakageSettings, TableSettings, TimeSettings, ValidationSettings
from tasks.settings.judging import GateSettings, RegistrySettings
from tasks.settings.training import DatePart, FeatureSettings, SplitSettings, WeightSettings
from tasks.settings.tuning import AutoSettings, Count, MemorySettings, Minutes, TuningSettings
from tasks.settings.values import (
    DURATION,
    UNITS,
    ColumnKind,
    Duration,
    Fraction,
    Policy,
    Scalar,
    Settings,
    Severity,
    Task,
    format_duration,
    parse_duration,
    refuse_bool,
    split_words,
)

__all__ = [
    "DURATION",
    "UNITS",
    "AutoSettings",
    "ColumnKind",
    "Count",
    "DatePart",
    "DriftSettings",
    "Duration",
    "Expectation",
    "FeatureSettings",
    "Fraction",
    "GateSettings",
    "LeakageSettings",
    "MemorySettings",
    "Minutes",
    "Policy",
    "RegistrySettings",
    "Scalar",
    "Settings",
    "Severity",
    "SplitSettings",
    "TableSettings",
    "Task",
    "TimeSettings",
    "TuningSettings",
    "ValidationSettings",
    "WeightSettings",
    "format_duration",
    "parse_duration",
    "refuse_bool",
    "split_words",
]
