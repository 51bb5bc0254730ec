"""The environment that Evertune gives to the libraries it runs on, in this process and in those it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping

EMBEDDED = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait spin by default: beside other work on the same cores a fit took ten times as long
    "PREFECT_CLIENT_MAX_RETRIES": "3",  # of 2, 4 and 8 seconds; the last state is tried twice over
    "PREFECT_LOGGING_EXTRA_LOGGERS": "evertune",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_TASKS_DEFAULT_NO_CACHE": "true",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
}
"""What holds unless the user's environment says otherwise."""


def without_prefect(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without any PREFECT_ variable: these are about the user's own server."""
    return {name: value for name, value in environment.items() if not name.startswith("PREFECT_")}


def past_proxies(host: str) -> dict[str, str]:
    """The variables that keep a company's proxy from being asked for `host`, which it cannot reach."""
    hosts = ",".join(filter(None, [os.environ.get("NO_PROXY"), host]))
    return {"NO_PROXY": hosts, "no_proxy": hosts}
