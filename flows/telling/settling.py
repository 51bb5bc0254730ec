"""A run that a worker started settles in: its libraries are quiet, and Evertune's own lines are kept with Prefect's run.

A worker may be anybody's `prefect worker start`, without the environment that `evertune up` gives its own.
"""

from __future__ import annotations

import logging
import os

from flows.services.environment import EMBEDDED


def settle_in() -> None:
    """To be called at a flow's start. Does nothing but in a run of a deployment, whose process is that run's alone.

    Prefect attaches its handler to the loggers that PREFECT_LOGGING_EXTRA_LOGGERS names, but leaves their level, so that
    no line below a warning would come through.
    """
    from prefect.context import FlowRunContext
    from prefect.logging.handlers import APILogHandler

    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow_run.deployment_id is None:
        return
    for name, value in EMBEDDED.items():
        if not name.startswith("PREFECT_"):  # those have been read already
            os.environ.setdefault(name, value)
    logger = logging.getLogger("evertune")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if not any(isinstance(handler, APILogHandler) for handler in logger.handlers):
        logger.addHandler(APILogHandler())
